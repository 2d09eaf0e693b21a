"""Where coordinate ascent starts: functions drawn from the prior, and the best of several draws."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fourfold.gp.funbat._core_tensor import Core, CpCore, TuckerCore
from fourfold.gp.funbat._entries import Entries
from fourfold.gp.funbat._mode import Mode
from fourfold.gp.funbat._posterior import Noise, Posterior
from fourfold.gp.kernels import Matern

__all__ = ["SMALL_NOISE", "best_start", "settled", "started"]

Array = npt.NDArray[np.float64]

_FEATURES = 128
# What a learnt noise starts with, as a share of the values' mean square, and for how many sweeps it is held. From a large
# noise weak functions are worth nothing, go to zero, and never come back.
SMALL_NOISE = 1e-3
_HELD = 3
# Sweeps, with hyperparameters as they are, after each of which the worse half of the starts is given up.
_SWEEPS_OF_A_ROUND = 6


def _drawn(rng: np.random.Generator, times: Array, rank: int, kernel: Matern) -> Array:
    """Random Fourier features: the spectrum of a Matern covariance is a Student t distribution."""
    rate = rng.standard_t(2 * kernel.nu, size=_FEATURES) / kernel.lengthscale
    phase = rng.uniform(0, 2 * math.pi, _FEATURES)
    weights = rng.normal(size=(_FEATURES, rank)) * math.sqrt(2 * kernel.variance / _FEATURES)
    # A sum in a fixed order instead of BLAS: the same bits for any number of its threads.
    drawn = np.zeros((times.size, rank))
    for f in range(_FEATURES):
        drawn += np.cos(rate[f] * times + phase[f])[:, None] * weights[f]
    return drawn


def started(
    entries: Entries,
    kernels: list[Matern],
    ranks: tuple[int, ...],
    noise: Noise,
    rng: np.random.Generator,
) -> Posterior:
    """A posterior before its first sweep; one rank makes CP, one for each mode Tucker."""
    count = len(entries.modes)
    tucker = len(ranks) > 1
    each = ranks if tucker else ranks * count
    modes = []
    for k, (own, kernel, rank) in enumerate(zip(entries.modes, kernels, each, strict=True)):
        mode = Mode(k, kernel, rank, own.length)
        mode.start_at(_drawn(rng, own.times, rank, kernel))
        modes.append(mode)
    core: Core = CpCore(ranks[0])
    if tucker:
        scale = entries.sum_of_squares / entries.count
        for kernel, rank in zip(kernels, ranks, strict=True):
            scale /= kernel.variance * rank
        core = TuckerCore(ranks, scale)
    posterior = Posterior(entries, modes, core, Noise(noise.prior, noise.shape, noise.rate))
    if tucker:
        posterior.start_core()
    return posterior


def settled(
    entries: Entries,
    kernels: list[Matern],
    ranks: tuple[int, ...],
    noise: Noise,
    rng: np.random.Generator,
) -> Posterior:
    """`started`, after some sweeps with the noise held if it is learnt."""
    posterior = started(entries, kernels, ranks, Noise(None, noise.shape, noise.rate), rng)
    if noise.prior is not None:
        for _ in range(_HELD):
            posterior.sweep(learn=False)
        posterior.noise.prior = noise.prior
    return posterior


def best_start(
    make: Callable[[int], Posterior], starts: int, report: Callable[[float], None]
) -> Posterior:
    """Of several starts the one whose bound is largest after some sweeps, the worse half given up each round."""
    alive = [make(start) for start in range(starts)]
    done = 0
    total = _SWEEPS_OF_A_ROUND * (2 * starts - 1)
    while len(alive) > 1:
        for posterior in alive:
            for _ in range(_SWEEPS_OF_A_ROUND):
                posterior.sweep(learn=False)
                done += 1
                report(done / total)
        alive.sort(key=lambda posterior: -posterior.bound)
        alive = alive[: (len(alive) + 1) // 2]
    return alive[0]
