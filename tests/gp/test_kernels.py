"""Covariance functions: values, derivatives and gradients against mpmath and closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import mpmath
import numpy as np
import pytest

import fourfold
from fourfold.gp import kernels
from fourfold.gp.kernels import (
    Kernel,
    Matern,
    Periodic,
    RationalQuadratic,
    SpectralMixture,
    SquaredExponential,
    StudentTMixture,
)

pytestmark = pytest.mark.isa

LAGS = np.array([0.0, 1e-9, -1e-3, 0.11, -0.4, 0.93, 1.7, -2.6, 5.1])

Formula = Callable[[Any], Any]


def matern52(t: Any) -> Any:
    return (1 + t + t**2 / 3) * mpmath.exp(-t)


def cases(seed: int = 0) -> dict[str, tuple[Kernel, Formula]]:
    """Kernels with random parameters and their formulas, as one writes them on paper."""
    rng = np.random.default_rng(seed)
    l, v, a, p = (float(x) for x in rng.uniform(0.5, 2.0, 4))  # noqa: E741
    w, ls, f = rng.uniform(0.2, 2.0, (3, 3))
    root = mpmath.sqrt
    exp = mpmath.exp

    def mixture(g: Formula) -> Formula:
        return lambda z: mpmath.fsum(
            mpmath.mpf(wq) * g(z / mpmath.mpf(lq)) * mpmath.cos(2 * mpmath.pi * mpmath.mpf(fq) * z)
            for wq, lq, fq in zip(w, ls, f, strict=True)
        )

    def gaussian(t: Any) -> Any:
        return exp(-(t**2) / 2)

    l_, v_, a_, p_ = (mpmath.mpf(x) for x in (l, v, a, p))
    found: dict[str, tuple[Kernel, Formula]] = {
        "squared exponential": (SquaredExponential(l, v), lambda z: v_ * gaussian(z / l_)),
        "matern 1/2": (Matern(l, 0.5, v), lambda z: v_ * exp(-abs(z) / l_)),
        "matern 3/2": (
            Matern(l, 1.5, v),
            lambda z: v_ * (1 + root(3) * abs(z) / l_) * exp(-root(3) * abs(z) / l_),
        ),
        "matern 5/2": (Matern(l, 2.5, v), lambda z: v_ * matern52(root(5) * abs(z) / l_)),
        "rational quadratic": (
            RationalQuadratic(l, a, v),
            lambda z: v_ * (1 + z**2 / (2 * a_ * l_**2)) ** (-a_),
        ),
        "periodic": (
            Periodic(l, p, v),
            lambda z: v_ * exp(-2 * mpmath.sin(mpmath.pi * z / p_) ** 2 / l_**2),
        ),
        "spectral mixture": (SpectralMixture(w, ls, f), mixture(gaussian)),
        "student t mixture": (
            StudentTMixture(w, ls, f),
            mixture(lambda t: matern52(root(5) * abs(t))),
        ),
    }
    smooth, rough = found["periodic"], found["matern 5/2"]
    wide = found["rational quadratic"]
    found["sum"] = (smooth[0] + rough[0], lambda z: smooth[1](z) + rough[1](z))
    found["product"] = (
        smooth[0] * (rough[0] * wide[0]),
        lambda z: smooth[1](z) * rough[1](z) * wide[1](z),
    )
    third = found["matern 3/2"]
    waves = found["spectral mixture"]
    found["tree"] = (
        (smooth[0] + wide[0]) * (third[0] * found["squared exponential"][0] + waves[0]),
        lambda z: (
            (smooth[1](z) + wide[1](z))
            * (third[1](z) * found["squared exponential"][1](z) + waves[1](z))
        ),
    )
    return found


NAMES = list(cases())


def derivative(formula: Formula, z: float, order: int) -> float:
    """One-sided at lag 0, where the formulas have an absolute value: the derivative asked for exists there."""
    with mpmath.workdps(60):
        if order == 0:
            return float(formula(mpmath.mpf(z)))
        direction = 1 if z == 0 else 0
        return float(
            mpmath.diff(formula, mpmath.mpf(z), order, h=mpmath.mpf(10) ** -14, direction=direction)
        )


@pytest.mark.parametrize("name", NAMES)
def test_values_and_derivatives(name: str) -> None:
    kernel, formula = cases(3)[name]
    orders = list(range(kernel.highest_order + 1))
    jet = kernel.jet(LAGS, orders)
    for r in orders:
        exact = np.array([derivative(formula, z, r) for z in LAGS])
        scale = np.abs(exact).max()
        # One-sided differences of step 1e-14 are exact to some 1e-13; odd orders at 0 are 0.
        np.testing.assert_allclose(jet[r], exact, rtol=1e-11, atol=2e-11 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_values_to_the_last_digits(name: str) -> None:
    kernel, formula = cases(4)[name]
    lags = np.random.default_rng(5).normal(0, 2, 37)
    exact = np.array([derivative(formula, z, 0) for z in lags])
    np.testing.assert_allclose(
        kernel.jet(lags)[0], exact, rtol=4e-15, atol=4e-15 * np.abs(exact).max()
    )


@pytest.mark.parametrize("alpha", [1e-3, 0.7, 30.0, 1e4])
def test_rational_quadratic_of_any_exponent(alpha: float) -> None:
    l = mpmath.mpf(0.8)  # noqa: E741
    a = mpmath.mpf(alpha)
    lags = np.random.default_rng(5).normal(0, 3, 50)

    def formula(z: Any) -> Any:
        return (1 + z**2 / (2 * a * l**2)) ** (-a)

    exact = np.array([derivative(formula, z, 0) for z in lags])
    jet = RationalQuadratic(0.8, alpha).jet(lags, [0, 4])
    np.testing.assert_allclose(jet[0], exact, rtol=2e-14)
    fourth = np.array([derivative(formula, z, 4) for z in lags])
    np.testing.assert_allclose(jet[1], fourth, atol=1e-12 * np.abs(fourth).max())
    assert np.isfinite(RationalQuadratic(0.8, alpha).jet([1e160, -1e300], [0, 1, 2, 3, 4])).all()


@pytest.mark.parametrize("periods", [0.5, 1e3, 1e6])
def test_phase_after_many_periods(periods: float) -> None:
    kernel = Periodic(0.6, 0.7)
    lags = periods * 0.7 + np.random.default_rng(6).uniform(-0.4, 0.4, 20)
    b, period = 1 / mpmath.mpf(0.6) ** 2, mpmath.mpf(0.7)

    def formula(z: Any) -> Any:
        return mpmath.exp(-2 * b * mpmath.sin(mpmath.pi * z / period) ** 2)

    exact = np.array([derivative(formula, z, 0) for z in lags])
    # A phase of so many periods, rounded once where there is no fused multiply-add.
    bound = 4e-15 + 2.2e-16 * 2 * np.pi * periods * float(b)
    np.testing.assert_allclose(kernel.jet(lags)[0], exact, atol=bound)


@pytest.mark.parametrize("name", ["rational quadratic", "periodic", "product", "tree"])
def test_orders_in_any_order_and_number(name: str) -> None:
    kernel, _ = cases(8)[name]
    lags = np.random.default_rng(9).normal(size=1027)
    every = list(range(kernel.highest_order + 1))
    jet = kernel.jet(lags, every)
    chosen = [kernel.highest_order, 1, 0]
    np.testing.assert_allclose(
        kernel.jet(lags, chosen), jet[chosen], rtol=1e-14, atol=1e-14 * np.abs(jet).max()
    )
    cotangent = np.random.default_rng(10).normal(size=(len(chosen), lags.size))
    full = np.zeros(jet.shape)
    full[chosen] = cotangent
    gradient = kernel.pull_back(lags, every, full)
    np.testing.assert_allclose(
        kernel.pull_back(lags, chosen, cotangent), gradient, rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("a", [0.7, 3.0])
def test_diagonals_of_the_mixtures(a: float) -> None:
    m = 2 * np.pi * 1.3
    student = StudentTMixture([1.0], [1 / a], [1.3])
    assert student.jet(0.0, [2])[0] == pytest.approx(-5 / 3 * a**2 - m**2, rel=1e-14)
    assert student.jet(0.0, [4])[0] == pytest.approx(25 * a**4 + 10 * a**2 * m**2 + m**4, rel=1e-14)
    gauss = SpectralMixture([1.0], [np.sqrt(0.5 / a)], [1.3])
    assert gauss.jet(0.0, [2])[0] == pytest.approx(-2 * a - m**2, rel=1e-14)
    assert gauss.jet(0.0, [4])[0] == pytest.approx(12 * a**2 + 12 * a * m**2 + m**4, rel=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_the_jet(name: str) -> None:
    kernel, _ = cases(6)[name]
    rng = np.random.default_rng(7)
    lags = rng.normal(0, 1, 21)
    lags[3] = 0.0
    orders = list(range(kernel.highest_order + 1))
    cotangent = rng.normal(size=(len(orders), lags.size))
    gradient = kernel.pull_back(lags, orders, cotangent)
    assert gradient.shape == kernel.theta.shape == (len(kernel.theta_names),)
    h = 1e-4
    for i in range(kernel.theta.size):
        step = np.zeros(kernel.theta.size)
        step[i] = h

        def value(multiple: int, step: np.ndarray = step) -> float:
            moved = kernel.with_theta(kernel.theta + multiple * step)
            return float(np.sum(cotangent * moved.jet(lags, orders)))

        central = (8 * (value(1) - value(-1)) - (value(2) - value(-2))) / (12 * h)
        terms = np.abs(cotangent * kernel.jet(lags, orders)).sum()
        assert gradient[i] == pytest.approx(central, rel=1e-8, abs=1e-9 * terms)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 511, 512, 513, 20001])
@pytest.mark.parametrize("pair", [False, True])
def test_any_number_of_lags(size: int, pair: bool) -> None:
    rng = np.random.default_rng(size)
    kernel: Kernel = StudentTMixture(
        rng.uniform(0.1, 1, 5), rng.uniform(0.1, 1, 5), rng.uniform(0, 9, 5)
    )
    if pair:
        kernel = kernel * (Periodic(1.3, 0.9) + RationalQuadratic())
    lags = rng.normal(size=size)
    jet = kernel.jet(lags, [0, 2, 4])
    one_by_one = kernel.jet(lags[: min(size, 600), None], [4, 0])
    np.testing.assert_array_equal(jet[2, :600], one_by_one[0, :, 0])
    np.testing.assert_array_equal(jet[0, :600], one_by_one[1, :, 0])


def test_same_bits_on_any_number_of_threads() -> None:
    rng = np.random.default_rng(11)
    kernel = SpectralMixture(*rng.uniform(0.1, 2, (3, 7))) * Periodic() + RationalQuadratic()
    lags = rng.normal(size=(130, 131))
    cotangent = rng.normal(size=(2, 130, 131))
    found = []
    for threads in (1, 2):
        fourfold.set_num_threads(threads)
        found.append((kernel.jet(lags, [0, 4]), kernel.pull_back(lags, [0, 4], cotangent)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_matrix_of_derivatives() -> None:
    kernel = Matern(0.8) * Periodic(1.3, 0.9)
    x, y = np.array([0.1, 0.4, 2.0]), np.array([0.4, -1.0])
    h = 1e-5
    matrix = kernel(x, y, derivative=(1, 1))
    difference = (
        kernel(x + h, y + h) - kernel(x + h, y - h) - kernel(x - h, y + h) + kernel(x - h, y - h)
    ) / (4 * h * h)
    assert matrix.shape == (3, 2)
    np.testing.assert_allclose(matrix, difference, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(kernel(x, derivative=(1, 3)), kernel(x, derivative=(3, 1)))
    np.testing.assert_array_equal(kernel(x, derivative=(0, 1)), -kernel(x, derivative=(1, 0)))


def test_far_away_and_tiny_values() -> None:
    kernel = SquaredExponential(1.0)
    values = kernel.jet([38.0, 38.6, 1e8], [0])[0]
    assert values[0] == pytest.approx(float(mpmath.exp(-722)), rel=1e-12)  # a denormal number
    assert values[1] == pytest.approx(float(mpmath.exp(mpmath.mpf(38.6) ** 2 / -2)), abs=5e-324)
    assert values[2] == 0
    assert np.isfinite(Matern(1e-3, 1.5).jet([0.0, 5.0, 1e6], [0, 1, 2])).all()
    far = [1e160, -1e300]
    for gone in (Matern(1.0, 0.5), Matern(1.0, 1.5), Matern(1.0, 2.5), SquaredExponential(1.0)):
        orders = list(range(min(gone.highest_order, 4) + 1))
        assert (gone.jet(far, orders) == 0).all()
        assert (gone.pull_back(far, orders, np.ones((len(orders), 2))) == 0).all()


def test_fixed_parameters_are_not_in_theta() -> None:
    kernel = Periodic(1.0, 2.0, period_bounds=None) + SquaredExponential(3.0, variance_bounds=None)
    assert kernel.theta_names == ["first.lengthscale", "first.variance", "second.lengthscale"]
    moved = kernel.with_theta(np.log([4.0, 5.0, 6.0]))
    assert isinstance(moved, kernels.Sum)
    assert [float(p.value) for p in moved.parameters] == pytest.approx([4, 2, 5, 6, 1])
    assert kernel.theta_bounds.shape == (3, 2)
    assert kernel.pull_back(LAGS, [0], np.ones((1, LAGS.size))).shape == (3,)


@pytest.mark.parametrize(("nu", "highest"), [(0.5, 0), (1.5, 2), (2.5, 4)])
def test_orders_that_do_not_exist_are_refused(nu: float, highest: int) -> None:
    kernel = Matern(1.0, nu)
    assert kernel.highest_order == highest
    with pytest.raises(ValueError, match=f"up to order {highest}, got {highest + 1}"):
        kernel.jet(LAGS, [0, highest + 1])
    with pytest.raises(ValueError, match="up to order"):
        (kernel * SquaredExponential())(LAGS, derivative=(highest, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Matern(1.0, 2.0), "nu: expected 0.5, 1.5 or 2.5, got 2.0"),
        (lambda: SquaredExponential(-1.0), "lengthscale: expected positive"),
        (lambda: SquaredExponential(np.nan), "lengthscale: expected finite"),
        (
            lambda: Matern(cast(float, [1.0, 2.0])),
            r"lengthscale: expected one number, got shape \(2,\)",
        ),
        (lambda: SpectralMixture([1.0], [1.0, 2.0], [0.0]), "expected equal lengths"),
        (lambda: SpectralMixture([], [], []), "weights: expected a vector"),
        (lambda: Periodic(period_bounds=(3.0, 1.0)), "bounds of period: expected 0 < low < high"),
        (lambda: Matern().jet([np.nan]), "lag: expected finite"),
        (lambda: Matern().jet([1.0], [0, 0]), "orders: expected distinct"),
        (lambda: Matern().jet([1.0], []), "orders: expected distinct"),
        (lambda: Matern().with_theta([0.0]), r"theta: expected shape \(2,\), got \(1,\)"),
        (lambda: Matern()(np.ones((2, 2))), "x, y: expected vectors"),
        (
            lambda: Matern()([0.0], derivative=(-1, 0)),
            "derivative: expected an integer of at least 0",
        ),
        (lambda: Matern().pull_back([0.0], [0], [0.0]), "cotangent: expected shape"),
        (lambda: SpectralMixture([1.0], [1.0], [1e4]).jet([100.0]), "frequencies: 2 pi f"),
        (lambda: (Periodic(period=1e-4) + Matern()).jet([1e12]), r"period: .* reaches 1e\+16"),
    ],
)
def test_bad_arguments(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_pairs_are_of_kernels() -> None:
    with pytest.raises(TypeError, match="second: expected a Kernel, got 3"):
        kernels.Sum(Matern(), cast(Kernel, 3))
    with pytest.raises(TypeError):
        Matern() * cast(Kernel, 3)
