"""Random draws with a Kronecker covariance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from fourfold.gp import _operators
from fourfold.gp._decomposition import decompose
from fourfold.gp._noise import noise_scalar
from fourfold.gp._products import FFT_SIZE
from fourfold.gp._system import System
from fourfold.gp._tensors import like

if TYPE_CHECKING:
    from fourfold.gp.kronecker import Kronecker

__all__ = ["draw", "normal"]


def normal(
    shape: tuple[int, ...], rng: Any, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> Tensor:
    """Standard normal numbers from a NumPy or torch generator, or from a seed.

    A torch generator draws on its own device; what others draw on the CPU is copied to ``device``.
    """
    if isinstance(rng, torch.Generator):
        drawn = torch.randn(shape, generator=rng, dtype=dtype, device=rng.device)
        return drawn.to(device)
    if rng is None or isinstance(rng, (int, np.integer)):
        rng = np.random.default_rng(rng)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            "rng: expected None, a seed, numpy.random.Generator or torch.Generator, "
            f"got {type(rng).__name__}"
        )
    return torch.from_numpy(rng.standard_normal(shape)).to(device, dtype)


def draw(kronecker: Kronecker, count: Any, rng: Any, noise: Any) -> Any:
    """See `Kronecker.sample`."""
    if not isinstance(count, (int, np.integer)) or count < 1:
        raise ValueError(f"count: expected an integer >= 1, got {count!r}")
    kronecker._require_square("sample()")
    total = math.prod(kronecker.sizes)
    shape = (int(count), *kronecker.batch_shape, total)
    if isinstance(rng, int):
        rng = np.random.default_rng(rng)
    roots = [_circulant_root(kronecker, k) for k in range(kronecker.ndim)]
    if all(root is None for root in roots):
        lower = _lower(kronecker)
    else:
        lower = [
            None if root is not None else _lower_of(kronecker, k) for k, root in enumerate(roots)
        ]
    lengths = [
        n if root is None else len(root) for n, root in zip(kronecker.sizes, roots, strict=True)
    ]
    x = normal((*shape[:-1], math.prod(lengths)), rng, kronecker.dtype, kronecker.device)
    before = 1
    for k, n in enumerate(kronecker.sizes):
        after = math.prod(lengths[k + 1 :])
        x = x.reshape(*shape[:-1], before, lengths[k], after)
        root, matrix = roots[k], lower[k]
        if root is not None:
            half = root[: lengths[k] // 2 + 1, None]
            x = torch.fft.irfft(half * torch.fft.rfft(x, dim=-2), lengths[k], dim=-2)[..., :n, :]
        else:
            assert matrix is not None
            x = matrix.unsqueeze(-3) @ x
        before *= n
    x = x.reshape(shape)
    if noise is not None:
        z = normal(shape, rng, kronecker.dtype, kronecker.device)
        if isinstance(noise, (list, tuple)):
            x = x + z / System(kronecker, noise, ()).scale()
        else:
            x = x + z * noise_scalar(noise, kronecker._tensors[0]).sqrt().unsqueeze(-1)
    return like(x, kronecker._numpy)


def _circulant_root(kronecker: Kronecker, k: int) -> Tensor | None:
    """The square root of the spectrum of a circulant that holds a long Toeplitz factor in its corner.

    None if the factor is short, dense, batched or wants a gradient, or if that circulant is not positive
    semidefinite (Dietrich and Newsam, SIAM J. Sci. Comput. 18, 1997): then by Cholesky.
    """
    column = kronecker._columns[k]
    if column is None or column.ndim > 1 or column.shape[0] < FFT_SIZE or column.requires_grad:
        return None
    n = column.shape[0]
    wrapped = torch.cat([column, column[1 : n - 1].flip(0)])
    spectrum = torch.fft.fft(wrapped).real
    return spectrum.sqrt() if bool((spectrum >= 0).all()) else None


def _lower_of(kronecker: Kronecker, k: int) -> Tensor:
    dense = kronecker._dense(k).detach().resolve_neg()
    flat = dense.reshape(-1, *dense.shape[-2:]).contiguous()
    lower = decompose([flat], [False], noise=False).matrices[0]
    return lower.reshape(dense.shape)


def _lower(kronecker: Kronecker) -> list[Tensor | None]:
    tensors = kronecker._tensors
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        dense = [kronecker._dense(k) for k in range(kronecker.ndim)]
        if _operators.is_direct(tensors):
            kronecker.cholesky()  # for its errors
        return [torch.linalg.cholesky((m + m.mT) / 2) for m in dense]
    return [torch.as_tensor(m) for m in kronecker.cholesky()]
