"""Values and first derivatives of the kernel against mpmath, from zero to the largest numbers."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch

from fourfold import kan
from fourfold.kan import _ops
from fourfold.kan.functional import Implementation, Variant
from tests.kan.reference import exact

pytestmark = pytest.mark.isa

VARIANTS: tuple[Variant, ...] = ("A", "B", "C", "N")
DEGREES = [(5, 4), (3, 2), (7, 6), (2, 3), (12, 12), (0, 2), (3, 0), (1, 11)]
IMPLEMENTATIONS: tuple[Implementation, ...] = ("kernel", "torch")
# 11 a call: 16-lane vectors are never full, 4-lane ones are.
COUNT = 11


def draw(
    rng: np.random.Generator, m: int, n: int, variant: str, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One group; what is drawn is representable in the dtype."""
    x = torch.from_numpy(rng.normal(size=COUNT) * 2.0 ** rng.integers(-3, 3, COUNT)).to(dtype)
    a = torch.from_numpy(rng.normal(size=(1, m + 1))).to(dtype)
    b = torch.from_numpy(rng.normal(size=(1, n + (variant == "C")))).to(dtype)
    if variant == "N":  # no pole
        x, b = x.abs(), b.abs()
    return x, a, b


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("degree", DEGREES, ids=str)
def test_values_and_gradients(
    degree: tuple[int, int], variant: Variant, dtype: torch.dtype, implementation: Implementation
) -> None:
    rng = np.random.default_rng([*degree, ord(variant)])
    x, a, b = draw(rng, *degree, variant, dtype)
    g = torch.from_numpy(rng.normal(size=COUNT)).to(dtype)
    leaves = [z.clone().requires_grad_() for z in (x, a, b)]
    out = kan.rational(*leaves, variant=variant, implementation=implementation)
    dx, da, db = torch.autograd.grad(out, leaves, g, allow_unused=True, materialize_grads=True)
    truth = [exact(v, a[0].tolist(), b[0].tolist(), variant) for v in x.tolist()]
    # Of the sums that may cancel: 1e-13 in float64, 8 eps in float32.
    eps = 1e-13 if dtype == torch.float64 else 8 * torch.finfo(dtype).eps
    for value, slope, gv, t in zip(out.tolist(), dx.tolist(), g.tolist(), truth, strict=True):
        assert abs(value - t.value) <= eps * t.value_size
        assert abs(slope - gv * t.x) <= 2 * eps * abs(gv) * t.x_size
    for got, terms in ((da, "a"), (db, "b")):
        for k in range(got.shape[1]):
            pairs = list(zip(g.tolist(), truth, strict=True))
            total = mpmath.fsum(gv * getattr(t, terms)[k] for gv, t in pairs)
            size = mpmath.fsum(abs(gv) * getattr(t, terms + "_size")[k] for gv, t in pairs)
            assert abs(got[0, k].item() - total) <= 2 * eps * size


def test_well_conditioned_float64() -> None:
    """No cancellation: a relative error of 1e-13 wherever x is."""
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0.1, 2, (1, 6)), rng.uniform(0.1, 2, (1, 4))
    x = 10.0 ** rng.uniform(-300, 300, 200)
    out = kan.rational(torch.from_numpy(x), torch.from_numpy(a), torch.from_numpy(b))
    for value, at in zip(out.tolist(), x, strict=True):
        truth = exact(at, a[0], b[0], "A").value
        assert abs(value - truth) <= 1e-13 * abs(truth)


LARGEST = {
    torch.float64: 1.7976931348623157e308,
    torch.float32: 3.4028234663852886e38,
    torch.bfloat16: 3.3895313892515355e38,
    torch.float16: 65504.0,
}
# Coefficients with zeros on top, none at all, m above, at and below n, tiny ones on top.
SHAPES = {
    "identity": ([0, 1, 0, 0, 0, 0], [0, 0, 0, 0]),
    "gelu-like": ([0.1, 0.5, 0.3, 0.2, 0.1, 0.05], [0.1, -0.2, 0.3, 0.1]),
    "bounded": ([1, 2, 3, 4, 0, 0], [1, 1, 1, -2]),
    "constant": ([2, 0, 0, 0, 0, 0], [0, 0, 0, 0]),
    "decaying": ([1, -1, 0, 0, 0, 0], [0, 1, 0, 2]),
    "zero": ([0, 0, 0, 0, 0, 0], [1, 0, 0, 0]),
    "tiny top": ([1, 2, 3, 1, 1, 1e-7], [1, 1, 1, 1e-7]),
    "growing": ([0, 0, 1e-6, 0, 0, 0], [1e-3, 0, 0, 0]),
}


