"""The state of learning in a file, from which it goes on bit for bit.

The file holds the magic ``89 46 46 50 4B 0D 0A 1A``, a uint32 with the length of a JSON object, that
object, which lists names, dtypes and lengths of arrays, these arrays one after the other, all
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
from fourfold.pc._sealed import unsealed, write_sealed
from fourfold.pc.circuit import Circuit

__all__ = ["State", "load", "name_of", "save"]

_MAGIC = b"\x89FFPK\r\n\x1a"

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
    start: Circuit,
    codes: npt.NDArray[Any],
    held_out: npt.NDArray[Any] | None,
    options: Options,
    kinds: dict[int, str],
    *,
    on_gpu: bool = False,
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
    plan = (
        options.epochs,
        options.batch_size(len(codes)),
        options.momentum,
        options.pseudocount,
        options.algorithm,
        options.patience,
        options.seed,
        steps,
        kinds,
    )
    digest.update(repr(plan).encode())
    if on_gpu:
        digest.update(b"cuda")
    return digest.hexdigest()


def save(
    path: str | os.PathLike[str], name: str, state: State, arrays: dict[str, npt.NDArray[Any]]
) -> None:
    """Write the state and named arrays; the file is replaced when the new one is complete."""
    written = {
        key: array.astype(array.dtype.newbyteorder("<"))
        for key, array in {**arrays, "best": state.best}.items()
    }
    header = json.dumps(
        {
            "run": name,
            # JSON has no infinity.
            "best_bits": None if math.isinf(state.best_bits) else state.best_bits,
            "best_epoch": state.best_epoch,
            "seconds": state.seconds,
            "history": state.history,
            "arrays": [(key, array.dtype.str, array.size) for key, array in written.items()],
        }
    ).encode()
    parts = [_MAGIC, struct.pack("<I", len(header)), header]
    parts += [array.tobytes() for array in written.values()]
    write_sealed(path, parts)


def load(path: str | os.PathLike[str], name: str) -> tuple[State, dict[str, npt.NDArray[Any]]]:
    """Read the state of the run of this name, and its arrays.

    Raises
    ------
    DamagedFileError
        If the file is not what `save` wrote.
    ValueError
        If it belongs to another run.
    """
    content = Path(path).read_bytes()
    if not content.startswith(_MAGIC):
        raise DamagedFileError(f"{path}: not a checkpoint of fourfold.pc")
    body = unsealed(path, content)
    (length,) = struct.unpack_from("<I", body, len(_MAGIC))
    at = len(_MAGIC) + 4
    header = json.loads(bytes(body[at : at + length]))
    at += length
    if header["run"] != name:
        raise ValueError(
            f"checkpoint: {path} belongs to another run: other data, another start or other "
            "options; give the same ones, or another file"
        )
    arrays: dict[str, npt.NDArray[Any]] = {}
    for key, dtype, size in header["arrays"]:
        array = np.frombuffer(body, dtype, size, at)
        arrays[key] = array.astype(array.dtype.newbyteorder("="))
        at += array.nbytes
    best_bits = header["best_bits"]
    state = State(
        best=arrays.pop("best"),
        best_bits=math.inf if best_bits is None else best_bits,
        best_epoch=header["best_epoch"],
        seconds=header["seconds"],
        history=[tuple(record) for record in header["history"]],
    )
    return state, arrays
