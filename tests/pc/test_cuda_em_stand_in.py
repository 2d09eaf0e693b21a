"""What Python hands to learning and sampling on a GPU, seen by a stand-in that computes on the CPU.

It takes the same addresses and uses the CPU's trainer, so that the outcome must be the CPU's to the bit. That
the kernels compute the same is for tests/csrc/pc_em_gpu_test.cpp to show.
"""

from __future__ import annotations

import ctypes
import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fourfold import _core, pc
from fourfold._gpu import has_cuda_kernels
from fourfold.errors import ImpossibleEvidenceError
from fourfold.pc import Structure, _cuda_em, _cuda_kernel
from fourfold.pc._kernel import tree_arguments

from .codec_reference import random_circuit, random_rows
from .test_cuda_stand_in import DEVICE, STREAM, array, spoil, there

STRUCTURE = Structure([-1, 0, 0, 1], [3, 5, 17, 2], [0, 2, 2, 3, 1, 1], [2, 30, 7, 256, 9, 20])
WIDE = Structure([-1, 0], [3, 40], [0, 1, 1], [2, 300, 7])
DEEP = Structure([-1], [4], [0, 0], [5, 6])
ALL = pytest.mark.parametrize(
    "structure", [STRUCTURE, WIDE, DEEP], ids=["narrow", "wide", "one node"]
)


class Recorder:
    """The circuit whose tree the plan must be of, and what was called for."""

    circuit: pc.Circuit
    calls: list[str]


