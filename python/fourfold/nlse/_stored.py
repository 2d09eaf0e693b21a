"""Fields in the file of a run, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse._netcdf_classic import Layout

__all__ = ["StoredFields", "join", "map_records"]


def map_records(path: str, layout: Layout, count: int) -> npt.NDArray[Any]:
    """The first records of a file, structured (count,), over the file's bytes."""
    mapped: npt.NDArray[Any] = np.memmap(path, layout.record, "r", layout.records_at, (count,))
    return mapped


def join(real: npt.NDArray[Any], imag: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A complex array from its parts; not by arithmetic, which would not keep signs of zeros."""
    whole = np.empty(real.shape, dtype)
    whole.real = real
    whole.imag = imag
    return whole


class StoredFields:
    """The fields in a run's file, read when they are asked for."""

    def __init__(
        self,
        path: str,
        layout: Layout,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        convert: Callable[[npt.NDArray[Any]], Any],
    ) -> None:
        self.shape = shape
        self._path = path
        self._layout = layout
        self._dtype = dtype
        self._convert = convert

    def read(self) -> Any:
        """The fields at all saved times."""
        return self._read(slice(None))

    def read_last(self) -> Any:
        """The field at the last saved time."""
        return self._read(-1)

    def _read(self, rows: slice | int) -> Any:
        records = map_records(self._path, self._layout, self.shape[0])
        chosen = records[rows]
        return self._convert(
            join(np.asarray(chosen["psi_real"]), np.asarray(chosen["psi_imag"]), self._dtype)
        )
