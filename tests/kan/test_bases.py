"""The bases against SciPy, NumPy and mpmath-free closed forms, and their derivatives."""

# torch returns Any, and modules hide the types of what they hold.
# mypy: disable-error-code="no-any-return,union-attr,operator,index,misc,no-untyped-call,arg-type,comparison-overlap,return-value"

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev
from scipy.interpolate import BSpline as ScipyBSpline

import fourfold
from fourfold import kan
from fourfold.kan.bases import BASES

# Every basis with options off their defaults; sizes that fill no vector.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("bspline", {}),
    ("bspline", {"grid_size": 1, "degree": 1}),
    ("bspline", {"grid_size": 7, "degree": 2, "domain": (-2, 1)}),
    ("bspline", {"grid_size": 3, "degree": 5}),
    ("rbf", {"functions": 5}),
    ("rbf", {"functions": 3, "trainable": True, "width": 0.7}),
    ("chebyshev", {"degree": 1}),
    ("chebyshev", {"degree": 7, "squash": False}),
    ("fourier", {"terms": 5, "period": 3.0}),
    ("wavelet", {"functions": 3}),
    ("wavelet", {"functions": 3, "wavelet": "morlet"}),
    ("wavelet", {"functions": 4, "wavelet": "dog"}),
    ("relu", {"grid_size": 4, "order": 2}),
    ("rational", {}),
    ("rational", {"degree": (3, 2), "variant": "B", "groups": 1}),
    ("af", {}),
]
IDS = [f"{name}-{'-'.join(map(str, options.values()))}" for name, options in CASES]


def rng() -> np.random.Generator:
    return np.random.default_rng(torch.initial_seed() % 2**32)


def make(name: str, features: int, options: dict[str, Any], dtype: torch.dtype) -> kan.Basis:
    basis = BASES[name](features, **options).to(dtype)
    with torch.no_grad():
        for parameter in basis.parameters():
            parameter.mul_(1 + 0.1 * torch.rand_like(parameter))
    return basis


