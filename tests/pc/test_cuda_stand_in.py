"""What Python hands to the CUDA kernels, seen by a stand-in for `_cuda` that computes on the CPU.

It takes the same addresses, so that layouts, sizes, conversions, scratch, device and stream are checked
where there is no GPU. That the kernels compute the same is for tests/csrc/pc_gpu_test.cpp to show.
"""

from __future__ import annotations

import ctypes
import io
import pickle
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fourfold import pc
from fourfold.pc import Structure, _cuda_kernel
from fourfold.pc._codec_kernel import row_codec

from .codec_reference import random_circuit, random_rows

DEVICE, STREAM = 3, 12345
STRUCTURE = Structure([-1, 0, 0, 1], [3, 5, 17, 2], [0, 2, 2, 3, 1, 1], [2, 30, 7, 256, 9, 20])
WIDE = Structure([-1, 0], [3, 40], [0, 1, 1], [2, 300, 7])


class Recorder:
    """`_cuda.pc`: what it computes with, and what it was called for."""

    circuit: pc.Circuit
    calls: list[str]
    scratch_floats: int


def array(address: int, count: int, kind: Any) -> Any:
    return np.ctypeslib.as_array((kind * count).from_address(address))


def spoil(address: int, size: int) -> None:
    """Every byte that the kernel may write is there."""
    assert address != 0
    ctypes.memset(address, 0x5A, size)


class Codec:
    """`_cuda.pc.Codec`."""

    def __init__(self, **program: int) -> None:
        assert all(program[name] != 0 for name in ("operations", "tables", "count"))
        self.twin = row_codec(Recorder.circuit)._codec
        self.variables = program["variables"]
        # Operations begin with that of the root, and tables with its probabilities.
        root = array(program["tables"], len(Recorder.circuit.root), ctypes.c_float)
        assert np.array_equal(root, Recorder.circuit.root)
        assert array(program["operations"], 1, ctypes.c_int32)[0] == 0

    def encode_scratch(self, rows: int, device: int) -> int:
        assert device == DEVICE
        return Recorder.scratch_floats

    def decode_scratch(self, blocks: int, streams: int, device: int) -> int:
        assert device == DEVICE
        return Recorder.scratch_floats

    def check(self, blocks: int, count: int, scratch: int, device: int, stream: int) -> Any:
        assert (device, stream) == (DEVICE, STREAM)
        if Recorder.scratch_floats:
            spoil(scratch, 4 * Recorder.scratch_floats)
        else:
            assert scratch == 0
        places = array(blocks, 5 * count, ctypes.c_int64).reshape(count, 5)
        first, rows, streams, begin, end = places.T
        assert np.array_equal(first, np.cumsum(rows) - rows)
        assert np.array_equal(begin[1:], end[:-1])
        assert [self.twin.streams(int(n)) for n in rows] == streams.tolist()
        return places

    def encode(self, **given: int) -> None:
        Recorder.calls.append("encode")
        count, rows = given["count"], given["rows"]
        places = self.check(
            given["blocks"], count, given["scratch"], given["device"], given["stream"]
        )
        assert places[:, 1].sum() == rows
        spoil(given["intervals"], 8 * rows * self.variables)
        spoil(given["bad"], 4 * rows)
        start = np.append(places[:, 3], places[-1, 4])
        spoil(given["out"], int(start[-1]))
        self.twin.encode(
            given["cells"],
            given["size"],
            places[:, 1].tolist(),
            start.ctypes.data,
            given["out"],
            given["length"],
            given["status"],
            1,
        )
        out = array(given["out"], int(start[-1]) + 1, ctypes.c_uint8)
        for b, length in enumerate(array(given["length"], count, ctypes.c_int64)):
            payload = out[start[b] : start[b] + length].copy()
            out[start[b + 1] - length : start[b + 1]] = payload

    def decode(self, **given: int) -> None:
        Recorder.calls.append("decode")
        places = self.check(
            given["blocks"], given["count"], given["scratch"], given["device"], given["stream"]
        )
        assert given["streams"] == places[:, 2].max()
        start = np.append(places[:, 3], places[-1, 4])
        length = np.diff(start)
        self.twin.decode(
            given["input"],
            start.ctypes.data,
            length.ctypes.data,
            places[:, 1].tolist(),
            given["cells"],
            given["size"],
            given["status"],
            1,
        )


