"""The file of a run that is saved while it goes on: written so that a kill at any moment leaves it whole.

Records are written behind the last one, and count from the moment in which their number, eight bytes at a
fixed place, is written. Records wait in memory until a fraction of a second has passed, and are on the
disk before their number is.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import time
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse._netcdf_classic import RECORD_COUNT_AT, Layout
from fourfold.nlse._plan import Plan
from fourfold.nlse._run_layout import SLOTS, lay_out_run, setup_values

__all__ = ["RunFile", "open_locked", "refuse_existing", "slot_checksum"]

Values = Mapping[str, Any]

_SECONDS_BETWEEN_WRITES = 0.5
_LARGEST_SHARE = 0.05  # of the time may go into writing
_MOST_PENDING_BYTES = 8 << 20

# What file systems say that have no locks. There, two processes on one file are up to the user.
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
_NO_LINKS = {errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP}


# Not every system has the call that leaves the time of the last change to later.
_sync = getattr(os, "fdatasync", os.fsync)


def refuse_existing(path: str | os.PathLike[str]) -> str:
    """The path of a file that a run is to make; FileExistsError if there is something."""
    target = os.path.abspath(os.fspath(path))
    if os.path.lexists(target):
        raise FileExistsError(
            errno.EEXIST,
            "save: there is a file of that name; nlse.resume goes on with the run in it, "
            "remove it to start anew",
            os.fspath(path),
        )
    if not os.path.isdir(os.path.dirname(target)):
        raise FileNotFoundError(errno.ENOENT, "save: there is no such folder", os.fspath(path))
    return target


class RunFile:
    """A run's file, open for writing and locked against other writers.

    Interrupted anywhere, by a signal's handler too, it can be closed.

    Parameters
    ----------
    path : str
        Absolute.
    descriptor : int
        From `open_locked`; belongs to this object from now on.
    layout : Layout
    saved : int
        How many records to keep; the next one is written behind them.
    slot : int
        The slot for the next field to go on from: not the one whose field is needed.
    """

    def __init__(
        self, path: str, descriptor: int, layout: Layout, saved: int, slot: int = 0
    ) -> None:
        self.path = path
        self.layout = layout
        self._descriptor = descriptor
        # First record that waits, and all that do: one object, so that a signal finds both or none.
        self._pending: tuple[int, list[bytes]] = (saved, [])
        self._slot = slot  # to write next
        self.last_checksum = 0  # of the last record, where this object has added one
        self._broken = False
        self._written_at = time.perf_counter()
        self._pause = _SECONDS_BETWEEN_WRITES

    @classmethod
    def create(
        cls, path: str, plan: Plan, first: Values, state: npt.NDArray[Any] | None
    ) -> RunFile:
        """A new file with one record. It appears under its name when it holds that.

        ``state`` is the field to go on from, if the records do not hold it.
        """
        layout = lay_out_run(plan)
        folder, name = os.path.split(path)
        unfinished = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            _lock(descriptor, path)
            _write(descriptor, layout.header, 0)
            checksum = zlib.crc32(layout.header)
            for variable, values in setup_values(plan):
                data = np.ascontiguousarray(values, ">f8").tobytes()
                checksum = zlib.crc32(data, checksum)
                _write(descriptor, data, layout.offsets[variable])
            if plan.store == "statistics":
                places = np.full(SLOTS, -1, ">i8").tobytes()
                _write(descriptor, places, layout.offsets["state_time_index"])
            _write(descriptor, _uint32(checksum), layout.offsets["setup_checksum"])
            file = cls(path, descriptor, layout, 0)
            file.append(first)
            file.flush(None if state is None else (0, state))
            _move(unfinished, path)
        except BaseException:
            os.close(descriptor)
            os.remove(unfinished)
            raise
        return file

    @property
    def saved(self) -> int:
        """Records, those that wait included."""
        first, waiting = self._pending
        return first + len(waiting)

    def forget_later(self) -> None:
        """Drop the records behind those to keep."""
        self._write_count(self._pending[0])

    def append(self, values: Values) -> None:
        """Add a record, in memory for now."""
        record = np.zeros((), self.layout.record)
        for name, value in values.items():
            record[name] = value
        data = record.tobytes()[:-4]  # the checksum comes last
        checksum = zlib.crc32(data)
        self._pending[1].append(data + _uint32(checksum))
        self.last_checksum = checksum

    @property
    def due(self) -> bool:
        """Whether it is time to write what waits."""
        waiting = len(self._pending[1]) * self.layout.record.itemsize
        return waiting > _MOST_PENDING_BYTES or (
            time.perf_counter() - self._written_at > self._pause
        )

    def flush(self, state: tuple[int, npt.NDArray[Any]] | None = None) -> None:
        """Write what waits, and the field to go on from with its place among the times."""
        began = time.perf_counter()
        first, waiting = self._pending
        try:
            if waiting:
                size = self.layout.record.itemsize
                for index, record in enumerate(waiting, first):
                    _write(self._descriptor, record, self.layout.records_at + index * size)
                _sync(self._descriptor)
                self._write_count(first + len(waiting))
            if state is not None:
                self._write_state(*state)
        except OSError:
            self._broken = True
            raise
        self._pending = (first + len(waiting), [])
        self._written_at = time.perf_counter()
        took = self._written_at - began
        self._pause = max(_SECONDS_BETWEEN_WRITES, took / _LARGEST_SHARE)

    def close(self) -> None:
        """Write what waits, unless writing has failed, and release the file."""
        if self._descriptor < 0:
            return
        try:
            if not self._broken:
                self.flush()
        finally:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _write_count(self, count: int) -> None:
        # Eight bytes in one page: a killed process has written all of them or none.
        _write(self._descriptor, count.to_bytes(8, "big"), RECORD_COUNT_AT)

    def _write_state(self, index: int, field: npt.NDArray[Any]) -> None:
        """Into the slot that is not the newest; it counts from when its place is written."""
        offsets, slot = self.layout.offsets, self._slot
        place = offsets["state_time_index"] + 8 * slot
        _write(self._descriptor, (-1).to_bytes(8, "big", signed=True), place)
        parts = []
        for name, values in (("state_real", field.real), ("state_imag", field.imag)):
            kind = self.layout.variables[name].big_endian
            parts.append(np.ascontiguousarray(values, kind).tobytes())
            _write(self._descriptor, parts[-1], offsets[name] + slot * len(parts[-1]))
        checksum = slot_checksum(index, *parts)
        _write(self._descriptor, _uint32(checksum), offsets["state_checksum"] + 4 * slot)
        _sync(self._descriptor)
        _write(self._descriptor, index.to_bytes(8, "big"), place)
        self._slot = 1 - slot


def slot_checksum(index: int, real: bytes, imag: bytes) -> int:
    """CRC-32 of a field to go on from and of its place among the times."""
    return zlib.crc32(imag, zlib.crc32(real, zlib.crc32(index.to_bytes(8, "big"))))


def _uint32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _write(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written


def open_locked(path: str) -> int:
    """A descriptor of an existing file; BlockingIOError if another process writes it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        _lock(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _move(unfinished: str, path: str) -> None:
    """Give a file its name. Unlike a rename, a link does not replace what has come meanwhile."""
    try:
        os.link(unfinished, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.rename(unfinished, path)
    else:
        os.remove(unfinished)


def _lock(descriptor: int, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(
            errno.EWOULDBLOCK, "another process is writing this run", path
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
