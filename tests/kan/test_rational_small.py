"""Small calls, whose tensors torch itself describes to C++: the same as the long way, whatever is called after what."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from fourfold import kan
from fourfold.kan import _kernel
from fourfold.kan.functional import Variant

pytestmark = [
    pytest.mark.isa,
    pytest.mark.skipif(_kernel._small_calls is None, reason="this torch does not describe tensors"),
]

Tensor = torch.Tensor


def long_way(x: Tensor, a: Tensor, b: Tensor, **options: Any) -> Tensor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_kernel, "_small_calls", None)
        return kan.rational(x, a, b, **options)


def test_calls_that_look_alike_are_told_apart() -> None:
    """Twice each, in turns: the second time they are known."""
    torch.manual_seed(0)
    variants: tuple[Variant, ...] = ("A", "B", "N")
    shapes = [(8, 8), (64,), (4, 8, 2), (2, 8, 4), (8, 8, 64)]  # the last is too large
    dtypes = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
    for _ in range(2):
        for shape, dtype, dim, variant, groups in itertools.product(
            shapes, dtypes, (0, -1), variants, (1, 2)
        ):
            compute = torch.float64 if dtype == torch.float64 else torch.float32
            x = torch.rand(shape).to(dtype)
            a, b = torch.rand(1, 3, dtype=compute), torch.rand(groups, 2, dtype=compute)
            options: dict[str, Any] = {"variant": variant, "dim": dim}
            assert torch.equal(kan.rational(x, a, b, **options), long_way(x, a, b, **options))
    x, a, b = torch.rand(4, 4), torch.rand(2, 3), torch.rand(1, 2)
    for first, second in (((a, b)), (torch.rand(1, 3), b), (a, torch.rand(2, 2))):
        assert torch.equal(kan.rational(x, first, second), long_way(x, first, second))


def test_known_tensors_that_change() -> None:
    """Their dtype, strides and sign, in place of the same object."""
    layer = kan.Rational(8, groups=2)
    x = torch.randn(4, 8)
    for _ in range(2):
        assert torch.equal(layer(x), long_way(x, *layer.parameters()))
    layer.bfloat16()
    assert torch.equal(layer(x), long_way(x, *layer.parameters()))
    layer.float()
    a, b = (p.detach() for p in layer.parameters())
    for given in (
        (torch._neg_view(-x), a, b),
        (x, torch._neg_view(-a), b),
        (x, a, torch._neg_view(-b)),
        (x.T.contiguous().T, a, b),
        (x, a.repeat(1, 2)[:, ::2], b),
        (x, a, b.T.contiguous().T),
        (x[:1].expand(4, 8), a, b),
    ):
        a_, b_ = given[1].contiguous(), given[2].contiguous()
        assert torch.equal(kan.rational(*given), long_way(given[0].contiguous(), a_, b_))


def test_refusals_are_those_of_the_long_way() -> None:
    x, a, b = torch.randn(4, 8), torch.randn(1, 6), torch.randn(2, 4)
    kan.rational(x, a, b)
    with pytest.raises(TypeError, match="float64 coefficients need float64 x"):
        kan.rational(x, a.double(), b)
    with pytest.raises(ValueError, match="variant: expected one of A, B, C, N, got 'AA'"):
        kan.rational(x, a, b, variant="AA")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"variant: expected one of A, B, C, N, got \['A'\]"):
        kan.rational(x, a, b, variant=["A"])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"dim: expected an integer, got \[1\]"):
        kan.rational(x, a, b, dim=[1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"implementation: expected 'kernel' or 'torch', got \[\]"):
        kan.rational(x, a, b, implementation=[])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"dim: expected -2 to 1 .* got 36893488147419103232"):
        kan.rational(x, a, b, dim=2**65)
    assert kan.rational(x[:0], a, b).shape == (0, 8)
