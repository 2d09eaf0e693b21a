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
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import rich.console

import fourfold
from fourfold import errors
from fourfold.nlse import _plan
from fourfold.nlse._kernel import StepFailure
from fourfold.nlse.grid import Grid
from fourfold.nlse.methods import METHODS
from fourfold.nlse.problem import Problem
from fourfold.nlse.solver import solve

pytestmark = pytest.mark.isa

GRID = Grid(n=128, length=40.0)
LINEAR = Problem(GRID, nonlinearity=0.0)
T = np.array([0.0, 0.1, 0.3, 0.35])


def pulse(*batch: int, dtype: Any = np.complex128) -> npt.NDArray[Any]:
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(*batch, 1))
    return np.asarray(np.exp(-((GRID.x - centers) ** 2) + 0.5j * GRID.x), dtype=dtype)


def linear_truth(psi0: npt.NDArray[Any], t: float) -> npt.NDArray[np.complex128]:
    """Without nonlinearity every Fourier coefficient turns at its own rate k^2/2."""
    wavenumbers = 2 * np.pi / 40.0 * np.r_[0:64, -64:0]
    turned = np.fft.fft(psi0.astype(np.complex128)) * np.exp(-0.5j * wavenumbers**2 * t)
    return np.asarray(np.fft.ifft(turned))


