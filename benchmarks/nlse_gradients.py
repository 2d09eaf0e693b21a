"""What a gradient costs beside the solution, in time and in memory.

    python benchmarks/nlse_gradients.py             a minute
    python benchmarks/nlse_gradients.py --quick     for a look

One thread on one CPU. Every gradient is checked against a difference quotient before it is timed.
"""

from __future__ import annotations

import argparse
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contest import (
    ROOT,
    Contestant,
    Results,
    ResultTable,
    machine,
    one_cpu,
    race,
    seconds,
    text,
    times,
)
from nlse_step import random_field

import fourfold
from fourfold import nlse

STEP = 1e-3
CASES: dict[str, dict[str, Any]] = {
    "psi0": {},
    "psi0, g, V": {"potential": 0.0, "nonlinearity": 1.0},
    "psi0, dispersion": {"dispersion": None},
    "psi0, loss": {"loss": 0.01},
    "psi0, filter": {"dealias": "two_thirds"},
}
FIELDS = 1 << 16  # points of the field whose copies are counted


def main() -> None:
    arguments = _arguments()
    if arguments.peak is not None:
        print(_peak(*arguments.peak))
        return
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    results = Results("nlse_gradients", seed, machine("numpy", "torch") | {"seed": seed})
    for key, value in results.machine.items():
        results.console.print(f"{key}: {value}", highlight=False)
    fourfold.set_num_threads(1)
    torch.set_num_threads(1)
    with one_cpu():
        _cost(results, np.random.default_rng(seed), arguments.quick)
        _memory(results, arguments.quick)
    results.write_json(arguments.output)


def _cost(results: Results, rng: np.random.Generator, quick: bool) -> None:
    rows = []
    for n in (512, 1024) if quick else (360, 512, 768, 1024, 4096):
        for dtype in ("complex128", "complex64"):
            grid = nlse.Grid(n, 50.0)
            psi0 = torch.from_numpy(random_field(n, grid.length, rng).astype(dtype))
            steps = max(64, 2**19 // n)
            for name, given in CASES.items():
                run = _runner(grid, psi0, steps, given)
                _check(run, psi0, rng)
                psi = run(psi0)
                weights = torch.ones_like(psi)

                def backward(psi: torch.Tensor = psi, weights: torch.Tensor = weights) -> None:
                    psi.backward(weights, retain_graph=True)  # type: ignore[no-untyped-call]

                def plain(psi0: torch.Tensor = psi0, run: Any = run) -> None:
                    with torch.no_grad():
                        run(psi0)

                outcome = race(
                    [
                        Contestant("forward", plain, steps),
                        Contestant("backward", backward, steps),
                    ],
                    turns=5 if quick else 11,
                )
                rows.append(
                    {
                        "n": n,
                        "dtype": dtype,
                        "gradients of": name,
                        "forward step": outcome.time("forward"),
                        "backward step": outcome.time("backward"),
                        "backward / forward": outcome.ratio("backward", "forward"),
                    }
                )
    results.add(
        ResultTable(
            key="cost",
            title="Gradients of Strang steps, one thread",
            columns={
                "n": text,
                "dtype": text,
                "gradients of": text,
                "forward step": seconds,
                "backward step": seconds,
                "backward / forward": times,
            },
            rows=rows,
            note="Wanted: at most 3.5 where the steps are reversible, that is, without loss and filter.",
        )
    )


def _runner(
    grid: nlse.Grid, psi0: torch.Tensor, steps: int, given: dict[str, Any]
) -> Callable[[torch.Tensor], Any]:
    real = torch.float32 if psi0.dtype == torch.complex64 else torch.float64
    options = dict(given)
    dealias = options.pop("dealias", None)
    leaves: dict[str, Any] = {}
    for name, value in options.items():
        if name == "dispersion":
            leaf = torch.from_numpy(grid.k**2 / 2)
        elif name == "nonlinearity":
            leaf = torch.tensor(value, dtype=real)
        else:
            leaf = torch.full((grid.n,), value, dtype=real)
        leaves[name] = leaf.requires_grad_()
    start = psi0.clone().requires_grad_()

    def run(psi: torch.Tensor) -> Any:
        psi = start if psi is psi0 else psi
        problem = nlse.Problem(grid, **leaves)
        times = [0.0, steps * STEP]
        return nlse.solve(problem, psi, times, method="strang", step=STEP, dealias=dealias).psi

    return run


def _check(
    run: Callable[[torch.Tensor], Any], psi0: torch.Tensor, rng: np.random.Generator
) -> None:
    """Along a random direction, against a central difference."""
    direction = torch.from_numpy(random_field(psi0.shape[-1], 50.0, rng)).to(psi0.dtype)
    start = psi0.clone().requires_grad_()

    def value(psi: torch.Tensor) -> torch.Tensor:
        mean: torch.Tensor = (run(psi)[-1].abs().double() ** 4).mean()
        return mean

    (gradient,) = torch.autograd.grad(value(start), start)
    along = float((gradient.conj() * direction).real.double().sum())
    h = 1e-2 if psi0.dtype == torch.complex64 else 1e-5
    with torch.no_grad():
        slope = float(value(psi0 + h * direction) - value(psi0 - h * direction)) / (2 * h)
    allowed = 1e-1 if psi0.dtype == torch.complex64 else 1e-4
    if not abs(along - slope) < allowed * max(abs(slope), 0.1):
        raise AssertionError(f"gradient {along:.6g}, difference quotient {slope:.6g}")


def _memory(results: Results, quick: bool) -> None:
    rows = []
    for mode in ("reversible", "checkpoints"):
        for steps in (20, 200) if quick else (100, 1000):
            command = [sys.executable, __file__, "--peak", mode, str(steps)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rows.append({"mode": mode, "steps": steps, "fields": float(done.stdout)})
    results.add(
        ResultTable(
            key="memory",
            title="Peak memory of a backward pass, beyond what the forward pass left",
            columns={"mode": text, "steps": text, "fields": lambda value: f"{value:.1f}"},
            rows=rows,
            note=f"In fields of n = {FIELDS}, complex128. A stored trajectory takes one a step.",
        )
    )


def _peak(mode: str, steps: str) -> float:
    grid = nlse.Grid(FIELDS, 400.0)
    psi0 = torch.from_numpy(nlse.soliton(grid)).requires_grad_()
    fourfold.set_num_threads(1)
    small = torch.ones(4, requires_grad=True)
    (small**2).sum().backward()  # type: ignore[no-untyped-call]  # what torch allocates once
    sol = nlse.solve(
        nlse.Problem(grid),
        psi0,
        [0.0, 0.1],
        method="strang",
        step=0.1 / int(steps),
        dealias=None if mode == "reversible" else "exponential",
    )
    weights = torch.ones_like(sol.psi)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    sol.psi.backward(weights)
    return (_status("VmHWM") - before) / (16 * grid.n)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer sizes and turns")
    parser.add_argument("--seed", type=int, help="of the inputs; default: a fresh one, printed")
    parser.add_argument("--peak", nargs=2, metavar=("MODE", "STEPS"), help=argparse.SUPPRESS)
    parser.add_argument(
        "-o", "--output", type=Path, default=ROOT / "benchmarks" / "results" / "nlse_gradients.json"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
