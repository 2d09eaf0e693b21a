"""Gradients of `fourfold.nlse.propagate` on a GPU. What is computed, and how, is in docs/internals/nlse.md."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from fourfold.nlse._backward import check_differentiable
from fourfold.nlse._cuda_adjoint import NAMES, Part, Run
from fourfold.nlse._cuda_inputs import check_tensors
from fourfold.nlse._cuda_problem import Problem
from fourfold.nlse._cuda_segments import realisations_at_once

__all__ = ["backward"]

Tensor = torch.Tensor


def backward(
    gradient: Tensor,
    psi: Tensor,
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
    tolerance: float | None,
    wanted: Sequence[bool],
) -> tuple[Tensor, ...]:
    """What ``torch.ops.fourfold.nlse_propagate_backward`` returns, for tensors on a GPU.

    Work is queued on the current stream of psi's device, and nothing waits for it. So where the CPU
    raises ReconstructionError, a realisation's gradient is NaN, and that of what it shares.

    Raises
    ------
    NotImplementedError
        Without the CUDA kernels, and for what they cannot do: methods that are no splittings,
        adaptive steps, more than 2^26 steps an interval.
    """
    check_differentiable(method)
    if step is None:
        raise NotImplementedError(
            "the gradients of adaptive steps (rtol, atol) have no CUDA kernel; give a fixed step, or "
            "tensors on the CPU"
        )
    coefficients = dict(zip(NAMES, (omega, nonlinearity, potential, loss), strict=True))
    times = check_tensors(psi[0], t, omega, nonlinearity, potential, loss, dealias)
    names = [name for name, asked in zip(NAMES, wanted[1:], strict=True) if asked]
    run = Run(
        Problem.of(psi[0], omega, nonlinearity, potential, loss, method, dealias), tolerance, names
    )
    count, n, one = run.problem.batch, run.problem.n, run.one
    intervals = _intervals(one, times.tolist(), step, run.problem.kernels.most_adjoint_steps)

    states = psi.resolve_conj().resolve_neg().contiguous().view(len(times), count, n)
    gradients = gradient.resolve_conj().resolve_neg().reshape(len(times), count, n)
    cotangent = psi.new_empty((count, n))
    cotangent.copy_(gradients[-1])
    totals = {name: run.zeros(name, count) for name in names}
    at_once = count
    if intervals and count > 0:
        most = max(one.flows(steps) for _, steps in intervals)
        at_once = realisations_at_once(most, count, run.field_bytes, run.record_bytes)
    for begin in range(0, count, max(at_once, 1)):
        end = min(begin + at_once, count)
        sums = Part(run, begin, end).back(
            cotangent[begin:end], states[:, begin:end], gradients[:, begin:end], intervals
        )
        for name, rows in sums.items():
            run.add(totals[name], name, begin, rows)

    found = [cotangent.view(psi.shape[1:]) if wanted[0] else psi.new_empty(0, dtype=torch.float32)]
    for name in NAMES:
        like = coefficients[name]
        if name in names and like is not None:
            found.append(run.of_coefficient(name, totals[name], like))
        else:
            found.append(psi.new_empty(0, dtype=torch.float32))
    return tuple(found)


def _intervals(
    ensemble: Any, times: list[float], step: float, most_steps: int
) -> list[tuple[float, int]]:
    """The step and the number of steps of each, as the forward run took them."""
    found = []
    for start, end in pairwise(times):
        duration, steps = ensemble.interval(start, end, step)
        if steps > most_steps:
            raise NotImplementedError(
                f"{steps} steps from t = {start:.6g} to t = {end:.6g} are more than the {most_steps} "
                "that gradients on a GPU can go back at once; save more times"
            )
        found.append((duration / steps, steps))
    return found
