"""Solves and log-determinants of one symmetric Toeplitz matrix: fast where that is accurate.

Durbin's recursion gives the log-determinant and the predictor p, ``T p = E e_1``, in O(n^2); the inverse is then
(Gohberg and Semencul, Mat. Issled. 7, 1972)

    T^-1 = (L(p) L(p)' - L(q) L(q)')/E,    q = (0, p[n-1], ..., p[1]),

with L(v) the lower triangular Toeplitz matrix of first column v: products by FFT, O(n log n). The errors of both grow
with the condition of T. It is estimated from ``|T|_1 |T^-1|_1 <= |T|_1 2 |p|_1^2/E``; where that says more than `WORST`,
or where the recursion stops, the matrix is split by its centrosymmetry and decomposed by Cholesky.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp import _kernel
from fourfold.gp._centrosymmetric import halves, split, unsplit

__all__ = ["WORST", "ToeplitzSolver"]

WORST = 1e9
"""The largest condition number for which the recursion is used."""

_EPS = torch.finfo(torch.float64).eps


class ToeplitzSolver:
    """One symmetric positive definite Toeplitz matrix, decomposed.

    Parameters
    ----------
    column : Tensor of shape (n,)
        Its first column.
    factor, batch : int
        For the error message.

    Attributes
    ----------
    way : str
        ``"levinson"`` or ``"centrosymmetric cholesky"``.
    logdet : float
    condition : float
        The estimate of the condition number; infinite where the recursion stopped.
    """

    def __init__(self, column: Tensor, factor: int = 0, batch: int = 0) -> None:
        self._dtype = column.dtype
        self._column = column.detach().resolve_neg().double().contiguous()
        if not bool(torch.isfinite(self._column).all()):
            raise ValueError(f"factors[{factor}] has entries that are not finite")
        predictor, row, self.logdet, last = _kernel.durbin(self._column)
        self.condition = math.inf
        if row < 0:
            norm = float(2 * self._column.abs().sum() - self._column[0].abs())
            inverse = 2 * float(predictor.abs().sum()) ** 2 / last
            if math.isfinite(norm * inverse):
                self.condition = norm * inverse
        if self.condition <= WORST and math.isfinite(self.logdet):
            self.way = "levinson"
            self._prepare(predictor, last)
        else:
            self.way = "centrosymmetric cholesky"
            self._decompose(factor, batch)

    def _prepare(self, predictor: Tensor, last: float) -> None:
        from fourfold.gp.toeplitz import fast_length

        n = predictor.shape[0]
        self._length = fast_length(2 * n)
        shifted = torch.zeros_like(predictor)
        shifted[1:] = predictor[1:].flip(0)
        self._spectra = torch.fft.rfft(torch.stack([predictor, shifted]), self._length)
        self._last = last

    def _decompose(self, factor: int, batch: int) -> None:
        from fourfold.gp.toeplitz import dense

        self._lower = []
        self.logdet = 0.0
        for half in halves(dense(self._column)):
            lower, info = torch.linalg.cholesky_ex(half)
            if int(info) > 0:
                self._refuse(factor, batch, int(info) - 1)
            self.logdet += 2 * float(lower.diagonal().log().sum())
            self._lower.append(lower)

    def _refuse(self, factor: int, batch: int, pivot: int) -> None:
        from fourfold.gp.toeplitz import dense

        smallest = min(
            float(torch.linalg.eigvalsh(half)[0])
            for half in halves(dense(self._column))
            if half.numel()
        )
        raise NotPositiveDefiniteError(
            f"factors[{factor}] (batch item {batch}, Toeplitz) is not positive definite: the Cholesky decomposition "
            f"of a centrosymmetric half stops at row {pivot}, its smallest eigenvalue is {smallest:.3g}; give "
            "noise=, or jitter= to Kronecker()",
            factor=factor,
            batch=batch,
            pivot=pivot,
            smallest_eigenvalue=smallest,
        )

    def solve(self, b: Tensor) -> Tensor:
        """``T^-1 b`` along the last axis of b (..., n)."""
        if b.numel() == 0:
            return b
        b = b.double()
        if self.way == "levinson":
            x = self._inverse(b)
            # One step of refinement takes out what the products by FFT put in.
            x = x + self._inverse(b - self._multiply(x))
        else:
            even, odd = (
                torch.cholesky_solve(part.unsqueeze(-1), lower).squeeze(-1)
                if part.shape[-1]
                else part
                for part, lower in zip(split(b), self._lower, strict=True)
            )
            x = unsplit(even, odd)
        return x.to(self._dtype)

    def _multiply(self, x: Tensor) -> Tensor:
        from fourfold.gp.toeplitz import multiply

        return multiply(self._column, x.unsqueeze(-1)).squeeze(-1)

    def _inverse(self, b: Tensor) -> Tensor:
        n = b.shape[-1]
        plus, minus = self._spectra
        spectrum = torch.fft.rfft(b, self._length)
        # L(v)' b is a correlation, L(v) u a convolution, each cut to the first n entries.
        total = torch.zeros_like(spectrum)
        for kernel, sign in ((plus, 1.0), (minus, -1.0)):
            u = torch.fft.irfft(kernel.conj() * spectrum, self._length)[..., :n]
            total = total + sign * kernel * torch.fft.rfft(u, self._length)
        full: Tensor = torch.fft.irfft(total, self._length)
        return full[..., :n] / self._last
