"""Mass, momentum and energy against integrals known in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import iv

from fourfold import nlse
from fourfold.nlse import diagnostics
from tests.nlse.reference import integrate


def test_plane_wave() -> None:
    # Everything is known exactly: mass A^2 L, momentum k A^2 L, energy (omega(k) - g A^2/2) A^2 L.
    grid = nlse.Grid(48, 7.0)
    a, mode, g = 0.8, -5, -2.5
    k = 2 * np.pi * mode / 7.0
    psi = nlse.plane_wave(grid, a, mode)
    assert diagnostics.mass(grid, psi) == pytest.approx(a**2 * 7, rel=1e-14)
    assert diagnostics.momentum(grid, psi) == pytest.approx(k * a**2 * 7, rel=1e-13)
    problem = nlse.Problem(
        grid, dispersion={1: 0.3, 2: 0.5, 3: -0.1, 4: 0.02}, nonlinearity=g, potential=1.7
    )
    omega = 0.3 * k + 0.5 * k**2 - 0.1 * k**3 + 0.02 * k**4
    energy = (omega - g * a**2 / 2 + 1.7) * a**2 * 7
    assert diagnostics.energy(problem, psi) == pytest.approx(energy, rel=1e-13)


def test_soliton() -> None:
    grid = nlse.Grid(512, 50.0)
    a, v = 2.0, 1.0
    psi = nlse.soliton(grid, a, -10.0, v)
    assert diagnostics.mass(grid, psi) == pytest.approx(2 * a, rel=1e-13)
    assert diagnostics.momentum(grid, psi) == pytest.approx(2 * a * v, rel=1e-12)
    energy = a * v**2 - a**3 / 3
    assert diagnostics.energy(nlse.Problem(grid), psi) == pytest.approx(energy, rel=1e-12)
    assert isinstance(diagnostics.mass(grid, psi), np.float64)
    assert isinstance(diagnostics.momentum(grid, psi), np.float64)
    assert isinstance(diagnostics.energy(nlse.Problem(grid), psi), np.float64)


def test_wave_with_a_potential_in_closed_form() -> None:
    # psi = exp(c e^{ix}): |psi|^2 = exp(2c cos x), integrals are Bessel functions I_m.
    grid = nlse.Grid(60, 2 * np.pi)
    c = 0.7
    psi = np.exp(c * np.exp(1j * grid.x))
    problem = nlse.Problem(
        grid, dispersion={3: 0.4}, nonlinearity=1.3, potential=lambda x: 0.6 * np.cos(x)
    )
    # c_m = c^m / m!: momentum 2 pi sum m c_m^2, kinetic energy 2 pi sum 0.4 m^3 c_m^2.
    m = np.arange(30)
    weight = np.array([(c**i / float(np.prod(np.arange(1.0, i + 1)))) ** 2 for i in m])
    assert diagnostics.mass(grid, psi) == pytest.approx(2 * np.pi * iv(0, 2 * c), rel=1e-13)
    assert diagnostics.momentum(grid, psi) == pytest.approx(
        2 * np.pi * np.sum(m * weight), rel=1e-13
    )
    energy = 2 * np.pi * np.sum(0.4 * m**3 * weight)
    energy -= 1.3 / 2 * 2 * np.pi * iv(0, 4 * c)
    energy += 0.6 * 2 * np.pi * iv(1, 2 * c)
    assert diagnostics.energy(problem, psi) == pytest.approx(energy, rel=1e-13)


def test_finite_differences_agree() -> None:
    # Momentum and energy as integrals in x, with derivatives by an 8th-order difference.
    grid = nlse.Grid(1000, 40.0)
    problem = nlse.Problem(grid, potential=lambda x: 0.1 * x**2)
    psi = nlse.soliton(grid, 1.0, 2.0, 0.7) + 0.5j * np.exp(-((grid.x + 5) ** 2))
    weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    slope = sum(w * (np.roll(psi, -s) - np.roll(psi, s)) / grid.dx for s, w in weights.items())
    momentum = np.sum((psi.conj() * slope).imag) * grid.dx
    density = 0.5 * np.abs(slope) ** 2 - 0.5 * np.abs(psi) ** 4 + 0.1 * grid.x**2 * np.abs(psi) ** 2
    assert diagnostics.momentum(grid, psi) == pytest.approx(momentum, rel=1e-8)
    assert diagnostics.energy(problem, psi) == pytest.approx(np.sum(density) * grid.dx, rel=1e-8)


def test_conserved_by_an_independent_integrator() -> None:
    grid = nlse.Grid(64, 2 * np.pi)
    potential = 0.3 * np.cos(grid.x)
    problem = nlse.Problem(grid, dispersion={2: 0.5, 3: 0.1}, nonlinearity=1.5, potential=potential)
    psi0 = 0.8 * np.exp(0.5 * np.cos(grid.x) + 1j * np.sin(grid.x))
    psi = integrate(
        psi0, [0.0, 0.5, 2.0], length=grid.length, dispersion={2: 0.5, 3: 0.1}, g=1.5,
        potential=potential,
    )  # fmt: skip
    for values in (diagnostics.mass(grid, psi), diagnostics.energy(problem, psi)):
        np.testing.assert_allclose(values, values[0], rtol=1e-11)
    # With loss the mass decays as it should.
    psi = integrate(psi0, [0.0, 2.0], length=grid.length, loss=0.1)
    mass = diagnostics.mass(grid, psi)
    assert mass[1] / mass[0] == pytest.approx(np.exp(-0.4), rel=1e-11)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 4), (600,), (2, 300)])
def test_leading_axes(shape: tuple[int, ...]) -> None:
    # 600 rows of 1000 points are more than one block.
    grid = nlse.Grid(1000, 10.0)
    rng = np.random.default_rng(1)
    psi = rng.normal(size=(*shape, 1000)) + 1j * rng.normal(size=(*shape, 1000))
    g = rng.normal(size=shape[-1:])
    potential = rng.normal(size=(*shape[-1:], 1000))
    problem = nlse.Problem(grid, nonlinearity=g, potential=potential)
    mass = diagnostics.mass(grid, psi)
    momentum = diagnostics.momentum(grid, psi)
    energy = diagnostics.energy(problem, psi)
    assert mass.shape == momentum.shape == energy.shape == shape
    k = grid.k
    for where in np.ndindex(shape):
        one = psi[where]
        density = np.abs(one) ** 2
        slope = np.fft.ifft(1j * k * np.fft.fft(one))
        bend = np.fft.ifft(-(k**2) * np.fft.fft(one))
        own_g = g[where[-1]] if shape else g
        own_v = potential[where[-1]] if shape else potential
        total = -0.5 * one.conj() * bend - own_g / 2 * density**2 + own_v * density
        assert mass[where] == pytest.approx(np.sum(density) * grid.dx, rel=1e-13)
        expected = np.sum((one.conj() * slope).imag) * grid.dx
        assert momentum[where] == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert energy[where] == pytest.approx(np.sum(total.real) * grid.dx, rel=1e-10)


def test_single_precision_is_summed_in_double() -> None:
    grid = nlse.Grid(4096, 50.0)
    psi = nlse.soliton(grid, 1.2, 3.0, 1.0).astype(np.complex64)
    wide = psi.astype(np.complex128)
    problem = nlse.Problem(grid)
    assert diagnostics.mass(grid, psi) == diagnostics.mass(grid, wide)
    assert diagnostics.momentum(grid, psi) == diagnostics.momentum(grid, wide)
    assert diagnostics.energy(problem, psi) == diagnostics.energy(problem, wide)
    assert diagnostics.mass(grid, psi).dtype == np.float64


def test_other_layouts() -> None:
    grid = nlse.Grid(40, 10.0)
    rng = np.random.default_rng(2)
    psi = rng.normal(size=(6, 40)) + 1j * rng.normal(size=(6, 40))
    problem = nlse.Problem(grid)
    energy = diagnostics.energy(problem, psi)
    for same in (np.asfortranarray(psi), psi.astype(">c16"), np.repeat(psi, 2, axis=0)[::2]):
        np.testing.assert_allclose(diagnostics.energy(problem, same), energy, rtol=1e-13)
    real = np.cos(2 * np.pi * grid.x / 10)
    assert diagnostics.momentum(grid, real) == pytest.approx(0, abs=1e-14)
    assert diagnostics.mass(grid, psi[:0]).shape == (0,)
    assert diagnostics.energy(problem, np.zeros((3, 0, 40), complex)).shape == (3, 0)


@pytest.mark.parametrize(
    ("psi", "error", "message"),
    [
        (np.zeros(39, complex), ValueError, r"psi must have shape \(..., 40\), got \(39,\)"),
        (np.zeros((), complex), ValueError, r"psi must have shape \(..., 40\), got \(\)"),
        (np.zeros(40, int), TypeError, "psi must be a complex array, got dtype int64"),
        ("psi", TypeError, "psi must be a complex array"),
    ],
)
def test_refusals(psi: Any, error: type[Exception], message: str) -> None:
    grid = nlse.Grid(40, 10.0)
    with pytest.raises(error, match=message):
        diagnostics.mass(grid, psi)
    with pytest.raises(error, match=message):
        diagnostics.momentum(grid, psi)
    with pytest.raises(error, match=message):
        diagnostics.energy(nlse.Problem(grid), psi)


def test_batch_shape_must_fit() -> None:
    problem = nlse.Problem(nlse.Grid(40, 10.0), nonlinearity=np.ones(3))
    assert diagnostics.energy(problem, np.zeros((5, 3, 40), complex)).shape == (5, 3)
    for shape in ((40,), (1, 40), (3, 5, 40)):
        with pytest.raises(ValueError, match=r"batch shape \(3,\), got shape"):
            diagnostics.energy(problem, np.zeros(shape, complex))
