"""The rational quadratic covariance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels._parameters import Bounds, positive_parameter
from fourfold.gp.kernels._parametric import ParametricKernel
from fourfold.gp.kernels.leibniz import by_scaling_the_lag

__all__ = ["RationalQuadratic"]

Array = npt.NDArray[np.float64]

# k^(r) of a function h(s) at s = z^2: factor * z^power * h^(j), as (factor, power, j).
_OF_SQUARE: list[list[tuple[int, int, int]]] = [
    [(1, 0, 0)],
    [(2, 1, 1)],
    [(2, 0, 1), (4, 2, 2)],
    [(12, 1, 2), (8, 3, 3)],
    [(12, 0, 2), (48, 2, 3), (16, 4, 4)],
    [(120, 1, 3), (160, 3, 4), (32, 5, 5)],
]


def _of_square(h: list[Array], lag: Array, top: int) -> Array:
    return np.stack([sum(f * lag**p * h[j] for f, p, j in _OF_SQUARE[r]) for r in range(top + 1)])


class RationalQuadratic(ParametricKernel):
    """``k(z) = variance * (1 + z^2 / (2 alpha lengthscale^2))^(-alpha)``.

    Parameters
    ----------
    lengthscale : float
        In the units of x.
    alpha : float
        Positive; for large values it becomes `SquaredExponential`.
    variance : float
        ``k(0)``.
    lengthscale_bounds, alpha_bounds, variance_bounds : (float, float) or None
        Where `fit` may move them; None holds them fixed.
    """

    def __init__(
        self,
        lengthscale: float = 1.0,
        alpha: float = 1.0,
        variance: float = 1.0,
        *,
        lengthscale_bounds: Bounds = (1e-5, 1e5),
        alpha_bounds: Bounds = (1e-3, 1e4),
        variance_bounds: Bounds = (1e-8, 1e8),
    ) -> None:
        super().__init__(
            positive_parameter("lengthscale", lengthscale, lengthscale_bounds),
            positive_parameter("alpha", alpha, alpha_bounds),
            positive_parameter("variance", variance, variance_bounds),
        )

    @property
    def lengthscale(self) -> float:
        """In the units of x."""
        return self._numbers[0]

    @property
    def alpha(self) -> float:
        """The exponent."""
        return self._numbers[1]

    @property
    def variance(self) -> float:
        """``k(0)``."""
        return self._numbers[2]

    @property
    def highest_order(self) -> int:
        """The highest derivative at lag 0."""
        return 4

    def _constants(self) -> tuple[float, float, float]:
        lengthscale, alpha, variance = self._numbers
        return 0.5 / (alpha * lengthscale**2), alpha, variance

    def _powers(self, lag: Array, top: int) -> list[Array]:
        """``h^(j)`` of ``h(s) = (1 + c s)^(-alpha)`` for j = 0..top."""
        c, alpha, _ = self._constants()
        base = 1 + c * lag**2
        h = [base**-alpha]
        for j in range(top):
            h.append(h[-1] * (-c * (alpha + j)) / base)
        return h

    def _jet(self, lag: Array, orders: Sequence[int]) -> Array:
        top = max(orders)
        return self.variance * _of_square(self._powers(lag, top), lag, top)[orders]

    def _pull_back(self, lag: Array, orders: Sequence[int], cotangent: Array) -> list[Array]:
        c, alpha, variance = self._constants()
        top = max(orders)
        h = self._powers(lag, top + 1)
        k = _of_square(h, lag, top + 1)
        by_scale = variance * by_scaling_the_lag(k, lag, orders, cotangent)
        # At constant c: h^(j) contains (alpha)_j and the power -alpha.
        logarithm = np.log1p(c * lag**2)
        sums = np.cumsum([0.0, *(1 / (alpha + i) for i in range(top))])
        by_power = _of_square([h[j] * (sums[j] - logarithm) for j in range(top + 1)], lag, top)
        by_alpha = variance * float(np.sum(cotangent * by_power[orders])) - by_scale / (2 * alpha)
        by_variance = float(np.sum(cotangent * k[orders]))
        by_lengthscale = -by_scale / self.lengthscale
        return [np.asarray(by_lengthscale), np.asarray(by_alpha), np.asarray(by_variance)]
