"""Gradients of ensembles on a GPU, with a stand-in for `_cuda` that takes the flows back with NumPy.

It reads and writes the same addresses as the kernels, so that what goes back when, the parts of a run, sums, shapes,
conversions, device and stream are checked where there is no GPU.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import pytest
import torch

from fourfold.nlse import _cuda_backward, _cuda_segments
from tests.nlse.cuda_stand_in import DEVICE, STREAM, install, install_nothing, there

Tensor = torch.Tensor
Array = np.ndarray[Any, Any]
N, POINTS_OF_THREAD = 32, 16
T = torch.tensor([0.0, 0.25, 0.5, 0.6], dtype=torch.float64)
PLACES = np.random.default_rng().permutation(N)  # of the frequencies

OUTER_6B = [0.0829844064174052, 0.396309801498368, -0.0390563049223486]
INNER_6B = [0.245298957184271, 0.604872665711080]
# Kinetic and potential durations of a step.
PROGRAMS: dict[str, tuple[list[float], list[float]]] = {
    "strang": ([0.5, 0.5], [1.0]),
    "rkn4_6b": (
        [*INNER_6B, *[0.5 - sum(INNER_6B)] * 2, *INNER_6B[::-1]],
        [*OUTER_6B, 1 - 2 * sum(OUTER_6B), *OUTER_6B[::-1]],
    ),
}


def view(address: int, shape: tuple[int, ...], dtype: Any) -> Array:
    """Memory, to be read and written."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype=dtype).reshape(shape)


class Chain:
    """P_0 K_0 P_1 .. K_(F-1) P_F, as durations in steps; potential flows may be None."""

    def __init__(self, method: str, steps: int) -> None:
        a, b = PROGRAMS[method]
        self.kinetic: list[float] = []
        self.potential: list[float | None] = []
        kinetic_first = len(a) > len(b)
        if kinetic_first:
            for s in range(steps):
                self.kinetic += [a[0] if s == 0 else a[-1] + a[0], *a[1:-1]]
                self.potential += [None if s == 0 else b[-1], *b[:-1]]
            self.kinetic.append(a[-1])
            self.potential += [b[-1], None]
        else:
            for s in range(steps):
                self.kinetic += a
                self.potential += [b[0] if s == 0 else b[-1] + b[0], *b[1:-1]]
            self.potential.append(b[-1])
        assert len(self.potential) == len(self.kinetic) + 1


