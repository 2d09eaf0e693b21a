"""The periodic covariance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels._parameters import Bounds, positive_parameter
from fourfold.gp.kernels._parametric import ParametricKernel
from fourfold.gp.kernels.leibniz import by_scaling_the_lag, product_jet

__all__ = ["Periodic"]

Array = npt.NDArray[np.float64]


class Periodic(ParametricKernel):
    """``k(z) = variance * exp(-2 sin(pi z / period)^2 / lengthscale^2)`` (MacKay 1998).

    Parameters
    ----------
    lengthscale : float
        Of the sine: a number without units.
    period : float
        In the units of x.
    variance : float
        ``k(0)``.
    lengthscale_bounds, period_bounds, variance_bounds : (float, float) or None
        Where `fit` may move them; None holds them fixed.
    """

    def __init__(
        self,
        lengthscale: float = 1.0,
        period: float = 1.0,
        variance: float = 1.0,
        *,
        lengthscale_bounds: Bounds = (1e-3, 1e3),
        period_bounds: Bounds = (1e-5, 1e5),
        variance_bounds: Bounds = (1e-8, 1e8),
    ) -> None:
        super().__init__(
            positive_parameter("lengthscale", lengthscale, lengthscale_bounds),
            positive_parameter("period", period, period_bounds),
            positive_parameter("variance", variance, variance_bounds),
        )

    @property
    def lengthscale(self) -> float:
        """Of the sine: a number without units."""
        return self._numbers[0]

    @property
    def period(self) -> float:
        """In the units of x."""
        return self._numbers[1]

    @property
    def variance(self) -> float:
        """``k(0)``."""
        return self._numbers[2]

    @property
    def highest_order(self) -> int:
        """The highest derivative at lag 0."""
        return 4

    def _derivatives(self, lag: Array, top: int) -> Array:
        """Of ``exp(b (cos(omega z) - 1))``, b = 1/lengthscale^2: ``k' = phi k``, phi = -b omega sin(omega z)."""
        b = 1 / self.lengthscale**2
        omega = 2 * np.pi / self.period
        phi = np.stack(
            [-b * omega ** (j + 1) * np.sin(omega * lag + j * np.pi / 2) for j in range(top)]
            or [np.zeros_like(lag)]
        )
        k = [np.exp(-2 * b * np.sin(omega * lag / 2) ** 2)]
        for r in range(top):
            k.append(product_jet(phi, np.stack(k), [r])[0])
        return np.stack(k)

    def _jet(self, lag: Array, orders: Sequence[int]) -> Array:
        return self.variance * self._derivatives(lag, max(orders))[orders]

    def _pull_back(self, lag: Array, orders: Sequence[int], cotangent: Array) -> list[Array]:
        lengthscale, period, variance = self._numbers
        top = max(orders)
        k = self._derivatives(lag, top + 1)
        omega = 2 * np.pi / period
        cosine = np.stack([omega**j * np.cos(omega * lag + j * np.pi / 2) for j in range(top + 1)])
        cosine[0] = -2 * np.sin(omega * lag / 2) ** 2  # cos - 1
        by_b = variance * float(np.sum(cotangent * product_jet(cosine, k, orders)))
        by_scale = variance * by_scaling_the_lag(k, lag, orders, cotangent)
        by_variance = float(np.sum(cotangent * k[orders]))
        return [
            np.asarray(-2 * by_b / lengthscale**3),
            np.asarray(-by_scale / period),
            np.asarray(by_variance),
        ]
