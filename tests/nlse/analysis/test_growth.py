"""Measured gain against the closed form, and against growth that was put in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fourfold import nlse
from fourfold.nlse import analysis

GRID = nlse.Grid(n=256, length=100.0)
TIMES = np.linspace(0, 8, 33)


def noisy(amplitude: float, mode: int, g: float = 1.0, count: int = 60) -> Any:
    """An ensemble of a plane wave with weak noise of its own in each realisation."""
    wave = nlse.plane_wave(GRID, amplitude=amplitude, mode=mode)
    psi0 = nlse.add_noise(np.tile(wave, (count, 1)), relative=1e-8, rng=7)
    problem = nlse.Problem(GRID, nonlinearity=g)
    return nlse.solve(problem, psi0, TIMES, method="rkn6_14a", step=0.05)


@pytest.fixture(scope="module")
def run() -> Any:
    return noisy(1.0, 0)


def test_recurrence_finds_the_closed_form(run: Any) -> None:
    found = analysis.growth_rates(run, method="recurrence")
    k = GRID.k
    unstable = (np.abs(k) > 0.05) & (np.abs(k) < 1.98)
    expected = nlse.modulation_gain(k)
    # The slower, the less an error of cosh(sigma tau) is forgiven.
    np.testing.assert_allclose(found.rate[unstable], expected[unstable], atol=3e-4)
    fast = expected > 0.3
    np.testing.assert_allclose(found.rate[fast], expected[fast], atol=2e-5)
    assert (found.frequency[unstable] == 0).all()
    assert np.isnan(found.rate[0])
    np.testing.assert_array_equal(found.wavenumber, k)


def test_what_does_not_grow_has_its_frequency(run: Any) -> None:
    # Bogoliubov: the square of the frequency is K^2/2 (K^2/2 - 2 A^2).
    found = analysis.growth_rates(run, method="recurrence", between=(0, 0.5))
    k = GRID.k
    stable = (np.abs(k) > 2.2) & (np.abs(k) < 4)
    expected = np.sqrt(k[stable] ** 2 / 2 * (k[stable] ** 2 / 2 - 2))
    np.testing.assert_allclose(found.frequency[stable], expected, atol=1e-4)
    assert (found.rate[stable] == 0).all()


def test_a_fit_of_the_late_stage_finds_the_fast_modes(run: Any) -> None:
    found = analysis.growth_rates(run, between=(4, 8))
    fast = nlse.modulation_gain(GRID.k) > 0.8
    off = np.abs(found.rate - nlse.modulation_gain(GRID.k))[fast]
    assert off.max() < 0.03
    assert np.isnan(found.frequency).all()
    # From the statistics alone it is the same.
    gathered = nlse.solve(
        run.problem, run.psi[0], TIMES, method="rkn6_14a", step=0.05, store="statistics"
    )
    again = analysis.growth_rates(gathered, between=(4, 8))
    np.testing.assert_allclose(again.rate[1:], found.rate[1:], rtol=1e-9)


@pytest.mark.parametrize(("amplitude", "mode", "g"), [(0.8, 5, 1.0), (0.7, -7, 2.0)])
def test_a_moving_background(amplitude: float, mode: int, g: float) -> None:
    found = analysis.growth_rates(noisy(amplitude, mode, g), method="recurrence", background=mode)
    expected = nlse.modulation_gain(GRID.k, amplitude * np.sqrt(g))
    unstable = expected > 0.1
    np.testing.assert_allclose(found.rate[unstable], expected[unstable], atol=2e-4)
    assert np.count_nonzero(unstable) > 40


def test_third_order_dispersion_moves_a_modulation_and_leaves_its_gain() -> None:
    problem = nlse.Problem(GRID, dispersion={2: 0.5, 3: 0.2})
    psi0 = nlse.add_noise(np.ones((20, 256), dtype=complex), relative=1e-8, rng=7)
    sol = nlse.solve(problem, psi0, TIMES, method="rkn4_6b", step=0.02)
    found = analysis.growth_rates(sol, method="recurrence")
    expected = nlse.modulation_gain(GRID.k)
    unstable = expected > 0.1
    np.testing.assert_allclose(found.rate[unstable], expected[unstable], atol=2e-4)


def made(rates: npt.NDArray[np.float64], times: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Fields whose modes grow at given rates, on a strong background that turns."""
    rng = np.random.default_rng(1)
    n = len(rates)
    start = 1e-6 * (rng.normal(size=(5, n)) + 1j * rng.normal(size=(5, n)))
    c = start * np.exp(rates * times[:, None, None])
    c[..., 0] = 1
    c = c * np.exp(2.3j * times)[:, None, None]
    return np.asarray(np.fft.ifft(c, axis=-1, norm="forward"))


