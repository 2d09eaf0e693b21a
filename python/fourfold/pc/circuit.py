"""A probabilistic circuit: a structure and its probability tables."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.pc.structure import Structure

__all__ = ["Circuit"]

_ALIGNMENT = 16
"""Every table begins at a multiple of this many floats, which is a cache line."""

_ROW_SUM_TOLERANCE = 1e-4


class Circuit:
    """A tree-shaped latent-variable model with its probability tables, which are the model.

    ::

        p(x) = sum_z root[z_0] prod_v edges[v][z_parent(v), z_v] prod_i leaves[i][z_leaf_node(i), x_i]

    The tables are float32, read-only, in one buffer. They hold probabilities, not logarithms.

    Parameters
    ----------
    structure : Structure
        The tree.
    root : (M_0,) array
        Probabilities of the root's states.
    edges : sequence of V arrays
        ``edges[v]`` of shape ``(M_parent(v), M_v)`` holds p(z_v | z_parent(v)); ``edges[0]`` is None.
    leaves : sequence of D arrays
        ``leaves[i]`` of shape ``(M_leaf_node(i), K_i)`` holds p(x_i | z_leaf_node(i)).
    event_shape : tuple of int, optional
        The shape of one observation, for instance (28, 28). Its product is D. Default ``(D,)``.

    Raises
    ------
    TypeError
        If a table does not hold real numbers.
    ValueError
        If a table has the wrong shape, an entry that is negative or not finite, or a row whose sum
        is off 1 by more than 1e-4.
    """

    def __init__(
        self,
        structure: Structure,
        root: npt.ArrayLike,
        edges: Sequence[npt.ArrayLike | None],
        leaves: Sequence[npt.ArrayLike],
        *,
        event_shape: Sequence[int] | None = None,
    ) -> None:
        if len(edges) != structure.num_nodes:
            raise ValueError(f"edges: expected {structure.num_nodes} tables, got {len(edges)}")
        if edges[0] is not None:
            raise ValueError("edges[0]: expected None, because the root has no parent")
        if len(leaves) != structure.num_variables:
            raise ValueError(
                f"leaves: expected {structure.num_variables} tables, got {len(leaves)}"
            )
        packed = np.zeros(packed_size(structure), dtype=np.float32)
        tables = [root, *edges[1:], *leaves]
        for (name, place), table in zip(_places(structure), tables, strict=True):
            place.of(packed)[...] = _checked(name, table, place.shape)
        packed.setflags(write=False)
        self._structure = structure
        self._packed = packed
        self._event_shape = _check_event_shape(event_shape, structure.num_variables)

    @classmethod
    def from_packed(
        cls,
        structure: Structure,
        packed: npt.NDArray[np.float32],
        *,
        event_shape: Sequence[int] | None = None,
    ) -> Circuit:
        """A circuit from a buffer with the layout of `packed`, which is copied and checked."""
        if packed.dtype != np.float32 or packed.shape != (packed_size(structure),):
            raise ValueError(
                f"packed: expected float32 of shape ({packed_size(structure)},), "
                f"got {packed.dtype} of shape {packed.shape}"
            )
        tables = [place.of(packed) for _, place in _places(structure)]
        v = structure.num_nodes
        return cls(structure, tables[0], [None, *tables[1:v]], tables[v:], event_shape=event_shape)

    @property
    def structure(self) -> Structure:
        """The tree."""
        return self._structure

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one observation."""
        return self._event_shape

    @property
    def num_parameters(self) -> int:
        """Entries of all tables together."""
        return self._structure.num_parameters

    @property
    def packed(self) -> npt.NDArray[np.float32]:
        """All tables in one read-only buffer: root, edges 1 to V - 1, leaves 0 to D - 1.

        Each is row-major and begins at ``offsets``, a multiple of 16; the gaps hold zeros.
        """
        return self._packed

    @functools.cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Where the tables begin in `packed`: (V + D,) int64, root, then edges, then leaves."""
        return np.array([place.start for _, place in _places(self._structure)], dtype=np.int64)

    @functools.cached_property
    def _tables(self) -> list[npt.NDArray[np.float32]]:
        return [place.of(self._packed) for _, place in _places(self._structure)]

    @property
    def root(self) -> npt.NDArray[np.float32]:
        """Probabilities of the root's states."""
        return self._tables[0]

    @property
    def edges(self) -> list[npt.NDArray[np.float32] | None]:
        """p(z_v | z_parent(v)) of each node; None at the root."""
        return [None, *self._tables[1 : self._structure.num_nodes]]

    @property
    def leaves(self) -> list[npt.NDArray[np.float32]]:
        """p(x_i | z_leaf_node(i)) of each observed variable."""
        return self._tables[self._structure.num_nodes :]

    @functools.cached_property
    def digest(self) -> bytes:
        """32 bytes that name this model: BLAKE2b of its structure and its tables.

        It depends neither on `event_shape` nor on the byte order of this machine.
        """
        digest = hashlib.blake2b(b"fourfold.pc.Circuit 1", digest_size=32)
        shape = self._structure
        for array in (shape.parent, shape.states, shape.leaf_node, shape.cardinality):
            digest.update(np.array([len(array)], dtype="<i8").tobytes())
            digest.update(array.astype("<i4").tobytes())
        for table in self._tables:
            digest.update(table.astype("<f4").tobytes())
        return digest.digest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Circuit):
            return NotImplemented
        return (
            self._structure == other._structure
            and self._event_shape == other._event_shape
            and np.array_equal(self._packed, other._packed)
        )

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Circuit({self._structure!r}, {self.num_parameters} parameters)"


