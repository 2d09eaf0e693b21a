"""A damaged stream is an error that says where, never other data, a hang or a crash."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold import pc
from fourfold.errors import DamagedFileError
from fourfold.pc import _stream

from . import golden
from .golden import array_case, table_case

MODEL, ROWS = array_case()
BLOB = pc.compress(MODEL, ROWS, block_items=64)
TABLE_MODEL, SCHEMA, COLUMNS = table_case()
TABLE_BLOB = pc.compress(TABLE_MODEL, COLUMNS, schema=SCHEMA, block_items=128)
CASES = [(MODEL, BLOB), (TABLE_MODEL, TABLE_BLOB)]
HEADER_LENGTH = int.from_bytes(BLOB[12:16], "little")


def both_ways(model: pc.Circuit, blob: bytes) -> list[str]:
    """The messages of the errors when decoded at once and as a stream."""
    messages = []
    for decode in (
        lambda: pc.decompress(model, blob),
        lambda: list(pc.decode_stream(model, [blob])),
    ):
        with pytest.raises((pc.CorruptStreamError, pc.ModelMismatchError)) as caught:
            decode()
        messages.append(str(caught.value))
    return messages


@given(st.sampled_from(CASES), st.data())
@settings(deadline=None, max_examples=120)
def test_truncated_anywhere(case: tuple[pc.Circuit, bytes], data: st.DataObject) -> None:
    model, blob = case
    both_ways(model, blob[: data.draw(st.integers(0, len(blob) - 1))])


@given(st.sampled_from(CASES), st.data())
@settings(deadline=None, max_examples=250)
def test_any_flipped_bit(case: tuple[pc.Circuit, bytes], data: st.DataObject) -> None:
    model, blob = case
    damaged = bytearray(blob)
    at = data.draw(st.integers(0, len(blob) - 1))
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    both_ways(model, bytes(damaged))


def test_every_header_and_index_byte() -> None:
    index = 4 * len(range(0, len(ROWS), 64)) + _stream.FOOTER + 4
    for at in [*range(HEADER_LENGTH), *range(len(BLOB) - index, len(BLOB))]:
        damaged = bytearray(BLOB)
        damaged[at] ^= 0x55
        both_ways(MODEL, bytes(damaged))


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=100)
def test_anything_at_all(data: bytes) -> None:
    both_ways(MODEL, data)
    both_ways(MODEL, BLOB[:8] + data)
    both_ways(MODEL, BLOB[:HEADER_LENGTH] + data)


@given(st.sampled_from(CASES), st.data())
@settings(deadline=None, max_examples=150)
def test_damage_under_a_right_checksum(case: tuple[pc.Circuit, bytes], data: st.DataObject) -> None:
    # What someone makes on purpose: a payload that no encoder writes, every checksum right.
    model, blob = case
    length = int.from_bytes(blob[12:16], "little")
    word = int.from_bytes(blob[length : length + 4], "little")
    payload = bytearray(blob[length + 8 : length + 8 + (word & _stream.LENGTH_MASK)])
    flips = data.draw(
        st.lists(st.tuples(st.integers(0, len(payload) - 1), st.integers(1, 255)), min_size=1)
    )
    for at, bits in flips:
        payload[at] ^= bits
    kinds = _stream.RAW | _stream.MISSING | _stream.ESCAPED
    word ^= data.draw(st.sampled_from([0, 0, _stream.RAW, _stream.MISSING, _stream.ESCAPED, kinds]))
    forged = with_blocks(blob, [(word, bytes(payload))])
    try:
        back = pc.decompress(model, forged)
    except pc.CorruptStreamError:
        return
    # Raw data and masks may be any; nothing else passes.
    if not isinstance(back, dict):
        assert word & _stream.RAW or bytes(payload) == blob[length + 8 :][: len(payload)]


def with_blocks(blob: bytes, blocks: list[tuple[int, bytes]], items: int | None = None) -> bytes:
    """A stream with the header of another one, and checksums that are right."""
    head = blob[: int.from_bytes(blob[12:16], "little")]
    crc = zlib.crc32(head)
    block_items = _stream.Header.from_bytes(head).block_items
    body = b"".join(
        _stream.block_head(crc, i, word, payload) + payload
        for i, (word, payload) in enumerate(blocks)
    )
    count = len(blocks) * block_items if items is None else items
    words = [word for word, _ in blocks]
    return head + body + struct.pack("<I", _stream.END) + _stream.footer(crc, words, count)


def with_header(**changes: Any) -> bytes:
    """An empty stream whose header claims something else."""
    fields: dict[str, Any] = vars(_stream.Header.from_bytes(BLOB[:HEADER_LENGTH])) | changes
    head = _stream.Header(**fields).to_bytes()
    return head + struct.pack("<I", _stream.END) + _stream.footer(zlib.crc32(head), [], 0)


def test_claims_of_terabytes_cost_nothing() -> None:
    claims = [
        with_header(item_shape=(2**40,)),
        with_header(item_shape=(2**62, 4, 2**62)),
        with_header(block_items=2**32 - 1),
        with_header(item_shape=(0,)),
        with_header(item_shape=(1,) * 40),
        with_header(item_shape=(8,)),
        with_blocks(BLOB, [(2**28 - 1, b"")]),
        with_blocks(BLOB, [], items=2**63),
        with_blocks(BLOB, [(0, b"")], items=2**40),
        with_blocks(BLOB, [(5, bytes(5))] * 3, items=64 * 3),
        BLOB[:12] + struct.pack("<I", 2**32 - 1) + BLOB[16:],
    ]
    tracemalloc.start()
    try:
        for claim in claims:
            both_ways(MODEL, claim)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_blocks_cannot_change_places() -> None:
    layout = pc.reader.StreamLayout(io.BytesIO(BLOB))
    blocks = [(layout.block(i).word, bytes(layout.block(i).data)) for i in range(len(layout.words))]
    assert with_blocks(BLOB, blocks, len(ROWS)) == BLOB
    a, b = layout.offsets[0], layout.offsets[1]
    c = layout.offsets[2]
    both_ways(MODEL, BLOB[:a] + BLOB[b:c] + BLOB[a:b] + BLOB[c:])
    # Blocks of another stream of the same model.
    other = pc.compress(MODEL, ROWS[::-1], block_items=32)
    start = int.from_bytes(other[12:16], "little")
    both_ways(MODEL, BLOB[:HEADER_LENGTH] + other[start:])


def test_messages_say_where() -> None:
    assert "does not begin like one" in both_ways(MODEL, b"PK" + BLOB[2:])[0]
    assert "bytes follow its end" in both_ways(MODEL, BLOB + b"\0")[1]
    layout = pc.reader.StreamLayout(io.BytesIO(BLOB))
    damaged = bytearray(BLOB)
    damaged[layout.offsets[3] + 20] ^= 1
    for message in both_ways(MODEL, bytes(damaged)):
        assert f"block 3 (byte {layout.offsets[3]} of the stream)" in message
    newer = bytearray(BLOB)
    newer[8] = 2
    assert "version 2" in both_ways(MODEL, bytes(newer))[0]
    assert issubclass(pc.CorruptStreamError, DamagedFileError)


def test_what_is_intact_can_be_read() -> None:
    layout = pc.reader.StreamLayout(io.BytesIO(BLOB))
    damaged = bytearray(BLOB)
    damaged[layout.offsets[3] + 20] ^= 1
    reader = pc.CompressedReader(bytes(damaged), MODEL)
    assert np.array_equal(reader[:192], ROWS[:192])
    assert np.array_equal(reader[256:], ROWS[256:])
    with pytest.raises(pc.CorruptStreamError, match="block 3"):
        reader[191:193]


def test_the_golden_files_are_these_streams() -> None:
    assert (golden.FOLDER / "pc_v1_array.ffz").read_bytes() == BLOB
