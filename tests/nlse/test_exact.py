"""Exact solutions against textbook formulas in mpmath; those against the equation itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold import nlse
from tests.nlse.reference import integrate

# A formula of the line: psi(x, t) in arbitrary precision.
Line = Callable[[Any, Any], Any]

RNG_SEED = 20240607


@pytest.fixture(autouse=True)
def _forty_digits() -> Any:
    with mp.workdps(40):
        yield


def residual(psi: Line, x: Any, t: Any, g: float = 1.0) -> float:
    """|i psi_t + 1/2 psi_xx + g |psi|^2 psi| by numerical differentiation at 40 digits."""
    x, t = mp.mpf(x), mp.mpf(t)
    value = psi(x, t)
    psi_t = mp.diff(lambda s: psi(x, s), t)
    psi_xx = mp.diff(lambda s: psi(s, t), x, 2)
    return float(abs(1j * psi_t + psi_xx / 2 + g * abs(value) ** 2 * value))


def agree(field: Any, grid: nlse.Grid, t: float, psi: Line, g: float = 1.0) -> None:
    """The field equals the formula at every 13th point, and the formula solves the equation."""
    for j in range(0, grid.n, 13):
        assert abs(complex(psi(mp.mpf(grid.x[j]), mp.mpf(t))) - field[j]) < 2e-13
    for j in range(3, grid.n, 101):
        assert residual(psi, grid.x[j], t, g) < 1e-18


def periodic(psi: Line, length: float, images: int = 4) -> Line:
    return lambda x, t: mp.fsum(psi(x + m * length, t) for m in range(-images, images + 1))


# ---------------------------------------------------------------- textbook formulas


def line_soliton(a: float, x0: float, v: float, phase: float = 0.0) -> Line:
    a, x0, v, phase = (mp.mpf(q) for q in (a, x0, v, phase))
    return lambda x, t: (
        a * mp.sech(a * (x - x0 - v * t)) * mp.expj(v * x + (a * a - v * v) * t / 2 + phase)
    )


def line_two_soliton(left: tuple[float, ...], right: tuple[float, ...]) -> Line:
    """Hirota's G/F in the exponentials eta, for (A, x0, v, phase) of both; left one first."""
    (a1, x1, v1, f1), (a2, x2, v2, f2) = (tuple(map(mp.mpf, wave)) for wave in (left, right))
    p1, p2 = mp.mpc(a1, v1), mp.mpc(a2, v2)
    c1, c2 = mp.conj(p1), mp.conj(p2)
    start1 = mp.log(2 * a1) - a1 * x1 + 1j * f1
    start2 = mp.log(2 * a2) - a2 * x2 + 1j * f2 - 2 * mp.log((p1 - p2) / (c1 + p2))
    s = (p1 - p2) ** 2
    a11, a12, a21, a22 = (1 / (p + c) ** 2 for p in (p1, p2) for c in (c1, c2))

    def psi(x: Any, t: Any) -> Any:
        e1 = mp.exp(p1 * x + 0.5j * p1**2 * t + start1)
        e2 = mp.exp(p2 * x + 0.5j * p2**2 * t + start2)
        d1, d2 = mp.conj(e1), mp.conj(e2)
        g = e1 + e2 + s * a11 * a21 * e1 * e2 * d1 + s * a12 * a22 * e1 * e2 * d2
        f = 1 + a11 * e1 * d1 + a12 * e1 * d2 + a21 * e2 * d1 + a22 * e2 * d2
        f += abs(s) ** 2 * a11 * a12 * a21 * a22 * e1 * e2 * d1 * d2
        return g / f

    return psi


def line_breather(a: float) -> Line:
    a = mp.mpf(a)
    w = 2 * mp.sqrt(1 - 2 * a)  # imaginary beyond 1/2
    b = mp.sqrt(8 * a * (1 - 2 * a))

    def psi(x: Any, t: Any) -> Any:
        above = 2 * (1 - 2 * a) * mp.cosh(b * t) + 1j * b * mp.sinh(b * t)
        below = mp.sqrt(2 * a) * mp.cos(w * x) - mp.cosh(b * t)
        return mp.expj(t) * (1 + above / below)

    return psi


