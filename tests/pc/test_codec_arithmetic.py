"""What is coded: against a second implementation, and against probabilities by enumeration."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fourfold
from fourfold import _core
from fourfold.pc import Structure
from fourfold.pc._codec_kernel import DAMAGE, RowCodec, pack_missing, unpack_missing

from .codec_reference import decode_block, log2_prob, random_circuit, random_rows, sample_rows

pytestmark = pytest.mark.isa

STRUCTURES = {
    "one variable": Structure([-1], [1], [0], [2]),
    "one state, many leaves": Structure.naive_bayes(40, 1, 5),
    "naive Bayes": Structure.naive_bayes(30, 17, 9),
    "chain": Structure.hmm(25, 6, 11),
    "star": Structure([-1, *[0] * 9], [4] * 10, range(10), 300),
    "many sizes": Structure(
        [-1, 0, 0, 1, 1, 2, 5, 5, 3],
        [3, 18, 1, 33, 2, 16, 9, 7, 5],
        [4, 4, 4, 7, 0, 6, 8, 3],
        [2, 3, 257, 2, 40, 256, 1000, 17],
    ),
    # Nodes 2, 4 and 5 have no variable below them; the root has none of its own.
    "barren branches": Structure([-1, 0, 0, 1, 2, 4], [2, 3, 4, 5, 6, 7], [3, 1], [3, 4]),
}


def encode(codec: RowCodec, cells: np.ndarray, rows: list[int]) -> list[bytes]:
    payloads = codec.encode(cells, rows, [16 + 4 * n * cells.shape[1] for n in rows])
    assert None not in payloads
    return [p for p in payloads if p is not None]


@pytest.mark.parametrize("floor", [1e-3, 0])
@pytest.mark.parametrize("name", STRUCTURES)
def test_a_second_implementation_decodes_it(name: str, floor: float) -> None:
    rng = np.random.default_rng([len(name), floor > 0])
    structure = STRUCTURES[name]
    circuit = random_circuit(rng, structure, floor)
    # What the circuit calls impossible has to come back as well.
    cells = np.concatenate([sample_rows(rng, circuit, 3), random_rows(rng, structure, 3)])
    (payload,) = encode(RowCodec(circuit), cells, [6])
    assert np.array_equal(decode_block(circuit, payload, 6), cells)
    missing = rng.random(cells.shape) < 0.3
    cells[missing] = -1
    (payload,) = encode(RowCodec(circuit), cells, [6])
    assert np.array_equal(decode_block(circuit, payload, 6, missing), cells)


def test_large_blocks_have_several_streams() -> None:
    rng = np.random.default_rng(3)
    structure = Structure.hmm(300, 2, 256)
    codec = RowCodec(random_circuit(rng, structure))
    rows = [2 ** (k + 7) for k in range(6)]
    assert [codec.streams(n) for n in rows] == [1, 2, 4, 8, 16, 16]
    rows = [300, 5, 1801, 700]
    cells = random_rows(rng, structure, sum(rows)).astype(np.uint8)
    decoded = np.zeros_like(cells)
    assert codec.decode(encode(codec, cells, rows), rows, decoded) == [0] * 4
    assert np.array_equal(decoded, cells)


@pytest.mark.slow
def test_a_second_implementation_decodes_streams_in_step() -> None:
    rng = np.random.default_rng(4)
    structure = Structure.naive_bayes(16, 1, 65536)
    circuit = random_circuit(rng, structure)
    codec = RowCodec(circuit)
    n = 2049
    assert codec.streams(n) == 2
    cells = random_rows(rng, structure, n)
    (payload,) = encode(codec, cells, [n])
    assert np.array_equal(decode_block(circuit, payload, n), cells)


@pytest.mark.parametrize("name", ["one variable", "naive Bayes", "barren branches", "star"])
def test_a_single_row_costs_its_probability(name: str) -> None:
    rng = np.random.default_rng(len(name))
    structure = STRUCTURES[name]
    if name == "star":
        structure = Structure([-1, 0, 0, 0], [3] * 4, range(4), 300)
    circuit = random_circuit(rng, structure)
    codec = RowCodec(circuit)
    cells = sample_rows(rng, circuit, 10)
    for row, payload in zip(cells, encode(codec, cells, [1] * 10), strict=True):
        # 32 bits of the state hold the checksum of the values.
        over = 8 * len(payload) - 32 + log2_prob(circuit, row)
        assert -0.5 < over <= 20


def test_a_long_stream_costs_its_probability() -> None:
    rng = np.random.default_rng(8)
    structure = Structure([-1, 0, 1, 1], [4, 3, 2, 5], [0, 1, 2, 3, 3], [7, 200, 3, 2, 1000])
    circuit = random_circuit(rng, structure)
    cells = sample_rows(rng, circuit, 3000)
    (payload,) = encode(RowCodec(circuit), cells, [3000])
    rows, counts = np.unique(cells, axis=0, return_counts=True)
    ideal = -sum(c * log2_prob(circuit, row) for row, c in zip(rows[:400], counts, strict=False))
    part = np.repeat(rows[:400], counts[:400], axis=0)
    (payload,) = encode(RowCodec(circuit), part, [len(part)])
    assert 0 <= 8 * len(payload) - ideal <= 64 + 0.001 * ideal


def test_conditionals_multiply_to_the_joint() -> None:
    # All rows of a small circuit: if every one costs -log2 p, the conditionals are those of p.
    rng = np.random.default_rng(9)
    structure = Structure([-1, 0, 0, 2], [2, 3, 2, 2], [1, 3, 2, 0], [2, 3, 2, 4])
    circuit = random_circuit(rng, structure)
    grid = np.stack(np.meshgrid(*(np.arange(k) for k in structure.cardinality), indexing="ij"), -1)
    codec = RowCodec(circuit)
    for row in grid.reshape(-1, 4):
        # Many times the same row, so that the stream's end does not matter.
        cells = np.ascontiguousarray(np.repeat(row[None], 500, axis=0), dtype=np.int32)
        (payload,) = encode(codec, cells, [500])
        assert math.isclose((8 * len(payload) - 60) / 500, -log2_prob(circuit, row), abs_tol=0.15)


def test_blocks_and_threads_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    structure = STRUCTURES["many sizes"]
    codec = RowCodec(random_circuit(rng, structure))
    cells = random_rows(rng, structure, 300)
    rows = [1, 40, 2, 17, 100, 3, 137]
    payloads = encode(codec, cells, rows)
    start = 0
    for n, payload in zip(rows, payloads, strict=True):
        assert encode(codec, np.ascontiguousarray(cells[start : start + n]), [n]) == [payload]
        start += n
    for threads in (1, 2, 3):
        fourfold.set_num_threads(threads)
        assert encode(codec, cells, rows) == payloads
        decoded = np.zeros_like(cells)
        assert codec.decode(payloads, rows, decoded) == [0] * len(rows)
        assert np.array_equal(decoded, cells)


def test_the_callers_rounding_and_flushing_do_not_matter() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(6)
    structure = Structure.naive_bayes(60, 20, 50)
    circuit = random_circuit(rng, structure, floor=1e-12)
    cells = random_rows(rng, structure, 50)
    payloads = encode(RowCodec(circuit), cells, [50])
    if not torch.set_flush_denormal(True):
        pytest.skip("this CPU cannot flush denormals")
    try:
        assert encode(RowCodec(circuit), cells, [50]) == payloads
        decoded = np.zeros_like(cells)
        assert RowCodec(circuit).decode(payloads, [50], decoded) == [0]
        assert (torch.tensor([1e-310], dtype=torch.float64) * 1).item() == 0, "left as it was"
    finally:
        torch.set_flush_denormal(False)
    assert np.array_equal(decoded, cells)


SCRIPT = """
import sys
import numpy as np
from fourfold.pc._codec_kernel import RowCodec
from tests.pc.test_codec_arithmetic import STRUCTURES, encode, random_circuit, random_rows
for seed, structure in enumerate(STRUCTURES.values()):
    rng = np.random.default_rng(seed)
    codec = RowCodec(random_circuit(rng, structure, 1e-9))
    for payload in encode(codec, random_rows(rng, structure, 50), [3, 47]):
        sys.stdout.write(payload.hex() + "\\n")
