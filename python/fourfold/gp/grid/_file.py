"""Fitted models in files: plain arrays and one JSON text."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from fourfold.errors import DamagedFileError
from fourfold.gp._archive import Arrays, read_archive, write_archive

__all__ = ["Arrays", "read", "write"]

_FORMAT = "fourfold.gp.GridGP"
_VERSION = 1


def write(path: str | os.PathLike[str], settings: dict[str, Any], arrays: Arrays) -> None:
    """Write both; an older file of this name is replaced when the new one is complete."""
    text = json.dumps({"format": _FORMAT, "version": _VERSION, **settings})
    write_archive(path, {"settings": np.array(text), **arrays})


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Arrays]:
    """Settings and arrays.

    Raises
    ------
    DamagedFileError
        The file is not what `write` wrote.
    """
    arrays = read_archive(path, _FORMAT)
    try:
        settings = json.loads(str(arrays.pop("settings")))
        kind, version = settings.pop("format"), settings.pop("version")
    except (ValueError, KeyError, AttributeError, TypeError) as error:  # no JSON, or another's
        raise DamagedFileError(f"{path}: not a complete file of {_FORMAT}: {error}") from error
    if kind != _FORMAT or version != _VERSION:
        raise DamagedFileError(
            f"{path}: expected {_FORMAT}, version {_VERSION}, got {kind!r}, version {version!r}"
        )
    return settings, arrays
