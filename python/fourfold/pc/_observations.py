"""The checks of observations, and the one form in which all code of `fourfold.pc` gets them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Observations", "as_array", "batch_shape_of", "check_observations", "code_dtype"]


@dataclass(frozen=True)
class Observations:
    """Rows of observed values, checked.

    Attributes
    ----------
    codes : (n, D) uint8, uint16 or int32, C-contiguous
        The values; one that is missing has the code ``cardinality[i]``, one past the last value.
    batch_shape : tuple
        ``(n,)``, or ``()`` if the caller gave one observation without a leading axis.
    is_torch : bool
        Whether the caller gave a torch tensor.
    any_missing : bool
        Whether a value is missing.
    """

    codes: npt.NDArray[Any]
    batch_shape: tuple[int, ...]
    is_torch: bool
    any_missing: bool


def code_dtype(cardinality: npt.NDArray[Any], *, with_missing: bool) -> np.dtype[Any]:
    """The narrowest dtype for codes: uint8, uint16 or int32."""
    highest = int(np.max(cardinality)) - (0 if with_missing else 1)
    if highest < 1 << 8:
        return np.dtype(np.uint8)
    return np.dtype(np.uint16) if highest < 1 << 16 else np.dtype(np.int32)


def as_array(name: str, values: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None, bool]:
    """``values`` as integers, the mask of a masked array, and whether they were a torch tensor."""
    torch = sys.modules.get("torch")
    is_torch = torch is not None and isinstance(values, torch.Tensor)
    mask = None
    if is_torch:
        assert torch is not None
        if values.device.type != "cpu":
            raise NotImplementedError(
                f"{name} is on the device {values.device}, but only fit, sample, log_prob, marginal "
                f"and bits_per_dim of fourfold.pc take that; pass {name}.cpu() (compress and "
                "decompress code on a GPU with device=...)"
            )
        values = values.detach().resolve_conj().resolve_neg().numpy()
    elif isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        values = values.data
    array = np.asarray(values)
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: expected integers, got dtype {array.dtype}; a circuit is a distribution over "
            "values 0, 1, ..., cardinality - 1"
        )
    return array, mask, is_torch


def check_observations(
    name: str,
    values: Any,
    *,
    cardinality: npt.NDArray[np.int32],
    event_shape: tuple[int, ...],
    missing: Any = None,
) -> Observations:
    """Check shape, dtype and range of ``values`` and give missing ones their code.

    Parameters
    ----------
    name : str
        What the argument is called, for messages.
    values : array, masked array or torch tensor of integers
        Of shape ``(n, *event_shape)``, or any ``(n, ...)`` with D entries a row; or one observation
        of shape ``event_shape`` or ``(D,)``.
    cardinality : (D,) int32
        Number of values of each variable.
    event_shape : tuple
        The shape of one observation; its product is D.
    missing : boolean array, optional
        True where a value is missing, whatever ``values`` holds there. Of the shape of ``values``
        or one that broadcasts to it. A mask of a masked array counts as well.

    Raises
    ------
    TypeError
        If the values are not integers or the mask is not boolean.
    ValueError
        If a shape does not fit or an observed value is not in ``0 .. cardinality[i] - 1``.
    """
    array, mask, is_torch = as_array(name, values)
    size = len(cardinality)
    batch_shape = batch_shape_of(name, array.shape, event_shape, size)
    given = _check_mask(missing, array.shape)
    if given is not None:
        mask = given if mask is None else mask | given
    rows = array.reshape(-1, size)
    hidden = None if mask is None or not mask.any() else mask.reshape(-1, size)
    _check_values(name, rows, hidden, cardinality)
    dtype = code_dtype(cardinality, with_missing=hidden is not None)
    if hidden is None:
        codes = np.require(rows, dtype=dtype, requirements=["C", "A"])
    else:
        codes = np.where(hidden, cardinality, rows).astype(dtype)
    return Observations(codes, batch_shape, is_torch, hidden is not None)


def batch_shape_of(
    name: str, shape: tuple[int, ...], event_shape: tuple[int, ...], size: int
) -> tuple[int, ...]:
    """``(n,)``, or ``()`` for one observation; refuses other shapes."""
    if shape in (event_shape, (size,)):
        return ()
    if len(shape) > 1 and int(np.prod(shape[1:])) == size:
        return (shape[0],)
    shapes = f"(n, {', '.join(map(str, event_shape))})"
    also = "" if event_shape == (size,) else f" or (n, {size})"
    raise ValueError(
        f"{name}: expected the shape {shapes}{also}, with or without the leading n, got {shape}"
    )


def _check_mask(missing: Any, shape: tuple[int, ...]) -> npt.NDArray[np.bool_] | None:
    if missing is None:
        return None
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(missing, torch.Tensor):
        missing = missing.detach().cpu().numpy()
    mask = np.asarray(missing)
    if mask.dtype != np.bool_:
        raise TypeError(f"missing: expected booleans, got dtype {mask.dtype}")
    try:
        return np.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(
            f"missing: expected the shape {shape} of the values, got {mask.shape}"
        ) from None


def _check_values(
    name: str,
    rows: npt.NDArray[Any],
    hidden: npt.NDArray[np.bool_] | None,
    cardinality: npt.NDArray[np.int32],
) -> None:
    info = np.iinfo(rows.dtype)
    if info.min >= 0 and info.max < int(cardinality.min()):
        return
    wrong = rows >= cardinality
    if info.min < 0:
        wrong |= rows < 0
    if hidden is not None:
        wrong &= ~hidden
    if wrong.any():
        row, i = (int(at) for at in np.argwhere(wrong)[0])
        raise ValueError(
            f"{name}: variable {i} has the values 0 to {cardinality[i] - 1}, "
            f"got {rows[row, i]} in row {row}"
        )
