"""Queries whose observations are on a GPU: the checks of `_observations`, done there."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fourfold.pc._observations import batch_shape_of, code_dtype

if TYPE_CHECKING:
    import torch

    from fourfold.pc._cuda_kernel import CudaModel
    from fourfold.pc.circuit import Circuit

__all__ = ["bits_per_dim", "is_on_gpu", "log_prob", "marginal", "sample", "sampling_device"]


def is_on_gpu(values: Any) -> bool:
    """Whether these are a tensor on a CUDA device."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor) and values.device.type == "cuda"


@dataclass(frozen=True)
class _Seen:
    """Observations on a GPU, checked."""

    codes: torch.Tensor  # (n, D) uint8 or int32; K_i where a value is missing
    batch_shape: tuple[int, ...]
    observed: torch.Tensor | int  # how many values are not missing


def log_prob(circuit: Circuit, x: torch.Tensor, missing: Any) -> torch.Tensor:
    """See `Circuit.log_prob`."""
    model, seen = _asked(circuit, x, missing)
    return model.log_prob(seen.codes).reshape(seen.batch_shape)


def marginal(circuit: Circuit, x: torch.Tensor, kept: list[int]) -> torch.Tensor:
    """See `Circuit.marginal`."""
    import torch

    from fourfold.pc import _cuda_kernel

    model, seen = _asked(circuit, x, None)
    others = torch.ones(seen.codes.shape[1], dtype=torch.bool)
    others[kept] = False
    rows = torch.where(_cuda_kernel.moved(others, x.device), model.cardinality, seen.codes)
    codes = _as_codes(circuit, rows, with_missing=True)
    return model.log_prob(codes).reshape(seen.batch_shape)


def bits_per_dim(circuit: Circuit, x: torch.Tensor, missing: Any) -> float:
    """See `Circuit.bits_per_dim`."""
    model, seen = _asked(circuit, x, missing)
    observed = int(seen.observed)
    if observed == 0:
        raise ValueError("x: expected at least one observed value, got none")
    return float(-model.log_prob(seen.codes).sum()) / (observed * math.log(2))


def sampling_device(evidence: Any, generator: Any) -> torch.device | None:
    """The GPU on which to draw, if chance or evidence is there; refuses what does not fit."""
    if "torch" not in sys.modules:
        return None
    import torch

    device: torch.device | None = evidence.device if is_on_gpu(evidence) else None
    if isinstance(generator, torch.Generator) and generator.device.type != "cpu":
        if evidence is not None and device != generator.device:
            where = "cpu" if device is None else device
            raise ValueError(
                f"generator: expected one for the device {where} of the evidence, or the CPU, "
                f"got {generator.device}"
            )
        device = generator.device
    if device is not None:
        from fourfold.pc import _cuda_kernel

        _cuda_kernel.require_kernels("generator" if evidence is None else "evidence", device)
    return device


def sample(
    circuit: Circuit,
    n: int,
    evidence: torch.Tensor | None,
    missing: Any,
    device: torch.device,
    uniforms: Callable[[tuple[int, ...]], torch.Tensor],
    parts: Callable[[int], Iterable[tuple[slice, slice]]],
) -> torch.Tensor:
    """See `Circuit.sample`. ``parts`` cuts so many rows, with n draws each, into blocks."""
    import torch

    from fourfold.pc import _cuda_em, _cuda_kernel
    from fourfold.pc.queries import refuse_impossible

    structure = circuit.structure
    sampler = _cuda_em.sampler_on(circuit, device)
    if evidence is None:
        nothing = sampler.cardinality[None]
        seen = _Seen(_as_codes(circuit, nothing, with_missing=True), (), 0)
    else:
        seen = _check(circuit, "evidence", evidence, missing, sampler.cardinality)
    rows, variables = len(seen.codes), structure.num_variables
    kinds = {"uint8": torch.uint8, "uint16": torch.uint16, "int32": torch.int32}
    dtype = kinds[code_dtype(structure.cardinality, with_missing=False).name]
    drawn = [[torch.empty((0, n, variables), dtype=dtype, device=sampler.cardinality.device)]]
    for part, draws in parts(rows):
        shape = (part.stop - part.start, draws.stop - draws.start, structure.num_nodes + variables)
        values, log_p = sampler.sample(seen.codes[part], uniforms(shape))
        refuse_impossible(_cuda_kernel.brought(log_p).numpy(), part.start)
        if draws.start == 0:
            drawn.append([])
        drawn[-1].append(values.to(dtype))
    out = torch.cat([torch.cat(of_rows, dim=1) for of_rows in drawn])
    if n == 0:
        out = out.new_empty((rows, 0, variables))
    return out.movedim(1, 0).reshape(n, *seen.batch_shape, *circuit.event_shape).contiguous()


def _asked(circuit: Circuit, x: torch.Tensor, missing: Any) -> tuple[CudaModel, _Seen]:
    from fourfold.pc import _cuda_kernel

    _cuda_kernel.require_kernels("x", x.device)
    # What has the wrong type or shape is refused before the tables go to the card.
    _check_kind(circuit, "x", x)
    model = _cuda_kernel.model_on(circuit, x.device)
    return model, _check(circuit, "x", x, missing, model.cardinality)


def _check_kind(circuit: Circuit, name: str, x: torch.Tensor) -> tuple[int, ...]:
    """The batch shape of values that are integers."""
    if x.dtype.is_floating_point or x.dtype.is_complex:
        raise TypeError(
            f"{name}: expected integers, got dtype {x.dtype}; a circuit is a distribution over values "
            "0, 1, ..., cardinality - 1"
        )
    size = circuit.structure.num_variables
    return batch_shape_of(name, tuple(x.shape), circuit.event_shape, size)


def _check(
    circuit: Circuit, name: str, x: torch.Tensor, missing: Any, cardinality_there: torch.Tensor
) -> _Seen:
    import torch

    batch_shape = _check_kind(circuit, name, x)
    cardinality = circuit.structure.cardinality
    values = x.detach()
    if values.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        # Unsigned ones of more bits have few operations. What int64 cannot hold becomes negative.
        values = values.to(torch.int64)
    rows = values.reshape(-1, len(cardinality))
    hidden = _mask(missing, x, len(cardinality))
    if values.dtype != torch.uint8 or int(cardinality.min()) < 256:
        wrong = (rows < 0) | (rows >= cardinality_there)
        if hidden is not None:
            wrong &= ~hidden
        if bool(wrong.any()):
            row, i = (int(at) for at in wrong.nonzero()[0])
            raise ValueError(
                f"{name}: variable {i} has the values 0 to {cardinality[i] - 1}, "
                f"got {int(rows[row, i])} in row {row}"
            )
    if hidden is not None:
        rows = torch.where(hidden, cardinality_there, rows)
    codes = _as_codes(circuit, rows, with_missing=hidden is not None)
    observed = codes.numel() if hidden is None else (~hidden).sum()
    return _Seen(codes, batch_shape, observed)


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
