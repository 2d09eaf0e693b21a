"""Runs that are saved while they go on: `solve(save=...)`, `load`, `resume`."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import pickle
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rich.console

from fourfold import errors, nlse
from fourfold.nlse import _run_file
from fourfold.nlse._kernel import Stepper
from tests.nlse.running import FIXED, GRID, PROBLEMS, TIMES, Broken, fields, same


@pytest.mark.isa
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("method", FIXED)
def test_a_broken_run_goes_on_as_if_it_had_not_been(
    tmp_path: Path, broken: Broken, method: str, dtype: Any
) -> None:
    path = tmp_path / "run.nc"
    for number, (problem, batch, index) in enumerate(
        [("focusing", (), 1), ("all", (2, 3), 5), ("array", (3,), 8), ("in time", (3, 2), 3)]
    ):
        arguments = (PROBLEMS[problem], fields(*batch, dtype=dtype), TIMES)
        options: dict[str, Any] = {"method": method, "step": 0.03}
        if method == "etdrk4" or number:
            options["dealias"] = "two_thirds"
        with errors_as_they_are():
            whole = nlse.solve(*arguments, **options)
            with broken(index):
                nlse.solve(*arguments, **options, save=path)
            same(nlse.resume(path), whole)
        same(nlse.load(path), whole)
        path.unlink()


@contextlib.contextmanager
def errors_as_they_are() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.OrderWarning)
        yield


@pytest.mark.parametrize("store", ["fields", "statistics"])
@pytest.mark.parametrize("method", ["rkn6_14a", "strang", "rk4ip", "dop853"])
def test_adaptive_steps_go_on_as_well(
    tmp_path: Path, broken: Broken, method: str, store: str
) -> None:
    arguments = (PROBLEMS["all"], fields(4, 3), TIMES)
    options: dict[str, Any] = {"method": method, "rtol": 1e-6, "atol": 1e-8, "store": store}
    with errors_as_they_are():
        whole = nlse.solve(*arguments, **options)
        with broken(4):
            nlse.solve(*arguments, **options, save=tmp_path / "run.nc")
        with broken(7):
            nlse.resume(tmp_path / "run.nc")
        again = nlse.resume(tmp_path / "run.nc")
    same(again, whole)
    assert again.stats.rejected > 0 or method != "dop853"


def test_the_published_method_starts_its_steps_anew(tmp_path: Path, broken: Broken) -> None:
    arguments = (PROBLEMS["focusing"], fields(), TIMES)
    whole = nlse.solve(*arguments, method="published")
    with broken(4):
        nlse.solve(*arguments, method="published", save=tmp_path / "run.nc")
    again = nlse.resume(tmp_path / "run.nc")
    np.testing.assert_array_equal(again.psi[:4], whole.psi[:4])
    np.testing.assert_allclose(again.psi, whole.psi, atol=1e-8)


@pytest.mark.parametrize("often", [True, False])
def test_statistics_go_on_from_the_newest_whole_field(
    tmp_path: Path, broken: Broken, monkeypatch: pytest.MonkeyPatch, often: bool
) -> None:
    if often:
        monkeypatch.setattr(_run_file, "_SECONDS_BETWEEN_WRITES", -1.0)
        monkeypatch.setattr(_run_file, "_LARGEST_SHARE", np.inf)
    arguments = (PROBLEMS["focusing"], fields(50), TIMES)
    whole = nlse.solve(*arguments, step=0.02, store="statistics")
    path = tmp_path / "run.nc"
    with broken(6):
        nlse.solve(*arguments, step=0.02, store="statistics", save=path)
    partial = nlse.load(path)
    assert len(partial.t) == 6
    with pytest.raises(AttributeError):
        _ = partial.final
    np.testing.assert_array_equal(partial.mass, whole.mass[:6])
    with broken(8):
        nlse.resume(path)
    same(nlse.resume(path), whole)
    same(nlse.load(path), whole)


def test_a_complete_run_is_returned_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    sol = nlse.solve(PROBLEMS["focusing"], fields(2), TIMES, save=path)
    before = path.read_bytes()
    same(nlse.resume(path), sol)
    same(nlse.load(path), sol)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.nc"]
    only = nlse.solve(PROBLEMS["focusing"], fields(2), [3.0], save=tmp_path / "one.nc")
    same(nlse.resume(tmp_path / "one.nc"), only)


def test_tensors_come_back_as_tensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    start = torch.from_numpy(fields(2)).to(torch.complex64)
    sol = nlse.solve(PROBLEMS["focusing"], start, TIMES, save=tmp_path / "run.nc")
    again = nlse.resume(tmp_path / "run.nc")
    assert isinstance(sol.psi, torch.Tensor)
    assert isinstance(sol.final, torch.Tensor)
    assert torch.equal(again.psi, sol.psi)
    assert isinstance(nlse.load(tmp_path / "run.nc").psi, np.ndarray)


def test_a_file_that_was_replaced_is_not_read_as_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    old = nlse.solve(PROBLEMS["focusing"], fields(), TIMES, save=path)
    path.unlink()
    new = nlse.solve(PROBLEMS["focusing"], fields(), TIMES, save=path)
    assert np.isfinite(new.psi).all()
    with pytest.raises(errors.DamagedFileError, match="no longer the file of this run"):
        _ = old.psi
    with pytest.raises(errors.DamagedFileError, match="no longer the file of this run"):
        _ = old.final
    path.unlink()
    new = nlse.solve(PROBLEMS["focusing"], fields(), TIMES, save=path)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(new)).psi, nlse.load(path).psi)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(errors.DamagedFileError, match="no longer the file of this run"):
        _ = new.final


def test_only_the_current_fields_are_in_memory(tmp_path: Path) -> None:
    grid = nlse.Grid(n=4096, length=400.0)
    times = np.arange(401.0)
    start = np.ones(4096, complex)
    tracemalloc.start()
    sol = nlse.solve(
        nlse.Problem(grid), start, times, method="strang", step=1.0, save=tmp_path / "r.nc"
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    whole = 401 * 4096 * 16
    assert peak < 1.2 * _run_file._MOST_PENDING_BYTES + 2e6 < 0.5 * whole
    assert sol.psi.nbytes == whole


def test_other_programs_open_a_run_that_is_not_complete(tmp_path: Path, broken: Broken) -> None:
    netcdf4 = pytest.importorskip("netCDF4")
    xarray = pytest.importorskip("xarray")
    path = tmp_path / "run.nc"
    with broken(5):
        nlse.solve(PROBLEMS["all"], fields(2, 3, dtype=np.complex64), TIMES, save=path)
    sol = nlse.load(path)
    with netcdf4.Dataset(path) as file:
        assert file.data_model == "NETCDF3_64BIT_DATA"
        np.testing.assert_array_equal(file["psi_imag"][:], sol.psi.imag)
        np.testing.assert_array_equal(file["potential"][:], PROBLEMS["all"].potential)
        assert file.grid_length == 20.0
    with xarray.open_dataset(path) as dataset:
        assert dataset["psi_real"].dims == ("time", "realisation_0", "realisation_1", "x")
        np.testing.assert_array_equal(dataset["psi_real"], sol.psi.real)
        np.testing.assert_array_equal(dataset["time"], TIMES[:5])
        np.testing.assert_array_equal(dataset["loss"].values, PROBLEMS["all"].loss)


# --- kills

_KILLED = """
import sys
import numpy as np
from fourfold import nlse
from fourfold.nlse import _run_file
_run_file._SECONDS_BETWEEN_WRITES = 0.005  # write all the time
_run_file._LARGEST_SHARE = 1.0
path, store, resume, saves = sys.argv[1], sys.argv[2], sys.argv[3] == "resume", int(sys.argv[4])
print("ready", flush=True)
if resume:
    nlse.resume(path)
