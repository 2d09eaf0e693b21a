"""Shapes, strides, dtypes, threads: the same numbers however x lies in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fourfold
from fourfold import kan
from fourfold.kan.functional import Variant
from tests.kan.reference import formula

pytestmark = pytest.mark.isa

Tensor = torch.Tensor


def coefficients(groups: int, m: int = 5, n: int = 4, shared: bool = True) -> tuple[Tensor, Tensor]:
    torch.manual_seed(groups)
    a = torch.randn(1 if shared else groups, m + 1)
    return a.requires_grad_(), torch.randn(groups, n).requires_grad_()


def check(x: Tensor, a: Tensor, b: Tensor, g: Tensor, dim: int, variant: Variant = "A") -> None:
    """Against the formula in float64; the gradient g may have any strides."""
    x = x.detach().requires_grad_()
    out = kan.rational(x, a, b, dim=dim, variant=variant)
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert out.stride() == torch.empty_like(x).stride()
    leaves = tuple(z.detach().double().requires_grad_() for z in (x, a, b))
    truth = formula(leaves[0], leaves[1], leaves[2], variant, dim)
    eps = torch.finfo(x.dtype).eps
    torch.testing.assert_close(out.double(), truth, rtol=30 * eps, atol=30 * eps)
    got = torch.autograd.grad(out, (x, a, b), g)
    for part, whole in zip(got, torch.autograd.grad(truth, leaves, g.double()), strict=True):
        size = whole.abs().max().clamp(min=1.0)
        off = 100 * torch.finfo(part.dtype).eps
        torch.testing.assert_close(part.double() / size, whole / size, rtol=0, atol=off)


def transposed(x: Tensor) -> Tensor:
    return x.transpose(0, 1).contiguous().transpose(0, 1)


def sliced(x: Tensor) -> Tensor:
    wide = torch.stack([x, torch.full_like(x, torch.nan)], dim=-1)
    return wide[..., 0]


def reversed_dims(x: Tensor) -> Tensor:
    dims = list(range(x.dim()))[::-1]
    return x.permute(dims).contiguous().permute(dims)


def expanded(x: Tensor) -> Tensor:
    return x[:1].expand_as(x)


def negated(x: Tensor) -> Tensor:
    return torch._neg_view(-x)


LAYOUTS: list[Callable[[Tensor], Tensor]] = [
    torch.clone,
    transposed,
    sliced,
    reversed_dims,
    expanded,
    negated,
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("gradient", LAYOUTS, ids=lambda f: f.__name__)
def test_strides(layout: Callable[[Tensor], Tensor], gradient: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    a, b = coefficients(4)
    for shape, dim in (((6, 5, 24), -1), ((6, 8, 5), 1), ((8, 5), 0), ((2, 3, 8, 2, 3), 2)):
        check(layout(torch.randn(shape)), a, b, gradient(torch.randn(shape)), dim)


def test_channels_last_images_are_not_copied() -> None:
    a, b = coefficients(4)
    x = torch.randn(2, 8, 5, 7).to(memory_format=torch.channels_last)
    check(x, a, b, torch.randn(2, 8, 5, 7), 1)
    assert kan.rational(x, a, b, dim=1).is_contiguous(memory_format=torch.channels_last)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_any_shape(data: st.DataObject) -> None:
    groups = data.draw(st.sampled_from([1, 2, 3, 8, 40]))
    shape = data.draw(st.lists(st.integers(1, 7), max_size=4))
    dim = data.draw(st.integers(0, len(shape)))
    shape.insert(dim, groups * data.draw(st.integers(1, 40)))
    m, n = data.draw(st.integers(0, 12)), data.draw(st.integers(1, 12))
    variant: Variant = data.draw(st.sampled_from(["A", "B"]))
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    torch.manual_seed(data.draw(st.integers(0, 2**31)))
    a, b = torch.rand(groups, m + 1) + 0.5, torch.rand(groups, n) + 0.5
    x = (torch.rand(shape) * 2 + 0.01).to(dtype)  # all positive: nothing cancels, no kink
    check(x, a.requires_grad_(), b.requires_grad_(), torch.rand(shape).to(dtype), dim, variant)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_empty(dtype: torch.dtype) -> None:
    a, b = coefficients(4)
    for shape, dim in (((0, 8), -1), ((3, 0), -1), ((2, 8, 0), 1)):
        x = torch.empty(shape, dtype=dtype, requires_grad=True)
        out = kan.rational(x, a, b, dim=dim)
        assert out.shape == x.shape
        dx, da, db = torch.autograd.grad(out.sum(), (x, a, b))
        assert dx.shape == x.shape
        assert not da.any()
        assert not db.any()


@pytest.mark.parametrize("of_model", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("of_x", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_mixed_precision(of_x: torch.dtype, of_model: torch.dtype) -> None:
    """Computed in float32 (float64 for float64 x); gradients have the dtype of what they belong to."""
    a, b = (z.detach().to(of_model).requires_grad_() for z in coefficients(4))
    x = torch.randn(5, 16, dtype=of_x, requires_grad=True)
    out = kan.rational(x, a, b)
    got = torch.autograd.grad(out.sum(), (x, a, b))
    assert [z.dtype for z in (out, *got)] == [of_x, of_x, of_model, of_model]
    compute = torch.float64 if of_x == torch.float64 else torch.float32
    wide = [z.detach().to(compute).requires_grad_() for z in (x, a, b)]
    truth = kan.rational(*wide)
    assert torch.equal(out, truth.to(of_x))
    for part, whole in zip(got, torch.autograd.grad(truth.sum(), wide), strict=True):
        assert torch.equal(part, whole.to(part.dtype))  # rounded once


# Many short runs, few long ones, one run, runs shorter than a vector, channels first.
SIZES = [((300, 41, 24), -1, 8), ((3, 16, 9000), 1, 8), ((200_003,), 0, 1), ((9000, 40), 1, 40)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("shape", "dim", "groups"), SIZES, ids=str)
def test_bits_do_not_depend_on_threads(
    shape: tuple[int, ...], dim: int, groups: int, dtype: torch.dtype
) -> None:
    a, b = coefficients(groups)
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    g = torch.randn(shape, dtype=dtype)

    def run(threads: int) -> list[Tensor]:
        fourfold.set_num_threads(threads)
        out = kan.rational(x, a, b, dim=dim)
        return [out, *torch.autograd.grad(out, (x, a, b), g)]

    first = run(1)
    for threads in (2, 3, *[1, 2] * 9):
        assert all(torch.equal(p, q) for p, q in zip(first, run(threads), strict=True))


def test_large_sums_are_accurate() -> None:
    """Two million terms in float32: partial sums are added in double."""
    x = torch.rand(1000, 2048) + 0.5
    a = torch.ones(1, 2, requires_grad=True)
    b = torch.ones(1, 1)
    (da,) = torch.autograd.grad(kan.rational(x, a, b).sum(), a)
    exact = torch.stack([(1 / (1 + x.double())).sum(), (x.double() / (1 + x.double())).sum()])
    assert ((da[0] - exact) / exact).abs().max() < 3e-7
