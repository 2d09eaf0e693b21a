"""Carrying out a plan: from the first or the last saved time to the end, whatever comes between."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import BlowUpError, RunInterrupted, StepSizeError
from fourfold.nlse._keep import FileFields, Keeper, KeepFields, KeepStatistics, Log
from fourfold.nlse._kernel import StepFailure, Stepper
from fourfold.nlse._plan import Clock, Plan
from fourfold.nlse._problem_arrays import problem_arrays
from fourfold.nlse._progress import progress_bar
from fourfold.nlse._recorder import EnsembleRecorder
from fourfold.nlse._run_file import RunFile, refuse_existing
from fourfold.nlse.solution import Solution

__all__ = ["advance", "begin", "check_new_file"]


# NumPy's structured types, which describe a record, end at 2 GiB.
_LARGEST_FIELD_BYTES = 1 << 30


def check_new_file(path: str | os.PathLike[str], plan: Plan) -> str:
    """The path of the file that a plan is to write, absolute; it must not exist.

    Raises
    ------
    TypeError, ValueError
        If it is no path, or there is nothing to save.
    NotSavableError
        If the problem holds functions of time.
    OSError
        If there is a file or no folder.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"save must be a path or None, got {type(path).__name__}")
    if plan.count == 0:
        raise ValueError(f"save needs at least 1 realisation, got psi0 of shape {plan.field_shape}")
    problem_arrays(plan.problem, plan.batch_shape)
    size = plan.dtype.itemsize * math.prod(plan.field_shape)
    if plan.store == "fields" and size > _LARGEST_FIELD_BYTES:
        raise ValueError(
            f"save: the fields at one time are {size / 2**30:.1f} GiB, more than the "
            f"{_LARGEST_FIELD_BYTES >> 30} GiB of a record; split the ensemble, or use "
            'store="statistics"'
        )
    return refuse_existing(path)


def begin(
    plan: Plan,
    field: npt.NDArray[Any],
    path: str | None,
    progress: bool,
    first_steps: list[npt.NDArray[np.float64]] | None = None,
) -> Solution:
    """Run a plan from its first time on, where ``field`` is; into a new file, if there is a path.

    ``first_steps`` gets, for each interval, the steps that its realisations try first.
    """
    stepper = plan.stepper()
    clock = Clock(plan, stepper)
    recorder = None
    if plan.store == "statistics":
        recorder = EnsembleRecorder(plan.problem, len(plan.times), plan.batch_shape)
        recorder.record(0, np.ascontiguousarray(field, plan.dtype), float(plan.times[0]))
    keeper: Keeper
    if path is None:
        keeper = (
            KeepFields(plan, field) if recorder is None else KeepStatistics(plan, field, recorder)
        )
    else:
        log = Log(plan, stepper, clock)
        first = log.row(0, {"psi": field} if recorder is None else recorder.row(0))
        file = RunFile.create(path, plan, first, None if recorder is None else field)
        keeper = (
            FileFields(plan, field, log, file)
            if recorder is None
            else KeepStatistics(plan, field, recorder, log, file)
        )
    return advance(plan, stepper, clock, keeper, 1, path, progress, first_steps)


def advance(
    plan: Plan,
    stepper: Stepper,
    clock: Clock,
    keeper: Keeper,
    first: int,
    path: str | None,
    progress: bool,
    first_steps: list[npt.NDArray[np.float64]] | None = None,
) -> Solution:
    """Go through the saved times from number ``first`` on."""
    times: list[float] = plan.times.tolist()
    reached = times[first - 1]
    title = f"nlse {plan.method.name}"
    bar = progress_bar(progress, title, times[0], times[-1], reached, clock.counters.steps)
    saved = first
    failure: StepFailure | None = None
    interrupted = False
    try:
        with bar as report:
            for saved in range(first, len(times)):
                if first_steps is not None:
                    first_steps.append(stepper.control()[1])
                stepper.advance(keeper.begin(saved), times[saved - 1], times[saved])
                keeper.end(saved)
                if report is not None:
                    report(times[saved], clock.counters.steps)
            saved = len(times)
    except StepFailure as reason:
        failure = reason
    except KeyboardInterrupt:
        interrupted = True
    finally:
        keeper.close()
    solution = keeper.solution(saved, clock.stats())
    if interrupted:
        raise _interruption(solution, len(times), path) from None
    if failure is not None:
        raise _error(failure, plan.count, len(times), solution, path) from None
    return solution


def _interruption(solution: Solution, planned: int, path: str | None) -> RunInterrupted:
    where = f"stopped after t = {solution.t[-1]:.6g}, {len(solution.t)} of {planned} times"
    if path is None:
        kept = "what was saved is in the exception's solution"
    else:
        kept = f"fourfold.nlse.resume({path!r}) goes on"
    return RunInterrupted(f"{where}; {kept}", solution=solution, path=path)


def _error(
    reason: StepFailure, count: int, planned: int, solution: Solution, path: str | None
) -> BlowUpError | StepSizeError:
    where = f"at t = {reason.time:.6g}"
    if count > 1:
        where += f" in realisation {reason.realisation} of {count}"
    kept = (
        f"What was saved up to t = {solution.t[-1]:.6g} ({len(solution.t)} of {planned} times) is "
        "in the exception's solution"
    )
    kept += "." if path is None else f" and in {path}."
    if reason.kind == "not_finite":
        return BlowUpError(
            f"the field stopped being finite {where}. {kept} Gain or a collapsing field does that "
            "by nature, and a phase of more than 1e6 radians in one step; otherwise take a smaller "
            "step or tighter tolerances.",
            time=reason.time,
            realisation=reason.realisation,
            solution=solution,
        )
    return StepSizeError(
        f"the adaptive step fell below 1e-8 of the time span {where}. {kept} The field is about "
        "to collapse or is not resolved: take a finer grid, looser tolerances or a fixed step.",
        time=reason.time,
        realisation=reason.realisation,
        solution=solution,
    )
