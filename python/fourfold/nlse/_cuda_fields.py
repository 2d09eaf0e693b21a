"""Fields on a GPU through torch's transforms, for what no block of threads holds or would hold for too long."""

from __future__ import annotations

import math
from typing import Any

import torch

__all__ = ["advance", "blocks_pay", "in_blocks"]

Tensor = torch.Tensor

# Flows are counted in 32 bits.
_MOST_STEPS = 1 << 26


def in_blocks(kernels: Any, ensemble: Any, n: int, batch: int, psi0: Tensor) -> bool:
    """Whether blocks of threads hold such fields, and it pays."""
    single = psi0.dtype == torch.complex64
    largest = kernels.largest_grid_complex64 if single else kernels.largest_grid_complex128
    if not kernels.smallest_grid <= n <= largest or n & (n - 1):
        return False
    if ensemble.shared_memory() > kernels.shared_memory_of_block(psi0.device.index):
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


def advance(fields: Any, start: Tensor, end: Tensor, *, steps: int, **given: Any) -> None:
    """So many steps from ``start`` (batch, n) to ``end``, contiguous; ``given`` is for ``begin``."""
    while steps > 0:
        now = min(steps, _MOST_STEPS)
        _flows(fields, start, end, fields.begin(steps=now, **given))
        start = end
        steps -= now


def _flows(fields: Any, start: Tensor, end: Tensor, count: int) -> None:
    """``count`` kinetic flows with the potential flows between them."""
    psi = start
    for k in range(count):
        if k > 0 or not fields.kinetic_first:
            out = torch.empty_like(psi) if k == 0 else psi
            fields.potential(k, psi.data_ptr(), out.data_ptr())
            psi = out
        spectrum = torch.fft.fft(psi)
        fields.kinetic(k, spectrum.data_ptr())
        if k + 1 == count and fields.kinetic_first:
            torch.fft.ifft(spectrum, norm="forward", out=end)
        else:
            psi = torch.fft.ifft(spectrum, norm="forward")
    if not fields.kinetic_first:
        fields.potential(count, psi.data_ptr(), end.data_ptr())
