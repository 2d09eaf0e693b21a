"""Leading dimensions of data, as (batch, count)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

__all__ = ["Split"]


class Split:
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
