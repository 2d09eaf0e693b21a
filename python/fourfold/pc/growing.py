"""More states for the nodes of a learnt circuit, or fewer."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.pc.circuit import Circuit

__all__ = ["grow", "prune"]

Index = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]


def grow(circuit: Circuit, states: npt.ArrayLike, *, noise: float = 0.3, seed: int = 0) -> Circuit:
    """A circuit with more states, to go on learning from.

    The most frequent states are split in two until there are as many as asked for. Both halves
    inherit the tables, and share the probability of being reached.

    Parameters
    ----------
    circuit : Circuit
    states : int, or (V,) integers
        Number of states of each latent node, none less than now.
    noise : float
        Standard deviation of the logarithm of random factors by which the tables of split nodes are
        disturbed, so that the halves learn different things. With 0 the distribution is the same.
    seed : int
        Of that chance.

    Returns
    -------
    Circuit

    Raises
    ------
    ValueError
        If a node would have fewer states than now.
    """
    structure = circuit.structure
    larger = structure.with_states(states)
    less = np.flatnonzero(larger.states < structure.states)
    if less.size:
        v = int(less[0])
        raise ValueError(
            f"states[{v}]: expected at least the {structure.states[v]} of now, "
            f"got {larger.states[v]}; pc.prune makes them fewer"
        )
    if not noise >= 0:
        raise ValueError(f"noise: expected at least 0, got {noise}")
    rng = np.random.default_rng(seed)
    origin = [
        _split(weight, int(count))
        for weight, count in zip(circuit.state_marginals(), larger.states, strict=True)
    ]

    def table(old: npt.NDArray[np.float32], rows: Index | None, columns: Index | None) -> Any:
        new = old.astype(np.float64)
        changed = False
        if rows is not None:
            changed |= len(rows) > new.shape[0]
            new = new[rows]
        if columns is not None:
            changed |= len(columns) > new.shape[-1]
            new = new[..., columns] / np.bincount(columns)[columns]
        if not changed:
            return old
        if noise > 0:
            new = new * np.exp(noise * rng.standard_normal(new.shape))
        return new / new.sum(axis=-1, keepdims=True)

    return _rebuilt(circuit, larger.states, origin, table)


def prune(circuit: Circuit, states: npt.ArrayLike) -> Circuit:
    """A circuit with fewer states: the most frequent ones of each node, ``p(z_v)`` being the measure.

    Parameters
    ----------
    circuit : Circuit
    states : int, or (V,) integers
        Number of states of each latent node, none more than now.

    Returns
    -------
    Circuit
        A row that led to pruned states only leads to the others by their frequency.

    Raises
    ------
    ValueError
        If a node would have more states than now.
    """
    structure = circuit.structure
    smaller = structure.with_states(states)
    more = np.flatnonzero(smaller.states > structure.states)
    if more.size:
        v = int(more[0])
        raise ValueError(
            f"states[{v}]: expected at most the {structure.states[v]} of now, "
            f"got {smaller.states[v]}; pc.grow makes them more"
        )
    kept = [
        np.sort(np.argsort(-weight, kind="stable")[: int(count)])
        for weight, count in zip(circuit.state_marginals(), smaller.states, strict=True)
    ]

    def table(old: npt.NDArray[np.float32], rows: Index | None, columns: Index | None) -> Float:
        new = old.astype(np.float64)
        if rows is not None:
            new = new[rows]
        if columns is not None:
            overall = old.astype(np.float64).reshape(-1, old.shape[-1]).mean(axis=0)[columns]
            new = new[..., columns]
            lost = new.sum(axis=-1, keepdims=True) == 0
            new = np.where(lost, overall if overall.sum() > 0 else 1.0, new)
        return np.asarray(new / new.sum(axis=-1, keepdims=True))

    return _rebuilt(circuit, smaller.states, kept, table)


def _split(weight: Float, count: int) -> Index:
    """Which state each of ``count`` states comes from, the old ones first, the frequent ones split."""
    origin = list(range(len(weight)))
    waiting = [(-float(w), k) for k, w in enumerate(weight)]
    heapq.heapify(waiting)
    while len(origin) < count:
        share, k = waiting[0]
        origin.append(k)
        # Of n copies each has 1/n: taking one more makes each copy lighter.
        copies = origin.count(k)
        heapq.heapreplace(waiting, (share * (copies - 1) / copies, k))
    return np.array(origin)


def _rebuilt(circuit: Circuit, states: Any, origin: list[Index], table: Any) -> Circuit:
    structure = circuit.structure
    edges: list[Any] = [None]
    for v in range(1, structure.num_nodes):
        edges.append(table(circuit.edges[v], origin[structure.parent[v]], origin[v]))
    leaves = [
        table(leaf, origin[node], None)
        for leaf, node in zip(circuit.leaves, structure.leaf_node, strict=True)
    ]
    return Circuit(
        structure.with_states(states),
        table(circuit.root, None, origin[0]),
        edges,
        leaves,
        event_shape=circuit.event_shape,
        metadata=circuit.metadata,
    )
