"""Coordinate ascent on the evidence lower bound: one mode, the core and the noise after another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln

from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp.funbat._core_tensor import Core
from fourfold.gp.funbat._entries import Entries
from fourfold.gp.funbat._kernel import sum_entries
from fourfold.gp.funbat._mode import Mode

__all__ = ["Noise", "Posterior"]

Array = npt.NDArray[np.float64]


@dataclass
class Noise:
    """Gamma posterior of the noise's precision, or a fixed precision (``prior`` None)."""

    prior: tuple[float, float] | None
    shape: float
    rate: float

    @property
    def precision(self) -> float:
        """Its expectation."""
        return self.shape / self.rate

    def update(self, count: int, squared_error: float) -> None:
        """The posterior given the expected sum of squared errors."""
        if self.prior is None:
            return
        self.shape = self.prior[0] + 0.5 * count
        self.rate = self.prior[1] + 0.5 * squared_error
        if not self.rate > 0:
            raise NotPositiveDefiniteError(
                f"the expected sum of squared errors is {squared_error:.3g}, lost in rounding: the model fits the "
                "values exactly; give noise=, or a noise_prior of larger rate",
                smallest_eigenvalue=squared_error,
            )

    def bound(self, count: int, squared_error: float) -> float:
        """E[log p(y | f, precision)] minus the divergence of the precision's posterior from its prior."""
        constant = -0.5 * count * math.log(2 * math.pi)
        if self.prior is None:
            log_precision = math.log(self.precision)
            return constant + 0.5 * count * log_precision - 0.5 * self.precision * squared_error
        a, b = self.shape, self.rate
        a0, b0 = self.prior
        log_precision = float(digamma(a)) - math.log(b)
        likelihood = 0.5 * count * log_precision - 0.5 * a / b * squared_error
        divergence = (
            (a - a0) * float(digamma(a))
            - float(gammaln(a))
            + float(gammaln(a0))
            + a0 * math.log(b / b0)
            + a * (b0 - b) / b
        )
        return constant + likelihood - divergence


class Posterior:
    """``q(U^1) ... q(U^K) q(w) q(noise)`` for given entries.

    Attributes
    ----------
    bound : float
        The evidence lower bound after the last sweep.
    """

    def __init__(self, entries: Entries, modes: list[Mode], core: Core, noise: Noise) -> None:
        self.entries = entries
        self.modes = modes
        self.core = core
        self.noise = noise
        self.bound = -math.inf

    def sweep(self, *, learn: bool) -> float:
        """Update every mode once, each followed by core and noise; returns the lower bound."""
        squared_error = 0.0
        for k in range(len(self.modes)):
            squared_error = self.update_mode(k, learn=learn)
        divergence = sum(mode.divergence for mode in self.modes) + self.core.divergence
        self.bound = self.noise.bound(self.entries.count, squared_error) - divergence
        return self.bound

    def update_mode(self, k: int, *, learn: bool) -> float:
        """Messages to mode k, its posterior, core and noise; returns the expected sum of squared errors."""
        mode = self.modes[k]
        first, second = self._gather(k)
        shift, precision = self.core.message(k, first, second)
        mode.update(shift, precision, self.noise.precision, learn=learn)
        return self._update_core_and_noise(k, first, second)

    def start_core(self) -> None:
        """Core and noise for the functions with which the modes start."""
        first, second = self._gather(0)
        self._update_core_and_noise(0, first, second)

    def _gather(self, k: int) -> tuple[Array, Array]:
        own = self.entries.modes[k]
        others = [mode for j, mode in enumerate(self.modes) if j != k]
        return sum_entries(
            own.start,
            own.places,
            own.value,
            [mode.mean for mode in others],
            [mode.second for mode in others],
            tucker=self.core.covariance is not None,
        )

    def _update_core_and_noise(self, k: int, first: Array, second: Array) -> float:
        mode = self.modes[k]
        along, squares = self.core.update(
            k, first, second, mode.mean, mode.second, self.noise.precision
        )
        squared_error = self.entries.sum_of_squares - 2 * along + squares
        self.noise.update(self.entries.count, squared_error)
        return squared_error
