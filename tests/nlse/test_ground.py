"""Ground states against closed forms, dense eigenvalues and plain imaginary time."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.optimize

from fourfold import errors, nlse


def harmonic(x: Any) -> Any:
    return 0.5 * x**2


def overlap(grid: nlse.Grid, a: Any, b: Any) -> float:
    """|<a, b>| / (|a| |b|): 1 for the same state."""
    return float(abs(np.vdot(a, b)) / np.sqrt(np.vdot(a, a).real * np.vdot(b, b).real))


@pytest.mark.parametrize("n", [45, 64, 1000])
@pytest.mark.parametrize("norm", [1e-6, 1.0, 300.0])
def test_harmonic_oscillator(n: int, norm: float) -> None:
    grid = nlse.Grid(n=n, length=20.0)
    trap = nlse.Problem(grid, nonlinearity=0.0, potential=lambda x: harmonic(x - 1.0) + 7)
    state = nlse.ground_state(trap, norm=norm)
    assert state.chemical_potential == pytest.approx(7.5, abs=1e-12)
    assert state.energy == pytest.approx(7.5 * norm, rel=1e-12)
    assert state.residual <= 1e-10
    exact = np.sqrt(norm) * np.pi**-0.25 * np.exp(-((grid.x - 1) ** 2) / 2)
    np.testing.assert_allclose(np.abs(state.psi), exact, atol=1e-9 * np.sqrt(norm))
    assert nlse.diagnostics.mass(grid, state.psi) == pytest.approx(norm, rel=1e-14)


@pytest.mark.parametrize("seed", range(4))
def test_linear_problems_have_the_lowest_eigenvector(seed: int) -> None:
    rng = np.random.default_rng([20260, seed])
    grid = nlse.Grid(n=60, length=10.0)
    rough = rng.normal(size=60) * 20
    smooth = np.fft.ifft(np.fft.fft(rough) * np.exp(-(grid.k**2) / 20)).real
    dispersion = {1: rng.normal(), 2: 0.5, 3: 0.01 * rng.normal(), 4: 0.01}
    problem = nlse.Problem(grid, nonlinearity=0.0, dispersion=dispersion, potential=smooth)
    transform = scipy.fft.fft(np.eye(60), norm="ortho")
    matrix = transform.conj().T @ (problem.omega[:, None] * transform) + np.diag(smooth)
    values, vectors = np.linalg.eigh(matrix)
    state = nlse.ground_state(problem, norm=2.0)
    assert state.chemical_potential == pytest.approx(values[0], abs=1e-10)
    assert overlap(grid, state.psi, vectors[:, 0]) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("norm", [1.5, 4.0, 6.3])
def test_bright_soliton(norm: float) -> None:
    grid = nlse.Grid(n=1024, length=60.0)
    state = nlse.ground_state(nlse.Problem(grid), norm=norm, tol=1e-12)
    amplitude = norm / 2
    assert state.chemical_potential == pytest.approx(-(amplitude**2) / 2, rel=1e-9)
    assert state.energy == pytest.approx(-(amplitude**3) / 3, rel=1e-11)
    expected = amplitude / np.cosh(amplitude * grid.x)
    np.testing.assert_allclose(np.abs(state.psi), expected, atol=1e-8)


def test_soliton_of_a_moving_frame() -> None:
    grid = nlse.Grid(n=512, length=60.0)
    velocity = 10 * 2 * np.pi / 60
    problem = nlse.Problem(grid, dispersion={1: -velocity, 2: 0.5})
    state = nlse.ground_state(problem, norm=4.0)
    moving = nlse.soliton(grid, amplitude=2.0, velocity=velocity)
    assert overlap(grid, state.psi, moving) == pytest.approx(1, abs=1e-9)
    assert state.chemical_potential == pytest.approx(-2 - velocity**2 / 2, rel=1e-9)


def test_thomas_fermi_limit() -> None:
    # Without kinetic energy: density (mu - V)/|g| where positive, so that with V = x^2/2 the mass
    # is (4 sqrt(2)/3) mu^(3/2) / |g|. What it leaves out falls as mu^-2, but for a logarithm.
    grid = nlse.Grid(n=1024, length=60.0)
    misses = []
    for strength in (1e2, 1e3, 1e4):
        problem = nlse.Problem(grid, nonlinearity=-strength, potential=harmonic)
        state = nlse.ground_state(problem, norm=1.0)
        mu = (3 * strength / (4 * np.sqrt(2))) ** (2 / 3)
        misses.append(state.chemical_potential / mu - 1)
        inside = np.abs(grid.x) < 0.8 * np.sqrt(2 * mu)
        expected = (mu - grid.x**2 / 2) / strength
        np.testing.assert_allclose(np.abs(state.psi[inside]) ** 2, expected[inside], rtol=8 / mu**2)
    slopes = np.log10(np.array(misses[:-1]) / misses[1:])
    np.testing.assert_allclose(slopes, 4 / 3, atol=0.15)
    assert misses[0] > 0


@pytest.mark.parametrize("g", [-20.0, 2.0])
def test_virial_theorem_and_rest(g: float) -> None:
    """2 E_kin - 2 E_pot + E_int = 0 in a harmonic trap, and nothing moves but the phase."""
    grid = nlse.Grid(n=256, length=24.0)
    problem = nlse.Problem(grid, nonlinearity=g, potential=harmonic)
    state = nlse.ground_state(problem, norm=1.3, tol=1e-12)
    density = np.abs(state.psi) ** 2
    spectrum = np.abs(np.fft.fft(state.psi)) ** 2
    kinetic = grid.dx / grid.n * np.sum(0.5 * grid.k**2 * spectrum)
    trap = grid.dx * np.sum(harmonic(grid.x) * density)
    interaction = -0.5 * g * grid.dx * np.sum(density**2)
    assert 2 * kinetic - 2 * trap + interaction == pytest.approx(0, abs=1e-10)
    assert state.energy == pytest.approx(kinetic + trap + interaction, rel=1e-12)
    later = nlse.solve(problem, state.psi, [0.0, 3.0], rtol=1e-11, atol=1e-13).final
    turned = state.psi * np.exp(-3j * state.chemical_potential)
    np.testing.assert_allclose(later, turned, atol=1e-8)


def test_plain_imaginary_time_comes_to_the_same() -> None:
    grid = nlse.Grid(n=96, length=16.0)
    potential = 4 * np.cos(2 * np.pi * grid.x / 4) + 0.2 * grid.x**2
    problem = nlse.Problem(grid, nonlinearity=-3.0, potential=potential)
    state = nlse.ground_state(problem, norm=2.0, tol=1e-12)
    psi = np.exp(-(grid.x**2) / 8).astype(complex)
    for step in (1e-2, 1e-3):
        for _ in range(3000):
            psi = np.fft.ifft(np.exp(-problem.omega * step) * np.fft.fft(psi))
            psi *= np.exp(-step * (potential + 3.0 * np.abs(psi) ** 2))
            psi *= np.sqrt(2.0 / (grid.dx * np.sum(np.abs(psi) ** 2)))
    assert overlap(grid, psi, state.psi) == pytest.approx(1, abs=1e-4)
    energy = float(nlse.diagnostics.energy(problem, psi))
    assert state.energy <= energy
    assert state.energy == pytest.approx(energy, rel=1e-4)


def test_below_the_critical_mass_a_ring_stays_uniform() -> None:
    grid = nlse.Grid(n=64, length=2 * np.pi)
    critical = np.pi / 2  # the slowest mode, k = 1, is unstable where k^2/2 < 2 g N/L
    below = nlse.ground_state(nlse.Problem(grid), norm=0.98 * critical)
    np.testing.assert_allclose(np.abs(below.psi), np.abs(below.psi[0]), atol=1e-6)
    above = nlse.ground_state(nlse.Problem(grid), norm=1.1 * critical)
    assert np.ptp(np.abs(above.psi)) > 0.1
    assert above.energy < -0.5 * (1.1 * critical) ** 2 / (2 * np.pi)


def test_the_start_chooses_among_minima() -> None:
    grid = nlse.Grid(n=256, length=24.0)
    wells = -3 * np.exp(-((grid.x - 6) ** 2)) - 2.5 * np.exp(-((grid.x + 6) ** 2))
    problem = nlse.Problem(grid, nonlinearity=1.0, potential=wells)
    deep = nlse.ground_state(problem, norm=3.0)
    shallow = nlse.ground_state(problem, norm=3.0, psi0=np.exp(-((grid.x + 6) ** 2)))
    assert grid.x[np.argmax(np.abs(deep.psi))] == pytest.approx(6, abs=0.1)
    assert grid.x[np.argmax(np.abs(shallow.psi))] == pytest.approx(-6, abs=0.1)
    assert deep.energy < shallow.energy


def test_a_search_that_does_not_arrive_says_how_far_it_came() -> None:
    grid = nlse.Grid(n=128, length=20.0)
    problem = nlse.Problem(grid, potential=harmonic, nonlinearity=-5.0)
    with pytest.raises(errors.ConvergenceError, match="after 3 iterations") as caught:
        nlse.ground_state(problem, norm=1.0, max_iterations=3)
    assert caught.value.residual == caught.value.state.residual > 1e-6
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.residual == caught.value.residual
    better = nlse.ground_state(problem, norm=1.0, psi0=caught.value.state.psi)
    assert better.residual < 1e-8


def test_a_state_finer_than_the_grid_is_an_error() -> None:
    with pytest.raises(errors.ConvergenceError, match="does not resolve the ground state"):
        nlse.ground_state(nlse.Problem(nlse.Grid(n=64, length=40.0)), norm=20.0)


GRID = nlse.Grid(n=32, length=10.0)


@pytest.mark.parametrize(
    ("problem", "options", "kind", "message"),
    [
        (3, {}, TypeError, "problem must be a Problem, got int"),
        (nlse.Problem(GRID, nonlinearity=[1.0, 2.0]), {}, ValueError, "one value of each"),
        (nlse.Problem(GRID, loss=0.1), {}, ValueError, "without loss"),
        (nlse.Problem(GRID, nonlinearity=lambda t: t), {}, ValueError, r"take problem\.at\(t\)"),
        (nlse.Problem(GRID, dispersion={2: -0.5}), {}, ValueError, "has no ground state"),
        (nlse.Problem(GRID, dispersion={2: 0.5, 3: 1.0}), {}, ValueError, "has no ground state"),
        (nlse.Problem(GRID), {"norm": 0.0}, ValueError, "norm must be positive, got 0"),
        (nlse.Problem(GRID), {"norm": "1"}, TypeError, "norm must be a real number"),
        (nlse.Problem(GRID), {"norm": 1e250}, ValueError, "range of double precision"),
        (nlse.Problem(GRID), {"tol": np.nan}, ValueError, "tol must be finite, got nan"),
        (nlse.Problem(GRID), {"max_iterations": 0}, ValueError, "at least 1, got 0"),
        (nlse.Problem(GRID), {"max_iterations": 1.5}, TypeError, "must be an integer"),
        (nlse.Problem(GRID), {"psi0": np.ones(5)}, ValueError, r"shape \(32,\) of the grid"),
        (nlse.Problem(GRID), {"psi0": np.zeros(32)}, ValueError, "zero everywhere"),
        (nlse.Problem(GRID), {"psi0": np.full(32, np.inf)}, ValueError, "must be finite"),
        (nlse.Problem(GRID), {"psi0": ["a"] * 32}, TypeError, "real or complex numbers"),
    ],
)
def test_what_makes_no_sense_is_refused(
    problem: Any, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        nlse.ground_state(problem, **({"norm": 1.0} | options))


def test_gradients_are_refused_not_dropped() -> None:
    torch = pytest.importorskip("torch")
    depth = torch.ones(32, dtype=torch.float64, requires_grad=True)
    problem = nlse.Problem(GRID, potential=depth)
    with pytest.raises(ValueError, match=r"require gradients \(potential\)"):
        nlse.ground_state(problem, norm=1.0)
    with torch.no_grad():
        assert nlse.ground_state(problem, norm=1.0).residual < 1e-9
