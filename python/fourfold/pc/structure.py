"""The shape of a circuit: a rooted tree of latent variables with observed variables at its nodes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Structure"]

MOST_VALUES = 65536
"""The largest cardinality of an observed variable."""

MOST_STATES = 4096
"""The largest number of states of a latent variable."""


class Structure:
    """A rooted tree of latent variables ``Z_v``, each observed variable ``X_i`` hanging on one.

    The joint distribution that a circuit of this structure represents is::

        p(x, z) = p(z_0)  prod_{v > 0} p(z_v | z_parent(v))  prod_i p(x_i | z_leaf_node(i))

    The arrays are read-only; two structures are equal if their arrays are.

    Parameters
    ----------
    parent : (V,) integers
        The parent of each latent node, in topological order: ``parent[0] = -1`` (the only root) and
        ``0 <= parent[v] < v`` for all others. `from_tree` takes nodes in any order.
    states : (V,) integers, or one for all
        Number of states of each latent variable, 1 to 4096.
    leaf_node : (D,) integers
        The latent node on which each observed variable hangs. A node may have any number of them.
    cardinality : (D,) integers, or one for all
        Number of values of each observed variable, 2 to 65536.

    Raises
    ------
    TypeError
        If an argument does not hold integers.
    ValueError
        If the arrays do not describe a tree as above.
    """

    parent: npt.NDArray[np.int32]
    states: npt.NDArray[np.int32]
    leaf_node: npt.NDArray[np.int32]
    cardinality: npt.NDArray[np.int32]

    def __init__(
        self,
        parent: npt.ArrayLike,
        states: npt.ArrayLike,
        leaf_node: npt.ArrayLike,
        cardinality: npt.ArrayLike,
    ) -> None:
        parents = _integers("parent", parent)
        nodes = len(parents)
        if nodes == 0:
            raise ValueError("parent: expected at least one node, got none")
        if parents[0] != -1:
            raise ValueError(f"parent[0]: expected -1, the root, got {parents[0]}")
        late = np.flatnonzero((parents[1:] < 0) | (parents[1:] >= np.arange(1, nodes)))
        if late.size:
            v = int(late[0]) + 1
            raise ValueError(
                f"parent[{v}]: expected a node before it, 0 to {v - 1}, got {parents[v]}; "
                "Structure.from_tree takes nodes in any order"
            )
        leaves = _integers("leaf_node", leaf_node)
        if len(leaves) == 0:
            raise ValueError("leaf_node: expected at least one observed variable, got none")
        _check_range("leaf_node", leaves, 0, nodes - 1)
        counts = _integers("states", states, nodes)
        _check_range("states", counts, 1, MOST_STATES)
        values = _integers("cardinality", cardinality, len(leaves))
        _check_range("cardinality", values, 2, MOST_VALUES)
        for name, array in (
            ("parent", parents),
            ("states", counts),
            ("leaf_node", leaves),
            ("cardinality", values),
        ):
            fixed = np.array(array, dtype=np.int32)
            fixed.setflags(write=False)
            object.__setattr__(self, name, fixed)

    @classmethod
    def from_tree(
        cls,
        parent: npt.ArrayLike,
        states: npt.ArrayLike,
        *,
        cardinality: npt.ArrayLike,
        leaf_node: npt.ArrayLike | None = None,
    ) -> Structure:
        """A structure from a tree whose nodes stand in any order.

        Parameters
        ----------
        parent : (V,) integers
            The parent of each node, -1 for the root.
        states : (V,) integers, or one for all
            Number of states of each latent variable.
        cardinality : (D,) integers, or one for all
            Number of values of each observed variable.
        leaf_node : (D,) integers, optional
            The node of each observed variable. By default variable i hangs on node i.

        Returns
        -------
        Structure
            Its nodes are renumbered in depth-first order, siblings in their old order.
        """
        parents = _integers("parent", parent)
        nodes = len(parents)
        _check_range("parent", parents, -1, nodes - 1)
        order = _parents_first(parents)
        place = np.empty(nodes, dtype=np.int64)
        place[order] = np.arange(nodes)
        hung = np.arange(nodes) if leaf_node is None else _integers("leaf_node", leaf_node)
        _check_range("leaf_node", hung, 0, nodes - 1)
        above = parents[order]
        return cls(
            np.where(above < 0, -1, place[above]),
            _integers("states", states, nodes)[order],
            place[hung],
            cardinality,
        )

    @classmethod
    def hmm(cls, length: int, states: npt.ArrayLike, cardinality: npt.ArrayLike) -> Structure:
        """A hidden Markov chain: node t has parent t - 1 and carries variable t.

        Every step has a transition table of its own (the chain need not be homogeneous).
        """
        if length < 1:
            raise ValueError(f"length: expected at least 1, got {length}")
        return cls(np.arange(-1, length - 1), states, np.arange(length), cardinality)

    @classmethod
    def naive_bayes(cls, num_variables: int, states: int, cardinality: npt.ArrayLike) -> Structure:
        """A mixture of ``states`` product distributions: one latent node with all the leaves."""
        if num_variables < 1:
            raise ValueError(f"num_variables: expected at least 1, got {num_variables}")
        return cls([-1], [states], np.zeros(num_variables, dtype=np.int32), cardinality)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a Structure does not change: cannot set {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        return Structure, (self.parent, self.states, self.leaf_node, self.cardinality)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Structure):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("parent", "states", "leaf_node", "cardinality")
        )

    def __hash__(self) -> int:
        return hash((self.parent.tobytes(), self.states.tobytes(), self.leaf_node.tobytes()))

    def __repr__(self) -> str:
        def span(values: npt.NDArray[np.int32]) -> str:
            low, high = values.min(), values.max()
            return f"{low}" if low == high else f"{low}..{high}"

        return (
            f"Structure({self.num_variables} variables of {span(self.cardinality)} values, "
            f"{self.num_nodes} latent nodes of {span(self.states)} states, depth {self.depth})"
        )

    @property
    def num_nodes(self) -> int:
        """V, the number of latent variables."""
        return len(self.parent)

    @property
    def num_variables(self) -> int:
        """D, the number of observed variables."""
        return len(self.leaf_node)

    @property
    def num_parameters(self) -> int:
        """Entries of all tables together."""
        states = self.states.astype(np.int64)
        edges = states[1:] @ states[self.parent[1:]]
        return int(states[0] + edges + states[self.leaf_node] @ self.cardinality.astype(np.int64))

    @functools.cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The children of each node, ascending."""
        lists: list[list[int]] = [[] for _ in range(self.num_nodes)]
        for v in range(1, self.num_nodes):
            lists[self.parent[v]].append(v)
        return tuple(tuple(nodes) for nodes in lists)

    @functools.cached_property
    def leaves(self) -> tuple[tuple[int, ...], ...]:
        """The observed variables that hang on each node, ascending."""
        lists: list[list[int]] = [[] for _ in range(self.num_nodes)]
        for i, v in enumerate(self.leaf_node):
            lists[v].append(i)
        return tuple(tuple(variables) for variables in lists)

    @functools.cached_property
    def depth(self) -> int:
        """Edges on the longest path from the root."""
        depth = np.zeros(self.num_nodes, dtype=np.int64)
        for v in range(1, self.num_nodes):
            depth[v] = depth[self.parent[v]] + 1
        return int(depth.max())

    def with_states(self, states: npt.ArrayLike) -> Structure:
        """The same tree with other numbers of states."""
        return Structure(self.parent, states, self.leaf_node, self.cardinality)


