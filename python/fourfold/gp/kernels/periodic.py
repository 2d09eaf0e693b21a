"""The periodic covariance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels._covariance import Form
from fourfold.gp.kernels._parameters import Bounds, positive_parameter
from fourfold.gp.kernels._parametric import ParametricKernel

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

    _form = Form.PERIODIC

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

    def _packed(self) -> Array:
        lengthscale, period, variance = self._numbers
        return np.array([[variance], [1 / lengthscale**2], [period]])

    def _unpacked(self, gradient: Array) -> list[Array]:
        by_variance, by_steepness, by_period = gradient[:, 0]
        return [np.asarray(-2 * by_steepness / self.lengthscale**3), by_period, by_variance]
