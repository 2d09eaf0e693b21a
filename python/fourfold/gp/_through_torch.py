"""What `_kernel` computes, for tensors that are not the CPU's: batched, through torch's BLAS and LAPACK.

The same functions with the same arguments and results, on the tensors' own device. D is stored here, once a call: N
numbers for each item of the batch. No copy of the data is transposed, except in triangular solves of a mode that is
neither the first nor the last, and in Gram products of such a mode with few entries behind it: BLAS takes one stride
from matrix to matrix, not two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "all_finite",
    "asymmetry",
    "mode_gram",
    "mode_products",
    "row_dots",
    "scale_rows",
    "spectral_divide_",
    "spectral_sums",
    "spectrum",
    "triangular_solves",
]


def _one_mode(matrix: Tensor, x: Tensor) -> Tensor:
    """``M`` (batch or 1, r, n) times every slab of x (batch, slabs, n, after)."""
    batch, slabs, n, after = x.shape
    rows = matrix.shape[-2]
    if after == 1 and matrix.shape[0] == 1:
        flat = x.reshape(batch * slabs, n) @ matrix[0].mT
        return flat.view(batch, slabs, rows, 1)
    if after == 1:
        return torch.bmm(x.squeeze(-1), matrix.mT).unsqueeze(-1)
    if slabs == 1:
        return torch.matmul(matrix, x.squeeze(1)).unsqueeze(1)
    if matrix.shape[0] == 1:  # the same one for all: of stride 0
        flat = x.reshape(batch * slabs, n, after)
        return torch.bmm(matrix.expand(batch * slabs, rows, n), flat).view(
            batch, slabs, rows, after
        )
    # Two batches, of which the matrices know one: a call for each item of the shorter one.
    out = x.new_empty(batch, slabs, rows, after)
    if batch <= slabs:
        for b in range(batch):
            out[b] = torch.bmm(matrix[b].expand(slabs, rows, n), x[b])
    else:
        for s in range(slabs):
            out[:, s] = torch.bmm(matrix, x[:, s])
    return out


def mode_products(matrices: Sequence[Tensor], x: Tensor) -> Tensor:
    """``(M_1 (x) ... (x) M_d) x``."""
    batch, count, total = x.shape
    if x.numel() == 0:
        return x.new_empty(batch, count, math.prod(m.shape[-2] for m in matrices))
    before, after = count, total
    for matrix in matrices:
        rows, columns = matrix.shape[-2:]
        after //= columns
        x = _one_mode(matrix, x.reshape(batch, before, columns, after))
        before *= rows
    return x.reshape(batch, count, math.prod(m.shape[-2] for m in matrices))


def triangular_solves(lower: Sequence[Tensor], x: Tensor, *, transposed: bool) -> Tensor:
    """``(L_1 (x) ... (x) L_d)^-1 x``, or with ``L_k'``."""
    batch, count, total = x.shape
    if x.numel() == 0:
        return torch.empty_like(x)
    before, after = count, total
    for matrix in lower:
        n = matrix.shape[-1]
        after //= n
        x = x.reshape(batch, before, n, after)
        # X L' = Y on rows, L X = Y on columns; with L' for L if transposed.
        if after == 1:
            triangle = matrix if transposed else matrix.mT
            rows = x.squeeze(-1)
            if matrix.shape[0] == 1:
                rows = rows.reshape(1, batch * before, n)
            x = torch.linalg.solve_triangular(triangle, rows, upper=not transposed, left=False)
        else:
            columns = x.transpose(1, 2)
            if matrix.shape[0] == 1:
                columns = x.movedim(2, 0).unsqueeze(0)
            shape = columns.shape
            triangle = matrix.mT if transposed else matrix
            x = torch.linalg.solve_triangular(
                triangle, columns.reshape(*shape[:2], -1), upper=transposed
            ).view(shape)
            x = x.squeeze(0).movedim(0, 2) if matrix.shape[0] == 1 else x.transpose(1, 2)
        before *= n
    return x.reshape(batch, count, total)


