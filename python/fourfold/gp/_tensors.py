"""What comes in, as tensors to compute with; what goes out, of the kind that came in."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_tensor", "is_array", "like"]

_DTYPES = (torch.float32, torch.float64)


def is_array(value: Any) -> bool:
    """Whether it is a NumPy array or a torch tensor."""
    return isinstance(value, (np.ndarray, Tensor))


def as_tensor(name: str, value: Any, factor: Tensor | None = None) -> Tensor:
    """A tensor that shares memory with ``value`` where it can; it is only ever read.

    Raises
    ------
    TypeError
        If ``value`` is neither a plain NumPy array nor a tensor, or not float32 or float64, or not of the dtype of
        ``factor``.
    ValueError
        If it is not on the device of ``factor``.
    NotImplementedError
        If it is on a device that is neither the CPU nor a CUDA device.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; give the data and mask= (True: observed) apart")
    if isinstance(value, np.ndarray):
        if value.dtype.newbyteorder("=") not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise TypeError(f"{name}: expected float32 or float64, got {value.dtype}")
        if not (value.flags.writeable and value.flags.aligned and value.dtype.isnative) or any(
            stride < 0 for stride in value.strides
        ):
            # torch knows no such memory.
            value = np.array(value, dtype=value.dtype.newbyteorder("="), order="C", subok=False)
        tensor = torch.from_numpy(value)
    elif isinstance(value, Tensor):
        tensor = value
        if tensor.dtype not in _DTYPES:
            raise TypeError(f"{name}: expected float32 or float64, got {tensor.dtype}")
        if tensor.layout != torch.strided:
            raise TypeError(f"{name}: expected a dense tensor, got layout {tensor.layout}")
        if tensor.device.type not in ("cpu", "cuda", "meta"):
            raise NotImplementedError(
                f"{name}: fourfold.gp has no kernels for {tensor.device.type} yet; "
                f"move it to the CPU ({name}.cpu())"
            )
    else:
        raise TypeError(
            f"{name}: expected a NumPy array or a torch tensor, got {type(value).__name__}"
        )
    if factor is not None and tensor.dtype != factor.dtype:
        raise TypeError(f"{name}: expected {factor.dtype} as the factors, got {tensor.dtype}")
    if factor is not None and tensor.device != factor.device:
        raise ValueError(
            f"{name}: expected a tensor on {factor.device} as the factors, got one on {tensor.device}"
        )
    return tensor


def like(tensor: Tensor, numpy: bool) -> Any:
    """The tensor, or the NumPy array on its memory."""
    return tensor.detach().numpy() if numpy else tensor
