"""Mutual information against a plain count, and the tree it makes."""

from __future__ import annotations

import numpy as np
import pytest

import fourfold
from fourfold.pc._observations import check_observations
from fourfold.pc.chow_liu import chow_liu_parents, pairwise_mutual_information
from tests.pc.reference import Array

pytestmark = pytest.mark.isa


def shares(values: Array, cardinality: int, bins: int, soft: bool) -> Array:
    """How much of each row counts in each bin, one column a bin."""
    used = min(bins, cardinality)
    if used == cardinality:
        return np.asarray(np.eye(cardinality)[values])
    if not soft:
        return np.asarray(np.eye(used)[values * used // cardinality])
    centres = np.arange(used)
    place = values * (used - 1) / (cardinality - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(place[:, None] - centres)))


def expected_information(x: Array, cardinality: Array, bins: int, soft: bool) -> Array:
    size = len(cardinality)
    columns = [shares(x[:, i], int(cardinality[i]), bins, soft) for i in range(size)]

    def entropy(table: Array) -> float:
        p = table[table > 1e-12] / len(x)
        return float(-(p * np.log(p)).sum())

    out = np.zeros((size, size))
    for i in range(size):
        out[i, i] = entropy(columns[i].sum(axis=0))
        for j in range(i):
            both = entropy(columns[i].T @ columns[j])
            out[i, j] = out[j, i] = (
                entropy(columns[i].sum(axis=0)) + entropy(columns[j].sum(axis=0)) - both
            )
    return out


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_against_a_plain_count(soft: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cardinality = np.array([2, 3, 8, 9, 40, 256, 1000], dtype=np.int32)
    common = rng.random((500, 1))
    x = ((0.7 * common + 0.3 * rng.random((500, 7))) ** 3 * cardinality).astype(np.int64)
    seen = check_observations("x", x, cardinality=cardinality, event_shape=(7,))
    got = pairwise_mutual_information(seen, cardinality, bins=8, soft=soft)
    assert np.allclose(got, expected_information(x, cardinality, 8, soft), atol=2e-5)
    fourfold.set_num_threads(1)
    one = pairwise_mutual_information(seen, cardinality, bins=8, soft=soft)
    assert np.array_equal(one, got)


def test_what_is_missing_is_a_value() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (400, 4))
    hidden = rng.random((400, 1)) < 0.4
    hidden = np.broadcast_to(hidden, x.shape) & (np.arange(4) < 2)
    cardinality = np.full(4, 3, dtype=np.int32)
    seen = check_observations("x", x, cardinality=cardinality, event_shape=(4,), missing=hidden)
    got = pairwise_mutual_information(seen, cardinality)
    as_values = expected_information(np.where(hidden, 3, x), np.array([4, 4, 4, 4]), 32, False)
    assert np.allclose(got, as_values, atol=1e-5)


def test_a_subset_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (1000, 3))
    cardinality = np.full(3, 3, dtype=np.int32)
    seen = check_observations("x", x, cardinality=cardinality, event_shape=(3,))
    some = pairwise_mutual_information(seen, cardinality, max_rows=200, seed=1)
    assert np.array_equal(
        some, pairwise_mutual_information(seen, cardinality, max_rows=200, seed=1)
    )
    assert not np.array_equal(
        some, pairwise_mutual_information(seen, cardinality, max_rows=200, seed=2)
    )
    with pytest.raises(ValueError, match="bins"):
        pairwise_mutual_information(seen, cardinality, bins=1)


def heaviest_tree(weights: Array) -> set[frozenset[int]]:
    """Kruskal's algorithm, with a set for every component."""
    size = len(weights)
    pairs = sorted(((weights[i, j], i, j) for i in range(size) for j in range(i)), reverse=True)
    component = [{v} for v in range(size)]
    tree = set()
    for _, i, j in pairs:
        if component[i] is not component[j]:
            tree.add(frozenset((i, j)))
            component[i] |= component[j]
            for v in component[j]:
                component[v] = component[i]
    return tree


@pytest.mark.parametrize("seed", range(5))
def test_the_tree_is_the_heaviest_and_its_root_the_centre(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 25))
    weights = rng.random((size, size))
    weights = weights + weights.T
    parent = chow_liu_parents(weights)
    edges = {frozenset((v, int(p))) for v, p in enumerate(parent) if p >= 0}
    assert edges == heaviest_tree(weights)
    distance = np.full((size, size), size)
    for i, j in map(tuple, edges):
        distance[i, j] = distance[j, i] = 1
    np.fill_diagonal(distance, 0)
    for k in range(size):
        distance = np.minimum(distance, distance[:, k, None] + distance[k])
    farthest = distance.max(axis=1)
    assert farthest[parent < 0] == farthest.min()


def test_independent_variables_still_make_a_tree() -> None:
    parent = chow_liu_parents(np.zeros((6, 6)))
    assert (parent < 0).sum() == 1
    assert chow_liu_parents(np.zeros((1, 1))).tolist() == [-1]
