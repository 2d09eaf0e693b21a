"""The state of learning in a file, from which it goes on bit for bit.

The file holds the magic ``89 46 46 50 4B 0D 0A 1A``, a uint32 with the length of a JSON object, that
object, float32 arrays (the tables, the best tables, the moving averages if there are any), all
little-endian, and the BLAKE2b of all before it, 32 bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import DamagedFileError
from fourfold.pc._options import Options
from fourfold.pc.circuit import Circuit

__all__ = ["State", "load", "name_of", "save"]

_MAGIC = b"\x89FFPK\r\n\x1a"
_DIGEST = 32

Table = npt.NDArray[np.float32]


@dataclass
class State:
    """What a run has reached."""

    best: Table
    best_bits: float = math.inf
    best_epoch: int = 0
    seconds: float = 0.0
    history: list[tuple[Any, ...]] = field(default_factory=list)


def name_of(
    start: Circuit, codes: npt.NDArray[Any], held_out: npt.NDArray[Any] | None, options: Options
) -> str:
    """A name for all that decides what a run computes.

    A step schedule that is a function is named by its values at 0, 1/4, 1/2, 3/4 and 1.
    """
    digest = hashlib.blake2b(start.digest, digest_size=16)
    for array in (codes, held_out):
        if array is not None:
            digest.update(repr((array.shape, array.dtype.str)).encode())
            digest.update(np.ascontiguousarray(array).data)
    steps = [options.step(share) for share in (0, 0.25, 0.5, 0.75, 1)]
    numbers = (
        options.epochs,
        options.batch_size(len(codes)),
        options.momentum,
        options.pseudocount,
    )
    digest.update(repr((options.algorithm, *numbers, options.patience, options.seed)).encode())
    digest.update(repr(steps).encode())
    return digest.hexdigest()


def save(
    path: str | os.PathLike[str], name: str, state: State, tables: Table, average: Table | None
) -> None:
    """Write the state; the file is replaced when the new one is complete."""
    header = json.dumps(
        {
            "run": name,
            # JSON has no infinity.
            "best_bits": None if math.isinf(state.best_bits) else state.best_bits,
            "best_epoch": state.best_epoch,
            "seconds": state.seconds,
            "history": state.history,
            "averages": average is not None,
        }
    ).encode()
    parts = [_MAGIC, struct.pack("<I", len(header)), header]
    arrays = [tables, state.best] + ([] if average is None else [average])
    parts += [array.astype("<f4").tobytes() for array in arrays]
    digest = hashlib.blake2b(digest_size=_DIGEST)
    target = Path(path)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            for part in parts:
                digest.update(part)
                file.write(part)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | os.PathLike[str], name: str, size: int) -> tuple[State, Table, Table | None]:
    """Read the state of the run of this name, with tables of ``size`` floats.

    Raises
    ------
    DamagedFileError
        If the file is not what `save` wrote.
    ValueError
        If it belongs to another run.
    """
    content = Path(path).read_bytes()
    body, digest = content[:-_DIGEST], content[-_DIGEST:]
    if not content.startswith(_MAGIC):
        raise DamagedFileError(f"{path}: not a checkpoint of fourfold.pc")
    if hashlib.blake2b(body, digest_size=_DIGEST).digest() != digest:
        raise DamagedFileError(
            f"{path}: the checksum does not fit: the file is cut off or was changed"
        )
    (length,) = struct.unpack_from("<I", body, len(_MAGIC))
    begin = len(_MAGIC) + 4
    header = json.loads(body[begin : begin + length])
    if header["run"] != name:
        raise ValueError(
            f"checkpoint: {path} belongs to another run: other data, another start or other "
            "options; give the same ones, or another file"
        )
    count = 3 if header["averages"] else 2
    arrays = np.frombuffer(body, "<f4", offset=begin + length).reshape(count, size)
    own = arrays.astype(np.float32)
    best_bits = header["best_bits"]
    state = State(
        best=own[1],
        best_bits=math.inf if best_bits is None else best_bits,
        best_epoch=header["best_epoch"],
        seconds=header["seconds"],
        history=[tuple(record) for record in header["history"]],
    )
    return state, own[0], own[2] if count == 3 else None
