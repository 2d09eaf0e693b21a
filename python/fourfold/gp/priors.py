"""Priors of hyperparameters, as densities of the value itself (not of its logarithm)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fourfold.gp._inputs import checked_number

__all__ = ["Gamma", "LogNormal", "Normal", "Prior"]

Array = npt.NDArray[np.float64]


class Prior(ABC):
    """A probability density ``p(v)`` of a hyperparameter's value v."""

    @abstractmethod
    def log_density(self, value: Array) -> tuple[Array, Array]:
        """``log p(v)`` and its derivative with respect to v, both of the shape of ``value``."""


@dataclass(frozen=True)
class Normal(Prior):
    """``p(v) = exp(-(v - mean)^2 / (2 std^2)) / (std sqrt(2 pi))``.

    Parameters
    ----------
    mean, std : float
    """

    mean: float
    std: float

    def __post_init__(self) -> None:
        _check(self.mean, finite="mean")
        _check(self.std, positive="std")

    def log_density(self, value: Array) -> tuple[Array, Array]:
        """See `Prior`."""
        z = (value - self.mean) / self.std
        return -0.5 * z**2 - math.log(self.std * math.sqrt(2 * math.pi)), -z / self.std


@dataclass(frozen=True)
class LogNormal(Prior):
    """``log v`` is normal: ``p(v) = exp(-log(v/median)^2 / (2 spread^2)) / (v spread sqrt(2 pi))``.

    Parameters
    ----------
    median : float
        Of v.
    spread : float
        Standard deviation of ``log v``.
    """

    median: float
    spread: float

    def __post_init__(self) -> None:
        _check(self.median, positive="median")
        _check(self.spread, positive="spread")

    def log_density(self, value: Array) -> tuple[Array, Array]:
        """See `Prior`."""
        z = np.log(value / self.median) / self.spread
        density = -0.5 * z**2 - np.log(value * self.spread * math.sqrt(2 * math.pi))
        return density, -(1 + z / self.spread) / value


@dataclass(frozen=True)
class Gamma(Prior):
    """``p(v) = rate^shape v^(shape - 1) exp(-rate v) / Gamma(shape)``.

    Parameters
    ----------
    shape, rate : float
    """

    shape: float
    rate: float

    def __post_init__(self) -> None:
        _check(self.shape, positive="shape")
        _check(self.rate, positive="rate")

    def log_density(self, value: Array) -> tuple[Array, Array]:
        """See `Prior`."""
        constant = self.shape * math.log(self.rate) - math.lgamma(self.shape)
        density = constant + (self.shape - 1) * np.log(value) - self.rate * value
        return density, (self.shape - 1) / value - self.rate


def _check(value: float, *, finite: str = "", positive: str = "") -> None:
    checked_number(positive or finite, value, positive=bool(positive))
