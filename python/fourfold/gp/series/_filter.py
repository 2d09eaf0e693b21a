"""The one place of the state-space models that hands addresses to C++."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fourfold import _core
from fourfold._threads import get_num_threads
from fourfold.errors import NotPositiveDefiniteError

__all__ = ["Pass", "not_positive", "run_filter"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pass:
    """What one pass over B series of T times gives; all but the first are None without ``backward``."""

    log_likelihood: Array  # (B,)
    mean: Array | None  # (B, T)
    variance: Array | None  # (B, T)
    by_rate: Array | None  # (B, components)
    by_variance: Array | None  # (B, components)
    by_value: Array | None  # (B, T)
    by_noise: Array | None  # (B, T)


def run_filter(
    order: list[int],
    rate: Array,
    variance: Array,
    time: Array,
    value: Array,
    noise: Array,
    observed: npt.NDArray[np.bool_],
    *,
    backward: bool,
) -> Pass:
    """Kalman filter and, with ``backward``, smoother and gradient.

    All arrays are C-contiguous: ``rate`` and ``variance`` (components,), ``time`` (T,) not decreasing, ``value``,
    ``noise`` and ``observed`` (B, T).
    """
    series, count = value.shape
    threads = min(get_num_threads(), max(series, 1))
    likelihood = np.zeros(series)
    results: list[Array] = []
    scratch = np.empty(0)
    if backward:
        per_time, per_component = (series, count), (series, len(order))
        shapes = [per_time, per_time, per_component, per_component, per_time, per_time]
        results = [np.empty(shape) for shape in shapes]
        scratch = np.empty(threads * _core.gp.state_space_scratch(order, count))
    reached = _core.gp.state_space(
        order=order,
        rate=rate.ctypes.data,
        variance=variance.ctypes.data,
        series=series,
        count=count,
        time=time.ctypes.data,
        value=value.ctypes.data,
        noise=noise.ctypes.data,
        observed=observed.ctypes.data,
        out=[a.ctypes.data for a in (likelihood, *results)]
        if backward
        else [likelihood.ctypes.data] + [0] * 6,
        scratch=scratch.ctypes.data if backward else 0,
        backward=backward,
        threads=threads,
    )
    for row, (at, predicted) in enumerate(reached):
        if at < count:
            raise not_positive(row, at, time, predicted)
    if not backward:
        return Pass(likelihood, None, None, None, None, None, None)
    return Pass(likelihood, *results)


def not_positive(row: int, at: int, time: Array, predicted: float) -> NotPositiveDefiniteError:
    """The error of a series that the filter could not take to its end."""
    return NotPositiveDefiniteError(
        f"series {row}: the variance that the filter predicts for observation {at} (t = {time[at]:.6g}) is "
        f"{predicted:.3g}; two observations at one time need noise",
        batch=row,
        pivot=at,
        smallest_eigenvalue=predicted,
    )
