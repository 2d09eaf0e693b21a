"""Entropies, mutual information and expectations of a circuit, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold.pc import queries

if TYPE_CHECKING:
    from fourfold.pc.circuit import Circuit

__all__ = [
    "EntropyEstimate",
    "entropy",
    "entropy_estimate",
    "expectation",
    "joint_entropy",
    "mutual_information",
    "state_marginals",
]

Float = npt.NDArray[np.float64]
Function = Callable[[npt.NDArray[np.int64]], Any]


class EntropyEstimate(NamedTuple):
    """A Monte Carlo estimate of H(X) in nats and its standard error."""

    value: float
    standard_error: float


def _normalised(table: npt.NDArray[Any]) -> Float:
    """In double precision the rows of a float32 table sum to 1 up to 1e-7 only."""
    wide = np.asarray(table, dtype=np.float64)
    return np.asarray(wide / wide.sum(axis=-1, keepdims=True))


def _entropy(table: Float) -> Float:
    """Of every row."""
    logs = np.log(table, out=np.zeros_like(table), where=table > 0)
    return np.asarray(-(table * logs).sum(axis=-1))


def state_marginals(circuit: Circuit) -> list[Float]:
    """See `Circuit.state_marginals`."""
    marginals = [_normalised(circuit.root)]
    for v in range(1, circuit.structure.num_nodes):
        edge = circuit.edges[v]
        assert edge is not None
        marginals.append(marginals[circuit.structure.parent[v]] @ _normalised(edge))
    return marginals


def joint_entropy(circuit: Circuit) -> float:
    """See `Circuit.joint_entropy`."""
    marginals = state_marginals(circuit)
    total = float(_entropy(marginals[0]))
    for v in range(1, circuit.structure.num_nodes):
        edge = circuit.edges[v]
        assert edge is not None
        total += float(marginals[circuit.structure.parent[v]] @ _entropy(_normalised(edge)))
    for i, leaf in enumerate(circuit.leaves):
        total += float(marginals[circuit.structure.leaf_node[i]] @ _entropy(_normalised(leaf)))
    return total


def entropy(circuit: Circuit, variables: Any) -> Any:
    """See `Circuit.entropy`."""
    wanted = queries.check_variables(circuit, variables)
    marginals = state_marginals(circuit)
    out = np.empty(len(wanted))
    for at, i in enumerate(wanted):
        out[at] = _entropy(
            marginals[circuit.structure.leaf_node[i]] @ _normalised(circuit.leaves[i])
        )
    return out


def mutual_information(circuit: Circuit, variables: Any) -> Float:
    """See `Circuit.mutual_information`."""
    wanted = queries.check_variables(circuit, variables)
    structure = circuit.structure
    marginals = state_marginals(circuit)
    leaves = [_normalised(circuit.leaves[i]) for i in wanted]
    single = entropy(circuit, wanted)
    out = np.diag(single)
    by_node: dict[int, list[int]] = {}
    for at, i in enumerate(wanted):
        by_node.setdefault(int(structure.leaf_node[i]), []).append(at)
    for node, here in by_node.items():
        joints = _pair_marginals(circuit, node, marginals)
        for a in here:
            for other, there in by_node.items():
                left = leaves[a].T @ joints[other]
                for b in there:
                    if b <= a:
                        continue
                    both = left @ leaves[b]
                    value = single[a] + single[b] - float(_entropy(both.reshape(-1)))
                    out[a, b] = out[b, a] = value
    return out


def _pair_marginals(circuit: Circuit, node: int, marginals: list[Float]) -> list[Float]:
    """p(z_node, z_v) of every node v, each (M_node, M_v)."""
    structure = circuit.structure
    joints: list[Float | None] = [None] * structure.num_nodes
    joints[node] = np.diag(marginals[node])
    v = node
    while v > 0:
        above = int(structure.parent[v])
        edge = circuit.edges[v]
        assert edge is not None
        both = marginals[above][:, None] * _normalised(edge)
        backward = np.divide(
            both, marginals[v], out=np.zeros_like(both), where=marginals[v] > 0
        )  # p(z_above | z_v), transposed
        here = joints[v]
        assert here is not None
        joints[above] = here @ backward.T
        v = above
    for v in range(structure.num_nodes):
        if joints[v] is None:
            edge = circuit.edges[v]
            before = joints[structure.parent[v]]
            assert edge is not None
            assert before is not None
            joints[v] = before @ _normalised(edge)
    return [joint for joint in joints if joint is not None]


def entropy_estimate(circuit: Circuit, n: int, generator: Any) -> EntropyEstimate:
    """See `Circuit.entropy_estimate`."""
    if n < 2:
        raise ValueError(f"n: expected at least 2 samples, got {n}")
    surprise = -np.asarray(circuit.log_prob(circuit.sample(n, generator=generator)))
    return EntropyEstimate(
        float(surprise.mean()), float(surprise.std(ddof=1) / np.sqrt(len(surprise)))
    )


def _functions(circuit: Circuit, functions: Any, neutral: float) -> list[Float]:
    """The value of every variable's function at every value it can take."""
    cardinality = circuit.structure.cardinality.tolist()
    if not isinstance(functions, Mapping):
        raise TypeError(
            "functions: expected a mapping from variables to functions or arrays of values, "
            f"got {type(functions).__name__}"
        )
    queries.check_variables(circuit, list(functions))
    tables = [np.full(values, neutral) for values in cardinality]
    for i, given in functions.items():
        table = given(np.arange(cardinality[i])) if callable(given) else given
        array = np.asarray(table, dtype=np.float64)
        if array.shape != (cardinality[i],):
            raise ValueError(
                f"functions[{i}]: expected {cardinality[i]} values, one for each value of the "
                f"variable, got shape {array.shape}"
            )
        tables[i] = array
    return tables


