"""Symmetric Toeplitz matrices are centrosymmetric: J T J = T with J the reversal.

So the orthogonal map ``P = [[1, J], [1, -J]]/sqrt 2`` (with the middle row kept apart if n is odd) makes two blocks
of half the size of it, ``A + B J`` and ``A - B J`` with ``A = T[:m, :m]`` and ``B = T[:m, n-m:]`` (Cantoni and Butler,
Linear Algebra Appl. 13, 1976).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["halves", "join", "split", "unsplit"]


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


def split(x: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors (..., n) -> their even (..., n - m) and odd (..., m) coordinates: ``P x``."""
    n = x.shape[-1]
    m = n // 2
    root = math.sqrt(0.5)
    first, second = x[..., :m], x[..., n - m :].flip(-1)
    even = root * (first + second)
    if n % 2 == 1:
        even = torch.cat([even, x[..., m : m + 1]], -1)
    return even, root * (first - second)


def unsplit(even: Tensor, odd: Tensor) -> Tensor:
    """The inverse of `split`."""
    m = odd.shape[-1]
    root = math.sqrt(0.5)
    first, second = root * (even[..., :m] + odd), root * (even[..., :m] - odd)
    return torch.cat([first, even[..., m:], second.flip(-1)], -1)
