"""Writing what ``fourfold pc decompress`` gives back."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fourfold import pc
from fourfold.cli.outcome import Problem, Refusal, require
from fourfold.cli.staging import staged

__all__ = ["refuse_target", "replaced", "write_back"]

Say = Callable[[str, float], None]
_ITEMS_BYTES = 16 << 20


def refuse_target(path: Path, overwrite: bool) -> None:
    """Refuse a file that is there already, or whose folder is not."""
    if path.exists() and not overwrite:
        raise Refusal(
            [Problem(str(path), "output exists", "choose another -o, or --overwrite to replace")]
        )
    if not path.resolve().parent.is_dir():
        raise Refusal([Problem(str(path), "output", "its folder does not exist")])


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``, which takes its place when the block ends well."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_back(reader: pc.CompressedReader, path: Path, overwrite: bool, say: Say) -> None:
    """Write all items: a table as .csv or .parquet, an array as .npy or .npz or a folder of PNGs."""
    refuse_target(path, overwrite)
    if reader.schema is not None:
        if path.suffix not in (".csv", ".parquet"):
            raise _wrong(path, "the stream holds a table; allowed: .csv or .parquet")
        require(f"writing {path}", "table")
        _write_table(reader, path)
    elif path.suffix == ".npy":
        _write_npy(reader, path, say)
    elif path.suffix == ".npz":
        with replaced(path) as temporary, temporary.open("wb") as file:
            np.savez(file, data=reader.read())
    elif path.suffix == "":
        require(f"writing {path}", "images")
        _write_images(reader, path, say)
    else:
        raise _wrong(path, "the stream holds an array; allowed: .npy, .npz, or a folder for PNGs")


def _wrong(path: Path, message: str) -> Refusal:
    return Refusal([Problem(str(path), "output", message)])


def _write_npy(reader: pc.CompressedReader, path: Path, say: Say) -> None:
    shape, dtype = reader.shape, reader.dtype
    assert dtype is not None
    with replaced(path) as temporary:
        if len(shape) == 0 or np.prod(shape) == 0 or reader.single:
            with temporary.open("wb") as file:
                np.save(file, reader.read())
            return
        out = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
        for start, part in _parts(reader):
            out[start : start + len(part)] = part
            say(f"{start + len(part)} of {shape[0]}", (start + len(part)) / shape[0])
        out.flush()
        del out


def _parts(reader: pc.CompressedReader) -> Iterator[tuple[int, Any]]:
    count = max(1, _ITEMS_BYTES // max(1, reader.item_bytes))
    for start in range(0, len(reader), count):
        yield start, reader[start : start + count]


def _write_images(reader: pc.CompressedReader, folder: Path, say: Say) -> None:
    from PIL import Image

    shape = reader.shape[1:]
    if reader.dtype != np.uint8 or len(shape) not in (2, 3) or shape[2:] not in ((), (3,)):
        raise _wrong(
            folder, f"items of {reader.dtype} of shape {shape} are no images; allowed: .npy, .npz"
        )
    names = _names(reader)
    with staged(folder, names) as temporary:
        for start, part in _parts(reader):
            for i, image in enumerate(part):
                Image.fromarray(image).save(temporary / names[start + i], format="PNG")
            say(f"{start + len(part)} of {len(reader)}", (start + len(part)) / len(reader))


def _names(reader: pc.CompressedReader) -> list[str]:
    """The images' names, as recorded or numbered."""
    names: Any = reader.metadata.get("names")
    # Whatever the stream says, a name must not lead out of the folder.
    if (
        isinstance(names, list)
        and all(isinstance(name, str) and Path(name).name == name for name in names)
        and len(set(names)) == len(reader)
    ):
        return names
    return [f"{i:06d}.png" for i in range(len(reader))]


def _write_table(reader: pc.CompressedReader, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import csv, parquet

    columns = {
        name: pa.array(np.ma.getdata(column), mask=np.ma.getmaskarray(column))
        if column.dtype.kind != "O"
        else pa.array(column.tolist(), type=pa.string())
        for name, column in reader.read().items()
    }
    table = pa.table(columns)
    with replaced(path) as temporary:
        if path.suffix == ".parquet":
            parquet.write_table(table, temporary)
        else:
            csv.write_csv(table, temporary)