@pytest.mark.parametrize("dtype", list(LARGEST), ids=str)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", list(SHAPES))
def test_far_from_the_origin(shape: str, variant: Variant, dtype: torch.dtype) -> None:
    """Finite wherever F can be represented, and as exact as elsewhere; infinite where F overflows."""
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    a, b = (torch.tensor([v], dtype=compute) for v in SHAPES[shape])
    if variant == "C":
        b = torch.cat([torch.full_like(b[:, :1], 0.3), b], dim=1)
    if variant == "N":
        b = b.abs()
    largest = LARGEST[dtype]
    sizes = 2.0 ** np.linspace(0.5, np.log2(largest) * (1 - 1e-16), 60)
    sizes[-1] = largest
    x = torch.from_numpy(np.concatenate([sizes, -sizes]) if variant != "N" else sizes).to(dtype)
    assert x.isfinite().all()
    x.requires_grad_()
    out = kan.rational(x, a, b, variant=variant)
    (dx,) = torch.autograd.grad(out.sum(), x)
    eps = max(torch.finfo(dtype).eps, 1e-15)
    highest = torch.finfo(dtype).max
    tiny = torch.finfo(dtype).tiny
    for v, value, slope in zip(x.tolist(), out.tolist(), dx.tolist(), strict=True):
        t = exact(v, a[0].tolist(), b[0].tolist(), variant)
        if abs(t.value) > highest * (1 + eps):
            assert value == float(mpmath.sign(t.value)) * np.inf
        elif abs(t.value) < highest * (1 - eps):
            assert abs(value - t.value) <= 16 * eps * t.value_size + tiny
        if abs(t.x) < highest / 2:
            assert np.isfinite(slope)
            assert abs(slope - t.x) <= 32 * eps * t.x_size + tiny


@pytest.mark.parametrize("variant", VARIANTS)
def test_at_infinity(variant: Variant) -> None:
    x = torch.tensor([np.inf, -np.inf], dtype=torch.float32)
    if variant == "N":
        x = x.abs()
    zeros = torch.zeros(1, variant == "C")
    for a, b, limit in (
        ([1.0, 2.0, 6.0], [1.0, 3.0], lambda s: 2.0),
        ([1.0, 2.0], [1.0, 3.0], lambda s: 0.0),
        ([1.0, 2.0, 0.0, 0.0], [0.0, 0.0], lambda s: s * np.inf),
    ):
        got = kan.rational(
            x, torch.tensor([a]), torch.cat([zeros, torch.tensor([b])], 1), variant=variant
        )
        assert got.tolist() == [limit(1.0 if v > 0 else -1.0) for v in x.tolist()]


def test_huge_coefficients() -> None:
    """What overflows then is not F but the sums of a naive evaluation."""
    a = torch.tensor([[1e38, 3e38, 3e38]])
    b = torch.tensor([[3e38, 3e38]])
    x = torch.tensor([-1.0, 0.1, 1.0, 3.0, 1e20])
    for value, v in zip(kan.rational(x, a, b).tolist(), x.tolist(), strict=True):
        truth = exact(v, a[0].tolist(), b[0].tolist(), "A").value
        assert value == pytest.approx(float(truth), rel=1e-6)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("count", [3, 70])
