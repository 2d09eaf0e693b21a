"""Learning and sampling on a GPU against the CPU's, on fresh random circuits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fourfold import pc
from fourfold._gpu import has_cuda_kernels, no_cuda_kernels
from fourfold.errors import ImpossibleEvidenceError
from fourfold.pc import Structure, _cuda_em
from fourfold.pc._kernel import Rule, Trainer

from .codec_reference import random_circuit
from .test_cuda import SHAPES, draw, poison_the_allocator, some_rows

pytestmark = pytest.mark.gpu

SIZES = [(1, 2), (17, 40), (32, 256), (130, 300)]


@pytest.fixture(autouse=True)
def _a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if not has_cuda_kernels():
        pytest.skip(no_cuda_kernels())


def trainers(
    circuit: pc.Circuit, capacity: int, *, keep_average: bool = False, keep_totals: bool = False
) -> tuple[Trainer, _cuda_em.CudaTrainer]:
    arguments: Any = (circuit.structure, circuit.offsets, circuit.packed)
    kept: dict[str, Any] = {"keep_average": keep_average, "keep_totals": keep_totals}
    poison_the_allocator()
    device = torch.device("cuda", 0)
    return (
        Trainer(*arguments, capacity=capacity, **kept),
        _cuda_em.CudaTrainer(*arguments, device=device, capacity=capacity, **kept),
    )


def codes_of(rng: Any, circuit: pc.Circuit, rows: int, missing: float) -> Any:
    cells = some_rows(rng, circuit, rows).astype(np.int32)
    return np.where(rng.random(cells.shape) < missing, circuit.structure.cardinality, cells)


@pytest.mark.parametrize("shape", [*SHAPES, "mixture"])
@pytest.mark.parametrize(("states", "values"), SIZES)
@pytest.mark.parametrize("rescaled", [False, True])
def test_a_step(shape: str, states: int, values: int, rescaled: bool) -> None:
    nodes, tree = (2, "star") if shape == "mixture" else (61, shape)
    rng, circuit = draw(tree, states, values, nodes, floor=1e-3)
    for rows, missing in ((1, 0.0), (63, 0.2), (500, 0.2)):
        here, there = trainers(circuit, rows, keep_average=True)
        codes = codes_of(rng, circuit, rows, missing)
        order = rng.permutation(rows)
        rule = Rule(rescaled, step=0.3, pseudocount=0.5, momentum=0.4, correction=0.6)
        expected = here.step(codes, order, rule)
        got = there.step(there.taken(codes), order, rule).cpu().numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-4)
        np.testing.assert_allclose(there.tables, here.tables, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(there.average, here.average, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(there.log_prob(codes), here.log_prob(codes), atol=1e-2)


@pytest.mark.parametrize(("states", "values"), SIZES)
def test_full_batches(states: int, values: int) -> None:
    rng, circuit = draw("tree", states, values, floor=1e-3)
    here, there = trainers(circuit, 300, keep_totals=True)
    codes = codes_of(rng, circuit, 600, 0.1)
    for order in (np.arange(300), np.arange(300, 600)):
        here.accumulate(codes, order)
        there.accumulate(there.taken(codes), order)
    np.testing.assert_allclose(there.totals, here.totals, rtol=1e-3, atol=1e-4)
    rule = Rule(True, step=0.5, pseudocount=1.0)
    here.finish(600, rule)
    there.finish(600, rule)
    np.testing.assert_allclose(there.tables, here.tables, rtol=1e-3, atol=1e-6)
    assert not there.totals.any()


@pytest.mark.parametrize("algorithm", ["anemone", "minibatch", "full"])
def test_fit(algorithm: str) -> None:
    rng, circuit = draw("tree", 17, 40, floor=1e-3)
    x = torch.from_numpy(some_rows(rng, circuit, 700))
    told: dict[str, Any] = {"algorithm": algorithm, "epochs": 4, "validation": 0.2}
    here = pc.fit(circuit, x, **told)
    there = pc.fit(circuit, x.cuda(), **told)
    for of_gpu, of_cpu in zip(there.history, here.history, strict=True):
        assert of_gpu.bits_per_dim == pytest.approx(of_cpu.bits_per_dim, rel=1e-4)
        assert of_gpu.validation_bits_per_dim == pytest.approx(
            of_cpu.validation_bits_per_dim, rel=1e-3
        )
    poison_the_allocator()
    assert pc.fit(circuit, x.cuda(), **told) == there


def test_impossible_rows() -> None:
    circuit = pc.Circuit(Structure([-1], [1], [0], [3]), [1], [None], [[[1, 0, 0]]])
    with pytest.raises(ImpossibleEvidenceError, match="data: row 1 has probability 0"):
        pc.fit(circuit, torch.tensor([[0], [1], [0]]).cuda())


def test_another_stream_and_a_graph() -> None:
    rng, circuit = draw("tree", 17, 40, floor=1e-3)
    codes = codes_of(rng, circuit, 100, 0.1)
    order, rule = np.arange(100), Rule(True, step=0.3, pseudocount=0.5)
    outcomes = []
    for way in ("stream", "graph", "plain"):
        _, trainer = trainers(circuit, 100)
        rows = trainer.taken(codes)
        kept, told = trainer._batch(rows, order)
        if way == "plain":
            for _ in range(2):
                trainer.step(rows, order, rule)
        elif way == "stream":
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(2):
                    trainer._space.kernels.step(**told, **rule._asdict(), **trainer._space.queue)
            torch.cuda.current_stream().wait_stream(stream)
        else:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                trainer._space.kernels.step(**told, **rule._asdict(), **trainer._space.queue)
            for _ in range(2):
                graph.replay()
            torch.cuda.synchronize()
        del kept
        outcomes.append(trainer.tables)
    assert np.array_equal(outcomes[0], outcomes[2])
    assert np.array_equal(outcomes[1], outcomes[2])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("states", "values"), [*SIZES, (5, 1100)])
def test_draws(shape: str, states: int, values: int) -> None:
    rng, circuit = draw(shape, states, values, floor=1e-3)
    x = some_rows(rng, circuit, 67)
    missing = rng.random(x.shape) < 0.6
    seed = int(rng.integers(1 << 30))
    expected = circuit.sample(9, evidence=x, missing=missing, generator=seed)
    poison_the_allocator()
    on_gpu = torch.from_numpy(x).cuda()
    got = circuit.sample(9, evidence=on_gpu, missing=missing, generator=seed)
    assert got.device.type == "cuda"
    # Roundings decide now and then.
    assert (got.cpu().numpy() != expected).any(axis=-1).mean() < 0.02
    again = circuit.sample(9, evidence=on_gpu, missing=missing, generator=seed)
    assert torch.equal(got, again)


def test_chance_on_the_gpu() -> None:
    structure = Structure([-1, 0, 0], [4, 5, 3], [0, 1, 2, 2], [3, 7, 2, 5])
    circuit = random_circuit(np.random.default_rng(), structure, floor=1e-2)

    def chance(seed: int) -> torch.Generator:
        return torch.Generator(device="cuda").manual_seed(seed)

    drawn = circuit.sample(200_000, generator=chance(5))
    assert drawn.device.type == "cuda"
    assert torch.equal(drawn, circuit.sample(200_000, generator=chance(5)))
    assert not torch.equal(drawn, circuit.sample(200_000, generator=chance(6)))
    marginals = circuit.conditional(np.zeros(4, np.uint8), missing=np.ones(4, bool))
    for i, exact in enumerate(marginals):
        share = torch.bincount(drawn[:, i].long(), minlength=len(exact)).cpu().numpy() / 200_000
        assert np.abs(share - exact).max() < 0.007
    with pytest.raises(ValueError, match="generator: expected one for the device cpu"):
        circuit.sample(2, evidence=np.zeros(4, np.uint8), generator=chance(5))
