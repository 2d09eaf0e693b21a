"""Rational fits: their errors against published ones and against optimality itself; the shipped tables."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import torch
from torch.nn import functional as f

from fourfold import kan
from fourfold.kan import fitting
from fourfold.kan.functional import Variant

ROOT = Path(__file__).resolve().parents[2]
# Published for variant A, degree (5, 4).
PUBLISHED = {
    ("gelu", 3): 1.275e-3,
    ("gelu", 5): 2.41e-3,
    ("gelu", 8): 3.355e-3,
    ("silu", 3): 4.65e-7,
    ("silu", 5): 2.65e-5,
    ("silu", 8): 5.25e-4,
    ("relu", 3): 1.285e-2,
    ("relu", 5): 2.135e-2,
    ("relu", 8): 3.405e-2,
}


@pytest.mark.parametrize(("name", "end"), PUBLISHED, ids=str)
def test_errors_through_the_module(name: str, end: int) -> None:
    """At points of our own, of the module's own forward pass."""
    fit = kan.fit_rational(name, interval=(-end, end))
    layer = kan.Rational(16, init=fit, dtype=torch.float64)
    x = torch.linspace(-end, end, 160_001, dtype=torch.float64)[1:].reshape(-1, 16)
    with torch.no_grad():
        error = float((layer(x) - getattr(f, name)(x)).abs().max())
    assert error <= PUBLISHED[name, end]
    assert error == pytest.approx(fit.error, rel=1e-2)


@pytest.mark.parametrize("variant", ["A", "B", "C", "N"])
def test_the_error_oscillates(variant: Variant) -> None:
    """A best fit of a function without symmetry reaches its error, with alternating signs, often."""
    fit = kan.fit_rational(torch.exp, (3, 2), (0.5, 2.0), variant)
    x = torch.linspace(0.5, 2.0, 20_001, dtype=torch.float64)
    off = fit(x) - torch.exp(x)
    assert float(off.abs().max()) == pytest.approx(fit.error, rel=1e-3)
    extreme = off[off.abs() > 0.99 * fit.error].sign().tolist()
    turns = 1 + sum(a != b for a, b in itertools.pairwise(extreme))
    # Free coefficients + 1. With A the optimum has b >= 0 active, with B the same function's W > 0.
    assert turns >= {"A": 4, "B": 4, "C": 6, "N": 4}[variant]


@pytest.mark.parametrize("degree", [(1, 0), (3, 0), (2, 2), (4, 3), (7, 6)], ids=str)
def test_no_nearby_fit_is_better(degree: tuple[int, int]) -> None:
    """Random steps of all sizes find nothing better."""
    fit = kan.fit_rational("silu", degree, (-4.0, 4.0))
    torch.manual_seed(0)
    x = torch.linspace(-4, 4, 4001, dtype=torch.float64)
    a = torch.tensor([fit.numerator], dtype=torch.float64)
    b = torch.tensor([fit.denominator], dtype=torch.float64).reshape(1, -1)
    for size in (1e-1, 1e-3, 1e-6):
        for _ in range(100):
            da = a * (1 + size * torch.randn_like(a))
            db = b * (1 + size * torch.randn_like(b))
            error = (kan.rational(x, da, db) - f.silu(x)).abs().max()
            assert error > fit.error * (1 - 1e-3)


