"""Leading dimensions of data, as (batch, count)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

__all__ = ["Split", "broadcast", "reshaped"]

Shape = tuple[int, ...] | torch.Size


def broadcast(*shapes: Shape) -> tuple[int, ...]:
    """`numpy.broadcast_shapes`, quickly where they are equal or empty.

    Raises
    ------
    ValueError
        They do not broadcast.
    """
    some = {tuple(s) for s in shapes if s}
    if len(some) <= 1:
        return some.pop() if some else ()
    return tuple(np.broadcast_shapes(*some))


def reshaped(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The tensor itself if it has this shape: a view costs microseconds, and again in the gradient."""
    return x if tuple(x.shape) == shape else x.reshape(shape)


class Split:
    """Flattens data of shape (*extra, *core, N) to (batch, count, N) and back; core is the batch of the system."""

    def __init__(self, core: tuple[int, ...], data: Shape) -> None:
        try:
            self.full = broadcast(core, data)
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
        """(..., N) -> (batch, count, N), contiguous."""
        total = y.shape[-1]
        if tuple(y.shape[:-1]) != self.full:
            y = y.expand(*self.full, total)
        if self.batch == 1 or self.count == 1:
            return y.reshape(self.batch, self.count, total).contiguous()
        return y.reshape(self.count, self.batch, total).transpose(0, 1).contiguous()

    def restore(self, x: Tensor) -> Tensor:
        """(batch, count, ...) -> (*extra, *core, ...)."""
        if self.batch > 1 and self.count > 1:
            x = x.transpose(0, 1)
        return reshaped(x, (*self.full, *x.shape[2:]))
