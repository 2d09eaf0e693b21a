"""Solitons found in exact fields, and followed through exact collisions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold import nlse
from fourfold.nlse import analysis

GRID = nlse.Grid(n=512, length=50.0)


@settings(deadline=None, max_examples=30)
@given(st.floats(1.0, 2.0), st.floats(-25, 25), st.floats(-2, 2), st.floats(-3, 3))
def test_one_soliton_is_found_between_the_points(
    amplitude: float, center: float, velocity: float, phase: float
) -> None:
    psi = nlse.soliton(GRID, amplitude=amplitude, center=center, velocity=velocity) * np.exp(
        1j * phase
    )
    found = analysis.find_solitons(GRID, psi)
    assert len(found) == 1
    off = (found.position[0] - center + 25) % 50 - 25
    # The images of a soliton in its box overlap by exp(-A L / 2) with each other.
    slack = 1e-8 + 20 * math.exp(-amplitude * 25)
    assert abs(off) < slack
    assert found.amplitude[0] == pytest.approx(amplitude, abs=slack)
    assert found.velocity[0] == pytest.approx(velocity, abs=10 * slack)
    assert found.inverse_width[0] == pytest.approx(amplitude, abs=100 * slack)
    turned = np.exp(1j * (found.phase[0] - velocity * found.position[0] - phase))
    # A soliton about the end of the box has its phase from the image that is nearer.
    if abs(center) < 20:
        assert abs(turned - 1) < 1e-6 + 100 * slack
    assert -25 <= found.position[0] < 25


def test_position_and_phase_in_time() -> None:
    t = np.linspace(0, 6, 13)
    psi = nlse.soliton(GRID, amplitude=2.0, center=-10.0, velocity=1.3, t=t)
    for time, field in zip(t, psi, strict=True):
        found = analysis.find_solitons(GRID, field)
        assert found.position[0] == pytest.approx(-10 + 1.3 * time, abs=1e-9)
        phase = -10 * 1.3 + (4 + 1.3**2) * time / 2
        assert abs(np.exp(1j * (found.phase[0] - phase)) - 1) < 1e-8


def test_several_are_sorted_and_weak_ones_left_out() -> None:
    kinds = ((1.0, 12.0, 0.5), (2.0, -15.0, 1.0), (0.6, -1.0, 0.0))
    psi = np.zeros(512, dtype=complex)
    for amplitude, center, velocity in kinds:
        psi += nlse.soliton(GRID, amplitude=amplitude, center=center, velocity=velocity)
    found = analysis.find_solitons(GRID, psi)
    np.testing.assert_allclose(found.position, [-15, -1, 12], atol=2e-3)
    np.testing.assert_allclose(found.amplitude, [2, 0.6, 1], atol=2e-3)
    assert len(analysis.find_solitons(GRID, psi, threshold=0.4)) == 2
    assert len(analysis.find_solitons(GRID, psi, threshold=1.0)) == 1
    assert len(analysis.find_solitons(GRID, np.zeros(512))) == 0
    single = analysis.find_solitons(GRID, psi.astype(np.complex64))
    np.testing.assert_allclose(single.position, found.position, atol=1e-4)


def test_the_finest_wave_of_the_grid_has_its_peaks() -> None:
    found = analysis.find_solitons(GRID, 1 + 0.1 * np.cos(2 * np.pi * 7 * GRID.x / 50 + 0.2))
    expected = (np.arange(-3, 5) - 0.2 / (2 * np.pi)) * 50 / 7
    expected = expected[(expected >= -25) & (expected < 25)]
    assert len(found) == 7
    np.testing.assert_allclose(found.position, expected, atol=1e-9)
    np.testing.assert_allclose(found.amplitude, 1.1, rtol=1e-12)


@pytest.fixture(scope="module")
def collision() -> nlse.Solution:
    grid = nlse.Grid(n=1024, length=80.0)
    return nlse.solve(
        nlse.Problem(grid), nlse.two_soliton(grid), np.linspace(0, 10, 101), rtol=1e-11, atol=1e-13
    )


def test_a_collision_shifts_position_and_phase(collision: nlse.Solution) -> None:
    tracks = analysis.track_solitons(collision, least=20)
    assert len(tracks) == 2
    np.testing.assert_allclose(tracks.position[0], [-10, 10], atol=1e-7)
    # The shifts D/A1 and -D/A2 of the exact solution.
    d = math.log((3.5**2 + 4**2) / (0.5**2 + 4**2))
    shifted = np.array([-10 + 20 + d / 2, 10 - 20 - d / 1.5])
    np.testing.assert_allclose(tracks.position[-1], shifted, atol=1e-6)
    np.testing.assert_allclose(tracks.amplitude[[0, -1]], [[2, 1.5]] * 2, atol=1e-6)
    np.testing.assert_allclose(tracks.velocity[[0, -1]], [[2, -2]] * 2, atol=1e-6)
    # At the peak the phase is v x + (A^2 - v^2) t / 2, and the shift of the exact solution.
    p = np.array([2 + 2j, 1.5 - 2j])
    first = np.angle(p[0] - p[1]) - np.angle(p[0] + p[1].conj())
    second = np.angle(p[0] - p[1]) - np.angle(p[0].conj() + p[1])
    shift = np.array([2 * first, -2 * second])
    np.testing.assert_allclose(shift, [1.188950, -4.596815], atol=1e-6)
    v, a = p.imag, p.real
    expected = v * tracks.position[-1] + (a**2 - v**2) * 10 / 2 + shift
    started = tracks.phase[0] - v * tracks.position[0]
    turned = np.exp(1j * (tracks.phase[-1] - expected - started))
    np.testing.assert_allclose(turned, 1, atol=1e-5)


def test_a_track_has_a_gap_where_there_is_no_soliton(collision: nlse.Solution) -> None:
    tracks = analysis.track_solitons(collision, least=20)
    seen = np.isfinite(tracks.position)
    apart = np.abs(collision.t - 5) > 1.2
    assert seen[apart].all()
    assert not seen.all()
    # Where both are seen apart they have the shape of solitons.
    np.testing.assert_allclose(
        (tracks.inverse_width / tracks.amplitude)[np.abs(collision.t - 5) > 2], 1, atol=1e-3
    )


def test_solitons_go_around_the_box() -> None:
    sol = nlse.solve(
        nlse.Problem(GRID),
        nlse.soliton(GRID, amplitude=1.5, center=20.0, velocity=2.0),
        np.linspace(0, 40, 161),
    )
    tracks = analysis.track_solitons(sol)
    assert len(tracks) == 1
    np.testing.assert_allclose(tracks.position[:, 0], 20 + 2 * sol.t, atol=1e-5)
    turning = (1.5**2 + 2**2) / 2
    np.testing.assert_allclose(tracks.phase[:, 0], tracks.phase[0, 0] + turning * sol.t, atol=1e-4)


def test_a_soliton_in_a_trap_swings_with_it() -> None:
    grid = nlse.Grid(512, 40.0)
    problem = nlse.Problem(grid, potential=lambda x: 0.02 * x**2, nonlinearity=2.0)
    psi0 = nlse.soliton(grid, amplitude=1.5, center=-5.0) / math.sqrt(2)
    sol = nlse.solve(problem, psi0, np.linspace(0, 40, 81))
    tracks = analysis.track_solitons(sol)
    assert len(tracks) == 1
    np.testing.assert_allclose(tracks.position[:, 0], -5 * np.cos(0.2 * sol.t), atol=1e-4)
    np.testing.assert_allclose(tracks.velocity[:, 0], np.sin(0.2 * sol.t), atol=1e-4)


def test_other_dispersion_moves_with_its_group_velocity() -> None:
    # i psi_t = omega psi - g |psi|^2 psi, omega = k + 2 k^2, has A sech(A x sqrt(g/4)).
    problem = nlse.Problem(GRID, dispersion={1: 1.0, 2: 2.0}, nonlinearity=4.0)
    psi0 = nlse.soliton(GRID, amplitude=1.0) * np.exp(0.5j * GRID.x)
    sol = nlse.solve(problem, psi0, np.linspace(0, 15, 31))
    tracks = analysis.track_solitons(sol)
    assert len(tracks) == 1
    np.testing.assert_allclose(tracks.position[:, 0], (1 + 4 * 0.5) * sol.t, atol=1e-4)
    np.testing.assert_allclose(tracks.inverse_width, 1, atol=1e-4)


def test_nonlinearity_of_its_own_and_in_time() -> None:
    # A slow change of g keeps a soliton one, of amplitude M sqrt(g) / 2 and inverse width M g / 2.
    grown = nlse.Problem(GRID, nonlinearity=lambda t: 1 + 0.02 * t)
    psi0 = nlse.soliton(GRID, amplitude=1.5, center=-5.0, velocity=0.5)
    sol = nlse.solve(grown, psi0, np.linspace(0, 20, 81))
    tracks = analysis.track_solitons(sol)
    assert len(tracks) == 1
    assert np.isfinite(tracks.position).all()
    np.testing.assert_allclose(tracks.position[:, 0], -5 + 0.5 * sol.t, atol=0.02)
    np.testing.assert_allclose(tracks.amplitude[:, 0], 1.5 * np.sqrt(1 + 0.02 * sol.t), rtol=0.02)
    two = nlse.Problem(GRID, nonlinearity=np.array([1.0, 4.0]))
    both = nlse.solve(two, np.stack([psi0, psi0 / 2]), np.linspace(0, 3, 13))
    for i in (0, 1):
        found = analysis.track_solitons(both, realisation=i)
        np.testing.assert_allclose(found.amplitude[:, 0], (1.5, 0.75)[i], rtol=1e-6)
        np.testing.assert_allclose(found.inverse_width[:, 0], 1.5, rtol=1e-6)


def test_a_breather_is_one_track_and_members_can_be_picked() -> None:
    case = nlse.cases.get("breather")
    psi0 = np.stack([case.psi0(), nlse.soliton(case.grid, center=3.0)])
    sol = nlse.solve(case.problem, psi0, case.t[:40])
    breather = analysis.track_solitons(sol, threshold=0.5, realisation=0)
    assert np.isfinite(breather.position[:, 0]).all()
    soliton = analysis.track_solitons(sol, realisation=1)
    assert len(soliton) == 1
    np.testing.assert_allclose(soliton.position[:, 0], 3.0, atol=1e-5)
    with pytest.raises(ValueError, match="which of the 2 realisations"):
        analysis.track_solitons(sol)


def test_darkness_has_no_tracks() -> None:
    sol = nlse.solve(nlse.Problem(GRID), np.zeros(512, dtype=complex), [0.0, 1.0])
    tracks = analysis.track_solitons(sol)
    assert len(tracks) == 0
    assert tracks.position.shape == (2, 0)


def test_mistakes_are_named(collision: nlse.Solution) -> None:
    with pytest.raises(TypeError, match=r"grid must be a fourfold\.nlse\.Grid, got ndarray"):
        analysis.find_solitons(collision.psi[0], GRID)
    with pytest.raises(ValueError, match=r"one field, of shape \(512,\).*track_solitons"):
        analysis.find_solitons(GRID, np.ones((2, 512)))
    with pytest.raises(ValueError, match=r"\(\.\.\., 512\)"):
        analysis.find_solitons(GRID, np.ones(4))
    with pytest.raises(ValueError, match="threshold must be from 0 to 1"):
        analysis.find_solitons(GRID, np.ones(512), threshold=2)
    with pytest.raises(TypeError, match="solution must be a Solution"):
        analysis.track_solitons(collision.psi)
    with pytest.raises(ValueError, match="least must be at least 1"):
        analysis.track_solitons(collision, least=0)
    gathered = nlse.solve(
        nlse.Problem(GRID), np.ones((2, 512), dtype=complex), [0.0, 0.1], store="statistics"
    )
    with pytest.raises(ValueError, match="only the statistics were stored"):
        analysis.track_solitons(gathered, realisation=0)
