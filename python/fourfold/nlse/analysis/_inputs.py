"""What the functions of `fourfold.nlse.analysis` take, and how their answers go back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse._checks import check_grid, refuse_masked
from fourfold.nlse.grid import Grid
from fourfold.nlse.solution import Solution

__all__ = [
    "Back",
    "axis_last",
    "check_number",
    "over_rows",
    "read_field",
    "read_on",
    "read_real",
]

Array = npt.NDArray[Any]
Float64 = npt.NDArray[np.float64]
Complex128 = npt.NDArray[np.complex128]
Back = Callable[[Array], Any]
"""Turns a result into the kind that came in: NumPy, or torch."""

# Rows are widened and worked on in blocks of about this many points: no second copy of a run.
_BLOCK_POINTS = 1 << 18


def read_field(psi: Any, name: str = "psi") -> tuple[Array, Back]:
    """The fields (..., n) of a `Solution`, an array or a tensor, finite and not empty.

    Raises
    ------
    TypeError, ValueError
        With the argument's name, what was expected and what came.
    """
    if isinstance(psi, Solution):
        return _checked(psi.fields_as_numpy(), "fc", name), _as_it_is
    array, back = _read(psi, name)
    return _checked(array, "fc", name), back


def read_real(values: Any, name: str) -> tuple[Array, Back]:
    """Real numbers (..., n) of an array or a tensor, finite and not empty."""
    if isinstance(values, Solution):
        raise TypeError(
            f"{name} must be an array of real numbers, got a Solution; "
            "choose what to look at, for example abs(solution.psi)"
        )
    array, back = _read(values, name)
    if array.dtype.kind == "c":
        raise TypeError(
            f"{name} must be real, got {array.dtype}; take abs({name}), or its real or imaginary part"
        )
    return _checked(array, "fiu", name), back


def read_on(grid: Any, psi: Any) -> tuple[Grid, Array, Back]:
    """A grid and fields (..., n) on it."""
    # First, so that arguments that changed places are named as such.
    check_grid(grid)
    fields, back = read_field(psi)
    if fields.shape[-1] != grid.n:
        raise ValueError(f"psi must have shape (..., {grid.n}) of the grid, got {fields.shape}")
    return grid, fields, back


def check_number(name: str, value: Any, least: int, most: int | None = None) -> int:
    """``value`` as an int within its bounds."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be {bounds}, got {value}")
    return int(value)


def axis_last(values: Array, axis: Any, name: str) -> Array:
    """``values`` with the axis along which the series run as the last one."""
    number = check_number("axis", axis, -values.ndim, values.ndim - 1)
    moved: Array = np.moveaxis(values, number, -1)
    if 0 in moved.shape[-1:]:
        raise ValueError(f"{name} must not be empty along its axis, got shape {values.shape}")
    return moved


def over_rows(function: Callable[[Complex128], Float64], fields: Array) -> Float64:
    """A function of fields (rows, n) that gives (rows,), applied in blocks to fields (..., n)."""
    n = fields.shape[-1]
    flat = fields.reshape(-1, n)
    result = np.empty(flat.shape[0])
    rows = max(1, _BLOCK_POINTS // n)
    for start in range(0, flat.shape[0], rows):
        where = slice(start, start + rows)
        result[where] = function(flat[where].astype(np.complex128))
    # [()] makes a scalar of what has no axes.
    shaped: Float64 = result.reshape(fields.shape[:-1])[()]
    return shaped


def _read(values: Any, name: str) -> tuple[Array, Back]:
    # torch is looked up, never imported: who hands over a tensor has imported it.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        if type(values) not in (torch.Tensor, torch.nn.Parameter):
            raise TypeError(
                f"{name} must be a plain torch.Tensor, got its subclass {type(values).__name__}"
            )
        if values.device.type != "cpu":
            raise NotImplementedError(
                f"{name} is on the device {values.device}, but the analysis runs on the CPU only; "
                f"pass {name}.cpu()"
            )
        if values.requires_grad and torch.is_grad_enabled():
            raise ValueError(
                f"{name} wants gradients, which the analysis does not give; pass {name}.detach()"
            )
        array = values.detach().resolve_conj().resolve_neg().numpy()
        return array, lambda result: torch.from_numpy(np.array(result))
    refuse_masked(name, values)
    return np.asarray(values), _as_it_is


def _checked(array: Array, kinds: str, name: str) -> Array:
    if array.dtype.kind not in kinds:
        what = "numbers" if "c" in kinds else "real numbers"
        raise TypeError(f"{name} must hold {what}, got dtype {array.dtype}")
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"{name} must have at least one axis that is not empty, got {array.shape}")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, got {array[where]} at index {where}")
    return array


def _as_it_is(result: Array) -> Array:
    return result
