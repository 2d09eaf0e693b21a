"""An ensemble of 256 realisations with n = 1024, on one thread and on two."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from contest import Contestant, Results, ResultTable, race, seconds, text, times
from nlse_step import STEP, check_against_numpy, random_field
from peers import numpy_strang

import fourfold
from fourfold import nlse

REALISATIONS, N = 256, 1024


def ensemble(results: Results, rng: np.random.Generator, quick: bool) -> None:
    """Strang steps of the whole ensemble; NumPy and scipy.fft take it as one batched array."""
    problem = nlse.Problem(nlse.Grid(N, 50.0))
    psi0 = random_field(N, 50.0, rng, REALISATIONS)
    check_against_numpy(problem, psi0)
    steps, numpy_steps = (50, 5) if quick else (200, 10)

    def ours(threads: int) -> None:
        fourfold.set_num_threads(threads)
        nlse.solve(problem, psi0, [0, steps * STEP], method="strang", step=STEP)

    def theirs(threads: int) -> None:
        numpy_strang(psi0, problem.omega, STEP, numpy_steps, workers=threads)

    contestants = []
    for threads in (1, 2):
        contestants += [
            Contestant(f"fourfold {threads}", lambda t=threads: ours(t), steps),  # type: ignore[misc]
            Contestant(f"NumPy {threads}", lambda t=threads: theirs(t), numpy_steps),  # type: ignore[misc]
        ]
    with _all_cpus():
        outcome = race(contestants, turns=5 if quick else 15)
    fourfold.set_num_threads(1)

    rows: list[dict[str, Any]] = [
        {
            "threads": threads,
            "fourfold": outcome.time(f"fourfold {threads}"),
            "NumPy + scipy.fft": outcome.time(f"NumPy {threads}"),
            "faster than NumPy": outcome.ratio(f"NumPy {threads}", f"fourfold {threads}"),
            "faster than one thread": outcome.ratio("fourfold 1", f"fourfold {threads}"),
        }
        for threads in (1, 2)
    ]
    results.add(
        ResultTable(
            key="ensemble",
            title=f"A Strang step of {REALISATIONS} realisations, n = {N}, complex128",
            columns={
                "threads": text,
                "fourfold": seconds,
                "NumPy + scipy.fft": seconds,
                "faster than NumPy": times,
                "faster than one thread": times,
            },
            rows=rows,
            note="Wanted: 6 x NumPy with the same threads; two threads 1.7 x one.",
        )
    )


class _all_cpus:
    """Undo `one_cpu` for a while: two threads need two CPUs."""

    def __enter__(self) -> None:
        if hasattr(os, "sched_setaffinity"):
            self.before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, range(os.cpu_count() or 1))

    def __exit__(self, *_: object) -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self.before)
