"""`torch.ops.fourfold.gp_*`, their gradients, and the short way around the dispatcher for plain eager tensors.

All operators work on flat batches: factors (batch or 1, n_k, n_k), noise (batch,) or None, data (batch, count, N).
Gradients are of first order; a second backward raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fourfold.gp import _algebra
from fourfold.gp._algebra import Decomposition, pack, unpack

__all__ = ["inv_quad_logdet", "solve"]

_NO_VMAP = "torch.func.vmap: gp.Kronecker takes batches itself; give the factors, the noise and y leading dimensions instead"

Flags = Sequence[bool]
Sizes = Sequence[int]


def is_direct(tensors: Sequence[Tensor]) -> bool:
    """Whether the dispatcher has nothing to do for these: plain tensors with memory, eager, no transform."""
    return (
        all(type(t) in (Tensor, torch.nn.Parameter) and t.device.type == "cpu" for t in tensors)
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
    tensors = [*factors, y] + ([] if noise is None else [noise])
    if _transformed():
        outputs = _APPLY_BOTH(tuple(toeplitz), noise, y, *factors)
        return outputs[0], outputs[1]
    if not is_direct(tensors):
        quad, logdet, _, _, _ = torch.ops.fourfold.gp_inv_quad_logdet(
            list(factors), noise, y, list(toeplitz)
        )
        return quad, logdet
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        outputs = _APPLY_BOTH(tuple(toeplitz), noise, y, *factors)
        return outputs[0], outputs[1]
    plain_factors, plain_noise, plain_y = _plain(factors, noise, y)
    quad, logdet, _, _ = _algebra.inv_quad_logdet(plain_factors, plain_noise, plain_y, toeplitz)
    return quad, logdet


def solve(factors: Sequence[Tensor], noise: Tensor | None, y: Tensor, toeplitz: Flags) -> Tensor:
    """``(K + s)^-1 y`` (batch, count, N), differentiable."""
    tensors = [*factors, y] + ([] if noise is None else [noise])
    if _transformed():
        transformed: Tensor = _APPLY_SOLVE(tuple(toeplitz), noise, y, *factors)[0]
        return transformed
    if not is_direct(tensors):
        solution: Tensor = torch.ops.fourfold.gp_solve(list(factors), noise, y, list(toeplitz))[0]
        return solution
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        first: Tensor = _APPLY_SOLVE(tuple(toeplitz), noise, y, *factors)[0]
        return first
    plain_factors, plain_noise, plain_y = _plain(factors, noise, y)
    return _algebra.solve(plain_factors, plain_noise, plain_y, toeplitz)[0]


def _plain(
    factors: Sequence[Tensor], noise: Tensor | None, y: Tensor
) -> tuple[list[Tensor], Tensor | None, Tensor]:
    """Contiguous, with what `z.conj().imag` and the like leave to be done done."""
    return (
        [f.detach().resolve_neg().contiguous() for f in factors],
        None if noise is None else noise.detach().resolve_neg().contiguous(),
        y.detach().resolve_neg().contiguous(),
    )


# --- the short way ---------------------------------------------------------------------------------------------------


class _InvQuadLogdet(torch.autograd.Function):
    @staticmethod
    def forward(toeplitz: Flags, noise: Tensor | None, y: Tensor, *factors: Tensor) -> Any:
        plain_factors, plain_noise, plain_y = _plain(factors, noise, y)
        quad, logdet, dec, x = _algebra.inv_quad_logdet(
            plain_factors, plain_noise, plain_y, toeplitz
        )
        return (quad, logdet, x, *dec.matrices, *dec.values)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(*output[2:])
        ctx.save_for_backward(inputs[1], *output[2:])
        ctx.count = len(inputs) - 3

    @staticmethod
    def backward(ctx: Any, grad_quad: Tensor, grad_logdet: Tensor, *_: Any) -> Any:
        _refuse_second_order()
        noise, x, *rest = ctx.saved_tensors
        dec = Decomposition(rest[ctx.count :], rest[: ctx.count])
        if _transformed():
            packed, grad_noise, grad_y = torch.ops.fourfold.gp_inv_quad_logdet_backward(
                grad_quad, grad_logdet, *_packed(dec, x), noise, x, *_shapes(dec)
            )
            return (None, None if noise is None else grad_noise, grad_y, *_split(dec, packed))
        gradients, grad_noise, grad_y = _algebra.inv_quad_logdet_backward(
            grad_quad,
            grad_logdet,
            dec,
            None if noise is None else noise.detach().resolve_neg().contiguous(),
            x,
            ctx.needs_input_grad[3:],
            ctx.needs_input_grad[2],
        )
        return (None, grad_noise, grad_y, *gradients)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        raise NotImplementedError(_NO_VMAP)


class _Solve(torch.autograd.Function):
    @staticmethod
    def forward(toeplitz: Flags, noise: Tensor | None, y: Tensor, *factors: Tensor) -> Any:
        plain_factors, plain_noise, plain_y = _plain(factors, noise, y)
        solution, dec, x = _algebra.solve(plain_factors, plain_noise, plain_y, toeplitz)
        return (solution, x, *dec.matrices, *dec.values)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(inputs[1], *output[1:])
        ctx.count = len(inputs) - 3

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> Any:
        _refuse_second_order()
        noise, x, *rest = ctx.saved_tensors
        dec = Decomposition(rest[ctx.count :], rest[: ctx.count])
        if _transformed():
            packed, grad_noise, grad_y = torch.ops.fourfold.gp_solve_backward(
                grad, *_packed(dec, x), noise, x, *_shapes(dec)
            )
            return (None, None if noise is None else grad_noise, grad_y, *_split(dec, packed))
        gradients, grad_noise, grad_y = _algebra.solve_backward(
            grad,
            dec,
            None if noise is None else noise.detach().resolve_neg().contiguous(),
            x,
            ctx.needs_input_grad[3:],
        )
        return (None, grad_noise, grad_y, *gradients)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        raise NotImplementedError(_NO_VMAP)


# torch does not type it.
_APPLY_BOTH: Any = _InvQuadLogdet.apply
_APPLY_SOLVE: Any = _Solve.apply


def _packed(dec: Decomposition, like: Tensor) -> tuple[Tensor, Tensor]:
    return pack(dec.matrices, like), pack(dec.values, like)


def _shapes(dec: Decomposition) -> tuple[list[int], list[int]]:
    """Sizes, and items of the batch, of every factor."""
    return dec.sizes, [m.shape[0] for m in dec.matrices]


def _split(dec: Decomposition, packed: Tensor) -> list[Tensor]:
    return _split_by(packed, *_shapes(dec))


def _split_by(packed: Tensor, sizes: Sizes, items: Sizes) -> list[Tensor]:
    parts = torch.split(packed, [i * n * n for i, n in zip(items, sizes, strict=True)])
    return [p.view(i, n, n) for p, i, n in zip(parts, items, sizes, strict=True)]


def _refuse_second_order() -> None:
    # Grad mode is on in a backward only under create_graph=True. Without this, the second derivative would
    # silently be zero.
    if torch.is_grad_enabled() and not _transformed():
        raise NotImplementedError(
            "gp.Kronecker has first derivatives only: no create_graph=True through its solves and log-determinants"
        )


# --- operators -------------------------------------------------------------------------------------------------------


@torch.library.custom_op(
    "fourfold::gp_inv_quad_logdet",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor[] factors, Tensor? noise, Tensor y, bool[] toeplitz)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _inv_quad_logdet_op(
    factors: Sequence[Tensor], noise: Tensor | None, y: Tensor, toeplitz: Flags
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """quad, logdet; matrices and eigenvalues of the decomposition, packed; reduced data."""
    plain = _plain(factors, noise, y)
    quad, logdet, dec, x = _algebra.inv_quad_logdet(*plain, toeplitz)
    return quad, logdet, pack(dec.matrices, y), pack(dec.values, y), x


@torch.library.custom_op(
    "fourfold::gp_inv_quad_logdet_backward",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor grad_quad, Tensor grad_logdet, Tensor basis, Tensor values, Tensor? noise, Tensor x,"
    " int[] sizes, int[] items) -> (Tensor, Tensor, Tensor)",
)
def _inv_quad_logdet_backward_op(
    grad_quad: Tensor,
    grad_logdet: Tensor,
    basis: Tensor,
    values: Tensor,
    noise: Tensor | None,
    x: Tensor,
    sizes: Sizes,
    items: Sizes,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the factors, packed, of the noise and of y."""
    dec = unpack(basis, values, x.shape[0], sizes, items)
    gradients, grad_noise, grad_y = _algebra.inv_quad_logdet_backward(
        grad_quad, grad_logdet, dec, noise, x, [True] * len(sizes), True
    )
    return _packed_gradients(gradients, grad_noise, grad_y, x)


