"""A batch of calls of `rational` as one call: what ``vmap`` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

__all__ = ["batched_backward", "batched_forward"]

Tensor = torch.Tensor
Gradients = tuple[Tensor, Tensor, Tensor]
InDims = Sequence[int | None]


def batched_forward(
    run: Callable[..., Tensor],
    batch: int,
    in_dims: InDims,
    x: Tensor,
    numerator: Tensor,
    denominator: Tensor,
    variant: str,
    dim: int,
) -> tuple[Tensor, int]:
    """Many calls of ``run``, the forward pass, in one; the result has the batch in front."""
    folded = _Folded(batch, in_dims[:3], x, numerator, denominator, dim)
    out = run(folded.x, folded.numerator, folded.denominator, variant, folded.dim)
    return folded.unfold(out), 0


def batched_backward(
    run: Callable[..., Gradients],
    batch: int,
    in_dims: InDims,
    gradient: Tensor,
    x: Tensor,
    numerator: Tensor,
    denominator: Tensor,
    variant: str,
    dim: int,
) -> tuple[Gradients, tuple[int, int, int]]:
    """Many calls of ``run``, the backward pass, in one; the results have the batch in front."""
    # Every instance has gradients of the coefficients of its own.
    folded = _Folded(batch, in_dims[1:4], x, numerator, denominator, dim, own=True)
    x_gradient, a_gradient, b_gradient = run(
        folded.fold(gradient, in_dims[0]),
        folded.x,
        folded.numerator,
        folded.denominator,
        variant,
        folded.dim,
    )
    out = (
        folded.unfold(x_gradient),
        folded.of_group(a_gradient, numerator, in_dims[2]),
        folded.of_group(b_gradient, denominator, in_dims[3]),
    )
    return out, (0, 0, 0)


class _Folded:
    """A batch of calls as one: the batch becomes more channels, in more groups."""

    def __init__(
        self,
        batch: int,
        in_dims: InDims,
        x: Tensor,
        numerator: Tensor,
        denominator: Tensor,
        dim: int,
        own: bool = False,
    ) -> None:
        self.batch = batch
        size = x.dim() - (in_dims[0] is not None)
        self.dim = dim % size
        self.groups = max(
            table.shape[1 if at == 0 else 0]
            for table, at in ((numerator, in_dims[1]), (denominator, in_dims[2]))
        )
        self.alone = not own and in_dims[1] is None and in_dims[2] is None
        if self.alone:
            # The same coefficients for all: the batch is one dimension more.
            self.x = x.movedim(in_dims[0] or 0, 0)
            self.numerator, self.denominator = numerator, denominator
            self.dim += 1
            return
        self.x = self.fold(x, in_dims[0])
        self.numerator = self._table(numerator, in_dims[1])
        self.denominator = self._table(denominator, in_dims[2])

    def fold(self, x: Tensor, at: int | None) -> Tensor:
        x = self._batched(x, at)
        return x.movedim(0, self.dim).flatten(self.dim, self.dim + 1)

    def unfold(self, out: Tensor) -> Tensor:
        if self.alone:
            return out
        channels = out.shape[self.dim] // self.batch
        shape = (*out.shape[: self.dim], self.batch, channels, *out.shape[self.dim + 1 :])
        return out.reshape(shape).movedim(self.dim, 0)

    def of_group(self, gradient: Tensor, table: Tensor, at: int | None) -> Tensor:
        """The gradient of a table: summed over the groups if these share it."""
        gradient = gradient.reshape(self.batch, self.groups, -1)
        rows = table.shape[1 if at == 0 else 0]
        return gradient if rows == self.groups else gradient.sum(1, keepdim=True)

    def _batched(self, tensor: Tensor, at: int | None) -> Tensor:
        if at is None:
            return tensor.expand(self.batch, *tensor.shape)
        return tensor.movedim(at, 0)

    def _table(self, table: Tensor, at: int | None) -> Tensor:
        return self._batched(table, at).expand(-1, self.groups, -1).flatten(0, 1)
