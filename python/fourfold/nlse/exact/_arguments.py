"""Checks shared by the exact solutions: each names the argument, what it must be and what came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse.grid import Grid

Pair = Sequence[float] | NDArray[np.floating[Any]]
"""Two values, one for each soliton."""


def check_grid(grid: Grid) -> None:
    if not isinstance(grid, Grid):
        raise TypeError(f"grid must be a fourfold.nlse.Grid, got {type(grid).__name__}")


def finite(name: str, value: float) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    return number


def positive(name: str, value: float) -> float:
    number = finite(name, value)
    if number <= 0:
        raise ValueError(f"{name} must be positive, got {number}")
    return number


def pair(name: str, values: Pair) -> tuple[float, float]:
    try:
        first, second = values
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be two numbers, got {values!r}") from None
    return finite(f"{name}[0]", first), finite(f"{name}[1]", second)


def times(t: ArrayLike) -> NDArray[np.float64]:
    """Times as an array, with one axis added at the end to broadcast against x."""
    raw = np.asarray(t)
    if raw.dtype.kind not in "iuf":
        raise TypeError(f"t must be real numbers, got dtype {raw.dtype}")
    array = raw.astype(np.float64)
    if not np.all(np.isfinite(array)):
        raise ValueError("t must be finite, got NaN or infinity in it")
    return array[..., np.newaxis]