def line_dark(q: float, v: float, x0: float) -> Line:
    q, v, x0 = mp.mpf(q), mp.mpf(v), mp.mpf(x0)
    b = mp.sqrt(q * q - v * v)
    return lambda x, t: mp.expj(-q * q * t) * (b * mp.tanh(b * (x - x0 - v * t)) + 1j * v)


# ---------------------------------------------------------------- one soliton


@pytest.mark.parametrize(
    ("a", "x0", "v", "phase", "t"),
    [
        (2.0, -10.0, 1.0, 0.0, 0.0),
        (2.0, -10.0, 1.0, 0.0, 20.0),
        (1.0, 7.3, -0.77, 2.1, 11.7),  # has left the box on the left
        (0.8, 60.0, 3.3, -1.0, 5.1),  # starts outside of it
    ],
)
def test_soliton(a: float, x0: float, v: float, phase: float, t: float) -> None:
    grid = nlse.Grid(512, 50.0)
    line = line_soliton(a, x0, v, phase)
    assert residual(line, x0 + 0.3, t) < 1e-18
    whole = periodic(line, grid.length)
    field = nlse.soliton(grid, a, x0, v, phase, t)
    assert field.dtype == np.complex128
    assert field.shape == (512,)
    for j in range(0, 512, 13):
        assert abs(complex(whole(mp.mpf(grid.x[j]), mp.mpf(t))) - field[j]) < 1e-13


def test_soliton_is_the_published_formula_where_it_stands() -> None:
    grid = nlse.Grid(512, 50.0)
    published = 2 / np.cosh(2 * (grid.x + 10)) * np.exp(1j * grid.x)
    np.testing.assert_allclose(nlse.soliton(grid, 2.0, -10.0, 1.0), published, rtol=0, atol=4e-13)
    centred = 2 / np.cosh(2 * grid.x) * np.exp(-0.4j * grid.x)
    np.testing.assert_allclose(nlse.soliton(grid, 2.0, 0.0, -0.4), centred, rtol=0, atol=4e-16)


def test_soliton_mass_momentum_energy() -> None:
    grid = nlse.Grid(512, 50.0)
    problem = nlse.Problem(grid)
    a, v = 1.3, 0.7
    psi = nlse.soliton(grid, amplitude=a, velocity=v, center=3.0)
    assert nlse.diagnostics.mass(grid, psi) == pytest.approx(2 * a, rel=1e-13)
    assert nlse.diagnostics.momentum(grid, psi) == pytest.approx(2 * a * v, rel=1e-12)
    assert nlse.diagnostics.energy(problem, psi) == pytest.approx(a * v**2 - a**3 / 3, rel=1e-12)


def test_soliton_that_leaves_the_box_is_what_a_periodic_run_gives() -> None:
    # v = 6.1 is no multiple of 2 pi / 26; the soliton crosses the edge at t = 0.33.
    grid = nlse.Grid(320, 26.0)
    t = np.array([0.0, 0.35, 0.9])
    truth = nlse.soliton(grid, amplitude=1.9, center=11.0, velocity=6.1, phase=0.4, t=t)
    run = integrate(truth[0], t, length=26.0)
    assert np.abs(truth[2]).argmax() < 100  # it has come back on the left
    np.testing.assert_allclose(run, truth, rtol=0, atol=1e-10)