def _integers(name: str, values: npt.ArrayLike, length: int | None = None) -> npt.NDArray[np.int64]:
    """A one-dimensional int64 array; a single number is repeated ``length`` times."""
    array = np.asarray(values)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integers, got dtype {array.dtype}")
    if array.ndim == 0 and length is not None:
        array = np.full(length, array)
    if array.ndim != 1 or (length is not None and len(array) != length):
        wanted = "one dimension" if length is None else f"the shape ({length},)"
        raise ValueError(f"{name}: expected {wanted}, got shape {array.shape}")
    return array.astype(np.int64)


def _check_range(name: str, values: npt.NDArray[np.int64], low: int, high: int) -> None:
    wrong = np.flatnonzero((values < low) | (values > high))
    if wrong.size:
        i = int(wrong[0])
        raise ValueError(f"{name}[{i}]: expected {low} to {high}, got {values[i]}")


def _parents_first(parent: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The nodes in depth-first order from the root: what is near in the tree is near in memory."""
    roots = np.flatnonzero(parent < 0)
    if len(roots) != 1:
        raise ValueError(
            f"parent: expected -1 exactly once, at the root, got it {len(roots)} times"
        )
    children: list[list[int]] = [[] for _ in parent]
    for v, above in enumerate(parent):
        if above >= 0:
            children[above].append(v)
    order: list[int] = []
    waiting = [int(roots[0])]
    while waiting:
        v = waiting.pop()
        order.append(v)
        waiting.extend(reversed(children[v]))
    if len(order) != len(parent):
        lost = sorted(set(range(len(parent))) - set(order))
        raise ValueError(f"parent: expected one tree, got nodes that no root reaches: {lost[:5]}")
    return np.asarray(order, dtype=np.int64)