class Likelihood:
    """`_cuda.pc.Likelihood`."""

    def __init__(self, **program: int) -> None:
        assert all(program[name] != 0 for name in ("operations", "tables", "count"))
        self.twin = Recorder.circuit._model._model

    def scratch(self, images: int, device: int) -> int:
        assert device == DEVICE
        return Recorder.scratch_floats

    def log_prob(self, **given: int) -> None:
        Recorder.calls.append("log_prob")
        assert (given["device"], given["stream"]) == (DEVICE, STREAM)
        assert (given["scratch"] == 0) == (Recorder.scratch_floats == 0)
        self.twin.log_prob(given["codes"], given["size"], given["images"], given["out"], 1)


@dataclass(frozen=True)
class Device:
    type: str
    index: int


class OnGpu(torch.Tensor):
    """A CPU tensor that says it is on a GPU."""

    device = Device("cuda", DEVICE)  # type: ignore[assignment]
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


@pytest.fixture(params=[0, 640], ids=["shared memory", "scratch"])
def stand_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    Recorder.calls = []
    Recorder.scratch_floats = request.param
    fake = SimpleNamespace(pc=SimpleNamespace(Codec=Codec, Likelihood=Likelihood))
    monkeypatch.setattr(_cuda_kernel, "has_cuda_kernels", lambda: True)
    monkeypatch.setattr(_cuda_kernel, "cuda_kernels", lambda: fake)
    monkeypatch.setattr(_cuda_kernel, "_device_count", lambda: DEVICE + 1)
    monkeypatch.setattr(_cuda_kernel, "current_stream", lambda device: STREAM)
    monkeypatch.setattr(_cuda_kernel, "moved", lambda tensor, device: tensor)
    empty = lambda count, dtype, device: torch.empty(max(count, 1), dtype=dtype)  # noqa: E731
    monkeypatch.setattr(_cuda_kernel, "_empty", empty)
    return Recorder


def a_circuit(structure: Structure = STRUCTURE) -> pc.Circuit:
    Recorder.circuit = random_circuit(np.random.default_rng(5), structure)
    return Recorder.circuit


def there(x: Any) -> Any:
    return torch.from_numpy(np.ascontiguousarray(x)).as_subclass(OnGpu)


