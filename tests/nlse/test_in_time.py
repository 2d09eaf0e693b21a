"""Coefficients that depend on time: closed forms, orders of convergence, refusals."""

from __future__ import annotations

import pickle
from typing import Any, cast

import numpy as np
import pytest
import torch

import fourfold
from fourfold import nlse
from fourfold.nlse.methods import METHODS
from tests.nlse.reference import integrate

FIXED = [name for name, method in METHODS.items() if method.fixed_step]
SPLITTINGS = ["strang", "yoshida4", "rkn4_6b", "rkn6_11b", "rkn6_14a"]

LENGTH = 12.0
WAVE = 2 * np.pi / LENGTH
GRID = nlse.Grid(64, LENGTH)
X = GRID.x
SMOOTH = (1.2 + 0.4 * np.cos(WAVE * X)) * np.exp(0.7j * np.sin(WAVE * X))


def trap(n: int = 256) -> tuple[nlse.Grid, np.ndarray]:
    """A grid wide enough for an oscillator, and its ground state."""
    grid = nlse.Grid(n, 24.0)
    return grid, np.pi**-0.25 * np.exp(-(grid.x**2) / 2) + 0j


def center(grid: nlse.Grid, psi: np.ndarray) -> np.ndarray:
    density = np.abs(psi) ** 2
    return np.asarray(density @ grid.x / density.sum(axis=-1))


def driven_center(t: np.ndarray) -> np.ndarray:
    """x'' = -x + sin 2t from rest."""
    return np.asarray((2 * np.sin(t) - np.sin(2 * t)) / 3)


FORMS: dict[str, Any] = {
    "function": lambda x, t: 0.5 * x**2 - np.sin(2 * t) * x,
    "series of functions": nlse.Modulated(lambda x: -x, lambda t: np.sin(2 * t))
    + (lambda x: 0.5 * x**2),
}


@pytest.mark.isa
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", SPLITTINGS)
def test_driven_oscillator_follows_its_centre_with_the_order_of_the_method(
    method: str, form: str
) -> None:
    # A coherent state keeps its shape and its centre follows Newton, with or without interaction.
    grid, ground = trap()
    problem = nlse.Problem(grid, nonlinearity=-1.0, potential=FORMS[form])
    t = np.linspace(0, 2, 3)
    coarse = {"strang": 0.1, "yoshida4": 0.1, "rkn4_6b": 0.2}.get(method, 0.3)
    errors = []
    for step in (coarse, coarse / 2):
        sol = nlse.solve(problem, ground, t, method=method, step=step)
        errors.append(np.abs(center(grid, sol.psi) - driven_center(t)).max())
        steps = np.ceil(1 / step * (1 - 1e-10)) * 2
        assert sol.stats.steps == steps
    assert errors[1] > 1e-14, "round-off: no order to see"
    ratio = np.ceil(2 / coarse - 1e-9) / np.ceil(1 / coarse - 1e-9)
    found = np.log(errors[0] / errors[1]) / np.log(ratio)
    assert found > problem.order(method) - 0.3, f"{found:.2f}"


def test_a_falling_wave_packet_is_exact() -> None:
    """V = -F(t) x on a packet far from the edges: the phases are those of a classical path."""
    grid = nlse.Grid(512, 80.0)
    problem = nlse.Problem(
        grid, nonlinearity=1.0, potential=lambda x, t: -np.cos(t) * x * (np.abs(x) < 39)
    )
    psi0 = nlse.soliton(grid)
    sol = nlse.solve(problem, psi0, [0.0, 1.5], rtol=1e-10)
    # x(t) = 1 - cos t, p(t) = sin t; the phase beside p x + t/2 is -int p^2/2.
    t = 1.5
    p, place = np.sin(t), 1 - np.cos(t)
    action = -0.5 * (t / 2 - np.sin(2 * t) / 4)
    exact = np.exp(1j * (p * grid.x + t / 2 + action)) / np.cosh(grid.x - place)
    assert np.abs(sol.psi[-1] - exact).max() < 1e-7


TERMS: dict[str, dict[str, Any]] = {
    "potential": {"potential": lambda x, t: np.cos(WAVE * x - 3 * t)},
    "nonlinearity": {"nonlinearity": lambda t: 1 + 0.8 * np.sin(4 * t)},
    "loss": {"loss": lambda x, t: 0.3 * np.cos(5 * t) * (1 + np.sin(WAVE * x))},
    "everything": {
        "dispersion": {2: 0.5, 3: -0.05},
        "potential": nlse.Modulated(np.cos(WAVE * X), lambda t: np.sin(3 * t))
        + nlse.Modulated(np.sin(WAVE * X), lambda t: np.cos(3 * t)),
        "nonlinearity": nlse.Modulated(0.7, lambda t: np.exp(-t)),
        "loss": lambda x, t: 0.2 * t**2 + 0 * x,
    },
}
# Numbers of steps over the unit of time: in the asymptotic regime, and clear of round-off.
STEPS = {
    "strang": (64, 128),
    "yoshida4": (48, 96),
    "rkn4_6b": (12, 24),
    "rkn6_11b": (8, 14),
    "rkn6_14a": (7, 12),
    "rk4ip": (64, 128),
    "etdrk4": (128, 256),
    "dop853": (14, 20),
}


