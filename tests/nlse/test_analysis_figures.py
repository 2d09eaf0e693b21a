"""Figures of the analysis: what is drawn is what the numbers are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.axes import Axes

from fourfold import nlse
from fourfold.nlse import analysis, plot
from tests.nlse.test_plot import EVEN, GRID, gathered, image, line, made, panels, render

DRAW: dict[str, Any] = {
    "entropies": plot.entropies,
    "phase_space": plot.phase_space,
    "coherence": plot.coherence,
    "trajectories": plot.trajectories,
}


def shown(figure: Any) -> list[Axes]:
    return [ax for ax in panels(figure) if ax.get_visible()]


def test_entropies_over_time(tmp_path: Path) -> None:
    sol = made(EVEN)
    figure = plot.entropies(sol)
    top, bottom = shown(figure)
    expected = (
        analysis.shannon_entropy(sol),
        analysis.shannon_entropy(sol, spectral=True),
        analysis.renyi_entropy(sol, 2),
        analysis.renyi_entropy(sol, math.inf),
    )
    for number, values in enumerate(expected):
        np.testing.assert_array_equal(line(top, number)[0], EVEN)
        np.testing.assert_allclose(line(top, number)[1], values)
    np.testing.assert_allclose(line(bottom)[1], analysis.statistical_complexity(sol))
    assert len({found.get_linestyle() for found in top.lines}) == 4
    render(figure, tmp_path)


def test_entropies_of_an_ensemble_have_bands(tmp_path: Path) -> None:
    sol = made(EVEN, 2, 2)
    figure = plot.entropies(sol)
    top, _ = shown(figure)
    values = analysis.shannon_entropy(sol).reshape(11, 4)
    np.testing.assert_allclose(line(top)[1], values.mean(axis=1))
    corners = np.asarray(top.collections[0].get_paths()[0].vertices)
    ends = np.sort(corners[np.isclose(corners[:, 0], EVEN[4]), 1])
    assert ends[0] == pytest.approx(values[4].mean() - values[4].std())
    assert top.get_title(loc="right") == "mean over 4 realisations"
    one = shown(plot.entropies(sol, realisation=(1, 0)))[0]
    np.testing.assert_allclose(line(one)[1], values[:, 2])
    render(figure, tmp_path)


def test_phase_space_shows_the_field_itself(tmp_path: Path) -> None:
    sol = made(EVEN, 3)
    figure = plot.phase_space(sol, [0.1, 0.5, 0.9, 1.0], realisation=1)
    axes = shown(figure)
    assert [ax.get_title() for ax in axes] == ["$t = 0.1$", "$t = 0.5$", "$t = 0.9$", "$t = 1$"]
    for ax, row in zip(axes, (1, 5, 9, 10), strict=True):
        x, y = line(ax, -1)
        np.testing.assert_array_equal(x + 1j * y, sol.psi[row, 1])
        low, high = ax.get_xlim()
        assert max(np.abs(x).max(), np.abs(y).max()) < high == -low
    render(figure, tmp_path)
    assert len(shown(plot.phase_space(made(EVEN)))) == 3


def test_the_plane_has_its_limits_and_points(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    noise = analysis.complexity_entropy(rng.normal(size=(4, 3000)), 4)
    sine = analysis.complexity_entropy(np.sin(0.1 * np.arange(3000)), 4)
    figure = plot.entropy_complexity({"noise": noise, "sine": sine}, order=4)
    (ax,) = shown(figure)
    by_name = {found.get_label(): found for found in ax.lines}
    np.testing.assert_array_equal(by_name["noise"].get_xdata(), noise.entropy)
    np.testing.assert_array_equal(by_name["noise"].get_ydata(), noise.complexity)
    np.testing.assert_array_equal(by_name["sine"].get_xdata(), [sine.entropy])
    lower, upper = analysis.plane_limits(4, 2000)
    np.testing.assert_array_equal(line(ax, 0)[1], lower.complexity)
    np.testing.assert_array_equal(line(ax, 1)[1], upper.complexity)
    for number, limit in ((2, 0), (3, 1)):
        assert line(ax, number)[0] == pytest.approx(analysis.periodic_limits(4)[limit])
    # Of the points it is not known at which order they were made, but they must lie inside.
    assert ax.get_ylim()[1] > upper.complexity.max()
    render(figure, tmp_path)
    render(plot.entropy_complexity(noise, order=4), tmp_path)
    with pytest.raises(TypeError, match="points must be EntropyComplexity"):
        plot.entropy_complexity({"a": (0.1, 0.2)}, order=4)  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="order must be from 3 to 7"):
        plot.entropy_complexity(noise, order=9)


def test_coherence_in_space_and_spectrum(tmp_path: Path) -> None:
    sol = made(EVEN, 5)
    figure = plot.coherence(sol)
    left, right, below = shown(figure)
    total = np.abs(sol.psi.sum(axis=1)) ** 2 - (np.abs(sol.psi) ** 2).sum(axis=1)
    expected = np.abs(total) / 20 / (np.abs(sol.psi) ** 2).mean(axis=1)
    np.testing.assert_allclose(image(left), expected, atol=1e-12)
    assert sol.statistics is not None
    spectral = np.fft.fftshift(sol.statistics.spectral_coherence, axes=-1)
    np.testing.assert_array_equal(image(right), spectral)
    weight = (np.abs(sol.psi) ** 2).mean(axis=1)
    np.testing.assert_allclose(line(below)[1], (expected * weight).sum(1) / weight.sum(1))
    assert left.images[0].get_clim() == right.images[0].get_clim() == (0, 1)
    # One colour bar, for both.
    assert len([ax for ax in figure.axes if ax.get_label() == "<colorbar>"]) == 1
    render(figure, tmp_path)
    with pytest.raises(ValueError, match="at least two realisations"):
        plot.coherence(made(EVEN))


def collision() -> nlse.Solution:
    grid = nlse.Grid(256, 30.0)
    psi0 = nlse.soliton(grid, amplitude=2.0, center=-5.0, velocity=3.0)
    psi0 = psi0 + nlse.soliton(grid, amplitude=1.5, center=8.0, velocity=-4.0)
    return nlse.solve(nlse.Problem(grid), psi0, np.linspace(0, 6, 61), rtol=1e-7)


def test_trajectories_are_folded_into_the_box(tmp_path: Path) -> None:
    sol = collision()
    tracks = analysis.track_solitons(sol)
    assert len(tracks) == 2
    assert np.nanmin(tracks.position) < -15
    figure = plot.trajectories(sol, tracks)
    left, upper, lower = shown(figure)
    np.testing.assert_allclose(image(left), np.abs(sol.psi) ** 2)
    # Each track is drawn twice on the map, for its white rim.
    for i in (0, 1):
        x, t = line(left, 2 * i + 1)
        assert np.nanmin(x) >= -15
        assert np.nanmax(x) <= 15
        seen = np.isfinite(x)
        position = np.interp(t[seen], tracks.t, tracks.position[:, i])
        known = np.isfinite(position)
        off = x[seen][known] - position[known]
        np.testing.assert_allclose(np.exp(2j * np.pi * off / 30), 1, atol=1e-9)
        # No stroke across the map where it passes an end of the box.
        assert np.nanmax(np.abs(np.diff(x))) < 15
        np.testing.assert_array_equal(line(upper, i)[1], tracks.amplitude[:, i])
        np.testing.assert_array_equal(line(lower, i)[1], tracks.velocity[:, i])
    render(figure, tmp_path)
    default = shown(plot.trajectories(sol))[1]
    np.testing.assert_array_equal(line(default)[1], tracks.amplitude[:, 0])
    with pytest.raises(ValueError, match="saved times of the solution"):
        plot.trajectories(made(EVEN), tracks)
    with pytest.raises(TypeError, match="tracks must be Tracks"):
        plot.trajectories(sol, sol.psi)


@pytest.mark.parametrize("name", DRAW)
@pytest.mark.parametrize(("times", "batch"), [(1, ()), (2, (1,)), (1, (2, 2)), (11, (3,))])
def test_every_solution_can_be_drawn(
    name: str, times: int, batch: tuple[int, ...], tmp_path: Path
) -> None:
    sol = made(EVEN[:times], *batch)
    several = int(np.prod(batch)) > 1
    index: Any = (0,) * len(batch) if several else None
    if name == "coherence":
        if several:
            render(plot.coherence(sol), tmp_path)
    else:
        render(DRAW[name](sol, realisation=index), tmp_path)


def test_darkness_can_be_drawn_where_there_is_something_to_draw(tmp_path: Path) -> None:
    psi: npt.NDArray[Any] = np.zeros((11, 2, 64), dtype=np.complex128)
    dark = nlse.Solution(nlse.Problem(GRID), EVEN, made(EVEN).stats, psi=psi)
    render(plot.coherence(dark), tmp_path)
    render(plot.phase_space(dark, realisation=0), tmp_path)
    render(plot.trajectories(dark, realisation=0), tmp_path)
    with pytest.raises(ValueError, match="zero everywhere"):
        plot.entropies(dark)


@pytest.mark.parametrize("name", ["phase_space", "trajectories"])
def test_one_of_several_must_be_named(name: str) -> None:
    with pytest.raises(ValueError, match="which of the 3 realisations"):
        DRAW[name](made(EVEN, 3))
    with pytest.raises(ValueError, match=r"index into \(3,\), got 3"):
        DRAW[name](made(EVEN, 3), realisation=3)


@pytest.mark.parametrize("name", ["phase_space", "trajectories", "entropies"])
def test_fields_are_needed(name: str) -> None:
    with pytest.raises(ValueError, match="only the statistics were stored"):
        DRAW[name](gathered())


def test_coherence_from_statistics_alone(tmp_path: Path) -> None:
    render(plot.coherence(gathered()), tmp_path)
