"""`Kronecker`: a lazy Kronecker product of covariance matrices, with or without noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fourfold.gp import _algebra, _kernel, _operators
from fourfold.gp._tensors import as_tensor, is_array, like
from fourfold.gp.toeplitz import Toeplitz, dense, multiply

__all__ = ["Kronecker"]

# From here on a Toeplitz factor is applied by FFT.
_FFT_SIZE = 512


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
        if not isinstance(jitter, (int, float)) or not 0 <= jitter < math.inf:
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
        self._remembered: dict[bool, tuple[tuple[int, ...], _algebra.Decomposition]] = {}

    # --- what it is ------------------------------------------------------------------------------------------------

    @property
    def _tensors(self) -> list[Tensor]:
        return [
            m if m is not None else c
            for m, c in zip(self._matrices, self._columns, strict=True)
            if m is not None or c is not None
        ]

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

    def solve(self, y: Any, noise: Any = None) -> Any:
        """``K^-1 y``, or ``(K + S)^-1 y`` with noise.

        Without noise by a Cholesky decomposition of every factor; with noise by their eigendecompositions. The cost
        is of the order of ``sum n_k^3 + N sum n_k``.

        Parameters
        ----------
        y : array or tensor of shape (..., N) or (..., n_1, ..., n_d)
        noise : None, number, array of the shape of the batch, or list of d vectors
            The variance s of independent noise, ``S = s 1``; or vectors ``s_k`` of shape (..., n_k) for
            ``S = diag(s_1 (x) ... (x) s_d)``.

        Returns
        -------
        array or tensor of the kind and shape of y
            Differentiable with respect to the factors, the noise and y.

        Raises
        ------
        NotPositiveDefiniteError
            A factor without noise, or the whole matrix with it, is not positive definite.
        """
        data, flat, grid = self._data(y)
        system = _System(self, noise, flat.shape[:-1])
        x = system.solve(flat)
        return like(self._unflatten(x, grid), isinstance(y, np.ndarray) and not data.requires_grad)

    def logdet(self, noise: Any = None) -> Any:
        """The logarithm of ``det K``, or of ``det (K + S)``, of the shape of the batch.

        Nothing is clamped: eigenvalues are products of the factors' own. Parameters and errors as in `solve`.
        """
        system = _System(self, noise, ())
        empty = self._tensors[0].new_empty(*system.split.core, 0, math.prod(self.sizes))
        _, logdet = system.inv_quad_logdet(empty.movedim(-2, 0))
        return self._scalar(logdet)

    def inv_quad_logdet(self, y: Any, noise: Any = None) -> tuple[Any, Any]:
        """``y'(K + S)^-1 y`` and ``log det (K + S)`` in one go.

        Returns
        -------
        inv_quad : of the shape of y without its last axis (of the grid: without the last d), broadcast with the batch
        logdet : of the shape of the batch

        Parameters and errors as in `solve`; both are differentiable.
        """
        _, flat, _ = self._data(y)
        system = _System(self, noise, flat.shape[:-1])
        quad, logdet = system.inv_quad_logdet(flat)
        return self._scalar(quad), self._scalar(logdet)

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

    def _data(self, y: Any) -> tuple[Tensor, Tensor, bool]:
        self._require_square("this")
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

    def solve(self, y: Tensor) -> Tensor:
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
        if not (0 <= lowest and bool(torch.isfinite(value.detach()).all())):
            raise ValueError(f"noise: expected finite variances >= 0, got {lowest}")
    return value
