"""Circuits small enough to write down the whole joint distribution, in double precision."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold import pc

Array = npt.NDArray[Any]


def random_rows(rng: np.random.Generator, *shape: int, concentration: float = 1.0) -> Array:
    table = rng.gamma(concentration, size=shape) + 1e-6
    return np.asarray(table / table.sum(axis=-1, keepdims=True))


def random_circuit(
    rng: np.random.Generator,
    *,
    nodes: int,
    variables: int,
    most_states: int = 4,
    most_values: int = 4,
    structure: pc.Structure | None = None,
) -> pc.Circuit:
    """A random tree whose nodes have 0, 1 or many leaves and numbers of states of their own."""
    if structure is None:
        parent = [-1, *(int(rng.integers(v)) for v in range(1, nodes))]
        structure = pc.Structure(
            parent,
            rng.integers(1, most_states + 1, nodes),
            rng.integers(nodes, size=variables),
            rng.integers(2, most_values + 1, variables),
        )
    states = structure.states.tolist()
    edges = [
        random_rows(rng, states[structure.parent[v]], states[v])
        for v in range(1, structure.num_nodes)
    ]
    leaves = [
        random_rows(rng, states[node], int(values))
        for node, values in zip(structure.leaf_node, structure.cardinality, strict=True)
    ]
    return pc.Circuit(structure, random_rows(rng, states[0]), [None, *edges], leaves)


class Joint:
    """p(z, x) of every combination, as one array with an axis for each z_v and then each x_i."""

    def __init__(self, circuit: pc.Circuit) -> None:
        structure = circuit.structure
        self.nodes, self.variables = structure.num_nodes, structure.num_variables
        axes = self.nodes + self.variables
        table = np.ones((1,) * axes)

        def spread(factor: Array, *places: int) -> Array:
            shape = [1] * axes
            for place, length in zip(places, factor.shape, strict=True):
                shape[place] = length
            order = np.argsort(places)
            return factor.astype(np.float64).transpose(order).reshape(shape)

        table = table * spread(circuit.root, 0)
        for v in range(1, self.nodes):
            edge = circuit.edges[v]
            assert edge is not None
            table = table * spread(edge, int(structure.parent[v]), v)
        for i, leaf in enumerate(circuit.leaves):
            table = table * spread(leaf, int(structure.leaf_node[i]), self.nodes + i)
        self.table = table

    def given(self, row: Array, hidden: Array) -> Array:
        """The part of the table that agrees with the observed values; axes of x stay."""
        where: list[Any] = [slice(None)] * self.nodes
        for value, unknown in zip(row, hidden, strict=True):
            where.append(slice(None) if unknown else slice(int(value), int(value) + 1))
        return np.asarray(self.table[tuple(where)])

    def of_variables(self) -> Array:
        """p(x)."""
        return np.asarray(self.table.sum(axis=tuple(range(self.nodes))))

    def marginal(self, *axes: int) -> Array:
        """Of some axes of the table, in ascending order."""
        return np.asarray(
            self.table.sum(axis=tuple(a for a in range(self.table.ndim) if a not in axes))
        )


def entropy(table: Array) -> float:
    positive = table[table > 0]
    return float(-(positive * np.log(positive)).sum())


def all_values(structure: pc.Structure) -> Array:
    return np.array(list(itertools.product(*(range(k) for k in structure.cardinality))))


def random_evidence(
    rng: np.random.Generator, structure: pc.Structure, n: int
) -> tuple[Array, Array]:
    """Values and a mask of those that are missing, which hold nonsense."""
    values = np.stack([rng.integers(0, k, n) for k in structure.cardinality], axis=1)
    hidden = rng.random(values.shape) < 0.4
    return np.where(hidden, 99, values), hidden