@settings(deadline=None, max_examples=50)
@given(
    a=st.floats(0.8, 3),
    x0=st.floats(-100, 100),
    v=st.floats(-5, 5),
    t=st.floats(-20, 20),
    periods=st.integers(-3, 3),
)
def test_soliton_symmetries(a: float, x0: float, v: float, t: float, periods: int) -> None:
    grid = nlse.Grid(150, 60.0)
    psi = nlse.soliton(grid, a, x0, v, t=t)
    # Seen from an image: shift by whole boxes with the phase that goes with it.
    length = grid.length * periods
    image = nlse.soliton(grid, a, x0 + length, v, phase=-v * length, t=t)
    np.testing.assert_allclose(image, psi, rtol=0, atol=1e-11)
    # Galilean: later is the same as started elsewhere with another phase.
    later = nlse.soliton(grid, a, x0 + v * t, v, phase=(a * a - v * v) * t / 2)
    np.testing.assert_allclose(later, psi, rtol=0, atol=1e-12)
    # Scale: psi -> s psi(s x, s^2 t).
    scaled = nlse.soliton(nlse.Grid(150, 30.0), 2 * a, x0 / 2, 2 * v, t=t / 4)
    np.testing.assert_allclose(scaled, 2 * psi, rtol=0, atol=1e-11)
    # Mirror.
    mirror = nlse.soliton(grid, a, -x0, -v, t=t)
    np.testing.assert_allclose(mirror[1:], psi[:0:-1], rtol=0, atol=1e-11)


# ---------------------------------------------------------------- two solitons


@pytest.mark.parametrize("t", [0.0, 3.0, 4.9, 5.3, 8.0, 11.0])
def test_published_collision_is_the_textbook_solution(t: float) -> None:
    grid = nlse.Grid(512, 50.0)
    line = line_two_soliton((2.0, -10.0, 2.0, 0.0), (1.5, 10.0, -2.0, 0.0))
    assert residual(line, 0.2, t) < 1e-18
    whole = periodic(line, grid.length, images=2)
    field = nlse.two_soliton(grid, t=t)
    for j in range(0, 512, 13):
        assert abs(complex(whole(mp.mpf(grid.x[j]), mp.mpf(t))) - field[j]) < 2e-13


def test_two_soliton_with_other_values() -> None:
    rng = np.random.default_rng(RNG_SEED)
    grid = nlse.Grid(96, 80.0)
    for _ in range(10):
        a = rng.uniform(0.8, 2.5, 2)
        v = np.sort(rng.uniform(-3, 3, 2))[::-1]  # the left one is the faster
        x0 = np.array([rng.uniform(-15, -5), rng.uniform(5, 15)])
        phi = rng.uniform(-3, 3, 2)
        t = (x0[1] - x0[0]) / (v[0] - v[1]) * rng.uniform(0, 1.5)
        line = line_two_soliton((a[0], x0[0], v[0], phi[0]), (a[1], x0[1], v[1], phi[1]))
        assert residual(line, x0.mean() + 0.1, t) < 1e-18
        whole = periodic(line, grid.length, images=2)
        field = nlse.two_soliton(grid, a, x0, v, phi, t)
        for j in range(0, 96, 7):
            assert abs(complex(whole(mp.mpf(grid.x[j]), mp.mpf(t))) - field[j]) < 1e-12
        swapped = nlse.two_soliton(grid, a[::-1], x0[::-1], v[::-1], phi[::-1], t)
        np.testing.assert_allclose(swapped, field, rtol=0, atol=1e-12)


def test_published_collision_shifts_and_turns_by_the_known_amounts() -> None:
    # After the collision each soliton is one of `soliton`, displaced and turned by:
    shifts, turns = (0.276500, -0.368667), (1.188950, -4.596815)
    grid = nlse.Grid(1000, 100.0)
    t = 10.0
    after = sum(
        nlse.soliton(grid, a, x0 + shift, v, turn, t)
        for a, x0, v, shift, turn in zip(
            (2.0, 1.5), (-10.0, 10.0), (2.0, -2.0), shifts, turns, strict=True
        )
    )
    np.testing.assert_allclose(
        nlse.two_soliton(grid, t=t), after, rtol=0, atol=5e-6
    )  # six digits given


