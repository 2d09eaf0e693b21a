"""Learning the tables of a circuit by expectation maximisation (EM), and trees from data."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold.pc import _checkpoint
from fourfold.pc._cuda_queries import is_on_gpu
from fourfold.pc._kernel import Rule, Trainer
from fourfold.pc._observations import Observations, as_array, check_observations
from fourfold.pc._options import Options, check_options
from fourfold.pc._progress import progress_bar
from fourfold.pc.chow_liu import chow_liu_parents, pairwise_mutual_information
from fourfold.pc.circuit import Circuit
from fourfold.pc.initial import initial_circuit
from fourfold.pc.ordered import check_leaves
from fourfold.pc.parametric import ParametricLeaves
from fourfold.pc.structure import Structure

__all__ = ["HCLT", "Epoch", "fit"]

_FULL_BATCH_ROWS = 1024
"""Rows whose counts are summed in single precision before they go into the double-precision total."""


class Epoch(NamedTuple):
    """One pass over the training data.

    Attributes
    ----------
    epoch : int
        From 1 on.
    bits_per_dim : float
        Of the training data, each row by the tables as they were when its turn came.
    validation_bits_per_dim : float or None
        Of the validation data, after the epoch.
    seconds : float
        Spent in learning since its beginning, resumed runs included.
    """

    epoch: int
    bits_per_dim: float
    validation_bits_per_dim: float | None
    seconds: float


def fit(
    start: Structure | Circuit,
    data: Any,
    *,
    missing: Any = None,
    epochs: int = 20,
    leaves: str | Mapping[int, str] = "categorical",
    algorithm: str = "anemone",
    batch_size: int | None = None,
    step: float | Callable[[float], float] | None = None,
    momentum: float = 0.0,
    pseudocount: float = 1.0,
    validation: Any = None,
    patience: int | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
    callback: Callable[[Epoch], object] | None = None,
) -> Circuit:
    """Learn the tables of a circuit.

    Parameters
    ----------
    start : Structure or Circuit
        A structure begins with random tables near the data's marginals, a circuit with its own.
    data : array, masked array or torch tensor of integers, (n, ...)
        One observation a row, its other axes in any shape of D entries. A tensor on a GPU is
        learnt from there; the outcome is a circuit as ever.
    missing : boolean array, optional
        True where a value is missing. Missing values are summed out.
    epochs : int
        Passes over the data.
    leaves : {"categorical", "logistic", "gaussian_mixture"} or mapping from variable to one
        What p(x_i | z) is: any table, or, for ordered values, a discretised logistic distribution
        or a mixture of 4 discretised normal distributions, see `fourfold.pc.ordered`; a mapping
        leaves the variables that it does not name categorical. The outcome holds tables in any
        case. With a circuit to start from, the distributions begin near its tables.
    algorithm : {"anemone", "minibatch", "full"}
        ``"full"``: EM over all data; with step 1 every epoch improves the penalised likelihood
        (see Notes) or leaves it. ``"minibatch"``: EM steps of size ``step`` towards the optimum of
        each batch. ``"anemone"``: the same, but each row of a table moves in proportion to how much
        of the batch passes through it (Liu, Shao, Van den Broeck, arXiv:2505.19982); learns
        fastest.
    batch_size : int or None
        Rows of a batch; no effect on ``"full"``. Default: a hundredth of the data, 32 to 512.
    step : float, callable or None
        Step size in (0, 1], or a function that gives it from the share of the run that is done, 0
        to 1. Default: 1 for ``"full"``, else falling linearly from 0.4 to 0.02 (0.02 is the size
        that averages over 50 batches).
    momentum : float
        In [0, 1): how much of the expected counts is carried over from batch to batch.
    pseudocount : float
        Observations that are added to the counts of each row of each table, spread evenly over
        its entries.
    validation : float, array or None
        Data that are not learnt from: rows of their own, or the share of ``data`` to set aside at
        random. The tables that were best on them after an epoch are the ones returned.
    patience : int or None
        Stop after so many epochs without a better result on the validation data.
    seed : int
        Of the first tables, of the order of the batches and of what is set aside. The same seed
        gives the same model bit for bit, for any number of threads, on one instruction-set level,
        or on one kind of GPU; between these it differs by rounding, and what follows from that.
    checkpoint : path, optional
        A file to which the state is written after each epoch. If it exists, learning goes on from
        there, and the outcome is the same bit for bit as without the interruption; what does not
        fit this call is an error. A checkpoint of a run that is complete gives its result at once.
    progress : bool
        Show a bar and bits per dimension, on a terminal.
    callback : callable, optional
        Called with each `Epoch` when it is over.

    Returns
    -------
    Circuit
        With ``history``, the list of epochs.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit, before any work.
    DamagedFileError
        If the checkpoint cannot be read.
    ImpossibleEvidenceError
        If a row has probability 0 under the tables that learning starts from; on a GPU it is
        noticed at the end of an epoch.
    NotImplementedError
        If data are on a GPU and this installation has no CUDA kernels, or ``leaves`` names others
        than categorical ones, which are fitted on the CPU alone.

    Notes
    -----
    The penalised log-likelihood is ``sum_n log p(x_n) + sum_rows sum_k (pseudocount / K) log
    theta_k``, K being the number of entries of a row: a Dirichlet prior.
    """
    given_circuit = isinstance(start, Circuit)
    options = check_options(
        epochs=epochs,
        algorithm=algorithm,
        batch_size=batch_size,
        step=step,
        momentum=momentum,
        pseudocount=pseudocount,
        patience=patience,
        seed=seed,
        has_validation=validation is not None,
    )
    structure = start.structure if isinstance(start, Circuit) else start
    if not isinstance(structure, Structure):
        raise TypeError(f"start: expected a Structure or a Circuit, got {type(start).__name__}")
    device = _device_of(data)
    seen, event_shape = observe("data", on_cpu(data), structure.cardinality, missing)
    learnt, held_out = _set_aside(seen, on_cpu(validation), structure, event_shape, options)
    kinds = check_leaves(leaves, structure.num_variables)
    if kinds and device is not None:
        raise NotImplementedError(
            f"leaves: on a GPU they are categorical, got {leaves!r}; pass data.cpu() to fit them"
        )
    if not isinstance(start, Circuit):
        start = initial_circuit(structure, learnt, event_shape, options.rng("tables"))
    run = _Run(start, learnt, held_out, options, event_shape, device)
    if kinds:
        run.use_families(kinds, None if given_circuit else options.rng("leaves"))
    if checkpoint is not None:
        run.use_checkpoint(checkpoint)
    return run.learn(progress, callback)


class HCLT(Circuit):
    """A hidden Chow-Liu tree: the tree of strongest dependence, a latent variable at each node."""

    @classmethod
    def fit(
        cls,
        data: Any,
        *,
        num_latents: int = 32,
        cardinality: Any = None,
        missing: Any = None,
        bins: int = 32,
        tree_rows: int | None = 20000,
        seed: int = 0,
        **options: Any,
    ) -> Circuit:
        """Learn tree and tables from data.

        The tree is the maximum spanning tree of the empirical pairwise mutual information, rooted
        at its centre (Chow and Liu 1968; Liu and Van den Broeck, NeurIPS 2021). Each of its nodes
        is a latent variable with one leaf.

        Parameters
        ----------
        data : array, masked array or torch tensor of integers, (n, ...)
            For instance images (n, 28, 28) of uint8. Of a tensor on a GPU the tables are learnt
            there, and the tree, once, on the CPU.
        num_latents : int
            Number of states of each latent variable.
        cardinality : int or (D,) integers, optional
            Number of values of each variable. Default: 256 for uint8, else one more than the
            largest value that each variable takes in ``data``, and at least 2.
        missing : boolean array, optional
            True where a value is missing.
        bins : int
            Values are put into so many bins for the mutual information.
        tree_rows : int or None
            Use at most so many rows for the mutual information.
        seed : int
            See `fourfold.pc.fit`.
        **options
            ``epochs``, ``validation``, ``checkpoint``, ``progress`` and all other options of
            `fourfold.pc.fit`.

        Returns
        -------
        Circuit
            As of `fourfold.pc.fit`.
        """
        here = on_cpu(data)
        values = check_cardinality(here, cardinality)
        seen, _ = observe("data", here, values, missing)
        structure = chow_liu_structure(
            seen, values, num_latents, bins=bins, tree_rows=tree_rows, seed=seed
        )
        return fit(structure, data, missing=missing, seed=seed, **options)


def chow_liu_structure(
    seen: Observations,
    cardinality: npt.NDArray[np.int32],
    states: int,
    *,
    bins: int,
    tree_rows: int | None,
    seed: int,
) -> Structure:
    """The hidden Chow-Liu tree of observations."""
    information = pairwise_mutual_information(
        seen, cardinality, bins=bins, max_rows=tree_rows, seed=seed
    )
    return Structure.from_tree(chow_liu_parents(information), states, cardinality=cardinality)


def check_cardinality(data: Any, cardinality: Any) -> npt.NDArray[np.int32]:
    """The number of values of each variable of ``data``, given or from the data."""
    array, mask, _ = as_array("data", data)
    if array.ndim < 2 or array.size == 0:
        raise ValueError(
            f"data: expected at least one row of at least one variable, got shape {array.shape}"
        )
    size = int(np.prod(array.shape[1:]))
    if cardinality is None:
        if np.asarray(array).dtype == np.uint8 and _dtype_of(data) != np.bool_:
            cardinality = 256
        else:
            rows = array.reshape(len(array), size)
            if mask is not None:
                rows = np.where(mask.reshape(rows.shape), 0, rows)
            cardinality = np.maximum(rows.max(axis=0).astype(np.int64) + 1, 2)
    return Structure.naive_bayes(size, 1, cardinality).cardinality


def _dtype_of(data: Any) -> Any:
    return np.bool_ if str(getattr(data, "dtype", "")).endswith("bool") else None


def observe(
    name: str, data: Any, cardinality: npt.NDArray[np.int32], missing: Any
) -> tuple[Observations, tuple[int, ...]]:
    """Rows of data, checked, and the shape of one of them."""
    shape = tuple(getattr(data, "shape", np.shape(data)))
    if len(shape) < 2:
        raise ValueError(f"{name}: expected rows of observations, (n, ...), got shape {shape}")
    size = int(np.prod(shape[1:], dtype=np.int64))
    if size != len(cardinality):
        raise ValueError(
            f"{name}: expected {len(cardinality)} values in a row, got {size} in shape {shape}"
        )
    if shape[0] == 0:
        raise ValueError(f"{name}: expected at least one row, got none")
    seen = check_observations(
        name, data, cardinality=cardinality, event_shape=shape[1:], missing=missing
    )
    return seen, shape[1:]


def _device_of(data: Any) -> Any:
    """The GPU that data are on; None for the CPU."""
    if not is_on_gpu(data):
        return None
    from fourfold.pc import _cuda_kernel

    _cuda_kernel.require_kernels("data", data.device)
    return data.device


def on_cpu(data: Any) -> Any:
    """Data as the checks, the first tables and the tree take them."""
    if not is_on_gpu(data):
        return data
    from fourfold.pc import _cuda_kernel

    return _cuda_kernel.brought(data)


def _set_aside(
    seen: Observations,
    validation: Any,
    structure: Structure,
    event_shape: tuple[int, ...],
    options: Options,
) -> tuple[Observations, Observations | None]:
    """The rows to learn from and those to validate on."""
    if validation is None:
        return seen, None
    if isinstance(validation, (float, int)) and not isinstance(validation, bool):
        n = len(seen.codes)
        held = round(n * float(validation))
        if not 0 < held < n:
            raise ValueError(
                f"validation: expected a share between 0 and 1 that leaves rows on both sides, "
                f"got {validation} of {n} rows"
            )
        order = options.rng("validation").permutation(n)
        parts = [
            np.ascontiguousarray(seen.codes[np.sort(rows)]) for rows in (order[held:], order[:held])
        ]
        learnt, other = (
            Observations(part, (len(part),), False, seen.any_missing) for part in parts
        )
        return learnt, other
    return seen, observe("validation", validation, structure.cardinality, None)[0]


class _Run:
    """One run of learning: what changes from epoch to epoch is in ``state``."""

    def __init__(
        self,
        start: Circuit,
        learnt: Observations,
        held_out: Observations | None,
        options: Options,
        event_shape: tuple[int, ...],
        device: Any,
    ) -> None:
        self.start = start
        self.device = device
        self.options = options
        self.event_shape = event_shape
        self.codes = learnt.codes
        self.held_out = None if held_out is None else held_out.codes
        cardinality = start.structure.cardinality
        self.observed = _count_observed(learnt, cardinality)
        self.observed_held_out = (
            None if held_out is None else _count_observed(held_out, cardinality)
        )
        full = options.algorithm == "full"
        kept: dict[str, Any] = {
            "capacity": min(
                len(self.codes), _FULL_BATCH_ROWS if full else options.batch_size(len(self.codes))
            ),
            "keep_average": options.momentum > 0,
            "keep_totals": full,
        }
        self.trainer: Any
        if device is None:
            self.trainer = Trainer(start.structure, start.offsets, start.packed, **kept)
        else:
            from fourfold.pc._cuda_em import CudaTrainer

            self.trainer = CudaTrainer(
                start.structure, start.offsets, start.packed, device=device, **kept
            )
        self.rows = self.trainer.taken(self.codes)
        self.state = _checkpoint.State(best=start.packed)
        self.path: str | os.PathLike[str] | None = None
        self.leaves: ParametricLeaves | None = None

    def use_families(self, kinds: dict[int, str], rng: np.random.Generator | None) -> None:
        self.leaves = ParametricLeaves(self.start, kinds, rng)
        self.trainer.load(self.leaves.imposed_on(self.start.packed))

    def use_checkpoint(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        kinds = {} if self.leaves is None else self.leaves.kinds
        self.name = _checkpoint.name_of(
            self.start,
            self.codes,
            self.held_out,
            self.options,
            kinds,
            on_gpu=self.device is not None,
        )
        if os.path.exists(path):
            self.state, saved = _checkpoint.load(path, self.name)
            self.trainer.load(saved["tables"])
            if "average" in saved:
                self.trainer.load_average(saved["average"])
            if self.leaves is not None:
                self.leaves.parameters = saved["leaves"]

    def learn(self, progress: bool, callback: Callable[[Epoch], object] | None) -> Circuit:
        state, options = self.state, self.options
        done = state.seconds
        began = time.perf_counter()
        with progress_bar(progress, options.epochs, len(state.history)) as report:
            while len(state.history) < options.epochs and not self.out_of_patience():
                epoch = len(state.history)
                bits = self.pass_over(epoch, report)
                held_out = self.validate()
                state.seconds = done + time.perf_counter() - began
                record = Epoch(epoch + 1, bits, held_out, state.seconds)
                state.history.append(tuple(record))
                self.keep_best(held_out)
                if self.path is not None:
                    _checkpoint.save(self.path, self.name, state, self.arrays())
                if report is not None:
                    report(epoch + 1, bits, held_out)
                if callback is not None:
                    callback(record)
        tables = self.trainer.tables if self.held_out is None else state.best
        circuit = Circuit.from_packed(
            self.start.structure,
            tables,
            event_shape=self.event_shape,
            metadata=self.start.metadata,
        )
        circuit._history = tuple(Epoch(*record) for record in state.history)
        return circuit

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What a run that goes on needs, but for `state`."""
        arrays: dict[str, npt.NDArray[Any]] = {"tables": self.trainer.tables}
        if self.options.momentum > 0:
            arrays["average"] = self.trainer.average
        if self.leaves is not None:
            arrays["leaves"] = self.leaves.parameters
        return arrays

    def impose_families(self) -> None:
        if self.leaves is not None:
            self.trainer.load(self.leaves.follow(self.trainer.tables))

    def pass_over(self, epoch: int, report: Any) -> float:
        """One epoch; bits per dimension on the way."""
        options, n = self.options, len(self.codes)
        full = options.algorithm == "full"
        size = _FULL_BATCH_ROWS if full else options.batch_size(n)
        order = np.arange(n) if full else options.rng("order", epoch).permutation(n)
        # All batches of an epoch are of the same size, but for one row.
        batches = np.array_split(order.astype(np.int64), -(-n // size))
        total = 0.0
        later: list[tuple[npt.NDArray[np.int64], Any]] = []
        for at, rows in enumerate(batches):
            if full:
                log_prob = self.trainer.accumulate(self.rows, rows)
            else:
                done = (epoch + at / len(batches)) / options.epochs
                rule = self.rule(done, len(rows), epoch * len(batches) + at + 1)
                log_prob = self.trainer.step(self.rows, rows, rule)
                self.impose_families()
            if self.trainer.waits:
                total += _total(rows, log_prob)
            else:
                later.append((rows, log_prob))
            if report is not None:
                report(epoch + (at + 1) / len(batches), None, None)
        if full:
            self.trainer.finish(n, self.rule(epoch / options.epochs, n, epoch + 1))
            self.impose_families()
        for rows, log_prob in later:
            total += _total(rows, log_prob.cpu().numpy())
        return float(-total / (self.observed * np.log(2)))

    def rule(self, done: float, rows: int, steps: int) -> Rule:
        """The rule of the batch that is the ``steps``-th."""
        options = self.options
        step = options.step(done)
        pseudocount = options.pseudocount * rows / len(self.codes)
        rescaled = options.algorithm == "anemone"
        momentum = options.momentum
        return Rule(
            rescaled=rescaled,
            step=step,
            # The rescaled rule takes `step` of the counts: and of the prior, so that the fixed point
            # does not depend on it.
            pseudocount=step * pseudocount if rescaled else pseudocount,
            momentum=momentum,
            correction=1 - momentum**steps if momentum else 1.0,
        )

    def validate(self) -> float | None:
        if self.held_out is None or self.observed_held_out is None:
            return None
        total = float(self.trainer.log_prob(self.held_out).sum())
        return float(-total / (self.observed_held_out * np.log(2)))

    def keep_best(self, held_out: float | None) -> None:
        if held_out is not None and held_out < self.state.best_bits:
            self.state.best_bits = held_out
            self.state.best_epoch = len(self.state.history)
            self.state.best = self.trainer.tables

    def out_of_patience(self) -> bool:
        patience = self.options.patience
        return patience is not None and len(self.state.history) - self.state.best_epoch >= patience


def _total(rows: npt.NDArray[np.int64], log_prob: npt.NDArray[np.float64]) -> float:
    """The sum of the log probabilities of these rows, none of which may be -inf."""
    if np.isneginf(log_prob).any():
        _refuse(int(rows[int(np.argmin(log_prob))]))
    return float(log_prob.sum())


def _refuse(row: int) -> None:
    from fourfold.errors import ImpossibleEvidenceError

    raise ImpossibleEvidenceError(
        f"data: row {row} has probability 0 under the tables that learning starts from; start from "
        "tables without zeros, or with a pseudocount"
    )


def _count_observed(seen: Observations, cardinality: npt.NDArray[np.int32]) -> int:
    if not seen.any_missing:
        return int(seen.codes.size)
    return max(1, int((seen.codes < cardinality).sum()))