class Recorder:
    """`_cuda.nlse.Ensemble`."""

    calls: list[str]
    batches: set[int]

    def __init__(self, **what: Any) -> None:
        self.what = what
        self.n, self.batch = what["n"], what["batch"]
        self.real = np.float32 if what["single"] else np.float64
        self.complex = np.complex64 if what["single"] else np.complex128
        self.step = 0.0

    def shared_memory(self) -> int:
        return int(self.n) * (8 if self.what["single"] else 16)

    def tables_size(self) -> int:
        return 4096

    def slopes_size(self) -> int:
        assert self.what["lossy"]
        return 512

    def interval(self, t0: float, t1: float, step: float) -> tuple[float, int]:
        return t1 - t0, math.ceil((t1 - t0) / step - 1e-9)

    def flows(self, steps: int) -> int:
        return len(Chain(self.what["method"], steps).kinetic)

    def of_medium(self, address: int, shared: str, tail: tuple[int, ...]) -> Array:
        """Rows that broadcast to the batch, copied."""
        rows = 1 if self.what[shared] else self.batch
        return view(address, (rows, *tail), self.real).astype(np.float64)

    def build_tables(
        self, *, step: float, omega: int, filter: int, loss: int, tables: int, **queue: int
    ) -> None:
        assert queue == {"device": DEVICE, "stream": STREAM}
        ctypes.memset(tables, 7, self.tables_size())  # it is all there
        self.omega = view(omega, (self.n,), np.float64).copy()
        self.filter = np.ones(self.n)
        if filter:
            self.filter = view(filter, (self.n,), self.real).astype(np.float64)
        assert (loss != 0) == self.what["lossy"]
        self.loss = (
            self.of_medium(loss, "shared_loss", (self.n,)) if loss else np.zeros((1, self.n))
        )
        self.step, self.tables = step, tables
        Recorder.calls.append("tables")
        Recorder.batches.add(self.batch)

    def build_slopes(self, *, step: float, loss: int, slopes: int, **queue: int) -> None:
        assert queue == {"device": DEVICE, "stream": STREAM}
        assert step == self.step
        assert np.array_equal(self.of_medium(loss, "shared_loss", (self.n,)), self.loss)
        ctypes.memset(slopes, 7, self.slopes_size())
        self.slopes = slopes

    def medium(
        self,
        nonlinearity: int,
        potential: int,
        step: float,
        tables: int,
        twiddles: int,
        **queue: int,
    ) -> tuple[Array, Array]:
        assert queue == {"device": DEVICE, "stream": STREAM}
        assert (step, tables) == (self.step, self.tables)
        assert view(twiddles, (self.n,), self.real).tolist() == list(range(self.n))
        g = self.of_medium(nonlinearity, "shared_nonlinearity", ())[:, None]
        v = np.zeros((1, self.n))
        if potential:
            v = self.of_medium(potential, "shared_potential", (self.n,))
        return g, v

    def effective(self, tau: float) -> tuple[Array, Array]:
        """The effective time (1 - exp(-2 gamma tau))/(2 gamma) and its derivative by gamma, by series."""
        u = 2 * self.loss * tau
        assert np.abs(u).max() < 2
        time = sum((-u) ** j / math.factorial(j + 1) for j in range(30))
        slope = sum((j + 1) * (-u) ** j / math.factorial(j + 2) for j in range(30))
        return np.asarray(tau * time), np.asarray(-2 * tau**2 * slope)

    def kinetic_factor(self, duration: float) -> Array:
        return np.asarray(self.filter * np.exp(-1j * self.omega * duration * self.step))

    def record(
        self,
        *,
        steps: int,
        first: int,
        last: int,
        psi: int,
        fields: int,
        spectra: int,
        out: int,
        **given: Any,
    ) -> None:
        Recorder.calls.append("record" if fields else "checkpoint")
        chain = Chain(self.what["method"], steps)
        flows = len(chain.kinetic)
        assert 0 <= first < last <= flows
        assert fields != 0 or spectra == 0
        assert (out != 0) == (fields == 0 or last == flows)
        g, v = self.medium(**given)
        shape = (self.batch, self.n)
        z = view(psi, shape, self.complex).astype(np.complex128)
        for k in range(first, last + 1):
            if k < last or k == flows:
                if fields:
                    size = math.prod(shape) * np.dtype(self.complex).itemsize
                    view(fields + (k - first) * size, shape, self.complex)[:] = z
                if (duration := chain.potential[k]) is not None:
                    tau = duration * self.step
                    time, _ = self.effective(tau)
                    z = z * np.exp(-self.loss * tau + 1j * (g * np.abs(z) ** 2 * time - v * tau))
            if k == last:
                break
            spectrum = np.fft.fft(z) * self.kinetic_factor(chain.kinetic[k])
            if spectra:
                size = math.prod(shape) * np.dtype(self.complex).itemsize
                kept = view(spectra + (k - first) * size, shape, self.complex)
                kept[:, PLACES] = spectrum / self.n
            z = np.fft.ifft(spectrum)
        if out:
            view(out, shape, self.complex)[:] = z

    def adjoint(
        self,
        *,
        steps: int,
        first: int,
        last: int,
        cotangent: int,
        fields: int,
        spectra: int,
        slopes: int,
        sum_nonlinearity: int,
        sum_potential: int,
        sum_loss: int,
        sum_omega: int,
        **given: Any,
    ) -> None:
        Recorder.calls.append("adjoint")
        chain = Chain(self.what["method"], steps)
        flows = len(chain.kinetic)
        g, v = self.medium(**given)
        shape = (self.batch, self.n)
        size = math.prod(shape) * np.dtype(self.complex).itemsize
        if sum_loss:
            assert slopes == self.slopes
        at = view(cotangent, shape, self.complex)
        mu = at.astype(np.complex128)
        for k in range(last, first - 1, -1):
            duration = chain.potential[k]
            if (k < last or k == flows) and duration is not None:
                z = view(fields + (k - first) * size, shape, self.complex).astype(np.complex128)
                tau = duration * self.step
                time, slope = self.effective(tau)
                intensity = np.abs(z) ** 2
                mu = mu * np.exp(-self.loss * tau - 1j * (g * intensity * time - v * tau))
                s, r = (z.conj() * mu).imag, (z.conj() * mu).real
                if sum_potential:
                    view(sum_potential, shape, np.float64)[:] -= tau * s
                if sum_nonlinearity:
                    threads = self.n // POINTS_OF_THREAD
                    parts = (intensity * time * s).reshape(self.batch, POINTS_OF_THREAD, threads)
                    view(sum_nonlinearity, (self.batch, threads), np.float64)[:] += parts.sum(1)
                if sum_loss:
                    view(sum_loss, shape, np.float64)[:] += g * intensity * slope * s - tau * r
                mu = mu + 2 * g * time * s * z
            if k == first:
                break
            spectrum = np.fft.fft(mu)
            if sum_omega:
                behind = view(spectra + (k - 1 - first) * size, shape, self.complex)
                tau = chain.kinetic[k - 1] * self.step
                turn = (spectrum.conj() * behind[:, PLACES]).imag
                view(sum_omega, shape, np.float64)[:, PLACES] += tau * turn
            mu = np.fft.ifft(self.kinetic_factor(chain.kinetic[k - 1]).conj() * spectrum)
        at[:] = mu


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder.calls = []
    Recorder.batches = set()
    install(
        monkeypatch,
        Ensemble=Recorder,
        points_of_thread=POINTS_OF_THREAD,
        most_adjoint_steps=1000,
        frequencies=lambda n: np.argsort(PLACES).astype(np.int64).tobytes(),
    )


