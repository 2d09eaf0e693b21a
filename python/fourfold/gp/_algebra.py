"""The formulas, forwards and backwards, on flat batches of plain tensors.

With noise s the factors are diagonalised, ``K_k = V_k' diag(l_k) V_k``, and with ``D = (x) l_k + s``,
``X = (V y)/D``::

    quad = y'(K + s)^-1 y = sum (V y) X,      logdet = sum log D
    d/dK_k = V_k' [ c_l diag(sum over the other modes of l_-k/D) - c_q X_(k) diag(l_-k) X_(k)' ] V_k
    d/ds = c_l sum 1/D - c_q |X|^2,           d/dy = 2 c_q V'X

for the loss ``c_q quad + c_l logdet``. Eigenvectors are never differentiated. Without noise, ``K_k = L_k L_k'`` and
``B = L^-1 y``::

    quad = |B|^2,   logdet = sum N/n_k logdet K_k,   d/dK_k = L_k^-T [ c_l N/n_k - c_q B_(k) B_(k)' ] L_k^-1
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fourfold.gp import _kernel
from fourfold.gp._decomposition import (
    Decomposition,
    check_data,
    check_spectrum,
    decompose,
    expanded,
)

__all__ = [
    "inv_quad_logdet",
    "inv_quad_logdet_backward",
    "logdet_of",
    "reduce_data",
    "restore_data",
    "solve",
    "solve_backward",
    "solve_with",
]


def reduce_data(
    dec: Decomposition, noise: Tensor | None, y: Tensor, *, quad: bool = True
) -> tuple[Tensor, Tensor]:
    """X = (V y)/D or B = L^-1 y, and the quadratic forms, float64 (batch, count), if wanted."""
    if noise is None:
        x = _kernel.triangular_solves(dec.matrices, y)
        return x, _dots(dec, x, x) if quad else x.new_empty(0)
    x = _kernel.mode_products(dec.matrices, y)
    return x, _kernel.spectral_divide_(dec.values, noise, x)


def _dots(dec: Decomposition, x: Tensor, z: Tensor) -> Tensor:
    """Sums of x*z over the last axis, float64."""
    if dec.values and _kernel.is_here(x) and _kernel.is_large(dec.matrices):
        sums: Tensor = torch.linalg.vecdot(x, z)
        return sums.double()
    return _kernel.row_dots(x, z)


def restore_data(dec: Decomposition, x: Tensor) -> Tensor:
    """V'X or L^-T B: the solution."""
    if dec.values:
        return _kernel.mode_products(dec.matrices, x, transposed=True)
    return _kernel.triangular_solves(dec.matrices, x, transposed=True)


def solve_with(dec: Decomposition, noise: Tensor | None, y: Tensor) -> Tensor:
    """``(K + s)^-1 y`` with a decomposition that is there."""
    if noise is None:
        return _kernel.triangular_solves(dec.matrices, y, both=True)
    return restore_data(dec, reduce_data(dec, noise, y, quad=False)[0])


