"""Systems with long Toeplitz factors, solved as such."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fourfold.gp import _kernel, _operators
from fourfold.gp._decomposition import check_data, decompose
from fourfold.gp._levinson import ToeplitzSolver

if TYPE_CHECKING:
    from fourfold.gp.kronecker import Kronecker

__all__ = ["LEVINSON_SIZE", "ToeplitzSystem", "toeplitz_system"]

LEVINSON_SIZE = 64
"""From here on a Toeplitz factor is solved by Durbin's recursion, if that is accurate."""


class ToeplitzSystem:
    """One solver a factor: a `ToeplitzSolver`, or the Cholesky factor of a dense one."""

    def __init__(
        self,
        sizes: Sequence[int],
        solvers: Sequence[ToeplitzSolver | Tensor],
        dtype: torch.dtype,
    ) -> None:
        self.sizes = sizes
        self.solvers = solvers
        self.dtype = dtype

    @property
    def ways(self) -> tuple[str, ...]:
        """How every factor is solved."""
        return tuple("cholesky" if isinstance(s, Tensor) else s.way for s in self.solvers)

    @property
    def conditions(self) -> tuple[float | None, ...]:
        """Condition numbers of the Toeplitz factors, as far as estimated."""
        return tuple(None if isinstance(s, Tensor) else s.condition for s in self.solvers)

    def solve(self, y: Tensor) -> Tensor:
        """``K^-1`` of y (..., N)."""
        y = y.detach().resolve_neg()
        check_data(y.contiguous())
        shape = y.shape
        after = shape[-1]
        for n, solver in zip(self.sizes, self.solvers, strict=True):
            after //= n
            y = y.reshape(-1, n, after)
            if isinstance(solver, Tensor):
                y = torch.cholesky_solve(y, solver)
            else:
                y = solver.solve(y.mT).mT
        return y.reshape(shape)

    def logdet(self) -> Tensor:
        """``log det K``, ()."""
        total = math.prod(self.sizes)
        logdet = 0.0
        for n, solver in zip(self.sizes, self.solvers, strict=True):
            if isinstance(solver, Tensor):
                one = 2 * float(solver.diagonal().log().sum())
            else:
                one = solver.logdet
            logdet += total // n * one
        return torch.tensor(logdet, dtype=self.dtype)


def toeplitz_system(
    kronecker: Kronecker,
    noise: Tensor | None,
    y: Tensor,
    core: tuple[int, ...],
) -> ToeplitzSystem | None:
    """The system if its Toeplitz factors are solved as such: no batch, no gradient, noise in one dimension only."""
    tensors = [y, *kronecker._tensors] + ([] if noise is None else [noise])
    columns = [c for c in kronecker._columns if c is not None]
    if (
        not any(c.shape[-1] >= LEVINSON_SIZE and _kernel.is_here(c) for c in columns)
        or core != ()
        or kronecker.batch_shape != ()
        or (noise is not None and kronecker.ndim > 1)
        or not _operators.is_direct(tensors)
        or (torch.is_grad_enabled() and any(t.requires_grad for t in tensors))
    ):
        return None
    shift = 0.0 if noise is None else float(noise)
    versions = (shift, *(t._version for t in kronecker._tensors))
    if kronecker._remembered_system is None or kronecker._remembered_system[0] != versions:
        solvers: list[ToeplitzSolver | Tensor] = []
        for k, column in enumerate(kronecker._columns):
            if column is None:
                dense = kronecker._dense(k).detach().resolve_neg()[None].contiguous()
                solvers.append(decompose([dense], [False], noise=False).matrices[0][0])
                continue
            shifted = column.detach().resolve_neg().clone().reshape(-1)
            shifted[0] += shift
            solvers.append(ToeplitzSolver(shifted, k))
        system = ToeplitzSystem(kronecker.sizes, solvers, kronecker.dtype)
        kronecker._remembered_system = versions, system
    return kronecker._remembered_system[1]
