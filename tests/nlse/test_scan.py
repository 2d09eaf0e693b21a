"""Scans: every point as if it were solved alone, under its own labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fourfold import errors, nlse

xarray = pytest.importorskip("xarray")

GRID = nlse.Grid(n=64, length=20.0)
T = [0.0, 0.3, 1.0]


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


def test_one_batch_gives_the_bits_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    from fourfold.nlse import _scan

    batches = []

    def counted(problem: nlse.Problem, psi0: Any, t: Any, **options: Any) -> nlse.Solution:
        batches.append(psi0.shape)
        return nlse.solve(problem, psi0, t, **options)

    monkeypatch.setattr(_scan, "solve", counted)
    found = nlse.scan(
        lambda g: nlse.Problem(GRID, nonlinearity=g), start, T, {"velocity": [0, 1], "g": [1, 2.0]}
    )
    assert batches == [(4, 64)]
    alone = nlse.solve(nlse.Problem(GRID, nonlinearity=2.0), start(1.0, 1.0), T)
    np.testing.assert_array_equal(found["psi"].sel(g=2, velocity=1), alone.psi)


def test_dispersion_and_time_make_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    from fourfold.nlse import _scan

    batches = []

    def counted(problem: nlse.Problem, psi0: Any, t: Any, **options: Any) -> nlse.Solution:
        batches.append(psi0.shape)
        return nlse.solve(problem, psi0, t, **options)

    monkeypatch.setattr(_scan, "solve", counted)

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
        (nlse.Problem(GRID), start(), {"g": [1]}, ValueError, "parameter 'g' has no effect"),
        (nlse.Problem(GRID), start, {}, ValueError, "at least one parameter"),
        (nlse.Problem(GRID), start, ["g"], TypeError, "must be a mapping"),
        (nlse.Problem(GRID), start, {"velocity": []}, ValueError, "at least one value"),
        (nlse.Problem(GRID), start, {"velocity": 1.0}, TypeError, "sequence of values, got 1.0"),
        (nlse.Problem(GRID), start, {"x": [1]}, ValueError, "the name 'x' is taken"),
        (nlse.Problem(GRID), start, {"a b": [1]}, ValueError, "must be a Python identifier"),
        (lambda g, h: None, start, {"g": [1]}, ValueError, "a function of 'h', which is not among"),
        (lambda *g: None, start, {"g": [1]}, TypeError, "by name"),
        (lambda g: g, start, {"g": [1]}, TypeError, "must be or return a Problem, got int"),
        (nlse.Problem(GRID), lambda g: np.ones(3), {"g": [1]}, TypeError, "at g = 1: psi0 must be"),
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
