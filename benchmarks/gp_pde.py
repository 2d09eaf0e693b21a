"""Relative L2 error off the grid and seconds of `fourfold.gp.pde.solve` with its defaults.

python benchmarks/gp_pde.py                    every problem
python benchmarks/gp_pde.py --only single_sin  one
python benchmarks/gp_pde.py --learn            hyperparameters by maximum marginal likelihood
python benchmarks/gp_pde.py --fresh 10         random frequencies within Nyquist, median and worst
python benchmarks/gp_pde.py --gp-hm            the published method with both optimisers, beside ours

Seconds are CPU time of the process: what the wall says on a quiet machine with one BLAS thread (OMP_NUM_THREADS=1).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

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
    "poisson_2d sin_sin": (pde.problems.poisson_2d, 1e-5),
    "poisson_2d sin_add_cos": (lambda: pde.problems.poisson_2d("sin_add_cos"), 1e-5),
    "allencahn_2d": (pde.problems.allencahn_2d, 1e-3),
    "advection": (pde.problems.advection, 1e-3),
}


# Problems for --gp-hm with the highest frequency of their published kernels, and their boundary weights.
PUBLISHED: dict[str, tuple[Callable[[], pde.Problem], float, float]] = {
    "single_sin": (pde.problems.single_sin, 20, 200),
    "allencahn single_sin": (lambda: pde.problems.allencahn_1d("single_sin"), 20, 200),
    # Smaller than published, and no frequency above the grid's Nyquist frequency.
    "poisson_2d sin_add_cos, 64 x 64": (
        lambda: pde.problems.poisson_2d("sin_add_cos", 64),
        5,
        200,
    ),
    "allencahn_2d, 40 x 40": (lambda: pde.problems.allencahn_2d(40), 19, 200),
}


def relative_error(
    problem: pde.Problem,
    solution: pde.Solution | pde.BoxSolution | pde.GPHMSolution,
    seed: int,
) -> float:
    """At 300 random points, or 300 x 300."""
    rng = np.random.default_rng(seed)
    axes = [np.sort(rng.uniform(*ends, 300)) for ends in problem.box]
    assert problem.exact is not None
    truth = np.asarray(problem.exact(*np.meshgrid(*axes, indexing="ij")))
    found = solution.u(axes[0]) if isinstance(solution, pde.Solution) else solution.on_grid(axes)
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


def fresh(rng: np.random.Generator) -> tuple[str, pde.Problem]:
    """Poisson on a random interval; three waves of random frequency (log-uniform within Nyquist) and phase."""
    points, length = int(rng.integers(200, 600)), float(rng.uniform(0.5, 10))
    nyquist = np.pi * (points - 1) / length
    m = nyquist * 10 ** rng.uniform(-2, np.log10(0.9), 3)
    phase, size = rng.uniform(0, 2 * np.pi, 3), rng.uniform(0.1, 1, 3)

    def waves(x: npt.ArrayLike, weights: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return np.asarray(np.sin(np.multiply.outer(x, m) + phase) @ weights)

    def exact(x: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return waves(x, size)

    def source(x: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return waves(x, -size * m**2)

    ends = [pde.Dirichlet(x, float(exact(x))) for x in (0.0, length)]
    name = f"n={points}, {', '.join(f'{share:.2f}' for share in np.sort(m / nyquist))} Nyquist"
    return name, pde.Problem((0, length), {2: 1.0}, source, ends, points=points, exact=exact)


def fresh_box(rng: np.random.Generator) -> tuple[str, pde.Problem]:
    """Poisson on a random rectangle; two products of waves of random frequencies within Nyquist, and phases."""
    points = [int(n) for n in rng.integers(50, 120, 2)]
    lengths = rng.uniform(0.5, 10, 2)
    nyquist = np.pi * (np.array(points) - 1) / lengths
    share = 10 ** rng.uniform(-2, np.log10(0.8), (2, 2))
    m, phase, size = share * nyquist, rng.uniform(0, 2 * np.pi, (2, 2)), rng.uniform(0.3, 1, 2)

    def waves(x: npt.ArrayLike, y: npt.ArrayLike, weights: npt.ArrayLike) -> npt.ArrayLike:
        along = [np.sin(np.multiply.outer(c, m[:, a]) + phase[:, a]) for a, c in enumerate((x, y))]
        return np.asarray((along[0] * along[1]) @ np.asarray(weights))

    def exact(x: npt.ArrayLike, y: npt.ArrayLike) -> npt.ArrayLike:
        return waves(x, y, size)

    def source(x: npt.ArrayLike, y: npt.ArrayLike) -> npt.ArrayLike:
        return waves(x, y, -size * np.sum(m**2, axis=1))

    box = [(0.0, float(length)) for length in lengths]
    sides = [pde.Dirichlet(x, exact, axis=a) for a in (0, 1) for x in box[a]]
    shares = " ".join(f"{s:.2f}" for s in share.reshape(-1))
    problem = pde.Problem(
        box, {(2, 0): 1.0, (0, 2): 1.0}, source, sides, points=points, exact=exact
    )
    return f"{points[0]} x {points[1]}, {shares} Nyquist", problem


def fresh_problems(count: int, dimension: int, learn: bool | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    errors = []
    print(f"seed {seed}")
    for _ in range(count):
        name, problem = fresh(rng) if dimension == 1 else fresh_box(rng)
        began = time.process_time()
        solution = pde.solve(problem, learn=learn)
        seconds = time.process_time() - began
        errors.append(relative_error(problem, solution, seed))
        print(f"{name:42}{errors[-1]:10.1e}{seconds:7.1f} s", flush=True)
    print(f"median {np.median(errors):.1e}, worst {max(errors):.1e}")


def published(steps: int, seed: int) -> None:
    print(f"{'problem':34}{'method':24}{'error':>10}{'objective':>12}{'seconds':>9}")
    for name, (make, highest, weight) in PUBLISHED.items():
        problem = make()
        kernel = pde.published_kernel(highest)
        ways: dict[str, tuple[Any, str | pde.GPHM]] = {
            "conditioning, default": (None, "conditioning"),
            f"GP-HM, Adam {steps}": (
                kernel,
                pde.GPHM("adam", steps=steps, boundary_weight=weight),
            ),
            f"GP-HM, L-BFGS {steps}": (kernel, pde.GPHM(steps=steps, boundary_weight=weight)),
        }
        for way, (start, method) in ways.items():
            began = time.process_time()
            solution = pde.solve(problem, start, method=method)
            seconds = time.process_time() - began
            objective = (
                f"{solution.objective:12.4g}"
                if isinstance(solution, pde.GPHMSolution)
                else 12 * " "
            )
            error = relative_error(problem, solution, seed)
            print(f"{name:34}{way:24}{error:10.1e}{objective}{seconds:9.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Differential equations by fourfold.gp.pde")
    parser.add_argument("--only", choices=PROBLEMS)
    parser.add_argument("--learn", action="store_true", help="hyperparameters too")
    parser.add_argument("--gp-hm", action="store_true", help="the published method beside ours")
    parser.add_argument("--steps", type=int, default=2000, help="of GP-HM")
    parser.add_argument("--seed", type=int, default=0, help="of the 300 points")
    parser.add_argument("--fresh", type=int, help="that many random problems instead")
    parser.add_argument("--dimension", type=int, choices=(1, 2), default=1, help="of those")
    arguments = parser.parse_args()
    if arguments.fresh:
        learn = arguments.learn or None
        fresh_problems(arguments.fresh, arguments.dimension, learn, arguments.seed)
        return
    if arguments.gp_hm:
        published(arguments.steps, arguments.seed)
        return
    print(f"{'problem':24}{'error':>10}{'goal':>8}{'seconds':>9}{'jitter':>9}")
    for name, (make, goal) in PROBLEMS.items():
        if arguments.only not in (None, name):
            continue
        problem = make()
        began = time.process_time()
        solution = pde.solve(problem, learn=arguments.learn or None)
        seconds = time.process_time() - began
        error = relative_error(problem, solution, arguments.seed)
        line = f"{name:24}{error:10.1e}{goal:8.0e}{seconds:9.1f}{solution.jitter:9.0e}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
