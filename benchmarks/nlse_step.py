"""One Strang step beside one FFTW transform and the same step with NumPy and scipy.fft."""

from __future__ import annotations

from typing import Any

import numpy as np
from contest import Contestant, Results, ResultTable, race, seconds, text, times
from numpy.typing import NDArray
from peers import BATCH, fftw_batch, fftw_in_cache, numpy_strang

from fourfold import nlse

# Powers of two, and smooth sizes about 0.7 and 1.5 times as large.
SIZES = (360, 512, 720, 768, 1024, 1536, 2880, 4096, 6144)
QUICK_SIZES = (512, 720, 1024)
DTYPES = ("complex128", "complex64")
STEP = 1e-3


def step(results: Results, rng: np.random.Generator, quick: bool) -> None:
    """A run of many steps, divided by their number: what it takes to begin and end is in it."""
    rows: list[dict[str, Any]] = []
    for n in QUICK_SIZES if quick else SIZES:
        rows += _rows_of(n, rng, turns=5 if quick else 15)
    results.add(
        ResultTable(
            key="step",
            title="One Strang step, one thread",
            columns={
                "n": text,
                "dtype": text,
                "Strang step": seconds,
                "FFTW transform": seconds,
                "step / transform": times,
                "transform in cache": seconds,
                "step / in cache": times,
                "NumPy + scipy.fft": seconds,
                "faster than NumPy": times,
                "complex64 gains": times,
                "on a soliton": times,
            },
            rows=rows,
            note=f"FFTW: pyfftw, FFTW_MEASURE, {BATCH} transforms a call, each of its own array (in "
            "cache: all of the same one). Wanted: 2.5 x one transform at n = 1024 in complex128; "
            "complex64 1.7 x faster, also where most of the grid is at round-off (a lone soliton).",
        )
    )


def random_field(n: int, length: float, rng: np.random.Generator, *batch: int) -> Any:
    """A smooth random field of mean square 1: a Gaussian spectrum, 3 wavenumbers wide."""
    k = 2 * np.pi * np.fft.fftfreq(n, length / n)
    shape = (*batch, n)
    spectrum = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    psi = np.fft.ifft(spectrum * np.exp(-((k / 3) ** 2)))
    return psi / np.sqrt(np.mean(np.abs(psi) ** 2, axis=-1, keepdims=True))


def check_against_numpy(problem: nlse.Problem, psi0: NDArray[Any]) -> None:
    """Ten steps with both must agree to what their precision allows."""
    ours = nlse.solve(problem, psi0, [0, 10 * STEP], method="strang", step=STEP).psi[-1]
    theirs = numpy_strang(psi0, problem.omega, STEP, 10, workers=1)
    off = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    if not off < 1000 * np.finfo(psi0.dtype).eps:
        raise AssertionError(f"n = {psi0.shape[-1]}: off NumPy by {off:.1e}")


def _rows_of(n: int, rng: np.random.Generator, turns: int) -> list[dict[str, Any]]:
    grid = nlse.Grid(n, 50.0)
    problem = nlse.Problem(grid)
    steps = max(50, 2**21 // n)
    contestants = []
    for dtype in DTYPES:
        psi0 = random_field(n, grid.length, rng).astype(dtype)
        check_against_numpy(problem, psi0)
        soliton = nlse.soliton(grid).astype(dtype)
        contestants += [
            Contestant(f"fourfold {dtype}", _ours(problem, psi0, steps), steps),
            Contestant(f"soliton {dtype}", _ours(problem, soliton, steps), steps),
            Contestant(f"FFTW {dtype}", fftw_batch(n, dtype, rng), BATCH),
            Contestant(f"in cache {dtype}", fftw_in_cache(n, dtype, rng, BATCH), BATCH),
            Contestant(f"NumPy {dtype}", _numpy(problem, psi0, steps // 10), steps // 10),
        ]
    outcome = race(contestants, turns=turns)
    rows = []
    for dtype in DTYPES:
        ours = f"fourfold {dtype}"
        row: dict[str, Any] = {
            "n": n,
            "dtype": dtype,
            "Strang step": outcome.time(ours),
            "FFTW transform": outcome.time(f"FFTW {dtype}"),
            "step / transform": outcome.ratio(ours, f"FFTW {dtype}"),
            "transform in cache": outcome.time(f"in cache {dtype}"),
            "step / in cache": outcome.ratio(ours, f"in cache {dtype}"),
            "NumPy + scipy.fft": outcome.time(f"NumPy {dtype}"),
            "faster than NumPy": outcome.ratio(f"NumPy {dtype}", ours),
        }
        if dtype == "complex64":
            row["complex64 gains"] = outcome.ratio("fourfold complex128", ours)
            row["on a soliton"] = outcome.ratio("soliton complex128", "soliton complex64")
        rows.append(row)
    return rows


def _ours(problem: nlse.Problem, psi0: NDArray[Any], steps: int) -> Any:
    t = [0.0, steps * STEP]
    return lambda: nlse.solve(problem, psi0, t, method="strang", step=STEP)


def _numpy(problem: nlse.Problem, psi0: NDArray[Any], steps: int) -> Any:
    return lambda: numpy_strang(psi0, problem.omega, STEP, steps, workers=1)
