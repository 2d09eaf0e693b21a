"""Symmetric Toeplitz factors: the covariance of a stationary process on a uniform grid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fourfold.gp._tensors import as_tensor, like

__all__ = ["Toeplitz"]


class Toeplitz:
    """A symmetric Toeplitz matrix ``T[i, j] = column[|i - j|]``, given by its first column.

    As a factor of `Kronecker` it is kept as this column as long as that serves.

    Parameters
    ----------
    column : array or tensor of shape (..., n)
        float32 or float64; leading dimensions are a batch.
    """

    def __init__(self, column: Any) -> None:
        tensor = as_tensor("column", column)
        if tensor.ndim == 0 or tensor.shape[-1] == 0:
            raise ValueError(
                f"column: expected shape (..., n) with n >= 1, got {tuple(tensor.shape)}"
            )
        self._numpy = not isinstance(column, Tensor)
        self._column = tensor.clone() if self._numpy else tensor

    @property
    def column(self) -> Any:
        """The first column, as it was given."""
        return like(self._column, self._numpy)

    @property
    def shape(self) -> tuple[int, ...]:
        """(..., n, n)."""
        n = self._column.shape[-1]
        return (*self._column.shape, n)

    def to_dense(self) -> Any:
        """The matrix, of shape (..., n, n)."""
        return like(dense(self._column), self._numpy)

    def __repr__(self) -> str:
        return f"Toeplitz(shape={self.shape}, dtype={self._column.dtype})"


def dense(column: Tensor) -> Tensor:
    """(..., n) -> (..., n, n), differentiable."""
    index = torch.arange(column.shape[-1], device=column.device)
    return column[..., (index[:, None] - index[None, :]).abs()]


def multiply(column: Tensor, x: Tensor) -> Tensor:
    """``T x`` along the axis -2 of x (..., n, m), by a circulant of length >= 2n - 1; differentiable."""
    n = column.shape[-1]
    length = fast_length(2 * n - 1)
    padding = column.new_zeros(*column.shape[:-1], length - 2 * n + 1)
    circulant = torch.cat([column, padding, column[..., 1:].flip(-1)], -1)
    spectrum = torch.fft.rfft(circulant).real.unsqueeze(-1)
    product: Tensor = torch.fft.irfft(spectrum * torch.fft.rfft(x, length, dim=-2), length, dim=-2)
    return product[..., :n, :]


def fast_length(least: int) -> int:
    """The smallest 2^a 3^b 5^c that is not below ``least``."""
    best = 1
    while best < least:
        best *= 2
    five = 1
    while five < best:
        three = five
        while three < best:
            two = three
            while two < least:
                two *= 2
            best = min(best, two)
            three *= 3
        five *= 5
    return best