def test_two_soliton_before_the_collision_is_the_sum() -> None:
    grid = nlse.Grid(1000, 100.0)
    apart = nlse.soliton(grid, 2.0, -20.0, 2.0, 0.3) + nlse.soliton(grid, 1.5, 20.0, -2.0, -0.9)
    both = nlse.two_soliton(grid, (2.0, 1.5), (-20.0, 20.0), (2.0, -2.0), (0.3, -0.9))
    np.testing.assert_allclose(both, apart, rtol=0, atol=1e-13)
    # The faster one to the right: the values hold after the collision, at negative times.
    both = nlse.two_soliton(grid, (2.0, 1.5), (20.0, -20.0), (2.0, -2.0), (0.3, -0.9))
    apart = nlse.soliton(grid, 2.0, 20.0, 2.0, 0.3) + nlse.soliton(grid, 1.5, -20.0, -2.0, -0.9)
    np.testing.assert_allclose(both, apart, rtol=0, atol=1e-13)


def test_two_soliton_runs_backwards_like_its_mirror_in_time() -> None:
    # psi*(x, -t) solves the equation too, with the velocities and phases reversed.
    grid = nlse.Grid(300, 70.0)
    t = np.linspace(-30, 30, 13)
    forth = nlse.two_soliton(grid, (1.2, 1.7), (-9.0, 14.0), (1.1, -0.6), (0.2, 1.0), t)
    back = nlse.two_soliton(grid, (1.2, 1.7), (-9.0, 14.0), (-1.1, 0.6), (-0.2, -1.0), -t)
    np.testing.assert_allclose(back.conj(), forth, rtol=0, atol=1e-12)


def test_two_soliton_meets_again_across_the_edge() -> None:
    # They have met at t = 1.4, and meet again across the edge at t = 6.3.
    grid = nlse.Grid(432, 25.0)
    t = np.array([3.0, 6.3, 7.0])
    truth = nlse.two_soliton(grid, (2.0, 1.7), (-4.0, 3.0), (2.4, -2.6), (0.5, 0.0), t)
    run = integrate(truth[0], t, length=25.0, rtol=1e-11)
    np.testing.assert_allclose(run, truth, rtol=0, atol=2e-9)  # exp(-1.7 * 25 / 2) = 6e-10


def test_two_soliton_at_equal_velocities_is_a_bound_state() -> None:
    grid = nlse.Grid(256, 60.0)
    line = line_two_soliton((1.0, -1.0, 0.5, 0.0), (2.0, 1.5, 0.5, 0.4))
    whole = periodic(line, 60.0, images=2)
    for t in (0.0, 3.7):
        field = nlse.two_soliton(grid, (1.0, 2.0), (-1.0, 1.5), (0.5, 0.5), (0.0, 0.4), t)
        for j in range(0, 256, 17):
            assert abs(complex(whole(mp.mpf(grid.x[j]), mp.mpf(t))) - field[j]) < 1e-12
    # Across the edge the order is the other one.
    near_edge = nlse.two_soliton(grid, (1.0, 2.0), (29.0, -28.5), (0.0, 0.0), (0.0, 0.4))
    centred = nlse.two_soliton(grid, (1.0, 2.0), (-1.0, 1.5), (0.0, 0.0), (0.0, 0.4))
    np.testing.assert_allclose(near_edge, np.roll(centred, 128), rtol=0, atol=1e-12)


def test_two_soliton_far_away_neither_overflows_nor_vanishes() -> None:
    grid = nlse.Grid(64, 4000.0)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        psi = nlse.two_soliton(grid, t=np.array([-1e4, 0.0, 1e4]))
    assert np.all(np.isfinite(psi))
    x1 = np.abs(psi[1]).argmax()
    assert abs(grid.x[x1]) <= 32  # the point nearest to x = -10 or 10


# ---------------------------------------------------------------- breathers


@pytest.mark.parametrize("a", [0.02, 0.25, 0.47])
@pytest.mark.parametrize("t", [-3.0, 0.0, 0.3, 8.0])
def test_akhmediev(a: float, t: float) -> None:
    grid = nlse.Grid(120, nlse.akhmediev_length(a, periods=2))
    agree(nlse.akhmediev(grid, a, t), grid, t, line_breather(a))


