"""Dense linear algebra to compare with."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def spd(rng: np.random.Generator, *shape: int, ridge: float = 0.5) -> Array:
    """Random symmetric positive definite matrices of shape (*shape, shape[-1])."""
    a = rng.standard_normal((*shape, shape[-1]))
    return np.asarray(a @ a.swapaxes(-1, -2) / shape[-1] + ridge * np.eye(shape[-1]))


def kron(factors: Sequence[Array]) -> Array:
    """The dense Kronecker product, batches included."""
    batch = np.broadcast_shapes(*(f.shape[:-2] for f in factors))
    full = [np.broadcast_to(f, (*batch, *f.shape[-2:])) for f in factors]
    rows = int(np.prod([f.shape[-2] for f in factors]))
    columns = int(np.prod([f.shape[-1] for f in factors]))
    out = np.empty((*batch, rows, columns))
    for index in np.ndindex(*batch):
        out[index] = functools.reduce(np.kron, [f[index] for f in full])
    return out


def matern52(n: int, lengthscale: float, length: float = 1.0) -> Array:
    x = np.linspace(0, length, n)
    d = np.abs(x[:, None] - x) / lengthscale
    root = np.sqrt(5) * d
    return np.asarray((1 + root + root**2 / 3) * np.exp(-root))
