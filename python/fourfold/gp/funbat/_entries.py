"""Observed entries, sorted once for every mode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Entries", "ModeEntries", "sorted_entries"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ModeEntries:
    """The entries in the order of one mode's index: those of time t are ``start[t]`` to ``start[t+1]``."""

    times: Array  # (T,) ascending, without repetition
    length: Array  # (T,) time since the one before, 0 at the first
    start: npt.NDArray[np.int64]  # (T + 1,)
    places: npt.NDArray[np.int32]  # (N, K - 1) which time of the other modes
    value: Array  # (N,)


@dataclass(frozen=True)
class Entries:
    """N observed entries of a tensor with K continuous indices."""

    modes: tuple[ModeEntries, ...]
    count: int
    sum_of_squares: float


def sorted_entries(indices: Array, value: Array) -> Entries:
    """Group entries, shapes (N, K) and (N,), by the unique indices of each mode."""
    times, places = [], []
    for column in indices.T:
        unique, inverse = np.unique(column, return_inverse=True)
        times.append(unique)
        places.append(inverse.astype(np.int32).reshape(-1))
    modes = []
    for k, own in enumerate(places):
        order = np.argsort(own, kind="stable")
        others = [place[order] for j, place in enumerate(places) if j != k]
        modes.append(
            ModeEntries(
                times=times[k],
                length=np.diff(times[k], prepend=times[k][:1]),
                start=np.searchsorted(own[order], np.arange(times[k].size + 1)).astype(np.int64),
                places=np.ascontiguousarray(np.stack(others, axis=1)),
                value=np.ascontiguousarray(value[order]),
            )
        )
    return Entries(tuple(modes), value.size, float(np.sum(value * value)))
