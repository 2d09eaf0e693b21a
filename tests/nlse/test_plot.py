"""Figures: what is drawn is what the solution holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fourfold import errors
from fourfold.nlse import plot
from fourfold.nlse._conserved import Conserved
from fourfold.nlse.grid import Grid
from fourfold.nlse.io import load
from fourfold.nlse.problem import Problem
from fourfold.nlse.solution import Solution, SolveStats
from fourfold.nlse.solver import solve

GRID = Grid(n=64, length=20.0)
EVEN = np.linspace(0, 1, 11)
UNEVEN = np.array([0.0, 0.1, 0.4, 1.0, 1.1])
STATS = SolveStats(
    method="strang",
    order=2,
    steps=1,
    rejected=0,
    transforms=2,
    wall_seconds=0.0,
    step=0.1,
    adaptive=False,
    threads=1,
)
DRAW = {
    "space_time": plot.space_time,
    "snapshots": plot.snapshots,
    "spectrum": plot.spectrum,
    "conservation": plot.conservation,
}


def fields(times: int, *batch: int, dtype: Any = np.complex128) -> npt.NDArray[Any]:
    rng = np.random.default_rng(3)
    shape = (times, *batch, 64)
    noise = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    return np.asarray(1 / np.cosh(GRID.x) + 0.05 * noise, dtype=dtype)


def made(t: npt.NDArray[np.float64], *batch: int, dtype: Any = np.complex128) -> Solution:
    return Solution(Problem(GRID), t, STATS, psi=fields(len(t), *batch, dtype=dtype))


def gathered() -> Solution:
    psi0 = fields(1, 5)[0]
    return solve(Problem(GRID), psi0, EVEN, method="strang", step=0.1, store="statistics")


def render(figure: Figure, path: Path) -> None:
    """Draw it for good: much of matplotlib complains only then."""
    figure.savefig(path / "figure.png", dpi=40)
    assert (path / "figure.png").stat().st_size > 1000


def panels(figure: Figure) -> list[Axes]:
    """The axes without those of the colour bars."""
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]


def image(ax: Axes) -> npt.NDArray[Any]:
    (found,) = ax.images
    data = found.get_array()
    assert data is not None
    return np.ma.filled(data, np.nan)


def line(ax: Axes, number: int = 0) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    found = ax.lines[number]
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


@pytest.mark.parametrize("t", [EVEN, UNEVEN])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_map_shows_the_intensity_where_it_is(
    t: npt.NDArray[np.float64], dtype: Any, tmp_path: Path
) -> None:
    sol = made(t, dtype=dtype)
    figure = plot.space_time(sol)
    (ax,) = panels(figure)
    np.testing.assert_allclose(image(ax), np.abs(fields(len(t), dtype=dtype)) ** 2, rtol=1e-6)
    # The cells lie around the points: half a step beyond the first one.
    left, right, bottom, top = ax.images[0].get_extent()
    assert (left, right) == pytest.approx((-10 - 10 / 64, 10 - 10 / 64))
    half = (t[1] - t[0]) / 2
    assert bottom == pytest.approx(-half)
    assert top == pytest.approx(t[-1] + (t[-1] - t[-2]) / 2)
    assert ax.get_ylim() == (t[0], t[-1])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("position $x$", "time $t$")
    render(figure, tmp_path)


def test_a_pulse_is_drawn_at_its_place_and_time(tmp_path: Path) -> None:
    # One point of light at x = 5 and the third of uneven times: its pixel must be there.
    psi = np.zeros((5, 64), dtype=np.complex128)
    psi[2, 48] = 1.0
    figure = plot.space_time(Solution(Problem(GRID), UNEVEN, STATS, psi=psi))
    (ax,) = panels(figure)
    figure.savefig(tmp_path / "a.png")
    from matplotlib.image import imread

    pixels = imread(tmp_path / "a.png")
    height = pixels.shape[0]

    def color(x: float, t: float) -> npt.NDArray[Any]:
        column, row = ax.transData.transform((x, t))
        return np.asarray(pixels[height - 1 - round(row), round(column), :3])

    assert GRID.x[48] == 5.0
    assert color(5.0, 0.4).sum() > 2.5
    for x, t in ((4.6, 0.4), (5.4, 0.4), (5.0, 0.2), (5.0, 0.75), (-5.0, 0.4)):
        assert color(x, t).sum() < 0.1


def test_map_of_an_ensemble_shows_mean_and_coherence(tmp_path: Path) -> None:
    sol = made(EVEN, 4)
    figure = plot.space_time(sol)
    left, right = panels(figure)
    np.testing.assert_allclose(image(left), (np.abs(sol.psi) ** 2).mean(axis=1), rtol=1e-12)
    total = np.abs(sol.psi.sum(axis=1)) ** 2 - (np.abs(sol.psi) ** 2).sum(axis=1)
    coherence = np.abs(total) / 12 / (np.abs(sol.psi) ** 2).mean(axis=1)
    np.testing.assert_allclose(image(right), coherence, atol=1e-12)
    assert right.images[0].get_clim() == (0, 1)
    assert left.get_title(loc="left") == "mean over 4 realisations"
    render(figure, tmp_path)


@pytest.mark.parametrize(("batch", "index"), [((4,), 2), ((4,), -2), ((2, 3), (1, 0))])
def test_one_realisation_can_be_picked(batch: tuple[int, ...], index: Any) -> None:
    sol = made(EVEN, *batch)
    where = index if isinstance(index, tuple) else (index,)
    member = sol.psi[(slice(None), *where)]
    (ax,) = panels(plot.space_time(sol, realisation=index))
    np.testing.assert_allclose(image(ax), np.abs(member) ** 2)
    assert ax.get_title(loc="left") == f"realisation {index} of {np.prod(batch)}"
    shown = panels(plot.snapshots(sol, [1.0], realisation=index))[0]
    np.testing.assert_allclose(line(shown)[1], np.abs(member[-1]) ** 2)
    drift = panels(plot.conservation(sol, realisation=index))[0]
    mass = sol.mass[(slice(None), *where)]
    np.testing.assert_allclose(line(drift)[1][1:], np.abs(mass / mass[0] - 1)[1:], rtol=1e-9)


def test_snapshots_show_the_nearest_saved_times(tmp_path: Path) -> None:
    sol = made(EVEN)
    figure = plot.snapshots(sol, [0.0, 0.31, 1.0])
    rows = panels(figure)
    assert len(rows) == 3
    highest = 0.0
    for ax, row in zip(rows, (0, 3, 10), strict=True):
        x, values = line(ax)
        np.testing.assert_array_equal(x, GRID.x)
        np.testing.assert_allclose(values, np.abs(sol.psi[row]) ** 2)
        assert ax.texts[0].get_text() == f"$t = {EVEN[row]:.4g}$"
        highest = max(highest, values.max())
    # All of every curve is to be seen.
    assert all(ax.get_ylim()[0] == 0 and ax.get_ylim()[1] > highest for ax in rows)
    render(figure, tmp_path)


@pytest.mark.parametrize(("times", "shown"), [(11, [0, 2, 5, 8, 10]), (3, [0, 1, 2]), (1, [0])])
def test_snapshots_are_spread_over_the_run(times: int, shown: list[int]) -> None:
    sol = made(EVEN[:times])
    rows = panels(plot.snapshots(sol))
    assert [ax.texts[0].get_text() for ax in rows] == [f"$t = {EVEN[i]:.4g}$" for i in shown]


def test_snapshots_of_an_ensemble_show_mean_and_deviation(tmp_path: Path) -> None:
    sol = made(EVEN, 4)
    figure = plot.snapshots(sol, [0.5])
    (ax,) = panels(figure)
    intensity = np.abs(sol.psi[5]) ** 2
    np.testing.assert_allclose(line(ax)[1], intensity.mean(axis=0))
    corners = np.asarray(ax.collections[0].get_paths()[0].vertices)
    for j in (0, 20, 63):
        ends = np.sort(corners[np.isclose(corners[:, 0], GRID.x[j]), 1])
        mean, deviation = intensity[:, j].mean(), intensity[:, j].std()
        assert ends[0] == pytest.approx(mean - deviation)
        assert ends[-1] == pytest.approx(mean + deviation)
    render(figure, tmp_path)


def spectral_density(psi: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """|c_k|^2 from the sum itself, with k increasing."""
    modes = np.arange(-32, 32)
    waves = np.exp(-1j * 2 * np.pi / 20.0 * np.outer(modes, np.arange(64) * 20.0 / 64))
    return np.asarray(np.abs(psi @ waves.T / 64) ** 2)


def test_spectrum_shows_decibels_and_the_first_and_last_time(tmp_path: Path) -> None:
    sol = made(EVEN)
    figure = plot.spectrum(sol)
    top, bottom = panels(figure)
    density = spectral_density(sol.psi)
    np.testing.assert_allclose(image(top), 10 * np.log10(density / density.max()), atol=1e-6)
    k = 2 * np.pi / 20.0 * np.arange(-32, 32)
    for number, row in ((0, 0), (1, -1)):
        np.testing.assert_allclose(line(bottom, number)[0], k)
        np.testing.assert_allclose(line(bottom, number)[1], density[row], rtol=1e-7)
    assert bottom.get_yscale() == "log"
    extent = top.images[0].get_extent()
    assert extent[:2] == pytest.approx((k[0] - np.pi / 20, k[-1] + np.pi / 20))
    lowest, highest = top.images[0].get_clim()
    assert (lowest, highest) == pytest.approx((image(top).min(), 0))
    render(figure, tmp_path)


def test_spectrum_of_an_ensemble_shows_its_coherence(tmp_path: Path) -> None:
    sol = made(EVEN, 4)
    figure = plot.spectrum(sol)
    top, middle, bottom = panels(figure)
    density = spectral_density(sol.psi)
    np.testing.assert_allclose(line(middle, 1)[1], density.mean(axis=1)[-1], rtol=1e-7)
    assert image(top).max() == pytest.approx(0)
    assert sol.statistics is not None
    expected = np.fft.fftshift(sol.statistics.spectral_coherence[-1])
    np.testing.assert_array_equal(line(bottom)[1], expected)
    render(figure, tmp_path)


def test_deep_spectra_are_cut_at_160_decibels_and_zeros_are_darkest(tmp_path: Path) -> None:
    psi = np.ones((2, 64), dtype=np.complex128) * (1 + 1e-13 * np.exp(1j * GRID.k[3] * GRID.x))
    figure = plot.spectrum(Solution(Problem(GRID), EVEN[:2], STATS, psi=psi))
    shown = panels(figure)[0].images[0]
    assert shown.get_clim() == (-160, 0)
    assert shown.cmap(np.ma.masked) == shown.cmap(0)
    render(figure, tmp_path)


def drifting() -> tuple[Solution, dict[str, npt.NDArray[np.float64]]]:
    """Two members whose conserved quantities are made up, the second starting from rest."""
    mass = np.array([[2.0, 4.0], [2.0, 4.4], [2.2, 4.0]])
    momentum = np.array([[1.0, 0.0], [1.5, 0.3], [1.0, 0.0]])
    energy = np.array([[-2.0, 0.0], [-2.1, 0.0], [-2.0, 0.1]])
    conserved = Conserved(mass, momentum, energy)
    statistics = made(EVEN[:3], 2).statistics
    problem = Problem(GRID)
    sol = Solution(problem, EVEN[:3], STATS, statistics=statistics, conserved=conserved)
    # q = 2 pi / 20: momentum is at least relative to M q, energy to M q^2 / 2.
    q = 2 * np.pi / 20
    member = {
        "mass": np.array([[0, 0], [0, 0.1], [0.1, 0]]),
        "momentum": np.array([[0, 0], [0.5, 0.3 / (4 * q)], [0, 0]]),
        "energy": np.array([[0, 0], [0.05, 0], [0, 0.1 / (2 * q**2)]]),
    }
    return sol, member


@pytest.mark.parametrize("realisation", [None, 0, 1])
def test_conservation_shows_the_relative_change(realisation: int | None, tmp_path: Path) -> None:
    sol, member = drifting()
    figure = plot.conservation(sol, realisation=realisation)
    (ax,) = panels(figure)
    labels = [found.get_label() for found in ax.lines]
    assert labels == ["mass", "momentum", "energy"]
    for number, values in enumerate(member.values()):
        chosen = values.max(axis=1) if realisation is None else values[:, realisation]
        expected = np.where(chosen > 0, chosen, np.nan)
        t, shown = line(ax, number)
        np.testing.assert_array_equal(t, EVEN[:3])
        np.testing.assert_allclose(shown, expected)
    titles = {None: "largest among 2 realisations", 0: "realisation 0 of 2"}
    assert ax.get_title(loc="left") == titles.get(realisation, "realisation 1 of 2")
    render(figure, tmp_path)


@pytest.mark.parametrize("name", DRAW)
@pytest.mark.parametrize(("times", "batch"), [(1, ()), (2, (1,)), (1, (2, 2)), (11, (3,))])
def test_every_solution_can_be_drawn(
    name: str, times: int, batch: tuple[int, ...], tmp_path: Path
) -> None:
    render(DRAW[name](made(EVEN[:times], *batch)), tmp_path)


@pytest.mark.parametrize("name", DRAW)
def test_empty_space_can_be_drawn(name: str, tmp_path: Path) -> None:
    dark = Solution(Problem(GRID), EVEN, STATS, psi=np.zeros((11, 64), dtype=np.complex128))
    render(DRAW[name](dark), tmp_path)


@pytest.mark.parametrize("name", DRAW)
def test_statistics_can_be_drawn_from_a_file(name: str, tmp_path: Path) -> None:
    sol = gathered()
    sol.save(tmp_path / "a.nc")
    one, other = DRAW[name](sol), DRAW[name](load(tmp_path / "a.nc"))
    for mine, its in zip(panels(one), panels(other), strict=True):
        for i in range(len(mine.lines)):
            np.testing.assert_array_equal(line(mine, i), line(its, i))
        for ours, theirs in zip(mine.images, its.images, strict=True):
            np.testing.assert_array_equal(ours.get_array(), theirs.get_array())
    render(other, tmp_path)


def test_tensors_can_be_drawn(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    psi = torch.from_numpy(fields(11))
    (ax,) = panels(plot.space_time(Solution(Problem(GRID), EVEN, STATS, psi=psi)))
    np.testing.assert_allclose(image(ax), np.abs(fields(11)) ** 2)


@pytest.mark.parametrize(
    ("realisation", "kind", "message"),
    [
        (4, ValueError, r"index into \(4,\), got 4"),
        (-5, ValueError, r"index into \(4,\), got -5"),
        ((1, 1), ValueError, r"index into \(4,\), got \(1, 1\)"),
        (1.5, TypeError, "integer or a tuple of integers, got 1.5"),
    ],
)
@pytest.mark.parametrize("name", DRAW)
def test_no_such_realisation_is_refused(
    name: str, realisation: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        DRAW[name](made(EVEN, 4), realisation=realisation)


def test_other_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"index into \(\), got 0"):
        plot.space_time(made(EVEN), realisation=0)
    with pytest.raises(ValueError, match="only the statistics were stored"):
        plot.spectrum(gathered(), realisation=0)
    with pytest.raises(ValueError, match="at least one realisation"):
        plot.conservation(made(EVEN, 0))
    with pytest.raises(ValueError, match="at least one time"):
        plot.snapshots(made(EVEN), [])
    with pytest.raises(ValueError, match=r"the last saved time, 0 and 1; got 1\.2"):
        plot.snapshots(made(EVEN), [0.5, 1.2])
    with pytest.raises(ValueError, match="got nan"):
        plot.snapshots(made(EVEN), [np.nan])


def test_missing_matplotlib_is_named_with_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    message = r'nlse\.plot\.spectrum needs matplotlib.*pip install "fourfold\[plot\]"'
    with pytest.raises(errors.MissingExtraError, match=message):
        plot.spectrum(made(EVEN))


def test_drawing_leaves_the_state_of_matplotlib_alone() -> None:
    code = """
import sys
import fourfold.nlse.plot
assert "matplotlib" not in sys.modules
import matplotlib, numpy as np
from fourfold.nlse.grid import Grid
from fourfold.nlse.problem import Problem
from fourfold.nlse.solution import Solution, SolveStats
stats = SolveStats("strang", 2, 1, 0, 2, 0.0, 0.1, False, 1)
psi = np.ones((3, 16), complex)
sol = Solution(Problem(Grid(16, 1.0)), np.arange(3.0), stats, psi=psi)
before = matplotlib.rcParams.copy()
fourfold.nlse.plot.snapshots(sol)
print("matplotlib.pyplot" in sys.modules, matplotlib.rcParams.copy() == before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
