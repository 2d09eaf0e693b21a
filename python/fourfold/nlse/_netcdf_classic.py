"""The netCDF classic format, 64-bit data version (CDF-5): its header, written and read.

The classic format is a header, then the variables of fixed size one after the other, then records: each
holds one row of every variable whose first dimension is the unlimited one. A record is added by writing
its bytes and then one number, how many records there are, which stands at a fixed place. That makes a
file that can grow and is whole at every moment; netCDF4 (HDF5) moves several structures for each row.

The format is specified by Unidata, "The NetCDF Classic Format Specification". Everything is big-endian.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MAGIC", "RECORD_COUNT_AT", "Layout", "Variable", "lay_out", "parse"]

MAGIC = b"CDF\x05"

RECORD_COUNT_AT = len(MAGIC)
"""Where the number of records stands, a big-endian int64."""

Attribute = str | int | float

_BEHIND_COUNT = RECORD_COUNT_AT + 8

_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12
_CHAR = 2
_CODES = {"i4": 4, "f4": 5, "f8": 6, "u4": 9, "i8": 10}
_TYPES = {code: np.dtype(f">{name}") for name, code in _CODES.items()}


@dataclass(frozen=True)
class Variable:
    """A variable: its type, its dimensions, the unlimited one first if it has it, its attributes."""

    name: str
    dtype: np.dtype[Any]
    dims: tuple[str, ...]
    attributes: Mapping[str, Attribute]

    @property
    def big_endian(self) -> np.dtype[Any]:
        """The type as it is in the file."""
        return self.dtype.newbyteorder(">")


@dataclass(frozen=True)
class Layout:
    """Where everything is in a file.

    Attributes
    ----------
    header : bytes
        The beginning of the file, up to the first variable, with no records.
    dimensions : dict of str to int
        Sizes; 0 is the unlimited one.
    attributes : dict
        Global attributes.
    variables : dict of str to Variable
    offsets : dict of str to int
        Where each variable of fixed size begins.
    record : structured dtype
        One record: a field for each variable with the unlimited dimension.
    records_at : int
        Where the records begin.
    """

    header: bytes
    dimensions: dict[str, int]
    attributes: dict[str, Attribute]
    variables: dict[str, Variable]
    offsets: dict[str, int]
    record: np.dtype[Any]
    records_at: int

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a variable, in one record if it has the unlimited dimension."""
        return tuple(
            self.dimensions[dim] for dim in self.variables[name].dims if self.dimensions[dim]
        )


def lay_out(
    dimensions: Mapping[str, int],
    attributes: Mapping[str, Attribute],
    variables: Sequence[Variable],
) -> Layout:
    """A file with these dimensions (0: the unlimited one), attributes and variables.

    All types have 4 or 8 bytes, so that nothing needs the padding to 4 that the format asks for.
    """
    recorded = [v for v in variables if v.dims and dimensions[v.dims[0]] == 0]
    fixed = [v for v in variables if v not in recorded]

    def size(variable: Variable) -> int:
        lengths = [dimensions[dim] for dim in variable.dims if dimensions[dim]]
        return variable.dtype.itemsize * math.prod(lengths)

    def header(offsets: Mapping[str, int]) -> bytes:
        names = list(dimensions)
        parts = [MAGIC, _int64(0), _tag(_DIMENSION, len(dimensions))]
        parts += [_name(name) + _int64(length) for name, length in dimensions.items()]
        parts.append(_attributes(attributes))
        parts.append(_tag(_VARIABLE, len(variables)))
        for variable in variables:
            parts += [_name(variable.name), _int64(len(variable.dims))]
            parts += [_int64(names.index(dim)) for dim in variable.dims]
            parts.append(_attributes(variable.attributes))
            parts.append(_int32(_CODES[variable.dtype.str[1:]]))
            parts += [_int64(size(variable)), _int64(offsets.get(variable.name, 0))]
        return b"".join(parts)

    offsets: dict[str, int] = {}
    end = len(header({}))
    for variable in [*fixed, *recorded]:
        offsets[variable.name] = end
        end += size(variable)
    return _parse(header(offsets))


def parse(header: bytes) -> Layout:
    """The layout that a file's beginning describes.

    Raises
    ------
    ValueError
        If these bytes are no header of this format, it is cut short, or not as `lay_out` makes it.
    """
    found = _parse(header)
    again = lay_out(found.dimensions, found.attributes, list(found.variables.values()))
    if again.header[_BEHIND_COUNT:] != found.header[_BEHIND_COUNT:]:
        raise ValueError("its header does not describe such a file")
    return found


