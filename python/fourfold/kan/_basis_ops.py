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
from torch.autograd import forward_ad

from fourfold.kan import _basis_formulas as formulas
from fourfold.kan import _basis_kernel as kernel
from fourfold.kan._eager import in_forward_mode

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
_PLAIN = frozenset({Tensor, torch.nn.Parameter})
_IMPLEMENTATIONS: dict[str, Any] = {
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


# Shapes of the results, for tracing.


def _fake_basis(x: Tensor, centre: Tensor, scale: Tensor, function: str, functions: int) -> Tensor:
    return x.new_empty((*x.shape[:-1], functions, x.shape[-1]))


def _fake_basis_backward(
    grad: Tensor, x: Tensor, centre: Tensor, scale: Tensor, function: str, wanted: bool
) -> tuple[Tensor, Tensor, Tensor]:
    shape = (grad.shape[-2], x.shape[-1]) if wanted else (0,)
    return x.new_empty(x.shape), x.new_empty(shape), x.new_empty(shape)


def _fake_spline(x: Tensor, knots: Tensor, table: Tensor, derivative: int) -> Tensor:
    functions = knots.shape[0] - table.shape[-1]
    return x.new_empty((*x.shape[:-1], functions, x.shape[-1]))


def _fake_spline_backward(
    grad: Tensor, x: Tensor, knots: Tensor, table: Tensor, derivative: int
) -> Tensor:
    return x.new_empty(x.shape)


def _fake_spline_linear(x: Tensor, weight: Tensor, knots: Tensor, table: Tensor) -> Tensor:
    return x.new_empty((*x.shape[:-1], weight.shape[-1]))


def _fake_spline_linear_backward(
    grad: Tensor, x: Tensor, weight: Tensor, knots: Tensor, table: Tensor, wants_x: bool
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape if wants_x else (0,)), x.new_empty(weight.shape)


_FAKES: dict[str, Any] = {
    "kan_basis": _fake_basis,
    "kan_basis_backward": _fake_basis_backward,
    "kan_spline": _fake_spline,
    "kan_spline_backward": _fake_spline_backward,
    "kan_spline_linear": _fake_spline_linear,
    "kan_spline_linear_backward": _fake_spline_linear_backward,
}
for _name, _fake in _FAKES.items():
    torch.library.register_fake(f"fourfold::{_name}")(_fake)


# Derivatives.


def _basis_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.function, ctx.functions = inputs[3:]


def _basis_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, centre, scale = ctx.saved_tensors
    needed = ctx.needs_input_grad[:3]
    if torch.is_grad_enabled():
        gradients = formulas.basis_gradients(grad, x, centre, scale, ctx.function)
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


# vmap. Leading dimensions are free, so a mapped x alone is one call; else it is a call for each.


def _one_by_one(operator: str, info: Any, in_dims: Any, arguments: tuple[Any, ...]) -> Any:
    call = getattr(torch.ops.fourfold, operator)
    results = [
        call(
            *(
                a if dim is None else a.select(dim, i)
                for a, dim in zip(arguments, in_dims, strict=True)
            )
        )
        for i in range(info.batch_size)
    ]
    if isinstance(results[0], Tensor):
        return torch.stack(results), 0
    return tuple(map(torch.stack, zip(*results, strict=True))), (0,) * len(results[0])


def _only_first_mapped(in_dims: Any) -> bool:
    return in_dims[0] is not None and all(dim is None for dim in in_dims[1:])


def _forward_rule(name: str) -> Any:
    def rule(info: Any, in_dims: Any, x: Tensor, *rest: Any) -> Any:
        if _only_first_mapped(in_dims):
            return getattr(torch.ops.fourfold, name)(x.movedim(in_dims[0], 0), *rest), 0
        return _one_by_one(name, info, in_dims, (x, *rest))

    return rule


def _backward_rule(name: str) -> Any:
    def rule(info: Any, in_dims: Any, *arguments: Any) -> Any:
        return _one_by_one(name, info, in_dims, arguments)

    return rule


for _name in _SCHEMAS:
    _rule = _backward_rule(_name) if _name.endswith("_backward") else _forward_rule(_name)
    torch.library.register_vmap(f"fourfold::{_name}")(_rule)


# Eager calls.


class _Basis(torch.autograd.Function):
    forward = staticmethod(kernel.basis)
    setup_context = staticmethod(_basis_context)
    backward = staticmethod(_basis_gradient)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, *rest: Any) -> tuple[Tensor, int]:
        return _function_vmap(basis, info, in_dims, (x, *rest))


