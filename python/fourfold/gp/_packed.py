"""The operators with their decomposition in two vectors, `basis` and `values`: what is kept for the gradient.

Small systems with noise go through C++ in one call each way, others by the steps of `_algebra`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fourfold.gp import _algebra, _kernel
from fourfold.gp._decomposition import ASYMMETRY, Decomposition, pack, split, unpack

__all__ = ["INV_QUAD_LOGDET", "SOLVE", "Gradients", "Operation"]

Gradients = tuple[list[Tensor | None], Tensor | None, Tensor | None]
"""Of the factors (None where not wanted), of the noise and of y."""


class Operation(NamedTuple):
    """One operator: its name, how many results it has, and both ways.

    ``forward(factors, noise, y, toeplitz)`` gives the results, basis, values and the reduced data x;
    ``backward(grads, basis, values, noise, x, sizes, items, wanted, wants_y)`` gives `Gradients`.
    """

    name: str
    results: int
    forward: Callable[..., tuple[Tensor, ...]]
    backward: Callable[..., Gradients]
    shapes: Callable[[Tensor], tuple[Tensor, ...]]


def _packed(*results: Any) -> tuple[Tensor, ...]:
    *plain, dec, x = results
    return (*plain, pack(dec.matrices, x), pack(dec.values, x), x)


def _inv_quad_logdet(
    factors: Sequence[Tensor], noise: Tensor | None, y: Tensor, toeplitz: Sequence[bool]
) -> tuple[Tensor, ...]:
    sizes, items = [f.shape[-1] for f in factors], [f.shape[0] for f in factors]
    if (
        noise is not None
        and not (any(toeplitz) and _kernel.is_here(y))
        and _kernel.in_one_call(y, sizes, items)
    ):
        found = _kernel.spectral_forward(factors, noise, y, ASYMMETRY[y.dtype])
        if found is not None:
            return found
        # Something is amiss: the checks on the other way say what.
    return _packed(*_algebra.inv_quad_logdet(factors, noise, y, toeplitz))


def _inv_quad_logdet_backward(
    grads: Sequence[Tensor],
    basis: Tensor,
    values: Tensor,
    noise: Tensor | None,
    x: Tensor,
    sizes: Sequence[int],
    items: Sequence[int],
    wanted: Sequence[bool],
    wants_y: bool,
) -> Gradients:
    if noise is not None and _kernel.in_one_call(x, sizes, items):
        packed, grad_noise, grad_y = _kernel.spectral_backward(
            grads, basis, values, noise, x, sizes, items, wanted, wants_y
        )
        parts = split(packed, sizes, items)
        return [p if w else None for p, w in zip(parts, wanted, strict=True)], grad_noise, grad_y
    dec = unpack(basis, values, x.shape[0], sizes, items)
    return _algebra.inv_quad_logdet_backward(grads[0], grads[1], dec, noise, x, wanted, wants_y)


def _solve(
    factors: Sequence[Tensor], noise: Tensor | None, y: Tensor, toeplitz: Sequence[bool]
) -> tuple[Tensor, ...]:
    return _packed(*_algebra.solve(factors, noise, y, toeplitz))


def _solve_backward(
    grads: Sequence[Tensor],
    basis: Tensor,
    values: Tensor,
    noise: Tensor | None,
    x: Tensor,
    sizes: Sequence[int],
    items: Sequence[int],
    wanted: Sequence[bool],
    wants_y: bool,
) -> Gradients:
    dec: Decomposition = unpack(basis, values, x.shape[0], sizes, items)
    return _algebra.solve_backward(grads[0], dec, noise, x, wanted, wants_y)


INV_QUAD_LOGDET = Operation(
    "inv_quad_logdet",
    2,
    _inv_quad_logdet,
    _inv_quad_logdet_backward,
    lambda y: (y.new_empty(y.shape[:2]), y.new_empty(y.shape[:1])),
)
SOLVE = Operation(
    "solve",
    1,
    _solve,
    _solve_backward,
    lambda y: (torch.empty_like(y, memory_format=torch.contiguous_format),),
)
