"""A Kronecker product with its noise, flattened to what the operators take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fourfold.gp import _algebra, _operators
from fourfold.gp._decomposition import Decomposition, check_data, expanded
from fourfold.gp._info import SolveInfo
from fourfold.gp._noise import noise_scalar, noise_vectors
from fourfold.gp._split import Split, broadcast, reshaped
from fourfold.gp._toeplitz_system import ToeplitzSystem, toeplitz_system

if TYPE_CHECKING:
    from fourfold.gp.kronecker import Kronecker

__all__ = ["System"]


class System:
    """``K + S`` with everything flattened. Kronecker-diagonal noise is scaled to the identity first."""

    def __init__(
        self, kronecker: Kronecker, noise: Any, data: tuple[int, ...] | torch.Size
    ) -> None:
        kronecker._require_square("this")
        self.kronecker = kronecker
        self.scales: list[Tensor] = []
        scalar: Tensor | None = None
        core = kronecker.batch_shape
        if isinstance(noise, (list, tuple)):
            self.scales = noise_vectors(kronecker, noise)
            core = broadcast(core, *(s.shape[:-1] for s in self.scales))
            scalar = kronecker._tensors[0].new_ones(())
        elif noise is not None:
            scalar = noise_scalar(noise, kronecker._tensors[0])
            try:
                core = broadcast(core, scalar.shape)
            except ValueError:
                raise ValueError(
                    f"noise: expected a number, or shape {core} as the batch, got {tuple(scalar.shape)}"
                ) from None
        self.split = Split(core, data)
        core = self.split.core
        self.noise = None if scalar is None else reshaped(scalar.expand(core), (math.prod(core),))
        self._core = core
        self._by_levinson: ToeplitzSystem | None = None

    def _factors(self) -> list[Tensor]:
        kronecker = self.kronecker
        if not self.scales:
            return [kronecker._flat_factor(k, self._core) for k in range(kronecker.ndim)]
        factors = []
        for k, scale in enumerate(self.scales):
            root = scale.rsqrt()
            matrix = kronecker._dense(k) * root.unsqueeze(-1) * root.unsqueeze(-2)
            if math.prod(matrix.shape[:-2]) != 1:
                matrix = matrix.expand(*self._core, *matrix.shape[-2:])
            factors.append(matrix.reshape(-1, *matrix.shape[-2:]))
        return factors

    def scale(self) -> Tensor:
        """``S^-1/2``, (*core, N)."""
        result = self.scales[0].rsqrt()
        for vector in self.scales[1:]:
            result = (result.unsqueeze(-1) * vector.rsqrt().unsqueeze(-2)).flatten(-2)
        return result

    def _toeplitz(self) -> list[bool]:
        return [False] * self.kronecker.ndim if self.scales else self.kronecker._toeplitz

    def _remembered(self, y: Tensor) -> Decomposition | None:
        """The decomposition that the Kronecker remembers, where nothing wants a gradient."""
        tensors = [y, *self.kronecker._tensors] + ([] if self.noise is None else [self.noise])
        if self.scales or not _operators.is_direct(tensors):
            return None
        if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
            return None
        if any(
            b not in ((), self._core)
            for b in map(self.kronecker._batch_of, range(len(self.kronecker.sizes)))
        ):
            return None
        dec = self.kronecker._decomposition(noise=self.noise is not None)
        return expanded(dec, self.split.batch)

    def info(self) -> SolveInfo:
        kronecker = self.kronecker
        if self._by_levinson is None:
            way = "cholesky" if self.noise is None else "eigendecomposition"
            return SolveInfo((way,) * kronecker.ndim, (None,) * kronecker.ndim, kronecker.jitter)
        system = self._by_levinson
        return SolveInfo(system.ways, system.conditions, kronecker.jitter)

    def _levinson(self, y: Tensor) -> ToeplitzSystem | None:
        """The system of Toeplitz factors, if they are solved as such."""
        if not self.scales:
            self._by_levinson = toeplitz_system(self.kronecker, self.noise, y, self._core)
        return self._by_levinson

    def solve(self, y: Tensor) -> Tensor:
        system = self._levinson(y)
        if system is not None:
            return system.solve(y)
        if self.scales:
            y = y * self.scale()
        data = self.split.flatten(y)
        dec = self._remembered(data)
        if dec is None:
            x = _operators.solve(self._factors(), self.noise, data, self._toeplitz())
        else:
            data = data.detach().resolve_neg()
            check_data(data, dec.matrices if dec.values else ())
            noise = None if self.noise is None else self.noise.detach().resolve_neg().contiguous()
            if noise is not None:
                _algebra.logdet_of(dec, noise, self.split.batch)
            x = _algebra.solve_with(dec, noise, data)
        x = self.split.restore(x)
        return x * self.scale() if self.scales else x

    def inv_quad_logdet(self, y: Tensor) -> tuple[Tensor, Tensor]:
        system = self._levinson(y)
        if system is not None:
            return (y * system.solve(y)).sum(-1), system.logdet()
        if self.scales:
            y = y * self.scale()
        split = self.split if y.shape[:-1] == self.split.full else Split(self._core, y.shape[:-1])
        data = split.flatten(y)
        dec = self._remembered(data)
        if dec is None:
            quad, logdet = _operators.inv_quad_logdet(
                self._factors(), self.noise, data, self._toeplitz()
            )
        else:
            data = data.detach().resolve_neg()
            check_data(data, dec.matrices if dec.values else ())
            noise = None if self.noise is None else self.noise.detach().resolve_neg().contiguous()
            logdet = _algebra.logdet_of(dec, noise, split.batch).to(y.dtype)
            quad = _algebra.reduce_data(dec, noise, data)[1].to(y.dtype)
        logdet = reshaped(logdet, self._core)
        if self.scales:
            total = math.prod(self.kronecker.sizes)
            for vector in self.scales:
                logdet = logdet + (total // vector.shape[-1]) * vector.log().sum(-1)
        return split.restore(quad), logdet
