"""Checks shared by the exact solutions: each names the argument, what it must be and what came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse._checks import finite

Pair = Sequence[float] | NDArray[np.floating[Any]]
"""Two values, one for each soliton."""


def pair(name: str, values: Pair) -> tuple[float, float]:
    try:
        first, second = values
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be two numbers, got {values!r}") from None
    return finite(f"{name}[0]", first), finite(f"{name}[1]", second)


def reals(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Finite real numbers as an array."""
    raw = np.asarray(values)
    if raw.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be real numbers, got dtype {raw.dtype}")
    array = raw.astype(np.float64)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got NaN or infinity in it")
    return array


def times(t: ArrayLike) -> NDArray[np.float64]:
    """Times as an array, with one axis added at the end to broadcast against x."""
    return reals("t", t)[..., np.newaxis]
