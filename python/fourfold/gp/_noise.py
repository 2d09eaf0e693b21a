"""Noise as it is given, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from fourfold.gp._cuda_kernel import is_capturing
from fourfold.gp._tensors import as_tensor

if TYPE_CHECKING:
    from fourfold.gp._matrix import KroneckerMatrix

__all__ = ["noise_scalar", "noise_vectors"]


def noise_scalar(noise: Any, factor: Tensor) -> Tensor:
    """A variance as a tensor of the dtype and device of the factors, checked to be finite and not negative."""
    number = isinstance(noise, (int, float, np.floating, np.integer)) and not isinstance(
        noise, bool
    )
    if number:
        value = torch.tensor(float(noise), dtype=factor.dtype)
    else:
        value = as_tensor("noise", noise, factor)
    # While a CUDA graph is recorded nothing can be looked at.
    looks = not torch.compiler.is_compiling() and not (value.is_cuda and is_capturing())
    if looks and type(value) in (Tensor, torch.nn.Parameter):
        plain = value.detach()
        lowest = highest = float(plain) if plain.ndim == 0 else 0.0
        if plain.ndim and plain.numel():  # both at once: a GPU is waited for
            lowest, highest = torch.stack(torch.aminmax(plain)).tolist()
        if not 0 <= lowest <= highest < math.inf:
            raise ValueError(
                f"noise: expected finite variances >= 0, got {highest if lowest >= 0 else lowest}"
            )
    if number and factor.device.type != "cpu":
        # No copy: that would wait, and could not be recorded in a CUDA graph.
        return torch.full((), float(noise), dtype=factor.dtype, device=factor.device)
    return value


def noise_vectors(kronecker: KroneckerMatrix, noise: Sequence[Any]) -> list[Tensor]:
    """The vectors of Kronecker-diagonal noise, checked to be positive and of the sizes of the factors."""
    if len(noise) != kronecker.ndim:
        raise ValueError(
            f"noise: expected {kronecker.ndim} vectors, one a factor, got {len(noise)}"
        )
    vectors = []
    for k, (entry, n) in enumerate(zip(noise, kronecker.sizes, strict=True)):
        vector = as_tensor(f"noise[{k}]", entry, kronecker._tensors[0])
        if vector.ndim == 0 or vector.shape[-1] != n:
            raise ValueError(f"noise[{k}]: expected shape (..., {n}), got {tuple(vector.shape)}")
        if not torch.compiler.is_compiling() and not bool((vector > 0).all()):
            raise ValueError(f"noise[{k}]: expected positive numbers, got {float(vector.min())}")
        vectors.append(vector)
    return vectors
