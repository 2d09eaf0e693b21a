"""Fields in the file of a run, read when they are asked for."""

from __future__ import annotations

import os
import zlib
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import DamagedFileError
from fourfold.nlse._netcdf_classic import Layout

__all__ = ["StoredFields", "check_records", "join", "like_input", "map_records"]


def map_records(path: str, layout: Layout, count: int) -> npt.NDArray[Any]:
    """The first records of a file, structured (count,), over the file's bytes."""
    mapped: npt.NDArray[Any] = np.memmap(path, layout.record, "r", layout.records_at, (count,))
    return mapped


def check_records(path: str, records: npt.NDArray[Any]) -> None:
    """Raise a `DamagedFileError` unless every record has the checksum that it ends with."""
    size = records.dtype.itemsize
    data = records.view(np.ndarray).view(np.uint8)
    for index, recorded in enumerate(records["checksum"].tolist()):
        if zlib.crc32(data[index * size : (index + 1) * size - 4].data) != recorded:
            raise DamagedFileError(
                f"{path} is damaged: saved time number {index} does not have the recorded checksum"
            )


def join(real: npt.NDArray[Any], imag: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A complex array from its parts; not by arithmetic, which would not keep signs of zeros."""
    whole = np.empty(real.shape, dtype)
    whole.real = real
    whole.imag = imag
    return whole


def like_input(field: npt.NDArray[Any], is_torch: bool) -> Any:
    """``field`` as the kind of array that the user came with, over the same memory."""
    return import_module("torch").from_numpy(field) if is_torch else field


class StoredFields:
    """The fields in a run's file, read when they are asked for."""

    def __init__(
        self,
        path: str,
        layout: Layout,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        last_checksum: int,
        is_torch: bool,
    ) -> None:
        self.shape = shape
        self._path = path
        self._layout = layout
        self._dtype = dtype
        self._last_checksum = last_checksum
        self._is_torch = is_torch

    def read(self) -> Any:
        """The fields at all saved times."""
        return self._read(whole=True)

    def read_last(self) -> Any:
        """The field at the last saved time."""
        return self._read(whole=False)

    def _read(self, whole: bool) -> Any:
        count = self.shape[0]
        needed = self._layout.records_at + count * self._layout.record.itemsize
        if os.path.getsize(self._path) < needed:
            raise DamagedFileError(f"{self._path} is no longer the file of this run")
        records = map_records(self._path, self._layout, count)
        # The last record also holds the computing time: no two runs have the same.
        if int(records["checksum"][-1]) != self._last_checksum:
            raise DamagedFileError(f"{self._path} is no longer the file of this run")
        chosen = records if whole else records[-1:]
        check_records(self._path, chosen)
        psi = join(chosen["psi_real"], chosen["psi_imag"], self._dtype)
        return like_input(psi if whole else psi[0], self._is_torch)
