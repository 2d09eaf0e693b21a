"""Ensembles on a GPU whose realisations choose their steps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from fourfold.nlse._cuda_blocks import why_not_held
from fourfold.nlse._cuda_problem import Problem
from fourfold.nlse._cuda_tables import address, frequencies, once, twiddles
from fourfold.nlse.grid import Grid
from fourfold.nlse.methods import Method
from fourfold.nlse.problem import QUADRATIC_TOLERANCE

__all__ = ["order_of", "parabolas", "propagate"]

Tensor = torch.Tensor


def propagate(
    problem: Problem,
    rows: Tensor,
    first_steps: Tensor,
    times: npt.NDArray[np.float64],
    method: Method,
    rtol: float,
    atol: float,
) -> None:
    """Fill rows[1:] (times, batch, n) and first_steps[1:] (intervals, batch)."""
    kernels, like, n = problem.kernels, problem.like, problem.n
    ensemble = kernels.AdaptiveEnsemble(**problem.what)
    if why := why_not_held(kernels, ensemble, kernels.largest_adaptive_grid, like):
        raise NotImplementedError(
            f"adaptive steps of such fields have no CUDA kernel: {why}; give a fixed step, or "
            "tensors on the CPU"
        )
    if problem.batch == 0 or len(times) == 1:
        return
    index = frequencies(n, like)
    omega = problem.omega[index]
    multiplier = None if problem.filter is None else problem.filter[index]
    order = _order(problem, method)
    roots = twiddles(n, like)
    coarse = torch.empty_like(rows[0])
    last = torch.empty_like(first_steps[0])
    clock: list[float] = times.tolist()
    for i, (start, end) in enumerate(pairwise(clock)):
        following = first_steps[i + 1] if i + 1 < len(first_steps) else last
        ensemble.advance(
            t0=start,
            t1=end,
            span=clock[-1] - clock[0],
            rtol=rtol,
            atol=atol,
            psi=rows[i].data_ptr(),
            out=rows[i + 1].data_ptr(),
            coarse=coarse.data_ptr(),
            first=first_steps[i].data_ptr(),
            next=following.data_ptr(),
            loss=address(problem.loss),
            omega=omega.data_ptr(),
            filter=address(multiplier),
            order=order.data_ptr(),
            twiddles=roots.data_ptr(),
            **problem.medium(),
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


def _order(problem: Problem, method: Method) -> Tensor:
    basis = None
    if method.order != method.general_order:
        basis = once(problem.like.device, parabolas, problem.n)
    return order_of(method, problem.omega, problem.loss, basis)
