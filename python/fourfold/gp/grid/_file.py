"""Fitted models in files: NumPy's ``.npz`` with plain arrays and one JSON text, no pickle."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import DamagedFileError

__all__ = ["read", "write"]

_FORMAT = "fourfold.gp.GridGP"
_VERSION = 1

Arrays = dict[str, npt.NDArray[Any]]


def write(path: str | os.PathLike[str], settings: dict[str, Any], arrays: Arrays) -> None:
    """Write both; an older file of this name is replaced when the new one is complete."""
    text = json.dumps({"format": _FORMAT, "version": _VERSION, **settings})
    target = Path(path)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, settings=np.array(text), **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Arrays]:
    """Settings and arrays.

    Raises
    ------
    DamagedFileError
        The file is not what `write` wrote.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        settings = json.loads(str(arrays.pop("settings")))
        kind, version = settings.pop("format"), settings.pop("version")
    except (zipfile.BadZipFile, ValueError, KeyError, AttributeError, EOFError, TypeError) as error:
        raise DamagedFileError(f"{path}: not a complete file of {_FORMAT}: {error}") from error
    if kind != _FORMAT or version != _VERSION:
        raise DamagedFileError(
            f"{path}: expected {_FORMAT}, version {_VERSION}, got {kind!r}, version {version!r}"
        )
    return settings, arrays
