"""A probabilistic circuit: a structure and its probability tables."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from fourfold.pc import moments, queries
from fourfold.pc._kernel import Model
from fourfold.pc.structure import Structure

if TYPE_CHECKING:
    from fourfold.pc._cuda_em import CudaSampler
    from fourfold.pc._cuda_kernel import CudaModel
    from fourfold.pc.learning import Epoch
    from fourfold.pc.moments import EntropyEstimate
    from fourfold.pc.queries import MostProbable

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
    metadata : mapping, optional
        Whatever JSON can hold; it is saved with the model and has no other effect.

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
        metadata: Mapping[str, Any] | None = None,
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
        self._metadata = json.loads(metadata_text(metadata))
        self._history: tuple[Epoch, ...] = ()

    @classmethod
    def from_packed(
        cls,
        structure: Structure,
        packed: npt.NDArray[np.float32],
        *,
        event_shape: Sequence[int] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Self:
        """A circuit from a buffer with the layout of `packed`, which is copied and checked."""
        if packed.dtype != np.float32 or packed.shape != (packed_size(structure),):
            raise ValueError(
                f"packed: expected float32 of shape ({packed_size(structure)},), "
                f"got {packed.dtype} of shape {packed.shape}"
            )
        tables = [place.of(packed) for _, place in _places(structure)]
        v = structure.num_nodes
        return cls(
            structure,
            tables[0],
            [None, *tables[1:v]],
            tables[v:],
            event_shape=event_shape,
            metadata=metadata,
        )

    @property
    def structure(self) -> Structure:
        """The tree."""
        return self._structure

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one observation."""
        return self._event_shape

    @property
    def metadata(self) -> dict[str, Any]:
        """A copy of what is saved along with the model."""
        copy: dict[str, Any] = json.loads(json.dumps(self._metadata))
        return copy

    @property
    def history(self) -> tuple[Epoch, ...]:
        """What learning reached, epoch by epoch; empty unless this model was learnt just now."""
        return self._history

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
        return table_offsets(self._structure)

    @property
    def tables(self) -> list[npt.NDArray[np.float32]]:
        """All tables in the order in which they are packed: root, edges, leaves."""
        return list(self._tables)

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

        It depends neither on `event_shape`, on `metadata` nor on the byte order of this machine.
        """
        digest = hashlib.blake2b(b"fourfold.pc.Circuit 1", digest_size=32)
        shape = self._structure
        for array in (shape.parent, shape.states, shape.leaf_node, shape.cardinality):
            digest.update(np.array([len(array)], dtype="<i8").tobytes())
            digest.update(array.astype("<i4").tobytes())
        for table in self._tables:
            digest.update(table.astype("<f4").tobytes())
        return digest.digest()

    @functools.cached_property
    def _model(self) -> Model:
        return Model(self._structure, self.offsets, self._packed)

    @functools.cached_property
    def _on_gpus(self) -> dict[int, CudaModel]:
        return {}

    @functools.cached_property
    def _samplers(self) -> dict[int, CudaSampler]:
        return {}

    def log_prob(self, x: Any, *, missing: Any = None) -> Any:
        """Logarithm of the probability of what is observed; what is missing is summed out.

        Parameters
        ----------
        x : array, masked array or torch tensor of integers
            Of shape ``(n, *event_shape)``, or any ``(n, ...)`` with D entries a row; or one
            observation of shape ``event_shape`` or ``(D,)``. Of a tensor on a GPU the answer is
            computed there (so are `marginal` and `bits_per_dim`).
        missing : boolean array, optional
            True where a value is missing, of a shape that broadcasts to that of ``x``.

        Returns
        -------
        float64 of shape (n,), or a number for one observation
            In nats; -inf where the probability is 0. A torch tensor if ``x`` is one.

        Raises
        ------
        TypeError
            If ``x`` does not hold integers.
        ValueError
            If a shape does not fit or a value is out of range.

        Notes
        -----
        Tables are multiplied in single precision with a common exponent for the states of a node
        and image; the logarithm is taken in double precision. States that are 2**-126 times less
        likely than the likeliest, given what is below a node, count as impossible.
        """
        return queries.log_prob(self, x, missing)

    def bits_per_dim(self, x: Any, *, missing: Any = None) -> float:
        """Mean number of bits per observed value, ``-log2 p(x) / (n D)``, as compression counts."""
        return queries.bits_per_dim(self, x, missing)

    def marginal(self, x: Any, variables: Any) -> Any:
        """``log p(x_S)`` of some variables S, all others summed out.

        Parameters
        ----------
        x : array or tensor of integers
            As for `log_prob`; what it holds at other variables has no effect.
        variables : indices
            S, flat indices of variables, 0 to D - 1.

        Returns
        -------
        float64, as `log_prob`
        """
        return queries.marginal(self, x, variables)

    def conditional(
        self, evidence: Any, variables: Any = None, *, missing: Any = None
    ) -> list[Any]:
        """``p(x_i | evidence)`` of single variables, as tables.

        Parameters
        ----------
        evidence : masked array, or array or tensor of integers with ``missing``
            As for `log_prob`.
        variables : indices, optional
            Flat indices of the variables that are asked for. Default: all.
        missing : boolean array, optional
            True where there is no evidence.

        Returns
        -------
        list of float64 (n, K_i), or (K_i,) for one observation
            For a variable that is observed: 1 at its value.

        Raises
        ------
        ImpossibleEvidenceError
            If the evidence has probability 0.
        """
        return queries.conditional(self, evidence, variables, missing)

    def sample(
        self, n: int = 1, *, evidence: Any = None, missing: Any = None, generator: Any = None
    ) -> Any:
        """Independent exact draws from ``p(x)``, or from ``p(x | evidence)``: inpainting.

        Parameters
        ----------
        n : int
            Number of draws, for each row of the evidence.
        evidence : masked array, or array or tensor of integers with ``missing``, optional
            As for `log_prob`. Draws for evidence on a GPU are made there, and stay there.
        missing : boolean array, optional
            True where there is no evidence.
        generator : numpy.random.Generator, torch.Generator, int or None
            Where chance comes from. An integer is a seed; None is different every time. With a
            CUDA generator random numbers and draws are made on its GPU; from any other, a draw on
            a GPU is the one that the CPU makes, but where a rounding decides (about one value in
            ten million).

        Returns
        -------
        unsigned integers of shape ``(n, *event_shape)``, or ``(n, rows, *event_shape)``
            The latter for evidence with a leading axis of rows. A torch tensor if the evidence is
            one or chance comes from torch.

        Raises
        ------
        ImpossibleEvidenceError
            If the evidence has probability 0.
        """
        return queries.sample(self, n, evidence, missing, generator)

    def mpe(self, evidence: Any, *, missing: Any = None) -> MostProbable:
        """The jointly most probable ``(x, z)`` given evidence, latent states included.

        This is not the most probable x: that one, with the states summed out, is NP-hard. Ties go
        to the lowest state and value. Computed in double precision.

        Raises
        ------
        ImpossibleEvidenceError
            If the evidence has probability 0.
        """
        return queries.mpe(self, evidence, missing)

    def state_marginals(self) -> list[npt.NDArray[np.float64]]:
        """``p(z_v)`` of every latent node."""
        return moments.state_marginals(self)

    def joint_entropy(self) -> float:
        """H(X, Z) of all observed and latent variables together, in nats; exact."""
        return moments.joint_entropy(self)

    def entropy(self, variables: Any = None) -> Any:
        """H(X_i) of single variables, in nats; exact. (len(variables),) float64."""
        return moments.entropy(self, variables)

    def mutual_information(self, variables: Any = None) -> npt.NDArray[np.float64]:
        """I(X_i; X_j) of all pairs of ``variables``, in nats; exact.

        Entropies are on the diagonal; H(X_i, X_j) is their sum less the mutual information. The
        time grows with the square of the number of variables times K_i K_j M.
        """
        return moments.mutual_information(self, variables)

    def entropy_estimate(self, n: int = 1000, *, generator: Any = None) -> EntropyEstimate:
        """H(X) in nats as a Monte Carlo mean over n samples, and its standard error.

        H(X) of the observed variables alone has no closed form.
        """
        return moments.entropy_estimate(self, n, generator)

    def expectation(
        self,
        functions: Mapping[int, Any],
        *,
        kind: str = "sum",
        evidence: Any = None,
        missing: Any = None,
    ) -> Any:
        """Expected value of a separable function, given evidence or not; exact.

        Parameters
        ----------
        functions : mapping from variable to function
            f_i by flat index i: an array of its K_i values, or a callable of ``numpy.arange(K_i)``.
            Variables without one have no effect.
        kind : {"sum", "product"}
            Of ``sum_i f_i(x_i)`` or of ``prod_i f_i(x_i)``.
        evidence, missing
            As for `conditional`.

        Returns
        -------
        float64 of shape (n,), or a number for one observation or none

        Raises
        ------
        ImpossibleEvidenceError
            If the evidence has probability 0.
        """
        return moments.expectation(self, functions, kind, evidence, missing)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write this model to a file, to be read by `fourfold.pc.load`; see `fourfold.pc.files`.

        The file appears under its name when it is complete.
        """
        from fourfold.pc import files

        files.save(self, path)

    def __getstate__(self) -> dict[str, Any]:
        # What is derived from the tables, the kernels' copy of them above all, is made again.
        derived = ("_model", "_on_gpus", "_samplers", "_tables")
        return {name: value for name, value in self.__dict__.items() if name not in derived}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._packed.setflags(write=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Circuit):
            return NotImplemented
        return (
            self._structure == other._structure
            and self._event_shape == other._event_shape
            and self._metadata == other._metadata
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


def table_offsets(structure: Structure) -> npt.NDArray[np.int64]:
    """Where the tables begin in the packed buffer."""
    return np.array([place.start for _, place in _places(structure)], dtype=np.int64)


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


def metadata_text(metadata: Mapping[str, Any] | None) -> str:
    """What is recorded along with a model or a stream, as JSON.

    Raises
    ------
    TypeError, ValueError
        If JSON cannot hold it.
    """
    try:
        return json.dumps(
            dict(metadata or {}), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
    except (TypeError, ValueError) as error:
        raise type(error)(f"metadata: expected what JSON can hold: {error}") from None


def _check_event_shape(event_shape: Sequence[int] | None, size: int) -> tuple[int, ...]:
    if event_shape is None:
        return (size,)
    shape = tuple(int(length) for length in event_shape)
    if int(np.prod(shape, dtype=np.int64)) != size or min(shape, default=1) < 1:
        raise ValueError(
            f"event_shape: expected a shape of {size} entries, as there are variables, got {shape}"
        )
    return shape