@pytest.mark.parametrize("structure", [STRUCTURE, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("block_items", [1, 7, 1000])
def test_the_same_stream(stand_in: Any, structure: Structure, block_items: int) -> None:
    rng = np.random.default_rng()
    circuit = a_circuit(structure)
    cells = random_rows(rng, structure, 50)
    hidden = np.ma.MaskedArray(cells, mask=rng.random(cells.shape) < 0.3)
    for data in (cells, cells.astype(np.int16), hidden, cells[:0], cells[0]):
        here = pc.compress(circuit, data, block_items=block_items)
        on_gpu = pc.compress(circuit, data, block_items=block_items, device=f"cuda:{DEVICE}")
        assert on_gpu == here
        back = pc.decompress(circuit, on_gpu, device=DEVICE)
        assert back.dtype == data.dtype
        assert np.ma.allequal(back, data)
        assert np.array_equal(np.ma.getmaskarray(back), np.ma.getmaskarray(data))
    assert {"encode", "decode"} == set(stand_in.calls)


def test_streams_and_readers(stand_in: Any) -> None:
    circuit = a_circuit()
    cells = random_rows(np.random.default_rng(), STRUCTURE, 40)
    device = torch.device("cuda", DEVICE)
    blob = b"".join(pc.encode_stream(circuit, [cells[:9], cells[9:]], device=device))
    assert blob == pc.compress(circuit, cells)
    parts = list(pc.decode_stream(circuit, io.BytesIO(blob), device=device))
    assert np.array_equal(np.concatenate(parts), cells)
    assert np.array_equal(pc.CompressedReader(blob, circuit, device=device)[3:8], cells[3:8])
    assert len(stand_in.calls) == 3


def test_values_that_the_circuit_does_not_know(stand_in: Any) -> None:
    circuit = a_circuit()
    cells = random_rows(np.random.default_rng(), STRUCTURE, 12)
    cells[5, 0] = 77
    blob = pc.compress(circuit, cells, block_items=2, device=DEVICE)
    assert blob == pc.compress(circuit, cells, block_items=2)
    assert np.array_equal(pc.decompress(circuit, blob, device=DEVICE), cells)


@pytest.mark.parametrize("structure", [STRUCTURE, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_the_same_probabilities(stand_in: Any, structure: Structure, dtype: Any) -> None:
    rng = np.random.default_rng()
    circuit = a_circuit(structure)
    values = random_rows(rng, structure, 30)
    if dtype == np.uint8:
        values = np.minimum(values, 255)
    x = values.astype(dtype)
    missing = rng.random(x.shape) < 0.3
    missing[0, 0] = False
    for mask in (None, missing, missing[0], torch.from_numpy(missing)):
        expected = circuit.log_prob(x, missing=mask)
        assert np.array_equal(circuit.log_prob(there(x), missing=mask), expected)
        bits = circuit.bits_per_dim(x, missing=mask)
        assert circuit.bits_per_dim(there(x), missing=mask) == pytest.approx(bits, rel=1e-12)
    assert np.array_equal(circuit.marginal(there(x), [0, 2]), circuit.marginal(x, [0, 2]))
    one = circuit.log_prob(there(x[0]))
    assert one.shape == ()
    assert float(one) == circuit.log_prob(x[0])
    assert circuit.log_prob(there(x[:0])).shape == (0,)
    # What is kept for the GPU stays behind.
    assert pickle.loads(pickle.dumps(circuit)) == circuit


def test_many_images_are_cut(stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cuda_kernel, "_IMAGES_TOGETHER", 7)
    circuit = a_circuit()
    x = random_rows(np.random.default_rng(), STRUCTURE, 20)
    assert np.array_equal(circuit.log_prob(there(x)), circuit.log_prob(x))
    assert stand_in.calls == ["log_prob"] * 3


def test_the_same_refusals(stand_in: Any) -> None:
    circuit = a_circuit()
    x = random_rows(np.random.default_rng(), STRUCTURE, 4).astype(np.int64)
    wrong = x.copy()
    wrong[2, 1] = -4
    cases: list[tuple[Any, dict[str, Any]]] = [
        (wrong, {}),
        (x[:, :5], {}),
        (x.astype(np.float32), {}),
        (x, {"missing": np.ones(3, dtype=bool)}),
        (x, {"missing": np.ones(x.shape)}),
    ]
    for bad, options in cases:
        with pytest.raises((TypeError, ValueError)) as here:
            circuit.log_prob(torch.from_numpy(bad.copy()), **options)
        with pytest.raises(here.type) as on_gpu:
            circuit.log_prob(there(bad), **options)
        same = str(here.value).replace("dtype float32", "dtype torch.float32")
        assert str(on_gpu.value).replace("torch.float64", "float64") == same
    with pytest.raises(ValueError, match="at least one observed value"):
        circuit.bits_per_dim(there(x), missing=True)
    for query in (circuit.conditional, circuit.mpe):
        with pytest.raises(NotImplementedError, match=r"only fit, sample.* pass evidence\.cpu\(\)"):
            query(there(x))
    with pytest.raises(NotImplementedError, match=r"pass data\.cpu\(\)"):
        pc.compress(circuit, there(x))
    with pytest.raises(RuntimeError, match="there are 4"):
        pc.compress(circuit, x, device=17)
    with pytest.raises(NotImplementedError, match="got the device meta"):
        pc.compress(circuit, x, device="meta")
    for wrong in ("gpu0", 3.5, -1):
        with pytest.raises(ValueError, match=r"device: expected cpu, cuda, cuda:0, .* got"):
            pc.compress(circuit, x, device=wrong)


def test_without_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cuda_kernel, "has_cuda_kernels", lambda: False)
    circuit = a_circuit()
    x = random_rows(np.random.default_rng(), STRUCTURE, 4)
    for call in (
        lambda: pc.compress(circuit, x, device="cuda"),
        lambda: pc.decompress(circuit, pc.compress(circuit, x), device="cuda:0"),
        lambda: circuit.log_prob(there(x)),
        lambda: circuit.sample(2, evidence=there(x), missing=x > 0),
        lambda: pc.fit(STRUCTURE, there(x)),
        lambda: pc.HCLT.fit(there(x), num_latents=2),
    ):
        with pytest.raises(NotImplementedError, match=r"only for the CPU: .* no CUDA kernels \("):
            call()
    assert pc.compress(circuit, x, device="cpu") == pc.compress(circuit, x)
    assert pc.compress(circuit, x, device=torch.device("cpu")) == pc.compress(circuit, x)
