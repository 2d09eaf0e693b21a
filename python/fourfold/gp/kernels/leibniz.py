"""Derivatives of products, for kernels that are made of other functions. Arrays of derivatives start with order 0."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
import numpy.typing as npt

__all__ = ["by_scaling_the_lag", "product_jet", "product_pull_back"]

Array = npt.NDArray[np.float64]


def product_jet(a: Array, b: Array, orders: Sequence[int]) -> Array:
    """``(a b)^(r) = sum_j C(r, j) a^(j) b^(r-j)`` for each r of ``orders``."""
    return np.stack([sum(comb(r, j) * a[j] * b[r - j] for j in range(r + 1)) for r in orders])


def product_pull_back(b: Array, orders: Sequence[int], cotangent: Array) -> Array:
    """Cotangent of ``a``'s derivatives 0 to max(orders), from that of `product_jet`'s result."""
    by_a = np.zeros((max(orders) + 1, *b.shape[1:]))
    for r, c in zip(orders, cotangent, strict=True):
        for j in range(r + 1):
            by_a[j] += comb(r, j) * c * b[r - j]
    return by_a


def by_scaling_the_lag(k: Array, lag: Array, orders: Sequence[int], cotangent: Array) -> float:
    """``d/ds`` at s = 1 of ``sum(cotangent * derivatives of k(s z))``: ``(z k')^(r) = z k^(r+1) + r k^(r)``.

    ``k`` holds the derivatives 0 to max(orders) + 1.
    """
    total = 0.0
    for r, c in zip(orders, cotangent, strict=True):
        total += float(np.sum(c * (lag * k[r + 1] + r * k[r])))
    return total
