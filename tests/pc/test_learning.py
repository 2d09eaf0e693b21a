"""Learning: likelihood that rises, trees that are found again, the same bits every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourfold
from fourfold import pc
from fourfold.errors import DamagedFileError, ImpossibleEvidenceError
from tests.pc.reference import Array, Joint, all_values, random_circuit, random_rows


def penalised(circuit: pc.Circuit, x: Array, pseudocount: float, missing: Any = None) -> float:
    total = float(np.sum(circuit.log_prob(x, missing=missing)))
    for table in circuit.tables:
        rows = np.atleast_2d(table).astype(np.float64)
        total += pseudocount * float(np.log(rows).sum()) / rows.shape[1] if pseudocount else 0.0
    return total


def data(seed: int, n: int = 300) -> tuple[pc.Structure, Array]:
    rng = np.random.default_rng(seed)
    planted = random_circuit(rng, nodes=5, variables=8, most_states=5, most_values=5)
    return planted.structure, planted.sample(n, generator=rng)


@pytest.mark.isa
@pytest.mark.parametrize("pseudocount", [0.0, 0.3, 5.0])
@pytest.mark.parametrize("with_missing", [False, True])
def test_full_batch_em_never_lowers_the_penalised_likelihood(
    pseudocount: float, with_missing: bool
) -> None:
    for seed in range(3):
        structure, x = data(seed)
        missing = np.random.default_rng(seed).random(x.shape) < 0.3 if with_missing else None
        circuit: Any = structure
        before = -np.inf
        for _ in range(12):
            circuit = pc.fit(
                circuit, x, missing=missing, epochs=1, algorithm="full", pseudocount=pseudocount
            )
            after = penalised(circuit, x, pseudocount, missing)
            assert after >= before - 1e-5 * abs(after)
            before = after


@pytest.mark.isa
def test_one_step_of_em_is_the_textbooks() -> None:
    rng = np.random.default_rng(1)
    start = random_circuit(rng, nodes=4, variables=5)
    joint = Joint(start)
    x = start.sample(200, generator=2)
    pseudocount = 0.7
    expected: list[Any] = [np.zeros(t.shape) for t in start.tables]
    structure = start.structure
    nobody = np.zeros(structure.num_variables, dtype=bool)
    for row in x:
        given = joint.given(row, nobody)
        posterior = (given / given.sum()).sum(axis=tuple(range(joint.nodes, given.ndim)))

        def of(*nodes: int, posterior: Array = posterior) -> Array:
            others = tuple(v for v in range(joint.nodes) if v not in nodes)
            return np.asarray(posterior.sum(axis=others))

        expected[0] += of(0)
        for v in range(1, joint.nodes):
            expected[v] += of(int(structure.parent[v]), v)
        for i in range(joint.variables):
            expected[joint.nodes + i][:, row[i]] += of(int(structure.leaf_node[i]))
    learnt = pc.fit(start, x, epochs=1, algorithm="full", pseudocount=pseudocount)
    for table, counts in zip(learnt.tables, expected, strict=True):
        counts = counts + pseudocount / counts.shape[-1]
        assert np.allclose(table, counts / counts.sum(axis=-1, keepdims=True), atol=2e-6)
    # A smaller step goes a part of the way; one batch of everything is the same as "full".
    part = pc.fit(start, x, epochs=1, algorithm="full", pseudocount=pseudocount, step=0.25)
    batch = pc.fit(
        start,
        x,
        epochs=1,
        algorithm="minibatch",
        pseudocount=pseudocount,
        step=0.25,
        batch_size=200,
    )
    assert np.allclose(part.packed, 0.75 * start.packed + 0.25 * learnt.packed, atol=1e-6)
    assert np.allclose(part.packed, batch.packed, atol=1e-6)
    # The rescaled rule moves each row by its share of the counts; with step 1 that is all the way.
    rescaled = pc.fit(
        start, x, epochs=1, algorithm="anemone", pseudocount=pseudocount, step=1.0, batch_size=200
    )
    assert np.allclose(rescaled.packed, learnt.packed, atol=1e-6)
    moved = pc.fit(
        start, x, epochs=1, algorithm="anemone", pseudocount=pseudocount, step=0.25, batch_size=200
    )
    for v, marginal in enumerate(start.state_marginals()):
        for u in structure.children[v]:
            kept = 0.75 * 200 * marginal[:, None] * start.tables[u]
            taken = 0.25 * (expected[u] + pseudocount / expected[u].shape[1])
            target = (kept + taken) / (kept + taken).sum(axis=1, keepdims=True)
            assert np.allclose(moved.tables[u], target, atol=2e-6)


@pytest.mark.parametrize("algorithm", ["anemone", "minibatch", "full"])
@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_learning_comes_near_the_truth(algorithm: str, momentum: float) -> None:
    if algorithm == "full" and momentum:
        pytest.skip("full batches have no momentum")
    rng = np.random.default_rng(4)
    structure = pc.Structure.hmm(6, 3, 4)
    planted = random_circuit(rng, nodes=0, variables=0, structure=structure)
    x = planted.sample(3000, generator=1)
    test = planted.sample(3000, generator=2)
    epochs = 60 if algorithm == "full" else 12
    learnt = pc.fit(
        structure, x, epochs=epochs, algorithm=algorithm, momentum=momentum, batch_size=100
    )
    assert learnt.bits_per_dim(test) < planted.bits_per_dim(test) + 0.02
    history = learnt.history
    assert [record.epoch for record in history] == list(range(1, epochs + 1))
    assert history[-1].bits_per_dim < history[0].bits_per_dim
    assert all(record.validation_bits_per_dim is None for record in history)


def neighbours(structure: pc.Structure) -> set[frozenset[int]]:
    """Edges of a tree with one variable a node, as pairs of variables."""
    variable = {int(node): i for i, node in enumerate(structure.leaf_node)}
    return {
        frozenset((variable[v], variable[int(structure.parent[v])]))
        for v in range(1, structure.num_nodes)
    }


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_tree_is_found_again(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, values = 14, 4
    parent = [-1, *(int(rng.integers(v)) for v in range(1, size))]
    name = rng.permutation(size)
    structure = pc.Structure(parent, values, name, values)
    edges = [0.75 * np.eye(values) + 0.25 * random_rows(rng, values, values) for _ in parent[1:]]
    leaves = [0.97 * np.eye(values) + 0.03 / values for _ in parent]
    planted = pc.Circuit(structure, np.full(values, 1 / values), [None, *edges], leaves)
    x = planted.sample(4000, generator=seed)
    learnt = pc.HCLT.fit(x, num_latents=2 * values, cardinality=values, epochs=20, seed=seed)
    assert neighbours(learnt.structure) == neighbours(structure)
    test = planted.sample(2000, generator=99)
    assert learnt.bits_per_dim(test) < planted.bits_per_dim(test) + 0.03


@pytest.mark.isa
@pytest.mark.parametrize("algorithm", ["anemone", "minibatch", "full"])
def test_a_seed_gives_the_same_bits_for_any_number_of_threads(algorithm: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 5, (700, 20))
    models = []
    for threads in (1, 2, 3):
        fourfold.set_num_threads(threads)
        models.append(
            pc.HCLT.fit(
                x,
                num_latents=18,
                epochs=2,
                seed=3,
                algorithm=algorithm,
                validation=0.1,
                momentum=0.0 if algorithm == "full" else 0.5,
            )
        )
    assert models[0] == models[1] == models[2]
    assert models[0] != pc.HCLT.fit(x, num_latents=18, epochs=2, seed=4, algorithm=algorithm)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_run_goes_on_from_its_checkpoint(tmp_path: Path, momentum: float) -> None:
    structure, x = data(0)
    options: dict[str, Any] = {
        "epochs": 6,
        "validation": 0.2,
        "momentum": momentum,
        "batch_size": 50,
        "seed": 8,
    }
    whole = pc.fit(structure, x, **options)
    path = tmp_path / "state"

    class Interruption(Exception):
        pass

    def stop(record: pc.Epoch) -> None:
        if record.epoch == 2:
            raise Interruption

    with pytest.raises(Interruption):
        pc.fit(structure, x, checkpoint=path, callback=stop, **options)
    seen: list[int] = []
    resumed = pc.fit(
        structure, x, checkpoint=path, callback=lambda record: seen.append(record.epoch), **options
    )
    assert seen == [3, 4, 5, 6]
    assert resumed == whole
    assert [r[:3] for r in resumed.history] == [r[:3] for r in whole.history]
    assert pc.fit(structure, x, checkpoint=path, **options) == whole
    for other in ({"seed": 9}, {"epochs": 7}, {"pseudocount": 2.0}, {"step": 0.1}):
        with pytest.raises(ValueError, match="belongs to another run"):
            pc.fit(structure, x, checkpoint=path, **{**options, **other})
    with pytest.raises(ValueError, match="belongs to another run"):
        pc.fit(structure, x[::-1], checkpoint=path, **options)
    content = path.read_bytes()
    for damaged in (content[:-1], content[: len(content) // 2], b"", content + b"\0"):
        path.write_bytes(damaged)
        with pytest.raises(DamagedFileError):
            pc.fit(structure, x, checkpoint=path, **options)


def test_validation_keeps_the_best_and_stops() -> None:
    rng = np.random.default_rng(0)
    x, held_out = rng.integers(0, 4, (60, 10)), rng.integers(0, 4, (200, 10))
    learnt = pc.HCLT.fit(
        x,
        num_latents=16,
        cardinality=4,
        epochs=200,
        validation=held_out,
        patience=3,
        pseudocount=0.01,
    )
    bits = [record.validation_bits_per_dim for record in learnt.history]
    assert all(value is not None for value in bits)
    best = int(np.argmin(np.array(bits, dtype=float)))
    assert len(bits) == best + 1 + 3 < 200
    assert learnt.bits_per_dim(held_out) == pytest.approx(bits[best], rel=1e-9)


def test_missing_values_are_learnt_around() -> None:
    rng = np.random.default_rng(5)
    structure = pc.Structure.hmm(5, 3, 3)
    planted = random_circuit(rng, nodes=0, variables=0, structure=structure)
    x = planted.sample(6000, generator=1)
    hidden = rng.random(x.shape) < 0.3
    spoilt = np.where(hidden, 200, x)
    learnt = pc.fit(structure, np.ma.MaskedArray(spoilt, mask=hidden), epochs=15)
    test = planted.sample(3000, generator=2)
    assert learnt.bits_per_dim(test) < planted.bits_per_dim(test) + 0.01
    tree = pc.HCLT.fit(np.ma.MaskedArray(spoilt.astype(int), mask=hidden), num_latents=3, epochs=3)
    assert tree.structure.cardinality.tolist() == [3] * 5


def test_all_of_a_row_may_be_missing() -> None:
    structure, x = data(1)
    hidden = np.zeros(x.shape, dtype=bool)
    hidden[:250] = True
    few = pc.fit(structure, x[250:], epochs=8, algorithm="full", seed=1)
    learnt = pc.fit(few, x, missing=hidden, epochs=1, algorithm="full")
    assert np.isfinite(learnt.packed).all()
    assert learnt.history[0].bits_per_dim == pytest.approx(few.bits_per_dim(x[250:]), rel=1e-5)


def test_probability_zero_has_a_name() -> None:
    structure = pc.Structure.naive_bayes(2, 1, 2)
    start = pc.Circuit(structure, [1], [None], [[[1, 0]], [[0.5, 0.5]]])
    with pytest.raises(ImpossibleEvidenceError, match="row 2"):
        pc.fit(start, [[0, 0], [0, 1], [1, 1]], epochs=1)


def test_shapes_and_kinds_of_data() -> None:
    import torch

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 4, 3), dtype=np.uint8)
    options: dict[str, Any] = {"num_latents": 3, "epochs": 1}
    learnt = pc.HCLT.fit(images, **options)
    assert learnt.event_shape == (4, 3)
    assert learnt.structure.cardinality.tolist() == [256] * 12
    assert pc.HCLT.fit(torch.from_numpy(images), **options) == learnt
    assert pc.HCLT.fit(images.astype(">i4"), cardinality=256, **options) == learnt
    assert pc.HCLT.fit(np.asfortranarray(images), **options) == learnt
    switches = pc.HCLT.fit(rng.random((40, 5)) < 0.3, **options)
    assert switches.structure.cardinality.tolist() == [2] * 5
    single = pc.HCLT.fit(rng.integers(0, 3, (30, 1)), **options)
    assert single.structure.num_nodes == 1
    big = pc.HCLT.fit(rng.integers(0, 65536, (30, 2)), cardinality=65536, **options)
    assert np.isfinite(big.log_prob(np.array([[0, 65535]]))).all()
    constant = pc.HCLT.fit(np.zeros((20, 6), dtype=np.uint8), **options)
    assert constant.bits_per_dim(np.zeros((1, 6), dtype=np.uint8)) < 1.0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"epochs": -1}, ValueError, "epochs: expected at least 0"),
        ({"epochs": 1.5}, TypeError, "epochs: expected an integer"),
        ({"algorithm": "adam"}, ValueError, "algorithm: expected one of anemone"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"step": 0.0}, ValueError, "step: expected more than 0"),
        ({"step": lambda done: 2.0}, ValueError, r"step\(\.\.\.\): expected"),
        ({"momentum": 1.0}, ValueError, "momentum"),
        ({"momentum": 0.5, "algorithm": "full"}, ValueError, "momentum: expected 0"),
        ({"pseudocount": -1.0}, ValueError, "pseudocount"),
        ({"pseudocount": np.nan}, ValueError, "pseudocount"),
        ({"patience": 2}, ValueError, "patience: expected None without validation"),
        ({"seed": -1}, ValueError, "seed"),
        ({"validation": 1.0}, ValueError, "validation: expected a share"),
        ({"validation": np.zeros((3, 4), dtype=int)}, ValueError, "validation: expected 6 values"),
        ({"data": np.zeros((0, 6), dtype=int)}, ValueError, "data: expected at least one row"),
        ({"data": np.zeros((3, 6))}, TypeError, "data: expected integers"),
        ({"data": np.full((3, 6), 7)}, ValueError, "data: variable 0 has the values 0 to 2, got 7"),
        ({"start": None}, TypeError, "start: expected a Structure or a Circuit"),
    ],
)
def test_wrong_arguments_are_refused(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    arguments = {
        "start": pc.Structure.hmm(6, 2, 3),
        "data": np.random.default_rng(0).integers(0, 3, (10, 6)),
        "epochs": 1,
        **options,
    }
    start, x = arguments.pop("start"), arguments.pop("data")
    with pytest.raises(error, match=words):
        pc.fit(start, x, **arguments)


def test_an_exact_density_is_learnt_from_all_of_it() -> None:
    """Data that hold every value as often as the model says are a fixed point."""
    rng = np.random.default_rng(2)
    structure = pc.Structure([-1, 0], 2, [0, 1, 1], 2)
    circuit = random_circuit(rng, nodes=0, variables=0, structure=structure)
    values = all_values(structure)
    copies = np.rint(np.exp(circuit.log_prob(values)) * 20000).astype(int)
    learnt = pc.fit(
        circuit, np.repeat(values, copies, axis=0), epochs=3, algorithm="full", pseudocount=0.0
    )
    assert np.abs(learnt.packed - circuit.packed).max() < 5e-3


def test_learning_on_keeps_what_is_known_of_the_model() -> None:
    rows = np.random.default_rng(3).integers(0, 3, (40, 2, 2))
    start = pc.Circuit(
        pc.Structure.naive_bayes(4, 1, 3),
        [1],
        [None],
        [[[0.2, 0.3, 0.5]]] * 4,
        metadata={"made of": "chance"},
    )
    learnt = pc.fit(start, rows, epochs=1)
    assert learnt.metadata == {"made of": "chance"}
    assert learnt.event_shape == (2, 2)
