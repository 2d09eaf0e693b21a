"""Conditions on the faces of a box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.gp._inputs import checked_count, finite_array

__all__ = ["Condition", "Dirichlet", "Function", "Neumann", "Periodic", "evaluated"]

Array = npt.NDArray[np.float64]
# Of the coordinates, arrays of one shape; one array in 1-D.
Function = Callable[..., npt.ArrayLike]


@dataclass(frozen=True)
class Condition:
    """``d^order u / dx_axis^order = value`` on the face ``x_axis = x``; `Dirichlet` and `Neumann` make them."""

    x: float
    value: float | Function
    order: int
    axis: int = 0


@dataclass(frozen=True)
class Periodic:
    """u, and its first derivative where the operator has the second, agree on both faces of an axis."""

    axis: int = 0


def Dirichlet(x: float, value: float | Function, axis: int = 0) -> Condition:
    """The condition ``u = value`` where coordinate ``axis`` is ``x``; an initial condition if that is time.

    Parameters
    ----------
    x : float
        An end of the box.
    value : float or callable
        A callable takes all coordinates, arrays of one shape, and returns that shape.
    axis : int
    """
    return _condition(x, value, 0, axis)


def Neumann(x: float, value: float | Function, axis: int = 0) -> Condition:
    """The condition ``du/dx_axis = value`` where coordinate ``axis`` is ``x``.

    It is the derivative along the coordinate, on both faces; with `Dirichlet` at the same face it makes an initial
    condition of second order.
    """
    return _condition(x, value, 1, axis)


def _condition(x: float, value: float | Function, order: int, axis: int) -> Condition:
    kept = value if callable(value) else _number("value", value)
    return Condition(_number("x", x), kept, order, checked_count("axis", axis))


def _number(name: str, value: Any) -> float:
    array = finite_array(name, value)
    if array.ndim:
        function = " or a function of the coordinates" if name == "value" else ""
        raise ValueError(f"{name}: expected a number{function}, got shape {array.shape}")
    return float(array)


def evaluated(name: str, function: float | Function, *coordinates: Array) -> Array:
    """A constant or a function at coordinates of one shape, checked."""
    shape = coordinates[0].shape
    found = np.asarray(function(*coordinates) if callable(function) else function)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected real numbers, got {found.dtype}")
    values = found.astype(np.float64)
    if values.shape not in ((), shape):
        raise ValueError(f"{name}: expected shape {shape} or (), got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    return np.broadcast_to(values, shape).copy()
