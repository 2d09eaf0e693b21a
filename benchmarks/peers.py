"""The others in the race: FFTW, NumPy with scipy.fft, and the published solver.

Each is written as a careful user would write it, with plans and tables made beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyfftw
import scipy.fft
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from simple_idealized_1d_nlse import NLSESolver, SingleSoliton

Complex = NDArray[Any]

BATCH = 256


def fftw_batch(n: int, dtype: str, rng: np.random.Generator) -> Callable[[], object]:
    """`BATCH` forward transforms of length n by one call of FFTW, from array to array."""
    source = pyfftw.empty_aligned((BATCH, n), dtype)
    target = pyfftw.empty_aligned((BATCH, n), dtype)
    return _checked(_plan(source, target), source, target, rng)


def fftw_in_cache(n: int, dtype: str, rng: np.random.Generator, batch: int) -> Callable[[], object]:
    """`batch` transforms by one call of FFTW, all of the same n numbers, which stay in cache.

    This is the harder peer: `fftw_batch` streams its data through memory, a solver does not.
    """
    source = pyfftw.empty_aligned((1, n), dtype)
    target = pyfftw.empty_aligned((1, n), dtype)
    again = [as_strided(a, (batch, n), (0, a.itemsize)) for a in (source, target)]
    return _checked(_plan(again[0], again[1]), source, target, rng)


def fftw_there_and_back(n: int, rng: np.random.Generator, batch: int) -> Callable[[], object]:
    """`batch` times a forward and an inverse transform of n numbers that stay where they are."""
    forward = fftw_in_cache(n, "complex128", rng, batch)
    source = pyfftw.empty_aligned((1, n), "complex128")
    target = pyfftw.empty_aligned((1, n), "complex128")
    again = [as_strided(a, (batch, n), (0, a.itemsize)) for a in (source, target)]
    backward = _plan(again[0], again[1], "FFTW_BACKWARD")
    source[...] = rng.standard_normal((1, n))

    def run() -> None:
        forward()
        backward.execute()

    return run


def _plan(source: Complex, target: Complex, direction: str = "FFTW_FORWARD") -> pyfftw.FFTW:
    return pyfftw.FFTW(
        source, target, axes=(1,), direction=direction, flags=("FFTW_MEASURE",), threads=1
    )


def _checked(
    plan: pyfftw.FFTW, source: Complex, target: Complex, rng: np.random.Generator
) -> Callable[[], object]:
    source[...] = rng.standard_normal(source.shape) + 1j * rng.standard_normal(source.shape)
    plan.execute()
    truth = np.fft.fft(source.astype(np.complex128))
    off = np.abs(target - truth).max() / np.abs(truth).max()
    if not off < 100 * np.finfo(source.dtype).eps:
        raise AssertionError(f"FFTW differs from numpy.fft by {off:.1e}")
    run: Callable[[], object] = plan.execute
    return run


def numpy_strang(
    psi0: Complex, omega: NDArray[np.float64], step: float, steps: int, workers: int
) -> Complex:
    """Strang steps with NumPy and scipy.fft: one transform pair a step, in the dtype of psi0."""
    dtype, real = psi0.dtype, psi0.real.dtype
    half = np.exp(-0.5j * step * omega).astype(dtype)
    full = np.exp(-1j * step * omega).astype(dtype)
    spectrum = scipy.fft.fft(psi0, workers=workers)
    spectrum *= half
    turn = np.empty_like(psi0)
    for i in range(steps):
        psi = scipy.fft.ifft(spectrum, overwrite_x=True, workers=workers)
        phase = psi.real**2
        phase += psi.imag**2
        phase *= real.type(step)
        np.cos(phase, out=turn.real)
        np.sin(phase, out=turn.imag)
        psi *= turn
        spectrum = scipy.fft.fft(psi, overwrite_x=True, workers=workers)
        spectrum *= half if i == steps - 1 else full
    result: Complex = scipy.fft.ifft(spectrum, overwrite_x=True, workers=workers)
    return result


def published_psi0(x: NDArray[np.float64]) -> Complex:
    """The initial state of the published single-soliton case."""
    psi0: Complex = SingleSoliton(2.0, -10.0, 1.0)(x)
    return psi0


def published_solution(psi0: Complex) -> Complex:
    """The published solver with its own settings, silent: 100 snapshots (100, n)."""
    solver = NLSESolver(domain_length=50.0, num_points=psi0.size, verbose=False)
    solution = solver.solve(psi0, t_final=20.0, show_progress=False, monitor_conservation=False)
    psi: Complex = solution["psi"]
    return psi
