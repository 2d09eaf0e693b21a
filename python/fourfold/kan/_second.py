"""The derivatives of the backward pass, by torch from the plain formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from fourfold.kan._twin import twin

__all__ = ["second_derivatives"]

Tensor = torch.Tensor
# Typed as one that may return three things.
_vjp: Callable[..., Any] = torch.func.vjp


def second_derivatives(
    inputs: Sequence[Tensor], gradients: Sequence[Tensor | None], variant: str, dim: int
) -> tuple[Tensor, ...]:
    """The gradients of (gradient, x, numerator, denominator), given those of the three results."""

    def first(gradient: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        pull = _vjp(lambda x, a, b: twin(x, a, b, variant, dim), *given)[1]
        result: tuple[Tensor, ...] = pull(gradient)
        return result

    values, pull = _vjp(first, *inputs)
    filled = tuple(
        torch.zeros_like(value) if gradient is None else gradient
        for gradient, value in zip(gradients, values, strict=True)
    )
    result: tuple[Tensor, ...] = pull(filled)
    return result