def real(*shape: int) -> Tensor:
    return 0.3 * torch.randn(shape, dtype=torch.float64)


def media(n: int = N) -> dict[str, tuple[Tensor, Tensor | None, Tensor | None]]:
    """nonlinearity, potential, loss"""
    return {
        "plain": (torch.tensor(1.0), None, None),
        "shared": (torch.tensor(-0.5), real(n), real(n)),
        "own": (real(2, 3), real(2, 3, n), real(2, 3, n)),
        "broadcast": (real(3), real(2, 1, n), real(3, n).to(torch.float32)),
        "strided": (real(3, 2).T, real(n, 3).T, torch._neg_view(real(2, 3, n))),
    }


def omega_of(n: int) -> Tensor:
    """Of a dispersion that stays weak enough for rounding errors."""
    omega: Tensor = 0.5 * torch.fft.fftfreq(n, 1 / n).to(torch.float32) ** 2
    return omega.clamp(max=2000.0)


def both_ways(
    psi0: Tensor,
    medium: tuple[Tensor, Tensor | None, Tensor | None],
    options: tuple[Any, ...],
    wanted: list[bool],
    t: Tensor = T,
    spoil: Any = None,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The CPU's gradients and those by way of the stand-in."""
    omega = omega_of(psi0.shape[-1])
    psi, steps = torch.ops.fourfold.nlse_propagate(psi0, t, omega, *medium, *options)
    gradient = torch.randn_like(psi).conj()
    op = torch.ops.fourfold.nlse_propagate_backward
    expected = op(gradient, psi, steps, t, omega, *medium, *options, wanted)
    if spoil is not None:
        psi = spoil(psi)
    given = [there(x) for x in (omega, *medium)]
    arguments: list[Any] = [there(gradient), there(psi), t, *given, *options, wanted]
    found = _cuda_backward.backward(*arguments)
    return expected, tuple(x.as_subclass(Tensor) for x in found)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("medium", list(media()))
@pytest.mark.parametrize(
    ("method", "dealias", "in_parts"),
    [("strang", None, True), ("rkn4_6b", "exponential", True), ("rkn4_6b", None, False)],
)
def test_same_gradients_as_on_the_cpu(
    method: str,
    dealias: str | None,
    in_parts: bool,
    medium: str,
    dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if in_parts:
        monkeypatch.setattr(_cuda_segments, "_SCRATCH", 1)
        monkeypatch.setattr(_cuda_segments, "_FIELDS_AT_ONCE", 4 * N * dtype.itemsize)
    psi0 = (0.5 * torch.randn(2, 3, N, dtype=dtype)).conj()
    given = media()[medium]
    wanted = [True, True, True, given[1] is not None, given[2] is not None]
    options = (method, 0.05, None, None, dealias, None)
    expected, found = both_ways(psi0, given, options, wanted)
    eps = torch.finfo(dtype).eps
    for exact, ours in zip(expected, found, strict=True):
        assert (ours.shape, ours.dtype) == (exact.shape, exact.dtype)
        size = 1 + float(exact.abs().max() if exact.numel() else 0)
        own = torch.finfo(exact.dtype).eps
        assert torch.allclose(ours, exact, rtol=0, atol=(500 * eps + 10 * own) * size)
    assert ("checkpoint" in Recorder.calls) == in_parts
    assert Recorder.batches == ({3} if in_parts else {6})


@pytest.mark.parametrize("asked", range(5))
def test_only_what_is_asked_for(asked: int) -> None:
    psi0 = 0.5 * torch.randn(4, N, dtype=torch.complex128)
    wanted = [i == asked for i in range(5)]
    given = (torch.tensor(0.7), real(N), real(4, N))
    expected, found = both_ways(psi0, given, ("strang", 0.1, None, None, None, None), wanted)
    for i, (exact, ours) in enumerate(zip(expected, found, strict=True)):
        assert (ours.shape, ours.dtype) == (exact.shape, exact.dtype)
        assert (ours.numel() > 0) == (i == asked)
        assert torch.allclose(ours, exact, atol=1e-12)


def test_one_field_one_time_and_no_field() -> None:
    options, plain = ("strang", 0.1, None, None, None, None), (torch.tensor(1.0), None, None)
    wanted = [True, True, True, False, False]
    one = 0.5 * torch.randn(N, dtype=torch.complex128)
    for psi0, t in ((one, T), (one, T[:1]), (torch.empty(0, N, dtype=torch.complex64), T)):
        expected, found = both_ways(psi0, plain, options, wanted, t)
        for exact, ours in zip(expected, found, strict=True):
            assert (ours.shape, ours.dtype) == (exact.shape, exact.dtype)
            assert torch.allclose(ours, exact, atol=1e-11)


def test_a_missed_state_gives_nan() -> None:
    def spoil(psi: Tensor) -> Tensor:
        spoiled = psi.clone()
        spoiled[1, 2] *= 1 + 1e-4
        return spoiled

    psi0 = 0.5 * torch.randn(4, N, dtype=torch.complex128)
    given = (real(4), real(N), None)
    # The first and the second interval begin and end with what was spoiled.
    wanted = [True, True, True, True, False]
    options: tuple[Any, ...] = ("strang", 0.1, None, None, None, None)
    expected, found = both_ways(psi0, given, options, wanted, spoil=spoil)
    others = [0, 1, 3]
    assert bool(found[0][2].real.isnan().all())
    assert torch.allclose(found[0][others], expected[0][others], atol=1e-11)
    assert bool(found[2][2].isnan())
    assert torch.allclose(found[2][others], expected[2][others], atol=1e-11)
    assert bool(found[1].isnan().all())
    assert bool(found[3].isnan().all())
    patient = (*options[:-1], 1e-2)
    _, found = both_ways(psi0, given, patient, wanted, spoil=spoil)
    assert all(bool(x.isfinite().all()) for x in found)


def call(**changed: Any) -> None:
    psi = there(torch.zeros(len(T), 2, N, dtype=torch.complex128))
    given: dict[str, Any] = {
        "t": T,
        "omega": there(torch.zeros(N)),
        "nonlinearity": there(torch.tensor(1.0)),
        "potential": None,
        "loss": None,
        "method": "strang",
        "step": 0.1,
        "rtol": None,
        "atol": None,
        "dealias": None,
        "tolerance": None,
        "wanted": [True] + [False] * 4,
    }
    _cuda_backward.backward(torch.zeros_like(psi), psi, **(given | changed))


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({"step": None}, NotImplementedError, "gradients of adaptive steps"),
        ({"method": "rk4ip"}, NotImplementedError, "'rk4ip' has no gradients"),
        ({"step": 1e-4}, NotImplementedError, "2500 steps from t = 0 to t = 0.25 .* save more"),
        ({"potential": there(torch.zeros(N - 1))}, ValueError, "potential must have the shape"),
    ],
)
def test_refusals(changed: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call(**changed)
    assert Recorder.calls == []


def test_without_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    install_nothing(monkeypatch)
    with pytest.raises(NotImplementedError, match=r"has no CUDA kernels \("):
        call()


def test_parts() -> None:
    field = 16 * 1024
    at_once, length = _cuda_segments.realisations_at_once, _cuda_segments.segment_length
    # A few flows of a small ensemble: all of it.
    assert (at_once(10, 100, field, field), length(10, 100, field, field)) == (100, 10)
    # So many that records do not fit: 16 MiB of fields, in segments.
    assert at_once(10_000, 16_384, field, field) == 1024
    assert length(10_000, 1024, field, field) == 100
    assert length(10_000, 1024, field, 2 * field) == math.ceil(math.sqrt(5000))
    # Parts are about equally large, and none where there is nothing to divide.
    assert at_once(10_000, 1025, field, field) == 513
    assert at_once(10_000, 3, field, field) == 3
    assert length(1, 1 << 20, field, field) == 1
    # Between: as many as 1 GiB holds.
    count = at_once(20, 16_384, field, field)
    assert count * 22 * field <= 1 << 30 < 1.2 * count * 22 * field
