"""Scans: every point as if it were solved alone, under its own labels."""

from __future__ import annotations

import io
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
import rich.console

from fourfold import errors, nlse
from fourfold.nlse import _scan

xarray = pytest.importorskip("xarray")

GRID = nlse.Grid(n=64, length=20.0)
T = [0.0, 0.3, 1.0]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the fields that are solved for together."""
    shapes = []

    def counted(problem: nlse.Problem, psi0: Any, t: Any, **options: Any) -> nlse.Solution:
        shapes.append(psi0.shape)
        return nlse.solve(problem, psi0, t, **options)

    monkeypatch.setattr(_scan, "solve", counted)
    return shapes


def start(amplitude: float = 1.0, velocity: float = 0.0) -> Any:
    return nlse.soliton(GRID, amplitude=amplitude, velocity=velocity)


def test_every_point_is_what_it_is_alone() -> None:
    def problem(g: float, depth: float, loss: float) -> nlse.Problem:
        return nlse.Problem(
            GRID, nonlinearity=g, potential=lambda x: depth * np.cos(GRID.k[1] * x), loss=loss
        )

    axes = {"g": [-1.0, 0.0, 2.0], "amplitude": [1.0, 0.5], "depth": [0.0, 1.0], "loss": [0.0, 0.1]}
    found = nlse.scan(problem, start, T, axes, step=0.05, method="rkn4_6b")
    assert found["psi"].dims == ("g", "amplitude", "depth", "loss", "time", "x")
    for g, amplitude, depth, loss in ((-1, 1, 0, 0), (0, 0.5, 1, 0.1), (2, 0.5, 0, 0.1)):
        alone = nlse.solve(
            problem(g, depth, loss), start(amplitude), T, step=0.05, method="rkn4_6b"
        )
        point = found.sel(g=g, amplitude=amplitude, depth=depth, loss=loss)
        np.testing.assert_allclose(point["psi"], alone.psi, rtol=0, atol=1e-14)
        np.testing.assert_allclose(point["mass"], alone.mass, rtol=1e-13)
        np.testing.assert_allclose(point["energy"], alone.energy, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(found["time"], T)
    np.testing.assert_array_equal(found["x"], GRID.x)


def test_one_batch_gives_the_bits_of_each(batches: list[tuple[int, ...]]) -> None:
    found = nlse.scan(
        lambda g: nlse.Problem(GRID, nonlinearity=g), start, T, {"velocity": [0, 1], "g": [1, 2.0]}
    )
    assert batches == [(4, 64)]
    alone = nlse.solve(nlse.Problem(GRID, nonlinearity=2.0), start(1.0, 1.0), T)
    np.testing.assert_array_equal(found["psi"].sel(g=2, velocity=1), alone.psi)


def test_dispersion_and_time_make_groups(batches: list[tuple[int, ...]]) -> None:
    def problem(third: float, g: float) -> nlse.Problem:
        return nlse.Problem(GRID, dispersion={2: 0.5, 3: third}, nonlinearity=g)

    found = nlse.scan(problem, start, T, {"g": [1.0, 2.0], "third": [0.0, 0.1, 0.2]})
    assert batches == [(2, 64)] * 3
    alone = nlse.solve(problem(0.1, 2.0), start(), T)
    np.testing.assert_array_equal(found["psi"].sel(third=0.1, g=2.0), alone.psi)

    batches.clear()
    shaken = [nlse.Problem(GRID, potential=nlse.Modulated(GRID.x, f)) for f in (np.sin, np.cos)]
    found = nlse.scan(
        lambda which: shaken[which], start, T, {"which": [0, 1], "amplitude": [1.0, 1.5]}
    )
    assert batches == [(2, 64)] * 2
    alone = nlse.solve(shaken[1], start(1.5), T)
    np.testing.assert_array_equal(found["psi"].sel(which=1, amplitude=1.5), alone.psi)
    np.testing.assert_array_equal(found["energy"].sel(which=1, amplitude=1.5), alone.energy)


def test_realisations_have_dimensions_of_their_own() -> None:
    def noisy(relative: float) -> Any:
        return nlse.add_noise(np.tile(start(), (5, 1)), relative=relative, rng=1)

    strengths = np.linspace(0.5, 1.5, 5)
    found = nlse.scan(
        lambda scale: nlse.Problem(GRID, nonlinearity=scale * strengths),
        noisy,
        T,
        {"relative": [0.0, 0.1], "scale": (1, 2, 3)},
    )
    assert found["psi"].dims == ("relative", "scale", "time", "realisation", "x")
    assert found["mass"].shape == (2, 3, 3, 5)
    alone = nlse.solve(nlse.Problem(GRID, nonlinearity=3 * strengths), noisy(0.1), T)
    np.testing.assert_array_equal(found["psi"].sel(relative=0.1, scale=3), alone.psi)


def test_fixed_problem_texts_objects_and_files(tmp_path: Any) -> None:
    shapes = {"sech": start(), "gauss": np.exp(-(GRID.x**2)).astype(complex)}
    found = nlse.scan(
        nlse.Problem(GRID), lambda shape: shapes[shape], T, {"shape": ["sech", "gauss"]}
    )
    assert list(found["shape"].values) == ["sech", "gauss"]
    alone = nlse.solve(nlse.Problem(GRID), shapes["gauss"], T)
    np.testing.assert_array_equal(found["psi"].sel(shape="gauss"), alone.psi)
    objects = nlse.scan(
        lambda profile: nlse.Problem(GRID, potential=profile),
        start(),
        T,
        {"profile": [None, GRID.x**2]},
    )
    np.testing.assert_array_equal(objects["profile"], [0, 1])
    single = nlse.scan(
        nlse.Problem(GRID),
        lambda amplitude: start(amplitude).astype(np.complex64),
        T,
        {"amplitude": [1.0, 2.0]},
    )
    assert single["psi"].dtype == np.complex64


# --- the coefficients of a problem, by name


def kicked(t: float) -> float:
    return 0.1 * float(np.cos(t))


PLAIN = nlse.Problem(GRID, nonlinearity=0.7, potential=0.1 * GRID.x, loss=0.01)
COEFFICIENTS: dict[str, list[Any]] = {
    "nonlinearity": [-1.0, 0.5, 2],
    "potential": [None, 0.3, np.cos(GRID.k[2] * GRID.x), lambda x: 0.01 * x**2],
    "loss": [0.0, 0.1, np.linspace(0, 0.2, GRID.n)],
    "dispersion": [{2: 0.5}, {2: 0.5, 3: 0.02}, 0.3 * GRID.k**2],
}


@pytest.mark.parametrize("names", [("nonlinearity",), ("potential",), ("loss",), ("dispersion",)])
@pytest.mark.parametrize("both", [False, True])
def test_coefficients_by_name_are_those_of_separate_problems(
    names: tuple[str, ...], both: bool
) -> None:
    names = ("nonlinearity", "dispersion") if both else names
    axes = {name: COEFFICIENTS[name] for name in names}
    options: dict[str, Any] = {"method": "rkn4_6b", "step": 0.05}
    found = nlse.scan(PLAIN, start(), T, axes, **options)
    own: dict[str, Any] = {
        name: getattr(PLAIN, name) for name in ("dispersion", "nonlinearity", "potential", "loss")
    }
    for indices in np.ndindex(*(len(values) for values in axes.values())):
        chosen = {name: axes[name][i] for name, i in zip(names, indices, strict=True)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", errors.OrderWarning)
            alone = nlse.solve(nlse.Problem(GRID, **(own | chosen)), start(), T, **options)
        at = dict(zip(names, indices, strict=True))
        # A loss of zero is left out alone, but is in a batch with others.
        np.testing.assert_allclose(found["psi"].isel(at), alone.psi, rtol=0, atol=1e-14)
        np.testing.assert_allclose(found["energy"].isel(at), alone.energy, rtol=1e-12)
    assert found["psi"].dims == (*names, "time", "x")


def test_a_coefficient_and_the_state_may_share_a_parameter() -> None:
    """A soliton of the nonlinearity g has the amplitude 1 if it is 1/sqrt(g) as high."""
    found = nlse.scan(
        nlse.Problem(GRID),
        lambda nonlinearity: start() / np.sqrt(nonlinearity),
        T,
        {"nonlinearity": [1.0, 2.0, 4.0]},
    )
    shape = np.abs(found["psi"]) * np.sqrt(found["nonlinearity"])
    np.testing.assert_allclose(shape, np.broadcast_to(np.abs(start()), (3, 3, 64)), atol=2e-4)


def test_what_depends_on_time_is_shared_by_one_batch(batches: list[tuple[int, ...]]) -> None:
    shaken = nlse.Problem(GRID, potential=nlse.Modulated(GRID.x, np.sin))
    found = nlse.scan(shaken, start(), T, {"nonlinearity": [0.5, 1.0], "loss": [0.0, 0.1]})
    assert batches == [(4, 64)]
    alone = nlse.solve(shaken.replace(nonlinearity=0.5, loss=0.1), start(), T)
    np.testing.assert_allclose(found["psi"].sel(nonlinearity=0.5, loss=0.1), alone.psi, atol=1e-7)
    batches.clear()
    found = nlse.scan(nlse.Problem(GRID), start(), T, {"nonlinearity": [kicked, 1.0]})
    assert batches == [(1, 64)] * 2
    alone = nlse.solve(nlse.Problem(GRID, nonlinearity=kicked), start(), T)
    np.testing.assert_array_equal(found["psi"].sel(nonlinearity=0), alone.psi)


def test_each_function_is_called_once_for_what_it_names() -> None:
    calls = []

    def field(amplitude: float) -> Any:
        calls.append(amplitude)
        return start(amplitude)

    nlse.scan(nlse.Problem(GRID), field, T, {"loss": [0.0, 0.1, 0.2], "amplitude": [1.0, 2.0]})
    assert calls == [1.0, 2.0]


# --- statistics


def noisy(relative: float, count: int = 6) -> Any:
    return nlse.add_noise(np.tile(start(), (count, 1)), relative=relative, rng=1)


def test_statistics_are_those_of_each_combination_alone() -> None:
    axes: dict[str, Any] = {"relative": [0.05, 0.1], "nonlinearity": [0.5, 1.0, 2.0]}
    options: dict[str, Any] = {"method": "rkn6_14a", "step": 0.1}
    problem = nlse.Problem(GRID)
    found = nlse.scan(problem, noisy, T, axes, store="statistics", **options)
    whole = nlse.scan(problem, noisy, T, axes, **options)
    assert "psi" not in found
    assert found["intensity"].dims == ("relative", "nonlinearity", "time", "x")
    assert found["spectrum"].dims == ("relative", "nonlinearity", "time", "k")
    assert found["mass"].dims == ("relative", "nonlinearity", "time", "realisation")
    alone = nlse.solve(problem.replace(nonlinearity=2.0), noisy(0.1), T, **options).statistics
    assert alone is not None
    point = found.sel(relative=0.1, nonlinearity=2.0)
    for name in (
        *("mean_field", "mean_coefficients", "intensity", "intensity_variance", "spectrum"),
        *("coherence", "spectral_coherence"),
    ):
        np.testing.assert_array_equal(point[name], getattr(alone, name), err_msg=name)
    mean = (abs(whole["psi"]) ** 2).mean("realisation")
    np.testing.assert_allclose(found["intensity"], mean, rtol=1e-12)
    np.testing.assert_allclose(found["mass"], whole["mass"], rtol=1e-13)
    np.testing.assert_array_equal(found["k"], GRID.k)


def test_statistics_hold_no_fields() -> None:
    axes = {"nonlinearity": np.linspace(0.1, 1, 6)}
    t = np.linspace(0, 0.1, 41)
    field = noisy(0.1, count=100)
    options: dict[str, Any] = {"method": "strang", "step": 0.1}
    nlse.scan(nlse.Problem(GRID), field, T, axes, store="statistics", **options)  # imports
    tracemalloc.start()
    nlse.scan(nlse.Problem(GRID), field, t, axes, store="statistics", **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * len(t) * 6 * field.nbytes


def test_statistics_need_realisations() -> None:
    with pytest.raises(ValueError, match="needs at least 2 realisations, got psi0 of shape"):
        nlse.scan(nlse.Problem(GRID), start(), T, {"loss": [0.0]}, store="statistics")
    with pytest.raises(ValueError, match="store must be one of 'fields', 'statistics'; got 'all'"):
        nlse.scan(nlse.Problem(GRID), start(), T, {"loss": [0.0]}, store="all")


def test_the_bar_counts_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    terminal = rich.console.Console(
        file=written, force_terminal=True, force_interactive=True, width=120
    )
    monkeypatch.setattr(rich.console, "Console", lambda **_: terminal)
    problem = nlse.Problem(GRID)
    nlse.scan(problem, start(), T, {"dispersion": [{2: 0.5}, {2: 1.0}]}, progress=True)
    assert "2 / 2" in written.getvalue()
    assert "nlse scan" in written.getvalue()
    nlse.scan(problem, start(), T, {"nonlinearity": [0.5, 1.0]}, progress=True)
    assert "nlse rkn6_14a" in written.getvalue()


def test_a_failure_names_its_parameters() -> None:
    with pytest.raises(errors.BlowUpError, match=r"at gain = 50\.0, amplitude = 1\.0: the field"):
        nlse.scan(
            lambda gain: nlse.Problem(GRID, loss=-gain),
            start,
            T,
            {"gain": [0.0, 50.0], "amplitude": [1.0, 0.5]},
            method="strang",
            step=0.1,
        )


@pytest.mark.parametrize(
    ("problem", "psi0", "parameters", "error", "message"),
    [
        (
            nlse.Problem(GRID),
            start(),
            {"g": [1]},
            ValueError,
            "parameter 'g' has no effect.* the coefficients of a Problem are dispersion, nonlin",
        ),
        (
            nlse.Problem(GRID),
            start(),
            {"loss": [0.0, np.zeros(3)]},
            ValueError,
            r"loss must be a number or .*\n.*at loss\[1\]",
        ),
        (
            nlse.Problem(GRID),
            start(),
            {"nonlinearity": [1.0, "two"]},
            TypeError,
            "nonlinearity must be real .*\n.*at nonlinearity = 'two'",
        ),
        (
            nlse.Problem(GRID),
            start(),
            {"nonlinearity": np.float64(1)},
            TypeError,
            "sequence of values",
        ),
        (
            nlse.Problem(GRID),
            start(),
            {"dispersion": {2: 0.5}},
            TypeError,
            r"sequence of values, got \{2: 0\.5\}",
        ),
        (
            nlse.Problem(GRID),
            start(),
            {"nonlinearity": [np.ones(3)]},
            ValueError,
            "psi0 must have leading dimensions",
        ),
        (lambda loss: nlse.Problem(GRID), start(), {"nonlinearity": [1]}, ValueError, "'loss'"),
        (nlse.Problem(GRID), start, {}, ValueError, "at least one parameter"),
        (nlse.Problem(GRID), start, ["g"], TypeError, "must be a mapping"),
        (nlse.Problem(GRID), start, {"velocity": []}, ValueError, "at least one value"),
        (nlse.Problem(GRID), start, {"velocity": 1.0}, TypeError, "sequence of values, got 1.0"),
        (nlse.Problem(GRID), start, {"x": [1]}, ValueError, "the name 'x' is taken"),
        (nlse.Problem(GRID), start, {"a b": [1]}, ValueError, "must be a Python identifier"),
        (lambda g, h: None, start, {"g": [1]}, ValueError, "a function of 'h', which is not among"),
        (lambda *g: None, start, {"g": [1]}, TypeError, "by name"),
        (lambda g: g, start, {"g": [1]}, TypeError, "must be or return a Problem, got int"),
        (
            nlse.Problem(GRID),
            lambda g: np.ones(3),
            {"g": [1]},
            TypeError,
            "psi0 must be .*\n.*at g = 1",
        ),
        (
            lambda n: nlse.Problem(nlse.Grid(n, 20.0)),
            lambda n: np.ones(n, complex),
            {"n": [32, 64]},
            ValueError,
            "one grid for all",
        ),
        (
            nlse.Problem(GRID),
            lambda m: np.ones((m, 64), complex),
            {"m": [1, 2]},
            ValueError,
            "one shape and dtype",
        ),
    ],
)
def test_what_is_no_scan_is_refused(
    problem: Any, psi0: Any, parameters: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        nlse.scan(problem, psi0, T, parameters)


def test_gradients_are_refused_not_dropped() -> None:
    torch = pytest.importorskip("torch")
    field = torch.from_numpy(start()).requires_grad_()
    with pytest.raises(ValueError, match="gives no gradients"):
        nlse.scan(lambda g: nlse.Problem(GRID, nonlinearity=g), field, T, {"g": [1.0]})
    with torch.no_grad():
        found = nlse.scan(lambda g: nlse.Problem(GRID, nonlinearity=g), field, T, {"g": [1.0]})
    assert found["psi"].shape == (1, 3, 64)
