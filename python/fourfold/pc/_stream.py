"""The bytes of a compressed stream; docs/format.md describes every one of them."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from fourfold.errors import CorruptStreamError
from fourfold.pc._bytes import Cursor
from fourfold.pc.front_end import FrontEnd
from fourfold.pc.table import TableSchema

__all__ = [
    "BLOCK_HEAD",
    "END",
    "ESCAPED",
    "FOOTER",
    "LENGTH_MASK",
    "MAX_BLOCK_BYTES",
    "MISSING",
    "RAW",
    "START",
    "Header",
    "block_head",
    "check_block",
    "footer",
    "payload_length",
    "read_footer",
    "start_length",
]

MAGIC = b"\x8fFFZ\r\n\x1a\n"
END_MAGIC = b"\x8fFFZend\n"
VERSION = 1

START = 16
"""Magic, version, kind, length of the header: what is read before the rest of it."""
BLOCK_HEAD = 8
FOOTER = 28
"""The footer without its index."""
END = 0xFFFFFFFF
"""Stands where a block would begin, after the last one."""

MAX_BLOCK_BYTES = 64 << 20
MAX_HEADER_BYTES = 64 << 20
MAX_AXES = 32

RAW = 1 << 28
MISSING = 1 << 29
ESCAPED = 1 << 30
LENGTH_MASK = RAW - 1

_ARRAY, _TABLE = 1, 2
_SINGLE, _MASKED = 1, 2


@dataclass(frozen=True)
class Header:
    """What a stream says about itself before its first block.

    Attributes
    ----------
    digest : bytes
        The 32 bytes that name the model.
    block_items : int
        How many items (first axis of the array, rows of the table) a block holds; the last block
        may hold fewer.
    dtype : numpy.dtype or None
        Of the array, byte order included; None for a table.
    item_shape : tuple of int
        The array's axes after the first; () for a table.
    single : bool
        Whether the array had no first axis; there is one item then.
    masked : bool
        Whether the array was a masked array.
    front_end : FrontEnd or None
        Through which the items went.
    schema : TableSchema or None
        Of a table.
    metadata : str
        A JSON object of the user's, as text.
    """

    digest: bytes
    block_items: int
    dtype: np.dtype[Any] | None
    item_shape: tuple[int, ...] = ()
    single: bool = False
    masked: bool = False
    front_end: FrontEnd | None = None
    schema: TableSchema | None = None
    metadata: str = "{}"

    @property
    def item_bytes(self) -> int:
        """Raw size of an item; of a table's row that of its codes."""
        if self.schema is not None:
            wide = max(column.cardinality for column in self.schema.columns) > 256
            return len(self.schema.columns) * (2 if wide else 1)
        assert self.dtype is not None
        size = self.dtype.itemsize
        for length in self.item_shape:
            size *= length
        return size

    def to_bytes(self) -> bytes:
        """The header, with its checksum."""
        metadata = self.metadata.encode()
        front = b"" if self.front_end is None else self.front_end.to_bytes()
        if self.schema is not None:
            kind, schema, dtype = _TABLE, self.schema.to_json().encode(), b"\0\0\0"
        else:
            assert self.dtype is not None
            kind, schema, dtype = _ARRAY, b"", _dtype_bytes(self.dtype)
        flags = _SINGLE * self.single + _MASKED * self.masked
        rest = b"".join(
            [
                self.digest,
                struct.pack("<IB3sB", self.block_items, flags, dtype, len(self.item_shape)),
                struct.pack(f"<{len(self.item_shape)}Q", *self.item_shape),
                struct.pack("<B", len(front)),
                front,
                struct.pack("<I", len(schema)),
                schema,
                struct.pack("<I", len(metadata)),
                metadata,
            ]
        )
        if START + len(rest) + 4 > MAX_HEADER_BYTES:
            raise ValueError(
                f"schema, metadata: a header has at most {MAX_HEADER_BYTES} bytes, got {len(rest)}"
            )
        start = MAGIC + struct.pack("<HHI", VERSION, kind, START + len(rest) + 4)
        return start + rest + struct.pack("<I", zlib.crc32(start + rest))

    @classmethod
    def from_bytes(cls, data: bytes) -> Header:
        """Read a header of the length that `start_length` gives.

        Raises
        ------
        CorruptStreamError
            If its checksum is wrong or its fields make no sense.
        """
        if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
            raise CorruptStreamError("the header is damaged: its checksum is wrong")
        kind = int.from_bytes(data[10:12], "little")
        fields = Cursor(data[START:-4], "the header")
        digest = bytes(fields.take(32))
        block_items, flags = fields.number("I"), fields.number("B")
        dtype_bytes, axes = bytes(fields.take(3)), fields.number("B")
        if axes > MAX_AXES:
            raise CorruptStreamError(f"the header is damaged: {axes} axes")
        shape = tuple(fields.number("Q") for _ in range(axes))
        front = fields.take(fields.number("B"))
        schema = fields.take(fields.number("I"))
        metadata = _metadata_from(bytes(fields.take(fields.number("I"))))
        fields.end()
        if kind not in (_ARRAY, _TABLE) or flags > (_SINGLE | _MASKED):
            raise CorruptStreamError(f"the header is damaged: kind {kind}, flags {flags}")
        header = cls(
            digest,
            block_items,
            _dtype_from(dtype_bytes) if kind == _ARRAY else None,
            shape,
            bool(flags & _SINGLE),
            bool(flags & _MASKED),
            FrontEnd.from_bytes(front) if len(front) else None,
            TableSchema.from_json(bytes(schema)) if kind == _TABLE else None,
            metadata,
        )
        table = header.schema is not None
        if (table and (shape or flags or len(front))) or (not table and len(schema)):
            raise CorruptStreamError("the header is damaged: an array's and a table's fields")
        if not 1 <= header.item_bytes * block_items <= MAX_BLOCK_BYTES:
            raise CorruptStreamError(
                f"the header is damaged: blocks of {header.item_bytes * block_items} bytes, "
                f"at most {MAX_BLOCK_BYTES} are allowed"
            )
        return header