def _outer(values: Sequence[Tensor], like: Tensor) -> Tensor:
    """Products of all entries, (batch, ...) in C order; without vectors, ones."""
    result = like.new_ones(like.shape[0], 1)
    for v in values:
        result = (result.unsqueeze(-1) * v.unsqueeze(-2)).flatten(-2)
    return result


def spectrum(values: Sequence[Tensor], noise: Tensor) -> Tensor:
    """D (batch, N)."""
    return _outer(values, noise).add_(noise.unsqueeze(-1))


def spectral_divide_(values: Sequence[Tensor], noise: Tensor, x: Tensor) -> Tensor:
    """``x <- x/D``; returns the sums of ``x^2/D``."""
    d = spectrum(values, noise).unsqueeze(1)
    x.div_(d)
    return row_dots(x * d, x)


def spectral_sums(
    values: Sequence[Tensor], noise: Tensor, *, traces: bool
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    """``sum log D``, ``sum 1/D``, ``min D``; sums of ``lambda_-k/D`` for each mode k. In float64."""
    wide = [v.double() for v in values]
    batch = noise.shape[0]
    d = spectrum(wide, noise.double())
    smallest = d.amin(-1)
    logdet = d.log().sum(-1)
    if not traces:
        return logdet, torch.zeros_like(logdet), smallest, []
    inverse = d.reciprocal_()
    sums = []
    for k, v in enumerate(wide):
        lead, trail = _outer(wide[:k], noise.double()), _outer(wide[k + 1 :], noise.double())
        slabs = inverse.view(batch, lead.shape[-1] * v.shape[-1], trail.shape[-1])
        rows = (slabs @ trail.unsqueeze(-1)).view(batch, lead.shape[-1], v.shape[-1])
        sums.append((lead.unsqueeze(-2) @ rows).squeeze(-2))
    return logdet, inverse.sum(-1), smallest, sums


def mode_gram(
    sizes: Sequence[int], mode: int, x: Tensor, z: Tensor, values: Sequence[Tensor], weight: Tensor
) -> Tensor:
    """``sum_c weight_c X_c(k) diag(lambda_-k) Z_c(k)'``."""
    batch, count, _ = x.shape
    n = sizes[mode]
    if x.numel() == 0:
        return x.new_zeros(batch, n, n)
    before, after = math.prod(sizes[:mode]), math.prod(sizes[mode + 1 :])
    scaled = z.reshape(batch, count, before, n, after) * weight[:, :, None, None, None]
    if values:
        scaled *= _outer(values[mode + 1 :], weight)[:, None, None, None, :]
        scaled *= _outer(values[:mode], weight)[:, None, :, None, None]
    slabs = count * before
    first = x.reshape(batch, slabs, n, after)
    second = scaled.view(batch, slabs, n, after)
    if after == 1:
        return first.squeeze(-1).mT @ second.squeeze(-1)
    if slabs * n > 2 * slabs * after and slabs > 1:
        # The products of all slabs would be much larger than the data.
        first, second = (
            m.transpose(1, 2).reshape(batch, 1, n, slabs * after) for m in (first, second)
        )
    return (first @ second.mT).sum(1)


def asymmetry(matrix: Tensor) -> tuple[float, float]:
    """Largest ``|a_ij|`` and largest ``|a_ij - a_ji|``. Waits for the device."""
    largest = matrix.abs().amax()
    difference = (matrix - matrix.mT).abs().amax()
    first, second = torch.stack([largest, difference]).double().tolist()
    return first, second


def all_finite(x: Tensor) -> bool:
    """Whether every entry is finite. Waits for the device."""
    return bool(torch.isfinite(x).all())


def row_dots(x: Tensor, z: Tensor) -> Tensor:
    """Sums of x*z over the last axis, float64."""
    return (x * z).sum(-1, dtype=torch.float64)


def scale_rows(factor: Tensor, x: Tensor, out: Tensor | None) -> Tensor:
    """``factor[..., None] * x``."""
    if out is None:
        return factor.unsqueeze(-1) * x
    return torch.mul(factor.unsqueeze(-1), x, out=out)