def points(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return (2.5 * torch.randn(*shape, dtype=torch.float64)).to(dtype)


def truth(basis: kan.Basis, x: np.ndarray) -> np.ndarray:
    """(..., K, D) by NumPy and SciPy, in float64."""
    y = x[..., None, :]
    if isinstance(basis, kan.BSpline):
        knots = np.broadcast_to(basis.knots.double().numpy(), (len(basis.knots), x.shape[-1]))
        k = basis.degree
        out = np.zeros((*x.shape[:-1], basis.functions, x.shape[-1]))
        for d in range(x.shape[-1]):
            for j in range(basis.functions):
                element = ScipyBSpline.basis_element(knots[j : j + k + 2, d], extrapolate=False)
                out[..., j, d] = np.nan_to_num(element(x[..., d]))
        return out
    if isinstance(basis, kan.RBF):
        return np.exp(-(((y - basis.centre.detach().numpy()) * basis.scale.detach().numpy()) ** 2))
    if isinstance(basis, kan.Chebyshev):
        z = np.tanh(x) if basis.squash else x
        return np.moveaxis(chebyshev.chebvander(z, basis.functions - 1), -1, -2)
    if isinstance(basis, kan.Fourier):
        angle = 2 * np.pi * np.arange(1, basis.functions // 2 + 1)[:, None] * y / basis.period
        return np.concatenate([np.cos(angle), np.sin(angle)], axis=-2)
    if isinstance(basis, kan.Wavelet):
        u = (y - basis.position.detach().numpy()) / basis.scale.detach().numpy()
        envelope = np.exp(-(u**2) / 2)
        return {
            "mexican_hat": 2 / (np.sqrt(3) * np.pi**0.25) * (1 - u**2) * envelope,
            "morlet": np.cos(5 * u) * envelope,
            "dog": -u * envelope,
        }[basis.wavelet]
    assert isinstance(basis, kan.ReLU)
    low, high = basis.low.detach().numpy(), basis.high.detach().numpy()
    product = np.maximum(y - low, 0) * np.maximum(high - y, 0)
    return product**2 * 16 / (high - low) ** 4


@pytest.mark.isa
@pytest.mark.parametrize(("name", "options"), CASES[:13], ids=IDS[:13])
@pytest.mark.parametrize("features", [1, 3, 37])
def test_values(name: str, options: dict[str, Any], features: int) -> None:
    basis = make(name, features, options, torch.float64)
    x = points(2, 5, features)
    if name == "chebyshev" and not options.get("squash", True):
        x = x.clamp(-1, 1)
    want = truth(basis, x.numpy())
    assert basis.compiles(x)
    for values in (basis(x), basis.formula(x)):
        assert values.shape == (2, 5, basis.functions, features)
        np.testing.assert_allclose(values.detach(), want, atol=2e-13)
    single = basis.float()
    want = truth(single.double(), x.float().double().numpy())
    values = single.float()(x.float())
    assert values.dtype == torch.float32
    # Parameters were rounded, too: their error is amplified by the functions' slopes.
    np.testing.assert_allclose(values.detach(), want, atol=3e-5)


@pytest.mark.isa
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_compiled_gradients_are_those_of_the_formula(name: str, options: dict[str, Any]) -> None:
    basis = make(name, 21, options, torch.float64)
    # More rows than a block of the kernels has.
    x = points(150, 21).requires_grad_()
    grad = points(150, basis.functions, 21)
    parameters = [p for p in basis.parameters() if p.requires_grad]
    found = []
    for function in (basis, basis.formula):
        values = function(x)
        found.append(torch.autograd.grad(values, [x, *parameters], grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.isa
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_derivatives(name: str, options: dict[str, Any]) -> None:
    basis = make(name, 3, options, torch.float64)
    x = points(2, 3).requires_grad_()
    assert torch.autograd.gradcheck(basis, (x,), fast_mode=True)
    if name == "bspline" and options.get("degree", 3) < 3:
        return  # the second derivative jumps
    assert torch.autograd.gradgradcheck(basis, (x,), fast_mode=True)


def test_derivatives_of_parameters() -> None:
    for name in ("wavelet", "relu", "rbf"):
        options: dict[str, Any] = {"trainable": True} if name == "rbf" else {}
        basis = make(name, 3, options, torch.float64)
        names, values = zip(*basis.named_parameters(), strict=True)
        x = points(4, 3)

        def function(*given: torch.Tensor) -> torch.Tensor:
            state = dict(zip(names, given, strict=True))  # noqa: B023 (called within this turn)
            return torch.func.functional_call(basis, state, (x,))  # noqa: B023

        inputs = tuple(value.detach().requires_grad_() for value in values)
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.isa
@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
def test_derivatives_of_splines(order: int) -> None:
    basis = kan.BSpline(5, grid_size=4, degree=4).double()
    x = points(50, 5)
    want = np.zeros((50, basis.functions, 5))
    knots = basis.knots[:, 0].numpy()
    for j in range(basis.functions):
        element = ScipyBSpline.basis_element(knots[j : j + 6], extrapolate=False)
        want[:, j] = np.nan_to_num(element.derivative(order)(x.numpy()) if order else element(x))
    scale = np.abs(want).max()
    for implementation in ("compiled", "torch"):
        basis.implementation = implementation
        np.testing.assert_allclose(basis.derivative(x, order), want, atol=1e-12 * scale)


@pytest.mark.isa
def test_splines_on_knots_of_their_own() -> None:
    knots = torch.randn(12, 9, dtype=torch.float64).sort(dim=0).values
    knots[5, 3] = knots[6, 3]  # an empty interval
    basis = kan.BSpline(9, knots=knots)
    x = torch.cat([points(40, 9), knots])
    np.testing.assert_allclose(basis(x), truth(basis, x.numpy())[:, :, :], atol=1e-11)
    np.testing.assert_allclose(basis.formula(x), basis(x), atol=1e-12)


def test_splines_sum_to_one_on_their_domain() -> None:
    for degree in range(1, 6):
        basis = kan.BSpline(4, degree=degree, grid_size=6, domain=(-3, 2)).double()
        x = torch.rand(100, 4, dtype=torch.float64) * 5 - 3
        torch.testing.assert_close(basis(x).sum(-2), torch.ones_like(x), rtol=0, atol=1e-14)


@pytest.mark.isa
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_inputs(name: str, options: dict[str, Any], dtype: torch.dtype) -> None:
    if name == "af" or not options.get("squash", True):
        pytest.skip("polynomials outside [-1, 1] overflow, attention mixes the features")
    basis = make(name, 19, options, dtype)
    huge = torch.finfo(dtype).max / 100  # the Fourier basis takes multiples
    x = points(6, 19, dtype=dtype)
    x[1, 2], x[2, 18], x[3, 5] = huge, -huge, 1e-40
    for function in (basis, basis.formula):
        values = function(x.clone())
        if name != "rational":  # which grows without bound
            assert values.isfinite().all()
        poisoned = x.clone()
        poisoned[4, 7] = math.nan
        after = function(poisoned)
        assert after[4, :, 7].isnan().any()
        mask = torch.ones_like(values, dtype=torch.bool)
        mask[4, :, 7] = False
        torch.testing.assert_close(after[mask], values[mask], rtol=0, atol=0, equal_nan=True)


@pytest.mark.isa
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_strides_and_empty_input(name: str, options: dict[str, Any]) -> None:
    basis = make(name, 6, options, torch.float32).eval()
    x = points(8, 6, dtype=torch.float32)
    want = basis(x)
    views = [x.t().contiguous().t(), torch.stack([x, x], dim=1)[:, 0], x.flip(0).flip(0)]
    exact = 0.0 if name != "af" else 1e-5  # torch's own operations depend on strides
    for view in views:
        torch.testing.assert_close(basis(view), want, rtol=exact, atol=exact)
    expanded = x[:1].expand(8, 6)
    whole = basis(expanded.contiguous())
    torch.testing.assert_close(basis(expanded), whole, rtol=exact, atol=exact)
    if name != "af":
        assert basis(x[:0]).shape == (0, basis.functions, 6)
        assert basis(x[0]).shape == (basis.functions, 6)
        empty = x[:0].clone().requires_grad_()
        basis(empty).sum().backward()
        assert empty.grad is not None


@pytest.mark.isa
def test_gradients_are_equal_for_any_number_of_threads() -> None:
    x = points(300, 33, dtype=torch.float32)
    for name in ("bspline", "wavelet", "relu"):
        layer = kan.KANLinear(33, 37, name)
        seen = []
        for threads in (1, 2, 5, 1):
            fourfold.set_num_threads(threads)
            layer.zero_grad()
            at = x.clone().requires_grad_()
            layer(at).square().sum().backward()
            gradients = [at.grad, *(p.grad for p in layer.parameters())]
            seen.append(torch.cat([g.flatten() for g in gradients if g is not None]))
        assert all(torch.equal(seen[0], other) for other in seen[1:])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", list(BASES))
def test_low_precision(name: str, dtype: torch.dtype) -> None:
    basis = BASES[name](7)
    x = points(11, 7, dtype=torch.float32).to(dtype)
    want = basis(x.float())
    assert basis(x).dtype == dtype
    torch.testing.assert_close(basis(x).float(), want, rtol=8e-3, atol=8e-3)
    basis.to(dtype)
    assert basis(x).isfinite().all()
    layer = kan.KANLinear(7, 4, name).to(dtype)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == dtype


def test_a_basis_of_your_own() -> None:
    class Powers(kan.Basis):
        def __init__(self, in_features: int, **options: Any) -> None:
            super().__init__(in_features, 3, **options)

        def formula(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([x, x**2, x**3], dim=-2)

    layer = kan.KANLinear(2, 5, Powers(2))
    x = torch.randn(9, 2)
    powers = torch.stack([x, x**2, x**3], dim=1)
    torch.testing.assert_close(layer(x), torch.einsum("njd,jdo->no", powers, layer.weight))
    with pytest.raises(NotImplementedError, match="Powers has no compiled kernel"):
        Powers(2, implementation="compiled")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kan.BSpline(0), "in_features: expected at least 1, got 0"),
        (lambda: kan.BSpline(3, degree=6), "degree: expected 1 to 5, got 6"),
        (lambda: kan.BSpline(3, domain=(1, 1)), "domain: expected finite low < high"),
        (lambda: kan.BSpline(3, knots=torch.ones(12, 2)), "knots: expected shape"),
        (lambda: kan.BSpline(3, knots=torch.full((12, 1), math.inf)), "expected finite values"),
        (lambda: kan.KANLinear(3, 2)(torch.ones(1, 3), torch.ones(2, 3)), "mask: expected shape"),
        (lambda: kan.KANLinear(3, 2).refine(7, torch.full((9, 3), math.nan)), "x: expected finite"),
        (lambda: kan.SelectableKANLinear(3, 2, "rbf"), r"names out of .*got \('rbf',\)"),
        (lambda: kan.BSpline(3, knots=-torch.arange(12.0)[:, None]), "do not decrease"),
        (lambda: kan.RBF(3, functions=1), "functions: expected at least 2, got 1"),
        (lambda: kan.RBF(3, width=0.0), "width: expected a positive number"),
        (lambda: kan.Fourier(3, period=-1.0), "period: expected a positive number"),
        (lambda: kan.Wavelet(3, wavelet="haar"), "wavelet: expected one of"),
        (lambda: kan.AF(3, activation="sin"), "activation: expected one of"),
        (lambda: kan.BSpline(3, implementation="fast"), "implementation: expected"),
        (lambda: kan.BSpline(3)(torch.ones(2, 4)), r"expected 3 features .* got shape \(2, 4\)"),
        (lambda: kan.KANLinear(3, 2, "spline"), "basis: expected one of"),
        (lambda: kan.KANLinear(3, 2, kan.BSpline(4)), "expected one for 3 features"),
        (lambda: kan.KANLinear(3, 2, base="sine"), "base: expected one of"),
    ],
)
def test_bad_arguments(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_types() -> None:
    with pytest.raises(TypeError, match=r"x: expected a floating dtype, got torch\.int64"):
        kan.BSpline(3)(torch.ones(2, 3, dtype=torch.int64))
    with pytest.raises(TypeError, match="x: expected a torch tensor, got ndarray"):
        kan.RBF(3)(np.ones((2, 3)))
    with pytest.raises(TypeError, match="x: expected a torch tensor, got ndarray"):
        kan.KANLinear(3, 2)(np.ones((2, 3)))
    with pytest.raises(TypeError, match="knots: expected a torch tensor, got ndarray"):
        kan.BSpline(3, knots=np.arange(12.0)[:, None])
    with pytest.raises(TypeError, match="names: expected several names, got the string 'sin'"):
        kan.KAN([3, 1]).symbolic(torch.rand(9, 3), "sin")
    with pytest.raises(TypeError, match="belong to the basis that was given"):
        kan.KANLinear(3, 2, kan.BSpline(3), grid_size=3)
    with pytest.raises(TypeError, match="in_features: expected an integer"):
        kan.BSpline(2.5)
