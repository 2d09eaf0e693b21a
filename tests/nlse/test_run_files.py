"""Files of runs: what is refused, what damage does, and formats of old."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fourfold import errors, nlse
from fourfold.nlse import _resume
from fourfold.nlse._kernel import Stepper
from fourfold.nlse._run_file import open_locked
from tests.nlse.running import GRID, PROBLEMS, TIMES, Broken, fields

# --- refusals


def test_what_cannot_be_saved_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("must not run")

    monkeypatch.setattr(Stepper, "__init__", never)
    there = tmp_path / "there.nc"
    there.write_bytes(b"ten days of work")
    with pytest.raises(FileExistsError, match="resume goes on with the run in it"):
        nlse.solve(PROBLEMS["focusing"], fields(), TIMES, save=there)
    assert there.read_bytes() == b"ten days of work"
    with pytest.raises(FileNotFoundError, match="no such folder"):
        nlse.solve(PROBLEMS["focusing"], fields(), TIMES, save=tmp_path / "no" / "run.nc")
    with pytest.raises(TypeError, match="save must be a path or None, got int"):
        nlse.solve(PROBLEMS["focusing"], fields(), TIMES, save=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="save needs at least 1 realisation"):
        nlse.solve(PROBLEMS["focusing"], fields(0), TIMES, save=tmp_path / "run.nc")
    moved = nlse.Problem(GRID, potential=lambda x, t: x * np.sin(t))
    with pytest.raises(errors.NotSavableError, match="potential holds a Python function of time"):
        nlse.solve(moved, fields(), TIMES, save=tmp_path / "run.nc")
    assert os.listdir(tmp_path) == ["there.nc"]


def test_what_is_no_run_is_not_resumed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        nlse.resume(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("hello")
    with pytest.raises(errors.DamagedFileError, match="no run of fourfold"):
        nlse.resume(tmp_path / "text.nc")
    nlse.solve(PROBLEMS["focusing"], fields(), TIMES).save(tmp_path / "solution.nc")
    with pytest.raises(errors.DamagedFileError, match="no run of fourfold"):
        nlse.resume(tmp_path / "solution.nc")


def test_two_writers_do_not_meet(tmp_path: Path, broken: Broken) -> None:
    path = tmp_path / "run.nc"
    with broken(3):
        nlse.solve(PROBLEMS["focusing"], fields(), TIMES, save=path)
    descriptor = open_locked(str(path))
    with pytest.raises(BlockingIOError, match="another process is writing this run"):
        nlse.resume(path)
    os.close(descriptor)
    assert len(nlse.resume(path).t) == len(TIMES)


def test_another_version_or_level_is_warned_of(
    tmp_path: Path, broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.nc"
    with broken(3):
        nlse.solve(PROBLEMS["focusing"], fields(), TIMES, save=path)
    monkeypatch.setattr(_resume, "__version__", "99.0")
    with pytest.warns(errors.ResumeWarning, match=r"goes on with 99\.0"):
        nlse.resume(path)
    nlse.resume(path)  # nothing left to compute: no warning


# --- damage


@pytest.mark.parametrize("store", ["fields", "statistics"])
def test_damage_is_an_error_or_harmless_but_never_wrong_data(tmp_path: Path, store: str) -> None:
    path = tmp_path / "run.nc"
    sol = nlse.solve(PROBLEMS["focusing"], fields(2), TIMES, store=store, save=path)
    whole = path.read_bytes()
    rng = np.random.default_rng()
    refused = 0
    places = [*range(12), *rng.integers(0, len(whole), 150).tolist()]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            found = nlse.load(path)
        except errors.DamagedFileError:
            refused += 1
            continue
        # A smaller number of records is a shorter run; of the fields to go on from one is spare.
        np.testing.assert_array_equal(found.mass, sol.mass[: len(found.t)])
        if len(found.t) == len(sol.t):
            np.testing.assert_array_equal(found.final, sol.final)
    assert refused > len(places) * 0.6


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    nlse.solve(PROBLEMS["focusing"], fields(2), TIMES, save=path)
    whole = path.read_bytes()
    for length in [0, 3, 4, 11, 12, 100, 1000, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(errors.DamagedFileError):
            nlse.load(path)


def test_a_newer_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    nlse.solve(PROBLEMS["focusing"], fields(2), TIMES, save=path)
    data = path.read_bytes()
    name = b"fourfold_run_format\0" + (10).to_bytes(4, "big") + (1).to_bytes(8, "big")
    assert data.count(name) == 1
    place = data.index(name) + len(name)
    path.write_bytes(data[:place] + (2).to_bytes(8, "big") + data[place + 8 :])
    with pytest.raises(errors.DamagedFileError, match="has format 2"):
        nlse.load(path)


# --- format


@pytest.mark.parametrize("store", ["fields", "statistics"])
def test_files_of_the_first_format_stay_readable(tmp_path: Path, store: str) -> None:
    dtype: Any = np.complex64 if store == "fields" else np.complex128
    name = f"run_format1_{store}.nc"
    shutil.copy(Path(__file__).parents[1] / "data" / name, tmp_path)
    grid = nlse.Grid(n=8, length=4.0)
    problem = nlse.Problem(
        grid,
        dispersion={2: 0.5, 3: 0.1},
        nonlinearity=np.array([1.0, -1.0]),
        potential=grid.x**2,
        loss=nlse.Modulated(0.1, [0.0, 1.0], [0.0, 9.0]),
    )
    x = grid.x
    start = np.stack([np.exp(-(x**2)) * (1 + 0.5j * x), np.exp(1j * grid.k[1] * x)])
    options: dict[str, Any] = {"method": "rk4ip", "step": 0.25, "store": store}
    fresh = nlse.solve(problem, start.astype(dtype), np.arange(4.0), **options)
    for sol in (nlse.load(tmp_path / name), nlse.resume(tmp_path / name)):
        tolerance = 1e-5 if store == "fields" else 1e-12
        np.testing.assert_allclose(sol.final, fresh.final, atol=tolerance)
        np.testing.assert_allclose(sol.mass, fresh.mass, rtol=tolerance)
        assert sol.final.dtype == dtype
        assert (sol.stats.method, sol.stats.step, sol.stats.steps) == ("rk4ip", 0.25, 24)
        assert sol.problem.dispersion == {2: 0.5, 3: 0.1}
        assert sol.problem.at(4.5).loss == pytest.approx(np.full(8, 0.05))
