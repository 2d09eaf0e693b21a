"""What is to be solved: operator, source, conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Condition", "Dirichlet", "Neumann", "Problem"]

Array = npt.NDArray[np.float64]
Function = Callable[[Array], npt.ArrayLike]

_HIGHEST_ORDER = 2


@dataclass(frozen=True)
class Condition:
    """``u^(order)(x) = value`` at an end of the interval; `Dirichlet` and `Neumann` make them."""

    x: float
    value: float
    order: int


def Dirichlet(x: float, value: float) -> Condition:
    """The condition ``u(x) = value``."""
    return Condition(float(x), float(value), 0)


def Neumann(x: float, value: float) -> Condition:
    """The condition ``u'(x) = value`` (the derivative along x, at both ends)."""
    return Condition(float(x), float(value), 1)


class Problem:
    """``sum_r c_r(x) u^(r)(x) + N(u(x)) = source(x)`` on an interval.

    Parameters
    ----------
    interval : (float, float)
    operator : mapping of int to float or callable
        ``{r: c_r}`` for orders r of 0, 1, 2; a callable takes points (n,) and returns (n,).
    source : float or callable
        The right-hand side.
    conditions : sequence of Condition
        `Dirichlet` or `Neumann` at the ends. Two at one end make an initial-value problem.
    nonlinear : (callable, callable), optional
        ``N`` and its derivative ``dN/du``; both take u (n,) and return (n,).
    points : int
        Points of the uniform grid, ends included, where the equation is imposed.
    exact : callable, optional
        The true solution, for tests and reports. `solve` never looks at it.

    Raises
    ------
    ValueError
        An argument out of its range, or a function that does not return finite numbers of the right shape.

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
        interval: tuple[float, float],
        operator: Mapping[int, float | Function],
        source: float | Function,
        conditions: Sequence[Condition],
        *,
        nonlinear: tuple[Function, Function] | None = None,
        points: int = 400,
        exact: Function | None = None,
    ) -> None:
        low, high = (float(end) for end in interval)
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(f"interval: expected finite low < high, got {interval}")
        if not operator or not set(operator) <= set(range(_HIGHEST_ORDER + 1)):
            raise ValueError(
                f"operator: expected orders among 0, 1, 2 as keys, got {sorted(operator)}"
            )
        if points < 2:
            raise ValueError(f"points: expected at least 2, got {points}")
        self.interval = (low, high)
        self.operator = dict(operator)
        self.source = source
        self.conditions = tuple(conditions)
        self.nonlinear = nonlinear
        self.points = int(points)
        self.exact = exact
        for condition in self.conditions:
            if condition.x not in self.interval:
                raise ValueError(
                    f"conditions: expected x at an end of {self.interval}, got {condition}"
                )
            if condition.order not in (0, 1) or not np.isfinite(condition.value):
                raise ValueError(
                    f"conditions: expected order 0 or 1, finite value, got {condition}"
                )
        places = [(c.x, c.order) for c in self.conditions]
        if len(set(places)) < len(places):
            raise ValueError(f"conditions: expected each at most once, got {self.conditions}")
        self.coefficients(self.grid)
        self.source_at(self.grid)

    @property
    def grid(self) -> Array:
        """The points where the equation is imposed, (points,)."""
        return np.linspace(*self.interval, self.points)

    def coefficients(self, x: Array) -> dict[int, Array]:
        """``c_r`` at points (n,), for the orders of the operator in ascending order."""
        return {r: evaluated(f"operator[{r}]", self.operator[r], x) for r in sorted(self.operator)}

    def source_at(self, x: Array) -> Array:
        """The right-hand side at points (n,)."""
        return evaluated("source", self.source, x)


def evaluated(name: str, function: float | Function, x: Array) -> Array:
    """A constant or a function at points (n,), checked."""
    values = np.asarray(function(x) if callable(function) else function, dtype=np.float64)
    if values.shape not in ((), x.shape):
        raise ValueError(f"{name}: expected shape {x.shape} or (), got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    return np.broadcast_to(values, x.shape).copy()
