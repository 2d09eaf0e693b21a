"""Symmetric Toeplitz matrices are centrosymmetric: J T J = T with J the reversal.

So the orthogonal map ``P = [[1, J], [1, -J]]/sqrt 2`` (with the middle row kept apart if n is odd) makes two blocks
of half the size of it, ``A + B J`` and ``A - B J`` with ``A = T[:m, :m]`` and ``B = T[:m, n-m:]`` (Cantoni and Butler,
Linear Algebra Appl. 13, 1976).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["centrosymmetric_eigh", "halves", "join"]


def halves(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The even block (batch, n - m, n - m) and the odd one (batch, m, m), m = n // 2."""
    n = matrix.shape[-1]
    m = n // 2
    a = matrix[..., :m, :m]
    b = matrix[..., :m, n - m :].flip(-1)
    odd = a - b
    if n % 2 == 0:
        return a + b, odd
    even = matrix.new_empty(*matrix.shape[:-2], m + 1, m + 1)
    even[..., :m, :m] = a + b
    middle = math.sqrt(2) * matrix[..., :m, m]
    even[..., :m, m] = middle
    even[..., m, :m] = middle
    even[..., m, m] = matrix[..., m, m]
    return even, odd


def join(even: Tensor, odd: Tensor) -> Tensor:
    """Rows in the coordinates of the blocks -> rows of length n: ``[e, o] P``."""
    m = odd.shape[-1]
    root = math.sqrt(0.5)
    n = even.shape[-1] + m
    rows = even.new_empty(*even.shape[:-2], even.shape[-2] + odd.shape[-2], n)
    count = even.shape[-2]
    rows[..., :count, :m] = root * even[..., :m]
    rows[..., :count, n - m :] = root * even[..., :m].flip(-1)
    if n % 2 == 1:
        rows[..., :count, m] = even[..., m]
        rows[..., count:, m] = 0
    rows[..., count:, :m] = root * odd
    rows[..., count:, n - m :] = -root * odd.flip(-1)
    return rows


def centrosymmetric_eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (batch, n), in no order, and eigenvectors in rows (batch, n, n)."""
    even, odd = halves(matrix)
    even_values, even_vectors = torch.linalg.eigh(even)
    odd_values, odd_vectors = torch.linalg.eigh(odd)
    values = torch.cat([even_values, odd_values], -1)
    return values, join(even_vectors.mT, odd_vectors.mT)
