"""Runs with ever smaller steps, for orders of convergence and for work against error."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fourfold import nlse
from fourfold.errors import BlowUpError, OrderWarning
from fourfold.nlse.methods import METHODS

__all__ = ["FIXED_STEP", "FLOOR", "Ladder", "climb"]

Float64 = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

FIXED_STEP = tuple(method.name for method in METHODS.values() if method.fixed_step)

# Errors below are round-off, whatever the least error seen.
FLOOR = 1e-12
# The steps of a fit span this factor.
_SPAN = 4.0


@dataclass(frozen=True)
class Ladder:
    """Steps from coarse to fine, the error at the end and the transforms of each run."""

    steps: Float64
    errors: Float64
    transforms: Float64

    @property
    def fitted(self) -> npt.NDArray[np.bool_]:
        """Which runs the order is fitted to: the finest that are clear of round-off."""
        least = int(np.argmin(self.errors))
        clear: npt.NDArray[np.bool_] = self.errors > max(FLOOR, 10 * self.errors[least])
        clear[least:] = False
        if clear.any():
            # A little more than the span, as steps are rounded to whole numbers of them.
            clear &= self.steps <= 1.05 * _SPAN * self.steps[clear].min()
        return clear

    def order(self) -> float:
        """Return the slope of log error against log step, NaN with fewer than three points."""
        some = self.fitted
        if some.sum() < 3:
            return float("nan")
        slope, _ = np.polyfit(np.log(self.steps[some]), np.log(self.errors[some]), 1)
        return float(slope)

    def transforms_for(self, error: float) -> float:
        """Return the transforms at which the error is reached, between two runs by power law.

        NaN if no run reaches it, or the first one does.
        """
        below = np.flatnonzero(self.errors <= error)
        if below.size == 0 or below[0] == 0:
            return float("nan")
        pair = slice(below[0] - 1, below[0] + 1)
        known = -np.log(self.errors[pair]), np.log(self.transforms[pair])
        return float(np.exp(np.interp(-np.log(error), *known)))


def climb(
    problem: nlse.Problem,
    psi0: Complex,
    truth: Complex,
    *,
    end: float,
    method: str,
    first: int,
    enough: float,
    most: float,
) -> Ladder:
    """Refine the step by sqrt(2) until the error is below ``enough`` or ``most`` transforms done.

    Parameters
    ----------
    problem, psi0
        What is solved, from time 0.
    truth : complex128 array (n,)
        The field at ``end``.
    end : float
    method : str
    first : int
        How many steps the coarsest run takes.
    enough, most : float
    """
    runs: list[tuple[float, float, float]] = []
    count = float(first)
    while not runs or (runs[-1][1] > enough and np.sqrt(2) * runs[-1][2] <= most):
        step = end / round(count)
        count *= np.sqrt(2)
        try:
            with warnings.catch_warnings():
                # That a method loses order here is what is being measured.
                warnings.simplefilter("ignore", OrderWarning)
                solution = nlse.solve(problem, psi0, [0.0, end], method=method, step=step)
        except BlowUpError:
            continue  # too coarse for this method
        error = float(np.max(np.abs(solution.psi[-1] - truth)))
        runs.append((step, error, float(solution.stats.transforms)))
    steps, errors, transforms = np.array(runs).T
    return Ladder(steps, errors, transforms)
