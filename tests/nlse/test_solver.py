"""`solve`: what it accepts, what it refuses, and how it keeps the books.

How accurate the methods are is tested beside the methods.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
import rich.console

import fourfold
from fourfold import errors
from fourfold.nlse._kernel import StepFailure
from fourfold.nlse.methods import METHODS
from fourfold.nlse.problem import Problem
from fourfold.nlse.solver import solve
from tests.nlse.solving import GRID, LINEAR, ScriptedStepper, T, linear_truth, pulse

pytestmark = pytest.mark.isa

# --- results


@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3), (0,)])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_solution_has_the_shape_and_the_dtype_of_psi0(batch: tuple[int, ...], dtype: Any) -> None:
    psi0 = pulse(*batch, dtype=dtype)
    before = psi0.copy()
    sol = solve(LINEAR, psi0, T)
    assert sol.psi.shape == (4, *batch, 128)
    assert sol.psi.dtype == dtype
    assert sol.batch_shape == batch
    np.testing.assert_array_equal(psi0, before)
    np.testing.assert_array_equal(sol.psi[0], psi0)
    np.testing.assert_array_equal(sol.t, T)
    np.testing.assert_array_equal(sol.x, GRID.x)
    tolerance = 1e-4 if dtype == np.complex64 else 1e-9
    for i, t in enumerate(T):
        np.testing.assert_allclose(sol.psi[i], linear_truth(psi0, t), atol=tolerance)


def test_fixed_steps_solve_as_well() -> None:
    sol = solve(LINEAR, pulse(), T, method="strang", step=0.04)
    np.testing.assert_allclose(sol.psi[-1], linear_truth(pulse(), 0.35), atol=1e-12)
    # 0.1, 0.2 and 0.05 are cut into 3, 5 and 2 steps.
    assert sol.stats.steps == 10
    assert sol.stats.step == pytest.approx(0.025)
    assert not sol.stats.adaptive


def test_one_time_is_the_initial_state() -> None:
    sol = solve(LINEAR, pulse(2), [3.5])
    np.testing.assert_array_equal(sol.psi, pulse(2)[None])
    assert sol.stats.steps == 0
    assert sol.stats.step is None


def test_statistics_are_those_of_the_stored_fields() -> None:
    problem, psi0 = Problem(GRID), pulse(2, 3)
    kept = solve(problem, psi0, T, method="strang", step=0.05)
    gathered = solve(problem, psi0, T, method="strang", step=0.05, store="statistics")
    assert gathered.statistics is not None
    assert kept.statistics is not None
    assert gathered.statistics.count == 6
    fields = kept.psi.reshape(4, 6, 128)
    intensity = np.abs(fields) ** 2
    np.testing.assert_allclose(gathered.statistics.mean_field, fields.mean(axis=1), atol=1e-14)
    np.testing.assert_allclose(gathered.statistics.intensity, intensity.mean(axis=1), atol=1e-14)
    np.testing.assert_array_equal(gathered.statistics.coherence, kept.statistics.coherence)
    np.testing.assert_array_equal(gathered.final, kept.psi[-1])
    for name in ("mass", "momentum", "energy"):
        found = getattr(gathered, name)
        assert found.shape == (4, 2, 3)
        np.testing.assert_allclose(found, getattr(kept, name), rtol=1e-12)


def test_statistics_hold_no_more_than_the_current_fields() -> None:
    psi0 = pulse(64)
    times = np.linspace(0, 0.1, 41)
    tracemalloc.start()
    solve(LINEAR, psi0, times, method="strang", step=0.1, store="statistics")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    averages = 41 * 128 * (3 * 8 + 2 * 16)
    # The current fields, blocks of scratch of the same order, and the averages; the fields at all
    # times would be 41 times the first.
    assert peak < 10 * psi0.nbytes + 2 * averages


@pytest.mark.parametrize("method", ["strang", "rkn6_14a", "dop853"])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_a_realisation_is_the_same_in_any_company(method: str, dtype: Any) -> None:
    psi0 = pulse(5, dtype=dtype)
    problem = Problem(GRID)
    control: dict[str, Any] = {"step": 0.01} if method == "strang" else {}
    together = solve(problem, psi0, T, method=method, **control)
    for i in range(5):
        alone = solve(problem, psi0[i], T, method=method, **control)
        np.testing.assert_array_equal(alone.psi, together.psi[:, i])
    turned = solve(problem, psi0[::-1], T, method=method, **control)
    np.testing.assert_array_equal(turned.psi, together.psi[:, ::-1])


def test_threads_change_no_bit() -> None:
    problem, psi0 = Problem(GRID), pulse(7)
    found = []
    for threads in (1, 2, 3):
        fourfold.set_num_threads(threads)
        found.append(solve(problem, psi0, T))
        assert found[-1].stats.threads == threads
    for other in found[1:]:
        np.testing.assert_array_equal(found[0].psi, other.psi)
        assert found[0].stats.steps == other.stats.steps


def test_a_run_can_be_cut_in_two() -> None:
    # With fixed steps, going on from the final state is going on.
    problem, psi0 = Problem(GRID), pulse(2)
    whole = solve(problem, psi0, [0.0, 0.5, 1.0], method="rkn4_6b", step=0.1)
    first = solve(problem, psi0, [0.0, 0.5], method="rkn4_6b", step=0.1)
    second = solve(problem, first.final, [0.5, 1.0], method="rkn4_6b", step=0.1)
    np.testing.assert_array_equal(whole.final, second.final)


# --- methods


@pytest.mark.parametrize(
    ("problem", "method", "order"),
    [
        (Problem(GRID), "rkn6_14a", 6),
        (Problem(GRID, potential=lambda x: x**2, nonlinearity=-1.0), "rkn6_14a", 6),
        (Problem(GRID, loss=0.1), "rkn4_6b", 4),
        (Problem(GRID, loss=-0.1), "rkn4_6b", 4),
        (Problem(GRID, dispersion={2: 0.5, 3: 0.01}), "rkn4_6b", 4),
    ],
)
def test_default_method_keeps_its_order(problem: Problem, method: str, order: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sol = solve(problem, pulse(), [0.0, 0.01])
    assert sol.stats.method == method
    assert sol.stats.order == order
    assert sol.stats.adaptive


@pytest.mark.parametrize("method", ["rkn6_11b", "rkn6_14a"])
def test_loss_of_order_is_told(method: str) -> None:
    lossy = Problem(GRID, loss=0.1)
    message = f"{method} converges with order 4 instead of 6.*rkn4_6b keeps its order"
    with pytest.warns(errors.OrderWarning, match=message) as caught:
        sol = solve(lossy, pulse(), [0.0, 0.01], method=method)
    assert sol.stats.order == 4
    assert caught[0].filename == __file__


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_the_table_runs(method: str) -> None:
    row = METHODS[method]
    problem, psi0 = Problem(GRID), 1 / np.cosh(GRID.x) + 0j
    truth = psi0 * np.exp(0.05j)
    if row.fixed_step:
        sol = solve(problem, psi0, [0.0, 0.05, 0.1], method=method, step=1e-3)
        np.testing.assert_allclose(sol.psi[-1], truth, atol=2e-4)
        assert sol.stats.steps == 100
    if row.adaptive:
        sol = solve(problem, psi0, [0.0, 0.05, 0.1], method=method)
        np.testing.assert_allclose(sol.psi[-1], truth, atol=2e-4)
        assert sol.stats.adaptive
    assert sol.stats.method == method
    assert sol.stats.order == row.order
    assert sol.stats.transforms > sol.stats.steps
    assert sol.stats.wall_seconds > 0


# --- the books


def test_stepper_gets_what_the_caller_said(scripted: type[ScriptedStepper]) -> None:
    solve(
        LINEAR,
        pulse(2, 3, dtype=">c8"),
        T,
        method="rk4ip",
        rtol=1e-4,
        atol=1e-6,
        dealias="two_thirds",
    )
    assert scripted.arguments == {
        "method": "rk4ip",
        "dtype": np.dtype(np.complex64),
        "batch_shape": (2, 3),
        "t_start": 0.0,
        "t_end": 0.35,
        "step": None,
        "rtol": 1e-4,
        "atol": 1e-6,
        "dealias": "two_thirds",
        "keep_loss": False,
    }
    solve(LINEAR, pulse(), T, method="rk4ip", step=np.float32(0.5))  # type: ignore[arg-type]
    assert scripted.arguments["step"] == 0.5
    solve(LINEAR, pulse(dtype=np.complex64), T)
    assert (scripted.arguments["rtol"], scripted.arguments["atol"]) == (1e-5, 1e-7)
    solve(LINEAR, pulse(), T)
    assert (scripted.arguments["rtol"], scripted.arguments["atol"]) == (1e-8, 1e-10)


@pytest.mark.parametrize("store", ["fields", "statistics"])
def test_every_interval_is_gone_through_once(scripted: type[ScriptedStepper], store: str) -> None:
    sol = solve(LINEAR, pulse(2), T, store=store)
    assert scripted.calls == [(0.0, 0.1), (0.1, 0.3), (0.3, 0.35)]
    np.testing.assert_allclose(sol.final, pulse(2) + 3, rtol=1e-15)
    assert sol.stats.steps == 6
    assert sol.stats.transforms == 24
    assert sol.stats.rejected == 0
    assert sol.stats.step == pytest.approx(0.025)
    assert sol.stats.order == 4


@pytest.mark.parametrize("store", ["fields", "statistics"])
@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("not_finite", errors.BlowUpError, "stopped being finite"),
        ("step_floor", errors.StepSizeError, "fell below 1e-8 of the time span"),
    ],
)
def test_a_failure_carries_what_was_saved(
    scripted: type[ScriptedStepper],
    store: str,
    kind: str,
    error: type[errors.FourfoldError],
    message: str,
) -> None:
    scripted.fail_at = 0.2
    scripted.failure = StepFailure(kind=kind, time=0.2718, realisation=1)
    text = rf"{message} at t = 0\.2718 in realisation 1 of 2\..*up to t = 0\.1 \(2 of 4 times\)"
    with pytest.raises(error, match=text) as caught:
        solve(LINEAR, pulse(2), T, store=store)
    failure: Any = caught.value
    assert failure.time == 0.2718
    assert failure.realisation == 1
    partial = failure.solution
    np.testing.assert_array_equal(partial.t, [0.0, 0.1])
    assert partial.stats.steps == 4
    assert partial.mass.shape == (2, 2)
    if store == "fields":
        np.testing.assert_array_equal(partial.psi, [pulse(2), pulse(2) + 1])
        np.testing.assert_array_equal(partial.final, pulse(2) + 1)
    else:
        expected = np.abs(pulse(2) + 1) ** 2
        np.testing.assert_allclose(partial.statistics.intensity[1], expected.mean(axis=0))
        assert partial.statistics.intensity.shape == (2, 128)
        # The fields had moved on when it failed, and they are no saved state.
        with pytest.raises(AttributeError, match="broke off"):
            _ = partial.final


def test_a_failure_of_a_single_field_names_no_realisation(scripted: type[ScriptedStepper]) -> None:
    scripted.fail_at = 0.0
    with pytest.raises(errors.BlowUpError, match=r"finite at t = 0\. .*up to t = 0 \(1 of 4"):
        solve(LINEAR, pulse(), T)


def test_a_field_that_grows_without_bound_is_an_error() -> None:
    # Gain 300 takes the square of a field of 1 past the largest double after t = 1.18.
    with pytest.raises(errors.BlowUpError) as caught:
        solve(Problem(GRID, nonlinearity=0.0, loss=-300.0), 1 + 0 * pulse(), [0.0, 0.1, 4.0])
    assert 1.1 < caught.value.time < 4.0
    partial = caught.value.solution
    np.testing.assert_array_equal(partial.t, [0.0, 0.1])
    np.testing.assert_allclose(partial.psi[1], np.exp(30), rtol=1e-6)


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_stops_a_long_run_between_two_saved_times() -> None:
    # A shell starts background jobs with SIGINT ignored, and Python leaves it so.
    code = """
