"""What `solve` keeps of a run: the field at every saved time, or only statistics."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse._recorder import EnsembleRecorder
from fourfold.nlse.problem import Problem
from fourfold.nlse.solution import Solution, SolveStats

__all__ = ["KeepFields", "KeepStatistics"]


class KeepFields:
    """Keeps the field at every saved time."""

    def __init__(
        self,
        problem: Problem,
        times: npt.NDArray[np.float64],
        field: npt.NDArray[Any],
        is_torch: bool,
    ) -> None:
        self._problem = problem
        self._times = times
        self._is_torch = is_torch
        # Fresh, C-contiguous, aligned and of native byte order, whatever `field` is.
        self._psi = np.empty((len(times), *field.shape), dtype=field.dtype.newbyteorder("="))
        self._psi[0] = field

    def begin(self, index: int) -> npt.NDArray[Any]:
        """The array to advance in place from saved time ``index - 1`` to ``index``."""
        now: npt.NDArray[Any] = self._psi[index]
        now[...] = self._psi[index - 1]
        return now

    def end(self, index: int) -> None:
        """The array from `begin` is at saved time ``index``."""

    def solution(self, saved: int, stats: SolveStats) -> Solution:
        """What there is after ``saved`` saved times."""
        psi = _like_input(self._psi[:saved], self._is_torch)
        return Solution(self._problem, self._times[:saved], stats, psi=psi)


class KeepStatistics:
    """Keeps the current fields, their statistics so far and the conserved quantities."""

    def __init__(
        self,
        problem: Problem,
        times: npt.NDArray[np.float64],
        field: npt.NDArray[Any],
        is_torch: bool,
    ) -> None:
        self._problem = problem
        self._times = times
        self._is_torch = is_torch
        self._current = np.array(field, dtype=field.dtype.newbyteorder("="), order="C")
        self._recorder = EnsembleRecorder(problem, len(times), field.shape[:-1])
        self.end(0)

    def begin(self, index: int) -> npt.NDArray[Any]:
        """The array to advance in place from saved time ``index - 1`` to ``index``."""
        return self._current

    def end(self, index: int) -> None:
        """The array from `begin` is at saved time ``index``."""
        self._recorder.record(index, self._current, float(self._times[index]))

    def solution(self, saved: int, stats: SolveStats) -> Solution:
        """What there is after ``saved`` saved times."""
        complete = saved == len(self._times)
        return Solution(
            self._problem,
            self._times[:saved],
            stats,
            final=_like_input(self._current, self._is_torch) if complete else None,
            statistics=self._recorder.statistics(saved),
            conserved=self._recorder.conserved(saved),
        )


def _like_input(field: npt.NDArray[Any], is_torch: bool) -> Any:
    """``field`` as the kind of array that the user came with, over the same memory."""
    return sys.modules["torch"].from_numpy(field) if is_torch else field
