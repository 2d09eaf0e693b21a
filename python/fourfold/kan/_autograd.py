"""Autograd of eager calls: shorter than through ``torch.ops``, and what ``torch.func`` can transform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fourfold.kan import _kernel, _ops
from fourfold.kan._batched import Gradients, InDims, batched_backward, batched_forward
from fourfold.kan._eager import is_plain
from fourfold.kan._second import second_derivatives

__all__ = ["Rational", "apply"]

Tensor = torch.Tensor
_is_legacy_batch = torch._C._functorch.is_legacy_batchedtensor


class Rational(torch.autograd.Function):
    """The forward pass."""

    @staticmethod
    def forward(
        x: Tensor, numerator: Tensor, denominator: Tensor, variant: str, dim: int
    ) -> Tensor:
        return _kernel.forward(x, numerator, denominator, variant, dim)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:
        x, numerator, denominator, ctx.variant, ctx.dim = inputs
        ctx.save_for_backward(x, numerator, denominator)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, numerator, denominator = ctx.saved_tensors
        run: Callable[..., Gradients]
        if _is_legacy_batch(
            gradient
        ):  # is_grads_batched=True: torch slices what its dispatcher sees
            run = _ops.rational_backward
        elif not torch.is_grad_enabled() and is_plain(gradient, x, numerator):
            run = _kernel.backward
        else:  # Under create_graph, and in torch.func, the gradients may be differentiated again.
            run = RationalBackward.apply
        return (*run(gradient, x, numerator, denominator, ctx.variant, ctx.dim), None, None)

    @staticmethod
    def vmap(info: Any, in_dims: InDims, *inputs: Any) -> tuple[Tensor, int]:
        return batched_forward(Rational.apply, info.batch_size, in_dims, *inputs)


class RationalBackward(torch.autograd.Function):
    """The backward pass, as a function with a derivative."""

    @staticmethod
    def forward(
        gradient: Tensor, x: Tensor, numerator: Tensor, denominator: Tensor, variant: str, dim: int
    ) -> Gradients:
        return _kernel.backward(gradient, x, numerator, denominator, variant, dim)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:
        *tensors, ctx.variant, ctx.dim = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return (*second_derivatives(ctx.saved_tensors, gradients, ctx.variant, ctx.dim), None, None)

    @staticmethod
    def vmap(info: Any, in_dims: InDims, *inputs: Any) -> tuple[Gradients, tuple[int, int, int]]:
        return batched_backward(RationalBackward.apply, info.batch_size, in_dims, *inputs)


# `Function.apply` looks at the signature of forward() at every call, which takes longer than all the rest. This is what
# it calls in the end, where no transform of torch.func is active.
apply: Callable[..., Tensor] = super(torch.autograd.Function, Rational).apply
