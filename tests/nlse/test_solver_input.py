"""`solve`: what it accepts, NumPy and torch, and what it refuses before any work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fourfold.nlse import _plan
from fourfold.nlse.grid import Grid
from fourfold.nlse.problem import Problem
from fourfold.nlse.solver import solve
from tests.nlse.solving import GRID, LINEAR, NoStepper, T, pulse

pytestmark = pytest.mark.isa

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
