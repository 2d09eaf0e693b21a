"""Kernels of a box by maximum marginal likelihood."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold.errors import ConvergenceError, NotPositiveDefiniteError
from fourfold.gp.kernels import Kernel
from fourfold.gp.pde._box_likelihood import BoxLikelihood
from fourfold.gp.pde._box_system import Linear
from fourfold.gp.pde._expansion import Expansion
from fourfold.gp.pde._search import Search, search
from fourfold.gp.pde.problem import Problem

__all__ = ["learned_kernels"]

Array = npt.NDArray[np.float64]


def learned_kernels(
    problem: Problem,
    kernels: Sequence[Kernel],
    equation: Linear,
    jitter: float,
    truncation: float,
    most_features: int,
    iterations: int,
) -> tuple[list[Kernel], Search]:
    """The likeliest kernels found for a linear(ised) equation with the problem's conditions."""
    ends = np.cumsum([k.theta.size for k in kernels])[:-1]

    def at(theta: Array) -> list[Kernel]:
        return [k.with_theta(part) for k, part in zip(kernels, np.split(theta, ends), strict=True)]

    def objective(theta: Array) -> tuple[float, Array]:
        moved = at(theta)
        try:
            expansion = Expansion(moved, problem.axes, truncation, most_features)
            likelihood = BoxLikelihood(problem, moved, equation, jitter, expansion)
        except (NotPositiveDefiniteError, ConvergenceError) as error:
            raise scipy.linalg.LinAlgError(str(error)) from None
        return -likelihood.value, -likelihood.gradient()

    start = np.concatenate([k.theta for k in kernels])
    bounds = np.concatenate([k.theta_bounds for k in kernels])
    found = search(objective, start, bounds, iterations)
    return at(found.best), found
