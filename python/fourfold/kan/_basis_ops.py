"""The bases as torch operators, ``torch.ops.fourfold.kan_*``, and as functions for eager calls.

Compilers, exporters and tracers see the operators. Eager calls and ``torch.func``, which cannot
transform the derivative of a registered operator, take an `torch.autograd.Function` of the same parts.
Backward runs the compiled kernels; where its own derivative may be asked for (``create_graph``), it
is written with operations that differentiate further.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fourfold.kan import _basis_formulas as formulas
from fourfold.kan import _basis_kernel as kernel
from fourfold.kan._eager import in_forward_mode, is_eager

__all__ = ["basis", "spline", "spline_linear"]

Gradient = Callable[..., tuple[Tensor | None, ...]]


def _define(
    name: str, schema: str, compiled: Callable[..., Any], fake: Callable[..., Any], *, rows: bool
) -> Any:
    """Register ``fourfold::name``; with `rows` the leading dimensions of x, the first argument, are free."""
    qualified = f"fourfold::{name}"
    torch.library.define(qualified, schema)
    for device in ("CPU", "CUDA"):
        torch.library.impl(qualified, device, compiled)
    torch.library.register_fake(qualified)(fake)
    operator = getattr(torch.ops.fourfold, name)
    torch.library.register_vmap(
        qualified, lambda info, in_dims, *given: _mapped(operator, rows, info, in_dims, given)
    )
    return operator


def _mapped(
    call: Callable[..., Any], rows: bool, info: Any, in_dims: Any, given: tuple[Any, ...]
) -> tuple[Any, Any]:
    """The rule of vmap: a mapped x alone is one call, as far as its dimensions are free; else each is one."""
    if rows and in_dims[0] is not None and all(dim is None for dim in in_dims[1:]):
        return call(given[0].movedim(in_dims[0], 0), *given[1:]), 0
    results = [
        call(*(a if at is None else a.select(at, i) for a, at in zip(given, in_dims, strict=True)))
        for i in range(info.batch_size)
    ]
    if isinstance(results[0], Tensor):
        return torch.stack(results), 0
    return tuple(map(torch.stack, zip(*results, strict=True))), (0,) * len(results[0])


def _differentiable(
    name: str,
    operator: Any,
    compiled: Callable[..., Tensor],
    formula: Callable[..., Tensor],
    keep: Callable[..., None],
    gradient: Gradient,
) -> Callable[..., Tensor]:
    """The compiled twin of a formula, for any caller; in forward mode it is the formula."""
    torch.library.register_autograd(f"fourfold::{name}", gradient, setup_context=keep)

    class Eager(torch.autograd.Function):
        forward = staticmethod(compiled)
        setup_context = staticmethod(keep)
        backward = staticmethod(gradient)

        @staticmethod
        def vmap(info: Any, in_dims: Any, *given: Any) -> tuple[Tensor, int]:
            return _mapped(call, True, info, in_dims, given)

    def call(*given: Any) -> Tensor:
        if not torch.compiler.is_compiling() and in_forward_mode():
            return formula(*given)
        tensors = [one for one in given if isinstance(one, Tensor)]
        result: Tensor = (Eager.apply if is_eager(*tensors) else operator)(*given)
        return result

    return call


# Functions of one input each.


def _basis_shape(x: Tensor, centre: Tensor, scale: Tensor, function: str, functions: int) -> Tensor:
    return x.new_empty((*x.shape[:-1], functions, x.shape[-1]))


def _basis_backward_shapes(
    grad: Tensor, x: Tensor, centre: Tensor, scale: Tensor, function: str, wanted: bool
) -> tuple[Tensor, Tensor, Tensor]:
    shape = (grad.shape[-2], x.shape[-1]) if wanted else (0,)
    return x.new_empty(x.shape), x.new_empty(shape), x.new_empty(shape)


_basis = _define(
    "kan_basis",
    "(Tensor x, Tensor centre, Tensor scale, str function, int functions) -> Tensor",
    kernel.basis,
    _basis_shape,
    rows=True,
)
_basis_backward = _define(
    "kan_basis_backward",
    "(Tensor grad, Tensor x, Tensor centre, Tensor scale, str function, bool wanted)"
    " -> (Tensor, Tensor, Tensor)",
    kernel.basis_backward,
    _basis_backward_shapes,
    rows=False,
)


def _keep_basis(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.function, ctx.functions = inputs[3:]


def _basis_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, centre, scale = ctx.saved_tensors
    needed = ctx.needs_input_grad[:3]
    if torch.is_grad_enabled():
        gradients = formulas.basis_gradients(grad, x, centre, scale, ctx.function)
    else:
        gradients = _basis_backward(grad, x, centre, scale, ctx.function, needed[1] or needed[2])
    kept = (g if n else None for g, n in zip(gradients, needed, strict=True))
    return (*kept, None, None)


# (x, centre, scale, function, functions)
basis = _differentiable(
    "kan_basis", _basis, kernel.basis, formulas.basis, _keep_basis, _basis_gradient
)


# B-splines.


def _spline_shape(x: Tensor, knots: Tensor, table: Tensor, derivative: int) -> Tensor:
    functions = knots.shape[0] - table.shape[-1]
    return x.new_empty((*x.shape[:-1], functions, x.shape[-1]))


def _spline_backward_shape(
    grad: Tensor, x: Tensor, knots: Tensor, table: Tensor, derivative: int
) -> Tensor:
    return x.new_empty(x.shape)


_spline = _define(
    "kan_spline",
    "(Tensor x, Tensor knots, Tensor table, int derivative) -> Tensor",
    kernel.spline,
    _spline_shape,
    rows=True,
)
_spline_backward = _define(
    "kan_spline_backward",
    "(Tensor grad, Tensor x, Tensor knots, Tensor table, int derivative) -> Tensor",
    kernel.spline_backward,
    _spline_backward_shape,
    rows=False,
)


def _keep_spline(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.derivative = inputs[3]


def _spline_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, knots, table = ctx.saved_tensors
    order = ctx.derivative + 1
    if torch.is_grad_enabled():
        dx = (grad * spline(x, knots, table, order)).sum(dim=-2)
    else:
        dx = _spline_backward(grad, x, knots, table, order)
    return dx, None, None, None


_any_spline = _differentiable(
    "kan_spline", _spline, kernel.spline, formulas.spline, _keep_spline, _spline_gradient
)


def spline(x: Tensor, knots: Tensor, table: Tensor, derivative: int = 0) -> Tensor:
    """Compiled twin of `fourfold.kan._basis_formulas.spline`."""
    return _any_spline(x, knots, table, derivative)


# The layer with B-splines.


def _linear_shape(x: Tensor, weight: Tensor, knots: Tensor, table: Tensor) -> Tensor:
    return x.new_empty((*x.shape[:-1], weight.shape[-1]))


def _linear_backward_shapes(
    grad: Tensor, x: Tensor, weight: Tensor, knots: Tensor, table: Tensor, wants_x: bool
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape if wants_x else (0,)), x.new_empty(weight.shape)


_linear = _define(
    "kan_spline_linear",
    "(Tensor x, Tensor weight, Tensor knots, Tensor table) -> Tensor",
    kernel.spline_linear,
    _linear_shape,
    rows=True,
)
_linear_backward = _define(
    "kan_spline_linear_backward",
    "(Tensor grad, Tensor x, Tensor weight, Tensor knots, Tensor table, bool wants_x)"
    " -> (Tensor, Tensor)",
    kernel.spline_linear_backward,
    _linear_backward_shapes,
    rows=False,
)


def _keep_linear(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _linear_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, knots, table = ctx.saved_tensors
    wants_x, wants_weight = ctx.needs_input_grad[:2]
    dx: Tensor | None
    dweight: Tensor | None
    if torch.is_grad_enabled():
        values, slopes = spline(x, knots, table), spline(x, knots, table, 1)
        dx = (slopes * torch.einsum("...o,kdo->...kd", grad, weight)).sum(dim=-2)
        dweight = torch.einsum("...kd,...o->kdo", values, grad)
    else:
        dx, dweight = _linear_backward(grad, x, weight, knots, table, wants_x)
    return dx if wants_x else None, dweight if wants_weight else None, None, None


# (x, weight, knots, table)
spline_linear = _differentiable(
    "kan_spline_linear",
    _linear,
    kernel.spline_linear,
    formulas.spline_linear,
    _keep_linear,
    _linear_gradient,
)
