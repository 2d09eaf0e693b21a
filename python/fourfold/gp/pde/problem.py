"""What is to be solved: operator, source, conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.gp.pde.conditions import Condition, Function, Periodic, evaluated
from fourfold.gp.pde.nonlinear import Nonlinear

__all__ = ["Problem"]

Array = npt.NDArray[np.float64]
Order = tuple[int, ...]

_HIGHEST_ORDER = 2
_LARGEST_DIMENSION = 3


class Problem:
    """``sum_r c_r(x) d^r u(x) + N(u(x), ...) = source(x)`` on an interval or a box.

    Parameters
    ----------
    box : (float, float) or sequence of (float, float)
        An interval, or one for each of two or three axes; time is an axis like the others.
    operator : mapping of int, or of tuple of int, to float or callable
        ``{r: c_r}``: orders 0, 1, 2 in 1-D, tuples of one order for each axis on a box: ``{(2, 0): 1, (0, 2): 1}`` is
        the Laplacian, ``{(0, 1): 1, (2, 0): -0.1}`` with the axes (x, t) the heat equation. A callable
        takes the coordinates, arrays of one shape, and returns that shape.
    source : float or callable
        The right-hand side.
    conditions : sequence of Condition or Periodic
        `Dirichlet` or `Neumann` on faces, `Periodic` along axes. Two on one face make an initial-value problem.
        Every axis along which the operator differentiates needs one at least.
    nonlinear : Nonlinear or (callable, callable), optional
        A pair is ``N(u)`` and its derivative ``dN/du``; both take and return arrays of one shape.
    points : int or sequence of int
        Points of the uniform grid along each axis, ends included, where the equation is imposed. By default 400 in
        1-D, 100 along each of two axes and 30 along each of three.
    exact : callable, optional
        The true solution, for tests and reports. `solve` never looks at it.

    Attributes
    ----------
    box : tuple of (float, float)
    dimension : int
    shape : tuple of int
        Of the grid.
    axes : list of ndarray
        Coordinates of the grid along each axis.

    Raises
    ------
    ValueError
        An argument out of its range; a function that does not return finite numbers of the right shape; conditions
        that are missing, or that contradict each other where two faces meet.

    Examples
    --------
    >>> import numpy as np
    >>> from fourfold.gp import pde
    >>> problem = pde.Problem(
    ...     (0, 1), {2: 1.0}, lambda x: -np.sin(x), [pde.Dirichlet(0, 0), pde.Dirichlet(1, np.sin(1))],
    ...     points=30,
    ... )
    >>> solution = pde.solve(problem)
    >>> bool(abs(solution.u([0.5])[0] - np.sin(0.5)) < 1e-8)
    True
    """

    def __init__(
        self,
        box: tuple[float, float] | Sequence[tuple[float, float]],
        operator: Mapping[Any, Any],
        source: float | Function,
        conditions: Sequence[Condition | Periodic],
        *,
        nonlinear: Nonlinear
        | tuple[Callable[[Array], npt.ArrayLike], Callable[[Array], npt.ArrayLike]]
        | None = None,
        points: int | Sequence[int] | None = None,
        exact: Function | None = None,
    ) -> None:
        self.box = _checked_box(box)
        self.dimension = len(self.box)
        self.terms = self._checked_operator(operator)
        self.shape = self._checked_points(points)
        self.axes = [np.linspace(*ends, n) for ends, n in zip(self.box, self.shape, strict=True)]
        self.source = source
        self.nonlinear = self._checked_nonlinear(nonlinear)
        self.exact = exact
        given: Any = conditions
        if not isinstance(given, Sequence) or not all(
            isinstance(c, Condition | Periodic) for c in given
        ):
            raise TypeError(
                f"conditions: expected a list of Dirichlet, Neumann and Periodic, got {conditions!r}"
            )
        self.conditions = tuple(conditions)
        self._check_conditions()
        self.coefficients(*self.mesh)
        self.source_at(*self.mesh)

    @property
    def interval(self) -> tuple[float, float]:
        """The box of a problem in 1-D."""
        (interval,) = self.box
        return interval

    @property
    def grid(self) -> Array:
        """The points where the equation of a problem in 1-D is imposed, (points,)."""
        (grid,) = self.axes
        return grid

    @property
    def mesh(self) -> list[Array]:
        """The coordinates of all points of the grid, an array of `shape` for each axis."""
        return list(np.meshgrid(*self.axes, indexing="ij"))

    def highest_order(self, axis: int) -> int:
        """Of the derivatives along an axis in the equation."""
        orders = [*self.terms, *(self.nonlinear.orders if self.nonlinear else [])]
        return max(order[axis] for order in orders)

    def coefficients(self, *coordinates: Array) -> dict[Order, Array]:
        """``c_r`` at coordinates of one shape, for the orders of the operator in ascending order."""
        return {
            r: evaluated(f"operator[{_shown(r)}]", self.terms[r], *coordinates)
            for r in sorted(self.terms)
        }

    def source_at(self, *coordinates: Array) -> Array:
        """The right-hand side at coordinates of one shape."""
        return evaluated("source", self.source, *coordinates)

    def condition_at(self, condition: Condition) -> Array:
        """The value of a condition on the grid of its face; that axis has length 1. Shape (1,) in 1-D."""
        axes = list(self.axes)
        axes[condition.axis] = np.array([condition.x])
        mesh = np.meshgrid(*axes, indexing="ij")
        return evaluated("conditions", condition.value, *mesh)

    def _checked_operator(self, operator: Mapping[Any, Any]) -> dict[Order, float | Function]:
        if not isinstance(operator, Mapping):
            raise TypeError(
                f"operator: expected orders and coefficients {{r: c_r}}, got {operator!r}"
            )
        terms: dict[Order, float | Function] = {}
        for key, coefficient in operator.items():
            order = key if isinstance(key, tuple) else (key,)
            if len(order) != self.dimension or not set(order) <= set(range(_HIGHEST_ORDER + 1)):
                kind = "" if self.dimension == 1 else f"tuples of {self.dimension} "
                raise ValueError(f"operator: expected {kind}orders among 0, 1, 2, got {key}")
            terms[order] = coefficient
        if not terms:
            raise ValueError("operator: expected orders among 0, 1, 2 as keys, got none")
        return terms

    def _checked_points(self, points: int | Sequence[int] | None) -> tuple[int, ...]:
        if points is None:
            points = (400, 100, 30)[self.dimension - 1]
        if not isinstance(points, Sequence | np.ndarray):
            points = [points] * self.dimension
        shape = tuple(points)
        if not all(isinstance(n, int | np.integer) for n in shape):
            raise TypeError(f"points: expected integers, got {points!r}")
        if len(shape) != self.dimension or min(shape) < 2:
            raise ValueError(
                f"points: expected at least 2 along each of {self.dimension} axes, got {points}"
            )
        return tuple(int(n) for n in shape)

    def _checked_nonlinear(
        self,
        nonlinear: Nonlinear
        | tuple[Callable[[Array], npt.ArrayLike], Callable[[Array], npt.ArrayLike]]
        | None,
    ) -> Nonlinear | None:
        if isinstance(nonlinear, tuple):
            function, slope = nonlinear
            nonlinear = Nonlinear([(0,) * self.dimension], function, [slope])
        if nonlinear is not None and not isinstance(nonlinear, Nonlinear):
            raise TypeError(
                f"nonlinear: expected a Nonlinear, or a pair of N(u) and its derivative, got {nonlinear!r}"
            )
        if nonlinear is not None:
            for order in nonlinear.orders:
                if len(order) != self.dimension or not set(order) <= set(range(_HIGHEST_ORDER + 1)):
                    raise ValueError(
                        f"nonlinear: expected orders of {self.dimension} numbers among 0, 1, 2, got {order}"
                    )
        return nonlinear

    def _check_conditions(self) -> None:
        seen: set[tuple[int, float, int]] = set()
        for c in self.conditions:
            if not 0 <= c.axis < self.dimension:
                raise ValueError(
                    f"conditions: expected an axis below {self.dimension}, got {c.axis}"
                )
            if isinstance(c, Periodic):
                places = {(c.axis, end, order) for end in self.box[c.axis] for order in (0, 1)}
            else:
                if c.x not in self.box[c.axis]:
                    raise ValueError(
                        f"conditions: expected x at an end of {self.box[c.axis]}, got {c}"
                    )
                if c.order not in (0, 1):
                    raise ValueError(f"conditions: expected order 0 or 1, got {c}")
                self.condition_at(c)
                places = {(c.axis, c.x, c.order)}
            if seen & places:
                raise ValueError(
                    f"conditions: expected each at most once, and Periodic alone on its axis, got {c} "
                    "besides another"
                )
            seen |= places
        for axis in range(self.dimension):
            if self.highest_order(axis) and not any(c.axis == axis for c in self.conditions):
                raise ValueError(
                    f"conditions: the operator differentiates along axis {axis}, which has no condition"
                )
        dirichlet = [c for c in self.conditions if isinstance(c, Condition) and c.order == 0]
        for first, second in combinations(dirichlet, 2):
            self._check_edge(first, second)

    def _check_edge(self, first: Condition, second: Condition) -> None:
        """Values prescribed on two faces agree where the faces meet."""
        if first.axis == second.axis:
            return
        values = []
        for one, other in ((first, second), (second, first)):
            at = 0 if other.x == self.box[other.axis][0] else -1
            values.append(np.take(self.condition_at(one), [at], axis=other.axis))
        apart = float(np.abs(values[0] - values[1]).max())
        size = max(float(np.abs(self.condition_at(c)).max()) for c in (first, second))
        if apart > 1e-6 * size:
            raise ValueError(
                f"conditions: u on axis {first.axis} at {first.x} and on axis {second.axis} at {second.x} differ "
                f"by {apart:.3g} where the faces meet; a process with smooth paths has no such jump"
            )


def _checked_box(
    box: tuple[float, float] | Sequence[tuple[float, float]],
) -> tuple[tuple[float, float], ...]:
    try:
        given = np.asarray(box, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"box: expected (low, high), or up to three of them, got {box!r}") from None
    name, ends = ("interval" if given.ndim == 1 else "box"), np.atleast_2d(given)
    if ends.shape not in [(d, 2) for d in range(1, _LARGEST_DIMENSION + 1)]:
        raise ValueError(f"{name}: expected (low, high), or up to three of them, got {box}")
    if not np.isfinite(ends).all() or not (ends[:, 0] < ends[:, 1]).all():
        raise ValueError(f"{name}: expected finite low < high, got {box}")
    return tuple((float(low), float(high)) for low, high in ends)


def _shown(order: Order) -> str:
    return str(order[0]) if len(order) == 1 else str(order)
