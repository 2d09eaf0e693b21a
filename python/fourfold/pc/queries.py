"""Exact answers of a circuit, for many observations at once. `Circuit` has them as methods."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold.errors import ImpossibleEvidenceError
from fourfold.pc import _cuda_queries
from fourfold.pc._observations import Observations, check_observations, code_dtype

if TYPE_CHECKING:
    from fourfold.pc.circuit import Circuit

__all__ = ["MostProbable", "check", "conditional", "log_prob", "marginal", "mpe", "sample"]

_UNIFORMS_TOGETHER = 1 << 22
"""Random numbers drawn at once, 32 MiB."""

_UNIFORMS_FOR_A_GPU = 1 << 25
"""The same for a GPU, where a thread has a draw. The numbers are the same, however they are cut."""


class MostProbable(NamedTuple):
    """The jointly most probable completion ``(x, z)`` of evidence.

    Attributes
    ----------
    values : integers of the shape of the evidence
        The observed values, completed.
    states : (n, V) int32, or (V,) for one observation
        States of the latent variables.
    log_prob : float64, (n,) or a number
        ``log p(x, z)``.
    """

    values: Any
    states: Any
    log_prob: Any


def check(circuit: Circuit, name: str, values: Any, missing: Any = None) -> Observations:
    """The observations of a query, checked against the circuit."""
    return check_observations(
        name,
        values,
        cardinality=circuit.structure.cardinality,
        event_shape=circuit.event_shape,
        missing=missing,
    )


def give_back(array: npt.NDArray[Any], seen: Observations, tail: tuple[int, ...] = ()) -> Any:
    """The answer in the shape and of the kind of the question."""
    shaped = array.reshape((*seen.batch_shape, *tail))
    if seen.is_torch:
        return sys.modules["torch"].from_numpy(np.ascontiguousarray(shaped))
    return shaped if shaped.ndim else shaped[()]


def log_prob(circuit: Circuit, x: Any, missing: Any) -> Any:
    """See `Circuit.log_prob`."""
    if _cuda_queries.is_on_gpu(x):
        return _cuda_queries.log_prob(circuit, x, missing)
    seen = check(circuit, "x", x, missing)
    return give_back(circuit._model.log_prob(seen.codes), seen)


def marginal(circuit: Circuit, x: Any, variables: Any) -> Any:
    """See `Circuit.marginal`."""
    kept = check_variables(circuit, variables)
    if _cuda_queries.is_on_gpu(x):
        return _cuda_queries.marginal(circuit, x, kept)
    others = np.ones(circuit.structure.num_variables, dtype=bool)
    others[kept] = False
    seen = check(circuit, "x", x)
    codes = np.where(others, circuit.structure.cardinality, seen.codes)
    codes = codes.astype(code_dtype(circuit.structure.cardinality, with_missing=True))
    return give_back(circuit._model.log_prob(codes), seen)


def bits_per_dim(circuit: Circuit, x: Any, missing: Any) -> float:
    """See `Circuit.bits_per_dim`."""
    if _cuda_queries.is_on_gpu(x):
        return _cuda_queries.bits_per_dim(circuit, x, missing)
    seen = check(circuit, "x", x, missing)
    observed = seen.codes.size
    if seen.any_missing:
        observed = int((seen.codes < circuit.structure.cardinality).sum())
    if observed == 0:
        raise ValueError("x: expected at least one observed value, got none")
    return float(-circuit._model.log_prob(seen.codes).sum() / (observed * np.log(2)))


def conditional(circuit: Circuit, evidence: Any, variables: Any, missing: Any) -> list[Any]:
    """See `Circuit.conditional`."""
    structure = circuit.structure
    wanted = check_variables(circuit, variables)
    seen = check(circuit, "evidence", evidence, missing)
    nodes = sorted({int(structure.leaf_node[i]) for i in wanted})
    posteriors, log_p = circuit._model.posteriors(seen.codes, nodes)
    refuse_impossible(log_p)
    answers = []
    for i in wanted:
        values = int(structure.cardinality[i])
        posterior = posteriors[nodes.index(int(structure.leaf_node[i]))].astype(np.float64)
        table = posterior @ circuit.leaves[i].astype(np.float64)
        table /= table.sum(axis=1, keepdims=True)
        known = seen.codes[:, i] < values
        table[known] = np.eye(values)[seen.codes[known, i]] if known.any() else 0.0
        answers.append(give_back(table, seen, (values,)))
    return answers


def mpe(circuit: Circuit, evidence: Any, missing: Any) -> MostProbable:
    """See `Circuit.mpe`."""
    seen = check(circuit, "evidence", evidence, missing)
    values, states, log_joint = circuit._model.most_probable(seen.codes)
    refuse_impossible(log_joint)
    return MostProbable(
        give_back(as_values(circuit, values), seen, circuit.event_shape),
        give_back(states, seen, (circuit.structure.num_nodes,)),
        give_back(log_joint, seen),
    )


def sample(circuit: Circuit, n: int, evidence: Any, missing: Any, generator: Any) -> Any:
    """See `Circuit.sample`."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"n: expected an integer, got {type(n).__name__}")
    if n < 0:
        raise ValueError(f"n: expected at least 0, got {n}")
    structure = circuit.structure
    if evidence is None and missing is not None:
        raise ValueError("missing: expected None where no evidence is given")
    size = structure.num_nodes + structure.num_variables
    gpu = _cuda_queries.sampling_device(evidence, generator)
    if gpu is not None:
        return _cuda_queries.sample(
            circuit,
            int(n),
            evidence,
            missing,
            gpu,
            _Uniforms(generator).on(gpu),
            lambda rows: _parts(rows, int(n), max(1, _UNIFORMS_FOR_A_GPU // size)),
        )
    if evidence is None:
        dtype = code_dtype(structure.cardinality, with_missing=True)
        nothing = structure.cardinality.astype(dtype)[None]
        seen = Observations(nothing, (), False, True)
    else:
        seen = check(circuit, "evidence", evidence, missing)
    uniforms = _Uniforms(generator)
    rows = len(seen.codes)
    out = np.empty((rows, n, structure.num_variables), dtype=_value_dtype(circuit))
    for part, draws in _parts(rows, int(n), max(1, _UNIFORMS_TOGETHER // size)):
        shape = (part.stop - part.start, draws.stop - draws.start, size)
        codes = np.ascontiguousarray(seen.codes[part])
        values, log_p = circuit._model.sample(codes, uniforms(shape))
        refuse_impossible(log_p, part.start)
        out[part, draws] = values
    result = np.ascontiguousarray(np.moveaxis(out, 1, 0))
    result = result.reshape(int(n), *seen.batch_shape, *circuit.event_shape)
    if seen.is_torch or uniforms.is_torch:
        return sys.modules["torch"].from_numpy(result)
    return result


class _Uniforms:
    """float64 numbers in [0, 1) from a NumPy or torch generator, a seed, or fresh entropy."""

    def __init__(self, generator: Any) -> None:
        torch = sys.modules.get("torch")
        self.is_torch = torch is not None and isinstance(generator, torch.Generator)
        if not self.is_torch and not isinstance(
            generator, (type(None), int, np.integer, np.random.Generator)
        ):
            raise TypeError(
                "generator: expected a numpy.random.Generator, a torch.Generator, an integer seed "
                f"or None, got {type(generator).__name__}"
            )
        self._generator: Any = generator if self.is_torch else np.random.default_rng(generator)

    def __call__(self, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        if self.is_torch:
            torch = sys.modules["torch"]
            drawn = torch.rand(shape, generator=self._generator, dtype=torch.float64)
            return np.asarray(drawn.numpy())
        return np.asarray(self._generator.random(shape))

    def on(self, device: Any) -> Callable[[tuple[int, ...]], Any]:
        """The same as tensors on a GPU: from a CUDA generator made there."""
        import torch

        from fourfold.pc import _cuda_kernel

        def there(shape: tuple[int, ...]) -> torch.Tensor:
            if self.is_torch and self._generator.device.type != "cpu":
                return torch.rand(
                    shape, generator=self._generator, dtype=torch.float64, device=device
                )
            return _cuda_kernel.moved(torch.from_numpy(self(shape)), device)

        return there


def check_variables(circuit: Circuit, variables: Any) -> list[int]:
    """Indices of variables, of all of them for None."""
    size = circuit.structure.num_variables
    if variables is None:
        return list(range(size))
    indices = np.atleast_1d(np.asarray(variables))
    if indices.size == 0:
        indices = indices.astype(np.int64)
    if indices.dtype.kind not in "iu" or indices.ndim != 1:
        raise TypeError(f"variables: expected indices, got {variables!r}")
    wrong = indices[(indices < 0) | (indices >= size)]
    if wrong.size:
        raise ValueError(f"variables: expected indices 0 to {size - 1}, got {wrong[0]}")
    if len(set(indices.tolist())) != len(indices):
        raise ValueError("variables: expected each index once")
    return [int(i) for i in indices]


def as_values(circuit: Circuit, values: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """Values in the narrowest unsigned dtype that holds them all."""
    return values.astype(_value_dtype(circuit))


def _value_dtype(circuit: Circuit) -> np.dtype[Any]:
    return code_dtype(circuit.structure.cardinality, with_missing=False)


def _parts(rows: int, repeats: int, most: int) -> Iterator[tuple[slice, slice]]:
    """Blocks of at most ``most`` draws, in the order in which one large array would be filled."""
    if repeats == 0:
        return
    if repeats > most:
        for row in range(rows):
            for begin in range(0, repeats, most):
                yield slice(row, row + 1), slice(begin, min(begin + most, repeats))
        return
    together = max(1, most // repeats)
    for begin in range(0, rows, together):
        yield slice(begin, min(begin + together, rows)), slice(0, repeats)


def refuse_impossible(log_p: npt.NDArray[np.float64], first: int = 0) -> None:
    """Raise if a row has the log probability -inf; ``first`` is the number of the first one."""
    impossible: Sequence[int] = np.flatnonzero(np.isneginf(log_p)).tolist()
    if impossible:
        raise ImpossibleEvidenceError(
            f"evidence: row {first + impossible[0]} has probability 0 under this model, "
            "so nothing can be said given it"
        )