class NoStepper:
    """In the place of the stepper: whatever comes this far was not refused before the work."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise AssertionError("the work began")


class ScriptedStepper:
    """In the place of the stepper: writes down what it is asked for, fails when it is told to."""

    order = 4
    fail_at = np.inf
    arguments: ClassVar[dict[str, Any]]
    calls: ClassVar[list[tuple[float, float]]]
    failure: BaseException = StepFailure(kind="not_finite", time=0.0, realisation=0)

    def __init__(self, problem: Problem, **arguments: Any) -> None:
        type(self).arguments = arguments
        type(self).calls = []
        self.counters = self
        self.steps = self.rejected = self.transforms = 0
        self.last_step = 0.0

    def advance(self, psi: npt.NDArray[Any], t0: float, t1: float) -> None:
        assert psi.flags.c_contiguous
        assert psi.flags.aligned
        assert psi.flags.writeable
        assert psi.dtype.isnative
        self.calls.append((t0, t1))
        self.steps += 2
        self.transforms += 8
        self.last_step = (t1 - t0) / 2
        psi += 1
        if t1 > self.fail_at:
            raise self.failure


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> type[ScriptedStepper]:
    class Fresh(ScriptedStepper):
        pass

    monkeypatch.setattr(_plan, "Stepper", Fresh)
    return Fresh


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


# --- what may come in


def layouts() -> dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]]:
    def unaligned(a: npt.NDArray[Any]) -> npt.NDArray[Any]:
        raw = np.zeros(a.nbytes + 1, dtype=np.uint8)
        view = np.frombuffer(raw.data, dtype=a.dtype, count=a.size, offset=1).reshape(a.shape)
        view[...] = a
        return view

    def strided(a: npt.NDArray[Any]) -> npt.NDArray[Any]:
        wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), dtype=a.dtype)
        wide[..., ::2] = a
        return wide[..., ::2]

    def read_only(a: npt.NDArray[Any]) -> npt.NDArray[Any]:
        a = a.copy()
        a.flags.writeable = False
        return a

    return {
        "unaligned": unaligned,
        "strided": strided,
        "read-only": read_only,
        "fortran": np.asfortranarray,
        "reversed": lambda a: np.ascontiguousarray(a[:, ::-1])[:, ::-1],
        "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
        "broadcast": lambda a: np.broadcast_to(a[0], a.shape),
        "subclass": lambda a: a.view(type("Field", (np.ndarray,), {})),
    }


@pytest.mark.parametrize("store", ["fields", "statistics"])
@pytest.mark.parametrize("name", layouts())
def test_any_layout_of_psi0_gives_the_same(name: str, store: str) -> None:
    given = layouts()[name](pulse(3))
    plain = np.array(given, dtype=np.complex128, order="C")
    problem = Problem(GRID)
    found = solve(problem, given, T, store=store)
    expected = solve(problem, plain, T, store=store)
    np.testing.assert_array_equal(found.final, expected.final)
    assert type(found.final) is np.ndarray
    assert found.final.dtype == np.dtype(np.complex128)
    assert found.final.dtype.isnative


def test_times_may_be_any_real_sequence() -> None:
    expected = solve(LINEAR, pulse(), T).psi
    for times in (list(T), tuple(T), T.astype(">f8"), np.repeat(T, 2)[::2]):
        np.testing.assert_array_equal(solve(LINEAR, pulse(), times).psi, expected)
    assert solve(LINEAR, pulse(), range(3)).t.tolist() == [0.0, 1.0, 2.0]


def test_saved_times_do_not_follow_the_callers_array() -> None:
    times = T.copy()
    sol = solve(LINEAR, pulse(), times)
    times[:] = 0
    np.testing.assert_array_equal(sol.t, T)


# --- torch

# torch warns of itself when it first makes a dual number.
torch_deprecations = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script. is deprecated:DeprecationWarning"
)


@pytest.mark.parametrize("store", ["fields", "statistics"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_a_tensor_gives_a_tensor(dtype: str, store: str) -> None:
    torch = pytest.importorskip("torch")
    psi0 = pulse(2, dtype=dtype)
    given = solve(LINEAR, torch.from_numpy(psi0.copy()), T, store=store)
    plain = solve(LINEAR, psi0, T, store=store)
    assert type(given.final) is torch.Tensor
    assert given.final.dtype == getattr(torch, dtype)
    np.testing.assert_array_equal(given.final.numpy(), plain.final)
    np.testing.assert_array_equal(given.energy, plain.energy)
    assert isinstance(given.energy, np.ndarray)


def test_lazy_conjugates_and_negatives_are_carried_out() -> None:
    torch = pytest.importorskip("torch")
    psi0 = torch.from_numpy(pulse(3))
    for view in (psi0.conj(), torch._neg_view(psi0), psi0.T.contiguous().T, psi0[:, ::2].conj()):
        grid = Grid(n=view.shape[-1], length=40.0)
        problem = Problem(grid, nonlinearity=0.0)
        found = solve(problem, view, T)
        expected = solve(problem, view.resolve_conj().resolve_neg().numpy().copy(), T)
        np.testing.assert_array_equal(found.psi.numpy(), expected.psi)


@torch_deprecations
def test_tensors_that_want_gradients_get_them() -> None:
    torch = pytest.importorskip("torch")
    psi0 = torch.from_numpy(pulse()).requires_grad_()
    assert solve(LINEAR, psi0, T).psi.requires_grad
    assert not solve(LINEAR, psi0.detach(), T).psi.requires_grad
    with torch.no_grad():
        assert not solve(LINEAR, psi0, T).psi.requires_grad
    parameter = torch.nn.Parameter(psi0.detach(), requires_grad=False)
    assert type(solve(LINEAR, parameter, T).psi) is torch.Tensor
    forward = torch.autograd.forward_ad
    with forward.dual_level():
        dual = forward.make_dual(psi0.detach(), torch.ones_like(psi0))
        with pytest.raises(NotImplementedError, match="forward-mode tangent"):
            solve(LINEAR, dual, T)


@torch_deprecations
def test_tensors_without_plain_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from torch._subclasses.fake_tensor import FakeTensorMode

    monkeypatch.setattr(_plan, "Stepper", NoStepper)
    psi0 = torch.from_numpy(pulse(2))
    with pytest.raises(TypeError, match=r"torch\.func"):
        torch.func.vmap(lambda row: solve(LINEAR, row, T).psi)(psi0)
    with pytest.raises(TypeError, match=r"torch\.func"):
        torch.func.jvp(lambda z: solve(LINEAR, z, T).psi, (psi0,), (psi0,))
    with pytest.raises(TypeError, match="subclass FakeTensor"):
        solve(LINEAR, FakeTensorMode().from_tensor(psi0), T)
    with pytest.raises(TypeError, match="dense"):
        solve(LINEAR, psi0.to_sparse(), T)
    with pytest.raises(TypeError, match=r"float64; cast it: psi0\.to"):
        solve(LINEAR, psi0.real, T)
    with pytest.raises(NotImplementedError, match=r"device meta.*psi0\.cpu\(\)"):
        solve(LINEAR, psi0.to("meta"), T)


@pytest.mark.gpu
def test_cuda_tensors_are_refused() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    with pytest.raises(NotImplementedError, match=r"cuda:0.*psi0\.cpu\(\)"):
        solve(LINEAR, torch.from_numpy(pulse()).cuda(), T)


# --- what is refused, before any work


def with_bad(value: complex) -> npt.NDArray[Any]:
    psi0 = pulse(2)
    psi0[1, 7] = value
    return psi0


REFUSED_FIELDS = [
    (pulse().real, TypeError, r"float64; cast it: psi0\.astype\(numpy\.complex128\)"),
    (np.ones(128, dtype=int), TypeError, "int64; cast it"),
    (pulse().astype(np.clongdouble), TypeError, "complex128, got complex256|got clongdouble"),
    (pulse().astype(object), TypeError, "got object"),
    (list(pulse()), TypeError, "got list"),
    (None, TypeError, "got NoneType"),
    (np.ma.array(pulse()), TypeError, r"masked array.*psi0\.filled"),
    (pulse()[:-1], ValueError, r"shape \(\.\.\., 128\) of the grid, got \(127,\)"),
    (pulse(3).T, ValueError, r"got \(128, 3\)"),
    (np.array(1j), ValueError, r"got \(\)"),
    (with_bad(np.nan), ValueError, r"finite, got \(?nan.*at index \(1, 7\)"),
    (with_bad(1j * np.inf), ValueError, r"at index \(1, 7\)"),
]

REFUSED_TIMES = [
    ([], ValueError, r"at least one entry, got shape \(0,\)"),
    (1.0, ValueError, r"one-dimensional.*got shape \(\)"),
    ([[0.0, 1.0]], ValueError, r"got shape \(1, 2\)"),
    ([0.0, 1.0, 1.0], ValueError, r"increase strictly, got t\[1\] = 1\.0 and t\[2\] = 1\.0"),
    ([0.0, 1.0, 0.5], ValueError, "increase strictly"),
    ([0.0, np.nan], ValueError, "t must be finite, got nan"),
    ([0.0, np.inf], ValueError, "t must be finite, got inf"),
    ([0j, 1j], TypeError, "t must hold real numbers, got dtype complex128"),
    (["a", "b"], TypeError, "t must hold real numbers"),
    ([True, False], TypeError, "t must hold real numbers"),
]

REFUSED_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"method": "rk4"}, ValueError, "method must be one of strang, .*published; got 'rk4'"),
    ({"method": 4}, TypeError, "method must be a string or None, got int"),
    ({"method": "etdrk4"}, ValueError, "step must be given for method 'etdrk4'"),
    ({"method": "published", "step": 0.1}, ValueError, "step must be None for method 'published'"),
    ({"step": 0.0}, ValueError, "step must be positive and finite, got 0"),
    ({"step": -0.1}, ValueError, "step must be positive and finite, got -0.1"),
    ({"step": np.nan}, ValueError, "step must be positive and finite, got nan"),
    ({"step": np.inf}, ValueError, "step must be positive and finite, got inf"),
    ({"step": 1e-20}, ValueError, "step must be at least"),
    ({"step": "0.1"}, TypeError, "step must be a real number, got '"),
    ({"step": True}, TypeError, "step must be a real number, got True"),
    ({"step": 0.1, "rtol": 1e-6}, ValueError, "step excludes rtol and atol"),
    ({"step": 0.1, "atol": 1e-6}, ValueError, "step excludes rtol and atol"),
    ({"rtol": -1e-6}, ValueError, "rtol must be finite and at least 0, got -1e-06"),
    ({"atol": -1e-6}, ValueError, "atol must be finite and at least 0"),
    ({"rtol": np.nan}, ValueError, "rtol must be finite"),
    ({"atol": np.inf}, ValueError, "atol must be finite"),
    ({"rtol": 0, "atol": 0}, ValueError, "must not both be 0"),
    ({"rtol": 1j}, TypeError, "rtol must be a real number, got "),
    ({"rtol": 1e-16, "atol": 0}, ValueError, "rtol must be at least 8.9e-16 in complex128"),
    ({"rtol": 0, "atol": 1e-16}, ValueError, "atol=1e-16, which ask for"),
    ({"dealias": "2/3"}, ValueError, "dealias must be one of None, 'two_thirds', 'exponential'"),
    ({"dealias": True}, ValueError, "dealias must be one of"),
    ({"method": "published", "dealias": "two_thirds"}, ValueError, "filter of its own"),
    ({"store": "all"}, ValueError, "store must be one of 'fields', 'statistics'; got 'all'"),
    ({"store": None}, ValueError, "store must be one of"),
    ({"store": "statistics"}, ValueError, "needs at least 2 realisations"),
]


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plan, "Stepper", NoStepper)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("psi0", "kind", "message"), REFUSED_FIELDS)
def test_bad_fields_are_refused(psi0: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        solve(LINEAR, psi0, T)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("t", "kind", "message"), REFUSED_TIMES)
def test_bad_times_are_refused(t: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        solve(LINEAR, pulse(), t)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("options", "kind", "message"), REFUSED_OPTIONS)
def test_bad_options_are_refused(
    options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        solve(LINEAR, pulse(), T, **options)


@pytest.mark.usefixtures("no_work")
def test_other_mistakes_are_refused() -> None:
    with pytest.raises(TypeError, match="problem must be a Problem, got Grid"):
        solve(GRID, pulse(), T)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"rtol must be at least 4\.8e-07 in complex64"):
        solve(LINEAR, pulse(dtype=np.complex64), T, rtol=1e-9, atol=1e-12)
    per_realisation = Problem(GRID, nonlinearity=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"those of the problem, \(2,\), broadcast to; got \(3,\)"):
        solve(per_realisation, pulse(3), T)
    with pytest.raises(ValueError, match=r"broadcast to; got \(\)"):
        solve(per_realisation, pulse(), T)


def test_tolerances_count_together() -> None:
    # A tiny rtol is no demand while atol allows more, and a vanishing field asks for nothing.
    solve(LINEAR, pulse(), T, rtol=1e-17, atol=1e-8)
    solve(LINEAR, pulse(), T, rtol=1e-6, atol=0)
    assert not solve(LINEAR, 0 * pulse(), T, rtol=1e-17, atol=1e-17).psi.any()


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
