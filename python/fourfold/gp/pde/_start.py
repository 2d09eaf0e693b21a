"""The kernel to start from, by the spectrum of the source."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels import SpectralMixture
from fourfold.gp.pde.problem import Problem

__all__ = ["starting_kernel"]

Array = npt.NDArray[np.float64]

_PEAKS = 8


def starting_kernel(problem: Problem) -> SpectralMixture:
    """A Gaussian mixture at the peaks of the source's spectrum and at frequency 0.

    A solution wave is the source's divided by f^order. As a prior that share of the variance, f^(-2 order), leaves fast
    waves too little beside the smooth parts, and none at all (1) too much: the power between them, 1.5, serves both.
    Every peak gets three length-scales, so that modulated waves have a component that suits them.
    """
    low, high = problem.interval
    length = high - low
    spacing = length / (problem.shape[0] - 1)
    frequency, height = _peaks(problem.source_at(problem.grid), spacing)
    order = problem.highest_order(0)
    power = height / (1 + frequency * length) ** (1.5 * order)
    smooth = np.array([0.1, 0.3, 1.0, 3.0])
    frequencies = np.concatenate([np.tile(frequency, 3), np.zeros(smooth.size)])
    lengthscales = length * np.concatenate([np.repeat([0.3, 1.0, 3.0], frequency.size), smooth])
    weights = np.maximum(np.concatenate([np.tile(power, 3), np.ones(smooth.size)]), 1e-8)
    return SpectralMixture(
        weights,
        lengthscales,
        frequencies,
        weights_bounds=(1e-20, 1e6),
        lengthscales_bounds=(1e-2 * length, 1e2 * length),
        frequencies_bounds=(0.0, 0.5 / spacing),
    )


def _peaks(values: Array, spacing: float) -> tuple[Array, Array]:
    """Frequencies and relative heights of the highest peaks of the Hann-windowed spectrum."""
    size = 8 * values.size
    spectrum = np.abs(np.fft.rfft(np.hanning(values.size) * values, size))
    frequency = np.fft.rfftfreq(size, spacing)
    inner = spectrum[1:-1]
    at = np.flatnonzero((inner > spectrum[:-2]) & (inner >= spectrum[2:])) + 1
    at = at[np.argsort(-spectrum[at])][:_PEAKS]
    at = at[spectrum[at] > 1e-3 * spectrum.max()]
    return frequency[at], spectrum[at] / spectrum.max()
