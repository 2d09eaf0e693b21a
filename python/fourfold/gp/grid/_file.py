"""Fitted models in files: NumPy's ``.npz`` with plain arrays and one JSON text, no pickle."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
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
    content = Path(path).read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            # Reading a member whole checks its sum before anything believes its header.
            members = {name.removesuffix(".npy"): file.read(name) for name in file.namelist()}
        arrays = {
            name: np.lib.format.read_array(io.BytesIO(member), allow_pickle=False)
            for name, member in members.items()
        }
        settings = json.loads(str(arrays.pop("settings")))
        kind, version = settings.pop("format"), settings.pop("version")
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        ValueError,  # no .npy, no JSON
        KeyError,
        AttributeError,  # JSON that is no dictionary
        TypeError,
        EOFError,
        NotImplementedError,  # zipfile: an unknown compression
        RuntimeError,  # zipfile: an encrypted file
    ) as error:
        raise DamagedFileError(f"{path}: not a complete file of {_FORMAT}: {error}") from error
    if kind != _FORMAT or version != _VERSION:
        raise DamagedFileError(
            f"{path}: expected {_FORMAT}, version {_VERSION}, got {kind!r}, version {version!r}"
        )
    return settings, arrays
