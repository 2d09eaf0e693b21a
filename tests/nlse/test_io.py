"""Files: what is written comes back bit for bit, and what is damaged does not come back at all."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from fourfold import errors
from fourfold.nlse.grid import Grid
from fourfold.nlse.in_time import Modulated
from fourfold.nlse.io import load
from fourfold.nlse.problem import Problem
from fourfold.nlse.solution import Solution
from fourfold.nlse.solver import solve

GRID = Grid(n=32, length=20.0)
T = np.array([-1.0, -0.5, 0.25, 1 / 3])


def field(*batch: int, dtype: Any = np.complex128) -> npt.NDArray[Any]:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(*batch, 32)) + 1j * rng.normal(size=(*batch, 32))
    return np.asarray(1 / np.cosh(GRID.x) + 0.01 * noise, dtype=dtype)


def bits(array: npt.NDArray[Any]) -> tuple[Any, ...]:
    return array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes()


def assert_same(one: Solution, other: Solution) -> None:
    """Equal bit for bit, in everything that a solution holds."""
    assert one.stats == other.stats
    assert one.batch_shape == other.batch_shape
    assert one.has_fields == other.has_fields
    for name in ("t", "x", "mass", "momentum", "energy", "final"):
        assert bits(getattr(one, name)) == bits(getattr(other, name)), name
    if one.has_fields:
        assert bits(one.psi) == bits(other.psi)
    assert one.grid == other.grid
    assert_same_coefficient(one.problem.dispersion, other.problem.dispersion)
    for name in ("omega", "nonlinearity", "potential", "loss"):
        assert_same_coefficient(getattr(one.problem, name), getattr(other.problem, name))
    if one.statistics is not None:
        assert other.statistics is not None
        assert one.statistics.count == other.statistics.count
        for name in vars(one.statistics):
            if name != "count":
                mine, its = getattr(one.statistics, name), getattr(other.statistics, name)
                assert bits(mine) == bits(its), name


def assert_same_coefficient(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert bits(one) == bits(other)
    else:
        assert one == other


def one_of_each() -> dict[str, Solution]:
    x = GRID.x
    two_by_three: dict[str, Any] = {
        "dispersion": {1: 0.1, 2: 0.5, 3: 1 / 30},
        "nonlinearity": np.array([[1.0, -1.0, 0.5], [2.0, 0.0, -0.0]]),
        "potential": np.stack([0.1 * x**2] * 3),
        "loss": np.full((2, 1, 32), 1e-3),
    }
    return {
        "single": solve(Problem(GRID), field(), T, method="strang", step=0.05),
        "single precision": solve(Problem(GRID), field(dtype=np.complex64), T, method="strang"),
        "ensemble": solve(Problem(GRID, loss=0.1), field(3), T, method="strang", step=0.05),
        "adaptive": solve(Problem(GRID, dispersion=np.sin(GRID.k)), field(), T, method="rkn4_6b"),
        "two axes": solve(Problem(GRID, **two_by_three), field(2, 3), T, method="strang", step=0.1),
        "statistics": solve(
            Problem(GRID), field(3), T, method="strang", step=0.05, store="statistics"
        ),
        "one time": solve(Problem(GRID), field(), T[:1], method="strang", step=0.05),
        "no realisation": solve(Problem(GRID), field(0), T, method="strang", step=0.05),
    }


SOLUTIONS = one_of_each()


@pytest.fixture(params=SOLUTIONS)
def solution(request: pytest.FixtureRequest) -> Solution:
    return SOLUTIONS[request.param]


def test_what_is_saved_is_loaded_bit_for_bit(solution: Solution, tmp_path: Path) -> None:
    path = tmp_path / "a run.nc"
    solution.save(path)
    loaded = load(path)
    assert_same(solution, loaded)
    # And once more: a loaded solution is as good as the first.
    loaded.save(path)
    assert_same(solution, load(str(path)))


def test_zeros_keep_their_signs_and_small_numbers_their_bits(tmp_path: Path) -> None:
    psi0 = np.zeros(32, dtype=np.complex128)
    psi0.real[:4] = [-0.0, 5e-324, -2.2e-308, 1e60]
    psi0.imag[:4] = [0.0, -0.0, 1e-310, -5e-324]
    solution = Solution(Problem(GRID), T[:1], SOLUTIONS["single"].stats, psi=psi0[None])
    solution.save(tmp_path / "a.nc")
    assert bits(load(tmp_path / "a.nc").psi[0]) == bits(psi0)


def test_torch_solutions_are_saved_as_their_numbers(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    given = solve(Problem(GRID), torch.from_numpy(field(2)), T, method="strang", step=0.05)
    given.save(tmp_path / "a.nc")
    loaded = load(tmp_path / "a.nc")
    assert isinstance(given.psi, torch.Tensor)
    assert isinstance(loaded.psi, np.ndarray)
    assert bits(loaded.psi) == bits(given.psi.numpy())


def test_a_failed_run_can_be_saved(tmp_path: Path) -> None:
    growing, times = Problem(GRID, loss=-100.0), [0.0, 0.01, 20.0]
    with pytest.raises(errors.BlowUpError) as caught:
        solve(growing, field(2), times, method="strang", step=0.05, store="statistics")
    partial = caught.value.solution
    partial.save(tmp_path / "a.nc")
    loaded = load(tmp_path / "a.nc")
    assert bits(loaded.t) == bits(partial.t)
    assert loaded.statistics is not None
    assert bits(loaded.statistics.intensity) == bits(partial.statistics.intensity)
    with pytest.raises(AttributeError, match="broke off"):
        _ = loaded.final


def test_other_programs_find_what_they_need(tmp_path: Path) -> None:
    solution = SOLUTIONS["ensemble"]
    solution.save(tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as file:
        assert file["psi_real"].dims == ("time", "realisation", "x")
        np.testing.assert_array_equal(file["psi_real"], solution.psi.real)
        np.testing.assert_array_equal(file["psi_imag"], solution.psi.imag)
        np.testing.assert_array_equal(file["time"], T)
        np.testing.assert_array_equal(file["x"], GRID.x)
        np.testing.assert_array_equal(file["mass"], solution.mass)
        np.testing.assert_array_equal(file["omega"], 0.5 * GRID.k**2)
        assert file["loss"].values.tolist() == [0.1] * 32
        assert file.attrs["stats_method"] == "strang"
        assert file.attrs["grid_n"] == 32
        assert file.attrs["fourfold_format"] == 1
        assert file.attrs["nonlinearity"] == 1.0
        assert all(v.attrs["long_name"] for v in file.variables.values())


def test_dataset_has_named_dimensions_and_units(solution: Solution) -> None:
    dataset = solution.to_xarray()
    assert dataset["time"].attrs == {"long_name": "time", "units": "1"}
    assert dataset["x"].attrs["long_name"] == "position"
    assert dataset["k"].attrs["long_name"] == "angular wavenumber"
    np.testing.assert_array_equal(dataset["energy"], solution.energy)
    if solution.has_fields:
        assert dataset["psi"].dims[0] == "time"
        assert dataset["psi"].dims[-1] == "x"
        np.testing.assert_array_equal(dataset["psi"], solution.psi)
    else:
        assert dataset["intensity"].dims == ("time", "x")
        assert dataset["spectrum"].dims == ("time", "k")
        np.testing.assert_array_equal(dataset["final"], solution.final)


def test_dataset_selects_by_label() -> None:
    dataset = SOLUTIONS["two axes"].to_xarray()
    assert dataset["psi"].dims == ("time", "realisation_0", "realisation_1", "x")
    assert dataset["loss"].sizes == {"realisation_0": 2, "loss_axis_1": 1, "x": 32}
    chosen = dataset["psi"].sel(time=0.25, realisation_0=1, realisation_1=2)
    np.testing.assert_array_equal(chosen, SOLUTIONS["two axes"].psi[2, 1, 2])


def test_a_file_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.nc"
    path.write_text("precious")

    def full_disk(source: Any, target: Any) -> None:
        assert path.read_text() == "precious"
        assert Path(source).parent == tmp_path
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        SOLUTIONS["single"].save(path)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["a.nc"]


def test_new_files_have_the_usual_permissions(tmp_path: Path) -> None:
    SOLUTIONS["single"].save(tmp_path / "a.nc")
    (tmp_path / "other").write_text("")
    assert (tmp_path / "a.nc").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_link_goes_on_pointing_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link.nc").symlink_to(tmp_path / "data" / "a.nc")
    SOLUTIONS["single"].save(tmp_path / "link.nc")
    assert (tmp_path / "link.nc").is_symlink()
    assert_same(SOLUTIONS["single"], load(tmp_path / "data" / "a.nc"))


def test_missing_folders_and_files_are_plain_errors(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        SOLUTIONS["single"].save(tmp_path / "nowhere" / "a.nc")
    with pytest.raises(FileNotFoundError) as caught:
        load(tmp_path / "a.nc")
    assert not isinstance(caught.value, errors.DamagedFileError)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "a.nc"
    SOLUTIONS["ensemble"].save(path)
    return path.read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.9999])
def test_truncated_files_are_refused(tmp_path: Path, whole: bytes, share: float) -> None:
    path = tmp_path / "cut.nc"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(errors.DamagedFileError, match=r"cut\.nc"):
        load(path)


def test_a_flipped_bit_is_never_wrong_data(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "flipped.nc"
    refused = 0
    for position in range(0, len(whole), 211):
        broken = bytearray(whole)
        broken[position] ^= 1 << (position % 8)
        path.write_bytes(broken)
        try:
            loaded = load(path)
        except errors.DamagedFileError:
            refused += 1
        else:  # the bit was in room that the format leaves unused
            assert_same(SOLUTIONS["ensemble"], loaded)
    assert refused > 10


@pytest.mark.parametrize("name", ["psi_real", "psi_imag", "loss", "time", "mass"])
def test_a_flipped_bit_in_an_array_is_refused(tmp_path: Path, whole: bytes, name: str) -> None:
    path = tmp_path / "a.nc"
    path.write_bytes(whole)
    with xr.open_dataset(path, decode_cf=False) as file:
        values = file[name].values.copy()
    at = whole.index(values.tobytes())
    broken = bytearray(whole)
    broken[at] ^= 1  # the lowest bit of the mantissa
    path.write_bytes(broken)
    with pytest.raises(errors.DamagedFileError, match="checksum"):
        load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fourfold_content": "gp model"}, "not a solution"),
        ({"fourfold_format": 3}, "reads formats up to 2: upgrade"),
        ({"fourfold_format": "one"}, "format is given as 'one'"),
        ({"grid_length": 21.0}, "checksum"),
        ({"dispersion": '{"2": 0.25}'}, "checksum"),
        ({"content_sha256": "0" * 64}, "checksum"),
    ],
)
def test_changed_attributes_are_refused(
    tmp_path: Path, whole: bytes, change: dict[str, Any], message: str
) -> None:
    (tmp_path / "a.nc").write_bytes(whole)
    with xr.open_dataset(tmp_path / "a.nc", decode_cf=False) as file:
        changed = file.load().assign_attrs(change)
    changed.to_netcdf(tmp_path / "b.nc")
    with pytest.raises(errors.DamagedFileError, match=message) as caught:
        load(tmp_path / "b.nc")
    assert "b.nc" in str(caught.value)


def test_copies_by_other_programs_are_still_read(tmp_path: Path, whole: bytes) -> None:
    # Compression, order and a line of history do not change what the file says.
    (tmp_path / "a.nc").write_bytes(whole)
    with xr.open_dataset(tmp_path / "a.nc", decode_cf=False) as file:
        copy = file.load().assign_attrs(history="copied")
    packed = {name: {"zlib": True, "_FillValue": None} for name in copy.data_vars}
    copy[sorted(map(str, copy.data_vars))].to_netcdf(tmp_path / "b.nc", encoding=packed)
    assert_same(SOLUTIONS["ensemble"], load(tmp_path / "b.nc"))


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.nc").write_text("t, x, psi\n")
    np.savez(tmp_path / "zip.npz", a=np.ones(3))
    xr.Dataset({"psi_real": ("x", np.ones(3))}).to_netcdf(tmp_path / "other.nc")
    for name in ("text.nc", "zip.npz"):
        with pytest.raises(
            errors.DamagedFileError, match=f"{re.escape(name)} is not a netCDF4 file"
        ):
            load(tmp_path / name)
    with pytest.raises(errors.DamagedFileError, match=r"other\.nc is not a solution"):
        load(tmp_path / "other.nc")


@pytest.mark.parametrize("package", ["xarray", "netCDF4"])
def test_missing_packages_are_named_with_the_pip_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    SOLUTIONS["single"].save(tmp_path / "b.nc")
    monkeypatch.setitem(sys.modules, package, None)
    line = r"needs " + package + r', which is not installed: pip install "fourfold\[io\]"'
    with pytest.raises(errors.MissingExtraError, match=line):
        SOLUTIONS["single"].save(tmp_path / "a.nc")
    with pytest.raises(errors.MissingExtraError, match=line):
        load(tmp_path / "b.nc")
    assert os.listdir(tmp_path) == ["b.nc"]


def test_what_depends_on_time_is_saved_too(tmp_path: Path) -> None:
    times = np.linspace(-1, 2, 6)
    wave = Modulated(lambda x: np.cos(GRID.k[1] * x), np.sin(times), times)
    problem = Problem(
        GRID,
        nonlinearity=Modulated(np.array([1.0, 0.5]), 1 + times, times, interpolation="linear"),
        potential=wave + 0.1 * GRID.x**2 + Modulated(np.ones((2, 32)), 2.0),
        loss=Modulated(0.1, np.cos(times), times),
    )
    sol = solve(problem, field(2), T, method="strang", step=0.05)
    sol.save(tmp_path / "a.nc")
    loaded = load(tmp_path / "a.nc")
    assert bits(loaded.psi) == bits(sol.psi)
    assert bits(loaded.energy) == bits(sol.energy)
    for t in (-1.0, 0.37, 2.0):
        now, then = problem.at(t), loaded.problem.at(t)
        for name in ("nonlinearity", "potential", "loss"):
            assert_same_coefficient(getattr(now, name), getattr(then, name))
    again = solve(loaded.problem, field(2), T, method="strang", step=0.05)
    assert bits(again.psi) == bits(sol.psi)
    with pytest.raises(ValueError, match="given from t = -1 to 2"):
        solve(loaded.problem, field(2), [0.0, 3.0], method="strang", step=0.05)


def test_functions_of_time_are_refused(tmp_path: Path) -> None:
    for loss in (lambda x, t: 0 * x, Modulated(1.0, np.sin) + 0.1):
        sol = solve(Problem(GRID, loss=loss), field(), T[:1])
        with pytest.raises(errors.NotSavableError, match="loss holds a Python function of time"):
            sol.save(tmp_path / "a.nc")
    assert os.listdir(tmp_path) == []