import signal
import numpy as np
from fourfold.nlse.grid import Grid
from fourfold.nlse.problem import Problem
from fourfold.nlse.solver import solve
signal.signal(signal.SIGINT, signal.default_int_handler)
grid = Grid(n=256, length=40.0)
print("ready", flush=True)
solve(Problem(grid), np.ones((64, 256), complex), [0, 1e6], method="strang", step=1e-3)
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        try:
            _, complaint = run.communicate(timeout=60)
        finally:
            run.kill()
    assert "RunInterrupted: stopped after t = 0, 1 of 2 times" in complaint


def test_ctrl_c_goes_through(scripted: type[ScriptedStepper]) -> None:
    scripted.fail_at = 0.2
    scripted.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt, match=r"stopped after t = 0\.1, 2 of 4 times") as caught:
        solve(LINEAR, pulse(), T)
    assert isinstance(caught.value, errors.RunInterrupted)
    assert caught.value.path is None
    np.testing.assert_array_equal(caught.value.solution.t, T[:2])


# --- progress


def test_no_bar_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    solve(LINEAR, pulse(), T, progress=True)
    assert capfd.readouterr() == ("", "")


def test_bar_shows_time_rate_and_share(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    terminal = rich.console.Console(
        file=written, force_terminal=True, force_interactive=True, width=120
    )
    monkeypatch.setattr(rich.console, "Console", lambda **_: terminal)
    sol = solve(LINEAR, pulse(), T, progress=True)
    np.testing.assert_array_equal(sol.psi, solve(LINEAR, pulse(), T).psi)
    shown = written.getvalue()
    assert "nlse rkn6_14a" in shown
    assert "100%" in shown
    assert "t = 0.35 / 0.35" in shown
    assert "steps/s" in shown


# --- imports


def test_numpy_runs_load_neither_torch_nor_what_only_figures_and_files_need() -> None:
    code = """
import sys
import numpy as np
from fourfold.nlse.grid import Grid
from fourfold.nlse.problem import Problem
from fourfold.nlse.solver import solve
grid = Grid(n=16, length=8.0)
sol = solve(Problem(grid), np.ones((2, 16), dtype=complex), [0, 0.1], store="statistics")
print(sol.statistics.count, *({"torch", "matplotlib", "xarray", "rich"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2"]
