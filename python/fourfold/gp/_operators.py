"""The differentiable operators, and the short way around the dispatcher for plain eager tensors.

They work on flat batches: factors (batch or 1, n_k, n_k), noise (batch,) or None, data (batch, count, N).
Gradients are of first order; a second backward raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fourfold.gp._decomposition import split
from fourfold.gp._packed import INV_QUAD_LOGDET, SOLVE, Operation
from fourfold.gp._registered import plain, refuse_vmap

__all__ = ["inv_quad_logdet", "is_direct", "solve"]

Flags = Sequence[bool]


def is_direct(tensors: Sequence[Tensor]) -> bool:
    """Whether the dispatcher has nothing to do for these: plain tensors with memory, eager, no transform."""
    return (
        all(
            type(t) in (Tensor, torch.nn.Parameter) and t.device.type in ("cpu", "cuda")
            for t in tensors
        )
        and not torch.compiler.is_compiling()
        and torch._C._functorch.peek_interpreter_stack() is None
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._len_torch_function_stack() == 0
    )


def _transformed() -> bool:
    """Whether torch.func.grad, vmap or their like are at work, which take Functions but no registered operators."""
    return (
        not torch.compiler.is_compiling()
        and torch._C._functorch.peek_interpreter_stack() is not None
    )


def inv_quad_logdet(
    factors: Sequence[Tensor], noise: Tensor | None, y: Tensor, toeplitz: Flags
) -> tuple[Tensor, Tensor]:
    """``y'(K + s)^-1 y`` (batch, count) and ``logdet (K + s)`` (batch,), differentiable."""
    quad, logdet = _dispatch(_InvQuadLogdet, "gp_inv_quad_logdet", factors, noise, y, toeplitz)[:2]
    return quad, logdet


def solve(factors: Sequence[Tensor], noise: Tensor | None, y: Tensor, toeplitz: Flags) -> Tensor:
    """``(K + s)^-1 y`` (batch, count, N), differentiable."""
    solution: Tensor = _dispatch(_Solve, "gp_solve", factors, noise, y, toeplitz)[0]
    return solution


def _dispatch(
    function: Any,
    operator: str,
    factors: Sequence[Tensor],
    noise: Tensor | None,
    y: Tensor,
    toeplitz: Flags,
) -> Any:
    tensors = [*factors, y] + ([] if noise is None else [noise])
    transformed = _transformed()
    if not transformed:
        if not is_direct(tensors):
            # Its name as it stands in the call: Dynamo does not look into `function`.
            registered = getattr(torch.ops.fourfold, operator)
            return registered(list(factors), noise, y, list(toeplitz))
        if not (torch.is_grad_enabled() and any(t.requires_grad for t in tensors)):
            return function.operation.forward(*plain(factors, noise, y), toeplitz)
    apply = function.apply if transformed else function.short
    return apply(tuple(toeplitz), noise, y, *factors)


class _Function(torch.autograd.Function):
    """What the short ways share: after their results they give what the gradient needs, and keep it."""

    operation: Operation
    short: Callable[..., Any]

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        factors = inputs[3:]
        ctx.sizes = [f.shape[-1] for f in factors]
        ctx.items = [f.shape[0] for f in factors]
        basis, values, x = output[-3:]
        ctx.mark_non_differentiable(basis, values, x)
        # Else torch would fill gradients of the size of x with zeros, on threads that then spin beside ours.
        ctx.set_materialize_grads(False)
        ctx.shapes = [r.shape for r in output[:-3]]
        ctx.save_for_backward(basis, values, inputs[1], x)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        return refuse_vmap(info, in_dims, *args)


class _InvQuadLogdet(_Function):
    operation = INV_QUAD_LOGDET

    @staticmethod
    def forward(toeplitz: Flags, noise: Tensor | None, y: Tensor, *factors: Tensor) -> Any:
        return INV_QUAD_LOGDET.forward(*plain(factors, noise, y), toeplitz)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        return _gradients(ctx, INV_QUAD_LOGDET, grads)


class _Solve(_Function):
    operation = SOLVE

    @staticmethod
    def forward(toeplitz: Flags, noise: Tensor | None, y: Tensor, *factors: Tensor) -> Any:
        return SOLVE.forward(*plain(factors, noise, y), toeplitz)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        return _gradients(ctx, SOLVE, grads)


# Without functorch at work `apply` only binds default arguments, by a signature that it looks up anew each time.
_InvQuadLogdet.short = super(torch.autograd.Function, _InvQuadLogdet).apply
_Solve.short = super(torch.autograd.Function, _Solve).apply


def _gradients(
    ctx: Any, operation: Operation, grads: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...]:
    # Grad mode is on in a backward only under create_graph=True. Without this, the second derivative would
    # silently be zero.
    if torch.is_grad_enabled() and not _transformed():
        raise NotImplementedError(
            "gp.Kronecker has first derivatives only: no create_graph=True through its solves and log-determinants"
        )
    basis, values, noise, x = ctx.saved_tensors
    given = zip(grads[: operation.results], ctx.shapes, strict=True)
    whole = [x.new_zeros(shape) if grad is None else grad for grad, shape in given]
    if _transformed():
        operator = getattr(torch.ops.fourfold, f"gp_{operation.name}_backward")
        flat, grad_noise, grad_y = operator(*whole, basis, values, noise, x, ctx.sizes, ctx.items)
        factors = split(flat, ctx.sizes, ctx.items)
        return (None, None if noise is None else grad_noise, grad_y, *factors)
    wants = ctx.needs_input_grad
    gradients, grad_noise, grad_y = operation.backward(
        whole,
        basis,
        values,
        None if noise is None else noise.detach().resolve_neg().contiguous(),
        x,
        ctx.sizes,
        ctx.items,
        wants[3:],
        wants[2],
    )
    return (None, grad_noise, grad_y, *gradients)
