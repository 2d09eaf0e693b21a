"""Products and solves along the modes of large systems, by torch's BLAS.

The same functions as in `_kernel`, item by item of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["mode_gram", "mode_products", "triangular_solves"]


def mode_products(matrices: Sequence[Tensor], x: Tensor) -> Tensor:
    """``(M_1 (x) ... (x) M_d) x``."""
    batch, count, total = x.shape
    out = []
    for b in range(batch):
        y = x[b]
        before, after = count, total
        for matrix in matrices:
            m = matrix[b if matrix.shape[0] > 1 else 0]
            rows, columns = m.shape
            after //= columns
            if after == 1:
                y = y.reshape(before, columns) @ m.mT
            elif before == 1:
                y = m @ y.reshape(columns, after)
            else:
                y = torch.matmul(m, y.reshape(before, columns, after))
            before *= rows
        out.append(y.reshape(count, math.prod(m.shape[-2] for m in matrices)))
    return out[0].unsqueeze(0) if batch == 1 else torch.stack(out)


def triangular_solves(lower: Sequence[Tensor], x: Tensor, transposed: bool) -> Tensor:
    """``(L_1 (x) ... (x) L_d)^-1 x``, or with ``L_k'``."""
    batch, count, total = x.shape
    out = []
    for b in range(batch):
        y = x[b]
        before, after = count, total
        for matrices in lower:
            m = matrices[b if matrices.shape[0] > 1 else 0]
            n = m.shape[-1]
            after //= n
            # X L' = Y on rows, L X = Y on columns; with L' for L if transposed.
            if after == 1:
                y = torch.linalg.solve_triangular(
                    m if transposed else m.mT,
                    y.reshape(before, n),
                    upper=not transposed,
                    left=False,
                )
            else:
                y = torch.linalg.solve_triangular(
                    m.mT if transposed else m, y.reshape(before, n, after), upper=transposed
                )
            before *= n
        out.append(y.reshape(1, count, total))
    return out[0] if batch == 1 else torch.cat(out)


def mode_gram(
    sizes: Sequence[int], mode: int, x: Tensor, z: Tensor, values: Sequence[Tensor], weight: Tensor
) -> Tensor:
    """``sum_c weight_c X_c(k) diag(lambda_-k) Z_c(k)'``."""
    batch, count, _ = x.shape
    n = sizes[mode]
    before, after = math.prod(sizes[:mode]), math.prod(sizes[mode + 1 :])
    out = []
    for b in range(batch):
        scaled = (z[b] * weight[b].unsqueeze(-1)).reshape(count, before, n, after)
        if values:
            lead, trail = z.new_ones(1), z.new_ones(1)
            for k, v in enumerate(values):
                if k < mode:
                    lead = (lead.unsqueeze(-1) * v[b]).flatten()
                elif k > mode:
                    trail = (trail.unsqueeze(-1) * v[b]).flatten()
            scaled = scaled * trail * lead[:, None, None]
        first = x[b].reshape(count * before, n, after)
        scaled = scaled.reshape(count * before, n, after)
        if after == 1:
            out.append(first.squeeze(-1).mT @ scaled.squeeze(-1))
        else:
            total = x.new_zeros(n, n)
            for one, other in zip(first, scaled, strict=True):
                total.addmm_(one, other.mT)
            out.append(total)
    return torch.stack(out)