def truth(terms: str, grid: nlse.Grid, psi0: np.ndarray, t: list[float]) -> np.ndarray:
    given = TERMS[terms]
    exact = nlse.Problem(grid, **given) if grid is GRID or terms != "everything" else None
    assert exact is not None

    def part(name: str) -> Any:
        if name not in exact.in_time:
            return 0.0 if name != "nonlinearity" else 1.0
        return exact.in_time[name].at

    return integrate(
        psi0,
        t,
        length=grid.length,
        dispersion=given.get("dispersion"),
        g=part("nonlinearity"),
        potential=part("potential"),
        loss=part("loss"),
    )


@pytest.mark.filterwarnings("ignore::fourfold.errors.OrderWarning")
@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("method", FIXED)
def test_order_of_convergence(method: str, terms: str) -> None:
    if method == "dop853" and terms == "everything":
        pytest.skip("its series is made for another grid than the one on which the order shows")
    grid = nlse.Grid(20, LENGTH) if method == "dop853" else GRID
    psi0 = (1.2 + 0.4 * np.cos(WAVE * grid.x)) * np.exp(0.7j * np.sin(WAVE * grid.x))
    problem = nlse.Problem(grid, **TERMS[terms])
    exact = truth(terms, grid, psi0, [0.0, 1.0])[-1]
    errors = [
        np.abs(
            nlse.solve(problem, psi0, [0.0, 1.0], method=method, step=1 / count).psi[-1] - exact
        ).max()
        for count in STEPS[method]
    ]
    assert errors[-1] > 1e-12, "the error is round-off: no order to see"
    found = np.log(errors[0] / errors[1]) / np.log(STEPS[method][1] / STEPS[method][0])
    assert found > problem.order(method) - (1.0 if method == "dop853" else 0.4), f"{found:.2f}"


@pytest.mark.parametrize("method", ["rkn4_6b", "rk4ip", "dop853", "published"])
@pytest.mark.parametrize("terms", ["potential", "everything"])
def test_adaptive_steps_keep_their_tolerance(method: str, terms: str) -> None:
    problem = nlse.Problem(GRID, **TERMS[terms])
    exact = truth(terms, GRID, SMOOTH, [0.3, 0.7, 1.3])
    rtol = 1e-7
    sol = nlse.solve(problem, SMOOTH, [0.3, 0.7, 1.3], method=method, rtol=rtol, atol=1e-12)
    off = np.linalg.norm(sol.psi[-1] - exact[-1]) / np.linalg.norm(exact[-1])
    assert off < 3 * rtol * sol.stats.steps


@pytest.mark.filterwarnings("ignore::fourfold.errors.OrderWarning")
@pytest.mark.parametrize("method", FIXED)
def test_mass_under_uniform_loss(method: str) -> None:
    """gamma(t) alone: the mass falls by exp(-2 int gamma)."""
    problem = nlse.Problem(GRID, loss=lambda x, t: 0.5 * np.sin(3 * t) + 0 * x)
    t = np.array([0.1, 0.8, 1.9])
    integral = (np.cos(3 * t[0]) - np.cos(3 * t)) / 6
    count = 400 if method == "strang" else 150
    sol = nlse.solve(problem, SMOOTH, t, method=method, step=1 / count)
    tolerance = 3e-5 if method == "strang" else 1e-6
    np.testing.assert_allclose(
        sol.mass, sol.mass[0] * np.exp(-2 * integral), rtol=tolerance, atol=0
    )


def test_the_phase_of_a_plane_wave_counts_the_nonlinearity() -> None:
    problem = nlse.Problem(GRID, nonlinearity=lambda t: 1 / (1 + t))
    sol = nlse.solve(problem, np.full(64, 1.5 + 0j), [0.0, 2.0], rtol=1e-10)
    np.testing.assert_allclose(sol.psi[-1], 1.5 * np.exp(2.25j * np.log(3)), rtol=1e-8)


