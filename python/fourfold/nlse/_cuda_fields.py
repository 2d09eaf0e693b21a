"""Fields on a GPU through torch's transforms, for what no block of threads holds or would hold for too long.

The flows of an interval are the chain P_0 K_0 P_1 K_1 .. P_F of potential and kinetic flows; a scheme that begins with a
kinetic flow has no P_0 and no P_F.
"""

from __future__ import annotations

from typing import Any

import torch

from fourfold.nlse._cuda_tables import address

__all__ = ["Records", "advance", "take", "take_back"]

Tensor = torch.Tensor

# The field before P_k, and the spectrum behind K_k where it is wanted.
Records = list[tuple[Tensor, Tensor | None]]

# Flows are counted in 32 bits.
_MOST_STEPS = 1 << 26


def advance(fields: Any, start: Tensor, end: Tensor, *, steps: int, **given: Any) -> None:
    """So many steps from ``start`` (batch, n) to ``end``, contiguous; ``given`` is for ``begin``."""
    while steps > 0:
        now = min(steps, _MOST_STEPS)
        flows = fields.begin(steps=now, **given)
        take(fields, flows, 0, flows, start, end)
        start = end
        steps -= now


def take(
    fields: Any,
    flows: int,
    first: int,
    last: int,
    psi: Tensor,
    out: Tensor | None,
    records: Records | None = None,
    spectra: bool = False,
) -> None:
    """From before P_first to before P_last, or behind it where that ends the chain.

    ``records`` are appended to, and ``out`` may be None before the end.
    """
    ends = last == flows and not fields.kinetic_first  # with a potential flow
    for k in range(first, last):
        before = psi
        if k > 0 or not fields.kinetic_first:
            psi = torch.empty_like(before) if k == first or records is not None else before
            fields.potential(k, before.data_ptr(), psi.data_ptr())
        spectrum = torch.fft.fft(psi)
        fields.kinetic(k, spectrum.data_ptr())
        if records is not None:
            records.append((before, spectrum if spectra else None))
        if k + 1 < last or ends:
            psi = torch.fft.ifft(spectrum, norm="forward")
        elif out is not None:
            torch.fft.ifft(spectrum, norm="forward", out=out)
    if ends:
        assert out is not None
        if records is not None:
            records.append((psi, None))
        fields.potential(flows, psi.data_ptr(), out.data_ptr())


def take_back(
    fields: Any,
    flows: int,
    first: int,
    last: int,
    cotangent: Tensor,
    records: Records,
    sum_omega: int,
    **sums: int,
) -> None:
    """Change ``cotangent`` from where `take` ended to where it began, and use its ``records`` up."""
    z = cotangent
    if last == flows and not fields.kinetic_first:
        psi, _ = records.pop()
        fields.potential_adjoint(flows, psi=psi.data_ptr(), cotangent=z.data_ptr(), **sums)
    for k in range(last - 1, first - 1, -1):
        psi, behind = records.pop()
        spectrum = torch.fft.fft(z)
        fields.kinetic_adjoint(
            k, cotangent=spectrum.data_ptr(), spectrum=address(behind), sum_omega=sum_omega
        )
        z = torch.fft.ifft(spectrum, norm="forward")
        if k > 0 or not fields.kinetic_first:
            fields.potential_adjoint(k, psi=psi.data_ptr(), cotangent=z.data_ptr(), **sums)
    cotangent.copy_(z)
