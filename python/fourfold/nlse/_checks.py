"""Checks of single arguments: each names the argument, what it must be and what came."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from fourfold.nlse.grid import Grid

__all__ = ["check_grid", "finite", "not_negative", "positive", "real", "refuse_masked"]


def check_grid(grid: Any) -> None:
    """Refuse what is no `Grid`."""
    if not isinstance(grid, Grid):
        raise TypeError(f"grid must be a fourfold.nlse.Grid, got {type(grid).__name__}")


def real(name: str, value: Any) -> float:
    """A real number, NaN and infinity included."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be finite, got a number beyond 1.8e308") from None


def finite(name: str, value: Any) -> float:
    """A finite number."""
    number = real(name, value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    return number


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    number = finite(name, value)
    if number <= 0:
        raise ValueError(f"{name} must be positive, got {number}")
    return number


def not_negative(name: str, value: Any) -> float:
    """A finite number, 0 or above."""
    number = finite(name, value)
    if number < 0:
        raise ValueError(f"{name} must not be negative, got {number}")
    return number


def refuse_masked(name: str, array: Any) -> None:
    """Refuse an array whose mask would be lost."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask would be lost; fill it first: {name}.filled(0)"
        )
