"""`torch.ops.fourfold.gp_*`: what `_operators` computes, as registered operators with gradients.

Forwards they take flat batches: factors (batch or 1, n_k, n_k), noise (batch,) or None, data (batch, count, N), and give
their results followed by what the gradient needs: the decomposition, packed, and the reduced data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fourfold.gp._decomposition import pack, split
from fourfold.gp._packed import INV_QUAD_LOGDET, SOLVE, Operation

__all__ = ["plain", "refuse_vmap"]

_NO_VMAP = "torch.func.vmap: gp.Kronecker takes batches itself; give the factors, the noise and y leading dimensions instead"

Flags = Sequence[bool]


def plain(
    factors: Sequence[Tensor], noise: Tensor | None, y: Tensor
) -> tuple[list[Tensor], Tensor | None, Tensor]:
    """Contiguous, with what `z.conj().imag` and the like leave to be done done."""
    return (
        [f.detach().resolve_neg().contiguous() for f in factors],
        None if noise is None else noise.detach().resolve_neg().contiguous(),
        y.detach().resolve_neg().contiguous(),
    )


def refuse_vmap(info: Any, in_dims: Any, *args: Any) -> Any:
    """The vmap rule of all of them."""
    raise NotImplementedError(_NO_VMAP)


def _register(operation: Operation) -> None:
    """``gp_<name>`` and ``gp_<name>_backward``."""
    name = operation.name
    results = ", ".join(["Tensor"] * (operation.results + 3))
    operator = torch.library.custom_op(
        f"fourfold::gp_{name}",
        mutates_args=(),
        device_types=("cpu", "cuda"),
        schema=f"(Tensor[] factors, Tensor? noise, Tensor y, bool[] toeplitz) -> ({results})",
    )(lambda factors, noise, y, toeplitz: operation.forward(*plain(factors, noise, y), toeplitz))

    def gradients(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Of the factors, packed, of the noise and of y."""
        *given, basis, values, noise, x, sizes, items = args
        factors, grad_noise, grad_y = operation.backward(
            given, basis, values, noise, x, sizes, items, [True] * len(sizes), True
        )
        assert grad_y is not None
        packed = pack([g for g in factors if g is not None], x)
        return packed, x.new_empty(0) if grad_noise is None else grad_noise, grad_y

    named = ", ".join(f"Tensor grad_{i}" for i in range(operation.results))
    operator_backward = torch.library.custom_op(
        f"fourfold::gp_{name}_backward",
        mutates_args=(),
        device_types=("cpu", "cuda"),
        schema=f"({named}, Tensor basis, Tensor values, Tensor? noise, Tensor x, int[] sizes, int[] items)"
        " -> (Tensor, Tensor, Tensor)",
    )(gradients)

    def fake(factors: Sequence[Tensor], noise: Tensor | None, y: Tensor, toeplitz: Flags) -> Any:
        basis = y.new_empty(sum(f.numel() for f in factors))
        per_item = 0 if noise is None else sum(f.shape[-1] for f in factors)
        values = y.new_empty(y.shape[0] * per_item)
        x = torch.empty_like(y, memory_format=torch.contiguous_format)
        return (*operation.shapes(y), basis, values, x)

    def fake_backward(*args: Any) -> Any:
        basis, _, noise, x = args[-6:-2]
        grad_noise = x.new_empty(0 if noise is None else x.shape[0])
        return torch.empty_like(basis), grad_noise, torch.empty_like(x)

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        factors, noise, _, _ = inputs
        ctx.sizes = [f.shape[-1] for f in factors]
        ctx.items = [f.shape[0] for f in factors]
        ctx.save_for_backward(*output[-3:-1], noise, output[-1])

    def autograd(ctx: Any, *given: Tensor) -> Any:
        saved = ctx.saved_tensors
        packed, grad_noise, grad_y = getattr(torch.ops.fourfold, f"gp_{name}_backward")(
            *given[: operation.results], *saved, ctx.sizes, ctx.items
        )
        noise = None if saved[2] is None else grad_noise
        return split(packed, ctx.sizes, ctx.items), noise, grad_y, None

    operator.register_fake(fake)
    operator_backward.register_fake(fake_backward)
    operator.register_autograd(autograd, setup_context=setup)
    operator.register_vmap(refuse_vmap)
    operator_backward.register_vmap(refuse_vmap)


_register(INV_QUAD_LOGDET)
_register(SOLVE)
