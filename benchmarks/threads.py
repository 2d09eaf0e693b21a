"""What it costs to alternate fourfold with torch in one process, both with the same threads.

    python benchmarks/threads.py [--threads 2] [--turns 15]

A turn times three loops: torch alone, fourfold alone, one call of each in turn. The ratio of the last
to the sum of the first two is 1 if neither's threads stand in the other's way; the target is 1.15.

Torch's OpenMP runtime (libgomp) spins on its idle threads for some 10 ms before they sleep. A call of
ours that falls into that time shares its cores with them. Up to about 3 ms the scheduler lets ours go
first; between 5 and 15 ms, on as many threads as there are cores, it takes up to 1.3 times as long;
later the spinning is over. Start Python with OMP_WAIT_POLICY=PASSIVE in the environment, and it goes
away: torch itself is no slower in this table then.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from contest import ROOT, Results, ResultTable, machine, number, seconds, text

import fourfold
from fourfold import nlse


def elapsed(calls: int, *works: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        for work in works:
            work()
    return time.perf_counter() - start


def ensemble_steps(batch: int, steps: int, rng: np.random.Generator) -> Callable[[], object]:
    grid = nlse.Grid(n=1024, length=50.0)
    problem = nlse.Problem(grid)
    psi0 = nlse.add_noise(np.ones((batch, grid.n), complex), relative=0.01, rng=rng)
    times = [0.0, 0.001 * steps]
    return lambda: nlse.solve(problem, psi0, times, method="strang", step=0.001)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each loop in a turn")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    fourfold.set_num_threads(arguments.threads)
    rng = np.random.default_rng(arguments.seed)
    vector = torch.from_numpy(rng.standard_normal(200_000))
    matrix = torch.from_numpy(rng.standard_normal((384, 384)))
    torches: dict[str, Callable[[], object]] = {
        "sin of 200,000 numbers": lambda: torch.sin(vector),
        "product of 384 x 384 matrices": lambda: matrix @ matrix,
    }
    ours = {
        "8 realisations, 20 steps": ensemble_steps(8, 20, rng),
        "64 realisations, 20 steps": ensemble_steps(64, 20, rng),
        "64 realisations, 500 steps": ensemble_steps(64, 500, rng),
    }

    rows = []
    for torch_name, torch_work in torches.items():
        for our_name, our_work in ours.items():
            elapsed(3, torch_work, our_work)
            calls = max(1, round(arguments.seconds / elapsed(1, torch_work, our_work)))
            turns = [
                (
                    elapsed(calls, torch_work),
                    elapsed(calls, our_work),
                    elapsed(calls, torch_work, our_work),
                )
                for _ in range(arguments.turns)
            ]
            a, b, both = (statistics.median(turn) / calls for turn in zip(*turns, strict=True))
            ratio = statistics.median(c / (a + b) for a, b, c in turns)
            rows.append(
                {
                    "torch": torch_name,
                    "fourfold": our_name,
                    "torch alone": a,
                    "fourfold alone": b,
                    "both": both,
                }
                | {"both / sum": ratio}
            )

    facts = machine("numpy", "torch") | {"seed": arguments.seed}
    results = Results("threads", arguments.seed, facts)
    columns = {"torch": text, "fourfold": text, "torch alone": seconds, "fourfold alone": seconds}
    columns |= {"both": seconds, "both / sum": number}
    title = f"Alternating with torch, {arguments.threads} threads each (target: at most 1.15)"
    results.add(ResultTable("alternating", title, columns, rows))
    results.write_json(ROOT / "benchmarks" / "results" / "threads.json")


if __name__ == "__main__":
    main()
