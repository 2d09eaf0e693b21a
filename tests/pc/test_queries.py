"""Every query against the sum over all combinations."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest

import fourfold
from fourfold import pc
from fourfold.errors import ImpossibleEvidenceError
from tests.pc.reference import (
    Array,
    Joint,
    all_values,
    entropy,
    random_circuit,
    random_evidence,
    random_rows,
)

pytestmark = pytest.mark.isa


def cases(count: int = 12) -> list[tuple[int, int, int]]:
    rng = np.random.default_rng(2024)
    return [(int(rng.integers(1, 6)), int(rng.integers(1, 7)), seed) for seed in range(count)]


def make(nodes: int, variables: int, seed: int) -> tuple[pc.Circuit, Joint, np.random.Generator]:
    rng = np.random.default_rng(seed)
    circuit = random_circuit(rng, nodes=nodes, variables=variables)
    return circuit, Joint(circuit), rng


@pytest.mark.parametrize("case", cases())
def test_log_prob_of_everything_observed(case: tuple[int, int, int]) -> None:
    circuit, joint, _ = make(*case)
    x = all_values(circuit.structure)
    expected = np.log(joint.of_variables().reshape(-1))
    assert np.abs(circuit.log_prob(x) - expected).max() < 2e-6
    total = -expected.sum() / np.log(2) / x.size
    assert circuit.bits_per_dim(x) == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("case", cases())
def test_what_is_missing_is_summed_out(case: tuple[int, int, int]) -> None:
    circuit, joint, rng = make(*case)
    x, hidden = random_evidence(rng, circuit.structure, 30)
    expected = [np.log(joint.given(r, h).sum()) for r, h in zip(x, hidden, strict=True)]
    assert np.abs(circuit.log_prob(x, missing=hidden) - expected).max() < 2e-6
    masked = np.ma.MaskedArray(x, mask=hidden)
    assert np.array_equal(circuit.log_prob(masked), circuit.log_prob(x, missing=hidden))
    kept = rng.permutation(circuit.structure.num_variables)[:2]
    shown = np.where(np.isin(np.arange(x.shape[1]), kept), np.where(hidden, 0, x), 0)
    others = np.ones(x.shape[1], dtype=bool)
    others[kept] = False
    assert np.array_equal(
        circuit.marginal(shown, kept), circuit.log_prob(shown, missing=others[None])
    )


@pytest.mark.parametrize("case", cases())
def test_conditionals(case: tuple[int, int, int]) -> None:
    circuit, joint, rng = make(*case)
    x, hidden = random_evidence(rng, circuit.structure, 10)
    tables = circuit.conditional(x, missing=hidden)
    for row in range(len(x)):
        given = joint.given(x[row], hidden[row])
        for i, table in enumerate(tables):
            axes = tuple(a for a in range(given.ndim) if a != joint.nodes + i)
            expected = given.sum(axis=axes) / given.sum()
            if hidden[row, i]:
                assert np.abs(table[row] - expected).max() < 1e-6
            else:
                assert table[row].tolist() == np.eye(len(table[row]))[x[row, i]].tolist()
    some = circuit.conditional(x, [0], missing=hidden)
    assert len(some) == 1
    assert np.allclose(some[0], tables[0], atol=1e-7)


@pytest.mark.parametrize("case", cases())
def test_the_jointly_most_probable_completion(case: tuple[int, int, int]) -> None:
    circuit, joint, rng = make(*case)
    x, hidden = random_evidence(rng, circuit.structure, 10)
    values, states, log_prob = circuit.mpe(x, missing=hidden)
    for row in range(len(x)):
        given = joint.given(x[row], hidden[row])
        assert log_prob[row] == pytest.approx(np.log(given.max()), rel=1e-9, abs=1e-9)
        assert np.array_equal(values[row][~hidden[row]], x[row][~hidden[row]])
        at = tuple(states[row]) + tuple(values[row])
        assert joint.table[at] == pytest.approx(given.max(), rel=1e-9)


@pytest.mark.parametrize("case", cases(6))
def test_samples_have_the_conditional_distribution(case: tuple[int, int, int]) -> None:
    circuit, joint, rng = make(*case)
    x, hidden = random_evidence(rng, circuit.structure, 2)
    n = 4000
    drawn = circuit.sample(n, evidence=x, missing=hidden, generator=rng)
    assert drawn.shape == (n, *x.shape)
    assert drawn.dtype == np.uint8
    for row in range(len(x)):
        given = joint.given(x[row], hidden[row]).sum(axis=tuple(range(joint.nodes)))
        expected = (given / given.sum()).reshape(-1)
        seen = np.where(hidden[row], drawn[:, row], 0)
        index = np.ravel_multi_index(tuple(seen.T), given.shape)
        counts = np.bincount(index, minlength=expected.size)
        assert (drawn[:, row][:, ~hidden[row]] == x[row][~hidden[row]]).all()
        # Pearson's statistic, which has mean K - 1 and variance about 2 (K - 1).
        likely = expected * n > 1
        statistic = ((counts - n * expected)[likely] ** 2 / (n * expected[likely])).sum()
        cells = max(likely.sum() - 1, 1)
        assert statistic < cells + 8 * np.sqrt(2 * cells)
        assert counts[~likely].sum() < 20 + 3 * n * expected[~likely].sum()


def test_a_seed_gives_the_same_samples_for_any_number_of_threads() -> None:
    circuit = random_circuit(np.random.default_rng(0), nodes=30, variables=40)
    fourfold.set_num_threads(1)
    one = circuit.sample(300, generator=5)
    fourfold.set_num_threads(3)
    assert np.array_equal(circuit.sample(300, generator=5), one)
    assert np.array_equal(circuit.sample(300, generator=np.random.default_rng(5)), one)
    assert not np.array_equal(circuit.sample(300, generator=6), one)
    assert circuit.sample(0).shape == (0, 40)


@pytest.mark.parametrize("case", cases())
def test_entropies_and_mutual_information(case: tuple[int, int, int]) -> None:
    circuit, joint, _ = make(*case)
    assert circuit.joint_entropy() == pytest.approx(entropy(joint.table), rel=1e-5)
    variables = range(joint.variables)
    single = [entropy(joint.marginal(joint.nodes + i)) for i in variables]
    assert np.allclose(circuit.entropy(), single, atol=1e-6)
    information = circuit.mutual_information()
    for i in variables:
        assert information[i, i] == pytest.approx(single[i], abs=1e-6)
        for j in range(i):
            both = entropy(joint.marginal(joint.nodes + j, joint.nodes + i))
            assert information[i, j] == pytest.approx(single[i] + single[j] - both, abs=1e-6)
            assert information[j, i] == information[i, j]
    for v, table in enumerate(circuit.state_marginals()):
        assert np.allclose(table, joint.marginal(v), atol=1e-6)


def test_the_entropy_estimate_is_near_and_knows_its_error() -> None:
    circuit, joint, _ = make(4, 5, 3)
    exact = entropy(joint.of_variables())
    off = []
    for seed in range(20):
        value, error = circuit.entropy_estimate(500, generator=seed)
        off.append((value - exact) / error)
    assert np.abs(off).max() < 5
    assert 0.4 < np.std(off) < 2.0


@pytest.mark.parametrize("case", cases())
def test_expectations(case: tuple[int, int, int]) -> None:
    circuit, joint, rng = make(*case)
    x, hidden = random_evidence(rng, circuit.structure, 6)
    wanted = [i for i in range(joint.variables) if i != 1]
    functions: dict[int, Any] = {
        i: rng.standard_normal(int(circuit.structure.cardinality[i])) for i in wanted
    }
    functions[0] = lambda k: np.cos(k) - 0.2
    values = all_values(circuit.structure)
    terms = np.stack(
        [
            functions[i](values[:, i]) if callable(functions[i]) else functions[i][values[:, i]]
            for i in wanted
        ]
    )
    for kind, combined in (("sum", terms.sum(axis=0)), ("product", terms.prod(axis=0))):
        p = joint.of_variables().reshape(-1)
        got = circuit.expectation(functions, kind=kind)
        assert got == pytest.approx(float((p * combined).sum()), rel=1e-5, abs=1e-6)
        got = circuit.expectation(functions, kind=kind, evidence=x, missing=hidden)
        for row in range(len(x)):
            agrees = ((values == x[row]) | hidden[row]).all(axis=1)
            expected = (p * combined)[agrees].sum() / p[agrees].sum()
            assert got[row] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_one_observation_and_images_keep_their_shape() -> None:
    rng = np.random.default_rng(1)
    flat = random_circuit(rng, nodes=6, variables=6)
    circuit = pc.Circuit(flat.structure, flat.root, flat.edges, flat.leaves, event_shape=(2, 3))
    x = circuit.sample(5, generator=0)
    assert x.shape == (5, 2, 3)
    assert circuit.log_prob(x).shape == (5,)
    assert circuit.log_prob(x[0]).shape == ()
    assert circuit.log_prob(x[0]) == circuit.log_prob(x.reshape(5, 6))[0]
    hidden = np.zeros((2, 3), dtype=bool)
    hidden[1] = True
    assert circuit.sample(4, evidence=x[0], missing=hidden).shape == (4, 2, 3)
    assert circuit.mpe(x, missing=hidden).values.shape == (5, 2, 3)
    assert circuit.conditional(x[0], [4], missing=hidden)[0].shape == (
        flat.structure.cardinality[4],
    )
    for strange in (x.astype(">i8"), np.asfortranarray(x), x[::-1][::-1], x.astype(np.int64)):
        assert np.array_equal(circuit.log_prob(strange), circuit.log_prob(x))
    assert circuit.log_prob(x[:0]).shape == (0,)


def test_unaligned_and_read_only_arrays() -> None:
    rng = np.random.default_rng(1)
    structure = pc.Structure.hmm(5, 3, 300)
    circuit = random_circuit(rng, nodes=0, variables=0, structure=structure)
    x = circuit.sample(9, generator=0)
    unaligned = np.frombuffer(b"\0" + x.tobytes(), dtype=x.dtype, offset=1).reshape(x.shape)
    assert not unaligned.flags.aligned
    assert not unaligned.flags.writeable
    assert np.array_equal(circuit.log_prob(unaligned), circuit.log_prob(x))
    hidden = x > 150
    assert np.array_equal(
        circuit.mpe(unaligned, missing=hidden).values, circuit.mpe(x, missing=hidden).values
    )


def test_the_callers_floating_point_mode_stays() -> None:
    circuit = random_circuit(np.random.default_rng(0), nodes=5, variables=6)
    fourfold.set_num_threads(2)
    circuit.log_prob(circuit.sample(200, generator=0))
    pc.fit(circuit, circuit.sample(200, generator=0), epochs=1)
    denormal = np.array([1e-310])
    assert (denormal / 2 > 0).all()
    assert (np.array([1e-40], dtype=np.float32) * np.float32(0.5) > 0).all()


def test_many_leaves_do_not_underflow() -> None:
    rng = np.random.default_rng(7)
    structure = pc.Structure.naive_bayes(3000, 5, 7)
    circuit = random_circuit(rng, nodes=0, variables=0, structure=structure)
    # One half of the variables speaks for one state, the other half for another, by e^-2000 each.
    x = rng.integers(0, 7, (20, 3000))
    logs = np.stack([np.log(leaf.astype(np.float64)) for leaf in circuit.leaves])
    terms = np.log(circuit.root.astype(np.float64)) + np.stack(
        [logs[np.arange(3000), :, row].sum(axis=0) for row in x]
    )
    top = terms.max(axis=1)
    expected = top + np.log(np.exp(terms - top[:, None]).sum(axis=1))
    assert np.allclose(circuit.log_prob(x), expected, rtol=1e-7)


def test_a_chain_of_a_thousand() -> None:
    rng = np.random.default_rng(8)
    circuit = random_circuit(rng, nodes=0, variables=0, structure=pc.Structure.hmm(1000, 6, 9))
    x = circuit.sample(40, generator=1)
    forward = circuit.root.astype(np.float64) * circuit.leaves[0][:, x[:, 0]].T
    expected = np.zeros(len(x))
    for t in range(1, 1000):
        edge = circuit.edges[t]
        assert edge is not None
        scale = forward.sum(axis=1, keepdims=True)
        expected += np.log(scale[:, 0])
        forward = (forward / scale) @ edge.astype(np.float64) * circuit.leaves[t][:, x[:, t]].T
    expected += np.log(forward.sum(axis=1))
    assert np.allclose(circuit.log_prob(x), expected, rtol=1e-7)


def test_bits_do_not_depend_on_threads_or_batch() -> None:
    rng = np.random.default_rng(3)
    circuit = random_circuit(rng, nodes=40, variables=60, most_states=40, most_values=9)
    x = circuit.sample(500, generator=0)
    fourfold.set_num_threads(1)
    one = circuit.log_prob(x)
    conditional = circuit.conditional(x, [5], missing=np.arange(60) > 30)[0]
    for threads in (2, 3):
        fourfold.set_num_threads(threads)
        assert np.array_equal(circuit.log_prob(x), one)
        assert np.array_equal(
            circuit.conditional(x, [5], missing=np.arange(60) > 30)[0], conditional
        )
    assert np.array_equal(circuit.log_prob(x[17:51]), one[17:51])


def _child(connection: Connection, circuit: pc.Circuit, x: Array) -> None:
    connection.send_bytes(circuit.log_prob(x).tobytes())
    connection.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_several_threads_and_a_forked_child_ask_at_once() -> None:
    circuit = random_circuit(np.random.default_rng(0), nodes=20, variables=30)
    x = circuit.sample(400, generator=0)
    fourfold.set_num_threads(2)
    expected = circuit.log_prob(x)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: circuit.log_prob(x), range(12)))
    assert all(np.array_equal(answer, expected) for answer in answers)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sender, circuit, x))
    child.start()
    assert receiver.poll(60), "the forked child hangs"
    assert receiver.recv_bytes() == expected.tobytes()
    child.join(60)
    assert child.exitcode == 0


def test_impossible_evidence_has_a_name() -> None:
    circuit = pc.Circuit(pc.Structure.naive_bayes(2, 1, 2), [1.0], [None], [[[1, 0]], [[0.5, 0.5]]])
    assert circuit.log_prob([1, 0]) == -np.inf
    assert circuit.log_prob([0, 1]) == pytest.approx(np.log(0.5))
    hidden = np.array([False, True])
    for query in (circuit.conditional, circuit.mpe):
        with pytest.raises(ImpossibleEvidenceError, match="row 0"):
            query([1, 0], missing=hidden)
    with pytest.raises(ImpossibleEvidenceError, match="row 0"):
        circuit.sample(2, evidence=[1, 0], missing=hidden)
    with pytest.raises(ImpossibleEvidenceError, match="row 0"):
        circuit.expectation({1: [1.0, 2.0]}, kind="product", evidence=[1, 0], missing=hidden)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (np.zeros((2, 3), dtype=int), ValueError, r"x: expected the shape \(n, 2\)"),
        (np.zeros((2, 2)), TypeError, "x: expected integers, got dtype float64"),
        (np.array([[0, 2]]), ValueError, "variable 1 has the values 0 to 1, got 2 in row 0"),
        (
            np.array([[0, 0], [-1, 0]]),
            ValueError,
            "variable 0 has the values 0 to 2, got -1 in row 1",
        ),
        (np.array([0, 1, 1]), ValueError, "x: expected the shape"),
    ],
)
def test_wrong_observations_are_refused(x: Any, error: type[Exception], words: str) -> None:
    rng = np.random.default_rng(0)
    structure = pc.Structure([-1], 2, [0, 0], [3, 2])
    circuit = pc.Circuit(
        structure, random_rows(rng, 2), [None], [random_rows(rng, 2, 3), random_rows(rng, 2, 2)]
    )
    with pytest.raises(error, match=words):
        circuit.log_prob(x)


def test_wrong_arguments_are_refused() -> None:
    circuit = random_circuit(np.random.default_rng(0), nodes=2, variables=3)
    x = np.zeros((1, 3), dtype=np.uint8)
    with pytest.raises(TypeError, match="missing: expected booleans"):
        circuit.log_prob(x, missing=np.zeros(3))
    with pytest.raises(ValueError, match="missing: expected the shape"):
        circuit.log_prob(x, missing=np.zeros(2, dtype=bool))
    with pytest.raises(ValueError, match="variables: expected indices 0 to 2, got 3"):
        circuit.conditional(x, [3])
    with pytest.raises(ValueError, match="each index once"):
        circuit.entropy([1, 1])
    with pytest.raises(ValueError, match="n: expected at least 0"):
        circuit.sample(-1)
    with pytest.raises(TypeError, match="generator"):
        circuit.sample(1, generator="chance")
    with pytest.raises(ValueError, match="kind"):
        circuit.expectation({}, kind="mean")
    with pytest.raises(ValueError, match=r"functions\[0\]"):
        circuit.expectation({0: [1.0] * 9})
    with pytest.raises(ValueError, match="at least one observed"):
        circuit.bits_per_dim(x, missing=np.True_)


def test_no_torch_for_arrays() -> None:
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from fourfold import pc;"
        "m = pc.HCLT.fit(np.random.default_rng(0).integers(0, 3, (50, 6)), num_latents=2, epochs=1);"
        "m.log_prob(m.sample(3)); assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
