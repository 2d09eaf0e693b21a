"""What a Kronecker product is, without its inverse: factors, shapes, products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from fourfold.gp._products import product
from fourfold.gp._split import broadcast, reshaped
from fourfold.gp._tensors import as_tensor, is_array, like
from fourfold.gp.toeplitz import Toeplitz, dense

__all__ = ["KroneckerMatrix"]


class KroneckerMatrix:
    """``K_1 (x) K_2 (x) ... (x) K_d``; `Kronecker` says what its parameters are."""

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
        self._tensors = self._given()
        dtypes = {t.dtype for t in self._tensors}
        if len(dtypes) > 1:
            raise TypeError(
                f"factors: expected one dtype, got {', '.join(sorted(map(str, dtypes)))}"
            )
        self.dtype = dtypes.pop()
        devices = {t.device for t in self._tensors}
        if len(devices) > 1:
            raise ValueError(
                f"factors: expected one device, got {', '.join(sorted(map(str, devices)))}"
            )
        self.device = devices.pop()
        self.sizes = tuple(t.shape[-1] for t in self._tensors)
        self._rows = tuple(
            t.shape[-1] if m is None else t.shape[-2]
            for t, m in zip(self._tensors, matrices, strict=True)
        )
        try:
            self.batch_shape = broadcast(*(self._batch_of(k) for k in range(len(factors))))
        except ValueError:
            shapes = ", ".join(str(self._batch_of(k)) for k in range(len(factors)))
            raise ValueError(f"factors: their batch shapes do not broadcast: {shapes}") from None
        self.jitter: tuple[Any, ...] = (0.0,) * len(factors)
        if jitter > 0:
            self._require_square("jitter")
            self.jitter = tuple(self._add_jitter(k, float(jitter)) for k in range(len(factors)))
            self._tensors = self._given()

    # --- what it is ------------------------------------------------------------------------------------------------

    def _given(self) -> list[Tensor]:
        """The matrix of every factor, or the column of a `Toeplitz`."""
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
        x = as_tensor("x", other, self._tensors[0])
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
        data = as_tensor("y", y, self._tensors[0])
        flat, grid = self._flat("y", data)
        result = self._multiply(flat)
        if grid:
            result = result.reshape(*result.shape[:-1], *self._rows)
        return like(result, isinstance(y, np.ndarray))

    def _multiply(self, x: Tensor) -> Tensor:
        """x (..., N) -> (..., rows); leading dimensions broadcast with the batch."""
        return product(self, x)

    def transpose(self) -> Self:
        """``K'``: the product of the transposed factors."""
        return type(self)(
            [f if isinstance(f, Toeplitz) else f.swapaxes(-1, -2) for f in self.factors]
        )

    @property
    def T(self) -> Self:
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
        data = as_tensor("y", y, self._tensors[0])
        flat, grid = self._flat("y", data)
        return data, flat, grid

    def _unflatten(self, x: Tensor, grid: bool) -> Tensor:
        return x.reshape(*x.shape[:-1], *self.sizes) if grid else x

    def _flat_factor(self, k: int, core: tuple[int, ...]) -> Tensor:
        """(1, n, n) if one matrix serves the whole batch, else (batch, n, n)."""
        matrix = self._dense(k)
        size = tuple(matrix.shape[-2:])
        if math.prod(matrix.shape[:-2]) == 1:
            return reshaped(matrix, (1, *size))
        if tuple(matrix.shape[:-2]) != core:
            matrix = matrix.expand(*core, *size)
        return reshaped(matrix, (math.prod(core), *size))

    def _dense_tensor(self) -> Tensor:
        """`to_dense` as a tensor; without a batch."""
        result = self._dense(0)
        for k in range(1, self.ndim):
            result = torch.kron(result, self._dense(k))
        return result
