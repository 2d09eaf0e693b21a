"""The one place of the functional Tucker model that hands addresses to C++.

Symmetric matrices of R x R are packed: the R(R+1)/2 entries of the upper triangle, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fourfold import _core
from fourfold._threads import get_num_threads

__all__ = [
    "MAX_MODES",
    "MAX_RANK",
    "Chain",
    "Smoothed",
    "chain_steps",
    "columns_times_columns",
    "evaluate_points",
    "invert",
    "packed_size",
    "rows_times_rows",
    "smooth",
    "sum_entries",
]

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int32]

MAX_RANK: int = _core.gp.FUNBAT_MAX_RANK
MAX_MODES: int = _core.gp.FUNBAT_MAX_MODES


def packed_size(rank: int) -> int:
    """Entries of the upper triangle of a rank x rank matrix."""
    return rank * (rank + 1) // 2


@dataclass(frozen=True)
class Chain:
    """Times of one mode and the messages there; ``scale`` multiplies both parts of a message."""

    order: int
    length: Array  # (T,) time since the one before, 0 at the first
    observed: npt.NDArray[np.uint8]  # (T,)
    precision: Array  # (T, R (R+1)/2)
    shift: Array  # (T, R)
    scale: float


@dataclass(frozen=True)
class Smoothed:
    """What all messages say about the functions at the times of a chain."""

    log_evidence: float
    mean: Array  # (T, R)
    covariance: Array  # (T, R (R+1)/2)
    second: Array  # covariance + mean mean'
    by_rate: float
    by_variance: Array  # (R,)


def _at(array: npt.NDArray[np.generic]) -> int:
    assert array.flags.c_contiguous
    return array.ctypes.data


def chain_steps(order: int, rate: float, length: Array) -> Array:
    """Transitions, noises and their slopes, shape (T, 3, order, order)."""
    step = np.empty((length.size, 3, order, order))
    _core.gp.funbat_chain_steps(
        order=order, rate=rate, count=length.size, length=_at(length), step=_at(step)
    )
    return step


def smooth(chain: Chain, rate: float, variance: Array) -> Smoothed | int:
    """Filter and smoother; an int is the time at which a covariance lost its positive definiteness."""
    count, rank = chain.shift.shape
    step = chain_steps(chain.order, rate, chain.length)
    packed = packed_size(rank)
    evidence, by_rate, by_variance = np.zeros(1), np.zeros(1), np.zeros(rank)
    mean, covariance = np.empty((count, rank)), np.empty((count, packed))
    second = np.empty_like(covariance)
    scratch = np.empty(_core.gp.funbat_chain_scratch(rank=rank, order=chain.order, count=count))
    reached = _core.gp.funbat_smooth_chain(
        rank=rank,
        order=chain.order,
        count=count,
        length=_at(chain.length),
        step=_at(step),
        variance=_at(variance),
        observed=_at(chain.observed),
        precision=_at(chain.precision),
        shift=_at(chain.shift),
        scale=chain.scale,
        out=[_at(a) for a in (evidence, mean, covariance, second, by_rate, by_variance)],
        scratch=_at(scratch),
    )
    if reached < count:
        return reached
    return Smoothed(float(evidence[0]), mean, covariance, second, float(by_rate[0]), by_variance)


def sum_entries(
    start: npt.NDArray[np.int64],
    places: Places,
    value: Array,
    means: Sequence[Array],
    seconds: Sequence[Array],
    *,
    tucker: bool,
) -> tuple[Array, Array]:
    """Sums over the entries at each time of a mode, of products over the other modes.

    Returns
    -------
    first : ndarray, shape (T, R) or, Tucker, (T, prod R_j)
        Of the value times the means.
    second : ndarray, shape (T, R (R+1)/2) or, Tucker, (T, prod R_j (R_j+1)/2)
        Of the second moments.
    """
    times = start.size - 1
    ranks = [m.shape[1] for m in means]
    sizes = [packed_size(r) for r in ranks]
    if tucker:
        width, packed = int(np.prod(ranks)), int(np.prod(sizes))
    else:
        width, packed = ranks[0], sizes[0]
    first, second = np.empty((times, width)), np.empty((times, packed))
    _core.gp.funbat_sum_entries(
        tucker=tucker,
        count=value.size,
        times=times,
        start=_at(start),
        places=_at(places),
        value=_at(value),
        rank=ranks,
        mean=[_at(m) for m in means],
        second=[_at(s) for s in seconds],
        first_sum=_at(first),
        second_sum=_at(second),
        threads=get_num_threads(),
    )
    return first, second


def evaluate_points(
    places: Places,
    means: Sequence[Array],
    covariances: Sequence[Array],
    core_mean: Array,
    core_covariance: Array | None,
) -> tuple[Array, Array]:
    """Mean and variance of the model at N points; ``core_covariance`` None: CP."""
    count = places.shape[0]
    mean, variance = np.empty(count), np.empty(count)
    _core.gp.funbat_evaluate_points(
        tucker=core_covariance is not None,
        count=count,
        places=_at(places),
        rank=[m.shape[1] for m in means],
        mean=[_at(m) for m in means],
        covariance=[_at(c) for c in covariances],
        core_mean=_at(core_mean),
        core_covariance=0 if core_covariance is None else _at(core_covariance),
        out_mean=_at(mean),
        out_variance=_at(variance),
        threads=get_num_threads(),
    )
    return mean, variance


def rows_times_rows(a: Array, b: Array) -> Array:
    """``a @ b.T`` with the same bits for any number of threads."""
    out = np.empty((a.shape[0], b.shape[0]))
    _core.gp.funbat_rows_times_rows(
        rows=a.shape[0],
        columns=b.shape[0],
        inner=a.shape[1],
        a=_at(a),
        b=_at(b),
        out=_at(out),
        threads=get_num_threads(),
    )
    return out


def columns_times_columns(a: Array, b: Array) -> Array:
    """``a.T @ b`` with the same bits for any number of threads."""
    out = np.empty((a.shape[1], b.shape[1]))
    _core.gp.funbat_columns_times_columns(
        rows=a.shape[1],
        columns=b.shape[1],
        inner=a.shape[0],
        a=_at(a),
        b=_at(b),
        out=_at(out),
        threads=get_num_threads(),
    )
    return out


def invert(matrix: Array) -> tuple[Array, float] | int:
    """Inverse and log-determinant of a positive definite matrix, or the pivot that is not positive."""
    n = matrix.shape[0]
    inverse, logdet = np.empty((n, n)), np.empty(1)
    pivot = _core.gp.funbat_invert(
        n=n, matrix=_at(matrix), inverse=_at(inverse), logdet=_at(logdet)
    )
    return (inverse, float(logdet[0])) if pivot == n else pivot
