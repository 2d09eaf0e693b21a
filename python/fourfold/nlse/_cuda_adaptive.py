"""Ensembles on a GPU whose realisations choose their steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fourfold.nlse.grid import Grid
from fourfold.nlse.methods import Method
from fourfold.nlse.problem import QUADRATIC_TOLERANCE

__all__ = ["advance", "check_held", "order_of", "parabolas"]

Tensor = torch.Tensor


def check_held(kernels: Any, ensemble: Any, n: int, psi0: Tensor) -> None:
    """Raise NotImplementedError if no block of threads holds such a field with its control."""
    largest = kernels.largest_adaptive_grid
    if not kernels.smallest_grid <= n <= largest or n & (n - 1):
        raise NotImplementedError(
            f"adaptive steps of n = {n} points have no CUDA kernel: n must be a power of two from "
            f"{kernels.smallest_grid} to {largest}; give a fixed step, or tensors on the CPU"
        )
    need, most = ensemble.shared_memory(), kernels.shared_memory_of_block(psi0.device.index)
    if need > most:
        raise NotImplementedError(
            f"adaptive steps of n = {n} points of {psi0.dtype} need {need} bytes of shared memory, "
            f"and a block of {psi0.device} has {most}; give a fixed step, or tensors on the CPU"
        )


def parabolas(n: int) -> Tensor:
    """Orthonormal columns (n, 3 or fewer) that the polynomials of degree 2 of k are made of."""
    grid = Grid(n, 2 * np.pi)
    columns = np.vander(grid.k * (grid.dx / np.pi), min(3, n), increasing=True)
    return torch.from_numpy(np.linalg.qr(columns)[0])


def order_of(method: Method, omega: Tensor, loss: Tensor | None, basis: Tensor | None) -> Tensor:
    """`Problem.order` as one int32 on the device, which nobody waits for.

    ``basis`` is that of `parabolas`, None where the order is one and the same.
    """
    order = torch.full((1,), method.general_order, dtype=torch.int32, device=omega.device)
    if basis is None:
        return order
    miss = (omega - basis @ (basis.T @ omega)).abs().max()
    full = miss <= QUADRATIC_TOLERANCE * omega.abs().max()
    if loss is not None:
        full = full & ~loss.any()
    return order.masked_fill_(full, method.order)


def advance(
    ensemble: Any,
    rows: Tensor,
    first_steps: Tensor,
    times: npt.NDArray[np.float64],
    **given: Any,
) -> None:
    """Fill rows[1:] (times, batch, n) and first_steps[1:] (intervals, batch)."""
    coarse = torch.empty_like(rows[0])
    last = torch.empty_like(first_steps[0])
    clock: list[float] = times.tolist()
    for i, (start, end) in enumerate(pairwise(clock)):
        following = first_steps[i + 1] if i + 1 < len(first_steps) else last
        ensemble.advance(
            t0=start,
            t1=end,
            span=clock[-1] - clock[0],
            psi=rows[i].data_ptr(),
            out=rows[i + 1].data_ptr(),
            coarse=coarse.data_ptr(),
            first=first_steps[i].data_ptr(),
            next=following.data_ptr(),
            **given,
        )