class Em:
    """`_cuda.pc.Em`."""

    def __init__(self, **given: Any) -> None:
        circuit = Recorder.circuit
        structure = circuit.structure
        tree = tree_arguments(structure, circuit.offsets)
        self.plan = _core.pc.EmPlan(**tree)
        assert self.plan.shape().items() <= given.items()
        written = np.zeros(self.plan.bytes, np.uint8)
        self.plan.write(written.ctypes.data)
        assert np.array_equal(array(given["plan"], written.size, ctypes.c_uint8), written)
        if has_cuda_kernels():
            importlib.import_module("fourfold._cuda").pc.Em(**given)
        self.given, self.stride = given, given["stride"]
        assert self.stride % 64 == 0
        self.learns = given["flow"] != 0
        self.spoil()
        assert (array(given["exponent"], 1, ctypes.c_int32) == 0x5A5A5A5A).all()
        self.packed = np.zeros_like(circuit.packed)
        if self.learns:
            self.trainer = _core.pc.Trainer(
                **tree,
                packed=self.tables().ctypes.data,
                capacity=self.stride,
                keep_average=given["average"] != 0,
                keep_totals=given["totals"] != 0,
                threads=1,
            )

    def spoil(self) -> None:
        """What a call may write is there; nothing in it outlives a call."""
        rows = 4 * self.stride * self.plan.row
        spoil(self.given["likelihood"], rows)
        spoil(self.given["posterior"], rows)
        if self.plan.message_row:
            spoil(self.given["message"], 4 * self.stride * self.plan.message_row)
        spoil(self.given["expected"], 4 * self.plan.row)
        spoil(self.given["exponent"], 4 * self.stride * Recorder.circuit.structure.num_nodes)
        spoil(self.given["log_prob"], 8 * self.stride)
        if self.learns:
            spoil(self.given["flow"], 4 * self.plan.table_floats)

    def tables(self, name: str = "tables") -> Any:
        self.plan.store(self.given[name], self.packed.ctypes.data)
        return self.packed

    def write(self, name: str, packed: Any) -> None:
        self.plan.load(packed.ctypes.data, self.given[name])

    def rows(self, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The images as the CPU takes them."""
        assert (given.pop("device"), given.pop("stream")) == (DEVICE, STREAM)
        self.spoil()
        variables = Recorder.circuit.structure.num_variables
        images, size = given.pop("images"), given.pop("size")
        assert 0 < images <= self.stride
        kind = {1: ctypes.c_uint8, 4: ctypes.c_int32}[size]
        shape = variables, images
        codes = array(given.pop("codes"), variables * images, kind).reshape(shape)
        if "sorted" in given:
            order = array(given.pop("order"), variables * images, ctypes.c_int64).reshape(shape)
            assert np.array_equal(order, np.argsort(codes, axis=1, kind="stable"))
            ordered = array(given.pop("sorted"), variables * images, kind).reshape(shape)
            assert np.array_equal(ordered, np.take_along_axis(codes, order, axis=1))
        rows = np.ascontiguousarray(codes.T)
        return rows, {"codes": rows.ctypes.data, "bytes": size, "count": images}

    def sync(self) -> None:
        self.trainer.load(self.tables().ctypes.data)
        if self.given["average"]:
            self.trainer.load_average(self.tables("average").ctypes.data)

    def keep(self) -> None:
        self.trainer.store(self.packed.ctypes.data)
        self.write("tables", self.packed)
        if self.given["average"]:
            self.trainer.store_average(self.packed.ctypes.data)
            self.write("average", self.packed)

    def model(self) -> Any:
        circuit = Recorder.circuit
        tree = tree_arguments(circuit.structure, circuit.offsets)
        return _core.pc.Model(**tree, packed=self.tables().ctypes.data)

    def log_prob(self, **given: Any) -> None:
        Recorder.calls.append("log_prob")
        rows, told = self.rows(given)
        assert not given
        self.model().log_prob(*told.values(), self.given["log_prob"], 1)
        del rows

    def step(self, **given: Any) -> None:
        Recorder.calls.append("step")
        rows, told = self.rows(given)
        order = np.arange(len(rows))
        self.sync()
        self.trainer.step(**told, order=order.ctypes.data, log_prob=self.given["log_prob"], **given)
        self.keep()

    def accumulate(self, **given: Any) -> None:
        Recorder.calls.append("accumulate")
        rows, told = self.rows(given)
        assert not given
        order = np.arange(len(rows))
        self.sync()
        self.trainer.accumulate(**told, order=order.ctypes.data, log_prob=self.given["log_prob"])
        packed = np.zeros_like(self.packed)
        self.trainer.store_totals(packed.ctypes.data)
        single = np.zeros(self.plan.table_floats, np.float32)
        self.plan.load(packed.ctypes.data, single.ctypes.data)
        array(self.given["totals"], single.size, ctypes.c_double)[:] = single

    def finish(self, **given: Any) -> None:
        Recorder.calls.append("finish")
        assert (given.pop("device"), given.pop("stream")) == (DEVICE, STREAM)
        self.spoil()
        self.trainer.finish(**given)
        array(self.given["totals"], self.plan.table_floats, ctypes.c_double)[:] = 0
        self.keep()

    def draw(self, **given: Any) -> None:
        Recorder.calls.append("draw")
        assert (given.pop("device"), given.pop("stream")) == (DEVICE, STREAM)
        structure = Recorder.circuit.structure
        variables, columns = structure.num_variables, structure.num_nodes + structure.num_variables
        images, repeats = given["images"], given["repeats"]
        draws = images * repeats
        kind = {1: ctypes.c_uint8, 4: ctypes.c_int32}[given["size"]]
        codes = array(given["codes"], variables * images, kind).reshape(variables, images)
        rows = np.ascontiguousarray(codes.T)
        uniforms = array(given["uniforms"], columns * draws, ctypes.c_double)
        turned = np.ascontiguousarray(uniforms.reshape(columns, draws).T)
        spoil(given["states"], 4 * structure.num_nodes * draws)
        spoil(given["values"], 4 * variables * draws)
        values = np.zeros((draws, variables), np.int32)
        log_prob = np.zeros(images)
        self.model().sample(
            rows.ctypes.data,
            given["size"],
            images,
            repeats,
            turned.ctypes.data,
            values.ctypes.data,
            log_prob.ctypes.data,
            1,
        )
        out = array(given["values"], variables * draws, ctypes.c_int32)
        out.reshape(variables, draws)[...] = values.T


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder.calls = []
    fake = SimpleNamespace(pc=SimpleNamespace(Em=Em))
    monkeypatch.setattr(_cuda_kernel, "has_cuda_kernels", lambda: True)
    monkeypatch.setattr(_cuda_kernel, "cuda_kernels", lambda: fake)
    monkeypatch.setattr(_cuda_kernel, "current_stream", lambda device: STREAM)
    monkeypatch.setattr(_cuda_kernel, "moved", lambda tensor, device: tensor)
    brought = lambda tensor: tensor.detach().as_subclass(torch.Tensor)  # noqa: E731
    monkeypatch.setattr(_cuda_kernel, "brought", brought)
    empty = lambda count, dtype, device: torch.empty(max(count, 1), dtype=dtype)  # noqa: E731
    monkeypatch.setattr(_cuda_kernel, "_empty", empty)


def a_circuit(structure: Structure) -> pc.Circuit:
    Recorder.circuit = random_circuit(np.random.default_rng(), structure, floor=1e-3)
    return Recorder.circuit


@ALL
@pytest.mark.parametrize(
    ("algorithm", "momentum"),
    [("anemone", 0.0), ("anemone", 0.6), ("minibatch", 0.6), ("full", 0.0)],
)
def test_the_same_circuit(structure: Structure, algorithm: str, momentum: float) -> None:
    rng = np.random.default_rng()
    circuit = a_circuit(structure)
    x = random_rows(rng, structure, 131)
    told: dict[str, Any] = {"algorithm": algorithm, "momentum": momentum, "batch_size": 40}
    cases: list[dict[str, Any]] = [
        {},
        {"missing": rng.random(x.shape) < 0.3},
        {"validation": 0.2},
    ]
    for options in cases:
        here = pc.fit(circuit, x, epochs=3, **told, **options)
        on_gpu = pc.fit(circuit, there(x), epochs=3, **told, **options)
        assert np.array_equal(on_gpu.packed, here.packed)
        for of_gpu, of_cpu in zip(on_gpu.history, here.history, strict=True):
            assert of_gpu.bits_per_dim == pytest.approx(of_cpu.bits_per_dim)
            assert of_gpu.validation_bits_per_dim == pytest.approx(of_cpu.validation_bits_per_dim)
    steps = {"accumulate", "finish"} if algorithm == "full" else {"step"}
    assert set(Recorder.calls) == steps | {"log_prob"}


def test_from_a_structure_and_a_tree() -> None:
    rng = np.random.default_rng()
    a_circuit(STRUCTURE)
    x = np.minimum(random_rows(rng, STRUCTURE, 60), 255)
    for dtype in (np.uint8, np.int16, np.int64):
        here = pc.fit(STRUCTURE, x.astype(dtype), epochs=2, seed=3)
        assert pc.fit(STRUCTURE, there(x.astype(dtype)), epochs=2, seed=3) == here
    tree = pc.HCLT.fit(x.astype(np.uint8), num_latents=4, epochs=2)
    Recorder.circuit = tree
    assert pc.HCLT.fit(there(x.astype(np.uint8)), num_latents=4, epochs=2) == tree


def test_interrupted_learning_goes_on(tmp_path: Any) -> None:
    circuit = a_circuit(STRUCTURE)
    x = there(random_rows(np.random.default_rng(), STRUCTURE, 90))
    told: dict[str, Any] = {"epochs": 4, "momentum": 0.5}
    whole = pc.fit(circuit, x, **told)

    def stop(epoch: pc.Epoch) -> None:
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        pc.fit(circuit, x, **told, checkpoint=path, callback=stop)
    assert pc.fit(circuit, x, **told, checkpoint=path) == whole
    with pytest.raises(ValueError, match="checkpoint"):
        pc.fit(circuit, _cuda_kernel.brought(x), **told, checkpoint=path)


def test_totals_and_tables_there_and_back() -> None:
    circuit = a_circuit(STRUCTURE)
    device: Any = there(np.zeros(1)).device
    trainer = _cuda_em.CudaTrainer(
        STRUCTURE,
        circuit.offsets,
        circuit.packed,
        device=device,
        capacity=70,
        keep_average=True,
        keep_totals=True,
    )
    assert np.array_equal(trainer.tables, circuit.packed)
    assert not trainer.average.any()
    x = trainer.taken(random_rows(np.random.default_rng(), STRUCTURE, 70).astype(np.uint16))
    assert x.dtype == torch.int32
    trainer.accumulate(x, np.arange(70))
    totals = trainer.totals
    # Each image is somewhere in every table.
    start, states = int(circuit.offsets[0]), STRUCTURE.states[0]
    assert totals[start : start + states].sum() == pytest.approx(70, rel=1e-5)
    trainer.load(circuit.packed)
    trainer.load_average(circuit.packed)
    assert np.array_equal(trainer.average, circuit.packed)


def test_refusals() -> None:
    circuit = a_circuit(STRUCTURE)
    x = random_rows(np.random.default_rng(), STRUCTURE, 20)
    with pytest.raises(NotImplementedError, match=r"leaves: .* pass data\.cpu\(\)"):
        pc.fit(circuit, there(x), leaves="logistic")
    with pytest.raises(ValueError, match="variable 0 has the values 0 to 1"):
        pc.fit(circuit, there(x + 2))
    with pytest.raises(TypeError, match="expected integers"):
        pc.fit(circuit, there(x.astype(np.float32)))
    assert not Recorder.calls
    impossible = pc.Circuit(Structure([-1], [1], [0], [3]), [1], [None], [[[1, 0, 0]]])
    Recorder.circuit = impossible
    with pytest.raises(ImpossibleEvidenceError, match="data: row 1 has probability 0"):
        pc.fit(impossible, there(np.array([[0], [1], [0]])))


@ALL
def test_the_same_draws(structure: Structure, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng()
    circuit = a_circuit(structure)
    x = random_rows(rng, structure, 21)
    missing = rng.random(x.shape) < 0.5
    seed = int(rng.integers(1 << 30))
    for together in (1 << 22, 40):
        monkeypatch.setattr(pc.queries, "_UNIFORMS_FOR_A_GPU", together)
        monkeypatch.setattr(_cuda_em, "_ROWS_TOGETHER", 8)
        for n in (0, 1, 5):
            for generator in (lambda: seed, lambda: torch.Generator().manual_seed(seed)):
                here = circuit.sample(n, evidence=x, missing=missing, generator=generator())
                on_gpu = circuit.sample(
                    n, evidence=there(x), missing=missing, generator=generator()
                )
                assert isinstance(on_gpu, torch.Tensor)
                assert on_gpu.shape == tuple(here.shape)
                assert np.array_equal(on_gpu.numpy(), np.asarray(here))
                assert str(on_gpu.dtype).endswith(str(np.asarray(here).dtype))
    one = circuit.sample(3, evidence=there(x[0]), missing=missing[0], generator=seed)
    assert np.array_equal(
        one.numpy(), circuit.sample(3, evidence=x[0], missing=missing[0], generator=seed)
    )
    assert set(Recorder.calls) == {"log_prob", "draw"}


def test_draws_that_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = pc.Circuit(
        Structure([-1], [1], [0, 0], [2, 3]), [1], [None], [[[1, 0]], [[0, 0.5, 0.5]]]
    )
    Recorder.circuit = circuit
    x = there(np.array([[0, 1], [1, 1]]))
    for name in ("_UNIFORMS_TOGETHER", "_UNIFORMS_FOR_A_GPU"):
        monkeypatch.setattr(pc.queries, name, 6)
    for evidence in (x, x.numpy()):
        with pytest.raises(ImpossibleEvidenceError, match="row 1 has probability 0"):
            circuit.sample(2, evidence=evidence)
    with pytest.raises(ValueError, match="evidence: variable 1 has the values 0 to 2, got 3"):
        circuit.sample(2, evidence=there(np.array([[0, 3]])))
    with pytest.raises(TypeError, match="generator: expected"):
        circuit.sample(2, evidence=x, generator="seed")
