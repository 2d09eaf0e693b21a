"""One level of a reversible transform of images along one axis: every second value becomes a detail."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["join_haar", "join_interpolation", "pair", "split_haar", "split_interpolation"]

Int32 = npt.NDArray[np.int32]


def pair(axis: int, step: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where the first and the second members of the pairs are: on the grid of coarse values.

    Of the axes (y, x) the pairs are along ``axis``; ``step`` is the spacing of the grid.
    """
    every = slice(None, None, step)
    first, second = slice(None, None, 2 * step), slice(step, None, 2 * step)
    if axis == 0:
        return (first, every), (second, every)
    return (every, first), (every, second)


def _views(x: Int32, axis: int, step: int) -> tuple[Int32, Int32]:
    """The members of the pairs in images (n, y, x, channel)."""
    a, b = pair(axis, step)
    return x[(slice(None), *a)], x[(slice(None), *b)]


def split_haar(x: Int32, axis: int, step: int) -> None:
    """The S-transform, in place: means and differences of pairs."""
    first, second = _views(x, axis, step)
    second -= first
    first += second >> 1


def join_haar(x: Int32, axis: int, step: int) -> None:
    """Undo `split_haar`."""
    first, second = _views(x, axis, step)
    first -= second >> 1
    second += first


def split_interpolation(x: Int32, axis: int, step: int, low: Int32, high: Int32) -> None:
    """Second members less the cubic interpolation of the first, in place.

    Values and details are in ``low`` to ``high``, by channel; details modulo their number.
    """
    first, second = _views(x, axis, step)
    second -= _between(first, axis + 1)
    _wrap(second, low, high)


def join_interpolation(x: Int32, axis: int, step: int, low: Int32, high: Int32) -> None:
    """Undo `split_interpolation`."""
    first, second = _views(x, axis, step)
    second += _between(first, axis + 1)
    _wrap(second, low, high)


def _between(a: Int32, axis: int) -> Int32:
    """Halfway to the next value along an axis: ``floor((9 (a_0 + a_1) - (a_-1 + a_2) + 8) / 16)``."""
    at = np.arange(a.shape[axis])
    before, after, next_after = (
        np.take(a, np.clip(at + k, 0, len(at) - 1), axis=axis) for k in (-1, 1, 2)
    )
    return (9 * (a + after) - (before + next_after) + 8) >> 4


def _wrap(x: Int32, low: Int32, high: Int32) -> None:
    x -= low
    x %= high - low + 1
    x += low
