"""Grids with holes, and noise that differs from point to point.

The matrix is ``A = P (K + diag(s)) P'``, P the rows of the identity at the observed points. Vectors keep the length of
the grid and are zero at the missing points.

- Solves by conjugate gradients, preconditioned with ``P (K + mean s)^-1 P'``.
- ``log det A`` of few missing points m: ``log det B + log det (B^-1)_mm`` with ``B = K + s`` (Schur complement).
- of many: ``tr log A`` by stochastic Lanczos quadrature (Ubaru, Chen, Saad, SIAM J. Matrix Anal. Appl. 38, 2017) with
  Rademacher vectors z, as ``sum over observed i of (log B)_ii + mean of [z' log(A) z - z' log(B) z]``: the first sum and
  ``z' log(B) z`` are exact by the eigendecompositions, and what is left fluctuates little. Gauss and Gauss-Radau
  quadrature bound every ``z' log(A) z`` from above and below (Golub and Meurant, Matrices, Moments and Quadrature).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats
from torch import Tensor

from fourfold.errors import ConvergenceError, NotPositiveDefiniteError
from fourfold.gp._sampling import normal

if TYPE_CHECKING:
    from fourfold.gp.kronecker import Kronecker

__all__ = ["DENSE", "MaskedSystem"]

DENSE = 1000
"""Up to this many observed points the log-determinant is that of the dense matrix."""

Array = npt.NDArray[np.float64]

_CHUNK = 2**23  # entries of a block of right-hand sides


class MaskedSystem:
    """``P (K + diag(s)) P'`` for one Kronecker without a batch.

    Parameters
    ----------
    kronecker : Kronecker
    noise : Tensor
        (), one variance; or (N,), one for each point of the grid.
    observed : Tensor of bool, (N,)
    """

    def __init__(self, kronecker: Kronecker, noise: Tensor, observed: Tensor) -> None:
        self.kronecker = kronecker
        self.noise = noise
        self.observed = observed
        self.keep = observed.to(kronecker.dtype)
        self.count = int(observed.sum())
        seen = noise.detach() if noise.ndim == 0 else noise.detach()[observed]
        self.lowest = float(seen.min())
        self.mean = seen.mean()

    def multiply(self, x: Tensor) -> Tensor:
        """``A x``; differentiable with respect to the factors and the noise."""
        return self.keep * self.kronecker._multiply(x) + self.noise * x

    def _precondition(self, r: Tensor) -> Tensor:
        noise = None if float(self.mean) == 0 else self.mean
        return self.keep * self.kronecker._solve_plain(r, noise)

    def solve(self, y: Tensor, tol: float, max_iter: int) -> tuple[Tensor, int, float]:
        """``A^-1 y`` for y (count, N); steps made, and the largest relative residual."""
        with torch.no_grad():
            return self._conjugate_gradients(y.detach() * self.keep, tol, max_iter)

    def _conjugate_gradients(
        self, b: Tensor, tol: float, max_iter: int
    ) -> tuple[Tensor, int, float]:
        size = b.norm(dim=-1)
        size = torch.where(size > 0, size, torch.ones_like(size))
        x = torch.zeros_like(b)
        r = b.clone()
        z = self._precondition(r)
        p = z.clone()
        rz = (r * z).sum(-1)
        steps = 0
        while True:
            if float((r.norm(dim=-1) / size).max()) <= tol:
                # The recursion's residual drifts from the true one: that is what counts.
                r = b - self.multiply(x)
                residual = float((r.norm(dim=-1) / size).max())
                if residual <= tol:
                    return x, steps, residual
                z = self._precondition(r)
                p = z.clone()
                rz = (r * z).sum(-1)
            if steps == max_iter:
                break
            ap = self.multiply(p)
            curvature = (p * ap).sum(-1)
            if bool((curvature < 0).any()):
                raise NotPositiveDefiniteError(
                    "the covariance of the observed points with its noise is not positive definite: conjugate "
                    f"gradients met the curvature {float(curvature.min()):.3g}; give more noise, or jitter= to "
                    "Kronecker()",
                    smallest_eigenvalue=float((curvature / (p * p).sum(-1)).min()),
                )
            # A right-hand side that is done has rz = 0 and stays as it is.
            step = torch.where(curvature > 0, rz / curvature, torch.zeros_like(rz))
            x = x + step.unsqueeze(-1) * p
            r = r - step.unsqueeze(-1) * ap
            z = self._precondition(r)
            new = (r * z).sum(-1)
            ratio = torch.where(rz > 0, new / rz, torch.zeros_like(rz))
            p = z + ratio.unsqueeze(-1) * p
            rz = new
            steps += 1
        residual = float(((b - self.multiply(x)).norm(dim=-1) / size).max())
        raise ConvergenceError(
            f"conjugate gradients: relative residual {residual:.2e} after {steps} steps, wanted {tol:.1e}; "
            "give a larger max_iter= or tol=, or more noise",
            iterations=steps,
            residual=residual,
        )

    # --- log-determinants ------------------------------------------------------------------------------------------

    def dense_logdet(self) -> Tensor:
        """By the Cholesky decomposition of the dense matrix; differentiable."""
        matrix = self.kronecker._dense_tensor()
        matrix = matrix[self.observed][:, self.observed]
        diagonal = self.noise if self.noise.ndim == 0 else self.noise[self.observed]
        matrix = matrix + torch.diag(diagonal.expand(self.count))
        lower, info = torch.linalg.cholesky_ex((matrix + matrix.mT) / 2)
        if int(info) > 0:
            smallest = float(torch.linalg.eigvalsh(matrix.detach())[0])
            raise NotPositiveDefiniteError(
                f"the covariance of the observed points is not positive definite: its Cholesky decomposition stops "
                f"at row {int(info) - 1}, its smallest eigenvalue is {smallest:.3g}",
                pivot=int(info) - 1,
                smallest_eigenvalue=smallest,
            )
        logdet: Tensor = 2 * lower.diagonal().log().sum()
        return logdet

    def low_rank_logdet(self) -> Tensor:
        """Of few missing points and one variance; differentiable."""
        missing = (~self.observed).nonzero()[:, 0]
        total = self.observed.shape[0]
        noise = None if float(self.noise.detach()) == 0 else self.noise
        logdet = self.kronecker._logdet_plain(noise)
        blocks = []
        chunk = max(1, _CHUNK // total)
        for start in range(0, len(missing), chunk):
            some = missing[start : start + chunk]
            units = self.keep.new_zeros(len(some), total)
            units[torch.arange(len(some), device=some.device), some] = 1
            blocks.append(self.kronecker._solve_plain(units, noise)[:, missing])
        if not blocks:
            return logdet
        schur = torch.cat(blocks)
        lower = torch.linalg.cholesky((schur + schur.mT) / 2)
        correction: Tensor = 2 * lower.diagonal().log().sum()
        return logdet + correction

    def lanczos_logdet(
        self, probes: int, rng: Any, steps: int, tol: float, max_iter: int, gradient: bool
    ) -> tuple[Tensor, tuple[float, float], int]:
        """An estimate, its 95 % interval, and the most Lanczos steps; with the gradient's own estimate if wanted."""
        total = self.observed.shape[0]
        drawn = normal((probes, total), rng, self.kronecker.dtype, self.kronecker.device)
        signs = torch.sign(drawn) * self.keep
        with torch.no_grad():
            exact, spread = self._comparison(signs)
            # The quadrature itself, of a few small tridiagonal matrices, is NumPy's.
            compared = spread.cpu().numpy()
            low, high = [], []
            most = 0
            group = max(1, _CHUNK * 4 // (total * min(steps, self.count)))
            for start in range(0, probes, group):
                some = slice(start, start + group)
                below, above, used = self._quadrature(signs[some], steps, compared[some])
                low.append(below)
                high.append(above)
                most = max(most, used)
            lower = np.concatenate(low) - compared + exact
            upper = np.concatenate(high) - compared + exact
        quantile = float(stats.t.ppf(0.975, probes - 1)) / math.sqrt(probes)
        interval = (
            float(lower.mean() - quantile * lower.std(ddof=1)),
            float(upper.mean() + quantile * upper.std(ddof=1)),
        )
        middle = (lower.mean() + upper.mean()) / 2
        value = torch.tensor(middle, dtype=self.kronecker.dtype, device=self.kronecker.device)
        if gradient:
            # d log det A = E z' A^-1 dA z
            solved, _, _ = self.solve(signs, tol, max_iter)
            trace = (solved * self.multiply(signs)).sum(-1).mean()
            value = value + (trace - trace.detach())
        return value, interval, most

    def _comparison(self, signs: Tensor) -> tuple[float, Tensor]:
        """``sum over observed i of (log B)_ii`` and every ``z' log(B) z``, B = K + the mean noise."""
        dec = self.kronecker._decomposition(noise=True)
        values = dec.values[0][0]
        for v in dec.values[1:]:
            values = (values.unsqueeze(-1) * v[0]).flatten(-2)
        spectrum = values + self.mean
        if not bool((spectrum > 0).all()):
            raise NotPositiveDefiniteError(
                "the covariance with its noise is not positive definite: its smallest eigenvalue is "
                f"{float(spectrum.min()):.3g}",
                smallest_eigenvalue=float(spectrum.min()),
            )
        logs = spectrum.log()
        from fourfold.gp import _kernel

        squares = [m.square() for m in dec.matrices]
        diagonal = _kernel.mode_products(squares, logs.reshape(1, 1, -1), transposed=True)[0, 0]
        turned = _kernel.mode_products(dec.matrices, signs.unsqueeze(0).contiguous())[0]
        return float((diagonal * self.keep).sum()), (turned.square() * logs).sum(-1).double()

    def _quadrature(self, z: Tensor, steps: int, compared: Array) -> tuple[Array, Array, int]:
        """Lower and upper bounds of every ``z' log(A) z`` by Lanczos with full reorthogonalisation; z (count, N).

        Stops where the bounds are close beside the spread of what is left after the comparison.
        """
        norms = z.norm(dim=-1, keepdim=True)
        limit = min(steps, self.count)
        basis = z.new_zeros(z.shape[0], limit, z.shape[1])
        current = z / norms
        alphas: list[Array] = []
        betas: list[Array] = []
        # Any positive number below the spectrum serves; a little below the noise, whatever the rounding.
        floor = self.lowest * (1 - 1e-6)
        scale = norms[:, 0].double().cpu().numpy() ** 2
        due = 8
        for step in range(limit):
            basis[:, step] = current
            w = self.multiply(current)
            alphas.append((w * current).sum(-1).double().cpu().numpy())
            known = basis[:, : step + 1]
            for _ in range(2):
                w = w - (known.mT @ (known @ w.unsqueeze(-1))).squeeze(-1)
            size = w.norm(dim=-1, keepdim=True)
            beta = size[:, 0].double().cpu().numpy()
            # An invariant subspace: the quadrature is exact, and what would come next is rounding.
            done = (beta <= 1e-12 * np.abs(alphas[0])) | (step + 1 == self.count)
            if done.any() or step + 1 == due or step + 1 == limit:
                due += max(8, due // 3)
                low, high = _bounds(np.stack(alphas, -1), betas, np.where(done, 0.0, beta), floor)
                low, high = low * scale, high * scale
                spread = float(np.std(high - compared))
                if done.any() or float((high - low).mean()) <= max(1e-3, 0.02 * spread):
                    break
            betas.append(beta)
            current = w / size
        return low, high, len(alphas)


def _bounds(alphas: Array, betas: list[Array], beta: Array, floor: float) -> tuple[Array, Array]:
    """Gauss-Radau with a node at ``floor`` from below, Gauss from above, for e_1' log(T) e_1; T tridiagonal."""
    count, n = alphas.shape
    t = np.zeros((count, n + 1, n + 1))
    index = np.arange(n)
    t[:, index, index] = alphas
    for i, off in enumerate([*betas[: n - 1], beta]):
        t[:, i, i + 1] = t[:, i + 1, i] = off
    leading = t[:, :n, :n]
    gauss = _log_entry(leading)
    unit = np.zeros((count, n, 1))
    unit[:, -1, 0] = beta**2
    # The last diagonal entry that gives the extended matrix the eigenvalue `floor`.
    t[:, n, n] = floor + np.linalg.solve(leading - floor * np.eye(n), unit)[:, -1, 0]
    return np.where(beta > 0, _log_entry(t), gauss), gauss


def _log_entry(t: Array) -> Array:
    values, vectors = np.linalg.eigh(t)
    if values.min() <= 0:
        raise NotPositiveDefiniteError(
            "the covariance of the observed points with its noise is not positive definite: Lanczos found the "
            f"eigenvalue {values.min():.3g}",
            smallest_eigenvalue=float(values.min()),
        )
    return np.asarray((vectors[:, 0] ** 2 * np.log(values)).sum(-1))
