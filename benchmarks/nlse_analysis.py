"""How fast `fourfold.nlse.analysis` counts ordinal patterns and compares templates.

    python benchmarks/nlse_analysis.py              half a minute
    python benchmarks/nlse_analysis.py --quick      a few seconds
    python benchmarks/nlse_analysis.py --markdown docs/internals/nlse_analysis.md

Every contestant runs in this process, in turns with the others, after its answer has been checked.
One thread on one CPU. PECCARY (`pip install peccary`) takes part if it is installed.
"""

from __future__ import annotations

import argparse
import importlib
import math
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from contest import (
    ROOT,
    Contestant,
    Results,
    ResultTable,
    machine,
    number,
    one_cpu,
    race,
    seconds,
    text,
    times,
)
from numpy.typing import NDArray

import fourfold
from fourfold.nlse import analysis

Float64 = NDArray[np.float64]

# The size of the goal (15 ms on one thread), and 0.7 and 1.5 times that.
SIZES = (700_000, 1_000_000, 1_500_000)


def main() -> None:
    arguments = _arguments()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    facts = machine("numpy", "peccary") | {"seed": seed}
    results = Results("nlse_analysis", seed, facts)
    for key, value in facts.items():
        results.console.print(f"{key}: {value}", highlight=False)
    fourfold.set_num_threads(1)
    with one_cpu():
        rng = np.random.default_rng(seed)
        ordinal(results, rng, arguments.quick)
        sample(results, rng, arguments.quick)
    results.write_json(arguments.output)
    if arguments.markdown is not None:
        results.write_markdown(arguments.markdown)


def ordinal(results: Results, rng: np.random.Generator, quick: bool) -> None:
    """H and C of one series, all of it: NaN check, counting, entropy."""
    rows: list[dict[str, Any]] = []
    for n in SIZES[1:2] if quick else SIZES:
        noise = rng.normal(size=n)
        inputs = {"noise": noise, "sine": np.sin(0.01 * np.arange(n))}
        for order in range(3, 8):
            for name, series in inputs.items() if n == SIZES[1] else [("noise", noise)]:
                rows.append(_row(name, series, order, turns=3 if quick else 7))
    results.add(
        ResultTable(
            key="ordinal",
            title="Permutation entropy and complexity of one series, one thread",
            columns={
                "series": text,
                "n": number,
                "order": number,
                "fourfold": seconds,
                "a value": seconds,
                "times a copy": times,
                "faster than NumPy": times,
                "faster than PECCARY": times,
            },
            rows=rows,
            note="NumPy sorts a view of sliding windows; it and PECCARY have the first 10,000 values. "
            "A copy: numpy.copyto of the series. Wanted: 10^6 values in at most 15 ms.",
        )
    )


def _row(name: str, series: Float64, order: int, turns: int) -> dict[str, Any]:
    n, few = len(series), series[:10_000]
    target = np.empty_like(series)
    contestants = [
        Contestant("fourfold", lambda: analysis.complexity_entropy(series, order), n),
        Contestant("copy", lambda: np.copyto(target, series), n),
        Contestant("NumPy", lambda: by_sorting(few, order), len(few)),
    ]
    expected = np.array(analysis.complexity_entropy(few, order))
    _agree(by_sorting(few, order), expected)
    peccary = _peccary()
    if peccary is not None:
        _agree(peccary(few, order), expected)
        contestants.append(Contestant("PECCARY", lambda: peccary(few, order), len(few)))
    outcome = race(contestants, turns=turns)
    return {
        "series": name,
        "n": n,
        "order": order,
        "fourfold": outcome.time("fourfold") * n,
        "a value": outcome.time("fourfold"),
        "times a copy": outcome.ratio("fourfold", "copy"),
        "faster than NumPy": outcome.ratio("NumPy", "fourfold"),
        "faster than PECCARY": None if peccary is None else outcome.ratio("PECCARY", "fourfold"),
    }


def by_sorting(series: Float64, order: int) -> tuple[float, float]:
    """H and C as a careful NumPy user would compute them."""
    windows = np.lib.stride_tricks.sliding_window_view(series, order)
    patterns = np.argsort(windows, axis=-1, kind="stable") @ (order ** np.arange(order))
    counts = np.unique(patterns, return_counts=True)[1]
    n = math.factorial(order)
    p = np.pad(counts / counts.sum(), (0, n - len(counts)))

    def entropy(q: Float64) -> float:
        return float(-np.sum(q[q > 0] * np.log(q[q > 0])))

    scale = -2 / ((1 + 1 / n) * math.log(n + 1) - 2 * math.log(2 * n) + math.log(n))
    h = entropy(p) / math.log(n)
    return h, scale * h * (entropy((p + 1 / n) / 2) - entropy(p) / 2 - math.log(n) / 2)


def _peccary() -> Callable[[Float64, int], tuple[float, float]] | None:
    try:
        peccary: Any = importlib.import_module("peccary").peccary
    except ImportError:
        return None

    def calculate(series: Float64, order: int) -> tuple[float, float]:
        h, c = peccary(series, n=order).calcHC(1)
        return float(h), float(c)

    return calculate


def _agree(found: tuple[float, float], expected: Float64) -> None:
    if not np.allclose(found, expected, rtol=0, atol=1e-12):
        raise AssertionError(f"H and C differ: {found} and {expected}")


def sample(results: Results, rng: np.random.Generator, quick: bool) -> None:
    """Sample entropy, m = 2, of noise."""
    rows: list[dict[str, Any]] = []
    for n in (512, 7_000, 10_000) if quick else (512, 7_000, 10_000, 15_000, 100_000):
        series = rng.normal(size=n)
        contestants = [Contestant("fourfold", lambda x=series: analysis.sample_entropy(x))]  # type: ignore[misc]
        if n <= 10_000:
            _check_pairs(series)
            contestants.append(Contestant("NumPy", lambda x=series: by_distances(x)))  # type: ignore[misc]
        outcome = race(contestants, turns=1 if n > 50_000 else 3)
        time = outcome.time("fourfold")
        rows.append(
            {
                "n": n,
                "fourfold": time,
                "a pair": time / (n * (n - 1) / 2),
                "faster than NumPy": outcome.ratio("NumPy", "fourfold") if n <= 10_000 else None,
            }
        )
    results.add(
        ResultTable(
            key="sample",
            title="Sample entropy of one series, m = 2, one thread",
            columns={
                "n": number,
                "fourfold": seconds,
                "a pair": seconds,
                "faster than NumPy": times,
            },
            rows=rows,
            note="NumPy: one lag after the other.",
        )
    )


def by_distances(series: Float64) -> float:
    """Sample entropy as a careful NumPy user would compute it: one lag after the other."""
    tolerance, n = 0.2 * series.std(), len(series)
    short = longer = 0
    for lag in range(1, n - 2):
        near = np.abs(series[lag:] - series[:-lag]) <= tolerance
        both = near[:-2] & near[1:-1]
        short += int(np.count_nonzero(both))
        longer += int(np.count_nonzero(both & near[2:]))
    return math.log(short / longer)


def _check_pairs(series: Float64) -> None:
    if not math.isclose(by_distances(series), float(analysis.sample_entropy(series))):
        raise AssertionError("sample entropies differ")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer sizes and turns")
    parser.add_argument("--seed", type=int, help="of the inputs; default: a fresh one, printed")
    default = ROOT / "benchmarks" / "results" / "nlse_analysis.json"
    parser.add_argument("-o", "--output", type=Path, default=default)
    parser.add_argument("--markdown", type=Path, help="page to put the tables into")
    return parser.parse_args()


if __name__ == "__main__":
    main()
