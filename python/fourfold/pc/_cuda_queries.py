"""Queries whose observations are on a GPU: the checks of `_observations`, done there."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fourfold.pc._observations import batch_shape_of, code_dtype

if TYPE_CHECKING:
    import torch

    from fourfold.pc._cuda_kernel import CudaModel
    from fourfold.pc.circuit import Circuit

__all__ = ["bits_per_dim", "is_on_gpu", "log_prob", "marginal"]


def is_on_gpu(values: Any) -> bool:
    """Whether these are a tensor on a CUDA device."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor) and values.device.type == "cuda"


@dataclass(frozen=True)
class _Seen:
    """Observations on a GPU, checked, and the model there."""

    codes: torch.Tensor  # (n, D) uint8 or int32; K_i where a value is missing
    batch_shape: tuple[int, ...]
    observed: torch.Tensor | int  # how many values are not missing
    model: CudaModel


def log_prob(circuit: Circuit, x: torch.Tensor, missing: Any) -> torch.Tensor:
    """See `Circuit.log_prob`."""
    seen = _check(circuit, x, missing)
    return seen.model.log_prob(seen.codes).reshape(seen.batch_shape)


def marginal(circuit: Circuit, x: torch.Tensor, kept: list[int]) -> torch.Tensor:
    """See `Circuit.marginal`."""
    import torch

    from fourfold.pc import _cuda_kernel

    seen = _check(circuit, x, None)
    others = torch.ones(seen.codes.shape[1], dtype=torch.bool)
    others[kept] = False
    rows = torch.where(_cuda_kernel.moved(others, x.device), seen.model.cardinality, seen.codes)
    codes = _as_codes(circuit, rows, with_missing=True)
    return seen.model.log_prob(codes).reshape(seen.batch_shape)


def bits_per_dim(circuit: Circuit, x: torch.Tensor, missing: Any) -> float:
    """See `Circuit.bits_per_dim`."""
    seen = _check(circuit, x, missing)
    observed = int(seen.observed)
    if observed == 0:
        raise ValueError("x: expected at least one observed value, got none")
    return float(-seen.model.log_prob(seen.codes).sum()) / (observed * math.log(2))


def _check(circuit: Circuit, x: torch.Tensor, missing: Any) -> _Seen:
    import torch

    from fourfold.pc import _cuda_kernel

    _cuda_kernel.require_kernels("x", x.device)
    if x.dtype.is_floating_point or x.dtype.is_complex:
        raise TypeError(
            f"x: expected integers, got dtype {x.dtype}; a circuit is a distribution over values "
            "0, 1, ..., cardinality - 1"
        )
    cardinality = circuit.structure.cardinality
    batch_shape = batch_shape_of("x", tuple(x.shape), circuit.event_shape, len(cardinality))
    model = _cuda_kernel.model_on(circuit, x.device)
    values = x.detach()
    if values.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        # Unsigned ones of more bits have few operations. What int64 cannot hold becomes negative.
        values = values.to(torch.int64)
    rows = values.reshape(-1, len(cardinality))
    hidden = _mask(missing, x, len(cardinality))
    if values.dtype != torch.uint8 or int(cardinality.min()) < 256:
        wrong = (rows < 0) | (rows >= model.cardinality)
        if hidden is not None:
            wrong &= ~hidden
        if bool(wrong.any()):
            row, i = (int(at) for at in wrong.nonzero()[0])
            raise ValueError(
                f"x: variable {i} has the values 0 to {cardinality[i] - 1}, "
                f"got {int(rows[row, i])} in row {row}"
            )
    if hidden is not None:
        rows = torch.where(hidden, model.cardinality, rows)
    codes = _as_codes(circuit, rows, with_missing=hidden is not None)
    observed = codes.numel() if hidden is None else (~hidden).sum()
    return _Seen(codes, batch_shape, observed, model)


def _as_codes(circuit: Circuit, rows: torch.Tensor, *, with_missing: bool) -> torch.Tensor:
    """In the narrowest dtype that the kernel takes."""
    import torch

    narrow = code_dtype(circuit.structure.cardinality, with_missing=with_missing) == np.uint8
    return rows.to(torch.uint8 if narrow else torch.int32).contiguous()


def _mask(missing: Any, x: torch.Tensor, size: int) -> torch.Tensor | None:
    """Which values are missing: (n, D), on the device of x."""
    import torch

    from fourfold.pc import _cuda_kernel

    if missing is None:
        return None
    mask = missing if isinstance(missing, torch.Tensor) else torch.from_numpy(np.array(missing))
    if mask.dtype != torch.bool:
        raise TypeError(f"missing: expected booleans, got dtype {mask.dtype}")
    try:
        whole = _cuda_kernel.moved(mask, x.device).broadcast_to(x.shape)
    except RuntimeError:
        raise ValueError(
            f"missing: expected the shape {tuple(x.shape)} of the values, got {tuple(mask.shape)}"
        ) from None
    return whole.reshape(-1, size)