def logdet_of(dec: Decomposition, noise: Tensor | None, batch: int) -> Tensor:
    """float64 (batch,)."""
    if noise is not None:
        logdet, _, smallest, _ = _kernel.spectral_sums(dec.values, noise)
        check_spectrum(smallest, dec.values, noise)
        return logdet
    total = math.prod(dec.sizes)
    logdet = dec.matrices[0].new_zeros(batch, dtype=torch.float64)
    for lower in dec.matrices:
        diagonal = lower.diagonal(dim1=-2, dim2=-1).double()
        logdet = logdet + 2 * (total // lower.shape[-1]) * diagonal.log().sum(-1)
    return logdet


def _sandwich(dec: Decomposition, k: int, middle: Tensor) -> Tensor:
    """V_k' M V_k, or L_k^-T M L_k^-1, for M (batch, n, n)."""
    batch, n, _ = middle.shape
    pair = Decomposition(dec.values[k : k + 1] * 2, [dec.matrices[k]] * 2)
    return restore_data(pair, middle.reshape(batch, 1, n * n)).view(batch, n, n)


def _factor_gradient(dec: Decomposition, k: int, middle: Tensor) -> Tensor:
    gradient = _sandwich(dec, k, middle)
    return (
        gradient.sum(0, keepdim=True) if dec.matrices[k].shape[0] < gradient.shape[0] else gradient
    )


def inv_quad_logdet(
    factors: Sequence[Tensor], noise: Tensor | None, y: Tensor, toeplitz: Sequence[bool]
) -> tuple[Tensor, Tensor, Decomposition, Tensor]:
    """``quad`` (batch, count), ``logdet`` (batch,), both of y's dtype, and what the gradient needs."""
    check_data(y, factors if noise is not None else ())
    batch = y.shape[0]
    dec = expanded(decompose(factors, toeplitz, noise=noise is not None), batch)
    logdet = logdet_of(dec, noise, batch)
    x, quad = reduce_data(dec, noise, y)
    return quad.to(y.dtype), logdet.to(y.dtype), dec, x


def inv_quad_logdet_backward(
    grad_quad: Tensor,
    grad_logdet: Tensor,
    dec: Decomposition,
    noise: Tensor | None,
    x: Tensor,
    wanted: Sequence[bool],
    wants_y: bool,
) -> tuple[list[Tensor | None], Tensor | None, Tensor | None]:
    """Gradients of the factors (None where not wanted), of the noise and of y."""
    sizes = dec.sizes
    total = math.prod(sizes)
    grad_quad, grad_logdet = grad_quad.contiguous(), grad_logdet.contiguous()
    grad_y = None
    if wants_y:
        grad_y = restore_data(dec, x)
        if _kernel.is_large(dec.matrices):
            grad_y.mul_(2 * grad_quad.unsqueeze(-1))
        else:
            _kernel.scale_rows(2 * grad_quad, grad_y, grad_y)
    grad_noise = None
    traces: list[Tensor] = []
    if noise is not None:
        _, inverse, _, traces = _kernel.spectral_sums(dec.values, noise, traces=True)
        norms = _dots(dec, x, x)
        grad_noise = grad_logdet * inverse - (grad_quad * norms).sum(-1)
        grad_noise = grad_noise.to(x.dtype)
    gradients: list[Tensor | None] = []
    for k, want in enumerate(wanted):
        if not want:
            gradients.append(None)
            continue
        middle = _kernel.mode_gram(sizes, k, x, x, dec.values, grad_quad).neg_()
        diagonal = middle.diagonal(dim1=-2, dim2=-1)
        if noise is None:
            diagonal += (grad_logdet * (total // sizes[k])).unsqueeze(-1)
        else:
            diagonal += (grad_logdet.unsqueeze(-1) * traces[k]).to(x.dtype)
        gradients.append(_factor_gradient(dec, k, middle))
    return gradients, grad_noise, grad_y


def solve(
    factors: Sequence[Tensor], noise: Tensor | None, y: Tensor, toeplitz: Sequence[bool]
) -> tuple[Tensor, Decomposition, Tensor]:
    """``(K + s)^-1 y`` and what the gradient needs."""
    check_data(y, factors if noise is not None else ())
    batch = y.shape[0]
    dec = expanded(decompose(factors, toeplitz, noise=noise is not None), batch)
    if noise is not None:
        logdet_of(dec, noise, batch)  # for its check
    x, _ = reduce_data(dec, noise, y, quad=False)
    return restore_data(dec, x), dec, x


def solve_backward(
    grad: Tensor,
    dec: Decomposition,
    noise: Tensor | None,
    x: Tensor,
    wanted: Sequence[bool],
    wants_y: bool,
) -> tuple[list[Tensor | None], Tensor | None, Tensor | None]:
    """Gradients of the factors (None where not wanted), of the noise and of y."""
    z, _ = reduce_data(dec, noise, grad.contiguous(), quad=False)
    ones = x.new_ones(x.shape[:2])
    gradients: list[Tensor | None] = []
    for k, want in enumerate(wanted):
        if not want:
            gradients.append(None)
            continue
        gram = _kernel.mode_gram(dec.sizes, k, z, x, dec.values, ones)
        gradients.append(_factor_gradient(dec, k, -(gram + gram.mT) / 2))
    grad_noise = None if noise is None else -_dots(dec, z, x).sum(-1).to(x.dtype)
    return gradients, grad_noise, restore_data(dec, z) if wants_y else None
