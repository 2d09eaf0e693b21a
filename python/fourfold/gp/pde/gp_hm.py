"""GP-HM as published: u on the grid and the kernels' parameters, all at once, by an optimiser."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold.errors import ConvergenceError, NotPositiveDefiniteError
from fourfold.gp._inputs import checked_count, checked_number
from fourfold.gp.kernels import SpectralMixture
from fourfold.gp.pde._hm_axis import Mixture, parameters_bounds
from fourfold.gp.pde._hm_coordinates import Coordinates
from fourfold.gp.pde._hm_objective import Objective, State
from fourfold.gp.pde._search import search
from fourfold.gp.pde.hm_solution import GPHMSolution
from fourfold.gp.pde.problem import Problem

__all__ = ["GPHM", "published_kernel"]

Array = npt.NDArray[np.float64]

_OPTIMISERS = ("l-bfgs", "adam")
# L-BFGS: iterations between two choices of coordinates, and the relative fall of the objective that ends it.
_ROUND = 100
_FALL = 1e-6
# The best relative accuracy to which the objective may believe an equation or a condition to hold.
_FINEST = 1e-6


@dataclass(frozen=True)
class GPHM:
    """How `solve` runs the published method: ``method=GPHM(...)``; ``method="gp-hm"`` is ``GPHM()``.

    Parameters
    ----------
    optimiser : "l-bfgs" or "adam"
        "adam" is what was published: all unknowns together, no bounds, momenta 0.9 and 0.999. "l-bfgs" minimises the
        same objective with u in the coordinates of its prior, scaled by the diagonal of the Hessian and chosen anew every
        100 iterations, within the kernels' bounds; the first 100 move u alone. Where ``u = g`` on the faces the objective falls without end as tau
        rises, so both precisions are kept below 1e12 over the mean square of what they weigh.
    steps : int
        Of Adam, or iterations of L-BFGS at most.
    learning_rate : float
        Of Adam.
    boundary_weight : float
        lambda_b; published: 200, and 500 for advection.
    jitter : float
        Added to the diagonal of each axis' covariance matrix.
    """

    optimiser: str = "l-bfgs"
    steps: int = 1000
    learning_rate: float = 0.01
    boundary_weight: float = 200.0
    jitter: float = 1e-6

    def __post_init__(self) -> None:
        if self.optimiser not in _OPTIMISERS:
            raise ValueError(f"optimiser: expected one of {_OPTIMISERS}, got {self.optimiser!r}")
        checked_count("steps", self.steps, 1)
        for name in ("learning_rate", "boundary_weight", "jitter"):
            checked_number(name, getattr(self, name), positive=True)


def published_kernel(highest: float, components: int = 30) -> SpectralMixture:
    """The kernel that GP-HM starts from on each axis.

    Parameters
    ----------
    highest : float
        The highest frequency, in cycles per unit of x: F in the paper's table, chosen there for each problem.
    components : int
        Q. Weights are 1/Q, envelopes ``exp(-z^2)``, frequencies equally spaced from 0 to ``highest``.
    """
    checked_number("highest", highest, positive=True)
    checked_count("components", components, 1)
    return SpectralMixture(
        np.full(components, 1 / components),
        np.full(components, np.sqrt(0.5)),
        np.linspace(0, highest, components),
        weights_bounds=(1e-12, 1e6),
        frequencies_bounds=(0.0, 2 * highest),
    )


def solve_gp_hm(
    problem: Problem, kernels: Sequence[Mixture], how: GPHM, learn: bool
) -> GPHMSolution:
    """As `solve`, arguments checked."""
    objective = Objective(problem, kernels, how.boundary_weight, how.jitter)
    history: list[dict[str, Any]] = []
    run = _adam if how.optimiser == "adam" else _lbfgs
    try:
        state = run(objective, how, learn, history)
        return GPHMSolution(problem, objective, state, history)
    except scipy.linalg.LinAlgError:
        raise NotPositiveDefiniteError(
            f"the covariance matrix of an axis is not positive definite with jitter {how.jitter:.0e} after "
            f"{len(history)} entries of history; raise jitter",
            smallest_eigenvalue=float("nan"),
        ) from None


def _adam(objective: Objective, how: GPHM, learn: bool, history: list[dict[str, Any]]) -> State:
    state = objective.start()
    point = state.packed()
    moving = np.ones(point.size, dtype=bool)
    if not learn:
        moving[state.u.size + 2 :] = False
    first, second = np.zeros(point.size), np.zeros(point.size)
    every = max(1, how.steps // 100)
    for step in range(1, how.steps + 1):
        value, gradient = objective.value_and_gradient(state.like(point))
        if not np.isfinite(value):
            raise ConvergenceError(
                f"the objective is {value} after {step - 1} steps of Adam; lower learning_rate",
                iterations=step - 1,
                residual=value,
            )
        if step == 1 or step % every == 0:
            history.append({"stage": "adam", "step": step, "objective": value})
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        scaled = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        point = point - moving * how.learning_rate * first / (1 - 0.9**step) / scaled
    return state.like(point)


def _lbfgs(objective: Objective, how: GPHM, learn: bool, history: list[dict[str, Any]]) -> State:
    """u first, at the precisions and kernels of the start; then all unknowns.

    At u = 0 the best v explains all of the source as noise, and nothing would move u from there.
    """
    state = objective.start()
    lowest, left = np.inf, how.steps
    highest: tuple[float, float] | None = None
    while left > 0:
        coordinates = Coordinates(objective, state)
        highest = highest or coordinates.highest_precisions(_FINEST)
        start, at = coordinates.start(), state.u.size
        bounds = np.full((start.size, 2), (-np.inf, np.inf))
        bounds[at : at + 2, 1] = highest
        bounds[at + 2 :] = np.concatenate([parameters_bounds(k) for k in objective.kernels])
        first = not history
        if first or not learn:
            bounds[at + 2 :] = start[at + 2 :, None]
        if first:
            bounds[at : at + 2] = start[at : at + 2, None]
        found = search(
            functools.partial(coordinates.value_and_gradient, objective),
            np.clip(start, bounds[:, 0], bounds[:, 1]),
            bounds,
            min(left, _ROUND),
        )
        state = coordinates.state(found.best)
        left -= max(found.iterations, 1)
        history.append(
            {
                "stage": "u" if first else "all",
                "iterations": found.iterations,
                "failures": found.failures,
                "objective": found.lowest,
            }
        )
        if not first and lowest - found.lowest <= _FALL * abs(found.lowest):
            break
        lowest = found.lowest
    return state
