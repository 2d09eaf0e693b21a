"""The one place of `fourfold.pc` that hands the addresses of circuits and observations to C++."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold import _core
from fourfold._threads import get_num_threads
from fourfold.pc.structure import Structure

__all__ = ["Model", "Rule", "Trainer", "mutual_information", "tree_arguments"]

_ROWS_TOGETHER = 16384
"""Rows handed to C++ at once: between two calls Python handles Ctrl-C."""


class Rule(NamedTuple):
    """How expected counts change the tables; see ``UpdateRule`` in csrc/pc/passes.hpp."""

    rescaled: bool
    step: float
    pseudocount: float
    momentum: float = 0.0
    correction: float = 1.0


def tree_arguments(structure: Structure, offsets: npt.NDArray[np.int64]) -> dict[str, int]:
    """The tree and where its tables begin, as C++ takes them."""
    for array in (structure.parent, structure.states, structure.leaf_node, structure.cardinality):
        assert array.dtype == np.int32
        assert array.flags.c_contiguous
    return {
        "nodes": structure.num_nodes,
        "variables": structure.num_variables,
        "parent": structure.parent.ctypes.data,
        "states": structure.states.ctypes.data,
        "leaf_node": structure.leaf_node.ctypes.data,
        "cardinality": structure.cardinality.ctypes.data,
        "offsets": offsets.ctypes.data,
    }


def _check_codes(codes: npt.NDArray[Any], structure: Structure) -> None:
    _check("codes", codes, (len(codes), structure.num_variables), codes.dtype)
    if codes.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.int32)):
        raise TypeError(f"codes: expected uint8, uint16 or int32, got {codes.dtype}")


def _check(name: str, array: npt.NDArray[Any], shape: tuple[int, ...], dtype: Any) -> None:
    if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
        raise ValueError(
            f"{name}: expected a C-contiguous {np.dtype(dtype)} array of shape {shape}, "
            f"got {array.dtype} of shape {array.shape}"
        )
    if not array.flags.aligned or not array.dtype.isnative:
        raise ValueError(f"{name}: expected aligned memory in native byte order")


class Model:
    """The tables of a circuit in the layout of the kernels, for queries.

    Codes are what `fourfold.pc._observations` makes: (n, D), uint8, uint16 or int32, in range.
    """

    def __init__(
        self,
        structure: Structure,
        offsets: npt.NDArray[np.int64],
        packed: npt.NDArray[np.float32],
    ) -> None:
        self._structure = structure
        # C++ reads it for as long as this object lives.
        self._packed = packed
        self._model = _core.pc.Model(
            **tree_arguments(structure, offsets), packed=packed.ctypes.data
        )

    def log_prob(self, codes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Logarithm of the probability of what is observed: (n,)."""
        _check_codes(codes, self._structure)
        out = np.empty(len(codes))
        for rows in _parts(len(codes), _ROWS_TOGETHER):
            part = codes[rows]
            self._model.log_prob(
                part.ctypes.data,
                part.itemsize,
                len(part),
                out[rows].ctypes.data,
                get_num_threads(),
            )
        return out

    def posteriors(
        self, codes: npt.NDArray[Any], nodes: list[int]
    ) -> tuple[list[npt.NDArray[np.float32]], npt.NDArray[np.float64]]:
        """p(z_v | observed) of these nodes, each (n, M_v), and the log probability, (n,)."""
        _check_codes(codes, self._structure)
        states = self._structure.states[nodes]
        out = np.empty((len(codes), int(states.sum())), dtype=np.float32)
        log_prob = np.empty(len(codes))
        self._model.posteriors(
            codes.ctypes.data,
            codes.itemsize,
            len(codes),
            nodes,
            out.ctypes.data,
            log_prob.ctypes.data,
            get_num_threads(),
        )
        return np.split(out, np.cumsum(states)[:-1], axis=1), log_prob

    def sample(
        self, codes: npt.NDArray[Any], uniforms: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Draws of what is missing, (n, repeats, D), by ``uniforms`` of shape (n, repeats, V + D)."""
        _check_codes(codes, self._structure)
        n, variables = codes.shape
        repeats = uniforms.shape[1]
        _check(
            "uniforms", uniforms, (n, repeats, self._structure.num_nodes + variables), np.float64
        )
        values = np.empty((n, repeats, variables), dtype=np.int32)
        log_prob = np.empty(n)
        self._model.sample(
            codes.ctypes.data,
            codes.itemsize,
            n,
            repeats,
            uniforms.ctypes.data,
            values.ctypes.data,
            log_prob.ctypes.data,
            get_num_threads(),
        )
        return values, log_prob

    def gradient(
        self, codes: npt.NDArray[Any], weight: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Derivative of the weighted sum of log probabilities with respect to the packed tables."""
        _check_codes(codes, self._structure)
        _check("weight", weight, (len(codes),), np.float32)
        out = np.zeros_like(self._packed)
        self._model.gradient(
            codes.ctypes.data,
            codes.itemsize,
            len(codes),
            weight.ctypes.data,
            out.ctypes.data,
            get_num_threads(),
        )
        return out

    def most_probable(
        self, codes: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Values (n, D), states (n, V) and log joint (n,) of the most probable completion."""
        _check_codes(codes, self._structure)
        n, variables = codes.shape
        values = np.empty((n, variables), dtype=np.int32)
        states = np.empty((n, self._structure.num_nodes), dtype=np.int32)
        log_joint = np.empty(n)
        self._model.most_probable(
            codes.ctypes.data,
            codes.itemsize,
            n,
            values.ctypes.data,
            states.ctypes.data,
            log_joint.ctypes.data,
            get_num_threads(),
        )
        return values, states, log_joint


class Trainer:
    """Tables that learn, batch by batch. Order arrays are int64 rows of ``codes``."""

    waits = True
    """Answers are there when a call returns."""

    def __init__(
        self,
        structure: Structure,
        offsets: npt.NDArray[np.int64],
        packed: npt.NDArray[np.float32],
        *,
        capacity: int,
        keep_average: bool,
        keep_totals: bool,
    ) -> None:
        self._structure = structure
        self._offsets = offsets
        self._shape = packed.shape
        self._capacity = capacity
        _check("packed", packed, self._shape, np.float32)
        self._trainer = _core.pc.Trainer(
            **tree_arguments(structure, offsets),
            packed=packed.ctypes.data,
            capacity=capacity,
            keep_average=keep_average,
            keep_totals=keep_totals,
            threads=get_num_threads(),
        )

    def taken(self, codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Codes as `step` and `accumulate` take them."""
        return codes

    def _batch(
        self, codes: npt.NDArray[Any], order: npt.NDArray[np.int64]
    ) -> tuple[int, int, int, int]:
        _check_codes(codes, self._structure)
        _check("order", order, (len(order),), np.int64)
        if len(order) > self._capacity:
            raise ValueError(f"order: expected at most {self._capacity} rows, got {len(order)}")
        if len(order) and not (order.min() >= 0 and order.max() < len(codes)):
            raise ValueError(f"order: expected rows of {len(codes)} codes")
        return codes.ctypes.data, codes.itemsize, order.ctypes.data, len(order)

    def step(
        self, codes: npt.NDArray[Any], order: npt.NDArray[np.int64], rule: Rule
    ) -> npt.NDArray[np.float64]:
        """Update by the expected counts of these rows; their log probabilities before it."""
        log_prob = np.empty(len(order))
        self._trainer.step(
            *self._batch(codes, order), log_prob=log_prob.ctypes.data, **rule._asdict()
        )
        return log_prob

    def accumulate(
        self, codes: npt.NDArray[Any], order: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Add the expected counts of these rows to those that `finish` uses."""
        log_prob = np.empty(len(order))
        self._trainer.accumulate(*self._batch(codes, order), log_prob.ctypes.data)
        return log_prob

    def finish(self, count: int, rule: Rule) -> None:
        """Update by the counts of the ``count`` rows accumulated since the last time."""
        self._trainer.finish(float(count), **rule._asdict())

    def log_prob(self, codes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Logarithm of the probability of what is observed, by the tables as they are: (n,)."""
        return Model(self._structure, self._offsets, self.tables).log_prob(codes)

    def load(self, packed: npt.NDArray[np.float32]) -> None:
        """Replace the tables."""
        _check("packed", packed, self._shape, np.float32)
        self._trainer.load(packed.ctypes.data)

    def load_average(self, packed: npt.NDArray[np.float32]) -> None:
        """Replace the moving averages of the counts."""
        _check("packed", packed, self._shape, np.float32)
        self._trainer.load_average(packed.ctypes.data)

    @property
    def tables(self) -> npt.NDArray[np.float32]:
        """A copy of the tables as they are."""
        out = np.zeros(self._shape, dtype=np.float32)
        self._trainer.store(out.ctypes.data)
        return out

    @property
    def average(self) -> npt.NDArray[np.float32]:
        """A copy of the moving averages of the counts."""
        out = np.zeros(self._shape, dtype=np.float32)
        self._trainer.store_average(out.ctypes.data)
        return out

    @property
    def totals(self) -> npt.NDArray[np.float32]:
        """A copy of the counts accumulated since the last `finish`."""
        out = np.zeros(self._shape, dtype=np.float32)
        self._trainer.store_totals(out.ctypes.data)
        return out


def mutual_information(
    codes: npt.NDArray[Any],
    order: npt.NDArray[np.int64],
    lower: list[npt.NDArray[np.int32]],
    share: list[npt.NDArray[np.float32]],
    bins: npt.NDArray[np.int32],
) -> npt.NDArray[np.float64]:
    """Mutual information in nats of all pairs of columns, entropies on the diagonal.

    Value x of column i counts in bin ``lower[i][x]`` by ``share[i][x]``, in the next one by the rest.
    """
    variables = codes.shape[1]
    _check("codes", codes, codes.shape, codes.dtype)
    _check("order", order, (len(order),), np.int64)
    first = np.cumsum([0, *(len(table) for table in lower[:-1])], dtype=np.int64)
    all_lower = np.concatenate(lower).astype(np.int32)
    all_share = np.concatenate(share).astype(np.float32)
    _check("bins", bins, (variables,), np.int32)
    out = np.zeros((variables, variables))
    _core.pc.mutual_information(
        variables=variables,
        bins=bins.ctypes.data,
        first=first.ctypes.data,
        lower=all_lower.ctypes.data,
        share=all_share.ctypes.data,
        codes=codes.ctypes.data,
        bytes=codes.itemsize,
        order=order.ctypes.data,
        count=len(order),
        out=out.ctypes.data,
        threads=get_num_threads(),
    )
    return out


def _parts(n: int, size: int) -> list[slice]:
    return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]
