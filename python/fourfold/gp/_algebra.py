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
from typing import NamedTuple

import torch
from torch import Tensor

from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp import _kernel
from fourfold.gp._centrosymmetric import halves, join

__all__ = [
    "Decomposition",
    "decompose",
    "inv_quad_logdet",
    "inv_quad_logdet_backward",
    "pack",
    "solve",
    "solve_backward",
    "unpack",
]

# Relative to the largest entry. Round-off is far below; finite differences of single entries pass.
_ASYMMETRY = {torch.float64: 1e-5, torch.float32: 1e-2}


class Decomposition(NamedTuple):
    """Of all factors: eigenvalues (batch, n_k) and eigenvectors in rows; or, without values, Cholesky factors.

    The matrices have the shape (batch or 1, n_k, n_k).
    """

    values: list[Tensor]
    matrices: list[Tensor]

    @property
    def sizes(self) -> list[int]:
        return [m.shape[-1] for m in self.matrices]


def check_factors(factors: Sequence[Tensor]) -> None:
    """Refuse factors with entries that are not finite, or that are not symmetric."""
    for k, factor in enumerate(factors):
        largest, difference = _kernel.asymmetry(factor)
        if not math.isfinite(largest):
            raise ValueError(f"factors[{k}] has entries that are not finite")
        if difference > _ASYMMETRY[factor.dtype] * largest:
            raise ValueError(
                f"factors[{k}] is not symmetric: entries across the diagonal differ by {difference:.3g}, "
                f"the largest entry is {largest:.3g}"
            )


def check_data(y: Tensor) -> None:
    """Refuse data that is not finite."""
    if not _kernel.all_finite(y):
        bad = int((~torch.isfinite(y)).sum())
        raise ValueError(
            f"y: {bad} entries are not finite; give mask= if these were not observed (True: observed)"
        )


def decompose(factors: Sequence[Tensor], toeplitz: Sequence[bool], *, noise: bool) -> Decomposition:
    """Eigendecompositions (``noise``) or Cholesky factors of the symmetric parts of the factors."""
    check_factors(factors)
    if not noise:
        return Decomposition(
            [], [_cholesky(k, f, t) for k, (f, t) in enumerate(zip(factors, toeplitz, strict=True))]
        )
    # A Toeplitz factor is two problems of half the size.
    pieces: list[list[Tensor]] = [
        [p.contiguous() for p in halves(f)] if t and f.shape[-1] > 1 else [f]
        for f, t in zip(factors, toeplitz, strict=True)
    ]
    solved = iter(_kernel.small_eigh([p for ps in pieces for p in ps if _is_small(p)]))
    systems = []
    for ps in pieces:
        parts = [next(solved) if _is_small(p) else _large_eigh(p) for p in ps]
        if len(parts) == 2:
            (even_values, even), (odd_values, odd) = parts
            parts = [(torch.cat([even_values, odd_values], -1), join(even, odd))]
        systems.append(parts[0])
    return Decomposition([v for v, _ in systems], [m for _, m in systems])


def _is_small(matrix: Tensor) -> bool:
    return matrix.dtype == torch.float64 and matrix.shape[-1] <= _kernel.SMALL


def _large_eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    return values, vectors.mT.contiguous()


def _cholesky(k: int, factor: Tensor, toeplitz: bool) -> Tensor:
    lower: Tensor
    lower, info = torch.linalg.cholesky_ex((factor + factor.mT) / 2)
    if bool(info.any()):
        batch = int(info.nonzero()[0, 0])
        raise not_positive_definite(k, factor[batch], batch, int(info[batch]) - 1)
    return lower


def not_positive_definite(
    k: int, matrix: Tensor, batch: int, pivot: int
) -> NotPositiveDefiniteError:
    """The error that says which factor, where, and by how much."""
    smallest = float(torch.linalg.eigvalsh(matrix.double())[0])
    return NotPositiveDefiniteError(
        f"factors[{k}] (batch item {batch}) is not positive definite: the Cholesky decomposition stops at "
        f"row {pivot}, its smallest eigenvalue is {smallest:.3g}; give noise=, or jitter= to Kronecker()",
        factor=k,
        batch=batch,
        pivot=pivot,
        smallest_eigenvalue=smallest,
    )