class _Spline(torch.autograd.Function):
    forward = staticmethod(kernel.spline)
    setup_context = staticmethod(_spline_context)
    backward = staticmethod(_spline_gradient)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, *rest: Any) -> tuple[Tensor, int]:
        return _function_vmap(spline, info, in_dims, (x, *rest))


class _SplineLinear(torch.autograd.Function):
    forward = staticmethod(kernel.spline_linear)
    setup_context = staticmethod(_linear_context)
    backward = staticmethod(_linear_gradient)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, *rest: Any) -> tuple[Tensor, int]:
        return _function_vmap(spline_linear, info, in_dims, (x, *rest))


def _function_vmap(
    call: Callable[..., Tensor], info: Any, in_dims: Any, arguments: tuple[Any, ...]
) -> tuple[Tensor, int]:
    if _only_first_mapped(in_dims):
        return call(arguments[0].movedim(in_dims[0], 0), *arguments[1:]), 0
    each = (
        [a if dim is None else a.select(dim, i) for a, dim in zip(arguments, in_dims, strict=True)]
        for i in range(info.batch_size)
    )
    return torch.stack([call(*one) for one in each]), 0


def _eager(*tensors: Tensor) -> bool:
    """Whether nothing watches the operations on these tensors but autograd and ``torch.func``."""
    return (
        not torch.compiler.is_compiling()
        and all(type(t) in _PLAIN and t.is_cpu and t.layout is torch.strided for t in tensors)
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._len_torch_function_stack() == 0
        and torch._C._get_tracing_state() is None
        and forward_ad._current_level < 0
    )


def _apply(function: Any) -> Any:
    return function.apply


def basis(x: Tensor, centre: Tensor, scale: Tensor, function: str, functions: int) -> Tensor:
    """Compiled twin of `fourfold.kan._basis_formulas.basis`, and that itself in forward mode."""
    if not torch.compiler.is_compiling() and in_forward_mode():
        return formulas.basis(x, centre, scale, function, functions)
    call = _apply(_Basis) if _eager(x, centre, scale) else torch.ops.fourfold.kan_basis
    result: Tensor = call(x, centre, scale, function, functions)
    return result


def spline(x: Tensor, knots: Tensor, table: Tensor, derivative: int = 0) -> Tensor:
    """Compiled twin of `fourfold.kan._basis_formulas.spline`, and that itself in forward mode."""
    if not torch.compiler.is_compiling() and in_forward_mode():
        return formulas.spline(x, knots, table, derivative)
    call = _apply(_Spline) if _eager(x, knots, table) else torch.ops.fourfold.kan_spline
    result: Tensor = call(x, knots, table, derivative)
    return result


def spline_linear(x: Tensor, weight: Tensor, knots: Tensor, table: Tensor) -> Tensor:
    """Compiled twin of `fourfold.kan._basis_formulas.spline_linear`, that itself in forward mode."""
    if not torch.compiler.is_compiling() and in_forward_mode():
        return formulas.spline_linear(x, weight, knots, table)
    plain = _eager(x, weight, knots, table)
    call = _apply(_SplineLinear) if plain else torch.ops.fourfold.kan_spline_linear
    result: Tensor = call(x, weight, knots, table)
    return result