else:
    grid = nlse.Grid(n=64, length=20.0)
    start = nlse.add_noise(np.ones((3, 64), complex), relative=0.1, rng=7)
    t = np.linspace(0, 80, saves)
    nlse.solve(nlse.Problem(grid), start, t, step=0.01, store=store, save=path)
print("done", flush=True)
"""


def _killed_runs(tmp_path: Path, store: str, kills: int, seed: int) -> int:
    """Kill and resume a run again and again; how many kills it met before its end."""
    rng = random.Random(seed)
    grid = nlse.Grid(n=64, length=20.0)
    start = nlse.add_noise(np.ones((3, 64), complex), relative=0.1, rng=7)
    saves = (4001 if store == "fields" else 1001) * (1 if kills <= 3 else 3)
    t = np.linspace(0, 80, saves)
    whole = nlse.solve(nlse.Problem(grid), start, t, step=0.01, store=store)
    path = tmp_path / "run.nc"
    lengths = []
    for _ in range(kills):
        verb = "resume" if path.exists() else "solve"
        command = [sys.executable, "-c", _KILLED, str(path), store, verb, str(saves)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            if verb == "resume" or kills == 1:
                time.sleep(rng.uniform(0.0, 0.25))
            else:
                while not path.exists():
                    time.sleep(rng.uniform(0.0, 0.01))
            process.kill()
            done = process.communicate()[0] == "done\n"
        if not path.exists():
            continue
        partial = nlse.load(path)
        lengths.append(len(partial.t))
        np.testing.assert_array_equal(partial.mass, whole.mass[: lengths[-1]])
        if partial.has_fields:
            np.testing.assert_array_equal(partial.psi, whole.psi[: lengths[-1]])
        if done:
            break
    same(nlse.resume(path), whole)
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".")] == ["run.nc"]
    return sum(length < len(t) for length in lengths)


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("store", ["fields", "statistics"])
def test_a_killed_run_opens_and_goes_on(tmp_path: Path, store: str) -> None:
    assert _killed_runs(tmp_path, store, 3, seed=random.randrange(2**32)) > 0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("store", ["fields", "statistics"])
def test_twenty_kills(tmp_path: Path, store: str) -> None:
    met = 0
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        met += _killed_runs(folder, store, 20 - met, seed=random.randrange(2**32))
        if met >= 20:
            break
    assert met >= 20


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_leaves_the_file_complete_to_the_last_saved_time(tmp_path: Path) -> None:
    code = """