def _check_spectrum(smallest: Tensor, values: Sequence[Tensor], noise: Tensor) -> None:
    bad = (~(smallest > 0)).nonzero()
    if len(bad) == 0:
        return
    b = int(bad[0, 0])
    ranges = ", ".join(f"{float(v[b].min()):.3g} to {float(v[b].max()):.3g}" for v in values)
    raise NotPositiveDefiniteError(
        f"the matrix with its noise (batch item {b}) is not positive definite: its smallest eigenvalue is "
        f"{float(smallest[b]):.3g} with noise {float(noise[b]):.3g}; eigenvalues of the factors: {ranges}",
        batch=b,
        smallest_eigenvalue=float(smallest[b]),
    )


def pack(parts: Sequence[Tensor], like: Tensor) -> Tensor:
    """All of them in one vector."""
    return torch.cat([p.reshape(-1) for p in parts]) if parts else like.new_empty(0)


def unpack(
    basis: Tensor, values: Tensor, batch: int, sizes: Sequence[int], items: Sequence[int]
) -> Decomposition:
    """What `pack` made of a decomposition, as views. ``items[k]``: 1 or batch."""
    matrices, lists = [], []
    at = 0
    for n, count in zip(sizes, items, strict=True):
        matrices.append(basis[at : at + count * n * n].view(count, n, n))
        at += count * n * n
    if values.numel() > 0:
        at = 0
        for n in sizes:
            lists.append(values[at : at + batch * n].view(batch, n))
            at += batch * n
    return Decomposition(lists, matrices)


def expanded(dec: Decomposition, batch: int) -> Decomposition:
    """Eigenvalues for every item of the batch."""
    return Decomposition([v.expand(batch, -1).contiguous() for v in dec.values], dec.matrices)


def reduce_data(dec: Decomposition, noise: Tensor | None, y: Tensor) -> tuple[Tensor, Tensor]:
    """X = (V y)/D or B = L^-1 y, and the quadratic forms, float64 (batch, count)."""
    if noise is None:
        x = _kernel.scale_rows(y.new_ones(y.shape[:2]), y)
        _kernel.triangular_solves_(dec.matrices, x)
        return x, _kernel.row_dots(x, x)
    x = _kernel.mode_products(dec.matrices, y)
    return x, _kernel.spectral_divide_(dec.values, noise, x)


def restore_data(dec: Decomposition, x: Tensor) -> Tensor:
    """V'X or L^-T B: the solution."""
    if dec.values:
        return _kernel.mode_products(dec.matrices, x, transposed=True)
    x = _kernel.scale_rows(x.new_ones(x.shape[:2]), x)
    _kernel.triangular_solves_(dec.matrices, x, transposed=True)
    return x


def logdet_of(dec: Decomposition, noise: Tensor | None, batch: int) -> Tensor:
    """float64 (batch,)."""
    if noise is not None:
        logdet, _, smallest, _ = _kernel.spectral_sums(dec.values, noise)
        _check_spectrum(smallest, dec.values, noise)
        return logdet
    total = math.prod(dec.sizes)
    logdet = torch.zeros(batch, dtype=torch.float64)
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
    check_data(y)
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
        _kernel.scale_rows(2 * grad_quad, grad_y, grad_y)
    grad_noise = None
    traces: list[Tensor] = []
    if noise is not None:
        _, inverse, _, traces = _kernel.spectral_sums(dec.values, noise, traces=True)
        norms = _kernel.row_dots(x, x)
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
    check_data(y)
    batch = y.shape[0]
    dec = expanded(decompose(factors, toeplitz, noise=noise is not None), batch)
    if noise is not None:
        logdet_of(dec, noise, batch)  # for its check
    x, _ = reduce_data(dec, noise, y)
    return restore_data(dec, x), dec, x


def solve_backward(
    grad: Tensor,
    dec: Decomposition,
    noise: Tensor | None,
    x: Tensor,
    wanted: Sequence[bool],
) -> tuple[list[Tensor | None], Tensor | None, Tensor]:
    """Gradients of the factors (None where not wanted), of the noise and of y."""
    z, _ = reduce_data(dec, noise, grad.contiguous())
    ones = x.new_ones(x.shape[:2])
    gradients: list[Tensor | None] = []
    for k, want in enumerate(wanted):
        if not want:
            gradients.append(None)
            continue
        gram = _kernel.mode_gram(dec.sizes, k, z, x, dec.values, ones)
        gradients.append(_factor_gradient(dec, k, -(gram + gram.mT) / 2))
    grad_noise = None if noise is None else -_kernel.row_dots(z, x).sum(-1).to(x.dtype)
    return gradients, grad_noise, restore_data(dec, z)
