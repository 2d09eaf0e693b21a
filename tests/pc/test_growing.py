"""More and fewer states."""

from __future__ import annotations

import numpy as np
import pytest

from fourfold import pc
from tests.pc.reference import all_values, random_circuit


@pytest.mark.parametrize("seed", range(4))
def test_growing_without_noise_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    circuit = random_circuit(rng, nodes=5, variables=6)
    states = circuit.structure.states + rng.integers(0, 9, 5)
    larger = pc.grow(circuit, states, noise=0)
    assert larger.structure.states.tolist() == states.tolist()
    x = all_values(circuit.structure)
    assert np.abs(larger.log_prob(x) - circuit.log_prob(x)).max() < 5e-6
    assert pc.grow(circuit, circuit.structure.states) == circuit
    disturbed = pc.grow(circuit, states, seed=1)
    assert disturbed == pc.grow(circuit, states, seed=1)
    assert 1e-4 < np.abs(disturbed.log_prob(x) - circuit.log_prob(x)).max() < 3


@pytest.mark.parametrize("seed", range(4))
def test_pruning_undoes_what_never_happens(seed: int) -> None:
    rng = np.random.default_rng(seed)
    circuit = random_circuit(rng, nodes=4, variables=5, most_states=3)
    structure = circuit.structure
    wide = structure.with_states(structure.states + 2)

    def pad(table: np.ndarray, rows: int, columns: int) -> np.ndarray:
        out = np.zeros((rows, columns))
        out[: table.shape[0], : table.shape[1]] = table
        out[table.shape[0] :] = 1 / columns
        return out

    edges = [
        pad(circuit.tables[v], int(wide.states[wide.parent[v]]), int(wide.states[v]))
        for v in range(1, wide.num_nodes)
    ]
    leaves = [
        pad(leaf, int(wide.states[node]), leaf.shape[1])
        for leaf, node in zip(circuit.leaves, wide.leaf_node, strict=True)
    ]
    root = np.append(circuit.root, [0, 0])
    padded = pc.Circuit(wide, root, [None, *edges], leaves)
    pruned = pc.prune(padded, structure.states)
    assert np.allclose(pruned.packed, circuit.packed, atol=1e-6)
    smallest = pc.prune(circuit, 1)
    x = all_values(structure)
    assert np.exp(smallest.log_prob(x)).sum() == pytest.approx(1, abs=1e-5)


def test_learning_goes_on_after_growing() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    digits = datasets.load_digits().images.astype(np.uint8)
    train, test = digits[:1400], digits[1400:]
    few = pc.HCLT.fit(train, num_latents=3, cardinality=17, epochs=8)
    more = pc.fit(pc.grow(few, 9), train, epochs=8)
    assert more.bits_per_dim(test) < few.bits_per_dim(test) - 0.1
    fewer = pc.fit(pc.prune(more, 6), train, epochs=4)
    assert more.bits_per_dim(test) < fewer.bits_per_dim(test) < few.bits_per_dim(test)


def test_wrong_numbers_are_refused() -> None:
    circuit = random_circuit(np.random.default_rng(0), nodes=2, variables=2, most_states=3)
    with pytest.raises(ValueError, match=r"states\[0\]: expected at most"):
        pc.prune(circuit, 9)
    with pytest.raises(ValueError, match=r"pc\.prune makes them fewer"):
        pc.grow(pc.grow(circuit, 9), 3)
    with pytest.raises(ValueError, match="noise"):
        pc.grow(circuit, 9, noise=-1)
