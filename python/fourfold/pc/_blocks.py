"""Blocks of a stream: items to payloads and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import CorruptStreamError, ModelMismatchError
from fourfold.pc._bytes import Cursor
from fourfold.pc._codec_kernel import DAMAGE, OK, codec_on, pack_missing, unpack_missing
from fourfold.pc._stream import ESCAPED, LENGTH_MASK, MISSING, RAW, Header
from fourfold.pc.circuit import Circuit
from fourfold.pc.table import Codes, pack_texts, unpack_texts

__all__ = ["BlockCoder", "Items", "Payload", "check_model"]

_NO_VALUE = np.int32(2**31 - 1)
"""Stands for what is no code at all: no variable has so many values."""


@dataclass(frozen=True)
class Items:
    """Some items: an array's, or a table's rows as codes.

    Attributes
    ----------
    values : (n, *item_shape) array, or (n, columns) int32 codes
    missing : bool array like ``values``, or None
        None if the stream has no missing values.
    texts : list of (row, text)
        A table's escaped values in order.
    """

    values: npt.NDArray[Any]
    missing: npt.NDArray[np.bool_] | None = None
    texts: tuple[tuple[int, str], ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, part: slice) -> Items:
        start, stop, _ = part.indices(len(self))
        return Items(
            self.values[start:stop],
            None if self.missing is None else self.missing[start:stop],
            tuple((row - start, text) for row, text in self.texts if start <= row < stop),
        )

    @staticmethod
    def join(parts: Sequence[Items]) -> Items:
        """Some items after one another."""
        if len(parts) == 1:
            return parts[0]
        starts = np.cumsum([0, *map(len, parts)]).tolist()
        hidden = [part.missing for part in parts if part.missing is not None]
        return Items(
            np.concatenate([part.values for part in parts]),
            np.concatenate(hidden) if hidden else None,
            tuple(
                (row + start, text)
                for part, start in zip(parts, starts[:-1], strict=True)
                for row, text in part.texts
            ),
        )


@dataclass(frozen=True)
class Payload:
    """A block's word and payload as in the stream, with where they stand in it."""

    word: int
    data: bytes | memoryview
    index: int
    offset: int
    items: int


def check_model(model: Circuit) -> None:
    """Refuse what is no circuit: a path, say."""
    if not isinstance(model, Circuit):
        raise TypeError(f"model: expected a Circuit, got {type(model).__name__}")


