"""The rational quadratic covariance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels._covariance import Form
from fourfold.gp.kernels._parameters import Bounds, positive_parameter
from fourfold.gp.kernels._parametric import ParametricKernel

__all__ = ["RationalQuadratic"]

Array = npt.NDArray[np.float64]


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

    _form = Form.RATIONAL_QUADRATIC

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

    def _packed(self) -> Array:
        lengthscale, alpha, variance = self._numbers
        return np.array([[variance], [0.5 / (alpha * lengthscale**2)], [alpha]])

    def _unpacked(self, gradient: Array) -> list[Array]:
        by_variance, by_scale, by_alpha = gradient[:, 0]
        scale = float(self._packed()[1, 0])
        return [
            np.asarray(-2 * scale * by_scale / self.lengthscale),
            np.asarray(by_alpha - scale * by_scale / self.alpha),
            by_variance,
        ]
