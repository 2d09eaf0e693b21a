"""Round trips of arrays: any tree, any shape, any block size, any dtype."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fourfold
from fourfold import pc
from fourfold.pc import Structure

from .codec_reference import random_circuit, random_rows, sample_rows

SMALL = Structure([-1, 0, 0, 1], [3, 5, 17, 2], [0, 2, 2, 3, 1, 1], [2, 300, 7, 256, 9, 20])


def circuit_of(structure: Structure, seed: int = 0) -> pc.Circuit:
    return random_circuit(np.random.default_rng(seed), structure)


@st.composite
def structures(draw: st.DrawFn) -> Structure:
    """Any tree; up to 2000 variables, and up to 65536 values where there are few."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    nodes = draw(st.sampled_from([1, 2, 3, 8, 30, 200]))
    bend = draw(st.sampled_from([1, 3, nodes]))
    parent = [-1] + [max(0, v - int(rng.integers(1, bend + 1))) for v in range(1, nodes)]
    variables = draw(st.one_of(st.integers(1, 40), st.sampled_from([1, 333, 2000])))
    top = 65536 if variables <= 4 else 1000 if variables <= 40 else 20
    cardinality = np.minimum(np.exp(rng.uniform(np.log(2), np.log(top + 1), variables)), top)
    states = rng.integers(1, draw(st.sampled_from([2, 9, 40])), nodes)
    return Structure(
        parent, states, rng.integers(0, nodes, variables), np.maximum(cardinality.astype(int), 2)
    )


@given(structures(), st.integers(0, 2**32), st.integers(1, 70), st.integers(1, 80))
@settings(deadline=None, max_examples=60)
def test_round_trip(structure: Structure, seed: int, n: int, block_items: int) -> None:
    rng = np.random.default_rng(seed)
    circuit = random_circuit(rng, structure, floor=0 if seed % 2 else 1e-3)
    half = n // 2
    cells = np.concatenate([sample_rows(rng, circuit, half), random_rows(rng, structure, n - half)])
    blob = pc.compress(circuit, cells, block_items=block_items)
    back = pc.decompress(circuit, blob)
    assert back.dtype == cells.dtype
    assert np.array_equal(back, cells)
    blocks = -(-n // block_items)
    header = len(pc.compress(circuit, cells[:0], block_items=block_items))
    assert len(blob) <= cells.nbytes + header + 16 * blocks
    start = int(rng.integers(0, n))
    reader = pc.CompressedReader(blob, circuit)
    assert np.array_equal(reader[start : start + 5], cells[start : start + 5])


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">u2", "<i4", ">i4", "<i8", ">u8", "?"])
def test_dtypes_come_back(dtype: str) -> None:
    rng = np.random.default_rng(1)
    structure = Structure.hmm(6, 4, 2)
    cells = rng.integers(0, 2, (50, 2, 3)).astype(dtype)
    back = pc.decompress(circuit_of(structure), pc.compress(circuit_of(structure), cells))
    assert back.dtype == np.dtype(dtype)
    assert back.dtype.str == np.dtype(dtype).str
    assert back.shape == (50, 2, 3)
    assert back.tobytes() == cells.tobytes()


@pytest.mark.parametrize("strange", [300, 65536, 2**40, -1, -(2**40)])
def test_values_that_the_model_does_not_know(strange: int) -> None:
    cells = random_rows(np.random.default_rng(2), SMALL, 20).astype(np.int64)
    cells[7, 1] = strange
    circuit = circuit_of(SMALL)
    blob = pc.compress(circuit, cells, block_items=5)
    assert np.array_equal(pc.decompress(circuit, blob), cells)
    # One block of four is raw.
    assert len(blob) < cells.nbytes


def test_noise_does_not_grow() -> None:
    rng = np.random.default_rng(3)
    structure = Structure.hmm(50, 4, 256)
    leaves = [np.full((4, 256), 1e-6 / 255) for _ in range(50)]
    for leaf in leaves:
        leaf[:, 0] = 1 - 1e-6
    base = circuit_of(structure)
    circuit = pc.Circuit(structure, base.root, base.edges, leaves)
    noise = rng.integers(1, 256, (300, 50), dtype=np.uint8)
    blob = pc.compress(circuit, noise, block_items=7)
    header = len(pc.compress(circuit, noise[:0]))
    assert len(blob) <= noise.nbytes + header + 16 * 43
    assert np.array_equal(pc.decompress(circuit, blob), noise)
    # And what the model expects takes nearly nothing.
    assert len(pc.compress(circuit, np.zeros_like(noise))) < 150


