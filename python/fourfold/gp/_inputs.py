"""Checks of what users hand over, and results in the kind that came in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = [
    "as_array",
    "as_mask",
    "check_magnitude",
    "checked_count",
    "checked_number",
    "finite_array",
    "finite_vector",
    "in_kind_of",
    "kind_is_torch",
]

Array = npt.NDArray[np.float64]

# Sums of squares stay finite.
_LARGEST = 1e140


def as_array(name: str, value: Any) -> Array:
    """A float64 array of the caller's numbers, which is only ever read: it may share memory with them.

    Raises
    ------
    TypeError
        What is not real numbers of at most 64 bits: masked arrays, complex numbers, booleans, tensors that require a
        gradient.
    ValueError
        What is no array at all.
    NotImplementedError
        Tensors that are not in the memory of the CPU.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name}: this is a masked array; give its data, and what was observed apart (mask=, observed=, or those "
            "entries left out)"
        )
    if isinstance(value, Tensor):
        value = _of_tensor(name, value)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name}: expected an array of numbers: {error}") from None
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected real numbers, got {array.dtype}")
    if array.dtype.itemsize > 8:
        raise TypeError(
            f"{name}: expected at most 64 bits, got {array.dtype}; all computations are in float64"
        )
    return np.asarray(array, dtype=np.float64)


def finite_array(name: str, value: Any) -> Array:
    """As `as_array`, C-contiguous, without NaN and infinity."""
    array = np.asarray(as_array(name, value), order="C")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    return array


def finite_vector(name: str, value: Any, least: int = 0) -> Array:
    """As `as_array`, a vector of at least so many numbers without NaN and infinity."""
    vector = as_array(name, value)
    if vector.ndim != 1 or vector.size < least or not np.isfinite(vector).all():
        raise ValueError(
            f"{name}: expected a vector of finite numbers, got shape {vector.shape}"
            + (" with NaN or infinity" if vector.ndim == 1 and vector.size >= least else "")
        )
    return vector


def _of_tensor(name: str, value: Tensor) -> Any:
    if value.requires_grad:
        raise TypeError(
            f"{name}: this tensor requires a gradient, which does not pass through; detach() it (gp.Kronecker has "
            "gradients)"
        )
    if value.device.type != "cpu":
        raise NotImplementedError(
            f"{name}: fourfold.gp has no kernels for {value.device.type} yet; move it to the CPU ({name}.cpu())"
        )
    if value.layout != torch.strided:
        raise TypeError(f"{name}: expected a dense tensor, got layout {value.layout}")
    if value.is_complex():
        raise TypeError(f"{name}: expected real numbers, got {value.dtype}")
    if value.is_floating_point():
        value = value.double()  # NumPy has no bfloat16
    return value.resolve_neg().numpy()


def as_mask(name: str, value: Any) -> npt.NDArray[np.bool_]:
    """An array of bool, which is only ever read."""
    if isinstance(value, Tensor):
        if value.device.type != "cpu":
            raise NotImplementedError(
                f"{name}: fourfold.gp has no kernels for {value.device.type} yet; move it to the CPU ({name}.cpu())"
            )
        value = value.numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array of bool: {error}") from None
    if array.dtype != np.bool_:
        raise TypeError(f"{name}: expected bool, True where observed, got {array.dtype}")
    return array


def check_magnitude(name: str, value: Array) -> None:
    """Refuse finite numbers whose squares are not."""
    largest = float(np.abs(value).max(initial=0.0))
    if largest > _LARGEST:
        raise ValueError(
            f"{name}: entries of {largest:.3g}, whose squares overflow; use another unit"
        )


def kind_is_torch(value: Any, otherwise: bool = False) -> bool:
    """Whether results are tensors: as an argument is, or ``otherwise`` where that is a list or a number."""
    if isinstance(value, (np.ndarray, Tensor)):
        return isinstance(value, Tensor)
    return otherwise


def in_kind_of(result: Array, tensor: bool) -> Any:
    """The result as a tensor, or as it is."""
    return torch.from_numpy(np.ascontiguousarray(result)) if tensor else result


def checked_count(name: str, value: Any, least: int = 0) -> int:
    """An integer that is not below ``least``."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}: expected an integer of at least {least}, got {value!r}")
    return int(value)


def checked_number(
    name: str, value: Any, least: float = -math.inf, *, positive: bool = False
) -> float:
    """A finite number that is not below ``least``, or above 0."""
    what = "a positive number" if positive else "a finite number"
    if least > -math.inf:
        what = f"a finite number of at least {least:g}"
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or value < least or (positive and value <= 0):
        raise ValueError(f"{name}: expected {what}, got {value!r}")
    return float(value)
