"""Solve a problem on a box: expand the process, condition it, iterate for nonlinear terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import ConvergenceError
from fourfold.gp.kernels import Kernel
from fourfold.gp.pde._box_system import BoxSystem
from fourfold.gp.pde._expansion import Expansion
from fourfold.gp.pde._least_squares import Conditioned
from fourfold.gp.pde._start_box import starting_kernels
from fourfold.gp.pde.box_solution import BoxSolution
from fourfold.gp.pde.problem import Problem

__all__ = ["solve_box"]

Array = npt.NDArray[np.float64]

# Second derivatives raise the share of rough functions in the equation by some orders above that in u.
_TRUNCATION = 1e-17
_SMALLEST_STEP = 2.0**-10


def solve_box(
    problem: Problem,
    kernels: Sequence[Kernel] | None,
    jitter: float,
    most_features: int,
    newton_steps: int,
    tolerance: float,
) -> BoxSolution:
    """As `solve`, arguments checked."""
    used = list(starting_kernels(problem) if kernels is None else kernels)
    expansion = Expansion(used, problem.axes, _TRUNCATION, most_features)
    system = BoxSystem(problem, expansion)
    conditioned = Conditioned([system.equation(), *system.conditions], jitter)
    history: list[dict[str, Any]] = [
        {
            "stage": "condition",
            "misfit": conditioned.misfit,
            "refinements": conditioned.refinements,
        }
    ]
    if problem.nonlinear is not None:
        conditioned = _newton(system, conditioned, newton_steps, tolerance, history)
    return BoxSolution(problem, used, expansion, conditioned, history)


def _newton(
    system: BoxSystem,
    conditioned: Conditioned,
    steps: int,
    tolerance: float,
    history: list[dict[str, Any]],
) -> Conditioned:
    """Gauss-Newton steps for ``|misfits|^2 + jitter |z|^2``, each shortened until it is no higher."""
    jitter = conditioned.jitter

    def objective(z: Array) -> float:
        return float(sum(np.vdot(m, m) for m in system.misfits(z)) + jitter * (z @ z))

    def size(z: Array) -> float:
        return float(np.linalg.norm(system.expansion.on(z, system.problem.axes, orders)))

    orders = (0,) * system.problem.dimension
    z = np.zeros(system.expansion.size)
    value, change = objective(z), np.inf
    for made in range(steps):
        move = conditioned.mean - z
        change = size(move) / max(size(conditioned.mean), np.finfo(np.float64).tiny)
        if change <= tolerance:
            residual = float(np.sqrt(objective(conditioned.mean)))
            history.append({"stage": "newton", "residual": residual, "step": 1.0})
            return conditioned
        step = 1.0
        while not (new := objective(z + step * move)) <= value:
            step /= 2
            if step < _SMALLEST_STEP:
                raise ConvergenceError(
                    f"no step along the Gauss-Newton direction lowers the residual {np.sqrt(value):.3g}; u still "
                    f"changes by {change:.3g} of its size: raise tolerance or points",
                    iterations=made,
                    residual=float(np.sqrt(value)),
                )
        z, value = z + step * move, new
        history.append({"stage": "newton", "residual": float(np.sqrt(value)), "step": step})
        conditioned = Conditioned([system.equation(z), *system.conditions], jitter, start=z)
    raise ConvergenceError(
        f"u changed by {change:.3g} of its size in the last of {steps} Gauss-Newton steps, residual "
        f"{np.sqrt(value):.3g}; raise newton_steps or tolerance",
        iterations=steps,
        residual=float(np.sqrt(value)),
    )
