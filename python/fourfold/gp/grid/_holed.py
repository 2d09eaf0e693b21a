"""A grid with holes and many observations, or so many variances of noise: by `Kronecker`'s masked machinery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fourfold.gp._info import PredictInfo
from fourfold.gp.grid._complete import Gradient
from fourfold.gp.grid._state import State
from fourfold.gp.grid._targets import Target

__all__ = ["HoledSystem"]

Array = npt.NDArray[np.float64]

# Units in a block of right-hand sides.
_CHUNK = 2**21


class HoledSystem:
    """``A = P (K + diag s) P'``, P the rows of the identity at the observed points; vectors are 0 elsewhere.

    Parameters
    ----------
    state : State
    mask : ndarray of bool, shape (N,)
    seed : int
        Of the probes of stochastic log-determinants.
    """

    def __init__(self, state: State, mask: npt.NDArray[np.bool_], seed: int) -> None:
        self.state, self.mask, self._seed = state, mask, seed
        self._torch_mask = torch.from_numpy(mask)
        self._noise: Any = (
            state.noise if isinstance(state.noise, float) else torch.from_numpy(state.noise)
        )
        self.logdet = np.nan
        self.ways: tuple[str, ...] = ()
        self.interval: tuple[float, float] | None = None
        self.iterations = 0
        self.residual: float | None = None

    def solve(self, rows: Array) -> Array:
        """``A^-1`` of rows (c, N), 0 at the missing points."""
        data = torch.from_numpy(np.ascontiguousarray(rows))
        with torch.no_grad():
            x, info = self.state.kronecker.solve(
                data, self._noise, mask=self._torch_mask, return_info=True
            )
        self.iterations = max(self.iterations, info.iterations)
        self.residual = max(self.residual or 0.0, info.residual)
        return np.asarray(x.numpy())

    def forms(self, rows: Array) -> Array:
        """Quadratic forms (c,); sets `logdet`, `ways` and `interval`. Much cheaper than with the gradient."""
        with torch.no_grad():
            quads, logdet, info = self.state.kronecker.inv_quad_logdet(
                torch.from_numpy(np.ascontiguousarray(rows)),
                self._noise,
                mask=self._torch_mask,
                rng=self._seed,
                tol=1e-8,
                return_info=True,
            )
        self.logdet, self.ways, self.interval = float(logdet), info.ways[1:], info.interval
        return np.asarray(quads.numpy())

    def evaluate(self, rows: Array, weights: Array, copies: int) -> tuple[Array, Gradient]:
        """Quadratic forms (c,), and the gradient of ``sum(weights * forms) + copies log det A``.

        Sets what `forms` sets. The state wants gradients.
        """
        noise = self._noise
        if isinstance(noise, float):
            noise = torch.tensor(noise, dtype=torch.float64, requires_grad=True)
        quads, logdet, info = self.state.kronecker.inv_quad_logdet(
            torch.from_numpy(np.ascontiguousarray(rows)),
            noise,
            mask=self._torch_mask,
            rng=self._seed,
            tol=1e-8,
            return_info=True,
        )
        self.logdet, self.ways, self.interval = float(logdet.detach()), info.ways[1:], info.interval
        leaves = [*self.state.covariances, *([noise] if noise.requires_grad else [])]
        loss = (torch.from_numpy(weights) * quads).sum() + copies * logdet
        found = [g.numpy() for g in torch.autograd.grad(loss, leaves)]
        by_noise = float(found.pop()) if noise.requires_grad else 0.0
        return quads.detach().numpy(), (found, by_noise)

    def multiply(self, rows: Array) -> Array:
        """``A`` times rows (c, N)."""
        return self.mask * self.state.smooth(rows) + self.state.noise * rows

    def inverse_diagonal(self) -> Array:
        """The diagonal of ``A^-1`` at the observed points, 0 elsewhere, (N,)."""
        seen = np.flatnonzero(self.mask)
        result = np.zeros(self.mask.size)
        step = max(1, _CHUNK // self.mask.size)
        for start in range(0, seen.size, step):
            some = seen[start : start + step]
            units = np.zeros((some.size, self.mask.size))
            units[np.arange(some.size), some] = 1
            w = self.solve(units)
            result[some] = 2 * w[np.arange(some.size), some] - (w * self.multiply(w)).sum(axis=1)
        return result

    def variances(self, target: Target, orders: Sequence[int]) -> tuple[Array, PredictInfo]:
        """Posterior variances of a derivative at the target, (m,), not yet checked."""
        crosses = self.state.crosses(target, orders)
        reductions: list[Array] = [np.empty(0)]
        self.iterations, self.residual = 0, 0.0
        for block in target.rows(crosses):
            for some in _blocks(block * self.mask, max(1, _CHUNK // self.mask.size)):
                w = self.solve(some)
                reductions.append(2 * (w * some).sum(axis=1) - (w * self.multiply(w)).sum(axis=1))
        info = PredictInfo(
            ("conjugate gradients",), iterations=self.iterations, residual=self.residual
        )
        return self.state.prior(orders) - np.concatenate(reductions), info


def _blocks(rows: Array, step: int) -> Iterator[Array]:
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
