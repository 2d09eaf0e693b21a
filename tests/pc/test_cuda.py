"""The CUDA kernels of circuits against those of the CPU, on fresh random circuits."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import pytest
import torch

from fourfold import pc
from fourfold._gpu import has_cuda_kernels, no_cuda_kernels
from fourfold.errors import CorruptStreamError
from fourfold.pc import Structure, _cuda_kernel
from fourfold.pc._codec_kernel import row_codec

from .codec_reference import random_circuit, random_rows, sample_rows

pytestmark = pytest.mark.gpu

SHAPES = ["chain", "star", "tree"]


@pytest.fixture(autouse=True)
def _a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if not has_cuda_kernels():
        pytest.skip(no_cuda_kernels())


def draw(
    shape: str,
    states: int,
    values: int,
    nodes: int = 61,
    variables: int = 97,
    floor: float | None = None,
) -> tuple[Any, pc.Circuit]:
    seed = secrets.randbits(48)
    print("seed", seed)
    rng = np.random.default_rng(seed)
    parents = [
        v - 1 if shape == "chain" else 0 if shape == "star" else int(rng.integers(v))
        for v in range(1, nodes)
    ]
    structure = Structure(
        [-1, *parents],
        rng.integers(max(1, states // 2), states + 1, nodes),
        rng.integers(nodes, size=variables),
        rng.integers(2, values + 1, variables),
    )
    return rng, random_circuit(
        rng, structure, floor=secrets.choice([0, 1e-3]) if floor is None else floor
    )


def some_rows(rng: Any, circuit: pc.Circuit, count: int) -> Any:
    half = count // 2
    known = sample_rows(rng, circuit, half)
    return np.concatenate([known, random_rows(rng, circuit.structure, count - half)])


def poison_the_allocator() -> None:
    """Memory that the next outputs get is full of ones."""
    blocks = [torch.full((n,), -1, device="cuda") for n in (1 << 10, 1 << 16, 1 << 21, 1 << 23)]
    del blocks


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("states", "values"), [(3, 2), (17, 40), (32, 256), (130, 1100)])
def test_the_same_stream(shape: str, states: int, values: int) -> None:
    rng, circuit = draw(shape, states, values)
    cells = some_rows(rng, circuit, 301)
    hidden = np.ma.MaskedArray(cells, mask=rng.random(cells.shape) < 0.3)
    for data in (cells, hidden):
        for block_items in (1, 13, 1000):
            poison_the_allocator()
            blob = pc.compress(circuit, data, block_items=block_items, device="cuda")
            assert blob == pc.compress(circuit, data, block_items=block_items)
            back = pc.decompress(circuit, blob, device="cuda")
            assert np.array_equal(np.ma.getdata(back), np.ma.getdata(pc.decompress(circuit, blob)))
            assert np.ma.allequal(back, data)


def test_many_streams_a_block() -> None:
    rng, circuit = draw("tree", 9, 256, variables=1024)
    cells = some_rows(rng, circuit, 1030)
    assert row_codec(circuit).streams(1030) == 16
    blob = pc.compress(circuit, cells, block_items=1030, device="cuda")
    assert blob == pc.compress(circuit, cells, block_items=1030)
    assert np.array_equal(pc.decompress(circuit, blob, device="cuda"), cells)


def test_damage_is_named_as_on_the_cpu() -> None:
    rng, circuit = draw("tree", 20, 60)
    cells = some_rows(rng, circuit, 64)
    codec = row_codec(circuit)
    there = codec.on(torch.device("cuda", 0))
    rows = [1, 7, 56]
    payloads = codec.encode(cells, rows, [20000] * 3)
    told = set()
    for _ in range(200):
        damaged = [bytearray(payload or b"") for payload in payloads]
        which = int(rng.integers(3))
        at = int(rng.integers(len(damaged[which])))
        kind = rng.integers(4)
        if kind == 0:
            damaged[which][at] ^= int(rng.integers(1, 256))
        elif kind == 1:
            del damaged[which][at:]
        elif kind == 2:
            damaged[which] += bytes(4)
        else:
            damaged[which][:8] = bytes(8)
        blobs = [bytes(payload) for payload in damaged]
        here = codec.decode(blobs, rows, np.zeros_like(cells))
        assert there.decode(blobs, rows, np.zeros_like(cells)) == here
        told |= set(here)
    assert told == {0, 3, 4, 5, 6}


def test_a_damaged_stream() -> None:
    rng, circuit = draw("chain", 9, 30)
    blob = bytearray(pc.compress(circuit, some_rows(rng, circuit, 20), device="cuda"))
    blob[-100] ^= 1
    with pytest.raises(CorruptStreamError):
        pc.decompress(circuit, bytes(blob), device="cuda")


@pytest.mark.parametrize("shape", [*SHAPES, "mixture"])
@pytest.mark.parametrize(("states", "values"), [(1, 2), (17, 40), (32, 256), (130, 300)])
def test_log_prob(shape: str, states: int, values: int) -> None:
    nodes = 2 if shape == "mixture" else 61
    # No zeros: what the CPU flushes and this does not could be all that is left.
    tree = "star" if shape == "mixture" else shape
    rng, circuit = draw(tree, states, values, nodes, floor=1e-3)
    x = some_rows(rng, circuit, 1003)
    missing = rng.random(x.shape) < 0.2
    for mask in (None, missing):
        expected = circuit.log_prob(x, missing=mask)
        poison_the_allocator()
        on_gpu = torch.from_numpy(x.astype(np.int32)).cuda()
        got = circuit.log_prob(on_gpu, missing=mask)
        assert got.device.type == "cuda"
        np.testing.assert_allclose(got.cpu().numpy(), expected, rtol=1e-6, atol=1e-4)
        assert torch.equal(got, circuit.log_prob(on_gpu, missing=mask))
    subset = [0, 5, 60]
    got = circuit.marginal(torch.from_numpy(x.astype(np.int64)).cuda(), subset)
    np.testing.assert_allclose(got.cpu().numpy(), circuit.marginal(x, subset), rtol=1e-6, atol=1e-4)


def test_what_is_impossible() -> None:
    circuit = pc.Circuit(
        Structure([-1], [1], [0, 0], [2, 3]), [1], [None], [[[1, 0]], [[0, 0.5, 0.5]]]
    )
    x = torch.tensor([[0, 1], [1, 1], [0, 0]]).cuda()
    assert circuit.log_prob(x).tolist() == [np.log(0.5), -np.inf, -np.inf]


def test_another_stream_and_a_graph() -> None:
    rng = np.random.default_rng()
    circuit = random_circuit(
        rng, Structure([-1, 0, 1], [16, 16, 16], [0, 1, 2, 2], [256, 256, 256, 256])
    )
    x, y = (torch.from_numpy(some_rows(rng, circuit, 77).astype(np.uint8)) for _ in range(2))
    model = _cuda_kernel.model_on(circuit, torch.device("cuda", 0))
    codes = x.cuda()
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        first = model.log_prob(codes)
    torch.cuda.current_stream().wait_stream(stream)
    assert torch.equal(first, circuit.log_prob(x.cuda()))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = model.log_prob(codes)
    codes.copy_(y)
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(out, circuit.log_prob(y.cuda()))


def test_every_run_is_the_same() -> None:
    rng, circuit = draw("tree", 48, 200)
    cells = some_rows(rng, circuit, 500)
    assert len({pc.compress(circuit, cells, device="cuda") for _ in range(3)}) == 1
