"""What `torch.ops.fourfold.nlse_propagate` calls for tensors on a GPU."""

from __future__ import annotations

from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt
import torch

from fourfold.nlse import _cuda_adaptive, _cuda_blocks, _cuda_fields
from fourfold.nlse._cuda_inputs import check_method, check_tensors
from fourfold.nlse._cuda_problem import Problem
from fourfold.nlse._cuda_tables import address, scratch, twiddles
from fourfold.nlse.methods import get_method

__all__ = ["propagate"]

Tensor = torch.Tensor


def propagate(
    psi0: Tensor,
    t: Tensor,
    omega: Tensor,
    nonlinearity: Tensor,
    potential: Tensor | None,
    loss: Tensor | None,
    method: str,
    step: float | None,
    rtol: float | None,
    atol: float | None,
    dealias: str | None,
) -> tuple[Tensor, Tensor]:
    """What ``torch.ops.fourfold.nlse_propagate`` returns, for tensors on a GPU.

    Work is queued on the current stream of psi0's device, and nothing waits for it; so values are
    not looked at: a field that stops being finite is NaN from then on.

    Raises
    ------
    TypeError, ValueError
        As on the CPU, where values need not be looked at; or a tensor is on another device.
    NotImplementedError
        Without the CUDA kernels, and for what they cannot do: methods that are no splittings,
        adaptive steps of fields that no block of threads holds.
    """
    times = check_tensors(psi0, t, omega, nonlinearity, potential, loss, dealias)
    fixed, rtol, atol = check_method(method, step, rtol, atol, times, psi0.dtype)
    problem = Problem.of(psi0, omega, nonlinearity, potential, loss, method, dealias)
    batch_shape, batch, n = psi0.shape[:-1], problem.batch, problem.n
    out = psi0.new_empty((len(times), *psi0.shape))
    out[0].copy_(psi0)
    first_steps = psi0.new_zeros((len(times) - 1, *batch_shape), dtype=torch.float64)
    rows, firsts = out.view(len(times), batch, n), first_steps.view(len(times) - 1, batch)
    if fixed is None:
        _cuda_adaptive.propagate(problem, rows, firsts, times, get_method(method), rtol, atol)
    elif batch > 0 and len(times) > 1:
        _fixed_steps(problem, rows, firsts, times, fixed)
    return out, first_steps


def _fixed_steps(
    problem: Problem,
    rows: Tensor,
    first_steps: Tensor,
    times: npt.NDArray[np.float64],
    step: float,
) -> None:
    """Fill rows[1:] (times, batch, n) and first_steps[1:] (intervals, batch)."""
    kernels, like = problem.kernels, problem.like
    ensemble = kernels.Ensemble(**problem.what)
    in_blocks = _cuda_blocks.in_blocks(kernels, ensemble, problem.batch, like)
    run = ensemble if in_blocks else kernels.Fields(**problem.what)
    roots = twiddles(problem.n, like) if in_blocks else None
    tables = scratch(run.tables_size(), like)
    sizes: list[float] = []
    for i, (start, end) in enumerate(pairwise(times.tolist())):
        duration, steps = ensemble.interval(start, end, step)
        size = duration / steps
        if not sizes or size != sizes[-1]:
            run.build_tables(
                step=size,
                omega=problem.omega.data_ptr(),
                filter=address(problem.filter),
                loss=address(problem.loss),
                tables=tables.data_ptr(),
                **problem.queue,
            )
        given = {"step": size, "steps": steps, "tables": tables.data_ptr(), **problem.medium()}
        if in_blocks:
            ensemble.advance(
                psi=rows[i].data_ptr(), out=rows[i + 1].data_ptr(), twiddles=address(roots), **given
            )
        else:
            _cuda_fields.advance(run, rows[i], rows[i + 1], **given)
        sizes.append(size)
    _fill(first_steps[1:], sizes[:-1])


def _fill(rows: Tensor, values: list[float]) -> None:
    """Each row with its value; equal ones next to each other at once."""
    at = 0
    for value, group in groupby(values):
        length = len(list(group))
        rows[at : at + length].fill_(value)
        at += length