class BlockCoder:
    """Codes the blocks of one stream.

    Parameters
    ----------
    model : Circuit
    header : Header
        Of the stream. Its digest must be the model's.
    device : torch.device, str or int, optional
        A GPU that codes. Default: the CPU.

    Raises
    ------
    ModelMismatchError
        If the stream was made with another model.
    CorruptStreamError
        If the header does not fit the model of which it has the digest.
    """

    def __init__(self, model: Circuit, header: Header, device: Any = None) -> None:
        check_model(model)
        if header.digest != model.digest:
            raise ModelMismatchError(
                f"the stream was made with the model {header.digest.hex()[:16]}..., this is "
                f"{model.digest.hex()[:16]}..."
            )
        self.header = header
        self._codec = codec_on(model, device)
        self._cardinality = model.structure.cardinality
        self._rows_per_item = 1
        try:
            self._check_fits()
        except ValueError as error:
            raise CorruptStreamError(f"the header does not fit the model: {error}") from None

    def _check_fits(self) -> None:
        header, variables = self.header, len(self._cardinality)
        if header.front_end is not None:
            shape = header.item_shape
            channels = shape[2] if len(shape) == 3 else None
            if header.dtype != np.uint8 or header.masked:
                raise ValueError("a front end takes uint8 without missing values")
            self._rows_per_item = header.front_end.patches(shape)
            wanted = header.front_end.cardinality(channels).reshape(-1)
        elif header.schema is not None:
            wanted = header.schema.cardinality
        elif np.prod(header.item_shape, dtype=np.int64) == variables:
            return
        else:
            raise ValueError(f"items of shape {header.item_shape} for {variables} variables")
        if not np.array_equal(wanted, self._cardinality):
            raise ValueError("its variables are not those of the model")

    def encode(self, items: Items) -> list[tuple[int, bytes]]:
        """The words and payloads of whole blocks (the last one may be short)."""
        size = self.header.block_items
        blocks = [items[start : start + size] for start in range(0, len(items), size)]
        raw_bytes = [len(block) * self.header.item_bytes for block in blocks]
        coded = self._codec.encode(
            self._to_cells(items), [len(block) * self._rows_per_item for block in blocks], raw_bytes
        )
        return [
            self._payload(block, data, raw)
            for block, data, raw in zip(blocks, coded, raw_bytes, strict=True)
        ]

    def _payload(self, block: Items, coded: bytes | None, raw_bytes: int) -> tuple[int, bytes]:
        word, parts = 0, []
        if block.missing is not None and block.missing.any():
            word |= MISSING
            parts += _section(pack_missing(block.missing.reshape(len(block), -1)))
        if block.texts:
            word |= ESCAPED
            parts += _section(pack_texts([text for _, text in block.texts]))
        if coded is None or len(coded) >= raw_bytes:
            word |= RAW
            coded = self._raw_bytes(block)
        payload = b"".join([*parts, coded])
        if len(payload) > LENGTH_MASK:
            raise ValueError(
                f"block_items: a block of {len(block)} items takes {len(payload)} bytes, because of "
                "values that were not seen; take fewer items a block"
            )
        return word | len(payload), payload

    def decode(self, blocks: Sequence[Payload]) -> Items:
        """The items of consecutive blocks, whose checksums have been found right.

        Raises
        ------
        CorruptStreamError
            If a payload is none that an encoder makes.
        """
        counts = [block.items for block in blocks]
        cells = np.zeros((sum(counts) * self._rows_per_item, len(self._cardinality)), self._cells)
        missing = (
            np.zeros((sum(counts), len(self._cardinality)), dtype=bool) if self._may_miss else None
        )
        texts: dict[int, list[str]] = {}
        coded: list[memoryview] = []
        raw: list[tuple[int, memoryview]] = []
        start = 0
        for block in blocks:
            rest = Cursor(block.data, _name(block))
            stop = start + block.items
            if block.word & MISSING:
                section = bytes(rest.take(rest.number("I")))
                if missing is None:
                    raise CorruptStreamError(f"{_name(block)} is damaged: it has missing values")
                missing[start:stop] = unpack_missing(section, block.items, missing.shape[1])
                cells[start:stop][missing[start:stop]] = -1
            if block.word & ESCAPED:
                if self.header.schema is None:
                    raise CorruptStreamError(f"{_name(block)} is damaged: it has escaped values")
                section = bytes(rest.take(rest.number("I")))
                texts[block.index] = unpack_texts(section, _name(block))
            if block.word & RAW:
                raw.append((start, rest.take(block.items * self.header.item_bytes)))
                rest.end()
            else:
                coded.append(rest.rest())
            start = stop
        self._decode_cells(blocks, coded, cells)
        values = self._from_cells(cells)
        for at, data in raw:
            count = len(data) // self.header.item_bytes
            values[at : at + count] = self._from_raw(data, count)
            if missing is not None and self.header.schema is not None:
                values[at : at + count][missing[at : at + count]] = -1
        if self.header.schema is not None:
            return Items(values, None, self._place_texts(values, texts, blocks))
        if missing is not None:
            hidden = missing.reshape(values.shape)
            values[hidden] = 0
            return Items(values, hidden)
        return Items(values)

    def _decode_cells(
        self, blocks: Sequence[Payload], coded: list[memoryview], cells: npt.NDArray[Any]
    ) -> None:
        """Decode the blocks that are not raw into their cells."""
        mine = [block for block in blocks if not block.word & RAW]
        rows = [block.items * self._rows_per_item for block in mine]
        if len(mine) == len(blocks):
            status = self._codec.decode(coded, rows, cells)
        else:
            ends = np.cumsum([block.items * self._rows_per_item for block in blocks])
            keep = np.concatenate(
                [
                    np.full(block.items * self._rows_per_item, not block.word & RAW)
                    for block in blocks
                ]
            )
            assert ends[-1] == len(cells)
            some = np.ascontiguousarray(cells[keep])
            status = self._codec.decode(coded, rows, some)
            cells[keep] = some
        for block, state in zip(mine, status, strict=True):
            if state != OK:
                raise CorruptStreamError(f"{_name(block)} is damaged: {DAMAGE[state]}")

    def _place_texts(
        self, codes: Codes, texts: dict[int, list[str]], blocks: Sequence[Payload]
    ) -> tuple[tuple[int, str], ...]:
        """Give each escaped value the row in which its code stands."""
        assert self.header.schema is not None
        escapes = np.array(
            [-2 if c.escape is None else c.escape for c in self.header.schema.columns]
        )
        placed: list[tuple[int, str]] = []
        start = 0
        for block in blocks:
            rows = np.argwhere(codes[start : start + block.items] == escapes)[:, 0] + start
            mine = texts.get(block.index, [])
            if len(rows) != len(mine):
                raise CorruptStreamError(
                    f"{_name(block)} is damaged: {len(rows)} values are escaped, {len(mine)} stored"
                )
            placed += zip(rows.tolist(), mine, strict=True)
            start += block.items
        return tuple(placed)

    @property
    def _may_miss(self) -> bool:
        return self.header.masked or self.header.schema is not None

    @property
    def _cells(self) -> type[np.generic]:
        if self._may_miss:
            return np.int32
        return np.uint8 if self._cardinality.max() <= 256 else np.uint16

    def _to_cells(self, items: Items) -> npt.NDArray[Any]:
        """The rows that the circuit codes."""
        values = items.values
        if self.header.front_end is not None:
            values = self.header.front_end.forward(values).astype(np.uint16)
        rows = values.reshape(len(values), -1)
        if self.header.schema is not None:
            return np.ascontiguousarray(rows, dtype=np.int32)
        if items.missing is None:
            if rows.dtype.itemsize == 1 and rows.dtype.kind in "bu":
                return np.require(rows, requirements=["C", "A"]).view(np.uint8)
            if rows.dtype == np.uint16:
                return np.require(rows, np.uint16, ["C", "A"])
        cells = rows.astype(np.int32)
        if rows.dtype.kind != "b":
            cells[(rows < 0) | (rows > 65535)] = _NO_VALUE
        if items.missing is not None:
            cells[items.missing.reshape(cells.shape)] = -1
        return cells

    def _from_cells(self, cells: npt.NDArray[Any]) -> npt.NDArray[Any]:
        header = self.header
        if header.schema is not None:
            return cells
        if header.front_end is not None:
            return header.front_end.inverse(cells, header.item_shape)
        assert header.dtype is not None
        shape = (len(cells), *header.item_shape)
        return np.asarray(cells.reshape(shape).astype(header.dtype, copy=False))

    def _raw_bytes(self, block: Items) -> bytes:
        if self.header.schema is None:
            return bytes(block.values.tobytes())
        return bytes(np.maximum(block.values, 0).astype(self._raw_codes).tobytes())

    def _from_raw(self, data: memoryview, count: int) -> npt.NDArray[Any]:
        header = self.header
        if header.schema is None:
            assert header.dtype is not None
            return np.frombuffer(data, dtype=header.dtype).reshape(count, *header.item_shape)
        codes = np.frombuffer(data, dtype=self._raw_codes).reshape(count, -1)
        if (codes >= self._cardinality).any():
            raise CorruptStreamError("a raw block of a table holds a code that is none")
        return codes

    @property
    def _raw_codes(self) -> str:
        return "<u2" if self._cardinality.max() > 256 else "u1"


def _section(data: bytes) -> list[bytes]:
    return [len(data).to_bytes(4, "little"), data]


def _name(block: Payload) -> str:
    return f"block {block.index} (byte {block.offset} of the stream)"
