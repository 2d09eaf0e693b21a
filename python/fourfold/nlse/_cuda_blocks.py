"""Which fields blocks of GPU threads hold in their shared memory, and where that pays."""

from __future__ import annotations

import math
from typing import Any

import torch

__all__ = ["blocks_pay", "in_blocks", "why_not_held"]

Tensor = torch.Tensor


def why_not_held(kernels: Any, ensemble: Any, largest: int, like: Tensor) -> str | None:
    """What keeps a block from holding fields like this one, if something does."""
    n, device = like.shape[-1], like.device
    if not kernels.smallest_grid <= n <= largest or n & (n - 1):
        return f"n must be a power of two from {kernels.smallest_grid} to {largest}, got {n}"
    need, most = ensemble.shared_memory(), kernels.shared_memory_of_block(device.index)
    if need > most:
        return (
            f"n = {n} points of {like.dtype} need {need} bytes of shared memory, and a block of "
            f"{device} has {most}"
        )
    return None


def in_blocks(kernels: Any, ensemble: Any, batch: int, psi0: Tensor) -> bool:
    """Whether blocks hold such fields, and it pays."""
    n, single = psi0.shape[-1], psi0.dtype == torch.complex64
    largest = kernels.largest_grid_complex64 if single else kernels.largest_grid_complex128
    if why_not_held(kernels, ensemble, largest, psi0) is not None:
        return False
    capability, processors = _device(psi0)
    return blocks_pay(n, batch, single=single, capability=capability, processors=processors)


def _device(psi0: Tensor) -> tuple[tuple[int, int], int]:
    """Compute capability, number of multiprocessors."""
    found = torch.cuda.get_device_properties(psi0.device)
    return (found.major, found.minor), found.multi_processor_count


def blocks_pay(
    n: int, batch: int, *, single: bool, capability: tuple[int, int], processors: int
) -> bool:
    """Whether blocks, one a field, take less time than torch's transforms.

    An estimate in cycles of a multiprocessor for one kinetic and one potential flow, derived in
    docs/internals/nlse.md, "Which way".
    """
    if single:
        lanes, operations, size = (64 if capability in ((7, 5), (8, 0)) else 128), 140, 8
    else:
        lanes = {(8, 0): 32, (9, 0): 64, (10, 0): 64}.get(capability, 2)
        operations, size = 110, 16
    cycles = operations / (0.6 * lanes)  # of a point
    in_blocks = math.ceil(batch / processors) * n * cycles
    from_memory = batch * n * (cycles + 8 * size / 14.5) / processors
    return in_blocks <= max(35_000.0, from_memory)
