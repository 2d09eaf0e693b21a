"""The kernels to start from on a box: one for each axis, by the spectra of source and conditions."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels import SpectralMixture
from fourfold.gp.pde.conditions import Condition
from fourfold.gp.pde.problem import Problem

__all__ = ["starting_kernels"]

Array = npt.NDArray[np.float64]

_PEAKS = 8
# Waves of u below this share of the largest are left to the smooth components.
_SMALLEST = 1e-3


def starting_kernels(problem: Problem) -> list[SpectralMixture]:
    """A Gaussian mixture for each axis at the peaks of the data's spectra along it and at frequency 0.

    The data are the source, whose waves are divided by what the operator multiplies them with, and the values of the
    conditions on the faces along the axis.
    """
    source = problem.source_at(*problem.mesh)
    sizes = {
        order: float(np.sqrt(np.mean(c**2)))
        for order, c in problem.coefficients(*problem.mesh).items()
    }
    kernels = []
    for axis in range(problem.dimension):
        low, high = problem.box[axis]
        spacing = (high - low) / (problem.shape[axis] - 1)
        frequency, transform, others = _transform(problem, source, axis)
        # What the operator multiplies a wave with, were there no signs; a quarter of a period at least.
        symbol = np.zeros(transform.shape)
        for order, size in sizes.items():
            factors = [(2 * np.pi * f) ** r for f, r in zip(others, order, strict=True)]
            symbol += size * functools.reduce(np.multiply.outer, factors)
        rest = tuple(a for a in range(problem.dimension) if a != axis)
        spectra = [np.sqrt(np.sum((transform / symbol) ** 2, axis=rest))]
        for c in problem.conditions:
            if isinstance(c, Condition) and c.axis != axis:
                _, transform, _ = _transform(problem, problem.condition_at(c), axis)
                spectra.append(np.sqrt(np.sum(transform**2, axis=rest)))
        frequencies, weights = _peaks(frequency, spectra, high - low)
        kernels.append(_mixture(frequencies, weights, high - low, spacing))
    return kernels


def _transform(problem: Problem, values: Array, axis: int) -> tuple[Array, Array, list[Array]]:
    """Frequencies along an axis, absolute Fourier amplitudes of windowed data, frequencies along all axes.

    The axis itself is padded to interpolate the spectrum. No side lobe is above 1e-4 of its peak. The last frequencies
    are positive and at least a quarter of a period.
    """
    others = []
    for a, n in enumerate(values.shape):
        shape = [n if b == a else 1 for b in range(values.ndim)]
        window = _blackman_harris(n)
        values = values * (window / window.sum()).reshape(shape)
        size = 8 * n if a == axis else n
        low, high = problem.box[a]
        spacing = (high - low) / max(n - 1, 1)
        f = np.fft.rfftfreq(size, spacing) if a == axis else np.abs(np.fft.fftfreq(size, spacing))
        if a == axis:
            frequency = f
        others.append(np.maximum(f, 0.25 / (high - low)))
    transform = np.fft.rfft(values, 8 * values.shape[axis], axis=axis)
    for a in range(values.ndim):
        if a != axis:
            transform = np.fft.fft(transform, axis=a)
    return frequency, np.abs(transform), others


def _blackman_harris(n: int) -> Array:
    """The symmetric window of four terms (Harris 1978); SciPy's is the same, but loads half of SciPy."""
    turn = 2 * np.pi * np.arange(n) / max(n - 1, 1)
    terms = zip((0.35875, -0.48829, 0.14128, -0.01168), range(4), strict=True)
    window: Array = sum((a * np.cos(k * turn) for a, k in terms), np.zeros(n))
    return window if n > 1 else np.ones(1)


def _peaks(frequency: Array, spectra: list[Array], length: float) -> tuple[Array, Array]:
    """The highest peaks of all spectra together, at least half a period of the interval apart."""
    found = []
    for spectrum in spectra:
        inner = spectrum[1:-1]
        at = np.flatnonzero((inner > spectrum[:-2]) & (inner >= spectrum[2:])) + 1
        found += [(spectrum[i], frequency[i]) for i in at]
    top = max((float(spectrum.max()) for spectrum in spectra), default=0.0)
    chosen: list[tuple[float, float]] = []
    for height, f in sorted(found, reverse=True):
        apart = all(abs(f - other) >= 0.5 / length for _, other in chosen)
        if len(chosen) < _PEAKS and height > _SMALLEST * top and apart:
            chosen.append((height, f))
    heights, frequencies = np.array(chosen).reshape(-1, 2).T
    return frequencies, heights / heights.max(initial=1e-300)


def _mixture(frequency: Array, weights: Array, length: float, spacing: float) -> SpectralMixture:
    smooth = np.array([0.1, 0.3, 1.0, 3.0])
    return SpectralMixture(
        np.concatenate([np.tile(weights, 3), np.ones(smooth.size)]),
        length * np.concatenate([np.repeat([0.3, 1.0, 3.0], frequency.size), smooth]),
        np.concatenate([np.tile(frequency, 3), np.zeros(smooth.size)]),
        weights_bounds=(1e-20, 1e6),
        lengthscales_bounds=(1e-2 * length, 1e2 * length),
        frequencies_bounds=(0.0, 0.5 / spacing),
    )
