"""Mixtures of one envelope, each component with its own weight, length-scale and frequency."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels._covariance import Form
from fourfold.gp.kernels._parameters import (
    Bounds,
    Parameter,
    checked_bounds,
    checked_values,
    positive_parameter,
)
from fourfold.gp.kernels._parametric import ParametricKernel

__all__ = ["Matern", "SpectralMixture", "SquaredExponential", "StudentTMixture"]


def _rate(form: Form, lengthscale: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The ``a`` of csrc/gp/covariance.hpp."""
    if form is Form.GAUSSIAN:
        return np.asarray(0.5 / lengthscale**2)
    degrees = {Form.MATERN12: 1, Form.MATERN32: 3, Form.MATERN52: 5}[form]
    return np.asarray(np.sqrt(degrees) / lengthscale)


def _rate_by_lengthscale(
    form: Form, lengthscale: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    power = 2 if form is Form.GAUSSIAN else 1
    return np.asarray(-power * _rate(form, lengthscale) / lengthscale)


class _Single(ParametricKernel):
    """``variance * g(z / lengthscale)``."""

    def __init__(
        self,
        lengthscale: float,
        variance: float,
        lengthscale_bounds: Bounds,
        variance_bounds: Bounds,
    ) -> None:
        super().__init__(
            positive_parameter("lengthscale", lengthscale, lengthscale_bounds),
            positive_parameter("variance", variance, variance_bounds),
        )

    @property
    def lengthscale(self) -> float:
        """In the units of x."""
        return self._numbers[0]

    @property
    def variance(self) -> float:
        """``k(0)``."""
        return self._numbers[1]

    def _packed(self) -> npt.NDArray[np.float64]:
        lengthscale, variance = self._parameters
        return np.array(
            [[float(variance.value)], [float(_rate(self._form, lengthscale.value))], [0.0]]
        )

    def _unpacked(self, gradient: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
        by_rate = _rate_by_lengthscale(self._form, self._parameters[0].value)
        return [np.asarray(gradient[1, 0] * by_rate), gradient[0, 0]]


class SquaredExponential(_Single):
    """``k(z) = variance * exp(-z^2 / (2 lengthscale^2))``.

    Parameters
    ----------
    lengthscale : float
        In the units of x.
    variance : float
        ``k(0)``.
    lengthscale_bounds, variance_bounds : (float, float) or None
        Where `fit` may move them; None holds them fixed.
    """

    _form = Form.GAUSSIAN

    def __init__(
        self,
        lengthscale: float = 1.0,
        variance: float = 1.0,
        *,
        lengthscale_bounds: Bounds = (1e-5, 1e5),
        variance_bounds: Bounds = (1e-8, 1e8),
    ) -> None:
        super().__init__(lengthscale, variance, lengthscale_bounds, variance_bounds)


class Matern(_Single):
    r"""Matern covariance with ``nu`` of 1/2, 3/2 or 5/2.

    With ``t = sqrt(2 nu) |z| / lengthscale``: ``variance * exp(-t)``, ``variance * (1 + t) exp(-t)`` and
    ``variance * (1 + t + t^2/3) exp(-t)``. At lag 0 they have 0, 2 and 4 derivatives.

    Parameters
    ----------
    lengthscale : float
        In the units of x.
    nu : float
        0.5, 1.5 or 2.5.
    variance : float
        ``k(0)``.
    lengthscale_bounds, variance_bounds : (float, float) or None
        Where `fit` may move them; None holds them fixed.
    """

    _by_nu: ClassVar[dict[float, Form]] = {
        0.5: Form.MATERN12,
        1.5: Form.MATERN32,
        2.5: Form.MATERN52,
    }

    def __init__(
        self,
        lengthscale: float = 1.0,
        nu: float = 2.5,
        variance: float = 1.0,
        *,
        lengthscale_bounds: Bounds = (1e-5, 1e5),
        variance_bounds: Bounds = (1e-8, 1e8),
    ) -> None:
        if nu not in self._by_nu:
            raise ValueError(f"nu: expected 0.5, 1.5 or 2.5, got {nu}")
        super().__init__(lengthscale, variance, lengthscale_bounds, variance_bounds)
        self.nu = float(nu)
        self._form = self._by_nu[self.nu]

    def __repr__(self) -> str:
        return f"Matern(lengthscale={self.lengthscale:.6g}, nu={self.nu}, variance={self.variance:.6g})"


class _Mixture(ParametricKernel):
    """``sum_q w_q g(z / l_q) cos(2 pi f_q z)``."""

    def __init__(
        self,
        weights: npt.ArrayLike,
        lengthscales: npt.ArrayLike,
        frequencies: npt.ArrayLike,
        *,
        weights_bounds: Bounds = (1e-12, 1e8),
        lengthscales_bounds: Bounds = (1e-5, 1e5),
        frequencies_bounds: Bounds = (0.0, 1e5),
    ) -> None:
        super().__init__(
            positive_parameter("weights", weights, weights_bounds, vector=True),
            positive_parameter("lengthscales", lengthscales, lengthscales_bounds, vector=True),
            Parameter(
                "frequencies",
                checked_values("frequencies", frequencies, vector=True),
                False,
                checked_bounds("frequencies", frequencies_bounds, positive=False),
            ),
        )
        sizes = [p.value.size for p in self.parameters]
        if len(set(sizes)) > 1:
            raise ValueError(
                f"weights, lengthscales, frequencies: expected equal lengths, got {sizes}"
            )

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """w, (Q,)."""
        return self._parameters[0].value

    @property
    def lengthscales(self) -> npt.NDArray[np.float64]:
        """l, (Q,), in the units of x."""
        return self._parameters[1].value

    @property
    def frequencies(self) -> npt.NDArray[np.float64]:
        """f, (Q,), in cycles per unit of x."""
        return self._parameters[2].value

    def _packed(self) -> npt.NDArray[np.float64]:
        rate = _rate(self._form, self.lengthscales)
        return np.stack([self.weights, rate, 2 * np.pi * self.frequencies])

    def _unpacked(self, gradient: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
        by_rate = _rate_by_lengthscale(self._form, self.lengthscales)
        return [gradient[0], gradient[1] * by_rate, gradient[2] * (2 * np.pi)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.weights.size} components)"


class SpectralMixture(_Mixture):
    """``k(z) = sum_q w_q exp(-z^2 / (2 l_q^2)) cos(2 pi f_q z)``.

    Its spectral density is a mixture of Gaussians at the frequencies (Wilson and Adams 2013; GP-HM-GM in Fang et
    al. 2024).

    Parameters
    ----------
    weights : array_like of float, shape (Q,)
        Positive; ``k(0)`` is their sum.
    lengthscales : array_like of float, shape (Q,)
        In the units of x.
    frequencies : array_like of float, shape (Q,)
        In cycles per unit of x.
    weights_bounds, lengthscales_bounds, frequencies_bounds : (float, float) or None
        Where `fit` may move them; None holds them fixed.
    """

    _form = Form.GAUSSIAN


class StudentTMixture(_Mixture):
    """``k(z) = sum_q w_q (1 + t_q + t_q^2/3) exp(-t_q) cos(2 pi f_q z)`` with ``t_q = sqrt(5) |z| / l_q``.

    Its spectral density is a mixture of Student t densities at the frequencies, with heavier tails than those of
    `SpectralMixture` (GP-HM-StM in Fang et al. 2024).

    Parameters
    ----------
    weights : array_like of float, shape (Q,)
        Positive; ``k(0)`` is their sum.
    lengthscales : array_like of float, shape (Q,)
        In the units of x.
    frequencies : array_like of float, shape (Q,)
        In cycles per unit of x.
    weights_bounds, lengthscales_bounds, frequencies_bounds : (float, float) or None
        Where `fit` may move them; None holds them fixed.
    """

    _form = Form.MATERN52