"""


def test_all_levels_write_the_same_bytes() -> None:
    root = Path(__file__).parents[2]
    written = {}
    for level in _core.isa_levels_supported():
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "FOURFOLD_ISA": level},
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        )
        written[level] = done.stdout
    assert len(set(written.values())) == 1
    assert len(written["baseline"].split()) == 2 * len(STRUCTURES)


def test_any_bytes_are_safe_to_decode() -> None:
    rng = np.random.default_rng(7)
    structure = STRUCTURES["many sizes"]
    codec = RowCodec(random_circuit(rng, structure))
    cells = random_rows(rng, structure, 40)
    (payload,) = encode(codec, cells, [40])
    decoded = np.zeros_like(cells)
    seen = set()
    for trial in range(300):
        data = bytearray(payload)
        if trial % 3 == 0:
            data = data[: rng.integers(0, len(data))]
        elif trial % 3 == 1:
            data[rng.integers(0, len(data))] ^= 1 << rng.integers(0, 8)
        else:
            data = bytearray(rng.bytes(int(rng.integers(0, 400))))
        (status,) = codec.decode([bytes(data)], [40], decoded)
        assert status in DAMAGE
        seen.add(status)
        assert (decoded < structure.cardinality).all()
    assert len(seen) >= 3


def test_what_does_not_fit_is_not_encoded() -> None:
    structure = STRUCTURES["star"]
    codec = RowCodec(random_circuit(np.random.default_rng(1), structure))
    cells = random_rows(np.random.default_rng(2), structure, 9)
    good = encode(codec, cells, [3, 3, 3])
    cells[4, 7] = 300
    assert codec.encode(cells, [3, 3, 3], [400] * 3) == [good[0], None, good[2]]
    cells[4, 7] = -2
    assert codec.encode(cells, [3, 3, 3], [400, 400, 6]) == [good[0], None, None]


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.97, 1])
def test_missing_values_are_coded(share: float) -> None:
    rng = np.random.default_rng(11)
    missing = rng.random((700, 6)) < share * np.linspace(0.2, 1, 6)
    packed = pack_missing(missing)
    assert np.array_equal(unpack_missing(packed, 700, 6), missing)
    p = np.clip(missing.mean(axis=0), 1e-12, 1 - 1e-12)
    entropy = -700 * float((p * np.log2(p) + (1 - p) * np.log2(1 - p)).sum())
    assert 8 * len(packed) <= 1.01 * entropy + 6 * 6 + 16
    for at in range(len(packed)):
        assert unpack_missing(packed[:at], 700, 6).shape == (700, 6)
