"""Reading the file of a run that was saved while it went on, whether it is complete or not."""

from __future__ import annotations

import math
import os
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold._version import __version__
from fourfold.errors import DamagedFileError
from fourfold.nlse._conserved import Conserved
from fourfold.nlse._kernel import Counters
from fourfold.nlse._netcdf_classic import RECORD_COUNT_AT, Layout, parse
from fourfold.nlse._plan import Plan
from fourfold.nlse._run_file import slot_checksum
from fourfold.nlse._run_layout import CONTENT, RUN_FORMAT, SLOTS, plan_of
from fourfold.nlse._stored import check_records, join, map_records
from fourfold.nlse.solution import Solution, SolveStats
from fourfold.nlse.statistics import EnsembleStatistics

__all__ = ["RunRecords", "read_run", "run_solution", "stored_conserved", "stored_statistics"]

# Headers are much smaller; this much is read to find one.
_HEADER_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class RunRecords:
    """The contents of a run's file.

    Attributes
    ----------
    plan : Plan
    layout : Layout
    records : structured array (T,)
        One for each time that was saved, over the file's bytes.
    """

    path: str

    plan: Plan
    layout: Layout
    records: npt.NDArray[Any]

    def field(self) -> tuple[int, npt.NDArray[Any], int]:
        """What the run goes on from: place among the times, field, slot to be written next.

        With statistics only while nobody writes the file.
        """
        if self.plan.store == "statistics":
            return _read_state(self.path, self.layout, self.plan, len(self.records))
        last = self.records[-1]
        field = join(last["psi_real"], last["psi_imag"], self.plan.dtype)
        return len(self.records) - 1, field.reshape(self.plan.field_shape), 0

    def counters(self, index: int) -> Counters:
        """What had been done when time ``index`` was saved."""
        row = self.records[index]
        steps, rejected, transforms = (
            int(row[name]) for name in ("steps", "rejected", "transforms")
        )
        last = float(np.reshape(row["next_step"], -1)[-1])
        return Counters(steps, rejected, transforms, last)


