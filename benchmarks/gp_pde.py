"""Relative L2 error off the grid and seconds of `fourfold.gp.pde.solve` with its defaults.

python benchmarks/gp_pde.py                    every problem
python benchmarks/gp_pde.py --only single_sin  one
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from fourfold.gp import pde

PROBLEMS: dict[str, tuple[Callable[[], pde.Problem], float]] = {
    "single_sin": (pde.problems.single_sin, 1e-7),
    "sin_cos": (pde.problems.sin_cos, 1e-7),
    "mix_sin": (pde.problems.mix_sin, 1e-9),
    "mix_sin (sine)": (lambda: pde.problems.mix_sin("sin"), 1e-9),
    "x_time_sinx": (pde.problems.x_time_sinx, 1e-5),
    "x2_add_sinx": (pde.problems.x2_add_sinx, 1e-5),
    "allencahn single_sin": (lambda: pde.problems.allencahn_1d("single_sin"), 1e-5),
    "allencahn sin_cos": (lambda: pde.problems.allencahn_1d("sin_cos"), 1e-5),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Differential equations by fourfold.gp.pde")
    parser.add_argument("--only", choices=PROBLEMS)
    parser.add_argument("--no-learn", action="store_true", help="kernels as they start")
    parser.add_argument("--seed", type=int, default=0, help="of the 300 points")
    arguments = parser.parse_args()
    print(f"{'problem':22}{'error':>10}{'goal':>8}{'seconds':>9}{'jitter':>9}  kernel")
    for name, (make, goal) in PROBLEMS.items():
        if arguments.only not in (None, name):
            continue
        problem = make()
        began = time.perf_counter()
        solution = pde.solve(problem, learn=not arguments.no_learn)
        seconds = time.perf_counter() - began
        x = np.random.default_rng(arguments.seed).uniform(*problem.interval, 300)
        assert problem.exact is not None
        truth = np.asarray(problem.exact(x))
        error = np.linalg.norm(solution.u(x) - truth) / np.linalg.norm(truth)
        kind = type(solution.kernel).__name__
        print(
            f"{name:22}{error:10.1e}{goal:8.0e}{seconds:9.1f}{solution.jitter:9.0e}  {kind}",
            flush=True,
        )


if __name__ == "__main__":
    main()
