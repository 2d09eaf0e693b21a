"""What `solve` keeps of a run: the field at every saved time, or only statistics; in memory or a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fourfold.nlse._kernel import Stepper
from fourfold.nlse._plan import Clock, Plan
from fourfold.nlse._recorder import EnsembleRecorder
from fourfold.nlse._run_file import RunFile
from fourfold.nlse._stored import StoredFields, like_input
from fourfold.nlse.solution import Solution, SolveStats

__all__ = ["FileFields", "KeepFields", "KeepStatistics", "Keeper", "Log"]


class Keeper(Protocol):
    """Holds the states of a run."""

    def begin(self, index: int) -> npt.NDArray[Any]:
        """The array to advance in place from saved time ``index - 1`` to ``index``."""

    def end(self, index: int) -> None:
        """The array from `begin` is at saved time ``index``."""

    def close(self) -> None:
        """Put everything that is kept in its place; nothing more will come."""

    def solution(self, saved: int, stats: SolveStats) -> Solution:
        """What there is after ``saved`` saved times."""


class Log:
    """Adds to the records of a run's file what a resumed run needs beside the states."""

    def __init__(self, plan: Plan, stepper: Stepper, clock: Clock) -> None:
        self._plan = plan
        self._stepper = stepper
        self._clock = clock

    def row(self, index: int, states: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
        """The record of saved time ``index``."""
        row: dict[str, Any] = {"time": self._plan.times[index]}
        for name, values in states.items():
            if values.dtype.kind == "c":
                row[f"{name}_real"], row[f"{name}_imag"] = values.real, values.imag
            else:
                row[name] = values
        interval, next_steps = self._stepper.control()
        counters = self._clock.counters
        return row | {
            "next_step": next_steps.reshape(self._plan.batch_shape),
            "interval": interval,
            "steps": counters.steps,
            "rejected": counters.rejected,
            "transforms": counters.transforms,
            "wall_seconds": self._clock.seconds,
        }


class KeepFields:
    """Keeps the field at every saved time in memory."""

    def __init__(self, plan: Plan, field: npt.NDArray[Any]) -> None:
        self._plan = plan
        # Fresh, C-contiguous, aligned and of native byte order, whatever `field` is.
        self._psi = np.empty((len(plan.times), *field.shape), dtype=plan.dtype)
        self._psi[0] = field

    def begin(self, index: int) -> npt.NDArray[Any]:
        now: npt.NDArray[Any] = self._psi[index]
        now[...] = self._psi[index - 1]
        return now

    def end(self, index: int) -> None:
        pass

    def close(self) -> None:
        pass

    def solution(self, saved: int, stats: SolveStats) -> Solution:
        psi = like_input(self._psi[:saved], self._plan.is_torch)
        return Solution(self._plan.problem, self._plan.times[:saved], stats, psi=psi)


class FileFields:
    """Keeps the field at every saved time in a file, and the current one in memory."""

    def __init__(self, plan: Plan, field: npt.NDArray[Any], log: Log, file: RunFile) -> None:
        self._plan = plan
        self._current = np.array(field, dtype=plan.dtype, order="C")
        self._log = log
        self._file = file

    def begin(self, index: int) -> npt.NDArray[Any]:
        return self._current

    def end(self, index: int) -> None:
        self._file.append(self._log.row(index, {"psi": self._current}))
        if self._file.due:
            self._file.flush()

    def close(self) -> None:
        self._file.close()

    def solution(self, saved: int, stats: SolveStats) -> Solution:
        saved = self._file.saved  # one more, where a signal came just after a record
        shape = (saved, *self._plan.field_shape)
        fields = StoredFields(
            self._file.path,
            self._file.layout,
            shape,
            self._plan.dtype,
            self._file.last_checksum,
            self._plan.is_torch,
        )
        return Solution(self._plan.problem, self._plan.times[:saved], stats, psi=fields)


class KeepStatistics:
    """Keeps the current fields, their statistics so far and the conserved quantities.

    With a file, they are in it too.
    """

    def __init__(
        self,
        plan: Plan,
        field: npt.NDArray[Any],
        recorder: EnsembleRecorder,
        log: Log | None = None,
        file: RunFile | None = None,
    ) -> None:
        self._plan = plan
        self._current = np.array(field, dtype=plan.dtype, order="C")
        self._recorder = recorder
        self._log = log
        self._file = file

    def begin(self, index: int) -> npt.NDArray[Any]:
        return self._current

    def end(self, index: int) -> None:
        self._recorder.record(index, self._current, float(self._plan.times[index]))
        if self._file is None or self._log is None:
            return
        self._file.append(self._log.row(index, self._recorder.row(index)))
        if self._file.due or index + 1 == len(self._plan.times):
            self._file.flush((index, self._current))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def solution(self, saved: int, stats: SolveStats) -> Solution:
        if self._file is not None:
            saved = self._file.saved
        complete = saved == len(self._plan.times)
        return Solution(
            self._plan.problem,
            self._plan.times[:saved],
            stats,
            final=like_input(self._current, self._plan.is_torch) if complete else None,
            statistics=self._recorder.statistics(saved),
            conserved=self._recorder.conserved(saved),
        )
