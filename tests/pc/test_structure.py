"""Structures and circuits: what they are and what they refuse."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from fourfold import pc
from tests.pc.reference import random_circuit, random_rows


def test_constructors() -> None:
    chain = pc.Structure.hmm(4, 3, 5)
    assert chain.parent.tolist() == [-1, 0, 1, 2]
    assert chain.leaf_node.tolist() == [0, 1, 2, 3]
    assert chain.depth == 3
    mixture = pc.Structure.naive_bayes(3, 7, [2, 3, 65536])
    assert mixture.leaves == ((0, 1, 2),)
    assert mixture.num_parameters == 7 + 7 * (2 + 3 + 65536)
    tree = pc.Structure.from_tree([2, 2, -1, 1], [5, 6, 7, 8], cardinality=[2, 3, 4, 5])
    assert tree.parent.tolist() == [-1, 0, 0, 2]
    assert tree.states.tolist() == [7, 5, 6, 8]
    # Variable i still hangs on what was node i.
    assert tree.states[tree.leaf_node].tolist() == [5, 6, 7, 8]
    assert tree.children == ((1, 2), (3,), (), ()) or tree.children == ((1, 2), (), (3,), ())
    bare = pc.Structure.from_tree([-1, 0], 2, cardinality=[2, 2, 2], leaf_node=[1, 1, 1])
    assert bare.leaves == ((), (0, 1, 2))
    assert bare.with_states(9).states.tolist() == [9, 9]


def test_equality_and_pickle() -> None:
    one, other = pc.Structure.hmm(4, 3, 5), pc.Structure.hmm(4, 3, 6)
    assert one == pc.Structure.hmm(4, 3, 5)
    assert hash(one) == hash(pc.Structure.hmm(4, 3, 5))
    assert one != other
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError, match="does not change"):
        one.parent = None  # type: ignore[assignment]
    with pytest.raises(ValueError, match="read-only"):
        one.parent[0] = 3
    circuit = random_circuit(np.random.default_rng(0), nodes=3, variables=3)
    circuit.log_prob([0, 0, 0])
    for again in (pickle.loads(pickle.dumps(circuit)), copy.deepcopy(circuit)):
        assert again == circuit
        assert not again.packed.flags.writeable
    assert again.log_prob([0, 0, 0]) == circuit.log_prob([0, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([], [], [], []), "at least one node"),
        (([0], [2], [0], [2]), r"parent\[0\]: expected -1"),
        (([-1, 1], [2, 2], [0], [2]), r"parent\[1\]: expected a node before it"),
        (([-1, -1], [2, 2], [0], [2]), r"parent\[1\]"),
        (([-1], [0], [0], [2]), r"states\[0\]: expected 1 to 4096, got 0"),
        (([-1], [2, 3], [0], [2]), r"states: expected the shape \(1,\)"),
        (([-1], [2], [1], [2]), r"leaf_node\[0\]: expected 0 to 0, got 1"),
        (([-1], [2], [], []), "at least one observed variable"),
        (([-1], [2], [0], [1]), r"cardinality\[0\]: expected 2 to 65536, got 1"),
        (([-1], [2], [0], [65537]), r"cardinality\[0\]"),
    ],
)
def test_structures_that_are_none(arguments: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pc.Structure(*arguments)


def test_trees_that_are_none() -> None:
    with pytest.raises(ValueError, match="no root reaches"):
        pc.Structure.from_tree([-1, 2, 1], 2, cardinality=[2, 2, 2])
    with pytest.raises(ValueError, match="exactly once"):
        pc.Structure.from_tree([-1, -1], 2, cardinality=[2, 2])
    with pytest.raises(TypeError, match="states: expected integers"):
        pc.Structure([-1], [2.0], [0], [2])
    with pytest.raises(ValueError, match="length"):
        pc.Structure.hmm(0, 2, 2)


def test_tables_are_checked() -> None:
    structure = pc.Structure.hmm(2, 2, 3)
    rng = np.random.default_rng(0)
    root, edge = random_rows(rng, 2), random_rows(rng, 2, 2)
    leaves = [random_rows(rng, 2, 3) for _ in range(2)]
    circuit = pc.Circuit(structure, root, [None, edge], leaves)
    assert np.array_equal(circuit.root, root.astype(np.float32))
    assert np.array_equal(circuit.edges[1], edge.astype(np.float32))  # type: ignore[arg-type]
    assert circuit.offsets.tolist() == [0, 16, 32, 48]
    assert np.array_equal(circuit.packed[32:38], leaves[0].astype(np.float32).reshape(-1))
    assert not circuit.packed.flags.writeable
    assert pc.Circuit.from_packed(structure, circuit.packed) == circuit
    for wrong, words in (
        (edge.T * 2, r"edges\[1\]: row 0 must sum to 1"),
        (edge[:1], r"edges\[1\]: expected the shape \(2, 2\), got \(1, 2\)"),
        (edge * np.nan, r"edges\[1\]: expected finite"),
        (np.array([[1.5, -0.5], [0, 1]]), "none of them negative"),
    ):
        with pytest.raises(ValueError, match=words):
            pc.Circuit(structure, root, [None, wrong], leaves)
    with pytest.raises(TypeError, match="root: expected real numbers"):
        pc.Circuit(structure, ["a", "b"], [None, edge], leaves)
    with pytest.raises(ValueError, match="event_shape"):
        pc.Circuit(structure, root, [None, edge], leaves, event_shape=(3,))


def test_the_digest_names_the_model() -> None:
    rng = np.random.default_rng(0)
    circuit = random_circuit(rng, nodes=4, variables=6)
    shaped = pc.Circuit(
        circuit.structure, circuit.root, circuit.edges, circuit.leaves, event_shape=(2, 3)
    )
    assert len(circuit.digest) == 32
    assert shaped.digest == circuit.digest
    assert shaped != circuit
    packed = circuit.packed.copy()
    packed[0] = np.nextafter(packed[0], np.float32(1))
    assert pc.Circuit.from_packed(circuit.structure, packed).digest != circuit.digest