@pytest.mark.parametrize("a", [0.53, 1.0, 2.2])
@pytest.mark.parametrize("t", [-3.0, 0.0, 0.3, 8.0])
def test_kuznetsov_ma(a: float, t: float) -> None:
    grid = nlse.Grid(120, 30.0)
    agree(nlse.kuznetsov_ma(grid, a, t), grid, t, line_breather(a))


@pytest.mark.parametrize("t", [-3.0, 0.0, 0.3, 8.0])
def test_peregrine(t: float) -> None:
    grid = nlse.Grid(120, 30.0)

    def line(x: Any, s: Any) -> Any:
        return mp.expj(s) * (1 - 4 * (1 + 2j * s) / (1 + 4 * x * x + 4 * s * s))

    agree(nlse.peregrine(grid, t), grid, t, line)


def test_breathers_near_the_peregrine_limit_keep_their_digits() -> None:
    # There numerator and denominator of the textbook formula both lose all digits in doubles.
    for a in (0.5 - 1e-9, 0.5 + 1e-9):
        line = line_breather(a)
        if a < 0.5:
            grid = nlse.Grid(1000, nlse.akhmediev_length(a))
            field = nlse.akhmediev(grid, a, 0.01)
        else:
            grid = nlse.Grid(1000, 1.0)
            field = nlse.kuznetsov_ma(grid, a, 0.01)
        for j in (0, 450, 499, 500, 501):
            # The points of the first grid are themselves rounded: take x / L as exact.
            x = (mp.mpf(j) / 1000 - mp.mpf("0.5")) * (
                mp.pi / mp.sqrt(1 - 2 * mp.mpf(a)) if a < 0.5 else 1
            )
            assert abs(complex(line(x, mp.mpf(0.01))) - field[j]) < 1e-13


def test_breather_heights_and_backgrounds() -> None:
    grid = nlse.Grid(64, nlse.akhmediev_length(0.25, periods=3))
    top = nlse.akhmediev(grid, 0.25)
    assert np.abs(top).max() == pytest.approx(1 + np.sqrt(2), rel=1e-14)
    # a = 1/4: +i e^{it} long before, -i e^{it} long after, however long.
    for t in (40.0, 1e4):
        np.testing.assert_allclose(
            nlse.akhmediev(grid, 0.25, -t), 1j * np.exp(-1j * t), rtol=0, atol=1e-12
        )
        np.testing.assert_allclose(
            nlse.akhmediev(grid, 0.25, t), -1j * np.exp(1j * t), rtol=0, atol=1e-12
        )
    wide = nlse.Grid(64, 4000.0)
    assert np.abs(nlse.kuznetsov_ma(wide, 1.0))[32] == pytest.approx(1 + 2 * np.sqrt(2), rel=1e-14)
    assert np.abs(nlse.kuznetsov_ma(wide, 1.0))[0] == 1.0
    assert np.abs(nlse.peregrine(wide))[32] == pytest.approx(3.0, rel=1e-15)


def test_akhmediev_is_what_a_periodic_run_gives() -> None:
    grid = nlse.Grid(96, nlse.akhmediev_length(0.25))
    t = np.array([-4.0, -1.0, 0.0, 2.0])
    truth = nlse.akhmediev(grid, 0.25, t)
    np.testing.assert_allclose(integrate(truth[0], t, length=grid.length), truth, rtol=0, atol=1e-9)


def test_akhmediev_needs_whole_periods() -> None:
    good = nlse.akhmediev_length(0.25, periods=4)
    assert good == pytest.approx(4 * 2 * np.pi / (2 * np.sqrt(0.5)), rel=1e-15)
    with pytest.raises(ValueError, match=rf"nearest good length is {good!r} .*periods=4"):
        nlse.akhmediev(nlse.Grid(64, 18.0), a=0.25)
    with pytest.raises(ValueError, match=r"periods=1\)"):
        nlse.akhmediev(nlse.Grid(64, 0.1), a=0.25)
    nlse.akhmediev(nlse.Grid(64, 4 * 2 * np.pi / (2 * np.sqrt(0.5))), a=0.25)
    with pytest.raises(ValueError, match="periods must be at least 1, got 0"):
        nlse.akhmediev_length(0.25, periods=0)


