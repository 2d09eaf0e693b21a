"""Units: published values, the equations in SI units, and the way there and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fourfold import nlse
from fourfold.nlse import units
from fourfold.nlse.units import PER_W_KM, PS2_PER_KM, Fibre, Trap

# Of the supercontinuum in Dudley, Genty & Coen, Rev. Mod. Phys. 78 (2006) 1135, fig. 3: a pulse of 50 fs.
DUDLEY = Fibre(
    beta={2: -11.830e-27, 3: 8.1038e-41, 4: -9.5205e-56},
    gamma=0.11,
    duration=28.4e-15,
    power=10e3,
    wavelength=835e-9,
)
RUBIDIUM = Trap(
    omega_z=2 * math.pi * 100,
    omega_perp=2 * math.pi * 2000,
    scattering_length=100.4 * units.BOHR_RADIUS,
    atoms=500,
    mass=86.909180520 * units.ATOMIC_MASS,
)


# --- fibres


def test_values_of_agrawals_book() -> None:
    # Nonlinear Fiber Optics, sec. 1.2.3: D = 16 ps/(nm km) at 1.55 um is beta_2 = -20 ps^2/km.
    beta2 = units.beta2_from_dispersion_parameter(16e-6, 1.55e-6)
    assert beta2 == pytest.approx(-20 * PS2_PER_KM, rel=0.03)
    # Sec. 5.2: with beta_2 = -1 ps^2/km and gamma = 3 /(W km), a soliton of 1 ps (full width at half
    # maximum, 1.763 T0) needs about 1 W, and one of 10 ps 10 mW.
    for width, power in ((1e-12, 1.036), (10e-12, 0.01036)):
        fibre = Fibre(
            beta={2: -PS2_PER_KM}, gamma=3 * PER_W_KM, duration=width / 1.763, power=power
        )
        assert fibre.soliton_number == pytest.approx(1, rel=1e-3)
    # Sec. 5.2.3: the soliton period is about 80 m for T0 = 1 ps and beta_2 = -20 ps^2/km.
    fibre = Fibre(beta={2: -20 * PS2_PER_KM}, gamma=3 * PER_W_KM, duration=1e-12, power=1.0)
    assert fibre.soliton_period == pytest.approx(78.5, rel=1e-3)
    # Eq. 1.2.4: alpha in dB/km is 4.343 alpha.
    assert units.loss_to_decibels(1.0) == pytest.approx(4.343, rel=1e-4)


def test_values_of_dudley_genty_and_coen() -> None:
    assert DUDLEY.soliton_number == pytest.approx(8.6, abs=0.1)
    assert DUDLEY.dispersion_length == pytest.approx(6.8e-2, rel=0.01)
    assert DUDLEY.nonlinear_length == pytest.approx(0.9e-3, rel=0.02)
    assert DUDLEY.fission_length == pytest.approx(7.9e-3, rel=0.01)


def test_the_problem_is_the_equation_of_the_fibre() -> None:
    grid = nlse.Grid(n=64, length=30.0)
    for fibre in (DUDLEY, Fibre(DUDLEY.beta, 0.11, 50e-15, 3e3, alpha=0.7, length=0.2)):
        problem = fibre.problem(grid)
        # dA/dz of A = exp(i K T), straight from the equation.
        wave = grid.k / fibre.duration
        rate = sum(
            1j ** (n + 1) / math.factorial(n) * beta * (1j * wave) ** n
            for n, beta in fibre.beta.items()
        )
        np.testing.assert_allclose(-1j * problem.omega, rate * fibre.length, rtol=1e-11, atol=1e-9)
        assert problem.nonlinearity == pytest.approx(0.11 * fibre.power * fibre.length)
        if fibre.alpha:
            assert problem.loss is not None
            np.testing.assert_allclose(problem.loss, 0.7 / 2 * 0.2)
        else:
            assert problem.loss is None


def test_anomalous_dispersion_is_the_default_equation() -> None:
    fibre = Fibre(beta={2: -20e-27}, gamma=2e-3, duration=1e-12, power=40.0)
    assert fibre.dispersion == {2: pytest.approx(0.5, rel=1e-15)}
    assert fibre.problem(nlse.Grid(8, 1.0)).nonlinearity == pytest.approx(4.0)
    assert fibre.soliton_number == pytest.approx(2.0)
    normal = Fibre(beta={2: 20e-27}, gamma=2e-3, duration=1e-12, power=40.0)
    assert normal.dispersion == {2: pytest.approx(-0.5, rel=1e-15)}


def test_a_soliton_keeps_its_energy_and_shape() -> None:
    fibre = Fibre(beta={2: -20e-27}, gamma=2e-3, duration=1e-12, power=10.0)
    grid = nlse.Grid(n=256, length=30.0)
    time = fibre.to_time(grid.x)
    envelope = math.sqrt(10.0) / np.cosh(time / 1e-12)
    start = fibre.from_envelope(envelope).astype(complex)
    energy = fibre.to_energy(nlse.diagnostics.mass(grid, start))
    assert energy == pytest.approx(2 * 10.0 * 1e-12, rel=1e-9)  # 2 P0 T0
    periods = fibre.from_distance([0.0, fibre.soliton_period])
    sol = nlse.solve(fibre.problem(grid), start, periods, rtol=1e-10)
    np.testing.assert_allclose(np.abs(fibre.to_envelope(sol.final)), envelope, atol=1e-5)


def test_gaussian_pulses_broaden_as_in_the_book() -> None:
    # Eq. 3.2.10: T1/T0 = sqrt(1 + (z/L_D)^2), whatever the sign of beta_2.
    grid = nlse.Grid(n=512, length=60.0)
    for beta2 in (-20e-27, 20e-27):
        fibre = Fibre(beta={2: beta2}, gamma=1e-9, duration=1e-12, power=1e-9)
        start = np.exp(-(grid.x**2) / 2).astype(complex)
        final = nlse.solve(fibre.problem(grid), start, fibre.from_distance([0.0, 100.0])).final
        density = np.abs(final) ** 2 / np.sum(np.abs(final) ** 2)
        width = math.sqrt(2 * float(np.sum(density * grid.x**2)))
        assert width == pytest.approx(math.sqrt(1 + (100.0 / 50.0) ** 2), rel=1e-6)
        # Leading edge (T < 0) red in normal, blue in anomalous dispersion (sec. 3.2.2).
        chirp = np.gradient(np.unwrap(np.angle(final)), grid.x)
        frequency = fibre.to_frequency(chirp[grid.n // 2 - 20])
        assert np.sign(frequency) == -np.sign(beta2)


def test_third_order_dispersion_rings_behind_the_pulse() -> None:
    # Sec. 3.3.2: for beta_3 > 0 the oscillations are at the trailing edge, T > 0.
    grid = nlse.Grid(n=512, length=80.0)
    start = np.exp(-(grid.x**2) / 2).astype(complex)
    for beta3, side in ((1e-40, 1), (-1e-40, -1)):
        fibre = Fibre(beta={3: beta3}, gamma=1e-9, duration=1e-12, power=1e-9, length=5e4)
        final = nlse.solve(fibre.problem(grid), start, [0.0, 1.0]).final
        density = np.abs(final) ** 2
        behind, ahead = density[side * grid.x > 5].sum(), density[side * grid.x < -5].sum()
        assert behind > 100 * ahead


def test_modulation_grows_fastest_where_the_fibre_says() -> None:
    fibre = Fibre(beta={2: -20e-27}, gamma=2e-3, duration=2e-12, power=5.0)
    k = fibre.from_frequency(np.linspace(0.5, 1.5, 2001) * fibre.modulation_frequency)
    g = fibre.problem(nlse.Grid(8, 1.0)).nonlinearity
    gain = nlse.modulation_gain(k, math.sqrt(g))  # of the amplitude, in units of 1 / length
    best = np.argmax(gain)
    assert abs(k[best]) == pytest.approx(
        abs(fibre.from_frequency(fibre.modulation_frequency)), 1e-3
    )
    assert 2 * gain[best] / fibre.length == pytest.approx(2 * 2e-3 * 5.0)
    with pytest.raises(ValueError, match="not anomalous"):
        _ = Fibre(beta={2: 1e-27}, gamma=1.0, duration=1.0, power=1.0).modulation_frequency


def test_fibres_there_and_back() -> None:
    rng = np.random.default_rng()
    values = rng.normal(size=5)
    for name in ("time", "distance", "envelope", "energy", "frequency"):
        there = getattr(DUDLEY, f"to_{name}")(values)
        np.testing.assert_allclose(getattr(DUDLEY, f"from_{name}")(there), values, rtol=1e-14)
    lossy = Fibre(DUDLEY.beta, 0.11, 28.4e-15, 1e4, alpha=0.3, wavelength=835e-9)
    again = Fibre.from_problem(
        lossy.problem(nlse.Grid(16, 10.0)),
        duration=lossy.duration,
        power=lossy.power,
        length=lossy.length,
        wavelength=lossy.wavelength,
    )
    assert again.beta == {n: pytest.approx(beta, rel=1e-13) for n, beta in lossy.beta.items()}
    assert again.gamma == pytest.approx(0.11)
    assert again.alpha == pytest.approx(0.3)
    for value in (3e-6, -17.2):
        beta2 = units.beta2_from_dispersion_parameter(value, 1.3e-6)
        assert units.dispersion_parameter_from_beta2(beta2, 1.3e-6) == pytest.approx(value)
        assert units.loss_to_decibels(units.loss_from_decibels(value)) == pytest.approx(value)


def test_photons_of_the_carrier_and_beside_it() -> None:
    grid = nlse.Grid(n=256, length=40.0)
    quantum = DUDLEY.quantum(grid)
    # h c / wavelength, over P0 T0: a pulse of 2 P0 T0 = 0.57 nJ has 2.4e9 photons.
    photon = 6.62607015e-34 * 299792458 / 835e-9
    assert quantum[0] == pytest.approx(photon / (10e3 * 28.4e-15), rel=1e-12)
    assert 2 / quantum[0] == pytest.approx(2.39e9, rel=0.01)
    blue = DUDLEY.to_frequency(grid.k) > 0
    assert np.all(quantum[blue] > quantum[0])
    assert np.all(quantum >= 0)
    assert np.any(DUDLEY.quantum(nlse.Grid(n=4096, length=10.0)) == 0)
    psi = nlse.add_photon_noise(nlse.soliton(grid), grid, quantum=quantum, rng=1)
    assert psi.shape == (256,)
    with pytest.raises(ValueError, match="wavelength must be given"):
        Fibre({2: 1e-27}, 1.0, 1.0, 1.0).quantum(grid)


# --- traps


def test_values_of_a_condensate() -> None:
    # Pethick & Smith, Bose-Einstein Condensation in Dilute Gases, ch. 6: about 1 um for 100 Hz.
    assert RUBIDIUM.length == pytest.approx(1.08e-6, rel=0.01)
    assert RUBIDIUM.length / RUBIDIUM.length_perp == pytest.approx(math.sqrt(20))
    assert RUBIDIUM.energy == pytest.approx(6.62607015e-34 * 100)
    assert RUBIDIUM.g1d == pytest.approx(
        2 * 1.054571817e-34 * 2 * math.pi * 2000 * 100.4 * 0.529177e-10, rel=1e-6
    )
    # g_3D / (2 pi a_perp^2), averaged over the ground state across the trap, is the same.
    g3d = 4 * math.pi * units.HBAR**2 * RUBIDIUM.scattering_length / RUBIDIUM.mass
    assert RUBIDIUM.g1d == pytest.approx(g3d / (2 * math.pi * RUBIDIUM.length_perp**2))


def test_the_problem_is_the_gross_pitaevskii_equation() -> None:
    grid = nlse.Grid(n=32, length=12.0)
    problem = RUBIDIUM.problem(grid)
    unit = RUBIDIUM.energy
    wave = grid.k / RUBIDIUM.length
    kinetic = units.HBAR**2 * wave**2 / (2 * RUBIDIUM.mass)
    np.testing.assert_allclose(problem.omega, kinetic / unit, rtol=1e-13)
    z = RUBIDIUM.to_position(grid.x)
    trap = 0.5 * RUBIDIUM.mass * RUBIDIUM.omega_z**2 * z**2
    assert problem.potential is not None
    np.testing.assert_allclose(problem.potential, trap / unit, rtol=1e-13, atol=1e-15)
    psi = nlse.soliton(grid)
    wave_function = RUBIDIUM.to_wave_function(psi)
    interaction = RUBIDIUM.g1d * np.abs(wave_function) ** 2
    np.testing.assert_allclose(-problem.nonlinearity * np.abs(psi) ** 2, interaction / unit)
    np.testing.assert_allclose(RUBIDIUM.to_density(psi), np.abs(wave_function) ** 2)


def test_the_ground_state_has_the_published_size() -> None:
    trap = Trap(
        omega_z=2 * math.pi * 10,
        omega_perp=2 * math.pi * 2000,
        scattering_length=5.3e-9,
        atoms=2000,
        mass=RUBIDIUM.mass,
    )
    grid = nlse.Grid(n=512, length=50.0)
    state = nlse.ground_state(trap.problem(grid), norm=1.0)
    assert state.chemical_potential == pytest.approx(trap.thomas_fermi_chemical_potential, rel=1e-3)
    mu = float(trap.to_energy(state.chemical_potential))
    radius = math.sqrt(2 * mu / (trap.mass * trap.omega_z**2))
    # n(0) = mu / g_1D; N = 4 n(0) R / 3.
    assert 4 / 3 * mu / trap.g1d * radius == pytest.approx(2000, rel=2e-3)
    assert trap.to_density(state.psi).max() == pytest.approx(mu / trap.g1d, rel=1e-3)
    peak = 2 * trap.scattering_length * trap.to_density(state.psi).max()
    assert trap.transverse_strength == pytest.approx(peak, rel=2e-3)


def test_attraction_makes_the_published_soliton() -> None:
    # Khaykovich et al., Science 296 (2002) 1290: lithium 7, soliton of size a_perp^2 / (N |a_s|).
    trap = Trap(2 * math.pi, 2 * math.pi * 710, -0.21e-9, 6000, 7.016 * units.ATOMIC_MASS)
    grid = nlse.Grid(n=512, length=1.0)
    size = trap.length_perp**2 / (6000 * 0.21e-9)
    state = nlse.ground_state(trap.problem(grid), norm=1.0)
    expected = 1 / np.cosh(grid.x * trap.length / size) ** 2
    np.testing.assert_allclose(
        np.abs(state.psi) ** 2 / np.max(np.abs(state.psi) ** 2), expected, atol=1e-5
    )
    assert size == pytest.approx(1.6e-6, rel=0.02)
    assert trap.transverse_strength == pytest.approx(
        2 * 0.21e-9 * trap.to_density(state.psi).max(), rel=1e-4
    )
    with pytest.raises(ValueError, match="one of repulsion"):
        _ = trap.thomas_fermi_chemical_potential


def test_traps_there_and_back() -> None:
    rng = np.random.default_rng()
    values = rng.normal(size=5)
    for name in ("position", "time", "energy", "wave_function"):
        there = getattr(RUBIDIUM, f"to_{name}")(values)
        np.testing.assert_allclose(getattr(RUBIDIUM, f"from_{name}")(there), values, rtol=1e-14)
    again = Trap.from_nonlinearity(
        RUBIDIUM.nonlinearity,
        omega_z=RUBIDIUM.omega_z,
        omega_perp=RUBIDIUM.omega_perp,
        atoms=RUBIDIUM.atoms,
        mass=RUBIDIUM.mass,
    )
    assert again.scattering_length == pytest.approx(RUBIDIUM.scattering_length, rel=1e-14)
    assert RUBIDIUM.quantum == 1 / 500


# --- refusals

_FIBRE: dict[str, Any] = {"beta": {2: -1e-27}, "gamma": 1.0, "duration": 1e-12, "power": 1.0}


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"beta": -1e-27}, TypeError, r"beta must be a mapping \{n: beta_n\}, got float"),
        ({"beta": {1: 1.0}}, ValueError, "orders must be integers, at least 2, got 1"),
        ({"beta": {2.0: 1.0}}, ValueError, "orders must be integers"),
        ({"beta": {2: "1"}}, TypeError, r"beta\[2\] must be a real number"),
        ({"beta": {3: 1.0}}, ValueError, r"length must be given where beta\[2\] is 0"),
        ({"gamma": 0.0}, ValueError, r"gamma must be positive, got 0.0"),
        ({"power": np.inf}, ValueError, "power must be finite"),
        ({"duration": True}, TypeError, "duration must be a real number, got True"),
        ({"wavelength": -1.0}, ValueError, "wavelength must be positive"),
        ({"length": -1.0}, ValueError, "length must be positive"),
        ({"alpha": None}, TypeError, "alpha must be a real number"),
    ],
)
def test_fibres_refuse(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Fibre(**(_FIBRE | changed))


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ({"dispersion": np.ones(16)}, "as coefficients"),
        ({"nonlinearity": [1.0, 2.0]}, "one nonlinearity"),
        ({"potential": lambda x: x**2}, "without a potential"),
        ({"loss": lambda x: x**2}, "the same everywhere"),
        ({"nonlinearity": -1.0}, "gamma must be positive"),
        ({"dispersion": {1: 0.1, 2: 0.5}}, "at least 2, got 1"),
    ],
)
def test_what_is_no_fibre_is_not_made_one(problem: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fibre.from_problem(
            nlse.Problem(nlse.Grid(16, 10.0), **problem), duration=1.0, power=1.0, length=1.0
        )


def test_traps_refuse() -> None:
    with pytest.raises(ValueError, match=r"atoms must be positive, got 0.0"):
        Trap(1.0, 1.0, 1e-9, 0.0, 1e-25)
    with pytest.raises(ValueError, match="scattering_length must be finite"):
        Trap(1.0, 1.0, np.nan, 1.0, 1e-25)
    with pytest.raises(TypeError, match="mass must be a real number"):
        Trap(1.0, 1.0, 1e-9, 1.0, "Rb")  # type: ignore[arg-type]
