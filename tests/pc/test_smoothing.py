"""Smoother tables of ordered values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fourfold import pc
from tests.pc.reference import random_circuit


def plainly(row: Any, reached: float, width: float, strength: float) -> Any:
    """The formula for one row, with the Gaussian as a sum over the values and their mirror images."""
    values = len(row)
    mode = int(np.argmax(row))
    rest = np.where(np.arange(values) == mode, 0, row)
    reach = int(4 * width + 0.5)  # where the Gaussian ends
    blurred, weight = np.zeros(values), np.zeros(values)
    for source in range(values):
        for offset in range(-reach, reach + 1):
            target = (source + offset) % (2 * values)
            target = target if target < values else 2 * values - 1 - target
            share = np.exp(-0.5 * (offset / width) ** 2)
            blurred[target] += share * rest[source]
            weight[target] += share * (source != mode)
    blurred /= np.where(weight > 0, weight, 1)
    blurred[mode] = 0
    blurred *= rest.sum() / blurred.sum()
    seen = reached * rest.sum()
    new = (seen * rest + strength * blurred) / (seen + strength)
    new[mode] = row[mode]
    return new


@pytest.mark.parametrize(("width", "strength"), [(0.1, 3.0), (0.7, 3.0), (2.5, 40.0), (9.0, 1e6)])
def test_rows_are_those_of_the_formula(width: float, strength: float) -> None:
    circuit = random_circuit(np.random.default_rng(5), nodes=4, variables=6)
    smoothed = pc.smooth(circuit, 50, width=width, strength=strength)
    weights = circuit.state_marginals()
    for old, new, node in zip(
        circuit.leaves, smoothed.leaves, circuit.structure.leaf_node, strict=True
    ):
        for z, row in enumerate(np.asarray(old, dtype=np.float64)):
            expected = plainly(row, 50 * weights[node][z], width, strength)
            np.testing.assert_allclose(new[z], expected, atol=3e-7)
    assert np.array_equal(circuit.root, smoothed.root)
    for v in range(1, circuit.structure.num_nodes):
        assert np.array_equal(circuit.tables[v], smoothed.tables[v])


def test_only_the_variables_asked_for_and_by_as_much_as_asked_for() -> None:
    circuit = random_circuit(np.random.default_rng(6), nodes=3, variables=5)
    assert pc.smooth(circuit, 10, strength=0) == circuit
    some = pc.smooth(circuit, 10, variables=[3, 4], width=1)
    changed = [not np.array_equal(a, b) for a, b in zip(circuit.leaves, some.leaves, strict=True)]
    assert changed == [False, False, False, True, True]


def test_a_value_that_is_always_there_stays() -> None:
    structure = pc.Structure.naive_bayes(1, 2, 9)
    leaf = np.zeros((2, 9))
    leaf[0, 3] = 1
    leaf[1] = 1 / 9
    circuit = pc.Circuit(structure, [1.0, 0.0], [None], [leaf])
    np.testing.assert_allclose(pc.smooth(circuit, 7).leaves[0], leaf, atol=1e-7)


def test_what_was_learnt_from_little_comes_nearer_to_the_truth() -> None:
    rng = np.random.default_rng(1)
    x = np.arange(200)
    truth = np.exp(-0.5 * ((x - [[50], [140]]) / [[12], [25]]) ** 2)
    truth /= truth.sum(axis=1, keepdims=True)

    def draw(n: int) -> Any:
        z = rng.integers(0, 2, n)
        columns = [[rng.choice(200, p=truth[k]) for k in z] for _ in range(4)]
        return np.array(columns).T

    seen, fresh = draw(500), draw(2000)
    model = pc.fit(pc.Structure.naive_bayes(4, 2, 200), seen, epochs=20, batch_size=500)
    smoothed = pc.smooth(model, len(seen))
    assert smoothed.bits_per_dim(fresh) < model.bits_per_dim(fresh) - 0.1


def test_the_usual_width_follows_the_spread_of_the_values() -> None:
    # Few of the 256 values that a byte can have.
    rng = np.random.default_rng(3)
    seen, fresh = (np.clip(rng.normal(8, 3, (n, 5)).round(), 0, 16).astype(int) for n in (300, 999))
    model = pc.fit(pc.Structure.naive_bayes(5, 3, 256), seen, epochs=10, batch_size=300)
    smoothed = pc.smooth(model, len(seen))
    assert smoothed.bits_per_dim(fresh) < model.bits_per_dim(fresh)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rows": 0}, ValueError, "rows: expected at least 1, got 0"),
        ({"rows": 5.0}, TypeError, "rows: expected an integer"),
        ({"rows": 5, "width": 0}, ValueError, "width: expected positive and at most 65536, got 0"),
        ({"rows": 5, "width": 1e9}, ValueError, "width: expected positive and at most 65536"),
        ({"rows": 5, "width": np.nan}, ValueError, "width: "),
        ({"rows": 5, "width": "wide"}, TypeError, "width: expected a real number"),
        (
            {"rows": 5, "strength": -1},
            ValueError,
            "strength: expected at least 0 and finite, got -1",
        ),
        ({"rows": 5, "strength": np.inf}, ValueError, "strength: "),
        ({"rows": 5, "variables": [0, 5]}, ValueError, "variables: expected indices 0 to 4, got 5"),
        ({"rows": 5, "variables": [0.5]}, TypeError, "variables: expected an integer"),
    ],
)
def test_what_is_wrong_is_named(options: Any, error: type[Exception], message: str) -> None:
    circuit = random_circuit(np.random.default_rng(6), nodes=3, variables=5)
    with pytest.raises(error, match=message):
        pc.smooth(circuit, **options)


def test_only_circuits_are_smoothed() -> None:
    with pytest.raises(TypeError, match="circuit: expected a Circuit, got ndarray"):
        pc.smooth(np.zeros(3), 5)  # type: ignore[arg-type]
