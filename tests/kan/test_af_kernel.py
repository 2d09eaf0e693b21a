"""The compiled combinations of AF-KAN: against mpmath and against torch's own activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import pytest
import torch

import fourfold
from fourfold.kan import _basis_formulas as formulas
from fourfold.kan import _basis_ops as ops
from fourfold.kan._basis_formulas import ACTIVATIONS, COMBINATIONS

pytestmark = pytest.mark.isa

Tensor = torch.Tensor
SELU = 1.0507009873554805, 1.6732632423543772
EXACT: dict[str, Callable[[Any], Any]] = {
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)) if x <= 20 else x,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "relu": lambda x: max(x, 0),
    "leaky_relu": lambda x: x if x > 0 else x / 100,
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "gelu": lambda x: x * mpmath.ncdf(x),
    "selu": lambda x: SELU[0] * (x if x > 0 else SELU[1] * mpmath.expm1(x)),
    "tanh": mpmath.tanh,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_activations(activation: str, dtype: torch.dtype) -> None:
    """a + b = s(x) + s(-x - 1): to a few units of the last place of the larger one, and their slopes."""
    near = torch.randn(40, dtype=torch.float64) * 4
    special = [0.0, -0.0, 1e-9, -1e-9, 19.99, 20.01, -30.0, 39.0, -41.0, 700.0, -700.0, 1e-30]
    x = torch.cat([near, torch.tensor(special, dtype=torch.float64)]).to(dtype)[None]
    low, high = (torch.full_like(x, v) for v in (0.0, -1.0))
    x.requires_grad_()
    out = ops.basis(x, low, high, f"sum of {activation}", 1)
    (slope,) = torch.autograd.grad(out.sum(), x)
    s, eps = EXACT[activation], torch.finfo(dtype).eps
    for at, got, by_x in zip(x[0].tolist(), out[0, 0].tolist(), slope[0].tolist(), strict=True):
        other = float((-1 - torch.tensor(at, dtype=dtype)).item())
        parts = [s(mpmath.mpf(at)), s(mpmath.mpf(other))]
        assert abs(got - sum(parts)) <= 4 * eps * max(abs(part) for part in parts)
        if abs(at) > 1e-6 and abs(other) > 1e-6 and abs(at - 20) > 0.1:  # away from the kinks
            exact = mpmath.diff(s, at, h=mpmath.mpf("1e-20")) - mpmath.diff(
                s, other, h=mpmath.mpf("1e-20")
            )
            assert abs(by_x - exact) <= 8 * eps * max(1, abs(exact))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_combinations_and_all_gradients(activation: str) -> None:
    """Against torch's formula and its autograd; more rows than an item, odd numbers of features."""
    for combination in COMBINATIONS:
        name = f"{combination} of {activation}"
        x = torch.randn(70, 19, dtype=torch.float64)
        low, high = torch.randn(2, 3, 19, dtype=torch.float64)
        grad = torch.randn(70, 3, 19, dtype=torch.float64)
        leaves = [z.requires_grad_() for z in (x, low, high)]
        values = ops.basis(*leaves, name, 3)
        truth = formulas.combined(leaves[0], leaves[1], leaves[2], name)
        torch.testing.assert_close(values, truth, rtol=1e-12, atol=1e-13)
        got = torch.autograd.grad(values, leaves, grad)
        for ours, theirs in zip(got, torch.autograd.grad(truth, leaves, grad), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)
        single = ops.basis(*(z.detach().float() for z in leaves), name, 3)
        torch.testing.assert_close(single.double(), truth.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_stays_in_its_element(activation: str) -> None:
    x = torch.randn(3, 21)
    low, high = torch.randn(2, 2, 21)
    clean = ops.basis(x, low, high, f"quad1 of {activation}", 2)
    x[1, 4] = math.nan
    dirty = ops.basis(x, low, high, f"quad1 of {activation}", 2)
    assert dirty[1, :, 4].isnan().all()
    dirty[1, :, 4] = clean[1, :, 4]
    assert torch.equal(dirty, clean)


def test_gradients_do_not_depend_on_threads() -> None:
    x = torch.randn(500, 33)
    low, high = torch.randn(2, 6, 33)
    found = []
    for threads in (1, 2, 5):
        fourfold.set_num_threads(threads)
        leaves = [z.detach().requires_grad_() for z in (x, low, high)]
        out = ops.basis(*leaves, "quad1 of silu", 6)
        found.append(torch.autograd.grad(out.square().sum(), leaves))
    for other in found[1:]:
        assert all(torch.equal(p, q) for p, q in zip(found[0], other, strict=True))