def read_run(path: str) -> RunRecords:
    """Read the file at ``path`` and check all of it.

    Raises
    ------
    DamagedFileError
        If it is no run of fourfold, one of a newer format, or damaged.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        beginning = file.read(_HEADER_BYTES)
        size = os.fstat(file.fileno()).st_size
    try:
        layout = parse(beginning)
    except ValueError as error:
        raise DamagedFileError(f"{path} is no run of fourfold, or damaged: {error}") from None
    attributes = layout.attributes
    if attributes.get("fourfold_content") != CONTENT:
        raise DamagedFileError(f"{path} is not a run that fourfold.nlse saved")
    version = attributes.get("fourfold_run_format")
    if not isinstance(version, int) or version < 1:
        raise DamagedFileError(f"{path} is damaged: its format is given as {version!r}")
    if version > RUN_FORMAT:
        raise DamagedFileError(
            f"{path} has format {version}, written by fourfold "
            f"{attributes.get('fourfold_version')}; this is fourfold {__version__}, which reads "
            f"formats up to {RUN_FORMAT}: upgrade fourfold"
        )
    count = int.from_bytes(beginning[RECORD_COUNT_AT : RECORD_COUNT_AT + 8], "big")
    ends = layout.records_at + count * layout.record.itemsize
    if size < ends:
        raise DamagedFileError(
            f"{path} is cut short: {count} saved times need {ends} bytes, it has {size}"
        )
    if count == 0:
        raise DamagedFileError(f"{path} is damaged: it holds no saved time")
    fixed = _read_setup(path, layout)
    try:
        plan = plan_of(layout, fixed)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(f"{path} describes no run: {error!r}") from error
    records = map_records(path, layout, count)
    check_records(path, records)
    if not np.array_equal(records["time"], plan.times[:count]):
        raise DamagedFileError(f"{path} is damaged: its records are not those of its times")
    return RunRecords(path, plan, layout, records)


def _read_setup(path: str, layout: Layout) -> dict[str, npt.NDArray[np.float64]]:
    """The variables that never change, in native byte order, checked."""
    fixed: dict[str, npt.NDArray[np.float64]] = {}
    # The number of records, which changes, counts as zero.
    checksum = zlib.crc32(
        layout.header[:RECORD_COUNT_AT] + bytes(8) + layout.header[RECORD_COUNT_AT + 8 :]
    )
    with open(path, "rb") as file:

        def read(name: str) -> npt.NDArray[Any]:
            kind = np.dtype(layout.variables[name].big_endian)
            shape = layout.shape(name)
            file.seek(layout.offsets[name])
            data = file.read(kind.itemsize * math.prod(shape))
            return np.frombuffer(data, kind).reshape(shape)

        for name in layout.offsets:
            if name.startswith("state_") or name == "setup_checksum":
                continue
            values = read(name)
            checksum = zlib.crc32(values.tobytes(), checksum)
            fixed[name] = values.astype(np.float64)
        recorded = int(read("setup_checksum")) if "setup_checksum" in layout.offsets else None
    if checksum != recorded:
        raise DamagedFileError(f"{path} is damaged: its setup does not have the recorded checksum")
    return fixed


def _read_state(
    path: str, layout: Layout, plan: Plan, count: int
) -> tuple[int, npt.NDArray[Any], int]:
    """The newest whole field to go on from, its place before it, the other slot behind it."""
    places, checksums = (
        np.fromfile(path, layout.variables[name].big_endian, SLOTS, offset=layout.offsets[name])
        for name in ("state_time_index", "state_checksum")
    )
    slot = int(np.argmax(places))
    index = int(places[slot])
    if not 0 <= index < count:
        raise DamagedFileError(f"{path} is damaged: it holds no field to go on from")
    kind = layout.variables["state_real"].big_endian
    points = plan.count * plan.problem.grid.n
    real, imag = (
        np.fromfile(path, kind, points, offset=layout.offsets[name] + slot * points * kind.itemsize)
        for name in ("state_real", "state_imag")
    )
    if slot_checksum(index, real.tobytes(), imag.tobytes()) != int(checksums[slot]):
        raise DamagedFileError(
            f"{path} is damaged: the field to go on from does not have the recorded checksum"
        )
    return index, join(real, imag, plan.dtype).reshape(plan.field_shape), 1 - slot


def run_solution(path: str) -> Solution:
    """The solution in a run's file, as far as it goes."""
    run = read_run(path)
    plan, records, count = run.plan, run.records, len(run.records)
    counters = run.counters(-1)
    stats = SolveStats(
        method=plan.method.name,
        order=plan.problem.order(plan.method.name),
        steps=counters.steps,
        rejected=counters.rejected,
        transforms=counters.transforms,
        wall_seconds=float(records["wall_seconds"][-1]),
        step=counters.last_step if counters.steps > 0 else None,
        adaptive=plan.step is None,
        threads=int(run.layout.attributes["threads"]),
    )
    times = plan.times[:count]
    if plan.store == "fields":
        psi = join(records["psi_real"], records["psi_imag"], plan.dtype)
        return Solution(plan.problem, times, stats, psi=psi)
    # While the run goes on, the field may be written this moment.
    final = run.field()[1] if count == len(plan.times) else None
    return Solution(
        plan.problem,
        times,
        stats,
        final=final,
        statistics=stored_statistics(plan, records),
        conserved=stored_conserved(records),
    )


def stored_statistics(plan: Plan, records: npt.NDArray[Any]) -> EnsembleStatistics:
    """The statistics in the records of a run."""
    complex128 = np.dtype(np.complex128)
    return EnsembleStatistics(
        count=plan.count,
        mean_field=join(records["mean_field_real"], records["mean_field_imag"], complex128),
        mean_coefficients=join(
            records["mean_coefficients_real"], records["mean_coefficients_imag"], complex128
        ),
        intensity=records["intensity"].astype(np.float64),
        intensity_variance=records["intensity_variance"].astype(np.float64),
        spectrum=records["spectrum"].astype(np.float64),
    )


def stored_conserved(records: npt.NDArray[Any]) -> Conserved:
    """Mass, momentum and energy in the records of a run with statistics."""
    return Conserved(*(records[name].astype(np.float64) for name in ("mass", "momentum", "energy")))