def start_length(start: bytes) -> int:
    """The length of the header that begins with these `START` bytes.

    Raises
    ------
    CorruptStreamError
        If this is no stream, or one of a newer version.
    """
    if len(start) < START or start[:8] != MAGIC:
        if MAGIC.startswith(start[:8]) and len(start) < START:
            raise CorruptStreamError(f"it is truncated: {len(start)} bytes")
        raise CorruptStreamError(
            "it is no compressed stream of fourfold: it does not begin like one"
        )
    version, _, length = struct.unpack("<HHI", start[8:])
    if version != VERSION:
        raise CorruptStreamError(
            f"it has version {version} of the format, this fourfold reads version {VERSION}: "
            "upgrade fourfold, or the stream is damaged"
        )
    if not START + 4 <= length <= MAX_HEADER_BYTES:
        raise CorruptStreamError(f"the header is damaged: a length of {length} bytes")
    return int(length)


def _metadata_from(data: bytes) -> str:
    try:
        text = data.decode()
        if isinstance(json.loads(text), dict):
            return text
    except (ValueError, RecursionError):
        pass
    raise CorruptStreamError("the header is damaged: its metadata are no JSON object")


def _dtype_bytes(dtype: np.dtype[Any]) -> bytes:
    return dtype.str.encode()


def _dtype_from(data: bytes) -> np.dtype[Any]:
    if data[:1] not in (b"<", b">", b"|") or data[1:2] not in (b"b", b"i", b"u"):
        raise CorruptStreamError(f"the header is damaged: dtype {data!r}")
    try:
        dtype = np.dtype(data.decode())
    except TypeError:
        raise CorruptStreamError(f"the header is damaged: dtype {data!r}") from None
    if dtype.str.encode() != data:
        raise CorruptStreamError(f"the header is damaged: dtype {data!r}")
    return dtype


def block_head(header_crc: int, index: int, word: int, payload: bytes) -> bytes:
    """What stands before a payload: length and kind in a word, and the checksum."""
    return struct.pack("<II", word, _block_crc(header_crc, index, word, payload))


def payload_length(word: int, index: int) -> int:
    """The length that a block's word holds.

    Raises
    ------
    CorruptStreamError
        If no block can have this word.
    """
    if word >> 31:
        raise CorruptStreamError(f"block {index} is damaged: it begins with {word:#x}")
    return word & LENGTH_MASK


def check_block(
    header_crc: int, index: int, word: int, crc: int, payload: bytes, where: int
) -> None:
    """Refuse a block whose bytes do not have their checksum."""
    if _block_crc(header_crc, index, word, payload) != crc:
        raise CorruptStreamError(
            f"block {index} (byte {where} of the stream) is damaged: its checksum is wrong"
        )


def _block_crc(header_crc: int, index: int, word: int, payload: bytes) -> int:
    # The header and the number are in it, so that a block does not pass for another one.
    return zlib.crc32(payload, zlib.crc32(struct.pack("<IQI", header_crc, index, word)))


def footer(header_crc: int, words: list[int], items: int) -> bytes:
    """The end of the stream: index, number of items and of blocks, checksum, magic."""
    body = struct.pack(f"<{len(words)}I", *words) + struct.pack("<QQ", items, len(words))
    crc = zlib.crc32(body, zlib.crc32(struct.pack("<I", header_crc)))
    return body + struct.pack("<I", crc) + END_MAGIC


def read_footer(header_crc: int, data: bytes, block_items: int) -> tuple[list[int], int]:
    """The blocks' words and the number of items.

    Raises
    ------
    CorruptStreamError
        If the footer is damaged or does not fit its own index.
    """
    words = (len(data) - FOOTER) // 4
    if len(data) < FOOTER or len(data) % 4 or data[-8:] != END_MAGIC:
        raise CorruptStreamError("the index is damaged, or the stream is truncated")
    if zlib.crc32(data[:-12], zlib.crc32(struct.pack("<I", header_crc))) != int.from_bytes(
        data[-12:-8], "little"
    ):
        raise CorruptStreamError("the index is damaged: its checksum is wrong")
    items, blocks = struct.unpack("<QQ", data[-28:-12])
    if blocks != words or -(-items // block_items) != blocks:
        raise CorruptStreamError(
            f"the index is damaged: {items} items, {blocks} blocks, an index of {words}"
        )
    return list(struct.unpack(f"<{words}I", data[: 4 * words])), int(items)
