"""Archives of plain arrays: NumPy's ``.npz``, no pickle."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import DamagedFileError

__all__ = ["Arrays", "read_archive", "write_archive"]

Arrays = dict[str, npt.NDArray[Any]]


def write_archive(path: str | os.PathLike[str], arrays: Arrays) -> None:
    """Write all; an older file of this name is replaced when the new one is complete."""
    target = Path(path)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def read_archive(path: str | os.PathLike[str], kind: str) -> Arrays:
    """The arrays; ``kind`` is what the file should be, for the message.

    Raises
    ------
    DamagedFileError
        The file is no archive of arrays, or a changed one.
    """
    content = Path(path).read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            # Reading a member whole checks its sum before anything believes its header.
            members = {name.removesuffix(".npy"): file.read(name) for name in file.namelist()}
        return {
            name: np.lib.format.read_array(io.BytesIO(member), allow_pickle=False)
            for name, member in members.items()
        }
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        ValueError,  # no .npy
        KeyError,
        TypeError,
        EOFError,
        NotImplementedError,  # zipfile: an unknown compression
        RuntimeError,  # zipfile: an encrypted file
    ) as error:
        raise DamagedFileError(f"{path}: not a complete file of {kind}: {error}") from error