import signal, sys
import numpy as np
from fourfold import errors, nlse
signal.signal(signal.SIGINT, signal.default_int_handler)
grid = nlse.Grid(n=64, length=20.0)
print("ready", flush=True)
try:
    nlse.solve(nlse.Problem(grid), np.ones(64, complex), np.arange(10**5), step=0.01, save="run.nc")
except errors.RunInterrupted as stopped:
    assert isinstance(stopped, KeyboardInterrupt)
    assert stopped.path.endswith("run.nc")
    assert "resume" in str(stopped)
    assert len(nlse.load("run.nc").t) == len(stopped.solution.t) > 1
    print("stopped", flush=True)
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        try:
            assert process.communicate(timeout=60)[0] == "stopped\n"
        finally:
            process.kill()


def test_any_other_end_leaves_the_file_complete_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = Stepper.advance

    def alarmed(self: Stepper, psi: Any, t0: float, t1: float) -> None:
        if t1 > 0.65:
            raise TimeoutError("from a signal's handler")
        advance(self, psi, t0, t1)

    monkeypatch.setattr(Stepper, "advance", alarmed)
    with pytest.raises(TimeoutError):
        nlse.solve(PROBLEMS["focusing"], fields(), TIMES, save=tmp_path / "run.nc")
    assert nlse.load(tmp_path / "run.nc").t[-1] == TIMES[5]


def test_a_blow_up_keeps_what_came_before(tmp_path: Path) -> None:
    amplifier = nlse.Problem(GRID, loss=-100.0)
    path = tmp_path / "run.nc"
    with pytest.raises(errors.BlowUpError, match=r"and in .*run\.nc") as caught:
        nlse.solve(amplifier, fields(), np.linspace(0, 9, 91), method="strang", step=0.1, save=path)
    partial = caught.value.solution
    assert 1 < len(partial.t) < 91
    np.testing.assert_array_equal(nlse.load(path).psi, partial.psi)
    with pytest.raises(errors.BlowUpError, match="stopped being finite"):
        nlse.resume(path)
    np.testing.assert_array_equal(nlse.load(path).psi, partial.psi)


def test_a_full_disk_is_an_error_and_the_file_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_run_file, "_SECONDS_BETWEEN_WRITES", -1.0)
    monkeypatch.setattr(_run_file, "_LARGEST_SHARE", np.inf)
    write = os.pwrite
    room = 40_000

    def full(descriptor: int, data: Any, offset: int) -> int:
        if offset >= room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[: room - offset], offset)  # in part, as the system does

    path = tmp_path / "run.nc"
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            nlse.solve(PROBLEMS["focusing"], fields(10), TIMES, save=path)
    assert 1 < len(nlse.load(path).t) < len(TIMES)
    same(nlse.resume(path), nlse.solve(PROBLEMS["focusing"], fields(10), TIMES))


# --- progress


def test_the_bar_of_a_resumed_run_begins_where_the_run_does(
    tmp_path: Path, broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.nc"
    with broken(6):
        nlse.solve(PROBLEMS["focusing"], fields(), TIMES, save=path)
    written = io.StringIO()
    terminal = rich.console.Console(
        file=written, force_terminal=True, force_interactive=True, width=120
    )
    monkeypatch.setattr(rich.console, "Console", lambda **_: terminal)
    nlse.resume(path, progress=True)
    shown = written.getvalue()
    assert "100%" in shown
    assert " 0%" not in shown
