"""Fields on a GPU through torch's transforms, for what no block of threads holds or would hold for too long."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["advance"]

Tensor = torch.Tensor

# Flows are counted in 32 bits.
_MOST_STEPS = 1 << 26


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
