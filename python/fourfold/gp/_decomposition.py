"""Decompositions of the factors, and the checks on the way to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp import _cuda_kernel, _kernel
from fourfold.gp._centrosymmetric import halves, join

__all__ = [
    "ASYMMETRY",
    "Decomposition",
    "check_data",
    "check_factors",
    "check_spectrum",
    "decompose",
    "expanded",
    "not_positive_definite",
    "pack",
    "split",
    "unpack",
]

# Relative to the largest entry. Round-off is far below; finite differences of single entries pass.
ASYMMETRY = {torch.float64: 1e-5, torch.float32: 1e-2}


class Decomposition(NamedTuple):
    """Of all factors: eigenvalues (batch, n_k) and eigenvectors in rows; or, without values, Cholesky factors.

    The matrices have the shape (batch or 1, n_k, n_k).
    """

    values: list[Tensor]
    matrices: list[Tensor]

    @property
    def sizes(self) -> list[int]:
        return [m.shape[-1] for m in self.matrices]


def check_factors(factors: Sequence[Tensor]) -> None:
    """Refuse factors with entries that are not finite, or that are not symmetric."""
    for k, factor in enumerate(factors):
        largest, difference = _kernel.asymmetry(factor)
        if not math.isfinite(largest):
            raise ValueError(f"factors[{k}] has entries that are not finite")
        if difference > ASYMMETRY[factor.dtype] * largest:
            raise ValueError(
                f"factors[{k}] is not symmetric: entries across the diagonal differ by {difference:.3g}, "
                f"the largest entry is {largest:.3g}"
            )


def check_data(y: Tensor, factors: Sequence[Tensor] = ()) -> None:
    """Refuse data that is not finite. ``factors``: of the decomposition that torch is to do next, if it is large."""
    if y.is_cpu and _kernel.is_large(factors) and math.isfinite(float(y.sum())):
        return
    if not _kernel.all_finite(y):
        bad = int((~torch.isfinite(y)).sum())
        raise ValueError(
            f"y: {bad} entries are not finite; give mask= if these were not observed (True: observed)"
        )


def decompose(factors: Sequence[Tensor], toeplitz: Sequence[bool], *, noise: bool) -> Decomposition:
    """Eigendecompositions (``noise``) or Cholesky factors of the symmetric parts of the factors."""
    check_factors(factors)
    if not noise:
        return Decomposition([], [_cholesky(k, f) for k, f in enumerate(factors)])
    # A Toeplitz factor is two problems of half the size.
    pieces: list[list[Tensor]] = [
        [p.contiguous() for p in halves(f)] if t and f.shape[-1] > 1 else [f]
        for f, t in zip(factors, toeplitz, strict=True)
    ]
    solved = iter(_kernel.small_eigh([p for ps in pieces for p in ps if _is_small(p)]))
    systems = []
    for ps in pieces:
        parts = [next(solved) if _is_small(p) else _large_eigh(p) for p in ps]
        if len(parts) == 2:
            (even_values, even), (odd_values, odd) = parts
            parts = [(torch.cat([even_values, odd_values], -1), join(even, odd))]
        systems.append(parts[0])
    return Decomposition([v for v, _ in systems], [m for _, m in systems])


def _is_small(matrix: Tensor) -> bool:
    return (
        matrix.dtype == torch.float64 and _kernel.is_here(matrix) and not _kernel.is_large([matrix])
    )


def _large_eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    if _cuda_kernel.eigh_fits(matrix):
        return _cuda_kernel.eigh(matrix)
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    return values, vectors.mT.contiguous()


def _cholesky(k: int, factor: Tensor) -> Tensor:
    lower: Tensor
    lower, info = torch.linalg.cholesky_ex((factor + factor.mT) / 2)
    if bool(info.any()):
        batch = int(info.nonzero()[0, 0])
        raise not_positive_definite(k, factor[batch], batch, int(info[batch]) - 1)
    return lower.contiguous()  # LAPACK's is in columns


def not_positive_definite(
    k: int, matrix: Tensor, batch: int, pivot: int
) -> NotPositiveDefiniteError:
    """The error that says which factor, where, and by how much."""
    smallest = float(torch.linalg.eigvalsh(matrix.double())[0])
    return NotPositiveDefiniteError(
        f"factors[{k}] (batch item {batch}) is not positive definite: the Cholesky decomposition stops at "
        f"row {pivot}, its smallest eigenvalue is {smallest:.3g}; give noise=, or jitter= to Kronecker()",
        factor=k,
        batch=batch,
        pivot=pivot,
        smallest_eigenvalue=smallest,
    )


def check_spectrum(smallest: Tensor, values: Sequence[Tensor], noise: Tensor) -> None:
    """Refuse spectra whose smallest value is not positive."""
    bad = (~(smallest > 0)).nonzero()
    if len(bad) == 0:
        return
    b = int(bad[0, 0])
    ranges = ", ".join(f"{float(v[b].min()):.3g} to {float(v[b].max()):.3g}" for v in values)
    raise NotPositiveDefiniteError(
        f"the matrix with its noise (batch item {b}) is not positive definite: its smallest eigenvalue is "
        f"{float(smallest[b]):.3g} with noise {float(noise[b]):.3g}; eigenvalues of the factors: {ranges}",
        batch=b,
        smallest_eigenvalue=float(smallest[b]),
    )


def pack(parts: Sequence[Tensor], like: Tensor) -> Tensor:
    """All of them in one vector."""
    return torch.cat([p.reshape(-1) for p in parts]) if parts else like.new_empty(0)


def unpack(
    basis: Tensor, values: Tensor, batch: int, sizes: Sequence[int], items: Sequence[int]
) -> Decomposition:
    """What `pack` made of a decomposition, as views. ``items[k]``: 1 or batch."""
    lists = []
    if values.numel() > 0:
        parts = torch.split(values, [batch * n for n in sizes])
        lists = [v.view(batch, n) for v, n in zip(parts, sizes, strict=True)]
    return Decomposition(lists, split(basis, sizes, items))


def split(packed: Tensor, sizes: Sequence[int], items: Sequence[int]) -> list[Tensor]:
    """Matrices (items, n, n) of one vector, as views."""
    parts = []
    at = packed.storage_offset()
    for count, n in zip(items, sizes, strict=True):
        parts.append(packed.as_strided((count, n, n), (n * n, n, 1), at))
        at += count * n * n
    return parts


def expanded(dec: Decomposition, batch: int) -> Decomposition:
    """Eigenvalues for every item of the batch."""
    return Decomposition([v.expand(batch, -1).contiguous() for v in dec.values], dec.matrices)
