"""A run with everything decided: what `solve` makes of its arguments, and `resume` of a file."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold._threads import get_num_threads
from fourfold.nlse._kernel import Counters, Stepper
from fourfold.nlse.methods import Method
from fourfold.nlse.problem import Problem
from fourfold.nlse.solution import SolveStats

__all__ = ["Clock", "Plan"]


@dataclass(frozen=True, eq=False)
class Plan:
    """What is computed, and how.

    Attributes
    ----------
    problem : Problem
    times : float64 array (T,)
        All times to save.
    dtype : complex64 or complex128, native
    batch_shape : tuple of int
    method : Method
    step : float or None
        Longest fixed step; None: adaptive, with `rtol` and `atol`.
    rtol, atol : float
    dealias : str or None
    store : {"fields", "statistics"}
    is_torch : bool
        Whether the fields go out as tensors.
    keep_loss : bool
        Whether a loss of zero counts as loss, because its derivative is wanted.
    """

    problem: Problem
    times: npt.NDArray[np.float64]
    dtype: np.dtype[Any]
    batch_shape: tuple[int, ...]
    method: Method
    step: float | None
    rtol: float
    atol: float
    dealias: str | None
    store: str
    is_torch: bool
    keep_loss: bool = False

    @property
    def count(self) -> int:
        """Number of realisations."""
        return math.prod(self.batch_shape)

    @property
    def field_shape(self) -> tuple[int, ...]:
        """Shape of the fields at one time."""
        return (*self.batch_shape, self.problem.grid.n)

    def stepper(self) -> Stepper:
        """A new stepper at the beginning of the run."""
        return Stepper(
            self.problem,
            method=self.method.name,
            dtype=self.dtype,
            batch_shape=self.batch_shape,
            t_start=float(self.times[0]),
            t_end=float(self.times[-1]),
            step=self.step,
            rtol=self.rtol,
            atol=self.atol,
            dealias=self.dealias,
            keep_loss=self.keep_loss,
        )


class Clock:
    """Counts the work of a run, that of the processes before this one included."""

    def __init__(
        self,
        plan: Plan,
        stepper: Stepper,
        counted: Counters = Counters(0, 0, 0, 0.0),  # noqa: B008 (a NamedTuple does not change)
        seconds: float = 0.0,
    ) -> None:
        self._plan = plan
        self._stepper = stepper
        self._counted = counted
        self._began = time.perf_counter() - seconds

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.perf_counter() - self._began

    @property
    def counters(self) -> Counters:
        """What has been done so far."""
        before, now = self._counted, self._stepper.counters
        return Counters(
            steps=before.steps + now.steps,
            rejected=before.rejected + now.rejected,
            transforms=before.transforms + now.transforms,
            last_step=now.last_step,
        )

    def stats(self) -> SolveStats:
        """How the solution came about, so far."""
        counters = self.counters
        return SolveStats(
            method=self._plan.method.name,
            order=self._stepper.order,
            steps=counters.steps,
            rejected=counters.rejected,
            transforms=counters.transforms,
            wall_seconds=self.seconds,
            step=counters.last_step if counters.steps > 0 else None,
            adaptive=self._plan.step is None,
            threads=get_num_threads(),
        )