def expectation(
    circuit: Circuit,
    functions: Mapping[int, Function | npt.ArrayLike],
    kind: str,
    evidence: Any,
    missing: Any,
) -> Any:
    """See `Circuit.expectation`."""
    if kind not in ("sum", "product"):
        raise ValueError(f"kind: expected 'sum' or 'product', got {kind!r}")
    tables = _functions(circuit, functions, 0.0 if kind == "sum" else 1.0)
    structure = circuit.structure
    if evidence is None:
        evidence = np.zeros(structure.num_variables, dtype=np.int32)
        missing = True
    seen = queries.check(circuit, "evidence", evidence, missing)
    if kind == "sum":
        total = np.zeros(seen.batch_shape)
        wanted = sorted(functions)
        for i, table in zip(
            wanted, queries.conditional(circuit, evidence, wanted, missing), strict=True
        ):
            total = total + np.asarray(table) @ tables[i]
        return queries.give_back(np.asarray(total).reshape(-1), seen)
    ones = [np.ones_like(table) for table in tables]
    above, above_exponent = _upward(circuit, seen.codes, tables)
    below, below_exponent = _upward(circuit, seen.codes, ones)
    queries.refuse_impossible(np.where(below > 0, 0.0, -np.inf))
    return queries.give_back(np.ldexp(above / below, above_exponent - below_exponent), seen)


def _upward(
    circuit: Circuit, codes: npt.NDArray[Any], tables: list[Float]
) -> tuple[Float, npt.NDArray[np.int64]]:
    """E[prod f_i(X_i); evidence] of every row, as a number and an exponent of two."""
    structure = circuit.structure
    rows = np.arange(len(codes))
    exponent = np.zeros(len(codes), dtype=np.int64)
    messages = [np.ones((len(codes), states)) for states in structure.states]
    for i, leaf in enumerate(circuit.leaves):
        wide = _normalised(leaf) * tables[i]
        # The last column is for missing values.
        column = np.append(wide, wide.sum(axis=1, keepdims=True), axis=1)
        messages[structure.leaf_node[i]] *= column[:, codes[rows, i]].T
    for v in range(structure.num_nodes - 1, -1, -1):
        largest = np.abs(messages[v]).max(axis=1)
        _, e = np.frexp(largest)
        messages[v] = np.ldexp(messages[v], -e[:, None])
        exponent += e
        if v > 0:
            edge = circuit.edges[v]
            assert edge is not None
            messages[structure.parent[v]] *= messages[v] @ _normalised(edge).T
    return messages[0] @ _normalised(circuit.root), exponent
