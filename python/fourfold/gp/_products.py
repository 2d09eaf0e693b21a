"""The product of a Kronecker matrix and vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from fourfold.gp import _kernel, _operators
from fourfold.gp._split import Split
from fourfold.gp.toeplitz import multiply

if TYPE_CHECKING:
    from fourfold.gp._matrix import KroneckerMatrix

__all__ = ["FFT_SIZE", "product"]

FFT_SIZE = 512
"""From here on a Toeplitz factor is applied by FFT."""


def product(matrix: KroneckerMatrix, x: Tensor) -> Tensor:
    """``K x`` for x (..., N) -> (..., rows); leading dimensions broadcast with the batch."""
    direct = _operators.is_direct([x, *matrix._tensors]) and not (
        torch.is_grad_enabled() and any(t.requires_grad for t in [x, *matrix._tensors])
    )
    long = [
        m is None and n >= FFT_SIZE for m, n in zip(matrix._matrices, matrix.sizes, strict=True)
    ]
    if direct and not any(long):
        split = Split(matrix.batch_shape, x.shape[:-1])
        matrices = [matrix._flat_factor(k, split.core).resolve_neg() for k in range(matrix.ndim)]
        data = split.flatten(x.detach().resolve_neg())
        return split.restore(_kernel.mode_products(matrices, data))
    batch = np.broadcast_shapes(matrix.batch_shape, x.shape[:-1])
    x = x.expand(*batch, x.shape[-1])
    before, after = 1, math.prod(matrix.sizes)
    for k in range(matrix.ndim):
        after //= matrix.sizes[k]
        x = x.reshape(*batch, before, matrix.sizes[k], after)
        column = matrix._columns[k]
        if column is not None and long[k]:
            x = multiply(column.unsqueeze(-2), x)
        elif after == 1:
            x = (x.squeeze(-1) @ matrix._dense(k).mT).unsqueeze(-1)
        else:
            x = matrix._dense(k).unsqueeze(-3) @ x
        before *= matrix._rows[k]
    return x.reshape(*batch, before)
