"""Tables of integer, boolean and string columns as rows of codes."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from fourfold.errors import CorruptStreamError
from fourfold.pc._bytes import Cursor

__all__ = ["Column", "Table", "TableSchema"]

Table = Mapping[str, Any]
Kind = Literal["integer", "boolean", "string"]
Codes = npt.NDArray[np.int32]

_MOST_VALUES = 65535
"""With the escape there are 65536 codes at most."""


@dataclass(frozen=True)
class Column:
    """What a table's column can hold.

    Attributes
    ----------
    name : str
        Its name.
    kind : {"integer", "boolean", "string"}
        What it holds.
    dtype : str
        NumPy's dtype of the column that comes back; ``object`` for strings.
    start : int or None
        Of an integer column whose codes count from here: value = start + code.
    values : tuple
        What the codes stand for, where they do not count: sorted integers or strings.
    cardinality : int
        Number of codes. The last one is the escape, which stands for any other value, except in a
        boolean column.
    """

    name: str
    kind: Kind
    dtype: str
    start: int | None
    values: tuple[Any, ...]
    cardinality: int

    @property
    def escape(self) -> int | None:
        """The code that stands for any value that was not seen; None for booleans."""
        return None if self.kind == "boolean" else self.cardinality - 1


@dataclass(frozen=True)
class TableSchema:
    """How the columns of a table become variables of a circuit.

    Learn it from a table with `fit`, train a circuit on `codes` with `cardinality`, and pass it to
    `compress`; the stream records it, so that `decompress` gives the table back.

    - An integer column counts from its smallest value if its span is small, else its codes are its
      distinct values.
    - The codes of a string column are its distinct values.
    - Every other value goes through an escape code and is stored as text: it costs more but comes
      back. So do the rarest values of a column with more than ``max_values`` of them.
    - A missing value has no code: it is marginalised in learning and queries, and `compress` codes
      which values are missing beside the others.

    Attributes
    ----------
    columns : tuple of Column
        In the order of the table.
    """

    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, table: Table, *, max_values: int = 4096) -> TableSchema:
        """Learn the columns and their values from a table.

        Parameters
        ----------
        table : mapping of str to columns
            Columns are one-dimensional and of one length: NumPy arrays of integers or booleans,
            masked arrays of those where values are missing, or sequences of strings, integers or
            booleans, None being a missing value.
        max_values : int
            The largest number of codes a column gets.

        Raises
        ------
        TypeError
            If a column holds something else, for instance floating-point numbers.
        ValueError
            If there is no column, lengths differ, or a column holds no value at all.
        """
        if not 1 <= max_values <= _MOST_VALUES:
            raise ValueError(f"max_values: expected 1 to {_MOST_VALUES}, got {max_values}")
        if not table:
            raise ValueError("table: expected at least one column, got none")
        columns = []
        for name, values in table.items():
            kind, data, missing = _read(name, values)
            seen = data[~missing]
            if not len(seen):
                raise ValueError(f"table: column {name!r} holds no value to learn from")
            columns.append(_fit_column(name, kind, data.dtype, seen, max_values))
        schema = cls(tuple(columns))
        schema._columns_of(table)
        return schema

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    @property
    def cardinality(self) -> npt.NDArray[np.int32]:
        """How many codes each column has, escape included."""
        return np.array([column.cardinality for column in self.columns], dtype=np.int32)

    def codes(self, table: Table) -> np.ma.MaskedArray[Any, np.dtype[np.int32]]:
        """The table as a masked array (n, columns) of codes, masked where values are missing."""
        cells, _ = self.encode(table)
        return np.ma.MaskedArray(np.maximum(cells, 0), mask=cells < 0)

    def encode(self, table: Table) -> tuple[Codes, list[tuple[int, int, str]]]:
        """The table's codes, and the values that went through an escape.

        Returns
        -------
        codes : (n, columns) int32
            -1 where a value is missing.
        escaped : list of (row, column, text)
            Sorted.
        """
        columns = self._columns_of(table)
        rows = len(columns[0][0])
        cells = np.empty((rows, len(columns)), dtype=np.int32)
        escaped: list[tuple[int, int, str]] = []
        for i, (column, (data, missing)) in enumerate(zip(self.columns, columns, strict=True)):
            cells[:, i] = _to_codes(column, data)
            cells[missing, i] = -1
            for row in np.flatnonzero(cells[:, i] == column.escape) if column.escape else ():
                escaped.append((int(row), i, str(data[row])))
        escaped.sort(key=lambda entry: entry[:2])
        return cells, escaped

    def decode(self, cells: Codes, escaped: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
        """Turn codes, -1 being missing, and the escaped values in order back into a table.

        Returns
        -------
        dict
            Integer and boolean columns as arrays of their dtype, masked arrays if a value is
            missing; string columns as object arrays, None being missing.

        Raises
        ------
        CorruptStreamError
            If the codes and the escaped values do not belong together.
        """
        places = np.argwhere(
            cells == np.array([-2 if c.escape is None else c.escape for c in self.columns])
        )
        if len(places) != len(escaped):
            raise CorruptStreamError(
                f"{len(places)} values are escaped, {len(escaped)} are stored as text"
            )
        texts: list[dict[int, str]] = [{} for _ in self.columns]
        for (row, i), text in zip(places.tolist(), escaped, strict=True):
            texts[i][row] = text
        return {
            column.name: _from_codes(column, cells[:, i], texts[i])
            for i, column in enumerate(self.columns)
        }

    def to_json(self) -> str:
        """The schema as text."""
        return json.dumps([asdict(column) for column in self.columns], separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> TableSchema:
        """Read what `to_json` wrote.

        Raises
        ------
        CorruptStreamError
            If it is no schema.
        """
        try:
            entries = json.loads(text)
            if not isinstance(entries, list) or not entries:
                raise ValueError("no columns")
            columns = tuple(_column_from(entry) for entry in entries)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CorruptStreamError(f"the table's schema is damaged: {error}") from None
        return cls(columns)

    def _columns_of(self, table: Table) -> list[tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]]:
        """The columns' data and masks, checked against the schema."""
        if tuple(table) != self.names:
            raise ValueError(
                f"table: expected the columns {', '.join(self.names)}, got {', '.join(table)}"
            )
        columns = []
        for column in self.columns:
            kind, data, missing = _read(column.name, table[column.name])
            # What is missing throughout may be of any kind.
            if kind != column.kind and not missing.all():
                raise TypeError(
                    f"table: column {column.name!r} held {column.kind} values when the schema was "
                    f"learnt, it holds {kind} values now"
                )
            _check_range(column, data[~missing])
            columns.append((data, missing))
        lengths = {len(data) for data, _ in columns}
        if len(lengths) > 1:
            raise ValueError(f"table: expected columns of one length, got {sorted(lengths)}")
        return columns


