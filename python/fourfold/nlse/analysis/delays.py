"""Which delay to look at a series with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse.analysis._inputs import Float64, axis_last, check_number, read_real
from fourfold.nlse.analysis.ordinal import (
    EntropyComplexity,
    as_rows,
    counts_of_rows,
    plane_point,
)

__all__ = ["delay_curve", "ideal_delay", "natural_period"]

# A window should span this share of the natural period, and within these bounds it may.
_SHARE, _LEAST_SHARE, _MOST_SHARE = 0.4, 0.3, 0.5

# As far as the search for the greatest complexity goes, if nothing is said.
_MOST_DELAY = 100


def natural_period(series: Any, *, axis: int = -1) -> Any:
    """The natural period of a series: twice the mean time between crossings of its mean.

    Places of the crossings are found by linear interpolation; the period is twice the time from
    the first to the last one over the number of times between them.

    Parameters
    ----------
    series : array or tensor, real
        The series, evenly sampled along `axis`.
    axis : int
        The axis along which they run.

    Returns
    -------
    float64 of the leading shape
        In samples; NaN for a series with fewer than two crossings.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above, or a value is not finite.
    """
    given, back = read_real(series, "series")
    rows = axis_last(given, axis, "series").astype(np.float64)
    return back(_periods(rows))


def ideal_delay(
    series: Any,
    order: int = 5,
    *,
    axis: int = -1,
    rule: str = "period",
    most: int | None = None,
) -> Any:
    """The delay at which the patterns of a series tell most.

    By ``rule="period"`` a window spans 0.4 of the `natural_period`, or as near as whole samples
    allow, and from 0.3 to 0.5 in any case, after Hyman, Daniel and Schaffner. By
    ``rule="complexity"`` the complexity C is greatest, among the delays from 1 to `most`.

    Parameters
    ----------
    series, order, axis
        As in `ordinal_counts`.
    rule : {"period", "complexity"}
        What to go by.
    most : int, optional
        Greatest delay to try for ``rule="complexity"``; if left out 100, or the greatest that
        leaves order! windows if that is less.

    Returns
    -------
    int64 of the leading shape, a scalar for one series

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above; by ``rule="period"`` also if a series crosses its
        mean less than twice, or is sampled so coarsely that no delay lies between 0.3 and 0.5.

    References
    ----------
    S. O. Hyman, K. J. Daniel, D. A. Schaffner, Astrophys. J. 987, 195 (2025).
    """
    order = check_number("order", order, 3, 7)
    if rule not in ("period", "complexity"):
        raise ValueError(f"rule must be 'period' or 'complexity', got {rule!r}")
    given, back = read_real(series, "series")
    rows = as_rows(given, axis)
    if rule == "period":
        if most is not None:
            raise ValueError("most is for rule='complexity' only")
        return back(_by_period(rows, order))
    if most is None:
        room = (rows.shape[-1] - math.factorial(order)) // (order - 1)
        most = max(1, min(_MOST_DELAY, room))
    delays = np.arange(1, check_number("most", most, 1) + 1)
    complexity = np.asarray(_curve(rows, order, delays).complexity)
    return back(delays[complexity.argmax(axis=-1)])


def delay_curve(
    series: Any, delays: Sequence[int] | npt.NDArray[np.int64], order: int = 5, *, axis: int = -1
) -> EntropyComplexity:
    """Permutation entropy and complexity as functions of the delay.

    Parameters
    ----------
    series, order, axis
        As in `ordinal_counts`.
    delays : sequence of int
        Each at least 1.

    Returns
    -------
    EntropyComplexity
        The named pair ``(entropy, complexity)``, each float64 of shape (..., len(delays)).

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above, or no window fits into the series.
    """
    order = check_number("order", order, 3, 7)
    wanted = [check_number("delays", int(d) if isinstance(d, np.integer) else d, 1) for d in delays]
    if not wanted:
        raise ValueError("delays must not be empty")
    given, back = read_real(series, "series")
    curve = _curve(as_rows(given, axis), order, np.array(wanted))
    return EntropyComplexity(back(curve.entropy), back(curve.complexity))


def _curve(rows: Float64, order: int, delays: npt.NDArray[np.int64]) -> EntropyComplexity:
    places = []
    for delay in delays:
        counts = counts_of_rows(rows, order, int(delay))
        places.append(plane_point(counts / counts.sum(axis=-1, keepdims=True)))
    entropy, complexity = (np.stack([place[i] for place in places], axis=-1) for i in (0, 1))
    return EntropyComplexity(entropy, complexity)


def _periods(rows: Float64) -> Float64:
    flat = rows.reshape(-1, rows.shape[-1])
    period = np.full(flat.shape[0], np.nan)
    for i, row in enumerate(flat):
        # What lies on the mean belongs to the side it comes from, so that it is crossed once.
        off = row - row.mean()
        where = np.flatnonzero(off)
        values = off[where]
        turn = np.flatnonzero(values[1:] * values[:-1] < 0)
        if len(turn) > 1:
            ends = [_crossing(where, values, turn[j]) for j in (0, -1)]
            period[i] = 2 * (ends[1] - ends[0]) / (len(turn) - 1)
    return period.reshape(rows.shape[:-1])[()]


def _crossing(where: npt.NDArray[np.intp], values: Float64, i: int) -> float:
    left, right = values[i], values[i + 1]
    return float(where[i] + (where[i + 1] - where[i]) * left / (left - right))


def _by_period(rows: Float64, order: int) -> npt.NDArray[np.int64]:
    period = np.asarray(_periods(rows))
    if np.isnan(period).any():
        raise ValueError("series must cross its mean at least twice to have a natural period")
    delay = np.maximum(np.rint(_SHARE * period / (order - 1)), 1).astype(np.int64)
    share = delay * (order - 1) / period
    bad = (share < _LEAST_SHARE) | (share > _MOST_SHARE)
    if bad.any():
        raise ValueError(
            f"series must be sampled more finely for order {order}: its natural period is "
            f"{period[bad].flat[0]:.4g} samples, and no delay spans 0.3 to 0.5 of it"
        )
    return delay[()]
