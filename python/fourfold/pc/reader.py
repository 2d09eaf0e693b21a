"""Random access to the items of a compressed stream."""

from __future__ import annotations

import io
import json
import operator
import os
import zlib
from types import TracebackType
from typing import Any, BinaryIO, cast

import numpy as np

from fourfold.errors import CorruptStreamError
from fourfold.pc._blocks import BlockCoder, Items, Payload
from fourfold.pc._stream import (
    BLOCK_HEAD,
    END,
    FOOTER,
    START,
    Header,
    check_block,
    payload_length,
    read_footer,
    start_length,
)
from fourfold.pc.circuit import Circuit
from fourfold.pc.front_end import FrontEnd
from fourfold.pc.table import TableSchema

__all__ = ["CompressedReader", "StreamLayout"]

_WAVE_BYTES = 16 << 20


class StreamLayout:
    """Where everything stands in a stream that can be sought in, without a model.

    Parameters
    ----------
    file : binary file
        Opened for reading, and seekable.

    Raises
    ------
    CorruptStreamError
        If header, index and size of the file do not fit together.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        start = self.read(0, min(START, self.size))
        length = start_length(start)
        if length + 4 + FOOTER > self.size:
            raise CorruptStreamError(f"it is truncated: it ends at byte {self.size}")
        head = self.read(0, length)
        self.header = Header.from_bytes(head)
        self.crc = zlib.crc32(head)
        blocks = int.from_bytes(self.read(self.size - FOOTER + 8, 8), "little")
        end = self.size - FOOTER - 4 * blocks
        if end < length + 4:
            raise CorruptStreamError("the index is damaged, or the stream is truncated")
        self.words, self.items = read_footer(
            self.crc, self.read(end, self.size - end), self.header.block_items
        )
        lengths = [payload_length(word, index) for index, word in enumerate(self.words)]
        self.offsets = np.cumsum([length, *(BLOCK_HEAD + size for size in lengths)]).tolist()
        if self.offsets[-1] + 4 != end or self.read(end - 4, 4) != END.to_bytes(4, "little"):
            raise CorruptStreamError("the index is damaged: its blocks do not fill the stream")

    def read(self, offset: int, count: int) -> bytes:
        """Some bytes of the file."""
        self._file.seek(offset)
        data = self._file.read(count)
        if len(data) != count:
            raise CorruptStreamError(f"it is truncated: it ends at byte {offset + len(data)}")
        return data

    def block(self, index: int) -> Payload:
        """A block whose checksum is right."""
        offset = self.offsets[index]
        data = self.read(offset, self.offsets[index + 1] - offset)
        word, crc = (int.from_bytes(data[at : at + 4], "little") for at in (0, 4))
        if word != self.words[index]:
            raise CorruptStreamError(
                f"block {index} (byte {offset} of the stream) is damaged: it is not that of the index"
            )
        payload = data[BLOCK_HEAD:]
        check_block(self.crc, index, word, crc, payload, offset)
        size = self.header.block_items
        return Payload(word, payload, index, offset, min(size, self.items - index * size))

    @property
    def raw_bytes(self) -> int:
        """Size of the raw data."""
        return self.items * self.header.item_bytes


class CompressedReader:
    """The items of a compressed stream, decoded as they are asked for.

    Indexing works as on the array itself along its first axis, with integers and slices, and
    decodes the blocks that hold the items, no others. Of a table, indexing gives the rows as a
    table.

    Parameters
    ----------
    source : path, bytes or binary file
        The stream. A file must be seekable; it is not closed.
    model : Circuit
        The one it was compressed with.
    max_bytes : int, optional
        Refuse a stream whose raw data are larger.
    device : torch.device, str or int, optional
        A GPU that decodes, ``"cuda"`` or its index, for instance. Default: the CPU. The data are the
        same.

    Attributes
    ----------
    shape : tuple of int
        Of the array; of a table (rows, columns).
    dtype : numpy.dtype or None
        Of the array; None for a table.
    schema : TableSchema or None
        Of a table.
    front_end : FrontEnd or None
        Through which the images went.
    metadata : dict
        What `compress` was given to record.

    Raises
    ------
    ModelMismatchError
        If the stream was made with another model.
    CorruptStreamError
        If the stream is damaged. Blocks are checked when they are decoded.
    ValueError
        If it holds more than ``max_bytes``.

    Examples
    --------
    ``CompressedReader("digits.ffz", model)[1000:1100]``
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes | memoryview | BinaryIO,
        model: Circuit,
        *,
        max_bytes: int | None = None,
        device: Any = None,
    ) -> None:
        self._owned: BinaryIO | None = None
        if isinstance(source, (bytes, bytearray, memoryview)):
            file: BinaryIO = io.BytesIO(source)
        elif isinstance(source, (str, os.PathLike)):
            file = self._owned = open(source, "rb")  # noqa: SIM115 (closed by close())
        else:
            file = source
        try:
            self._layout = StreamLayout(file)
            self._coder = BlockCoder(model, self._layout.header, device)
            total = self._layout.raw_bytes
            if max_bytes is not None and total > max_bytes:
                raise ValueError(f"max_bytes: the stream holds {total} bytes, got {max_bytes}")
            if self._layout.header.single and self._layout.items != 1:
                raise CorruptStreamError("the index is damaged: it should have one item")
        except BaseException:
            self.close()
            raise

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array, or rows and columns of the table."""
        header = self._layout.header
        if header.schema is not None:
            return (self._layout.items, len(header.schema.columns))
        return header.item_shape if header.single else (self._layout.items, *header.item_shape)

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """Of the array; None for a table."""
        return self._layout.header.dtype

    @property
    def single(self) -> bool:
        """Whether the array was one observation, without a first axis."""
        return self._layout.header.single

    @property
    def item_bytes(self) -> int:
        """Raw size of an item; of a table's row that of its codes."""
        return self._layout.header.item_bytes

    @property
    def schema(self) -> TableSchema | None:
        """Of a table."""
        return self._layout.header.schema

    @property
    def front_end(self) -> FrontEnd | None:
        """Through which the images went."""
        return self._layout.header.front_end

    @property
    def metadata(self) -> dict[str, Any]:
        """What `compress` was given to record."""
        return dict(json.loads(self._layout.header.metadata))

    def __len__(self) -> int:
        return self._layout.items

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            wanted = range(start, stop, step)
            if not wanted:
                return self._as_given(self._items(0, 0))
            low, high = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1]) + 1
            given = self._as_given(self._items(low, high))
            picked = [i - low for i in wanted]
            if picked == list(range(high - low)):
                return given
            if isinstance(given, dict):
                return {name: column[picked] for name, column in given.items()}
            return given[picked]
        at = operator.index(index)
        if not -len(self) <= at < len(self):
            raise IndexError(f"index {at} is out of bounds for {len(self)} items")
        at %= len(self)
        given = self._as_given(self._items(at, at + 1))
        if isinstance(given, dict):
            return {name: column[0] for name, column in given.items()}
        return given[0]

    def read(self) -> Any:
        """All of it, as it was given to `compress`."""
        given = self._as_given(self._items(0, len(self)))
        return given[0] if self._layout.header.single else given

    def _items(self, start: int, stop: int) -> Items:
        header = self._layout.header
        size = header.block_items
        per_wave = max(1, _WAVE_BYTES // (header.item_bytes * size))
        first, last = start // size, -(-stop // size)
        parts = []
        # What is allocated grows with what has been checked.
        for block in range(first, last, per_wave):
            blocks = [self._layout.block(b) for b in range(block, min(block + per_wave, last))]
            decoded = self._coder.decode(blocks)
            begin = block * size
            parts.append(decoded[max(0, start - begin) : min(len(decoded), stop - begin)])
        return Items.join(parts) if parts else self._coder.decode([])

    def _as_given(self, items: Items) -> Any:
        header = self._layout.header
        if header.schema is not None:
            return header.schema.decode(items.values, [text for _, text in items.texts])
        if items.missing is not None:
            return np.ma.MaskedArray(items.values, mask=items.missing)
        return cast(Any, items.values)

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._owned is not None:
            self._owned.close()

    def __enter__(self) -> CompressedReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