# ---------------------------------------------------------------- dark solitons


@pytest.mark.parametrize(("q", "v", "x0"), [(1.0, 0.0, 0.0), (1.3, -0.4, 2.0), (0.7, 0.699, -5.0)])
@pytest.mark.parametrize("t", [0.0, 9.0])
def test_dark_soliton(q: float, v: float, x0: float, t: float) -> None:
    grid = nlse.Grid(120, 40.0)
    agree(nlse.dark_soliton(grid, q, v, x0, t), grid, t, line_dark(q, v, x0), g=-1.0)


@pytest.mark.parametrize(("q", "v"), [(1.0, 0.5), (1.3, 0.1), (0.7, 0.6)])
@pytest.mark.parametrize("t", [-9.0, 0.0, 0.6])
def test_dark_soliton_collision(q: float, v: float, t: float) -> None:
    grid = nlse.Grid(120, 40.0)

    def line(x: Any, s: Any) -> Any:
        b = mp.sqrt(mp.mpf(q) ** 2 - mp.mpf(v) ** 2)
        ch, c = mp.cosh(2 * v * b * s), mp.cosh(2 * b * x)
        above = (mp.mpf(q) ** 2 - 2 * mp.mpf(v) ** 2) * ch - mp.mpf(q) * v * c
        above -= 2j * v * b * mp.sinh(2 * v * b * s)
        return mp.expj(-(mp.mpf(q) ** 2) * s) * above / (q * ch + v * c)

    agree(nlse.dark_soliton_collision(grid, q, v, t), grid, t, line, g=-1.0)


def test_dark_solitons_before_they_collide_stand_where_they_should() -> None:
    grid = nlse.Grid(800, 200.0)
    q, v, t = 1.2, 0.5, -60.0
    b = np.sqrt(q**2 - v**2)
    field = nlse.dark_soliton_collision(grid, q, v, t)
    at = v * t - np.log(q / v) / (2 * b)
    left = nlse.dark_soliton(grid, q, v, at - v * t, t)
    ratio = field / left
    near = np.abs(grid.x - at) < 10
    np.testing.assert_allclose(np.abs(ratio[near]), 1.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ratio[near], ratio[near][0], rtol=0, atol=1e-12)  # one phase for all
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        far = nlse.dark_soliton_collision(nlse.Grid(64, 1e5), q, v, np.array([-1e5, 0.0, 1e5]))
    assert np.all(np.isfinite(far))


def test_dark_collision_is_what_a_periodic_run_gives() -> None:
    grid = nlse.Grid(400, 60.0)
    t = np.array([-4.0, 0.0, 4.0])
    truth = nlse.dark_soliton_collision(grid, 1.0, 0.6, t)
    run = integrate(truth[0], t, length=60.0, g=-1.0)
    np.testing.assert_allclose(run, truth, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("v", "center"), [(0.0, 0.0), (0.3, 4.0), (-0.3, -21.0)])
def test_dark_pair_moves_as_two_dark_solitons(v: float, center: float) -> None:
    # Gaps of 30 with B = sqrt(1 - v^2): an overlap of exp(-57) at least.
    grid = nlse.Grid(450, 60.0)
    psi0 = nlse.dark_soliton_pair(grid, 1.0, v, center=center)
    t = 5.0
    run = integrate(psi0, [0.0, t], length=60.0, g=-1.0)[-1]
    later = nlse.dark_soliton_pair(grid, 1.0, v, separation=30.0 - 2 * v * t, center=center)
    np.testing.assert_allclose(run, later * np.exp(-1j * t), rtol=0, atol=1e-10)


