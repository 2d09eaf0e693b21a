"""How the time of a Strang step grows with n and with the number of realisations."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from contest import Contestant, Results, ResultTable, number, race, seconds, text, times
from nlse_step import STEP, random_field
from peers import fftw_there_and_back

from fourfold import nlse


def scaling(
    results: Results, rng: np.random.Generator, quick: bool, figures: Path | None = None
) -> None:
    """One thread, complex128."""
    sizes = _sizes(results, rng, quick)
    batches = _batches(results, rng, quick)
    if figures is not None:
        path = figures / "nlse_scaling.svg"
        _draw(sizes, batches, path)
        results.add_figure("scaling", "Time of a Strang step against n and realisations", path)


def _sizes(results: Results, rng: np.random.Generator, quick: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for exponent in range(6, 21, 4 if quick else 1):
        n = 2**exponent
        problem = nlse.Problem(nlse.Grid(n, 50.0 * max(1, n / 4096)))
        psi0 = random_field(n, problem.grid.length, rng)
        steps = max(30, 2**20 // n)
        batch = max(1, 2**16 // n)
        t = [0.0, steps * STEP]
        contestants = [
            Contestant(
                "fourfold",
                lambda p=problem, f=psi0, t=t: nlse.solve(p, f, t, method="strang", step=STEP),  # type: ignore[misc]
                steps,
            ),
            Contestant("FFTW", fftw_there_and_back(n, rng, batch), batch),
        ]
        outcome = race(contestants, turns=3 if quick else 7)
        rows.append(
            {
                "n": n,
                "Strang step": outcome.time("fourfold"),
                "per n log2 n": outcome.time("fourfold") / (n * math.log2(n)),
                "FFTW there and back": outcome.time("FFTW"),
                "step / FFTW": outcome.ratio("fourfold", "FFTW"),
            }
        )
    results.add(
        ResultTable(
            key="sizes",
            title="Strang step against n, complex128, one thread",
            columns={
                "n": number,
                "Strang step": seconds,
                "per n log2 n": seconds,
                "FFTW there and back": seconds,
                "step / FFTW": times,
            },
            rows=rows,
            note="FFTW: a forward and an inverse transform of one array, FFTW_MEASURE. Wanted: time / "
            "(n log2 n) within a factor of 2 as long as the work fits L2; at most 2 x FFTW to 2^20.",
        )
    )
    return rows


def _batches(results: Results, rng: np.random.Generator, quick: bool) -> list[dict[str, Any]]:
    n = 256
    problem = nlse.Problem(nlse.Grid(n, 25.0))
    counts = [4**i for i in range(7)]
    contestants = []
    for count in counts:
        psi0 = random_field(n, 25.0, rng, count)
        steps = max(50, 10_000 // count)
        t = [0.0, steps * STEP]
        contestants.append(
            Contestant(
                text(count),
                lambda f=psi0, t=t: nlse.solve(problem, f, t, method="strang", step=STEP),  # type: ignore[misc]
                steps * count,
            )
        )
    outcome = race(contestants, turns=3 if quick else 9)
    rows: list[dict[str, Any]] = [
        {
            "realisations": count,
            "Strang step of all": outcome.time(text(count)) * count,
            "of one": outcome.time(text(count)),
            "of one, against 1": outcome.ratio(text(count), "1"),
        }
        for count in counts
    ]
    results.add(
        ResultTable(
            key="realisations",
            title=f"Strang step against the number of realisations, n = {n}, one thread",
            columns={
                "realisations": number,
                "Strang step of all": seconds,
                "of one": seconds,
                "of one, against 1": times,
            },
            rows=rows,
            note="Time grows linearly where the last columns stay level.",
        )
    )
    return rows


def _draw(sizes: list[dict[str, Any]], batches: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    n = [row["n"] for row in sizes]
    work = [row["n"] * math.log2(row["n"]) * 1e-9 for row in sizes]
    for name, label, style in (
        ("Strang step", "fourfold, a Strang step", "o-"),
        ("FFTW there and back", "FFTW, forward + inverse", "s--"),
    ):
        scaled = [row[name] / w for row, w in zip(sizes, work, strict=True)]
        left.plot(n, scaled, style, label=label, markersize=4)
    left.set_xscale("log", base=2)
    left.set_ylim(bottom=0)
    left.set_xlabel("grid points $n$")
    left.set_ylabel(r"ns / ($n \log_2 n$)")
    left.legend(frameon=False)
    counts = np.array([row["realisations"] for row in batches])
    total = np.array([row["Strang step of all"] for row in batches])
    right.loglog(counts, total * 1e6, "o", markersize=4, label="a Strang step of all")
    right.loglog(counts, counts * total[-1] / counts[-1] * 1e6, "-", lw=1, label="linear")
    right.set_xlabel("realisations, $n = 256$")
    right.set_ylabel("µs")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path)
