"""Observations of several series at common times, and what the filter says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.gp._inputs import in_kind_of, kind_is_torch
from fourfold.gp._variance import checked_variance
from fourfold.gp.kernels import Matern
from fourfold.gp.series._filter import Pass, run_filter

__all__ = ["Likelihood", "Merged", "Series", "merged", "rate"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Likelihood:
    """``log p(y | t)``, summed over the series, and its gradient."""

    value: float
    by_rate: Array  # (components,)
    by_variance: Array  # (components,)
    by_log_noise: float  # of a noise that all observations share


@dataclass(frozen=True)
class Series:
    """B series of observations at common times, in the order of these.

    Attributes
    ----------
    time : ndarray, shape (T,)
        Not decreasing.
    value : ndarray, shape (B, T)
        Less the mean; 0 where missing.
    observed : ndarray of bool, shape (B, T)
    noise : ndarray, shape (T,), or None
        A variance for every time, if these were given.
    single : bool
        Whether y was a vector.
    torch : bool
        Whether y was a tensor.
    """

    time: Array
    value: Array
    observed: npt.NDArray[np.bool_]
    noise: Array | None
    single: bool
    torch: bool

    @property
    def size(self) -> int:
        """Entries of y."""
        return self.value.size

    @property
    def count(self) -> int:
        """How many of them were observed."""
        return int(self.observed.sum())

    def likelihood(self, parts: list[Matern], noise: float | Array) -> Likelihood:
        """Of a sum of kernels; ``noise`` is a number or (T,)."""
        rows = np.ascontiguousarray(np.broadcast_to(noise, self.value.shape))
        result = _run(parts, self.time, self.value, rows, self.observed)
        assert result.by_rate is not None
        assert result.by_variance is not None
        assert result.by_noise is not None
        return Likelihood(
            float(result.log_likelihood.sum()),
            result.by_rate.sum(0),
            result.by_variance.sum(0),
            float(np.sum(result.by_noise * rows)),
        )

    def posterior(
        self, parts: list[Matern], noise: float | Array, new: Array, prior: float
    ) -> tuple[Array, Array, int]:
        """Mean and standard deviation (B, m) of f at other times, and how many variances were rounded below zero.

        ``prior`` is the variance of f.
        """
        both = merged(self.time, noise, new)
        empty = np.zeros((self.value.shape[0], new.size))
        result = _run(
            parts,
            both.time,
            np.concatenate([self.value, empty], axis=1)[:, both.order],
            np.broadcast_to(both.noise, (empty.shape[0], both.order.size)),
            np.concatenate([self.observed, empty.astype(bool)], axis=1)[:, both.order],
        )
        assert result.mean is not None
        assert result.variance is not None
        back = np.empty_like(both.order)
        back[both.order] = np.arange(both.order.size)
        at = back[self.time.size :]
        variance, zeroed = checked_variance(result.variance[:, at], prior)
        return result.mean[:, at], np.sqrt(variance), zeroed

    def in_kind(self, result: Any, t: Any) -> Any:
        """A result at the times t in the kind of these; of y, where t is a list."""
        return in_kind_of(result, kind_is_torch(t, self.torch))


@dataclass(frozen=True)
class Merged:
    """Times of observations and others together, not decreasing.

    Attributes
    ----------
    time, noise : ndarray, shape (T + m,)
        No noise at the others.
    order : ndarray of int, shape (T + m,)
        Which each is of all: those of the observations, then the others.
    """

    time: Array
    noise: Array
    order: npt.NDArray[np.intp]


def merged(time: Array, noise: float | Array, new: Array) -> Merged:
    """Times of the observations, and where f is to be predicted."""
    both = np.concatenate([time, new])
    order = np.argsort(both, kind="stable")
    rows = np.concatenate([np.broadcast_to(noise, time.shape), np.zeros(new.size)])
    return Merged(both[order], rows[order], order)


def rate(part: Matern) -> float:
    """``sqrt(2 nu) / lengthscale``."""
    return float(np.sqrt(2 * part.nu)) / part.lengthscale


def _run(
    parts: list[Matern],
    time: Array,
    value: Array,
    noise: Array,
    observed: npt.NDArray[np.bool_],
) -> Pass:
    return run_filter(
        [round(part.nu + 0.5) for part in parts],
        np.array([rate(part) for part in parts]),
        np.array([part.variance for part in parts]),
        np.ascontiguousarray(time),
        np.ascontiguousarray(value),
        np.ascontiguousarray(noise),
        np.ascontiguousarray(observed),
        backward=True,
    )
