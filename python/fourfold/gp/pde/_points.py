"""Points and orders that a solution is asked for, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.gp._inputs import as_array, finite_vector
from fourfold.gp.pde.problem import Problem

__all__ = ["checked_axes", "checked_axis", "checked_orders", "checked_points"]

Array = npt.NDArray[np.float64]


def checked_orders(problem: Problem, orders: Sequence[int]) -> tuple[int, ...]:
    """An order 0, 1 or 2 for each axis."""
    given: Any = orders
    whole = isinstance(given, Sequence | np.ndarray) and all(
        isinstance(r, int | np.integer) for r in given
    )
    if not whole or len(orders) != problem.dimension or not set(orders) <= {0, 1, 2}:
        raise ValueError(
            f"orders: expected 0, 1 or 2 for each of {problem.dimension} axes, got {orders}"
        )
    return tuple(int(r) for r in orders)


def checked_points(problem: Problem, points: npt.ArrayLike) -> Array:
    """Points (n, d) within the box; (n,) in 1-D comes back as (n, 1)."""
    x = as_array("points", points)
    if problem.dimension == 1 and x.ndim == 1:
        x = x[:, None]
    elif problem.dimension == 1 or x.ndim != 2 or x.shape[1] != problem.dimension:
        shape = "(n,)" if problem.dimension == 1 else f"(n, {problem.dimension})"
        raise ValueError(f"points: expected shape {shape}, got {x.shape}")
    for axis in range(x.shape[1]):
        checked_axis(problem, axis, x[:, axis], "points")
    return x


def checked_axes(problem: Problem, axes: Sequence[npt.ArrayLike] | None) -> list[Array]:
    """The vectors that span a grid within the box; None: the problem's own."""
    if axes is None:
        return problem.axes
    given: Any = axes
    if not isinstance(given, Sequence | np.ndarray) or len(given) != problem.dimension:
        raise ValueError(f"axes: expected a list of {problem.dimension} vectors, got {axes!r}")
    return [checked_axis(problem, axis, x) for axis, x in enumerate(axes)]


def checked_axis(problem: Problem, axis: int, values: npt.ArrayLike, name: str = "axes") -> Array:
    """Coordinates along one axis, a vector within the box."""
    x = finite_vector(name, values)
    low, high = problem.box[axis]
    if x.size and (x.min() < low or x.max() > high):
        raise ValueError(
            f"{name}: expected within [{low}, {high}] on axis {axis}, got [{x.min()}, {x.max()}]"
        )
    return x