class _Place:
    """Where a table stands in the packed buffer."""

    def __init__(self, start: int, shape: tuple[int, ...]) -> None:
        self.start = start
        self.shape = shape
        self.stop = start + int(np.prod(shape, dtype=np.int64))

    def of(self, packed: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return packed[self.start : self.stop].reshape(self.shape)


def table_shapes(structure: Structure) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every table in the order in which they are packed."""
    states = structure.states.tolist()
    yield "root", (states[0],)
    for v in range(1, structure.num_nodes):
        yield f"edges[{v}]", (states[structure.parent[v]], states[v])
    for i, node in enumerate(structure.leaf_node):
        yield f"leaves[{i}]", (states[node], int(structure.cardinality[i]))


def _places(structure: Structure) -> Iterator[tuple[str, _Place]]:
    start = 0
    for name, shape in table_shapes(structure):
        place = _Place(start, shape)
        yield name, place
        start = -(-place.stop // _ALIGNMENT) * _ALIGNMENT


def packed_size(structure: Structure) -> int:
    """Floats in the packed buffer."""
    *_, (_, last) = _places(structure)
    return -(-last.stop // _ALIGNMENT) * _ALIGNMENT


def _checked(name: str, table: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    array = np.asarray(table)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name}: expected the shape {shape}, got {array.shape}")
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(f"{name}: expected finite probabilities, none of them negative")
    sums = array.sum(axis=-1, dtype=np.float64)
    off = np.abs(sums - 1)
    if off.max() > _ROW_SUM_TOLERANCE:
        worst = int(np.argmax(off))
        total = float(np.atleast_1d(sums)[worst])
        row = f" row {worst}" if array.ndim > 1 else ""
        raise ValueError(f"{name}:{row} must sum to 1, got {total:.6g}")
    return array.astype(np.float32)


def _check_event_shape(event_shape: Sequence[int] | None, size: int) -> tuple[int, ...]:
    if event_shape is None:
        return (size,)
    shape = tuple(int(length) for length in event_shape)
    if int(np.prod(shape, dtype=np.int64)) != size or min(shape, default=1) < 1:
        raise ValueError(
            f"event_shape: expected a shape of {size} entries, as there are variables, got {shape}"
        )
    return shape
