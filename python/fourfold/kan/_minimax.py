"""The best rational approximation on an interval, with the denominators of `fourfold.kan.rational`.

On a fixed set of points the problem is quasi-convex as long as Q stays positive: an error E can be reached if and only
if ``|f Q - P| <= E Q`` has a solution, which is linear in the coefficients, whatever sign constraints they have.
Bisection with that gives a start; AAA gives another one, where its denominator has the form that is asked for. Then the
differential correction algorithm (Cheney and Loeb 1961; Barrodale, Powell and Roberts 1972) minimises
``max (|f Q - P| - E Q)/Q_before``; its unknowns are corrections in units of E, so that errors far below the solver's
tolerance are reached. Points are exchanged as in Remez' algorithm: every local maximum of the error on a fine grid joins
the set, until none is above the error on the set. The better result of the two starts is taken.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.polynomial import polynomial
from scipy.optimize import linprog

from fourfold.kan._aaa import aaa_denominators

__all__ = ["Approximation", "minimax", "points"]

Array = npt.NDArray[np.float64]

_FINE = 8001
_START = 201
_ROUNDS = 60
_EVERY = 16  # of the fine points are enough for AAA
_SMALLEST = 1e-12  # relative error below which the solver finds nothing, and takes long about it
_TIGHT = {"primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9}
# Variant N: Q is kept above this, on an interval so many times as long.
_LOWEST_Q, _WIDER = 0.05, 4.0


class Approximation(NamedTuple):
    """Coefficients in the order of `fourfold.kan.rational`."""

    numerator: Array
    denominator: Array


def points(interval: tuple[float, float]) -> Array:
    """The fine grid: dense everywhere, denser at the ends, with 0 if that lies inside."""
    low, high = interval
    middle, half = (low + high) / 2, (high - low) / 2
    grid = [
        middle - half * np.cos(np.pi * np.arange(_FINE) / (_FINE - 1)),
        np.linspace(low, high, _FINE),
    ]
    if low < 0 < high:
        grid.append(np.zeros(1))
    return np.unique(np.concatenate(grid))


def minimax(
    x: Array, f: Array, m: int, n: int, variant: str, asymptote: float | None
) -> Approximation:
    """Approximate the values f at the points x. With an asymptote, F(x)/x tends to it at infinity."""
    problem = _Problem(x, f, m, n, variant, asymptote)
    found = [_corrected(problem, start) for start in problem.starts()]
    return problem.unscaled(min(found, key=problem.error))


def _corrected(problem: _Problem, coefficients: Array) -> Array:
    """Go on until no correction makes the error on the fine grid smaller."""
    error = problem.error(coefficients)
    active = np.union1d(problem.spread, problem.peaks(coefficients))
    for _ in range(_ROUNDS):
        if error <= _SMALLEST * float(np.abs(problem.f).max()):
            break
        better = problem.corrected(coefficients, error, active)
        if better is None:
            break
        reached = problem.error(better)
        known, active = len(active), np.union1d(active, problem.peaks(better))
        if reached < error:
            settled = reached > error * (1 - 1e-9)
            coefficients, error = better, reached
            if settled:
                break
        elif len(active) == known:
            break
    return coefficients


class _Problem:
    """Unknowns are (a_0..a_m, c), of x scaled to at most 1; Q = constant + sum c_j t^j > 0."""

    def __init__(
        self, x: Array, f: Array, m: int, n: int, variant: str, asymptote: float | None
    ) -> None:
        self.f, self.m, self.variant = f, m, variant
        self.scale = float(np.abs(x).max())
        self.spread = np.unique(np.linspace(0, len(x) - 1, _START).astype(np.int64))
        self.exponents = np.arange(0 if variant == "C" else 1, n + 1)
        self.constant = 0.1 if variant == "C" else 1.0
        self.x = x / self.scale
        self.p = self.x[:, None] ** np.arange(m + 1)
        self.q = self._powers(self.x)
        # What keeps Q positive, as rows @ c >= lowest.
        self.rows = np.zeros((0, len(self.exponents)))
        self.lowest = 0.0
        if variant in "BC":  # W >= 0: the absolute value does nothing
            self.rows = self.q[self.spread]
        elif variant == "N":
            wide = np.linspace(-_WIDER, _WIDER, _START)
            self.rows, self.lowest = self._powers(wide), _LOWEST_Q - 1
        self.slope = None if asymptote is None else asymptote * self.scale

    def _powers(self, x: Array) -> Array:
        t = np.abs(x) if self.variant == "A" else x
        result: Array = t[:, None] ** self.exponents
        return result

    def _denominator(self, coefficients: Array) -> Array:
        return self.constant + self.q @ coefficients[self.m + 1 :]

    def residual(self, coefficients: Array) -> Array:
        return self.f - self.p @ coefficients[: self.m + 1] / self._denominator(coefficients)

    def peaks(self, coefficients: Array) -> npt.NDArray[np.int64]:
        """Where the error has its local maxima on the fine grid."""
        size = np.abs(self.residual(coefficients))
        return np.flatnonzero((size >= np.r_[0, size[:-1]]) & (size >= np.r_[size[1:], 0]))

    def error(self, coefficients: Array) -> float:
        return float(np.abs(self.residual(coefficients)).max())

    def unscaled(self, coefficients: Array) -> Approximation:
        a, c = coefficients[: self.m + 1], coefficients[self.m + 1 :]
        return Approximation(
            a / self.scale ** np.arange(self.m + 1), c / self.scale**self.exponents
        )

    def starts(self) -> list[Array]:
        """What the corrections may begin with."""
        first = [self._by_bisection()]
        if self.variant == "A" or self.slope is not None:
            return first  # AAA knows neither |x| nor conditions
        others = self._by_aaa()
        return first if not others else [*first, min(others, key=self.error)]

    def _by_aaa(self) -> list[Array]:
        """AAA's denominators that are some of this variant, with the numerators that fit best."""
        found = []
        n = int(self.exponents.max(initial=0))
        for q in aaa_denominators(self.x[::_EVERY], self.f[::_EVERY], n):
            if q[0] <= 0:  # 0 is not among the points
                continue
            # Any multiple will do: one whose constant is 1, or whose smallest value is the constant.
            smallest = polynomial.polyval(self.x, q).min()
            q *= self.constant / smallest if self.variant == "C" else 1 / q[0]
            q[0] -= self.constant
            c = np.r_[q, np.zeros(n + 1 - len(q))][self.exponents]
            if np.all(self.rows @ c >= self.lowest) and not (self.variant == "N" and c[-1] < 0):
                below = (self.constant + self.q @ c)[:, None]
                found.append(np.r_[np.linalg.lstsq(self.p / below, self.f, rcond=None)[0], c])
        return found

    def _by_bisection(self) -> Array:
        """Within a factor of 1.5 of the best on the coarse points, by bisection."""
        low, high = 0.0, float(np.abs(self.f).max())
        best = np.zeros(self.m + 1 + len(self.exponents))  # F = 0
        if self.slope is None:
            if self.variant == "C":
                best[self.m + 1] = 0.9
            best[: self.m + 1] = np.linalg.lstsq(self.p, self.f, rcond=None)[0]
            high = self.error(best)
        # Below 1e-4 the solver's tolerance would be seen; the corrections go on from there.
        while high > 1e-4 and high > 1.5 * low:
            middle = np.sqrt(high * max(low, 1e-2 * high))
            found = self._feasible(middle)
            if found is None:
                low = middle
            else:
                best, high = found, middle
        return best

    def _feasible(self, error: float) -> Array | None:
        p, q, f = self.p[self.spread], self.q[self.spread], self.f[self.spread]
        upper = np.vstack(
            [np.hstack([-p, (f - error)[:, None] * q]), np.hstack([p, (-f - error)[:, None] * q])]
        )
        bound = self.constant * np.r_[error - f, error + f]
        return self._solve(
            np.zeros(p.shape[1] + q.shape[1]), upper, bound, np.zeros(p.shape[1] + q.shape[1]), 1.0
        )

    def corrected(self, before: Array, error: float, active: npt.NDArray[np.int64]) -> Array | None:
        """The coefficients after one step of differential correction."""
        p, q, f = self.p[active], self.q[active], self.f[active]
        denominator = self._denominator(before)[active]
        off = self.residual(before)[active] * denominator / error
        last = -denominator[:, None]
        upper = np.vstack(
            [
                np.hstack([-p, (f - error)[:, None] * q, last]),
                np.hstack([p, (-f - error)[:, None] * q, last]),
            ]
        )
        bound = np.r_[denominator - off, denominator + off]
        goal = np.r_[np.zeros(p.shape[1] + q.shape[1]), 1.0]
        step = self._solve(goal, upper, bound, before, error)
        return None if step is None else before + error * step[:-1]

    def _solve(
        self, goal: Array, upper: Array, bound: Array, before: Array, unit: float
    ) -> Array | None:
        """Minimise over corrections of `before` in this unit; further unknowns lie in [-1, 1]."""
        c = before[self.m + 1 :]
        count, further = len(before), len(goal) - len(before)
        size = np.abs(upper).max(axis=1)
        upper, bound = upper / size[:, None], bound / size
        if len(self.rows) > 0:
            rows = np.zeros((len(self.rows), len(goal)))
            rows[:, self.m + 1 : count] = -self.rows
            room = (self.rows @ c - self.lowest) / unit
            upper, bound = np.vstack([upper, rows]), np.r_[bound, room]
        # The highest coefficient of variant N, and all of variant A, must not be negative.
        limits: list[tuple[float | None, float | None]] = [(None, None)] * (self.m + 1)
        for j, value in zip(self.exponents, c, strict=True):
            top = self.variant == "N" and j == self.exponents[-1]
            limits.append((-value / unit, None) if self.variant == "A" or top else (None, None))
        limits += [(-1.0, 1.0)] * further
        equal, to = None, None
        if self.slope is not None:
            equal = np.zeros((1, len(goal)))
            equal[0, self.m], equal[0, count - 1] = 1, -self.slope
            to = -(equal[:, :count] @ before) / unit
        found = linprog(
            goal,
            A_ub=upper,
            b_ub=bound,
            A_eq=equal,
            b_eq=to,
            bounds=limits,
            method="highs",
            options=_TIGHT,
        )
        if found.x is None:
            return None
        solution: Array = found.x
        if self.variant == "A":  # not below zero by the solver's tolerance
            solution[self.m + 1 : count] = np.maximum(solution[self.m + 1 : count], -c / unit)
        return solution