@torch.library.custom_op(
    "fourfold::gp_solve",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor[] factors, Tensor? noise, Tensor y, bool[] toeplitz)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
)
def _solve_op(
    factors: Sequence[Tensor], noise: Tensor | None, y: Tensor, toeplitz: Flags
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The solution; matrices and eigenvalues of the decomposition, packed; reduced data."""
    plain = _plain(factors, noise, y)
    solution, dec, x = _algebra.solve(*plain, toeplitz)
    return solution, pack(dec.matrices, y), pack(dec.values, y), x


@torch.library.custom_op(
    "fourfold::gp_solve_backward",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor grad, Tensor basis, Tensor values, Tensor? noise, Tensor x, int[] sizes, int[] items)"
    " -> (Tensor, Tensor, Tensor)",
)
def _solve_backward_op(
    grad: Tensor,
    basis: Tensor,
    values: Tensor,
    noise: Tensor | None,
    x: Tensor,
    sizes: Sizes,
    items: Sizes,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the factors, packed, of the noise and of y."""
    dec = unpack(basis, values, x.shape[0], sizes, items)
    gradients, grad_noise, grad_y = _algebra.solve_backward(
        grad, dec, noise, x, [True] * len(sizes)
    )
    return _packed_gradients(gradients, grad_noise, grad_y, x)


def _packed_gradients(
    gradients: Sequence[Tensor | None], noise: Tensor | None, y: Tensor | None, like: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    assert y is not None
    packed = pack([g for g in gradients if g is not None], like)
    return packed, like.new_empty(0) if noise is None else noise, y


def _decomposition_fake(
    factors: Sequence[Tensor], noise: Tensor | None, y: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    basis = y.new_empty(sum(f.numel() for f in factors))
    per_item = 0 if noise is None else sum(f.shape[-1] for f in factors)
    values = y.new_empty(y.shape[0] * per_item)
    return basis, values, torch.empty_like(y, memory_format=torch.contiguous_format)


@_inv_quad_logdet_op.register_fake
def _(factors: Sequence[Tensor], noise: Tensor | None, y: Tensor, toeplitz: Flags) -> Any:
    return (
        y.new_empty(y.shape[:2]),
        y.new_empty(y.shape[:1]),
        *_decomposition_fake(factors, noise, y),
    )


@_solve_op.register_fake
def _(factors: Sequence[Tensor], noise: Tensor | None, y: Tensor, toeplitz: Flags) -> Any:
    solution = torch.empty_like(y, memory_format=torch.contiguous_format)
    return solution, *_decomposition_fake(factors, noise, y)


@_inv_quad_logdet_backward_op.register_fake
def _(
    grad_quad: Tensor,
    grad_logdet: Tensor,
    basis: Tensor,
    values: Tensor,
    noise: Tensor | None,
    x: Tensor,
    sizes: Sizes,
    items: Sizes,
) -> Any:
    return _gradient_fake(basis, noise, x)


@_solve_backward_op.register_fake
def _(
    grad: Tensor,
    basis: Tensor,
    values: Tensor,
    noise: Tensor | None,
    x: Tensor,
    sizes: Sizes,
    items: Sizes,
) -> Any:
    return _gradient_fake(basis, noise, x)


def _gradient_fake(basis: Tensor, noise: Tensor | None, x: Tensor) -> Any:
    grad_noise = x.new_empty(0 if noise is None else x.shape[0])
    return torch.empty_like(basis), grad_noise, torch.empty_like(x)


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    factors, noise, _, _ = inputs
    ctx.sizes = [f.shape[-1] for f in factors]
    ctx.items = [f.shape[0] for f in factors]
    ctx.save_for_backward(noise, *output[-3:])


def _inv_quad_logdet_autograd(ctx: Any, grad_quad: Tensor, grad_logdet: Tensor, *_: Any) -> Any:
    noise, basis, values, x = ctx.saved_tensors
    packed, grad_noise, grad_y = torch.ops.fourfold.gp_inv_quad_logdet_backward(
        grad_quad, grad_logdet, basis, values, noise, x, ctx.sizes, ctx.items
    )
    return (
        _split_by(packed, ctx.sizes, ctx.items),
        None if noise is None else grad_noise,
        grad_y,
        None,
    )


def _solve_autograd(ctx: Any, grad: Tensor, *_: Any) -> Any:
    noise, basis, values, x = ctx.saved_tensors
    packed, grad_noise, grad_y = torch.ops.fourfold.gp_solve_backward(
        grad, basis, values, noise, x, ctx.sizes, ctx.items
    )
    return (
        _split_by(packed, ctx.sizes, ctx.items),
        None if noise is None else grad_noise,
        grad_y,
        None,
    )


_inv_quad_logdet_op.register_autograd(_inv_quad_logdet_autograd, setup_context=_setup)
_solve_op.register_autograd(_solve_autograd, setup_context=_setup)


def _refuse_vmap(info: Any, in_dims: Any, *args: Any) -> Any:
    raise NotImplementedError(_NO_VMAP)


for _op in (_inv_quad_logdet_op, _inv_quad_logdet_backward_op, _solve_op, _solve_backward_op):
    _op.register_vmap(_refuse_vmap)
