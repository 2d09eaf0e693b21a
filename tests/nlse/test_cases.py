"""The published cases against the published files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fourfold import nlse

DATA = Path(__file__).parents[1] / "data"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "nlse"
NAMES = ["single_soliton", "two_solitons", "breather", "modulation_instability"]


def test_there_are_four() -> None:
    assert list(nlse.cases.CASES) == NAMES
    for name in NAMES:
        case = nlse.cases.get(name)
        assert case is nlse.cases.CASES[name]
        assert case.name == name
        assert case.title
    with pytest.raises(ValueError, match=r"name must be one of single_soliton, .*; got 'soliton'"):
        nlse.cases.get("soliton")
    with pytest.raises(ValueError, match="got None"):
        nlse.cases.get(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_set_up_as_published(name: str) -> None:
    case = nlse.cases.get(name)
    assert case.grid == nlse.Grid(512, 50.0)
    np.testing.assert_allclose(case.problem.omega, case.grid.k**2 / 2, rtol=1e-15)
    assert case.problem.nonlinearity == 1.0
    assert case.problem.potential is None
    assert not case.problem.lossy
    assert np.array_equal(case.t, np.linspace(0, 20, 100))
    with pytest.raises(ValueError, match="read-only"):
        case.t[0] = 1.0
    if case.method is not None:
        assert case.method in nlse.methods.METHODS


@pytest.mark.parametrize("name", NAMES)
def test_initial_state_is_the_first_published_snapshot(name: str) -> None:
    case = nlse.cases.get(name)
    with np.load(DATA / f"published_{name}.npz") as published:
        assert published["length"] == case.grid.length
        assert np.array_equal(published["t"], case.t[published["index"]])
        first = published["psi"][0]
    # The published snapshot went through fft and ifft.
    np.testing.assert_allclose(case.psi0(), first, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "shannon", "others"),
    [
        ("single_soliton", 2.940, (3.623, 2.732, 2.332, 8.053, 0.935)),
        ("two_solitons", 3.746, None),
        ("breather", 3.384, None),
        ("modulation_instability", 5.015, None),
    ],
)
def test_published_entropies_at_the_start(
    name: str, shannon: float, others: tuple[float, ...] | None
) -> None:
    # arXiv 2509.05901: of p = |psi|^2 / sum |psi|^2 per point, in nats, p < 1e-15 left out.
    def distribution(field: NDArray[np.complex128]) -> NDArray[np.float64]:
        p = np.abs(field) ** 2 / np.sum(np.abs(field) ** 2)
        kept: NDArray[np.float64] = p[p >= 1e-15]
        return kept

    psi0 = nlse.cases.get(name).psi0()
    p = distribution(psi0)
    assert -np.sum(p * np.log(p)) == pytest.approx(shannon, abs=6e-4)
    if others is not None:
        q = distribution(np.fft.fft(psi0))
        spectral = -np.sum(q * np.log(q))
        renyi_2 = -np.log(np.sum(p**2))
        renyi_inf = -np.log(p.max())
        tsallis_half = (1 - np.sum(np.sqrt(p))) / (0.5 - 1)
        tsallis_2 = 1 - np.sum(p**2)
        values = (spectral, renyi_2, renyi_inf, tsallis_half, tsallis_2)
        assert values == pytest.approx(others, abs=6e-4)


def test_noise_is_that_of_seed_42() -> None:
    case = nlse.cases.get("modulation_instability")
    state = np.random.get_state()
    psi0 = case.psi0()
    np.random.seed(42)
    real = np.random.randn(512)
    imag = np.random.randn(512)
    np.random.set_state(state)
    x = np.linspace(-25, 25, 512, endpoint=False)
    assert np.array_equal(psi0, np.exp(-(x**2) / (2 * 5.0**2)) + 0.01 * (real + 1j * imag))
    assert np.array_equal(case.psi0(), psi0)


def test_the_global_random_state_is_left_alone() -> None:
    before = np.random.get_state(legacy=False)
    nlse.cases.get("modulation_instability").psi0()
    after = np.random.get_state(legacy=False)
    assert np.array_equal(after["state"]["key"], before["state"]["key"])
    assert after["state"]["pos"] == before["state"]["pos"]


def test_exact_solutions() -> None:
    exact = {name for name in NAMES if nlse.cases.get(name).exact is not None}
    assert exact == {"single_soliton", "two_solitons"}
    for name in exact:
        case = nlse.cases.get(name)
        assert case.exact is not None
        assert case.exact_to is not None
        assert case.exact(case.t).shape == (100, 512)
        # The published states are cut off at the edge of the box; `exact` goes round it.
        np.testing.assert_allclose(case.exact(0.0), case.psi0(), rtol=0, atol=6e-10)


def test_published_runs_stay_near_the_exact_solutions() -> None:
    # 7.8e-7 is the published error; in the collision the published filter costs more.
    for name, error in (("single_soliton", 1e-6), ("two_solitons", 1e-3)):
        case = nlse.cases.get(name)
        assert case.exact is not None
        with np.load(DATA / f"published_{name}.npz") as published:
            difference = published["psi"] - case.exact(published["t"])
        assert 1e-7 < np.abs(difference).max() < error


def test_fresh_arrays() -> None:
    case = nlse.cases.get("breather")
    psi0 = case.psi0()
    psi0[:] = 0
    assert np.abs(case.psi0()).max() > 2


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the whole published files are not in {SHARED}")
@pytest.mark.parametrize(
    ("name", "file"),
    [("single_soliton", "single_soliton.nc"), ("breather", "breather_solution.nc")],
)
def test_against_the_whole_published_file(name: str, file: str) -> None:
    xarray = pytest.importorskip("xarray")
    case = nlse.cases.get(name)
    with xarray.open_dataset(SHARED / file) as data:
        assert np.array_equal(data.x.values, case.grid.x)
        assert np.array_equal(data.t.values, case.t)
        psi = data.psi_real.values + 1j * data.psi_imag.values
    np.testing.assert_allclose(case.psi0(), psi[0], rtol=0, atol=1e-15)
    with np.load(DATA / f"published_{name}.npz") as kept:
        assert np.array_equal(kept["psi"], psi[kept["index"]])
