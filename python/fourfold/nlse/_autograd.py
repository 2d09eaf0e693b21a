"""Gradients of `solve`: the short way for eager tensors. Imported where a gradient is wanted only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.autograd.function import FunctionCtx, once_differentiable

from fourfold.nlse._backward import default_tolerance, differentiate
from fourfold.nlse._execute import begin
from fourfold.nlse._leaves import Leaf
from fourfold.nlse._plan import Plan
from fourfold.nlse.in_time import Series
from fourfold.nlse.solution import Solution

__all__ = ["reduced", "solve_with_gradients"]

Float64 = npt.NDArray[np.float64]


def solve_with_gradients(
    plan: Plan,
    psi0: torch.Tensor,
    field: npt.NDArray[Any],
    leaves: Mapping[str, Leaf],
    progress: bool,
) -> Solution:
    """Run the plan and give ``solution.psi`` its place in the graph."""
    first_steps: list[Float64] = []
    plain = begin(plan, field, None, progress, first_steps)
    run = _Run(plan, plain.psi, first_steps, tuple(leaves))
    psi: torch.Tensor = _Solve.apply(  # type: ignore[no-untyped-call]
        run, *(leaf.tensor for leaf in leaves.values())
    )
    run.psi = None
    return Solution(plan.problem, plain.t, plain.stats, psi=psi)


class _Run:
    """What the way back needs besides the states."""

    def __init__(
        self, plan: Plan, psi: torch.Tensor, first_steps: list[Float64], names: tuple[str, ...]
    ) -> None:
        self.plan = plan
        self.psi: torch.Tensor | None = psi
        self.first_steps = first_steps
        self.names = names


class _Solve(torch.autograd.Function):
    @staticmethod
    def forward(run: _Run, *leaves: torch.Tensor) -> Any:
        return run.psi

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:
        run, *leaves = inputs
        ctx.run = run  # type: ignore[attr-defined]
        ctx.like = [(leaf.shape, leaf.dtype) for leaf in leaves]  # type: ignore[attr-defined]
        ctx.save_for_backward(output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        run: _Run = ctx.run
        (psi,) = ctx.saved_tensors
        asked = {
            name for name, needed in zip(run.names, ctx.needs_input_grad[1:], strict=True) if needed
        }
        wanted = {_part(name) for name in asked} - {"psi0"}
        cotangent, sums = differentiate(
            run.plan,
            psi.detach().numpy(),
            run.first_steps,
            gradient.resolve_conj().resolve_neg().numpy(),
            wanted,
            default_tolerance(run.plan.dtype),
        )
        found: list[Any] = [None]
        for name, (shape, dtype) in zip(run.names, ctx.like, strict=True):
            if name not in asked:
                found.append(None)
                continue
            value = cotangent if name == "psi0" else _of_leaf(run.plan, name, sums)
            found.append(torch.from_numpy(reduced(value, shape)).to(dtype))
        return tuple(found)


def _part(name: str) -> str:
    """The part of the medium that a leaf belongs to: "dispersion[2]" -> "omega"."""
    part = name.partition("[")[0]
    return "omega" if part == "dispersion" else part


def _of_leaf(plan: Plan, name: str, sums: Mapping[str, Float64]) -> Float64:
    """The derivatives that a leaf has, before they are reduced to its shape."""
    part, bracket, rest = name.partition("[")
    if not bracket:
        return sums[_part(name)]
    number, _, kind = rest.partition("]")
    if part == "dispersion":
        return np.asarray(
            sums["omega"].sum(axis=tuple(range(len(plan.batch_shape))))
            @ (plan.problem.grid.k ** int(number))
        )
    series = plan.problem.in_time[part]
    assert isinstance(series, Series)
    term = int(number)
    if kind == ".profile":
        tail = 0 if part == "nonlinearity" else 1
        rows = sums[f"{part}_rows"]
        return np.asarray(np.take(rows, term, axis=rows.ndim - tail - 1))
    factors = series.factors
    begin_at = sum(len(factor.knots) for factor in factors[:term])
    pieces = slice(begin_at, begin_at + len(factors[term].knots))
    if f"{part}_coefficients" not in sums:
        raise NotImplementedError(
            f"{name} has no gradient, because another factor of the same series is a function"
        )
    total = sums[f"{part}_coefficients"].sum(axis=tuple(range(len(plan.batch_shape))))
    weights = np.einsum("pq,pqm->m", total[pieces], factors[term].basis())
    samples = factors[term].samples
    return np.asarray(weights if samples is None else weights.reshape(samples.tensor.shape))


def reduced(gradient: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The sum over the dimensions along which something of ``shape`` was broadcast."""
    gradient = np.asarray(gradient)
    extra = gradient.ndim - len(shape)
    gradient = np.asarray(gradient.sum(axis=tuple(range(extra))))
    stretched = tuple(
        axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[axis] != 1
    )
    return np.ascontiguousarray(gradient.sum(axis=stretched, keepdims=True)).reshape(shape)
