"""``torch.ops.fourfold.rational`` and its backward: schemas, fake kernels, autograd and vmap rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fourfold.kan import _kernel
from fourfold.kan._batched import Gradients, InDims, batched_backward, batched_forward
from fourfold.kan._second import second_derivatives
from fourfold.kan._signature import check

__all__ = ["rational", "rational_backward"]

Tensor = torch.Tensor

torch.library.define(
    "fourfold::rational",
    "(Tensor x, Tensor numerator, Tensor denominator, str variant, int dim) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
torch.library.define(
    "fourfold::rational_backward",
    "(Tensor gradient, Tensor x, Tensor numerator, Tensor denominator, str variant, int dim)"
    " -> (Tensor, Tensor, Tensor)",
    tags=(torch.Tag.pt2_compliant_tag,),
)
for _device in ("CPU", "CUDA"):
    torch.library.impl("fourfold::rational", _device, _kernel.forward)
    torch.library.impl("fourfold::rational_backward", _device, _kernel.backward)

rational: Callable[..., Tensor] = torch.ops.fourfold.rational.default
rational_backward: Callable[..., Gradients] = torch.ops.fourfold.rational_backward.default


@torch.library.register_fake("fourfold::rational")  # type: ignore[untyped-decorator]
def _(x: Tensor, numerator: Tensor, denominator: Tensor, variant: str, dim: int) -> Tensor:
    check(x, numerator, denominator, variant, dim)
    return torch.empty_like(x)


@torch.library.register_fake("fourfold::rational_backward")  # type: ignore[untyped-decorator]
def _(
    gradient: Tensor, x: Tensor, numerator: Tensor, denominator: Tensor, variant: str, dim: int
) -> Gradients:
    check(x, numerator, denominator, variant, dim)
    return (
        torch.empty_like(x),
        numerator.new_empty(numerator.shape),
        denominator.new_empty(denominator.shape),
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:
    *tensors, ctx.variant, ctx.dim = inputs
    ctx.save_for_backward(*tensors)


def _first(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    gradients = rational_backward(gradient, *ctx.saved_tensors, ctx.variant, ctx.dim)
    return (*gradients, None, None)


def _second(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
    return (*second_derivatives(ctx.saved_tensors, gradients, ctx.variant, ctx.dim), None, None)


torch.library.register_autograd("fourfold::rational", _first, setup_context=_keep)
torch.library.register_autograd("fourfold::rational_backward", _second, setup_context=_keep)


@torch.library.register_vmap("fourfold::rational")  # type: ignore[untyped-decorator]
def _(info: Any, in_dims: InDims, *inputs: Any) -> tuple[Tensor, int]:
    return batched_forward(rational, info.batch_size, in_dims, *inputs)


@torch.library.register_vmap("fourfold::rational_backward")  # type: ignore[untyped-decorator]
def _(info: Any, in_dims: InDims, *inputs: Any) -> tuple[Gradients, tuple[int, int, int]]:
    return batched_backward(rational_backward, info.batch_size, in_dims, *inputs)