def _check_range(column: Column, seen: npt.NDArray[Any]) -> None:
    if column.kind != "integer" or not len(seen):
        return
    limits = np.iinfo(column.dtype)
    low, high = int(seen.min()), int(seen.max())
    if low < limits.min or high > limits.max:
        raise ValueError(
            f"table: column {column.name!r} holds {limits.dtype} by its schema, got values from "
            f"{low} to {high}"
        )


def _read(name: str, values: Any) -> tuple[Kind, npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Kind, data (anything where missing) and mask of a column."""
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    array = np.asarray(values)
    if isinstance(values, (list, tuple)) and array.ndim == 1:
        # NumPy would turn [1, "x"] into two strings.
        array = np.array([*values, None], dtype=object)[:-1]
    if array.ndim != 1:
        raise ValueError(f"table: column {name!r} must have one dimension, got {array.ndim}")
    missing = np.zeros(len(array), dtype=bool) if mask is None else mask
    if array.dtype.kind == "O":
        missing = missing | np.array([value is None for value in array], dtype=bool)
        seen = [value for value, gone in zip(array, missing, strict=True) if not gone]
        if not seen or all(isinstance(value, str) for value in seen):
            return "string", array, missing
        filled = np.array(
            [seen[0] if gone else value for value, gone in zip(array, missing, strict=True)]
        )
        if filled.dtype.kind == "O" or not _same_values(filled, array, missing):
            kinds = ", ".join(sorted({type(value).__name__ for value in seen}))
            raise TypeError(f"table: column {name!r} must hold values of one kind, got {kinds}")
        array = filled
    if array.dtype.kind in "UT":
        return "string", array.astype(object), missing
    if array.dtype.kind == "b":
        return "boolean", array, missing
    if array.dtype.kind in "iu":
        return "integer", array, missing
    raise TypeError(
        f"table: column {name!r} must hold integers, booleans or strings, got {array.dtype}; "
        "scale and round numbers to integers first"
    )


def _same_values(
    filled: npt.NDArray[Any], array: npt.NDArray[Any], missing: npt.NDArray[np.bool_]
) -> bool:
    """Whether no value changed its kind on the way into an array: True and 1, 1 and '1'."""
    kinds = {np.bool_: (bool, np.bool_), np.integer: (int, np.integer), np.str_: (str,)}
    for kind, types in kinds.items():
        if np.issubdtype(filled.dtype, kind):
            return all(
                isinstance(value, types) and (kind is np.bool_ or not isinstance(value, bool))
                for value, gone in zip(array, missing, strict=True)
                if not gone
            )
    return True


def _fit_column(
    name: str, kind: Kind, dtype: np.dtype[Any], seen: npt.NDArray[Any], max_values: int
) -> Column:
    if kind == "boolean":
        return Column(name, kind, "bool", None, (), 2)
    values, counts = np.unique(seen, return_counts=True)
    if kind == "integer":
        start, span = int(values[0]), int(values[-1]) - int(values[0]) + 1
        # Few gaps: codes that count need no list.
        if span <= min(max_values, 4 * len(values)):
            return Column(name, kind, dtype.str, start, (), span + 1)
    if len(values) > max_values:
        values = np.sort(values[np.argsort(-counts, kind="stable")[:max_values]])
    listed = tuple(values.tolist())
    return Column(
        name, kind, "object" if kind == "string" else dtype.str, None, listed, len(listed) + 1
    )


def _column_from(entry: Any) -> Column:
    """A column from JSON; what `_fit_column` does not make is a TypeError or ValueError."""
    if not isinstance(entry["name"], str) or not isinstance(entry["cardinality"], int):
        raise ValueError(f"column {entry['name']!r}")
    column = Column(**(entry | {"values": tuple(entry["values"])}))
    ordered = list(column.values) == sorted(set(column.values))
    dtype = np.dtype(column.dtype)
    if column.kind == "boolean":
        good = column.values == () and column.cardinality == 2 and dtype == np.dtype(bool)
    elif column.kind == "string":
        good = all(isinstance(value, str) for value in column.values) and dtype == np.dtype(object)
        good = good and column.cardinality == len(column.values) + 1
    elif column.kind == "integer":
        good = dtype.kind in "iu"
        if column.start is None:
            good = good and column.cardinality == len(column.values) + 1
        else:
            limits = np.iinfo(dtype)
            last = operator.index(column.start) + column.cardinality - 2
            good = good and column.values == () and limits.min <= column.start <= last <= limits.max
        if column.values:
            np.array(column.values, dtype=dtype)
    else:
        good = False
    if not (good and ordered and 2 <= column.cardinality <= _MOST_VALUES + 1):
        raise ValueError(f"column {column.name!r}")
    return column


def _to_codes(column: Column, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The code of every entry; whatever where the entry is missing."""
    if column.kind == "boolean":
        return data.astype(np.int32) if data.dtype.kind == "b" else np.zeros(len(data), np.int32)
    escape = cast(int, column.escape)
    if column.kind == "string":
        table = {value: code for code, value in enumerate(column.values)}
        return np.array([table.get(value, escape) for value in data], dtype=np.int32)
    if data.dtype.kind not in "iu":  # missing throughout
        return np.full(len(data), escape, dtype=np.int32)
    if column.start is not None:
        last = column.start + escape - 1
        inside = (data >= column.start) & (data <= last)
        codes = np.full(len(data), escape, dtype=np.int32)
        # Wrapping subtraction: the difference fits, the operands need not.
        codes[inside] = (
            data[inside].astype(np.uint64) - np.array(column.start).astype(np.uint64)
        ).astype(np.int32)
        return codes
    exact = {value: code for code, value in enumerate(column.values)}
    return np.array([exact.get(value, escape) for value in data.tolist()], dtype=np.int32)


def _from_codes(
    column: Column, codes: npt.NDArray[np.int32], texts: dict[int, str]
) -> npt.NDArray[Any]:
    missing = codes < 0
    if column.kind == "string":
        values = np.array([*column.values, None, None], dtype=object)
        out = values[np.where(missing, len(values) - 1, codes)]
        for row, text in texts.items():
            out[row] = text
        return out
    dtype = np.dtype(column.dtype)
    if column.kind == "boolean":
        data = codes == 1
    else:
        try:
            if column.start is not None:
                known = range(column.start, column.start + column.cardinality - 1)
                values = np.array(known, dtype=dtype)
            else:
                values = np.array(column.values, dtype=dtype)
            values = np.append(values, np.zeros(1, dtype=dtype))
            data = values[np.where(missing, len(values) - 1, codes)]
            for row, text in texts.items():
                data[row] = int(text)
        except (ValueError, OverflowError) as error:
            raise CorruptStreamError(
                f"column {column.name!r} holds a value that is none: {error}"
            ) from None
    return np.ma.MaskedArray(data, mask=missing) if missing.any() else data


def pack_texts(texts: Sequence[str]) -> bytes:
    """Escaped values as bytes: for each its length in UTF-8 as a 32-bit number, and the text."""
    parts = []
    for text in texts:
        # Lone surrogates are valid in str and have to come back.
        data = text.encode("utf-8", "surrogatepass")
        parts += [len(data).to_bytes(4, "little"), data]
    return b"".join(parts)


def unpack_texts(data: bytes | memoryview, where: str) -> list[str]:
    """Give back what `pack_texts` packed."""
    texts = []
    cursor = Cursor(data, where)
    while cursor.left:
        try:
            texts.append(str(cursor.take(cursor.number("I")), "utf-8", "surrogatepass"))
        except UnicodeDecodeError as error:
            raise CorruptStreamError(f"{where} is damaged: {error}") from None
    return texts
