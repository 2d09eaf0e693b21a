"""Solve a problem on a box: learn kernels, expand the process, condition it, iterate for nonlinear terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import ConvergenceError
from fourfold.gp.kernels import Kernel
from fourfold.gp.pde._box_system import BoxSystem, Linear
from fourfold.gp.pde._expansion import Expansion
from fourfold.gp.pde._learn_box import learned_kernels
from fourfold.gp.pde._least_squares import Conditioned
from fourfold.gp.pde._start_box import starting_kernels
from fourfold.gp.pde.box_solution import BoxSolution
from fourfold.gp.pde.conditions import Condition
from fourfold.gp.pde.problem import Problem

__all__ = ["solve_box"]

Array = npt.NDArray[np.float64]

# Second derivatives raise the share of rough functions in the equation by some orders above that in u.
_TRUNCATION = 1e-17
_SMALLEST_STEP = 2.0**-10
_LARGEST_JITTER = 1e-6
# Of the search for kernels at least: what the cut of the expansion leaves in the equation has to drown in the noise, or
# the likelihood jumps with every function that is cut.
_LEARNING_JITTER = 1e-8


def solve_box(
    problem: Problem,
    kernels: Sequence[Kernel] | None,
    jitter: float,
    most_features: int,
    newton_steps: int,
    tolerance: float,
    learning_steps: int,
) -> BoxSolution:
    """As `solve`, arguments checked; kernels are learned by at most so many steps."""
    used: list[Kernel] = list(starting_kernels(problem) if kernels is None else kernels)
    history: list[dict[str, Any]] = []

    def solved() -> tuple[BoxSystem, Conditioned]:
        expansion = Expansion(used, problem.axes, _TRUNCATION, most_features)
        system = BoxSystem(problem, expansion)
        conditioned = Conditioned([system.equation(), *system.conditions], jitter)
        history.append(
            {
                "stage": "condition",
                "misfit": conditioned.misfit,
                "refinements": conditioned.refinements,
            }
        )
        if problem.nonlinear is not None:
            conditioned = _newton(system, conditioned, newton_steps, tolerance, history)
        return system, conditioned

    if learning_steps:
        if problem.nonlinear is None:
            mesh = problem.mesh
            equation = Linear(problem.coefficients(*mesh), problem.source_at(*mesh))
        else:
            # The likelihood is that of the equation linearised at the solution: first find that.
            system, conditioned = solved()
            equation = system.linearised(conditioned.mean)
        used = _learned(problem, used, equation, jitter, most_features, learning_steps, history)
    system, conditioned = solved()
    return BoxSolution(problem, used, system.expansion, conditioned, history)


def _learned(
    problem: Problem,
    kernels: list[Kernel],
    equation: Linear,
    jitter: float,
    most_features: int,
    steps: int,
    history: list[dict[str, Any]],
) -> list[Kernel]:
    prescribed = [problem.condition_at(c) for c in problem.conditions if isinstance(c, Condition)]
    told = any(np.any(values) for values in (equation.source, *prescribed))
    if not told or not any(k.theta.size for k in kernels):
        return kernels
    noise = min(max(10 * jitter, _LEARNING_JITTER), _LARGEST_JITTER)
    learned, found = learned_kernels(
        problem, kernels, equation, noise, _TRUNCATION, most_features, steps
    )
    history.append(
        {
            "stage": "learn",
            "iterations": found.iterations,
            "failures": found.failures,
            "log_marginal_likelihood": -found.lowest,
        }
    )
    return learned


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
