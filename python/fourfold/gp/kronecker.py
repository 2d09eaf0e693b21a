"""`Kronecker`: a lazy Kronecker product of covariance matrices, with or without noise."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fourfold.gp import _algebra, _kernel, _operators
from fourfold.gp._info import SolveInfo
from fourfold.gp._levinson import ToeplitzSolver
from fourfold.gp._missing import DENSE, MaskedSystem
from fourfold.gp._tensors import as_tensor, is_array, like
from fourfold.gp.toeplitz import Toeplitz, dense, multiply

__all__ = ["Kronecker"]

# From here on a Toeplitz factor is applied by FFT.
_FFT_SIZE = 512

# From here on a Toeplitz factor is solved by Durbin's recursion, if that is accurate.
_LEVINSON_SIZE = 64


class Kronecker:
    """The matrix ``K = K_1 (x) K_2 (x) ... (x) K_d``, never formed.

    Vectors have N = n_1 n_2 ... n_d entries in C order (the last factor's index runs fastest): they are what
    ``field.reshape(-1)`` makes of a field on the grid. Methods that take a vector ``y`` take it flat, of shape
    (..., N), or as a grid, (..., n_1, ..., n_d), and give results in the shape that came in. Leading dimensions of
    ``y`` beyond the batch of ``K`` are more right-hand sides.

    Parameters
    ----------
    factors : sequence of arrays, tensors or `Toeplitz`
        ``K_k`` of shape (..., n_k, n_k), float32 or float64, all of one kind of array and one dtype. Leading
        dimensions are a batch and broadcast. For ``@``, `to_dense`, `diagonal` and `transpose` factors may be
        rectangular and need not be symmetric; everything else uses the symmetric part ``(K_k + K_k')/2`` and refuses
        factors whose entries across the diagonal differ by more than 1e-5 of the largest entry (1e-2 in float32).
    jitter : float, optional
        Added to the diagonal of every factor, relative to the mean of that diagonal. By default nothing is added.

    Attributes
    ----------
    sizes : tuple of int
        ``n_1, ..., n_d`` (of the columns, if rectangular).
    batch_shape : tuple of int
    jitter : tuple
        What was added to each factor's diagonal: numbers, or arrays of the shape of its batch.

    Raises
    ------
    TypeError, ValueError
        Factors of mixed kinds, dtypes or shapes that do not fit.
    """

    def __init__(self, factors: Sequence[Any], *, jitter: float = 0.0) -> None:
        if (
            is_array(factors)
            or isinstance(factors, (str, Toeplitz))
            or not isinstance(factors, Sequence)
        ):
            raise TypeError(
                f"factors: expected a list of matrices, got {type(factors).__name__}; "
                "one matrix alone is Kronecker([matrix])"
            )
        if len(factors) == 0:
            raise ValueError("factors: expected at least one matrix, got none")
        if len(factors) > 32:
            raise ValueError(f"factors: expected at most 32, got {len(factors)}")
        amount: Any = jitter
        if not isinstance(amount, (int, float)) or not 0 <= amount < math.inf:
            raise ValueError(f"jitter: expected a number >= 0, got {jitter!r}")
        columns: list[Tensor | None] = []
        matrices: list[Tensor | None] = []
        kinds = set()
        for k, factor in enumerate(factors):
            name = f"factors[{k}]"
            if isinstance(factor, Toeplitz):
                columns.append(factor._column)
                matrices.append(None)
                kinds.add(factor._numpy)
                continue
            matrix = as_tensor(name, factor)
            if matrix.ndim < 2 or 0 in matrix.shape[-2:]:
                raise ValueError(
                    f"{name}: expected a matrix of shape (..., n, n), got shape {tuple(matrix.shape)}"
                )
            numpy = isinstance(factor, np.ndarray)
            kinds.add(numpy)
            columns.append(None)
            # A copy of NumPy's: a later change of the caller's array must not meet a remembered decomposition.
            matrices.append(matrix.clone() if numpy else matrix)
        if len(kinds) > 1:
            raise TypeError("factors: expected NumPy arrays or torch tensors alone, got both")
        self._numpy = kinds.pop()
        self._columns = columns
        self._matrices = matrices
        dtypes = {t.dtype for t in self._tensors}
        if len(dtypes) > 1:
            raise TypeError(
                f"factors: expected one dtype, got {', '.join(sorted(map(str, dtypes)))}"
            )
        self.dtype = dtypes.pop()
        self.sizes = tuple(t.shape[-1] for t in self._tensors)
        self._rows = tuple(
            t.shape[-1] if m is None else t.shape[-2]
            for t, m in zip(self._tensors, matrices, strict=True)
        )
        try:
            self.batch_shape = tuple(
                np.broadcast_shapes(*(self._batch_of(k) for k in range(len(factors))))
            )
        except ValueError:
            shapes = ", ".join(str(self._batch_of(k)) for k in range(len(factors)))
            raise ValueError(f"factors: their batch shapes do not broadcast: {shapes}") from None
        self.jitter: tuple[Any, ...] = (0.0,) * len(factors)
        if jitter > 0:
            self._require_square("jitter")
            self.jitter = tuple(self._add_jitter(k, float(jitter)) for k in range(len(factors)))
        self._remembered_solvers: tuple[tuple[float, ...], list[Any]] | None = None
        self._remembered: dict[bool, tuple[tuple[int, ...], _algebra.Decomposition]] = {}

    # --- what it is ------------------------------------------------------------------------------------------------

    @property
    def _tensors(self) -> list[Tensor]:
        pairs = zip(self._matrices, self._columns, strict=True)
        return [t for pair in pairs for t in pair if t is not None]

    def _batch_of(self, k: int) -> tuple[int, ...]:
        matrix = self._matrices[k]
        return tuple(self._tensors[k].shape[: -1 if matrix is None else -2])

    def _add_jitter(self, k: int, relative: float) -> Any:
        matrix, column = self._matrices[k], self._columns[k]
        if matrix is None:
            assert column is not None
            amount = relative * column[..., 0].abs()
            unit = torch.zeros_like(column)
            unit[..., 0] = 1
            self._columns[k] = column + amount.unsqueeze(-1) * unit
        else:
            amount = relative * matrix.diagonal(dim1=-2, dim2=-1).abs().mean(-1)
            unit = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
            self._matrices[k] = matrix + amount[..., None, None] * unit
        reported = amount.detach()
        return float(reported) if reported.ndim == 0 else like(reported, self._numpy)

    @property
    def ndim(self) -> int:
        """The number d of factors."""
        return len(self.sizes)

    @property
    def shape(self) -> tuple[int, ...]:
        """(*batch_shape, rows, columns) of the whole matrix."""
        return (*self.batch_shape, math.prod(self._rows), math.prod(self.sizes))

    @property
    def factors(self) -> tuple[Any, ...]:
        """The factors, jitter included: matrices, or `Toeplitz`."""
        return tuple(
            Toeplitz(like(t, self._numpy)) if m is None else like(t, self._numpy)
            for t, m in zip(self._tensors, self._matrices, strict=True)
        )

    def __repr__(self) -> str:
        sizes = " x ".join(map(str, self.sizes))
        return f"Kronecker({sizes}, batch_shape={self.batch_shape}, dtype={self.dtype})"

    def _require_square(self, what: str) -> None:
        if self._rows != self.sizes:
            raise ValueError(f"{what} needs square factors; these are {self._rows} x {self.sizes}")

    @property
    def _toeplitz(self) -> list[bool]:
        return [m is None for m in self._matrices]

    def _dense(self, k: int) -> Tensor:
        matrix, column = self._matrices[k], self._columns[k]
        if matrix is not None:
            return matrix
        assert column is not None
        return dense(column)

    # --- products --------------------------------------------------------------------------------------------------

    def __matmul__(self, other: Any) -> Any:
        """``K @ x`` for x of shape (N,) or (..., N, m), as NumPy and torch multiply matrices."""
        if not is_array(other):
            return NotImplemented
        x = as_tensor("x", other, self.dtype)
        total = math.prod(self.sizes)
        if x.ndim == 0 or x.shape[-1 if x.ndim == 1 else -2] != total:
            raise ValueError(
                f"x: expected shape ({total},) or (..., {total}, m), got {tuple(x.shape)}"
            )
        if x.ndim == 1:
            return like(self._multiply(x), isinstance(other, np.ndarray))
        # The columns first: they are right-hand sides beyond the batch.
        batch = np.broadcast_shapes(self.batch_shape, x.shape[:-2])
        columns = x.expand(*batch, *x.shape[-2:]).movedim(-1, 0)
        return like(self._multiply(columns).movedim(0, -1), isinstance(other, np.ndarray))

    def matvec(self, y: Any) -> Any:
        """``K y`` for y of shape (..., N) or (..., n_1, ..., n_d), as `solve` takes it."""
        data = as_tensor("y", y, self.dtype)
        flat, grid = self._flat("y", data)
        result = self._multiply(flat)
        if grid:
            result = result.reshape(*result.shape[:-1], *self._rows)
        return like(result, isinstance(y, np.ndarray))

    def _multiply(self, x: Tensor) -> Tensor:
        """x (..., N) -> (..., rows); leading dimensions broadcast with the batch."""
        direct = _operators.is_direct([x, *self._tensors]) and not (
            torch.is_grad_enabled() and any(t.requires_grad for t in [x, *self._tensors])
        )
        long = [
            m is None and n >= _FFT_SIZE for m, n in zip(self._matrices, self.sizes, strict=True)
        ]
        if direct and not any(long):
            split = _Split(self.batch_shape, x.shape[:-1])
            matrices = [self._flat_factor(k, split.core).resolve_neg() for k in range(self.ndim)]
            data = split.flatten(x.detach().resolve_neg())
            return split.restore(_kernel.mode_products(matrices, data))
        batch = np.broadcast_shapes(self.batch_shape, x.shape[:-1])
        x = x.expand(*batch, x.shape[-1])
        before, after = 1, math.prod(self.sizes)
        for k in range(self.ndim):
            after //= self.sizes[k]
            x = x.reshape(*batch, before, self.sizes[k], after)
            column = self._columns[k]
            if column is not None and long[k]:
                x = multiply(column.unsqueeze(-2), x)
            elif after == 1:
                x = (x.squeeze(-1) @ self._dense(k).mT).unsqueeze(-1)
            else:
                x = self._dense(k).unsqueeze(-3) @ x
            before *= self._rows[k]
        return x.reshape(*batch, before)

    def transpose(self) -> Kronecker:
        """``K'``: the product of the transposed factors."""
        return Kronecker(
            [f if isinstance(f, Toeplitz) else f.swapaxes(-1, -2) for f in self.factors]
        )

    @property
    def T(self) -> Kronecker:
        """``K'``."""
        return self.transpose()

    def to_dense(self) -> Any:
        """The matrix itself, of shape `shape`."""
        result = self._dense(0)
        for k in range(1, self.ndim):
            factor = self._dense(k)
            product = result[..., :, None, :, None] * factor[..., None, :, None, :]
            result = product.flatten(-4, -3).flatten(-2, -1)
        return like(result.expand(self.shape).contiguous(), self._numpy)

    def diagonal(self) -> Any:
        """The diagonal of the matrix, of shape (*batch_shape, N)."""
        self._require_square("diagonal()")
        return like(self._outer([self._diagonal_of(k) for k in range(self.ndim)]), self._numpy)

    def _diagonal_of(self, k: int) -> Tensor:
        matrix, column = self._matrices[k], self._columns[k]
        if matrix is not None:
            return matrix.diagonal(dim1=-2, dim2=-1)
        assert column is not None
        return column[..., :1].expand_as(column)

    def _outer(self, vectors: Sequence[Tensor]) -> Tensor:
        result = vectors[0]
        for vector in vectors[1:]:
            result = (result.unsqueeze(-1) * vector.unsqueeze(-2)).flatten(-2)
        return result.expand(*self.batch_shape, result.shape[-1])

    # --- solves ----------------------------------------------------------------------------------------------------

    def solve(
        self,
        y: Any,
        noise: Any = None,
        *,
        mask: Any = None,
        tol: float | None = None,
        max_iter: int = 1000,
        return_info: bool = False,
    ) -> Any:
        """``K^-1 y``, or ``(K + S)^-1 y`` with noise.

        Without noise by a Cholesky decomposition of every factor (`Toeplitz` factors that need no gradient: by Durbin's
        recursion where it is accurate); with noise by their eigendecompositions. The cost is of the order of
        ``sum n_k^3 + N sum n_k``. With a mask, or with noise that differs from point to point, by preconditioned
        conjugate gradients.

        Parameters
        ----------
        y : array or tensor of shape (..., N) or (..., n_1, ..., n_d)
        noise : None, number, array of the shape of the batch, list of d vectors, or array of the shape of the grid
            The variance s of independent noise, ``S = s 1``; or vectors ``s_k`` of shape (..., n_k) for
            ``S = diag(s_1 (x) ... (x) s_d)``; or a variance for every point, of shape (N,) or (n_1, ..., n_d).
        mask : array or tensor of bool of shape (N,) or (n_1, ..., n_d), optional
            True where y was observed. The result is the solution for the observed points alone, and 0 elsewhere;
            y is not looked at elsewhere. Needs a Kronecker without batch.
        tol, max_iter : float, int
            Of conjugate gradients: the relative residual to reach (by default 1e-10, in float32 1e-5), and the most
            steps.
        return_info : bool
            Return (x, `SolveInfo`).

        Returns
        -------
        array or tensor of the kind and shape of y
            Differentiable with respect to the factors, the noise and y; with a mask or noise for every point not
            (`inv_quad_logdet` is).

        Raises
        ------
        NotPositiveDefiniteError
            A factor without noise, or the whole matrix with it, is not positive definite.
        ConvergenceError
            Conjugate gradients did not reach ``tol``.
        """
        _, flat, grid = self._data(y, mask)
        masked = masked_system(self, noise, mask)
        if masked is not None:
            rows = flat.reshape(-1, flat.shape[-1])
            x, steps, residual = masked.solve(
                _observed_only(rows, masked), self._tolerance(tol), _count("max_iter", max_iter)
            )
            x = x.reshape(flat.shape)
            info = SolveInfo(
                ("conjugate gradients",), jitter=self.jitter, iterations=steps, residual=residual
            )
        else:
            system = _System(self, noise, flat.shape[:-1])
            x = system.solve(flat)
            info = system.info()
        result = like(self._unflatten(x, grid), isinstance(y, np.ndarray) and not x.requires_grad)
        return (result, info) if return_info else result

    def logdet(
        self,
        noise: Any = None,
        *,
        mask: Any = None,
        method: str = "auto",
        probes: int = 32,
        steps: int = 200,
        rng: Any = 0,
        return_info: bool = False,
    ) -> Any:
        """The logarithm of ``det K``, or of ``det (K + S)``, of the shape of the batch.

        Nothing is clamped: eigenvalues are products of the factors' own. Parameters and errors as in `solve`, and:

        Parameters
        ----------
        method : {"auto", "exact", "dense", "lanczos"}
            For masks and noise that differs from point to point. ``"exact"``: by a low-rank correction, for one
            variance (the cost is a solve for every missing point); ``"dense"``: by the dense matrix of the observed
            points; ``"lanczos"``: stochastic Lanczos quadrature, for noise > 0, with a 95 % confidence interval.
            ``"auto"``: dense up to 1000 observed points, exact up to 1 % or 2000 missing ones, whichever is less,
            else lanczos.
        probes, steps, rng
            Of the quadrature: random vectors, most Lanczos steps for each, and where the random numbers come from
            (as in `sample`; by default always the same ones, so that the result is a smooth function).
        """
        masked = masked_system(self, noise, mask)
        if masked is not None:
            logdet, info = self._masked_logdet(masked, method, probes, steps, rng, None, 1000)
        else:
            system = _System(self, noise, ())
            empty = self._tensors[0].new_empty(*system.split.core, 0, math.prod(self.sizes))
            _, logdet = system.inv_quad_logdet(empty.movedim(-2, 0))
            info = system.info()
        return (self._scalar(logdet), info) if return_info else self._scalar(logdet)

    def inv_quad_logdet(
        self,
        y: Any,
        noise: Any = None,
        *,
        mask: Any = None,
        method: str = "auto",
        probes: int = 32,
        steps: int = 200,
        rng: Any = 0,
        tol: float | None = None,
        max_iter: int = 1000,
        return_info: bool = False,
    ) -> tuple[Any, ...]:
        """``y'(K + S)^-1 y`` and ``log det (K + S)`` in one go.

        Returns
        -------
        inv_quad : of the shape of y without its last axis (of the grid: without the last d), broadcast with the batch
        logdet : of the shape of the batch
        info : `SolveInfo`, with ``return_info``

        Parameters and errors as in `solve` and `logdet`. Both are differentiable, with a mask and with noise for every
        point, too; the gradient of a stochastic log-determinant is an unbiased estimate of its own.
        """
        _, flat, _ = self._data(y, mask)
        masked = masked_system(self, noise, mask)
        if masked is not None:
            rows = _observed_only(flat.reshape(-1, flat.shape[-1]), masked)
            limit = _count("max_iter", max_iter)
            x, count, residual = masked.solve(rows, self._tolerance(tol), limit)
            # Equal to y'A^-1 y at the solution, with its gradient, and an error of second order in that of x.
            quad = 2 * (rows * x).sum(-1) - (x * masked.multiply(x)).sum(-1)
            quad = quad.reshape(flat.shape[:-1])
            logdet, info = self._masked_logdet(masked, method, probes, steps, rng, tol, limit)
            ways = ("conjugate gradients", *info.ways)
            info = dataclasses.replace(
                info, ways=ways, residual=residual, iterations=max(count, info.iterations)
            )
        else:
            system = _System(self, noise, flat.shape[:-1])
            quad, logdet = system.inv_quad_logdet(flat)
            info = system.info()
        results = self._scalar(quad), self._scalar(logdet)
        return (*results, info) if return_info else results

    def _masked_logdet(
        self,
        masked: MaskedSystem,
        method: str,
        probes: int,
        steps: int,
        rng: Any,
        tol: float | None,
        max_iter: int,
    ) -> tuple[Tensor, SolveInfo]:
        methods = ("auto", "exact", "dense", "lanczos")
        if method not in methods:
            raise ValueError(f"method: expected one of {', '.join(methods)}, got {method!r}")
        missing = masked.observed.shape[0] - masked.count
        if method == "auto":
            if masked.count <= DENSE:
                method = "dense"
            elif masked.noise.ndim == 0 and missing <= min(masked.observed.shape[0] // 100, 2000):
                method = "exact"
            else:
                method = "lanczos"
        if method == "exact":
            if masked.noise.ndim > 0:
                raise ValueError("method='exact' needs one variance; noise has one for every point")
            return masked.low_rank_logdet(), SolveInfo(("low-rank correction",), jitter=self.jitter)
        if method == "dense":
            return masked.dense_logdet(), SolveInfo(("dense cholesky",), jitter=self.jitter)
        if not masked.lowest > 0:
            raise ValueError(
                f"method='lanczos' needs noise > 0 at every observed point, got {masked.lowest}"
            )
        wants = torch.is_grad_enabled() and any(
            t.requires_grad for t in [masked.noise, *self._tensors]
        )
        value, interval, used = masked.lanczos_logdet(
            _count("probes", probes, 2),
            rng,
            _count("steps", steps),
            self._tolerance(tol),
            max_iter,
            wants,
        )
        info = SolveInfo(
            ("stochastic lanczos",), jitter=self.jitter, iterations=used, interval=interval
        )
        return value, info

    def _tolerance(self, tol: float | None) -> float:
        if tol is None:
            return 1e-10 if self.dtype == torch.float64 else 1e-5
        given: Any = tol
        if not isinstance(given, (int, float)) or not 0 < given < 1:
            raise ValueError(f"tol: expected a number between 0 and 1, got {tol!r}")
        return float(tol)

    def eigh(self) -> list[tuple[Any, Any]]:
        """Eigenvalues (..., n_k), in no order, and eigenvectors, in the columns of (..., n_k, n_k), of every factor.

        Not differentiable. Computed once and remembered.
        """
        dec = self._decomposition(noise=True)
        results = []
        for k in range(self.ndim):
            batch = self._batch_of(k)
            n = self.sizes[k]
            values = dec.values[k].reshape(*batch, n)
            vectors = dec.matrices[k].mT.reshape(*batch, n, n)
            results.append((like(values, self._numpy), like(vectors, self._numpy)))
        return results

    def cholesky(self) -> list[Any]:
        """The lower triangular ``L_k`` (..., n_k, n_k) with ``K_k = L_k L_k'``.

        Not differentiable. Computed once and remembered.

        Raises
        ------
        NotPositiveDefiniteError
            A factor is not positive definite.
        """
        dec = self._decomposition(noise=False)
        return [
            like(m.reshape(*self._batch_of(k), *m.shape[-2:]), self._numpy)
            for k, m in enumerate(dec.matrices)
        ]

    def sample(self, count: int, rng: Any = None, *, noise: Any = None) -> Any:
        """Draws from N(0, K + S), of shape (count, *batch_shape, N).

        ``L z`` with the Cholesky factors of the factors, and noise added.

        Parameters
        ----------
        count : int
        rng : None, int, numpy.random.Generator or torch.Generator
            Where the random numbers come from; an int is a seed.
        noise
            As in `solve`.
        """
        from fourfold.gp._sampling import draw

        return draw(self, count, rng, noise)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _scalar(self, value: Tensor) -> Any:
        if not self._numpy or value.requires_grad:
            return value
        return float(value) if value.ndim == 0 else value.numpy()

    def _flat(self, name: str, data: Tensor) -> tuple[Tensor, bool]:
        total = math.prod(self.sizes)
        if data.ndim >= self.ndim and tuple(data.shape[data.ndim - self.ndim :]) == self.sizes:
            return data.reshape(*data.shape[: data.ndim - self.ndim], total), True
        if data.ndim >= 1 and data.shape[-1] == total:
            return data, False
        grid = ", ".join(map(str, self.sizes))
        raise ValueError(
            f"{name}: expected shape (..., {total}) or (..., {grid}), got {tuple(data.shape)}"
        )

    def _data(self, y: Any, mask: Any = None) -> tuple[Tensor, Tensor, bool]:
        self._require_square("this")
        if isinstance(y, np.ma.MaskedArray) and mask is None:
            raise TypeError("y is a masked array; give mask=~y.mask and y.data")
        data = as_tensor("y", y, self.dtype)
        flat, grid = self._flat("y", data)
        return data, flat, grid

    def _unflatten(self, x: Tensor, grid: bool) -> Tensor:
        return x.reshape(*x.shape[:-1], *self.sizes) if grid else x

    def _flat_factor(self, k: int, core: tuple[int, ...]) -> Tensor:
        """(1, n, n) if one matrix serves the whole batch, else (batch, n, n)."""
        matrix = self._dense(k)
        if math.prod(matrix.shape[:-2]) == 1:
            return matrix.reshape(1, *matrix.shape[-2:])
        return matrix.expand(*core, *matrix.shape[-2:]).reshape(-1, *matrix.shape[-2:])

    def _dense_tensor(self) -> Tensor:
        """`to_dense` as a tensor; without a batch."""
        result = self._dense(0)
        for k in range(1, self.ndim):
            result = torch.kron(result, self._dense(k))
        return result

    def _solve_plain(self, rows: Tensor, noise: Tensor | None) -> Tensor:
        """``(K + s)^-1`` of rows (count, N), with gradients where they are enabled."""
        return _System(self, noise, rows.shape[:-1]).solve(rows)

    def _logdet_plain(self, noise: Tensor | None) -> Tensor:
        system = _System(self, noise, ())
        empty = self._tensors[0].new_empty(0, math.prod(self.sizes))
        return system.inv_quad_logdet(empty)[1]

    def _decomposition(self, *, noise: bool) -> _algebra.Decomposition:
        """Of the factors as they are, each with its own batch; remembered until a factor changes."""
        self._require_square("this")
        versions = tuple(t._version for t in self._tensors)
        if noise not in self._remembered or self._remembered[noise][0] != versions:
            flat = [
                self._dense(k).detach().resolve_neg().reshape(-1, n, n).contiguous()
                for k, n in enumerate(self.sizes)
            ]
            dec = _algebra.decompose(flat, self._toeplitz, noise=noise)
            self._remembered[noise] = versions, dec
        return self._remembered[noise][1]


class _Split:
    """Flattens data of shape (*extra, *core, N) to (batch, count, N) and back; core is the batch of the system."""

    def __init__(self, core: tuple[int, ...], data: tuple[int, ...] | torch.Size) -> None:
        try:
            self.full = tuple(np.broadcast_shapes(core, tuple(data)))
        except ValueError:
            raise ValueError(
                f"y: leading dimensions {tuple(data)} do not broadcast with the batch {core}"
            ) from None
        at = len(self.full) - len(core)
        self.core = self.full[at:]
        self.extra = self.full[:at]
        self.batch = math.prod(self.core)
        self.count = math.prod(self.extra)

    def flatten(self, y: Tensor) -> Tensor:
        total = y.shape[-1]
        y = y.expand(*self.full, total).reshape(self.count, self.batch, total)
        return y.transpose(0, 1).contiguous()

    def restore(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1).reshape((*self.full, *x.shape[2:]))


class _System:
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
            self.scales = self._noise_vectors(noise)
            core = np.broadcast_shapes(core, *(s.shape[:-1] for s in self.scales))
            scalar = kronecker._tensors[0].new_ones(())
        elif noise is not None:
            scalar = noise_scalar(noise, kronecker.dtype)
            try:
                core = np.broadcast_shapes(core, scalar.shape)
            except ValueError:
                raise ValueError(
                    f"noise: expected a number, or shape {core} as the batch, got {tuple(scalar.shape)}"
                ) from None
        self.split = _Split(tuple(core), data)
        core = self.split.core
        self.noise = None if scalar is None else scalar.expand(core).reshape(-1)
        self._core = core
        self._solvers: list[ToeplitzSolver | Tensor] | None = None

    def _noise_vectors(self, noise: Sequence[Any]) -> list[Tensor]:
        kronecker = self.kronecker
        if len(noise) != kronecker.ndim:
            raise ValueError(
                f"noise: expected {kronecker.ndim} vectors, one a factor, got {len(noise)}"
            )
        vectors = []
        for k, (entry, n) in enumerate(zip(noise, kronecker.sizes, strict=True)):
            vector = as_tensor(f"noise[{k}]", entry, kronecker.dtype)
            if vector.ndim == 0 or vector.shape[-1] != n:
                raise ValueError(
                    f"noise[{k}]: expected shape (..., {n}), got {tuple(vector.shape)}"
                )
            if not torch.compiler.is_compiling() and not bool((vector > 0).all()):
                raise ValueError(
                    f"noise[{k}]: expected positive numbers, got {float(vector.min())}"
                )
            vectors.append(vector)
        return vectors

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

    def _scale(self) -> Tensor:
        """``S^-1/2``, (*core, N)."""
        result = self.scales[0].rsqrt()
        for vector in self.scales[1:]:
            result = (result.unsqueeze(-1) * vector.rsqrt().unsqueeze(-2)).flatten(-2)
        return result

    def _toeplitz(self) -> list[bool]:
        return [False] * self.kronecker.ndim if self.scales else self.kronecker._toeplitz

    def _remembered(self, y: Tensor) -> _algebra.Decomposition | None:
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
        return _algebra.expanded(dec, self.split.batch)

    def info(self) -> SolveInfo:
        kronecker = self.kronecker
        if self._solvers is None:
            way = "cholesky" if self.noise is None else "eigendecomposition"
            return SolveInfo((way,) * kronecker.ndim, (None,) * kronecker.ndim, kronecker.jitter)
        ways = tuple("cholesky" if isinstance(s, Tensor) else s.way for s in self._solvers)
        conditions = tuple(None if isinstance(s, Tensor) else s.condition for s in self._solvers)
        return SolveInfo(ways, conditions, kronecker.jitter)

    def _use_toeplitz(self, y: Tensor) -> bool:
        """Whether Toeplitz factors are solved as such: no batch, no gradient, and no noise but in one dimension."""
        kronecker = self.kronecker
        tensors = [y, *kronecker._tensors] + ([] if self.noise is None else [self.noise])
        columns = [c for c in kronecker._columns if c is not None]
        if (
            not any(c.shape[-1] >= _LEVINSON_SIZE for c in columns)
            or self._core != ()
            or kronecker.batch_shape != ()
            or self.scales
            or (self.noise is not None and kronecker.ndim > 1)
            or not _operators.is_direct(tensors)
            or (torch.is_grad_enabled() and any(t.requires_grad for t in tensors))
        ):
            return False
        noise = 0.0 if self.noise is None else float(self.noise)
        versions = (noise, *(t._version for t in kronecker._tensors))
        if kronecker._remembered_solvers is None or kronecker._remembered_solvers[0] != versions:
            solvers: list[ToeplitzSolver | Tensor] = []
            for k, column in enumerate(kronecker._columns):
                if column is None:
                    dense = kronecker._dense(k).detach().resolve_neg()[None].contiguous()
                    solvers.append(_algebra.decompose([dense], [False], noise=False).matrices[0][0])
                    continue
                shifted = column.detach().resolve_neg().clone().reshape(-1)
                shifted[0] += noise
                solvers.append(ToeplitzSolver(shifted, k))
            kronecker._remembered_solvers = versions, solvers
        self._solvers = kronecker._remembered_solvers[1]
        return True

    def _toeplitz_solve(self, y: Tensor) -> Tensor:
        assert self._solvers is not None
        y = y.detach().resolve_neg()
        _algebra.check_data(y.contiguous())
        shape = y.shape
        after = shape[-1]
        for n, solver in zip(self.kronecker.sizes, self._solvers, strict=True):
            after //= n
            y = y.reshape(-1, n, after)
            if isinstance(solver, Tensor):
                y = torch.cholesky_solve(y, solver)
            else:
                y = solver.solve(y.mT).mT
        return y.reshape(shape)

    def _toeplitz_logdet(self) -> Tensor:
        assert self._solvers is not None
        total = math.prod(self.kronecker.sizes)
        logdet = 0.0
        for n, solver in zip(self.kronecker.sizes, self._solvers, strict=True):
            if isinstance(solver, Tensor):
                one = 2 * float(solver.diagonal().log().sum())
            else:
                one = solver.logdet
            logdet += total // n * one
        return torch.tensor(logdet, dtype=self.kronecker.dtype)

    def solve(self, y: Tensor) -> Tensor:
        if self._use_toeplitz(y):
            return self._toeplitz_solve(y)
        if self.scales:
            y = y * self._scale()
        data = self.split.flatten(y)
        dec = self._remembered(data)
        if dec is None:
            x = _operators.solve(self._factors(), self.noise, data, self._toeplitz())
        else:
            data = data.detach().resolve_neg()
            _algebra.check_data(data)
            noise = None if self.noise is None else self.noise.detach().resolve_neg().contiguous()
            if noise is not None:
                _algebra.logdet_of(dec, noise, self.split.batch)
            x = _algebra.restore_data(dec, _algebra.reduce_data(dec, noise, data)[0])
        x = self.split.restore(x)
        return x * self._scale() if self.scales else x

    def inv_quad_logdet(self, y: Tensor) -> tuple[Tensor, Tensor]:
        if self._use_toeplitz(y):
            return (y * self._toeplitz_solve(y)).sum(-1), self._toeplitz_logdet()
        if self.scales:
            y = y * self._scale()
        split = _Split(self._core, y.shape[:-1])
        data = split.flatten(y)
        dec = self._remembered(data)
        if dec is None:
            quad, logdet = _operators.inv_quad_logdet(
                self._factors(), self.noise, data, self._toeplitz()
            )
        else:
            data = data.detach().resolve_neg()
            _algebra.check_data(data)
            noise = None if self.noise is None else self.noise.detach().resolve_neg().contiguous()
            logdet = _algebra.logdet_of(dec, noise, split.batch).to(y.dtype)
            quad = _algebra.reduce_data(dec, noise, data)[1].to(y.dtype)
        logdet = logdet.reshape(self._core)
        if self.scales:
            total = math.prod(self.kronecker.sizes)
            for vector in self.scales:
                logdet = logdet + (total // vector.shape[-1]) * vector.log().sum(-1)
        return split.restore(quad), logdet


def noise_scalar(noise: Any, dtype: torch.dtype) -> Tensor:
    """A variance as a tensor, checked to be finite and not negative."""
    if isinstance(noise, (int, float, np.floating, np.integer)) and not isinstance(noise, bool):
        value = torch.tensor(float(noise), dtype=dtype)
    else:
        value = as_tensor("noise", noise, dtype)
    if not torch.compiler.is_compiling() and type(value) in (Tensor, torch.nn.Parameter):
        lowest = float(value.detach().min()) if value.numel() else 0.0
        if not (lowest >= 0 and bool(torch.isfinite(value.detach()).all())):
            raise ValueError(f"noise: expected finite variances >= 0, got {lowest}")
    return value


def masked_system(kronecker: Kronecker, noise: Any, mask: Any) -> MaskedSystem | None:
    """The system of the observed points; None if there are no holes and the noise is one number or Kronecker."""
    kronecker._require_square("this")
    points = None
    if is_array(noise):
        variances = as_tensor("noise", noise, kronecker.dtype)
        if tuple(variances.shape) != kronecker.batch_shape and variances.ndim > 0:
            try:
                points, _ = kronecker._flat("noise", variances)
            except ValueError:
                points = None  # a batch of variances, which _System checks
            if points is not None and points.ndim > 1:
                raise ValueError(
                    f"noise: one variance for every point has no batch, got shape {tuple(variances.shape)}"
                )
    if mask is None and points is None:
        return None
    if kronecker.batch_shape != ():
        raise ValueError(
            "mask= and noise for every point need a Kronecker without batch; this one has the batch "
            f"{kronecker.batch_shape}: make one for each"
        )
    total = math.prod(kronecker.sizes)
    observed = torch.ones(total, dtype=torch.bool)
    if mask is not None:
        given = torch.from_numpy(np.array(mask)) if isinstance(mask, np.ndarray) else mask
        if not isinstance(given, Tensor) or given.dtype != torch.bool:
            kind = given.dtype if isinstance(given, Tensor) else type(mask).__name__
            raise TypeError(f"mask: expected an array of bool, True where observed, got {kind}")
        observed, _ = kronecker._flat("mask", given)
        if observed.ndim > 1:
            raise ValueError(f"mask: expected no batch, got shape {tuple(given.shape)}")
    if not bool(observed.any()):
        raise ValueError("mask: no point is observed")
    if isinstance(noise, (list, tuple)):
        system = _System(kronecker, noise, ())
        points = system.scales[0]
        for vector in system.scales[1:]:
            points = (points.unsqueeze(-1) * vector.unsqueeze(-2)).flatten(-2)
        if points.ndim > 1:
            raise ValueError("noise: vectors with a batch do not go with mask=")
    if points is None:
        points = noise_scalar(0.0 if noise is None else noise, kronecker.dtype)
        if points.ndim > 0:
            raise ValueError(f"noise: expected one number, got shape {tuple(points.shape)}")
    else:
        seen = points.detach()[observed]
        if not bool(torch.isfinite(seen).all() and (seen >= 0).all()):
            raise ValueError("noise: expected finite variances >= 0 at the observed points")
        # Whatever stands at the missing points is not looked at.
        points = torch.where(observed, points, torch.zeros((), dtype=points.dtype))
    return MaskedSystem(kronecker, points, observed)


def _observed_only(rows: Tensor, masked: MaskedSystem) -> Tensor:
    """Zeros at the missing points, whatever stands there; what was observed has to be finite."""
    rows = torch.where(masked.observed, rows, torch.zeros((), dtype=rows.dtype))
    _algebra.check_data(rows.detach().resolve_neg().contiguous())
    return rows


def _count(name: str, value: Any, least: int = 1) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}: expected an integer >= {least}, got {value!r}")
    return int(value)