def test_dark_pair_is_made_of_dark_solitons() -> None:
    grid = nlse.Grid(300, 60.0)
    q, v = 1.2, 0.4
    pair = nlse.dark_soliton_pair(grid, q, v, separation=24.0)
    left = np.abs(grid.x + 12) < 6
    ratio = pair[left] / nlse.dark_soliton(grid, q, v, -12.0)[left]
    np.testing.assert_allclose(np.abs(ratio), 1.0, rtol=0, atol=1e-11)
    np.testing.assert_allclose(ratio, ratio[0], rtol=0, atol=1e-11)
    right = np.abs(grid.x - 12) < 6
    # the mirror image: psi(-x) has velocity -v
    ratio = pair[right] / nlse.dark_soliton(grid, q, v, -12.0)[::-1][np.roll(right, -1)]
    np.testing.assert_allclose(ratio, ratio[0], rtol=0, atol=1e-11)
    assert pair[0] == pytest.approx(q, abs=1e-12)  # q outside of the pair
    # Smooth across the edge too: its spectrum falls off.
    spectrum = np.abs(np.fft.fft(nlse.dark_soliton_pair(nlse.Grid(900, 60.0), q, v, 24.0)))
    assert spectrum[350:550].max() < 1e-13 * spectrum.max()


# ---------------------------------------------------------------- plane waves


@pytest.mark.parametrize("mode", [0, 1, -5, -32, 31])
def test_plane_wave(mode: int) -> None:
    grid = nlse.Grid(64, 10.0)
    k = 2 * mp.pi * mode / 10

    def line(x: Any, t: Any) -> Any:
        a = mp.mpf("0.75")
        return a * mp.expj(k * x - (k * k / 2 - a * a) * t)

    agree(nlse.plane_wave(grid, 0.75, mode, 1.25), grid, 1.25, line)


def test_modulation_gain_is_the_growth_rate_of_the_linearised_equation() -> None:
    # psi = (A + u + iv) e^{i A^2 t}: u_t = K^2/2 v, v_t = (2A^2 - K^2/2) u for cos(Kx).
    for a, k in [(1.0, 0.3), (1.0, np.sqrt(2)), (0.7, 1.3), (1.0, 2.0), (1.0, 2.5)]:
        matrix = np.array([[0, k**2 / 2], [2 * a**2 - k**2 / 2, 0]])
        rate = np.linalg.eigvals(matrix).real.max()
        assert nlse.modulation_gain(k, a) == pytest.approx(rate, abs=1e-12)
        assert nlse.modulation_gain(-k, a) == pytest.approx(rate, abs=1e-12)
    k = np.linspace(0, 3, 3001)
    gain = nlse.modulation_gain(k, 0.9)
    assert gain.shape == k.shape
    assert gain.max() == pytest.approx(0.81, abs=1e-6)
    assert k[gain.argmax()] == pytest.approx(np.sqrt(2) * 0.9, abs=1e-3)


def test_modulation_gain_is_that_of_the_akhmediev_breather() -> None:
    # Long before its crest the breather is a plane wave with a growing modulation.
    a = 0.2
    grid = nlse.Grid(32, nlse.akhmediev_length(a))
    field = nlse.akhmediev(grid, a, np.array([-12.0, -11.0]))
    side = np.abs(np.fft.fft(field)[:, 1])
    rate = np.log(side[1] / side[0])
    assert rate == pytest.approx(nlse.modulation_gain(2 * np.sqrt(1 - 2 * a)), abs=1e-6)


# ---------------------------------------------------------------- shapes and refusals

SOLUTIONS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "soliton": (nlse.soliton, {"velocity": 1.0}),
    "two_soliton": (nlse.two_soliton, {}),
    "akhmediev": (nlse.akhmediev, {}),
    "peregrine": (nlse.peregrine, {}),
    "kuznetsov_ma": (nlse.kuznetsov_ma, {}),
    "dark_soliton": (nlse.dark_soliton, {"velocity": 0.3}),
    "dark_soliton_collision": (nlse.dark_soliton_collision, {}),
    "plane_wave": (nlse.plane_wave, {"mode": 2}),
}