def _parse(header: bytes) -> Layout:
    read = _Reader(header)
    if read.bytes(4) != MAGIC:
        raise ValueError("it does not begin like a netCDF file of the 64-bit data format")
    read.int64()  # the number of records
    dimensions = {read.name(): read.int64() for _ in range(read.count(_DIMENSION))}
    names = list(dimensions)
    attributes = read.attributes()
    variables: dict[str, Variable] = {}
    offsets: dict[str, int] = {}
    fields: list[tuple[str, np.dtype[Any], tuple[int, ...]]] = []
    for _ in range(read.count(_VARIABLE)):
        name = read.name()
        dims = tuple(names[read.index(len(names))] for _ in range(read.int64()))
        own = read.attributes()
        dtype = read.dtype()
        read.int64()  # the size, which follows from the dimensions
        offsets[name] = read.int64()
        variables[name] = Variable(name, dtype.newbyteorder("="), dims, own)
        if dims and dimensions[dims[0]] == 0:
            fields.append((name, dtype, tuple(dimensions[dim] for dim in dims[1:])))
    first = min((offsets[name] for name, _, _ in fields), default=read.at)
    return Layout(
        header=header[: read.at],
        dimensions=dimensions,
        attributes=attributes,
        variables=variables,
        offsets={name: at for name, at in offsets.items() if name not in {f[0] for f in fields}},
        record=np.dtype(fields),
        records_at=first,
    )


def _int32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _int64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _name(name: str) -> bytes:
    raw = name.encode()
    return _int64(len(raw)) + _padded(raw)


def _tag(kind: int, count: int) -> bytes:
    return _int32(kind if count else 0) + _int64(count)


def _attributes(attributes: Mapping[str, Attribute]) -> bytes:
    parts = [_tag(_ATTRIBUTE, len(attributes))]
    for name, value in attributes.items():
        if isinstance(value, str):
            raw = value.encode()
            parts.append(_name(name) + _int32(_CHAR) + _int64(len(raw)) + _padded(raw))
        else:
            array: npt.NDArray[Any] = np.asarray(value, ">i8" if isinstance(value, int) else ">f8")
            code = _CODES[array.dtype.str[1:]]
            parts.append(_name(name) + _int32(code) + _int64(1) + array.tobytes())
    return b"".join(parts)


class _Reader:
    """Takes a header apart; every reach beyond its end is a ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def bytes(self, count: int) -> bytes:
        if not 0 <= count <= len(self._data) - self.at:
            raise ValueError("its header is cut short or damaged")
        taken = self._data[self.at : self.at + count]
        self.at += count
        return taken

    def int64(self) -> int:
        value = int.from_bytes(self.bytes(8), "big", signed=True)
        if value < 0:
            raise ValueError(f"its header holds the size {value}")
        return value

    def index(self, below: int) -> int:
        value = self.int64()
        if value >= below:
            raise ValueError(f"its header names dimension {value} of {below}")
        return value

    def count(self, kind: int) -> int:
        found = int.from_bytes(self.bytes(4), "big")
        count = self.int64()
        if found != (kind if count else 0):
            raise ValueError(f"its header has the tag {found} in place of {kind}")
        return count

    def text(self, length: int) -> str:
        raw = self.bytes(length)
        self.bytes(-length % 4)
        return raw.decode()  # UnicodeDecodeError is a ValueError

    def name(self) -> str:
        return self.text(self.int64())

    def dtype(self) -> np.dtype[Any]:
        code = int.from_bytes(self.bytes(4), "big")
        if code not in _TYPES:
            raise ValueError(f"its header names the type {code}, which is not used here")
        return _TYPES[code]

    def attributes(self) -> dict[str, Attribute]:
        found: dict[str, Attribute] = {}
        for _ in range(self.count(_ATTRIBUTE)):
            name = self.name()
            if self._data[self.at : self.at + 4] == _int32(_CHAR):
                self.bytes(4)
                found[name] = self.text(self.int64())
                continue
            dtype = self.dtype()
            if self.int64() != 1:
                raise ValueError(f"its attribute {name!r} is no single number")
            found[name] = np.frombuffer(self.bytes(dtype.itemsize), dtype)[0].item()
        return found