@pytest.mark.parametrize("shape", [(0, 6), (1, 6), (0, 2, 3), (6,), (2, 3), (17, 6, 1)])
def test_shapes_come_back(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    structure = Structure.naive_bayes(6, 3, 5)
    cells = rng.integers(0, 5, shape)
    back = pc.decompress(circuit_of(structure), pc.compress(circuit_of(structure), cells))
    assert back.shape == shape
    assert np.array_equal(back, cells)


def test_one_variable() -> None:
    structure = Structure([-1], [1], [0], [2])
    circuit = circuit_of(structure)
    for cells in (np.array([], dtype=int), np.array([1]), np.array([0, 1, 1]), np.array(1)):
        back = pc.decompress(circuit, pc.compress(circuit, cells))
        assert back.shape == cells.shape
        assert np.array_equal(back, cells)


@pytest.mark.isa
def test_a_chain_of_a_thousand() -> None:
    rng = np.random.default_rng(5)
    structure = Structure.hmm(1000, 5, 7)
    circuit = circuit_of(structure)
    # From the end as well: the root at one end, or in the middle.
    middle = Structure.from_tree(
        [v + 1 if v < 500 else v - 1 if v > 500 else -1 for v in range(1001)], 3, cardinality=4
    )
    for s, c in ((structure, circuit), (middle, circuit_of(middle))):
        cells = random_rows(rng, s, 20)
        assert np.array_equal(pc.decompress(c, pc.compress(c, cells)), cells)


def test_masked_arrays() -> None:
    rng = np.random.default_rng(6)
    circuit = circuit_of(SMALL)
    cells = sample_rows(rng, circuit, 200)
    mask = rng.random(cells.shape) < 0.4
    hidden = np.ma.MaskedArray(cells, mask=mask)
    hidden.data[mask] = 10**6  # what is under the mask does not matter
    blob = pc.compress(circuit, hidden, block_items=33)
    back = pc.decompress(circuit, blob)
    assert isinstance(back, np.ma.MaskedArray)
    assert np.array_equal(back.mask, mask)
    assert np.array_equal(back.filled(0), hidden.filled(0))
    assert np.array_equal(pc.CompressedReader(blob, circuit)[60:80].mask, mask[60:80])
    # What is missing costs the mask only.
    assert len(blob) < len(pc.compress(circuit, cells, block_items=33)) + cells.size // 8
    # A block that has to be raw keeps its mask.
    strange = hidden.copy()
    strange[3, :3] = -5
    back = pc.decompress(circuit, pc.compress(circuit, strange))
    assert np.array_equal(back.mask, strange.mask)
    assert np.array_equal(back.filled(0), strange.filled(0))


def test_streams_do_not_depend_on_batches_or_threads() -> None:
    circuit = circuit_of(SMALL)
    cells = random_rows(np.random.default_rng(7), SMALL, 500)
    blob = pc.compress(circuit, cells, block_items=30)
    for cuts in ([], [1], [29, 30, 31, 300], [0, 0, 499]):
        batches = np.split(cells, cuts)
        assert b"".join(pc.encode_stream(circuit, batches, block_items=30)) == blob
    for threads in (1, 2, 3):
        fourfold.set_num_threads(threads)
        assert pc.compress(circuit, cells, block_items=30) == blob
        assert np.array_equal(pc.decompress(circuit, blob), cells)
    for size in (1, 7, 10**6):
        pieces = [blob[at : at + size] for at in range(0, len(blob), size)]
        assert np.array_equal(np.concatenate(list(pc.decode_stream(circuit, pieces))), cells)
    parts = list(pc.decode_stream(circuit, io.BytesIO(blob)))
    assert np.array_equal(np.concatenate(parts), cells)


def test_streams_are_cut_into_waves(monkeypatch: pytest.MonkeyPatch) -> None:
    from fourfold.pc import compression, reader

    circuit = circuit_of(SMALL)
    cells = random_rows(np.random.default_rng(8), SMALL, 500)
    blob = pc.compress(circuit, cells, block_items=30)
    monkeypatch.setattr(compression, "_WAVE_BYTES", 3000)
    monkeypatch.setattr(reader, "_WAVE_BYTES", 3000)
    seen: list[tuple[int, int]] = []
    assert pc.compress(circuit, cells, block_items=30, progress=lambda *a: seen.append(a)) == blob
    assert seen[0] == (0, 500)
    assert seen[-1] == (500, 500)
    assert len(seen) > 3
    parts = list(pc.decode_stream(circuit, [blob]))
    assert len(parts) > 3
    assert np.array_equal(np.concatenate(parts), cells)
    assert np.array_equal(pc.decompress(circuit, blob), cells)


def test_reader(tmp_path: Path) -> None:
    circuit = circuit_of(SMALL)
    cells = random_rows(np.random.default_rng(9), SMALL, 100)
    path = tmp_path / "x.ffz"
    notes = {"camera": "Ä", "numbers": [1, 2]}
    path.write_bytes(pc.compress(circuit, cells, block_items=7, metadata=notes))
    with pc.CompressedReader(path, circuit) as reader:
        assert reader.shape == (100, 6)
        assert reader.dtype == cells.dtype
        assert len(reader) == 100
        assert reader.metadata == notes
        for index in (0, 6, 7, 99, -1, -100):
            assert np.array_equal(reader[index], cells[index])
        for part in (slice(None), slice(5, 9), slice(90, 200), slice(50, 3, -9), slice(5, 5)):
            assert np.array_equal(reader[part], cells[part])
        with pytest.raises(IndexError, match="100 is out of bounds for 100"):
            reader[100]
    with path.open("rb") as file, pc.CompressedReader(file, circuit) as reader:
        assert np.array_equal(reader[3], cells[3])


def test_torch_tensors_go_in() -> None:
    torch = pytest.importorskip("torch")
    circuit = circuit_of(SMALL)
    cells = random_rows(np.random.default_rng(10), SMALL, 30)
    assert pc.compress(circuit, torch.from_numpy(cells)) == pc.compress(circuit, cells)


def test_what_is_refused() -> None:
    circuit = circuit_of(SMALL)
    cells = random_rows(np.random.default_rng(11), SMALL, 3)
    with pytest.raises(TypeError, match="data: expected integers, got dtype float64"):
        pc.compress(circuit, cells * 1.0)
    with pytest.raises(ValueError, match=r"data: expected the shape \(n, 6\), .* got \(3, 5\)"):
        pc.compress(circuit, cells[:, :5])
    with pytest.raises(ValueError, match="block_items: expected 1 to 2796202 items"):
        pc.compress(circuit, cells, block_items=0)
    with pytest.raises(ValueError, match=r"block_items: .* got 3000000"):
        pc.compress(circuit, cells, block_items=3_000_000)
    with pytest.raises(ValueError, match="batches: expected at least one"):
        list(pc.encode_stream(circuit, []))
    with pytest.raises(ValueError, match=r"batches: expected int32 .* got int64"):
        list(pc.encode_stream(circuit, [cells, cells.astype(np.int64)]))
    blob = pc.compress(circuit, cells)
    with pytest.raises(ValueError, match="max_bytes: the stream holds 72 bytes, got 71"):
        pc.decompress(circuit, blob, max_bytes=71)
    assert pc.decompress(circuit, blob, max_bytes=72).shape == (3, 6)
    with pytest.raises(ValueError, match="max_bytes"):
        list(pc.decode_stream(circuit, [blob], max_bytes=71))
    with pytest.raises(pc.ModelMismatchError, match="was made with the model"):
        pc.decompress(circuit_of(SMALL, 1), blob)


def test_arguments_that_are_refused_by_name() -> None:
    model = circuit_of(SMALL)
    rows = random_rows(np.random.default_rng(0), SMALL, 3)
    with pytest.raises(TypeError, match="block_items: expected an integer, got float"):
        pc.compress(model, rows, block_items=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="metadata: expected what JSON can hold"):
        pc.compress(model, rows, metadata={"a": object()})
    with pytest.raises(ValueError, match="metadata: expected what JSON can hold"):
        pc.compress(model, rows, metadata={"a": float("nan")})
    blob = pc.compress(model, rows)
    with pytest.raises(TypeError, match="model: expected a Circuit, got bytes"):
        pc.compress(blob, rows)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="model: expected a Circuit, got bytes"):
        pc.decompress(blob, blob)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="model: expected a Circuit, got str"):
        list(pc.decode_stream("model.ffpc", [blob]))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="source: expected a binary file"):
        list(pc.decode_stream(model, "stream.ffz"))  # type: ignore[arg-type]
