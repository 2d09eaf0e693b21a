"""L-BFGS-B on functions that do not exist everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.optimize

__all__ = ["Search", "search"]

Array = npt.NDArray[np.float64]

# Of the box around the best point that a search is confined to after failures.
_SMALLEST_RADIUS = 1e-3


class _Undefined(Exception):
    """Raised inside the optimiser where a matrix cannot be decomposed."""


@dataclass(frozen=True)
class Search:
    """The best point found, the value there, iterations made, and how often the function did not exist."""

    best: Array
    lowest: float
    iterations: int
    failures: int


def search(
    function: Callable[[Array], tuple[float, Array]],
    start: Array,
    bounds: Array,
    iterations: int,
    memory: int = 20,
) -> Search:
    """Minimise ``function`` (value and gradient) from a point where it exists, by at most so many iterations.

    Where it raises ``scipy.linalg.LinAlgError`` the search starts again from the best point so far, confined to a box
    around it of half the size of the step that failed.
    """
    best, lowest, made, failures = start, np.inf, 0, 0

    def objective(point: Array) -> tuple[float, Array]:
        nonlocal best, lowest
        try:
            value, gradient = function(point)
        except scipy.linalg.LinAlgError:
            raise _Undefined(float(np.abs(point - best).max())) from None
        if value < lowest:
            best, lowest = point.copy(), value
        return value, gradient

    def count(_: Array) -> None:
        nonlocal made
        made += 1

    while made < iterations:
        try:
            scipy.optimize.minimize(
                objective,
                best,
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                callback=count,
                options={"maxiter": iterations - made, "maxcor": memory},
            )
            break
        except _Undefined as failure:
            failures += 1
            radius = 0.5 * failure.args[0]
            if radius < _SMALLEST_RADIUS:
                break
            bounds = np.stack(
                [np.maximum(bounds[:, 0], best - radius), np.minimum(bounds[:, 1], best + radius)],
                axis=1,
            )
    return Search(best, lowest, made, failures)
