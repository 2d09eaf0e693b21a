"""A checksum of the values and attributes of a dataset, however a library lays them out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["content_digest"]

# The checksum cannot cover itself; tools that copy netCDF files add lines to the history.
_NOT_COVERED = frozenset({"content_sha256", "history"})


def content_digest(
    variables: Mapping[str, tuple[tuple[str, ...], npt.NDArray[Any]]],
    attributes: Mapping[str, Any],
) -> str:
    """SHA-256, in hexadecimal, of named arrays with their dimensions and of named attributes.

    It depends neither on their order nor on the byte order of this machine.

    Parameters
    ----------
    variables : mapping of str to (dimensions, array)
    attributes : mapping of str to str, int or float
    """
    digest = hashlib.sha256()
    for name in sorted(variables):
        dims, values = variables[name]
        portable = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        digest.update(repr((name, dims, portable.dtype.str, portable.shape)).encode())
        digest.update(portable.data.cast("B") if portable.size else b"")
    for name in sorted(attributes.keys() - _NOT_COVERED):
        digest.update(repr((name, _plain(attributes[name]))).encode())
    return digest.hexdigest()


def _plain(value: Any) -> str | int | float:
    """An attribute as Python has it, whatever number type a library gives it."""
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    return str(value)