def test_signs_at_zero(implementation: Implementation, count: int) -> None:
    """The derivatives of |b| and |x| at 0, -0.0 included, are +1."""
    a = torch.tensor([[2.0, 3.0, 1.0]], requires_grad=True)
    for zero in (0.0, -0.0):
        b = torch.tensor([[zero, zero]], requires_grad=True)
        x = torch.full((count,), 2.0)
        (db,) = torch.autograd.grad(kan.rational(x, a, b, implementation=implementation).sum(), b)
        p = 2 + 3 * 2 + 4
        assert db.tolist() == [[-p * 2.0 * count, -p * 4.0 * count]]
        slope = torch.full((count,), zero, requires_grad=True)
        out = kan.rational(slope, a, torch.tensor([[0.5, 1.0]]), implementation=implementation)
        (dx,) = torch.autograd.grad(out.sum(), slope)
        assert dx.tolist() == [3 - 2 * 0.5] * count


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("degree", [(5, 4), (4, 4)], ids=str)
def test_nan_stays_in_its_element(
    variant: Variant, degree: tuple[int, int], implementation: Implementation
) -> None:
    rng = np.random.default_rng(4)
    a = torch.from_numpy(rng.normal(size=(1, degree[0] + 1))).float()
    b = torch.from_numpy(rng.uniform(0, 1, (2, degree[1] + (variant == "C")))).float()
    clean = torch.from_numpy(rng.uniform(0, 3, (3, 50))).float()
    dirty = clean.clone()
    dirty[1, 7] = torch.nan
    results = []
    for x in (clean, dirty):
        x.requires_grad_()
        out = kan.rational(x, a, b, variant=variant, implementation=implementation)
        (dx,) = torch.autograd.grad(out.sum(), x)
        results.append((out, dx))
    for good, bad in zip(*results, strict=True):
        assert bad[1, 7].isnan()
        bad[1, 7] = good[1, 7]
        assert torch.equal(good, bad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_low_precision_rounds_once(dtype: torch.dtype) -> None:
    """As if computed in float32 and rounded at the end, for every number of the type."""
    bits = torch.arange(-32768, 32768, dtype=torch.int32).to(torch.int16)
    x = bits.view(dtype)
    a = torch.tensor([[0.1, 0.6, 0.3, 0.2, 0.1, 0.05]])
    b = torch.tensor([[0.2, 0.3, 0.1, 0.2]])
    got = kan.rational(x, a, b)
    expected = kan.rational(x.float(), a, b).to(dtype)
    assert torch.equal(got.isnan(), expected.isnan())
    assert torch.equal(got.nan_to_num(nan=0.0), expected.nan_to_num(nan=0.0))
    g = torch.ones_like(x)
    x, g = x[x.isfinite()], g[x.isfinite()]
    dx, da, db = _ops.rational_backward(g, x, a, b, "A", -1)
    wide = _ops.rational_backward(g.float(), x.float(), a, b, "A", -1)
    assert torch.equal(dx, wide[0].to(dtype))
    # Sums of terms of order 1 in another order; half of them cancel, as x has both signs.
    torch.testing.assert_close((da, db), wide[1:], rtol=1e-5, atol=1e-9 * len(x))


@pytest.mark.parametrize("dtype", list(LARGEST), ids=str)
@pytest.mark.parametrize("bits", [0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001], ids=hex)
@pytest.mark.parametrize("channels", [4, 64])
def test_any_nan_among_the_coefficients_stays_nan(
    channels: int, bits: int, dtype: torch.dtype
) -> None:
    """Whatever its lower bits are, which rounding to a narrower type could carry into the exponent."""

    a, b = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5], [0.5]])
    a.view(torch.int32)[0, 0] = np.array(bits, np.uint32).view(np.int32).item()

    x = torch.ones(3, channels, dtype=dtype)
    if dtype == torch.float64:
        a, b = a.double(), b.double()
    assert kan.rational(x, a, b).isnan().all()
    dx, _, db = _ops.rational_backward(x, x, a, b, "A", -1)
    assert dx.isnan().all()
    assert db.isnan().all()


def test_huge_coefficients_of_both() -> None:
    """F Q' overflows here, and F' does not."""
    a, b = torch.tensor([[3e27, 0.0]]), torch.tensor([[1e13, 1e13, 0.0, 1e13]])
    x = torch.tensor([0.9, 1e-3, -0.5, 1e-13], requires_grad=True)
    (dx,) = torch.autograd.grad(kan.rational(x, a, b).sum(), x)
    for slope, v in zip(dx.tolist(), x.tolist(), strict=True):
        truth = exact(v, a[0].tolist(), b[0].tolist(), "A").x
        if abs(truth) < torch.finfo(torch.float32).max:
            assert slope == pytest.approx(float(truth), rel=1e-5)


@pytest.mark.parametrize("run", [96, 2048, 5000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_far_elements_among_near_ones(dtype: torch.dtype, run: int) -> None:
    """They change nothing but their own element and, by what they add, the coefficients' gradients."""
    rng = np.random.default_rng(run)
    a = torch.from_numpy(rng.normal(size=(1, 6))).to(dtype)
    b = torch.from_numpy(rng.uniform(0.1, 1, (3, 4))).to(dtype)
    far = 1e30 if dtype != torch.float64 else 1e200
    near = torch.from_numpy(rng.normal(size=(2, 3 * run))).to(dtype)
    at = rng.choice(near.numel(), 5, replace=False)
    mixed, alone = near.flatten().clone(), torch.zeros(near.numel(), dtype=dtype)
    mixed[at] = alone[at] = torch.tensor([far, -far, far / 7, -far / 3, 1e5], dtype=dtype)
    g = torch.ones_like(near).flatten()
    g_near, g_far = g.clone(), torch.zeros_like(g)
    g_near[at], g_far[at] = 0, 1
    whole = _ops.rational_backward(g.view(2, -1), mixed.view(2, -1), a, b, "A", -1)
    parts = [
        _ops.rational_backward(gradient.view(2, -1), x.view(2, -1), a, b, "A", -1)
        for gradient, x in ((g_near, near.flatten()), (g_far, alone))
    ]
    keep = g_near == 1
    assert torch.equal(whole[0].flatten()[keep], parts[0][0].flatten()[keep])
    assert torch.equal(whole[0].flatten()[~keep], parts[1][0].flatten()[~keep])
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5 if dtype == torch.float32 else 0.02
    for k in (1, 2):
        total = parts[0][k].double() + parts[1][k].double()
        torch.testing.assert_close(whole[k].double(), total, rtol=tolerance, atol=tolerance)