@pytest.mark.isa
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("interpolation", ["cubic", "linear"])
def test_sampled_series_are_the_interpolant(interpolation: str, dtype: str) -> None:
    """Sampled factors run in compiled code; the same interpolant as a function goes through Python."""
    from scipy.interpolate import CubicSpline

    rng = np.random.default_rng(3)
    knots = np.sort(rng.random(9)) * 1.2
    knots[0], knots[-1] = 0.0, 1.2
    values = rng.standard_normal((2, 9))
    profiles = rng.standard_normal((2, 64))

    def factor(row: int) -> Any:
        if interpolation == "linear":
            return lambda t: np.interp(t, knots, values[row])
        return CubicSpline(knots, values[row])

    def series(sampled: bool) -> nlse.Modulated:
        terms = [
            nlse.Modulated(profiles[j], values[j], knots, interpolation=interpolation)
            if sampled
            else nlse.Modulated(profiles[j], factor(j))
            for j in range(2)
        ]
        return terms[0] + terms[1] + 0.3

    psi0 = SMOOTH.astype(dtype)
    out = [
        nlse.solve(
            nlse.Problem(GRID, potential=series(sampled), loss=series(sampled)),
            psi0,
            [0.0, 0.5, 1.2],
            method="rkn4_6b",
            step=0.01,
        ).psi
        for sampled in (True, False)
    ]
    assert np.abs(out[0] - out[1]).max() < (1e-12 if dtype == "complex128" else 1e-4)


def test_realisations_have_their_own_profiles() -> None:
    rng = np.random.default_rng(4)
    profile = rng.standard_normal((3, 1, 64))
    strength = rng.standard_normal(2)
    times = np.linspace(0, 1, 7)
    factor = rng.standard_normal(7)
    psi0 = np.broadcast_to(SMOOTH, (3, 2, 64)).copy()
    problem = nlse.Problem(
        GRID,
        potential=nlse.Modulated(profile, factor, times),
        nonlinearity=nlse.Modulated(strength, np.cos),
    )
    assert problem.batch_shape == (3, 2)
    fourfold.set_num_threads(2)
    whole = nlse.solve(problem, psi0, [0.0, 0.6], rtol=1e-6)
    for i in range(3):
        for j in range(2):
            own = nlse.Problem(
                GRID,
                potential=nlse.Modulated(profile[i, 0], factor, times),
                nonlinearity=nlse.Modulated(strength[j], np.cos),
            )
            alone = nlse.solve(own, SMOOTH, [0.0, 0.6], rtol=1e-6)
            assert np.array_equal(whole.psi[:, i, j], alone.psi)


def test_energy_is_that_of_the_moment() -> None:
    problem = nlse.Problem(GRID, potential=lambda x, t: t * np.cos(WAVE * x), nonlinearity=np.cos)
    psi0 = np.stack([SMOOTH, 0.5 * SMOOTH])
    sol = nlse.solve(problem, psi0, [0.0, 0.4, 1.0], step=0.05)
    for i, t in enumerate(sol.t):
        v, g = t * np.cos(WAVE * X), np.cos(t)
        density = np.abs(sol.psi[i]) ** 2
        bending = np.abs(np.fft.ifft(1j * GRID.k * np.fft.fft(sol.psi[i]))) ** 2
        expected = GRID.dx * (bending / 2 - g / 2 * density**2 + v * density).sum(axis=-1)
        np.testing.assert_allclose(sol.energy[i], expected, rtol=1e-12)
    kept = nlse.solve(problem, psi0, sol.t, step=0.05, store="statistics")
    np.testing.assert_allclose(kept.energy, sol.energy, rtol=1e-12)
    with pytest.raises(ValueError, match="t must be given"):
        nlse.diagnostics.energy(problem, sol.psi)
    np.testing.assert_allclose(
        nlse.diagnostics.energy(problem, sol.psi[1], 0.4), sol.energy[1], rtol=1e-14
    )


def test_frozen_problems() -> None:
    problem = nlse.Problem(
        GRID,
        dispersion={2: 0.3, 3: 0.1},
        nonlinearity=lambda t: 2 * t,
        potential=nlse.Modulated(X, [0.0, 2.0], [0.0, 1.0], interpolation="linear") + 1.0,
        loss=lambda x, t: 0.1,
    )
    assert problem.time_dependent
    assert problem.lossy
    now = problem.at(0.25)
    assert not now.time_dependent
    assert now.at(3.0) is now
    assert now.nonlinearity == 0.5
    assert now.potential is not None
    np.testing.assert_allclose(now.potential, 0.5 * X + 1)
    assert now.loss is not None
    assert np.all(now.loss == 0.1)
    assert now.dispersion == problem.dispersion
    for name in ("potential", "nonlinearity", "loss"):
        with pytest.raises(ValueError, match=rf"{name} depends on time; problem\.at"):
            getattr(problem, name)
    assert repr(problem).count("<depends on time>") == 3


def test_functions_of_x_stay_functions_of_x() -> None:
    def with_default(x: np.ndarray, width: float = 2.0) -> np.ndarray:
        return x**2 / width

    for given in (with_default, np.abs, np.cos, lambda *a: a[0]):
        assert not nlse.Problem(GRID, potential=given).time_dependent
    assert nlse.Problem(GRID, potential=lambda x, t: x).time_dependent


