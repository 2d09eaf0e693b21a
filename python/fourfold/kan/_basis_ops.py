"""The bases as torch operators, ``torch.ops.fourfold.kan_*``.

Backward runs the compiled kernels; where its own derivative may be asked for (``create_graph``), it
is written with operations that differentiate further.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fourfold.kan import _basis_formulas as formulas
from fourfold.kan import _basis_kernel as kernel

__all__ = ["basis", "spline", "spline_linear"]

_SCHEMAS = {
    "kan_basis": "(Tensor x, Tensor centre, Tensor scale, str function, int functions) -> Tensor",
    "kan_basis_backward": "(Tensor grad, Tensor x, Tensor centre, Tensor scale, str function, "
    "bool wanted) -> (Tensor, Tensor, Tensor)",
    "kan_spline": "(Tensor x, Tensor knots, Tensor table, int derivative) -> Tensor",
    "kan_spline_backward": "(Tensor grad, Tensor x, Tensor knots, Tensor table, int derivative) "
    "-> Tensor",
    "kan_spline_linear": "(Tensor x, Tensor weight, Tensor knots, Tensor table) -> Tensor",
    "kan_spline_linear_backward": "(Tensor grad, Tensor x, Tensor weight, Tensor knots, "
    "Tensor table, bool wants_x) -> (Tensor, Tensor)",
}
_IMPLEMENTATIONS = {
    "kan_basis": kernel.basis,
    "kan_basis_backward": kernel.basis_backward,
    "kan_spline": kernel.spline,
    "kan_spline_backward": kernel.spline_backward,
    "kan_spline_linear": kernel.spline_linear,
    "kan_spline_linear_backward": kernel.spline_linear_backward,
}
for _name, _schema in _SCHEMAS.items():
    torch.library.define(f"fourfold::{_name}", _schema)
    torch.library.impl(f"fourfold::{_name}", "CPU")(_IMPLEMENTATIONS[_name])


def basis(x: Tensor, centre: Tensor, scale: Tensor, function: str, functions: int) -> Tensor:
    """Compiled twin of `fourfold.kan._basis_formulas.basis`."""
    result: Tensor = torch.ops.fourfold.kan_basis(x, centre, scale, function, functions)
    return result


def spline(x: Tensor, knots: Tensor, table: Tensor, derivative: int = 0) -> Tensor:
    """Compiled twin of `fourfold.kan._basis_formulas.spline`."""
    result: Tensor = torch.ops.fourfold.kan_spline(x, knots, table, derivative)
    return result


def spline_linear(x: Tensor, weight: Tensor, knots: Tensor, table: Tensor) -> Tensor:
    """Compiled twin of `fourfold.kan._basis_formulas.spline_linear`."""
    result: Tensor = torch.ops.fourfold.kan_spline_linear(x, weight, knots, table)
    return result


# Shapes of the results, for tracing.


@torch.library.register_fake("fourfold::kan_basis")
def _(x: Tensor, centre: Tensor, scale: Tensor, function: str, functions: int) -> Tensor:
    return x.new_empty((*x.shape[:-1], functions, x.shape[-1]))


@torch.library.register_fake("fourfold::kan_basis_backward")
def _(
    grad: Tensor, x: Tensor, centre: Tensor, scale: Tensor, function: str, wanted: bool
) -> tuple[Tensor, Tensor, Tensor]:
    shape = (grad.shape[-2], x.shape[-1]) if wanted else (0,)
    return x.new_empty(x.shape), x.new_empty(shape), x.new_empty(shape)


@torch.library.register_fake("fourfold::kan_spline")
def _(x: Tensor, knots: Tensor, table: Tensor, derivative: int) -> Tensor:
    functions = knots.shape[0] - table.shape[-1]
    return x.new_empty((*x.shape[:-1], functions, x.shape[-1]))


@torch.library.register_fake("fourfold::kan_spline_backward")
def _(grad: Tensor, x: Tensor, knots: Tensor, table: Tensor, derivative: int) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.register_fake("fourfold::kan_spline_linear")
def _(x: Tensor, weight: Tensor, knots: Tensor, table: Tensor) -> Tensor:
    return x.new_empty((*x.shape[:-1], weight.shape[-1]))


@torch.library.register_fake("fourfold::kan_spline_linear_backward")
def _(
    grad: Tensor, x: Tensor, weight: Tensor, knots: Tensor, table: Tensor, wants_x: bool
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape if wants_x else (0,)), x.new_empty(weight.shape)


# Derivatives.


def _basis_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.function, ctx.functions = inputs[3:]


def _basis_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, centre, scale = ctx.saved_tensors
    needed = ctx.needs_input_grad[:3]
    if torch.is_grad_enabled():

        def formula(*moved: Tensor) -> Tensor:
            return formulas.basis(*moved, ctx.function, ctx.functions)

        gradients = torch.func.vjp(formula, x, centre, scale)[1](grad)
    else:
        gradients = torch.ops.fourfold.kan_basis_backward(
            grad, x, centre, scale, ctx.function, needed[1] or needed[2]
        )
    kept = (g if n else None for g, n in zip(gradients, needed, strict=True))
    return (*kept, None, None)


def _spline_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.derivative = inputs[3]


def _spline_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, knots, table = ctx.saved_tensors
    order = ctx.derivative + 1
    if torch.is_grad_enabled():
        dx = (grad * spline(x, knots, table, order)).sum(dim=-2)
    else:
        dx = torch.ops.fourfold.kan_spline_backward(grad, x, knots, table, order)
    return dx, None, None, None


def _linear_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
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
        dx, dweight = torch.ops.fourfold.kan_spline_linear_backward(
            grad, x, weight, knots, table, wants_x
        )
    return dx if wants_x else None, dweight if wants_weight else None, None, None


torch.library.register_autograd(
    "fourfold::kan_basis", _basis_gradient, setup_context=_basis_context
)
torch.library.register_autograd(
    "fourfold::kan_spline", _spline_gradient, setup_context=_spline_context
)
torch.library.register_autograd(
    "fourfold::kan_spline_linear", _linear_gradient, setup_context=_linear_context
)


# vmap. Leading dimensions are free, so a mapped x alone is one call; anything else is the formula,
# mapped.


def _in_front(tensor: Tensor, dim: int) -> Tensor:
    return tensor.movedim(dim, 0)


@torch.library.register_vmap("fourfold::kan_basis")
def _(
    info: Any, in_dims: Any, x: Tensor, centre: Tensor, scale: Tensor, function: str, functions: int
) -> tuple[Tensor, int]:
    if in_dims[1] is None and in_dims[2] is None:
        return basis(_in_front(x, in_dims[0]), centre, scale, function, functions), 0
    mapped = torch.vmap(
        lambda *moved: formulas.basis(*moved, function, functions), in_dims=tuple(in_dims[:3])
    )
    return mapped(x, centre, scale), 0


@torch.library.register_vmap("fourfold::kan_spline")
def _(
    info: Any, in_dims: Any, x: Tensor, knots: Tensor, table: Tensor, derivative: int
) -> tuple[Tensor, int]:
    if in_dims[1] is None and in_dims[2] is None:
        return spline(_in_front(x, in_dims[0]), knots, table, derivative), 0
    mapped = torch.vmap(
        lambda *moved: formulas.spline(*moved, derivative), in_dims=tuple(in_dims[:3])
    )
    return mapped(x, knots, table), 0


@torch.library.register_vmap("fourfold::kan_spline_linear")
def _(
    info: Any, in_dims: Any, x: Tensor, weight: Tensor, knots: Tensor, table: Tensor
) -> tuple[Tensor, int]:
    if in_dims[1:] == (None, None, None):
        return spline_linear(_in_front(x, in_dims[0]), weight, knots, table), 0
    return torch.vmap(formulas.spline_linear, in_dims=in_dims)(x, weight, knots, table), 0


@torch.library.register_vmap("fourfold::kan_basis_backward")
def _(
    info: Any,
    in_dims: Any,
    grad: Tensor,
    x: Tensor,
    centre: Tensor,
    scale: Tensor,
    function: str,
    wanted: bool,
) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[int, int, int]]:
    def gradients(g: Tensor, *moved: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        def formula(*again: Tensor) -> Tensor:
            return formulas.basis(*again, function, g.shape[-2])

        dx, dcentre, dscale = torch.func.vjp(formula, *moved)[1](g)
        return (dx, dcentre, dscale) if wanted else (dx, x.new_empty(0), x.new_empty(0))

    mapped = torch.vmap(gradients, in_dims=tuple(in_dims[:4]))
    return mapped(grad, x, centre, scale), (0, 0, 0)


@torch.library.register_vmap("fourfold::kan_spline_backward")
def _(
    info: Any, in_dims: Any, grad: Tensor, x: Tensor, knots: Tensor, table: Tensor, derivative: int
) -> tuple[Tensor, int]:
    def gradient(g: Tensor, *moved: Tensor) -> Tensor:
        return (g * formulas.spline(*moved, derivative)).sum(dim=-2)

    return torch.vmap(gradient, in_dims=tuple(in_dims[:4]))(grad, x, knots, table), 0


@torch.library.register_vmap("fourfold::kan_spline_linear_backward")
def _(
    info: Any,
    in_dims: Any,
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    knots: Tensor,
    table: Tensor,
    wants_x: bool,
) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
    def gradients(g: Tensor, a: Tensor, w: Tensor, *grid: Tensor) -> tuple[Tensor, Tensor]:
        values, slopes = formulas.spline(a, *grid), formulas.spline(a, *grid, 1)
        dweight = torch.einsum("...kd,...o->kdo", values, g)
        if not wants_x:
            return a.new_empty(0), dweight
        return (slopes * torch.einsum("...o,kdo->...kd", g, w)).sum(dim=-2), dweight

    return torch.vmap(gradients, in_dims=tuple(in_dims[:5]))(grad, x, weight, knots, table), (0, 0)
