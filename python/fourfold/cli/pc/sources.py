"""Reading what ``fourfold pc`` is given: arrays, folders of images, tables."""

from __future__ import annotations

import gzip
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.cli.outcome import Problem, Refusal, require

__all__ = ["Loaded", "load"]

_IDX = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4"}
_TABLES = (".csv", ".parquet")


@dataclass(frozen=True)
class Loaded:
    """Data, and what is worth recording beside them.

    Attributes
    ----------
    data : array, or dict of columns
    notes : dict
        Goes into the stream's metadata: the names of images, for instance.
    """

    data: Any
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def is_table(self) -> bool:
        """Whether it is a table."""
        return isinstance(self.data, dict)

    def __len__(self) -> int:
        return len(next(iter(self.data.values()))) if self.is_table else len(self.data)


def load(path: Path) -> Loaded:
    """Read .npy, .npz with one array, IDX (also .gz), a folder of PNGs, CSV or Parquet.

    Raises
    ------
    Refusal
        If the file cannot be read or is of no such kind.
    MissingExtraError
        If pyarrow or Pillow is needed and not installed.
    """
    if path.is_dir():
        require(f"reading the images in {path}", "images")
        return _images(path)
    if path.suffix in _TABLES:
        require(f"reading {path}", "table")
        return Loaded(_table(path))
    try:
        if path.suffix == ".npy":
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        elif path.suffix == ".npz":
            array = _only_array(path)
        else:
            array = _idx(path)
    except (OSError, EOFError) as error:
        raise _refusal(path, getattr(error, "strerror", None) or str(error)) from None
    except (ValueError, zipfile.BadZipFile) as error:
        raise _refusal(path, str(error)) from None
    if array.dtype.kind not in "biu" or array.ndim == 0:
        raise _refusal(
            path,
            f"an array of {array.dtype} of shape {array.shape}; allowed: integers or booleans with "
            "one observation along the first axis",
        )
    return Loaded(array)


def _refusal(path: Path, message: str) -> Refusal:
    return Refusal([Problem(str(path), "cannot be read", message)])


def _only_array(path: Path) -> npt.NDArray[Any]:
    with np.load(path, allow_pickle=False) as archive:
        if len(archive.files) != 1:
            raise ValueError(
                f"it holds {len(archive.files)} arrays ({', '.join(archive.files)}); allowed: one"
            )
        return np.asarray(archive[archive.files[0]])


def _idx(path: Path) -> npt.NDArray[Any]:
    """The format of MNIST: 0, 0, type, number of axes, lengths, values; all big-endian."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        start = file.read(4)
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _IDX or start[3] == 0:
            raise ValueError(
                "of no kind that is known; allowed: .npy, .npz, IDX, .csv, .parquet, a folder of "
                ".png files"
            )
        shape = tuple(np.frombuffer(file.read(4 * start[3]), dtype=">u4").tolist())
        content = file.read()
    dtype = np.dtype(_IDX[start[2]])
    if len(shape) != start[3] or len(content) != dtype.itemsize * int(
        np.prod(shape, dtype=np.int64)
    ):
        raise ValueError("it does not hold as many values as its IDX header says")
    array = np.frombuffer(content, dtype=dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _images(folder: Path) -> Loaded:
    from PIL import Image, UnidentifiedImageError

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png")
    if not paths:
        raise _refusal(folder, "it holds no .png files")
    images = []
    for path in paths:
        try:
            with Image.open(path) as image:
                if image.mode not in ("L", "RGB"):
                    raise _refusal(path, f"of mode {image.mode}; allowed: 8-bit grey (L) or RGB")
                images.append(np.asarray(image))
        except (OSError, UnidentifiedImageError) as error:
            raise _refusal(path, str(error)) from None
        if images[-1].shape != images[0].shape:
            raise _refusal(
                path,
                f"of shape {images[-1].shape}, the first is of shape {images[0].shape}; allowed: "
                "images of one size and one number of channels in a folder",
            )
    return Loaded(np.stack(images), {"names": [path.name for path in paths]})


def _table(path: Path) -> dict[str, Any]:
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        if path.suffix == ".parquet":
            table = parquet.read_table(path)
        else:
            # An empty cell is missing, "" is an empty string, and NA is the string NA.
            options = csv.ConvertOptions(
                null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
            )
            table = csv.read_csv(path, convert_options=options)
    except FileNotFoundError:
        raise _refusal(path, "No such file or directory") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise _refusal(path, str(error)) from None
    if len(set(table.column_names)) < len(table.column_names) or not table.column_names:
        raise _refusal(path, "columns need names, each its own")
    return {
        name: _column(path, name, column.combine_chunks())
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


def _column(path: Path, name: str, column: Any) -> Any:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    missing = np.asarray(column.is_null())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return np.array([*column.to_pylist(), None], dtype=object)[:-1]
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise Refusal(
            [
                Problem(
                    str(path),
                    name,
                    f"a column of type {kind}; allowed: integers, booleans and strings",
                )
            ]
        )
    values = np.asarray(column.fill_null(False if pa.types.is_boolean(kind) else 0))
    return np.ma.MaskedArray(values, mask=missing) if missing.any() else values
