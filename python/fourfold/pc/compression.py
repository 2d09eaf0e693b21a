"""Lossless compression with a circuit: whole arrays and tables, and streams of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fourfold.errors import CorruptStreamError
from fourfold.pc._blocks import BlockCoder, Items, Payload, check_model
from fourfold.pc._observations import as_array
from fourfold.pc._source import ByteSource
from fourfold.pc._stream import (
    BLOCK_HEAD,
    END,
    FOOTER,
    MAX_BLOCK_BYTES,
    START,
    Header,
    block_head,
    check_block,
    footer,
    payload_length,
    read_footer,
    start_length,
)
from fourfold.pc.circuit import Circuit, metadata_text
from fourfold.pc.front_end import FrontEnd
from fourfold.pc.reader import CompressedReader
from fourfold.pc.table import TableSchema

__all__ = ["compress", "decode_stream", "decompress", "encode_stream"]


@dataclass(frozen=True)
class _How:
    """The options of `compress`, and whether the array has no first axis."""

    block_items: int | None
    front_end: FrontEnd | None
    schema: TableSchema | None
    metadata: Mapping[str, Any] | None
    single: bool
    device: Any


_BLOCK_BYTES = 1 << 17
_WAVE_BYTES = 16 << 20
"""Raw bytes of the blocks that are coded together."""


def compress(
    model: Circuit,
    data: Any,
    *,
    block_items: int | None = None,
    front_end: FrontEnd | None = None,
    schema: TableSchema | None = None,
    metadata: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
    device: Any = None,
) -> bytes:
    """Compress an array or a table without loss.

    The stream is close to ``-sum(log2 p)`` bits, p being the circuit's probabilities. It depends on
    model and data alone: not on threads, instruction set or machine.

    Parameters
    ----------
    model : Circuit
        The same model decompresses; the stream holds its digest.
    data : array, masked array, torch tensor on the CPU, or mapping of columns
        Integers or booleans of shape ``(n, ...)``, the axes after the first having D entries for a
        circuit of D variables, or one observation without the first axis. Values of which the
        circuit knows nothing (negative, or not below the cardinality) are allowed: their block is
        stored as it is. Which values a masked array hides is coded as well; what is under the mask
        is not. With ``front_end``: uint8 images. With ``schema``: a table, as in `TableSchema.fit`.
    block_items : int, optional
        How many items (of the first axis, or rows) make a block, the unit of random access. By
        default what fits 128 KiB raw. At most 64 MiB raw.
    front_end : FrontEnd, optional
        Through which images go; recorded in the stream.
    schema : TableSchema, optional
        Of a table; recorded in the stream.
    metadata : mapping, optional
        What JSON can hold; recorded in the stream, see `CompressedReader.metadata`.
    progress : callable, optional
        Takes the number of items done and of all.
    device : torch.device, str or int, optional
        A GPU that encodes, ``"cuda"`` or its index, for instance. Default: the CPU. The stream is the
        same.

    Returns
    -------
    bytes
        A stream as in docs/format.md, never more than the raw data, a header (which holds the
        schema) and 16 bytes a block, apart from values that the schema does not know.

    Raises
    ------
    TypeError
        If the data are no integers.
    ValueError
        If a shape does not fit the model.

    See Also
    --------
    decompress, encode_stream, CompressedReader
    """
    check_model(model)
    single = schema is None and _is_single(model, data, front_end)
    if single:
        data = data[None]
    total = len(next(iter(data.values()))) if schema is not None else len(data)
    parts: list[bytes] = []
    how = _How(block_items, front_end, schema, metadata, single, device)
    stream = _encode(model, iter([data]), how)
    for part, done in stream:
        parts.append(part)
        if progress is not None:
            progress(done, total)
    return b"".join(parts)


def encode_stream(
    model: Circuit,
    batches: Iterable[Any],
    *,
    block_items: int | None = None,
    front_end: FrontEnd | None = None,
    schema: TableSchema | None = None,
    metadata: Mapping[str, Any] | None = None,
    device: Any = None,
) -> Iterator[bytes]:
    """Compress data that come in batches, and need not fit into memory.

    Parameters
    ----------
    model, block_items, front_end, schema, metadata, device
        As in `compress`.
    batches : iterable
        Arrays of one dtype and of shapes ``(n_i, ...)``, or tables. How the data are cut into
        batches makes no difference to the stream.

    Yields
    ------
    bytes
        Pieces of the stream, to be written one after the other.
    """
    how = _How(block_items, front_end, schema, metadata, False, device)
    for part, _ in _encode(model, iter(batches), how):
        yield part


def decompress(
    model: Circuit, blob: bytes | memoryview, *, max_bytes: int | None = None, device: Any = None
) -> Any:
    """Give back what `compress` compressed: value, shape and dtype.

    Parameters
    ----------
    model : Circuit
        The one it was compressed with.
    blob : bytes
        The stream.
    max_bytes : int, optional
        Refuse a stream whose raw data are larger, before decoding anything.
    device : torch.device, str or int, optional
        A GPU that decodes, ``"cuda"`` or its index, for instance. Default: the CPU. The data are the
        same.

    Returns
    -------
    numpy.ndarray, numpy.ma.MaskedArray or dict
        The array, or the columns of the table, see `TableSchema.decode`.

    Raises
    ------
    ModelMismatchError
        If the stream was made with another model.
    CorruptStreamError
        If the stream is damaged; the message says where.
    ValueError
        If it holds more than ``max_bytes``.
    """
    with CompressedReader(blob, model, max_bytes=max_bytes, device=device) as reader:
        return reader.read()


def decode_stream(
    model: Circuit,
    source: BinaryIO | Iterable[bytes],
    *,
    max_bytes: int | None = None,
    device: Any = None,
) -> Iterator[Any]:
    """Decompress a stream from its beginning to its end, without seeking in it.

    Parameters
    ----------
    model : Circuit
        The one it was compressed with.
    source : binary file or iterable of bytes
        The stream, in pieces of any size.
    max_bytes : int, optional
        Stop with a ValueError before the raw data exceed this.
    device : torch.device, str or int, optional
        A GPU that decodes, ``"cuda"`` or its index, for instance. Default: the CPU. The data are the
        same.

    Yields
    ------
    array or dict
        The items of some blocks at a time, each checked.

    Raises
    ------
    ModelMismatchError, CorruptStreamError
        As `decompress`. What has been yielded before was right, but without its end a stream is not
        known to be complete.
    """
    bytes_in = ByteSource(source)
    start = bytes_in.take(START, "the header")
    head = start + bytes_in.take(start_length(start) - START, "the header")
    header = Header.from_bytes(head)
    coder = BlockCoder(model, header, device)
    crc = zlib.crc32(head)
    words: list[int] = []
    wave: list[Payload] = []
    done = 0
    while True:
        offset = bytes_in.offset
        word = int.from_bytes(bytes_in.take(4, f"block {len(words)}"), "little")
        if word == END:
            break
        length = payload_length(word, len(words))
        name = f"block {len(words)} (byte {offset} of the stream)"
        check = int.from_bytes(bytes_in.take(BLOCK_HEAD - 4, name), "little")
        payload = bytes_in.take(length, name)
        check_block(crc, len(words), word, check, payload, offset)
        wave.append(Payload(word, payload, len(words), offset, header.block_items))
        words.append(word)
        # The last block stays behind until the footer says how many items it has.
        if len(wave) > max(1, _WAVE_BYTES // (header.item_bytes * header.block_items)):
            ready, wave = wave[:-1], wave[-1:]
            done += sum(block.items for block in ready)
            _check_total(done * header.item_bytes, max_bytes)
            yield _as_given(header, coder.decode(ready))
    end = bytes_in.take(4 * len(words) + FOOTER, "the index")
    bytes_in.end()
    index, items = read_footer(crc, end, header.block_items)
    if index != words:
        raise CorruptStreamError("the index is damaged: it is not that of the blocks")
    _check_total(items * header.item_bytes, max_bytes)
    if wave:
        last = wave.pop()
        rest = items - header.block_items * (len(words) - 1)
        wave.append(Payload(last.word, last.data, last.index, last.offset, rest))
        yield _as_given(header, coder.decode(wave))


def _encode(model: Circuit, batches: Iterator[Any], how: _How) -> Iterator[tuple[bytes, int]]:
    """Pieces of the stream, with the number of items that are done."""
    check_model(model)
    try:
        first = next(batches)
    except StopIteration:
        raise ValueError("batches: expected at least one, to know dtype and shape") from None
    header = _header(model, first, how)
    coder = BlockCoder(model, header, how.device)
    head = header.to_bytes()
    crc = zlib.crc32(head)
    yield head, 0
    wave = header.block_items * max(
        1, _WAVE_BYTES // max(1, header.item_bytes * header.block_items)
    )
    words: list[int] = []
    waiting: list[Items] = [_items(header, first)]
    items, at_end = 0, False
    while not at_end:
        while sum(map(len, waiting)) < wave:
            batch = next(batches, None)
            if batch is None:
                at_end = True
                break
            waiting.append(_items(header, batch))
        joined = Items.join(waiting)
        whole = len(joined) if at_end else len(joined) // wave * wave
        for start in range(0, whole, wave):
            part = joined[start : min(start + wave, whole)]
            pieces = []
            for word, payload in coder.encode(part):
                pieces += [block_head(crc, len(words), word, payload), payload]
                words.append(word)
            items += len(part)
            yield b"".join(pieces), items
        waiting = [joined[whole:]]
    yield END.to_bytes(4, "little") + footer(crc, words, items), items


def _header(model: Circuit, first: Any, how: _How) -> Header:
    front_end, schema = how.front_end, how.schema
    if front_end is not None and schema is not None:
        raise ValueError("front_end: a table has none")
    if schema is not None:
        _check_cardinality("schema", schema.cardinality, model)
        header = Header(model.digest, 1, None, schema=schema)
    else:
        array, mask = _array(first)
        shape = array.shape[1:]
        header = Header(
            model.digest, 1, array.dtype, shape, how.single, mask is not None, front_end
        )
        if front_end is not None:
            if array.dtype != np.uint8 or mask is not None:
                raise TypeError(
                    f"data: with a front end expected uint8 without a mask, got {array.dtype}"
                )
            front_end.patches(shape)
            channels = shape[2] if len(shape) == 3 else None
            _check_cardinality("front_end", front_end.cardinality(channels).reshape(-1), model)
        elif array.ndim == 0 or np.prod(shape, dtype=np.int64) != model.structure.num_variables:
            event = ", ".join(map(str, model.event_shape))
            raise ValueError(
                f"data: expected the shape (n, {event}), {model.structure.num_variables} values an "
                f"item, got {array.shape}"
            )
    if header.item_bytes > MAX_BLOCK_BYTES:
        raise ValueError(
            f"data: items of {header.item_bytes} bytes are larger than a block, {MAX_BLOCK_BYTES}"
        )
    if how.block_items is not None and not isinstance(how.block_items, (int, np.integer)):
        raise TypeError(f"block_items: expected an integer, got {type(how.block_items).__name__}")
    count = (
        max(1, _BLOCK_BYTES // header.item_bytes) if how.block_items is None else how.block_items
    )
    if not 1 <= count * header.item_bytes <= MAX_BLOCK_BYTES or count < 1:
        raise ValueError(
            f"block_items: expected 1 to {MAX_BLOCK_BYTES // header.item_bytes} items of "
            f"{header.item_bytes} bytes, got {count}"
        )
    return replace(header, block_items=count, metadata=metadata_text(how.metadata))


def _check_cardinality(name: str, wanted: npt.NDArray[np.int32], model: Circuit) -> None:
    has = model.structure.cardinality
    if len(wanted) != len(has):
        raise ValueError(f"{name}: it gives {len(wanted)} variables, the model has {len(has)}")
    different = np.flatnonzero(wanted != has)
    if len(different):
        i = int(different[0])
        raise ValueError(
            f"{name}: variable {i} has {wanted[i]} values, {has[i]} in the model: train the model "
            f"with cardinality={name}.cardinality"
        )


def _array(data: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
    """The array, its dtype kept, and its mask."""
    array, mask, _ = as_array("data", data)
    if isinstance(data, np.ndarray) and data.dtype.kind == "b":
        # There they are 8-bit integers; here they come back as what they were.
        array = array.astype(np.bool_)
    return array, mask


def _is_single(model: Circuit, data: Any, front_end: FrontEnd | None) -> bool:
    shape = np.shape(data)
    variables = model.structure.num_variables
    if front_end is not None:
        has_channels = variables != front_end.patch[0] * front_end.patch[1]
        return len(shape) == 2 + has_channels
    fits = [np.prod(part, dtype=np.int64) == variables for part in (shape[1:], shape)]
    return len(shape) == 0 or (fits[1] and not fits[0])


def _items(header: Header, batch: Any) -> Items:
    if header.schema is not None:
        codes, escaped = header.schema.encode(batch)
        return Items(codes, codes < 0, tuple((row, text) for row, _, text in escaped))
    array, mask = _array(batch)
    if array.dtype != header.dtype or array.shape[1:] != header.item_shape:
        raise ValueError(
            f"batches: expected {header.dtype} of shape (n, {', '.join(map(str, header.item_shape))}) "
            f"as in the first, got {array.dtype} of shape {array.shape}"
        )
    if mask is None and header.masked:
        mask = np.zeros(array.shape, dtype=bool)
    if mask is not None and not header.masked:
        raise ValueError("batches: a masked array after a first one that was none")
    if mask is not None:
        array = np.where(mask, np.zeros((), dtype=array.dtype), array)
    return Items(array, mask)


def _as_given(header: Header, items: Items) -> Any:
    """An array or a table of some items."""
    if header.schema is not None:
        return header.schema.decode(items.values, [text for _, text in items.texts])
    if items.missing is not None:
        return np.ma.MaskedArray(items.values, mask=items.missing)
    return items.values


def _check_total(size: int, max_bytes: int | None) -> None:
    if max_bytes is not None and size > max_bytes:
        raise ValueError(f"max_bytes: the stream holds at least {size} bytes, got {max_bytes}")
