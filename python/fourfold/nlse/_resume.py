"""`resume`: going on with a run from its file."""

from __future__ import annotations

import os
import warnings

import numpy as np

from fourfold import _core
from fourfold._version import __version__
from fourfold.errors import ResumeWarning
from fourfold.nlse._execute import advance
from fourfold.nlse._keep import FileFields, Keeper, KeepStatistics, Log
from fourfold.nlse._plan import Clock
from fourfold.nlse._recorder import EnsembleRecorder
from fourfold.nlse._run_file import RunFile, open_locked
from fourfold.nlse._run_read import RunRecords, read_run, stored_conserved, stored_statistics
from fourfold.nlse.solution import Solution

__all__ = ["resume"]


def resume(path: str | os.PathLike[str], *, progress: bool = False) -> Solution:
    """Go on with a run that `fourfold.nlse.solve` began with ``save=path``, however it ended.

    The problem, the method with its steps or tolerances, the times and the last saved field are in the
    file, and what is computed is added to it. The result is that of an unbroken run, bit for bit: with
    fixed and with adaptive steps, with any number of threads. Only the method ``"published"``, whose
    steps pass over the saved times, starts its steps anew and agrees within its tolerances.

    Parameters
    ----------
    path : path
        The file. A run that is complete is returned as it is.
    progress : bool
        Show a bar with the rate and the time left on standard error, if that is a terminal.

    Returns
    -------
    Solution
        The whole run, as `solve` would have returned it; ``wall_seconds`` is the sum of all parts.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be written; BlockingIOError if another process is
        writing it.
    DamagedFileError
        If the file is no run of fourfold, was written in a newer format, or is damaged.
    BlowUpError, StepSizeError, RunInterrupted
        As `solve`.

    Warns
    -----
    ResumeWarning
        If the run was begun by another version of fourfold or at another instruction-set level: its
        last bits may then differ from those of an unbroken run.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from fourfold import nlse
    >>> grid = nlse.Grid(n=64, length=20.0)
    >>> path = os.path.join(tempfile.mkdtemp(), "run.nc")
    >>> _ = nlse.solve(nlse.Problem(grid), nlse.soliton(grid), [0, 1, 2], save=path)
    >>> nlse.resume(path).t  # nothing was left to do
    array([0., 1., 2.])
    """
    target = os.path.abspath(os.fspath(path))
    descriptor = open_locked(target)
    try:
        run = read_run(target)
        index, field, slot = run.field()
    except BaseException:
        os.close(descriptor)
        raise
    file = RunFile(target, descriptor, run.layout, index + 1, slot)
    file.last_checksum = int(run.records["checksum"][index])
    try:
        _warn_of_differences(run, target)
        if index + 1 < len(run.records):
            file.forget_later()
        plan = run.plan
        stepper = plan.stepper()
        row = run.records[index]
        stepper.restore_control(
            float(row["interval"]), np.reshape(row["next_step"], -1).astype(np.float64)
        )
        clock = Clock(plan, stepper, run.counters(index), float(row["wall_seconds"]))
        log = Log(plan, stepper, clock)
        keeper: Keeper
        if plan.store == "fields":
            keeper = FileFields(plan, field, log, file)
        else:
            recorder = EnsembleRecorder(plan.problem, len(plan.times), plan.batch_shape)
            known = run.records[: index + 1]
            recorder.restore(stored_statistics(plan, known), stored_conserved(known))
            keeper = KeepStatistics(plan, field, recorder, log, file)
    except BaseException:
        file.close()
        raise
    return advance(plan, stepper, clock, keeper, index + 1, target, progress)


def _warn_of_differences(run: RunRecords, path: str) -> None:
    begun, now = run.layout.attributes, {"version": __version__, "isa": _core.isa_level()}
    was = {name: str(begun[f"fourfold_{name}"]) for name in now}
    if was != now and len(run.records) < len(run.plan.times):
        warnings.warn(
            f"{path} was begun by fourfold {was['version']} at instruction-set level {was['isa']!r} "
            f"and goes on with {now['version']} at {now['isa']!r}: the last bits may differ from "
            "those of an unbroken run",
            ResumeWarning,
            stacklevel=3,
        )
