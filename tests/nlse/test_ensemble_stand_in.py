"""What Python hands to the CUDA kernels of ensembles, seen by a stand-in for `_cuda` that computes on the CPU.

It reads the same addresses, so that shapes, strides, conversions, tables, device and stream are checked where there is
no GPU.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import pytest
import torch

from fourfold import _core, nlse
from fourfold.nlse import _cuda_kernel
from tests.nlse.cuda_stand_in import DEVICE, STREAM, install, install_nothing, there

Tensor = torch.Tensor
N = 32
T = torch.tensor([0.0, 0.25, 0.5, 0.6], dtype=torch.float64)


def read(address: int, count: int, dtype: Any) -> np.ndarray[Any, Any]:
    size = count * np.dtype(dtype).itemsize
    return np.frombuffer(ctypes.string_at(address, size), dtype=dtype)


class Recorder:
    """`_cuda.nlse.Ensemble`."""

    built: int

    def __init__(self, **what: Any) -> None:
        self.what = what
        self.real = np.float32 if what["single"] else np.float64
        self.ends = (0.0, 0.0)

    def shared_memory(self) -> int:
        return int(self.what["n"]) * (8 if self.what["single"] else 16)

    def tables_size(self) -> int:
        return 4096

    def interval(self, t0: float, t1: float, step: float) -> tuple[float, int]:
        self.ends = (t0, t1)
        return t1 - t0, math.ceil((t1 - t0) / step - 1e-9)

    def doubles(self, address: int, count: int) -> np.ndarray[Any, Any]:
        return read(address, count, self.real).astype(np.float64)

    def build_tables(
        self, *, step: float, omega: int, filter: int, loss: int, tables: int, **queue: int
    ) -> None:
        assert queue == {"device": DEVICE, "stream": STREAM}
        ctypes.memset(tables, 7, self.tables_size())  # it is all there
        n, batch = self.what["n"], self.what["batch"]
        self.omega = read(omega, n, np.float64)
        self.filter = self.doubles(filter, n) if filter else None
        self.loss = None
        assert (loss != 0) == self.what["lossy"]
        if loss:
            self.loss = self.doubles(loss, n * (1 if self.what["shared_loss"] else batch))
        self.step, self.tables = step, tables
        Recorder.built += 1

    def advance(
        self,
        *,
        step: float,
        steps: int,
        psi: int,
        out: int,
        nonlinearity: int,
        potential: int,
        twiddles: int,
        tables: int,
        **queue: int,
    ) -> None:
        assert queue == {"device": DEVICE, "stream": STREAM}
        assert (step, tables) == (self.step, self.tables)
        n, batch = self.what["n"], self.what["batch"]
        assert read(twiddles, n, self.real).tolist() == list(range(n))
        g = self.doubles(nonlinearity, 1 if self.what["shared_nonlinearity"] else batch)
        v = None
        if potential:
            v = self.doubles(potential, n * (1 if self.what["shared_potential"] else batch))
        kind = "IntegratorComplex64" if self.what["single"] else "IntegratorComplex128"
        integrator = getattr(_core.nlse, kind)(
            n=n,
            batch=batch,
            method=self.what["method"],
            order=2,
            step=step,
            rtol=0.0,
            atol=0.0,
            t_start=self.ends[0],
            t_end=self.ends[1],
            omega=self.omega.ctypes.data,
            filter=0 if self.filter is None else self.filter.ctypes.data,
            nonlinearity=g.ctypes.data,
            shared_nonlinearity=self.what["shared_nonlinearity"],
            potential=0 if v is None else v.ctypes.data,
            shared_potential=self.what["shared_potential"],
            loss=0 if self.loss is None else self.loss.ctypes.data,
            shared_loss=self.what["shared_loss"],
        )
        ctypes.memmove(out, psi, n * batch * 2 * np.dtype(self.real).itemsize)
        assert integrator.advance(out, *self.ends, 1)[0] == 0


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder.built = 0
    install(monkeypatch, Ensemble=Recorder)


def real(*shape: int) -> Tensor:
    return 0.3 * torch.randn(shape, dtype=torch.float64)


# nonlinearity, potential, loss
MEDIA: dict[str, tuple[Tensor, Tensor | None, Tensor | None]] = {
    "plain": (torch.tensor(1.0), None, None),
    "shared": (torch.tensor(-0.5), real(N), real(N)),
    "own": (real(2, 3), real(2, 3, N), real(2, 3, N)),
    "broadcast": (real(3), real(2, 1, N), real(3, N).to(torch.float32)),
    "strided": (real(3, 2).T, real(N, 3).T, torch._neg_view(real(2, 3, N))),
    "integers": (torch.tensor(2), torch.arange(N), None),
}


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("medium", list(MEDIA))
@pytest.mark.parametrize(
    ("method", "dealias"),
    [("strang", None), ("rkn4_6b", "exponential"), ("rkn6_14a", "two_thirds")],
)
def test_same_answer_as_on_the_cpu(
    method: str, dealias: str | None, medium: str, dtype: torch.dtype
) -> None:
    psi0 = (0.5 * torch.randn(2, 3, N, dtype=dtype)).conj()
    omega = 0.5 * torch.fft.fftfreq(N, 1 / N).to(torch.float32) ** 2
    g, v, gamma = MEDIA[medium]
    options: Any = (method, 0.1, None, None, dealias)
    nlse.propagate  # noqa: B018 (registers the operator)
    expected = torch.ops.fourfold.nlse_propagate(psi0, T, omega, g, v, gamma, *options, None)
    given = [there(x) for x in (omega, g, v, gamma)]
    psi, steps = _cuda_kernel.propagate(there(psi0), T, *given, *options)
    assert psi.dtype == dtype
    eps = torch.finfo(dtype).eps
    assert torch.allclose(psi.as_subclass(Tensor), expected[0], rtol=0, atol=200 * eps)
    assert torch.allclose(steps.as_subclass(Tensor), expected[1], rtol=1e-14)
    # Of the last intervals: their steps differ.
    assert 2 <= Recorder.built <= 3


def test_one_field_and_no_field() -> None:
    omega = 0.5 * torch.fft.fftfreq(N, 1 / N) ** 2
    g = torch.tensor(1.0)
    psi0 = torch.randn(N, dtype=torch.complex128)
    options = (None, None, "strang", 0.05, None, None, None)
    psi, steps = _cuda_kernel.propagate(there(psi0), T, there(omega), there(g), *options)
    assert (psi.shape, steps.shape) == ((4, N), (3,))
    assert torch.equal(psi[0].as_subclass(Tensor), psi0)
    psi, steps = _cuda_kernel.propagate(there(psi0), T[:1], there(omega), there(g), *options)
    assert (psi.shape, steps.shape) == ((1, N), (0,))
    none = torch.empty(0, N, dtype=torch.complex64)
    psi, steps = _cuda_kernel.propagate(there(none), T, there(omega), there(g), *options)
    assert (psi.shape, steps.shape) == ((4, 0, N), (3, 0))


def call(psi0: Any = None, n: int = N, **changed: Any) -> None:
    if psi0 is None:
        psi0 = there(torch.zeros(2, n, dtype=changed.pop("dtype", torch.complex128)))
    given: dict[str, Any] = {
        "t": T,
        "omega": there(torch.zeros(n)),
        "nonlinearity": there(torch.tensor(1.0)),
        "potential": None,
        "loss": None,
        "method": "strang",
        "step": 0.1,
        "rtol": None,
        "atol": None,
        "dealias": None,
    }
    _cuda_kernel.propagate(psi0, **(given | changed))


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({"method": "rk4ip"}, NotImplementedError, "'rk4ip' has no CUDA kernel"),
        ({"method": "published"}, ValueError, "solve has it"),
        ({"method": "euler"}, ValueError, "method must be one of"),
        ({"n": 33}, ValueError, "n must have no prime factor but 2, 3 and 5, got 33"),
        ({"dtype": torch.float64}, TypeError, "psi0 must be complex64"),
        ({"t": there(T)}, ValueError, "t must be on the CPU"),
        ({"t": T.flip(0)}, ValueError, "t must increase strictly"),
        ({"omega": torch.zeros(N)}, ValueError, "omega must be on .*like psi0, got cpu"),
        ({"omega": there(torch.zeros(1, N))}, ValueError, r"omega must have shape \(n,\)"),
        (
            {"omega": there(torch.zeros(N + 4))},
            ValueError,
            r"psi0 must have the shape \(\.\.\., 36",
        ),
        ({"potential": there(torch.zeros(N - 1))}, ValueError, "potential must have the shape"),
        ({"loss": there(torch.zeros(3, N))}, ValueError, "those of loss"),
        ({"nonlinearity": there(torch.zeros(3))}, ValueError, "those of nonlinearity"),
        ({"potential": there(torch.zeros(N) + 0j)}, TypeError, "potential must be real"),
        ({"rtol": 1e-6}, ValueError, "step excludes rtol"),
        ({"step": -1.0}, ValueError, "step must be positive"),
        ({"dealias": "half"}, ValueError, "dealias must be one of"),
    ],
)
def test_refusals(changed: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call(**changed)
    assert Recorder.built == 0


def test_without_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    install_nothing(monkeypatch)
    with pytest.raises(NotImplementedError, match=r"has no CUDA kernels \("):
        call()