@pytest.mark.parametrize(
    ("fn", "degree", "interval", "variant", "reach"),
    [
        (torch.exp, (5, 5), (-1.0, 1.0), "C", 1e-12),  # the best of all variants: 1.5e-13
        (torch.sigmoid, (8, 8), (-6.0, 6.0), "N", 1e-11),
        (torch.tan, (5, 6), (-1.5, 1.5), "C", 1e-9),
        (torch.exp, (4, 4), (-1.0, 1.0), "N", 1.5381e-10),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_small_errors_are_reached(
    fn: Any, degree: tuple[int, int], interval: tuple[float, float], variant: Variant, reach: float
) -> None:
    """Far below what a linear program resolves, where the start decides."""
    assert kan.fit_rational(fn, degree, interval, variant).error <= reach


@pytest.mark.parametrize("variant", ["A", "B", "C", "N"])
def test_constants_and_polynomials(variant: Variant) -> None:
    assert kan.fit_rational(torch.zeros_like, variant=variant).error == 0
    assert kan.fit_rational(torch.ones_like, (0, 0), variant=variant).error < 1e-13
    assert kan.fit_rational(lambda x: 1 + x - x**3, variant=variant).error < 1e-8


def test_chebyshev() -> None:
    """The best polynomial of degree 4 for x^5 on [-1, 1] is off by 2^-4."""
    fit = kan.fit_rational(lambda x: x**5, (4, 0), (-1.0, 1.0))
    assert fit.error == pytest.approx(2**-4, rel=1e-6)
    assert fit.numerator == pytest.approx((0, -5 / 16, 0, 5 / 4, 0), abs=1e-5)


def test_asymptote() -> None:
    for name in ("gelu", "silu", "relu"):
        fit = kan.fit_rational(name, asymptote=1.0)
        far = torch.tensor([1e5, 1e9], dtype=torch.float64)
        torch.testing.assert_close(fit(far) / far, torch.ones(2).double(), rtol=1e-3, atol=0)
        near = torch.tensor([10.0, 20.0], dtype=torch.float64)
        assert (fit(near) - near).abs().max() < 0.7
        assert fit.error < 0.036
        # Without: nearer on the left, never off by more than 3.6 up to |x| = 20 (a fit on [-3, 3] of gelu: 8).
        free = kan.fit_rational(name)
        x = torch.linspace(-20, 20, 801, dtype=torch.float64)
        assert (free(x) - getattr(f, name)(x)).abs().max() < 3.6


def test_gain_is_that_of_the_fitted_function() -> None:
    """1/E of the exact functions is known; that of a fit is nearby, and what another quadrature says."""
    for name, exact in (("gelu", 2.35172), ("silu", 2.81076), ("relu", 2.0), ("identity", 1.0)):
        for end in (3.0, 8.0):
            fit = kan.fit_rational(name, interval=(-end, end))
            assert fit.gain == pytest.approx(exact, rel=2e-2)

            def density(z: float, fit: kan.RationalFit = fit) -> float:
                value = float(fit(torch.tensor(z, dtype=torch.float64).reshape(1)))
                return value**2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        moment = sum(scipy.integrate.quad(density, *ends)[0] for ends in ((-9, 0), (0, 9)))
        assert fit.second_moment == pytest.approx(moment, rel=1e-7)


def test_identity_is_exact_and_can_learn() -> None:
    fit = kan.fit_rational("identity")
    assert fit.error == 0
    layer = kan.Rational(8, init="identity")
    layer(torch.randn(4, 8)).square().sum().backward()
    grad = layer.weight_denominator.grad
    assert grad is not None
    assert (grad != 0).all()


def test_numbers_of_numpy() -> None:
    given: tuple[Any, Any] = ((np.int64(3), np.int32(2)), np.array([-1.0, 1.0]))
    plain = kan.fit_rational(torch.sin, (3, 2), (-1.0, 1.0))
    assert kan.fit_rational(torch.sin, *given).error == plain.error


def test_any_callable() -> None:
    for fn in (torch.nn.Tanh(), torch.sin, lambda x: x.numpy() ** 2):
        fit = kan.fit_rational(fn, interval=(-1.0, 1.0))
        assert fit.error < 1e-5
    assert kan.fit_rational(torch.sin).name == "sin"


def test_under_another_default_device() -> None:
    """Models are often built on "meta" first."""
    with torch.device("meta"):
        fit = kan.fit_rational(torch.erf, (3, 2), (-2.0, 2.0))
        assert fit.gain > 0
        assert kan.GRKANLinear(8, 4, degree=(3, 2), init=fit).linear.weight.is_meta


def test_the_shipped_tables_are_what_the_code_makes() -> None:
    entries = json.loads(fitting._TABLES.read_text())
    assert {e["name"] for e in entries} == set(fitting.FUNCTIONS)
    for entry in entries:
        if entry["name"] not in ("silu", "tanh", "relu"):
            continue
        again = fitting._fit(
            entry["name"],
            fitting.FUNCTIONS[entry["name"]],
            (5, 4),
            tuple(entry["interval"]),
            "A",
            entry["asymptote"],
        )
        assert again.error == pytest.approx(entry["error"], rel=1e-3)


@pytest.mark.slow
def test_the_script_remakes_the_tables() -> None:
    script = [sys.executable, str(ROOT / "tools" / "make_rational_tables.py"), "--check"]
    subprocess.run(script, check=True, cwd=ROOT)


def test_refusals() -> None:
    for match, arguments, options in (
        ("interval: expected two finite numbers in order", ("silu",), {"interval": (3, -3)}),
        ("interval: expected two finite", ("silu",), {"interval": (0, math.inf)}),
        ("degree: expected two numbers from 0 to 12", ("silu", (13, 4)), {}),
        ("variant: expected one of A, B, C, N, got 'Z'", ("silu",), {"variant": "Z"}),
        ("asymptote: needs a numerator of one degree more", ("silu", (4, 4)), {"asymptote": 1.0}),
        ("fn: expected a function or one of identity, .* got 'swoosh'", ("swoosh",), {}),
        (
            r"fn: expected finite values on \(-1.0, 1.0\), got .* at -1",
            (torch.log,),
            {"interval": (-1, 1)},
        ),
        ("fn: expected a result of the shape", (torch.sum,), {}),
        ("fn: expected a function of every element", (torch.nn.Softmax(-1),), {}),
        ("asymptote: expected a finite number", ("silu",), {"asymptote": math.nan}),
    ):
        with pytest.raises(ValueError, match=match):
            kan.fit_rational(*arguments, **options)
    with pytest.raises(ValueError, match=r"interval: .* to the power of the degree, 5, overflows"):
        kan.fit_rational(torch.tanh, interval=(-1e300, 1e300))
    with pytest.raises(ValueError, match="one element") as raised:
        kan.fit_rational(math.sin)  # type: ignore[arg-type]
    assert "fn: was called with a float64 tensor" in raised.value.__notes__[0]
    wrong: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("fn: expected a name or a function, got int", (3,), {}),
        ("fn: expected real results, got torch.complex128", (lambda x: x + 1j,), {}),
        ("fn: expected tensors of results, got NoneType", (lambda x: None,), {}),
        ("degree: expected two integers, got 5", ("silu", 5), {}),
        (r"degree: expected two integers, got \(5.0, 4\)", ("silu", (5.0, 4)), {}),
        ("asymptote: expected a number, got 'x'", ("silu",), {"asymptote": "x"}),
        ("interval: expected two numbers, got 3", ("silu",), {"interval": 3}),
    ]
    for match, of, given in wrong:
        with pytest.raises(TypeError, match=match):
            kan.fit_rational(*of, **given)
