"""Random draws with a Kronecker covariance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from fourfold.gp import _operators
from fourfold.gp._tensors import like

if TYPE_CHECKING:
    from fourfold.gp.kronecker import Kronecker

__all__ = ["draw", "normal"]


def normal(shape: tuple[int, ...], rng: Any, dtype: torch.dtype) -> Tensor:
    """Standard normal numbers from a NumPy or torch generator, or from a seed."""
    if isinstance(rng, torch.Generator):
        return torch.randn(shape, generator=rng, dtype=dtype)
    if rng is None or isinstance(rng, (int, np.integer)):
        rng = np.random.default_rng(rng)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            "rng: expected None, a seed, numpy.random.Generator or torch.Generator, "
            f"got {type(rng).__name__}"
        )
    return torch.from_numpy(rng.standard_normal(shape)).to(dtype)


def draw(kronecker: Kronecker, count: int, rng: Any, noise: Any) -> Any:
    """See `Kronecker.sample`."""
    from fourfold.gp.kronecker import noise_scalar

    if not isinstance(count, (int, np.integer)) or count < 1:
        raise ValueError(f"count: expected an integer >= 1, got {count!r}")
    kronecker._require_square("sample()")
    total = math.prod(kronecker.sizes)
    shape = (int(count), *kronecker.batch_shape, total)
    if isinstance(rng, int):
        rng = np.random.default_rng(rng)
    x = normal(shape, rng, kronecker.dtype)
    before, after = 1, total
    for k, (n, lower) in enumerate(zip(kronecker.sizes, _lower(kronecker), strict=True)):
        after //= n
        x = (lower.unsqueeze(-3) @ x.reshape(*shape[:-1], before, n, after)).reshape(shape)
        before *= n
    if noise is not None:
        z = normal(shape, rng, kronecker.dtype)
        if isinstance(noise, (list, tuple)):
            from fourfold.gp.kronecker import _System

            x = x + z / _System(kronecker, noise, ())._scale()
        else:
            x = x + z * noise_scalar(noise, kronecker.dtype).sqrt().unsqueeze(-1)
    return like(x, kronecker._numpy)


def _lower(kronecker: Kronecker) -> list[Tensor]:
    tensors = kronecker._tensors
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        dense = [kronecker._dense(k) for k in range(kronecker.ndim)]
        if _operators.is_direct(tensors):
            kronecker.cholesky()  # for its errors
        return [torch.linalg.cholesky((m + m.mT) / 2) for m in dense]
    return [torch.as_tensor(m) for m in kronecker.cholesky()]