def test_values_of_a_function_are_computed_once_for_all_realisations() -> None:
    asked = []

    def potential(x: np.ndarray, t: float) -> np.ndarray:
        asked.append(t)
        return t * np.cos(WAVE * x)

    nlse.solve(
        nlse.Problem(GRID, potential=potential),
        np.stack([SMOOTH] * 4),
        [0.0, 0.5],
        method="strang",
        step=0.1,
    )
    # the midpoints, and once before any work
    assert sorted(asked) == pytest.approx([0.0, 0.05, 0.15, 0.25, 0.35, 0.45])


def test_an_exception_of_a_function_comes_out() -> None:
    class OwnError(Exception):
        pass

    def potential(x: np.ndarray, t: float) -> np.ndarray:
        if t > 0.3:
            raise OwnError("too late")
        return x

    problem = nlse.Problem(GRID, potential=potential)
    with pytest.raises(OwnError, match="too late"):
        nlse.solve(problem, np.stack([SMOOTH] * 3), [0.0, 1.0], step=0.05)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"potential": lambda x, t, u: x},
            TypeError,
            "potential: a function must take x, or x and",
        ),
        ({"nonlinearity": lambda x, t: 1.0}, TypeError, "nonlinearity: a function must take one"),
        ({"potential": nlse.Modulated(np.ones(5), np.sin)}, ValueError, r"potential \(profile\)"),
        (
            {"potential": nlse.Modulated(np.ones((2, 64)), np.sin) + np.ones((3, 64))},
            ValueError,
            "do not fit",
        ),
    ],
)
def test_problem_refuses(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nlse.Problem(GRID, **arguments)


@pytest.mark.parametrize(
    ("potential", "error", "message"),
    [
        (lambda x, t: 1j * x, TypeError, "potential must be real at every time, got complex128 at"),
        (lambda x, t: x[:5], ValueError, r"return a number or an array of shape \(64,\)"),
        (lambda x, t: np.inf if t == 0.5 else 0 * x, ValueError, "finite.* t = 0.5"),
        (
            nlse.Modulated(X, [0.0, 1.0, 0.0], [0.0, 0.5, 0.9]),
            ValueError,
            "given from t = 0 to 0.9, but the run goes from 0 to 1",
        ),
        (
            nlse.Modulated(X, cast(Any, lambda t: "a")),
            TypeError,
            "a factor must return a real number",
        ),
        (nlse.Modulated(X, lambda t: np.nan), ValueError, "a factor must be finite"),
    ],
)
def test_runs_refuse(potential: Any, error: type[Exception], message: str) -> None:
    problem = nlse.Problem(GRID, potential=potential)
    with pytest.raises(error, match=message):
        nlse.solve(problem, SMOOTH, [0.0, 1.0], method="strang", step=1 / 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X, [1.0, 2.0]), ValueError, "times must be given"),
        ((X, [1.0, 2.0], [0.0, 1.0, 2.0]), ValueError, "same length"),
        ((X, [1.0, 2.0], [1.0, 0.0]), ValueError, "increase strictly"),
        ((X, [1.0, np.nan], [0.0, 1.0]), ValueError, "factor must be finite"),
        ((X, np.sin, [0.0, 1.0]), ValueError, "times must not be given"),
        ((X, "abc"), TypeError, "factor must be real numbers or a function"),
        ((lambda x, t: x, np.sin), TypeError, "profile: a function must take one argument"),
        ((nlse.Modulated(X, np.sin), np.sin), TypeError, "must not be a Modulated"),
    ],
)
def test_modulated_refuses(
    arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        nlse.Modulated(*arguments)
    with pytest.raises(ValueError, match="'cubic' or 'linear'"):
        nlse.Modulated(X, 1.0, interpolation="nearest")


def test_series_add_from_both_sides_and_pickle() -> None:
    total = 0.5 * X**2 + nlse.Modulated(X, [1.0, 2.0], [0.0, 1.0]) + 1
    assert len(total.terms) == 3
    problem = pickle.loads(pickle.dumps(nlse.Problem(GRID, potential=total)))
    np.testing.assert_allclose(problem.at(0.5).potential, 0.5 * X**2 + 1.5 * X + 1)


def test_tensors_without_gradients_are_arrays() -> None:
    problem = nlse.Problem(
        GRID,
        potential=torch.from_numpy(np.cos(WAVE * X)),
        nonlinearity=torch.tensor(0.5),
        dispersion={2: torch.tensor(0.5)},
    )
    assert problem.nonlinearity == 0.5
    assert not problem.leaves
    sol = nlse.solve(problem, SMOOTH, [0.0, 0.1])
    assert isinstance(sol.psi, np.ndarray)