def test_growth_that_was_put_in_comes_out() -> None:
    grid = nlse.Grid(32, 10.0)
    times = np.linspace(0, 3, 13)
    rates = np.linspace(-0.5, 0.9, 32)
    psi = made(rates, times)
    fitted = analysis.growth_rates(psi, times, grid=grid)
    np.testing.assert_allclose(fitted.rate[1:], rates[1:], atol=1e-8)
    assert (fitted.error[1:] < 1e-8).all()
    recurrence = analysis.growth_rates(psi, times, grid=grid, method="recurrence", lag=3)
    # cosh is even: decay looks like growth.
    np.testing.assert_allclose(recurrence.rate[1:], np.abs(rates[1:]), atol=1e-6)
    one = analysis.growth_rates(psi[:, 0], times, grid=grid)
    np.testing.assert_allclose(one.rate[1:], rates[1:], atol=1e-8)


def test_the_error_is_that_of_the_scatter() -> None:
    """Scatter of known size about a line, and the textbook's standard error of its slope."""
    rng = np.random.default_rng(5)
    grid, times = nlse.Grid(1000, 10.0), np.linspace(0, 5, 21)
    size = 0.1
    amplitude = np.exp(0.3 * times[:, None] + size * rng.normal(size=(21, 1000)))
    phases = np.exp(2j * np.pi * rng.random(size=(21, 1000)))
    psi = np.fft.ifft(amplitude * phases, axis=-1, norm="forward")
    found = analysis.growth_rates(psi, times, grid=grid)
    expected = size / np.sqrt(np.sum((times - times.mean()) ** 2))
    assert np.sqrt(np.mean(found.error[1:] ** 2)) == pytest.approx(expected, rel=0.05)
    assert np.std(found.rate[1:]) == pytest.approx(expected, rel=0.1)
    assert np.isnan(analysis.growth_rates(psi[:2], times[:2], grid=grid).error).all()


def test_a_mode_that_is_zero_has_no_rate() -> None:
    grid = nlse.Grid(8, 1.0)
    psi = np.ones((4, 8), dtype=complex)
    for method in ("fit", "recurrence"):
        found = analysis.growth_rates(psi, np.arange(4.0), grid=grid, method=method)
        assert np.isnan(found.rate).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "best"}, "'fit' or 'recurrence'"),
        ({"lag": 1}, "lag is for"),
        ({"between": (1, 1.1)}, "at least 2 saved times, got 1"),
        ({"between": 3}, "between must be two times"),
        ({"method": "recurrence", "between": (0, 0.3)}, "at least 3 saved times, got 2"),
        ({"method": "recurrence", "lag": 17}, "lag must be from 1 to 16"),
        ({"background": 128}, "background must be from -128 to 127"),
        ({"method": "recurrence", "background": 3}, None),
        ({"grid": GRID}, "left out"),
    ],
)
def test_mistakes_are_named(run: Any, options: dict[str, Any], message: str | None) -> None:
    if message is None:  # noise is a background too, if a poor one
        analysis.growth_rates(run, **options)
        return
    with pytest.raises(ValueError, match=message):
        analysis.growth_rates(run, **options)


def test_mistakes_with_arrays_are_named() -> None:
    psi = np.ones((4, 8), dtype=complex)
    grid = nlse.Grid(8, 1.0)
    with pytest.raises(ValueError, match="must be given"):
        analysis.growth_rates(psi)
    with pytest.raises(ValueError, match="length of the first axis"):
        analysis.growth_rates(psi, np.arange(3.0), grid=grid)
    with pytest.raises(ValueError, match="increase strictly"):
        analysis.growth_rates(psi, np.zeros(4), grid=grid)
    with pytest.raises(ValueError, match="evenly spaced"):
        analysis.growth_rates(psi, [0.0, 1.0, 2.0, 4.0], grid=grid, method="recurrence")
    with pytest.raises(ValueError, match="background must not vanish"):
        analysis.growth_rates(psi * 0, np.arange(4.0), grid=grid, method="recurrence")