@pytest.mark.parametrize("name", SOLUTIONS)
def test_times_of_any_shape(name: str) -> None:
    function, options = SOLUTIONS[name]
    grid = nlse.Grid(30, nlse.akhmediev_length(0.25, periods=6))
    t = np.array([[0.0, 1.0, 7.5], [9.0, -3.0, 12.0]])
    field = function(grid, t=t, **options)
    assert field.shape == (2, 3, 30)
    assert field.dtype == np.complex128
    assert field.flags.writeable
    for i in range(2):
        for j in range(3):
            one = function(grid, t=float(t[i, j]), **options)
            assert one.shape == (30,)
            np.testing.assert_allclose(field[i, j], one, rtol=0, atol=1e-14)
    assert function(grid, t=[1, 2], **options).shape == (2, 30)
    assert function(grid, t=[], **options).shape == (0, 30)


@pytest.mark.parametrize("name", SOLUTIONS)
def test_bad_grid_and_times(name: str) -> None:
    function, options = SOLUTIONS[name]
    grid = nlse.Grid(30, nlse.akhmediev_length(0.25, periods=6))
    with pytest.raises(TypeError, match=r"grid must be a fourfold.nlse.Grid, got int"):
        function(30, **options)
    with pytest.raises(TypeError, match="t must be real numbers"):
        function(grid, t=1j, **options)
    with pytest.raises(ValueError, match="t must be finite"):
        function(grid, t=[0.0, np.nan], **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: nlse.soliton(g, amplitude=0.0), "amplitude must be positive, got 0.0"),
        (lambda g: nlse.soliton(g, amplitude=0.01), "amplitude must be at least .*0.02.*got 0.01"),
        (lambda g: nlse.soliton(g, velocity=np.nan), "velocity must be finite, got nan"),
        (lambda g: nlse.two_soliton(g, (1.0, 1.0), velocities=(1, 1)), "must not both be equal"),
        (lambda g: nlse.two_soliton(g, (1.0, -1.0)), r"amplitudes\[1\] must be positive, got -1.0"),
        (lambda g: nlse.two_soliton(g, (1.0, 1.0, 1.0)), "amplitudes must be two numbers"),
        (
            lambda g: nlse.two_soliton(g, centers=3.0),  # type: ignore[arg-type]
            "centers must be two numbers, got 3.0",
        ),
        (
            lambda g: nlse.two_soliton(g, (1.0, 1.0 + 1e-12), velocities=(1e-12, 0.0)),
            "grid.length must exceed",
        ),
        (lambda g: nlse.akhmediev(g, a=0.5), "a must lie between 0 and 1/2.*peregrine.*got 0.5"),
        (lambda g: nlse.akhmediev(g, a=0.0), "a must lie between 0 and 1/2"),
        (lambda g: nlse.kuznetsov_ma(g, a=0.5), "a must be greater than 1/2.*got 0.5"),
        (lambda g: nlse.dark_soliton(g, background=0), "background must be positive, got 0.0"),
        (lambda g: nlse.dark_soliton(g, velocity=-1.0), "velocity must be smaller .*got -1.0"),
        (lambda g: nlse.dark_soliton_collision(g, velocity=0), "velocity must be positive"),
        (lambda g: nlse.dark_soliton_pair(g, separation=50.0), "separation must lie .* 50.0"),
        (lambda g: nlse.plane_wave(g, mode=32), "mode must lie from -32 to 31 .* 64 .*got 32"),
        (lambda g: nlse.modulation_gain(1.0, amplitude=-1), "amplitude must be positive, got -1.0"),
    ],
)
def test_values_out_of_range(call: Callable[[nlse.Grid], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(nlse.Grid(64, 50.0))


@pytest.mark.parametrize("bad", ["1", None, 1j, True])
def test_values_of_another_type(bad: Any) -> None:
    grid = nlse.Grid(64, 50.0)
    with pytest.raises(TypeError, match="amplitude must be a real number, got"):
        nlse.soliton(grid, amplitude=bad)
    with pytest.raises(TypeError, match=r"phases\[1\] must be a real number, got"):
        nlse.two_soliton(grid, phases=(0.0, bad))
