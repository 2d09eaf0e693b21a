"""The coefficients of a `Problem`: what users give, checked and as read-only arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse._checks import refuse_masked
from fourfold.nlse._leaves import plain
from fourfold.nlse.grid import Grid
from fourfold.nlse.in_time import FunctionInTime, Modulated, Series, required_parameters

__all__ = [
    "InTime",
    "Medium",
    "brief",
    "common_batch_shape",
    "dispersion_coefficients",
    "fixed",
    "medium_over",
    "nonlinearity_of",
    "polynomial",
    "real_array",
]

InTime = Series | FunctionInTime

Medium = float | ArrayLike | Callable[..., ArrayLike] | Modulated
"""What `potential` and `loss` may be: a number, an array over x, a function of x or of x and t, or
a modulated series."""


def dispersion_coefficients(dispersion: Mapping[int, float]) -> dict[int, float]:
    """The coefficients by ascending order, checked."""
    result: dict[int, float] = {}
    for key, value in dispersion.items():
        try:
            order = index(key)
        except TypeError:
            raise TypeError(f"dispersion: orders must be integers, got {key!r}") from None
        if isinstance(key, (bool, np.bool_)) or order < 1:
            raise ValueError(f"dispersion: orders must be at least 1, got {key!r}")
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
            raise TypeError(f"dispersion[{order}] must be a real number, got {value!r}")
        if not np.isfinite(value):
            raise ValueError(f"dispersion[{order}] must be finite, got {value!r}")
        result[order] = float(value)
    return dict(sorted(result.items()))


def polynomial(coefficients: Mapping[int, float], k: NDArray[np.float64]) -> NDArray[np.float64]:
    """``sum_n c_n k^n``, read-only."""
    omega = np.zeros_like(k)
    with np.errstate(over="ignore", invalid="ignore"):
        for order, coefficient in coefficients.items():
            omega += coefficient * k**order
    if not np.all(np.isfinite(omega)):
        raise ValueError(
            f"dispersion {dict(coefficients)} overflows at the grid's largest wavenumber, "
            f"{np.abs(k).max():.6g}"
        )
    omega.flags.writeable = False
    return omega


def fixed(name: str, part: NDArray[np.float64] | InTime | None) -> NDArray[np.float64] | None:
    """What does not depend on time; else a ValueError."""
    if isinstance(part, (Series, FunctionInTime)):
        raise ValueError(f"{name} depends on time; problem.at(t).{name} is its value at a time")
    return part


def nonlinearity_of(
    value: float | ArrayLike | Callable[[float], float] | Modulated,
) -> NDArray[np.float64] | InTime:
    """g, an array of batch shape or what depends on time."""
    name = "nonlinearity"
    if isinstance(value, Modulated):
        rows = [
            real_array(f"{name} (profile)", plain(name, term.profile)[0]) for term in value.terms
        ]
        return Series(name, rows, [term.factor for term in value.terms], tail=0)
    if callable(value):
        required_parameters(name, value, (1,))
        return FunctionInTime(name, value, None)
    return real_array(name, value)


def medium_over(
    grid: Grid, name: str, medium: Medium | None
) -> NDArray[np.float64] | InTime | None:
    """V or gamma, an array (..., n) or what depends on time."""
    if medium is None:
        return None
    if isinstance(medium, Modulated):
        rows = [
            _over_x(f"{name} (profile)", plain(name, term.profile)[0], grid)
            for term in medium.terms
        ]
        return Series(name, rows, [term.factor for term in medium.terms], tail=1)
    if callable(medium) and required_parameters(name, medium, (1, 2)) == 2:
        return FunctionInTime(name, medium, grid)
    return _over_x(name, medium, grid)


def _over_x(name: str, medium: Any, grid: Grid) -> NDArray[np.float64]:
    called = callable(medium)
    values = real_array(name, medium(grid.x) if called else medium)
    if values.ndim == 0:
        values = np.full(grid.n, float(values))
        values.flags.writeable = False
    if values.shape[-1] != grid.n:
        what = "return" if called else "be"
        raise ValueError(
            f"{name} must {what} a number or an array whose last dimension is n = {grid.n}, "
            f"got shape {values.shape}"
        )
    return values


def real_array(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """A checked, read-only float64 copy."""
    refuse_masked(name, value)
    try:
        raw = np.asarray(value)
    except ValueError as error:  # a ragged list
        raise ValueError(f"{name} is not an array: {error}") from None
    if raw.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be real numbers, got dtype {raw.dtype}")
    array = np.array(raw, dtype=np.float64, order="C")
    if not np.all(np.isfinite(array)):
        bad = array[~np.isfinite(array)].flat[0]
        raise ValueError(f"{name} must be finite, got {bad}")
    array.flags.writeable = False
    return array


def common_batch_shape(
    g: NDArray[np.float64] | InTime,
    potential: NDArray[np.float64] | InTime | None,
    loss: NDArray[np.float64] | InTime | None,
) -> tuple[int, ...]:
    """The leading shape that the coefficients broadcast to."""
    shapes = {"nonlinearity": g.shape if isinstance(g, np.ndarray) else g.batch_shape}
    for name, part in (("potential", potential), ("loss", loss)):
        if isinstance(part, np.ndarray):
            shapes[name] = part.shape[:-1]
        elif part is not None:
            shapes[name] = part.batch_shape
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"batch shapes do not fit together: {listed}") from None


def brief(value: object) -> str:
    """For a repr."""
    if isinstance(value, (Series, FunctionInTime)):
        return "<depends on time>"
    if isinstance(value, np.ndarray):
        return f"<array {value.shape}>" if value.ndim else repr(float(value))
    return repr(value)
