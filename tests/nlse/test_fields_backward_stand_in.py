"""Gradients of fields through torch's transforms on a GPU, here on the CPU with a stand-in for the kernels between them.

As in test_fields_stand_in.py the chain of flows, what is recorded and the transforms are the real ones.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import pytest
import torch

from fourfold.nlse import _cuda_blocks, _cuda_segments
from tests.nlse.cuda_stand_in import DEVICE, STREAM, install
from tests.nlse.test_backward_stand_in import both_ways, media, real
from tests.nlse.test_ensemble_stand_in import Recorder, T
from tests.nlse.test_fields_stand_in import FieldRecorder, there_is

Tensor = torch.Tensor
Array = np.ndarray[Any, Any]
SUMS_OF_ROW = 7


class BackwardRecorder(FieldRecorder):
    """`_cuda.nlse.Fields`, back as well."""

    calls: list[tuple[str, int]]
    batches: set[int]

    def check_turn(self, k: int, what: str) -> None:
        BackwardRecorder.calls.append((what, k))
        BackwardRecorder.batches.add(self.shape[0])

    def flows(self, steps: int) -> int:
        return steps * (len(self.potential_times) - 1) + (steps + 1 if self.kinetic_first else 0)

    def sums_of_row(self) -> int:
        return SUMS_OF_ROW

    def slopes_size(self) -> int:
        assert self.what["lossy"]
        return 512

    def build_slopes(self, *, step: float, loss: int, slopes: int, **queue: int) -> None:
        assert queue == {"device": DEVICE, "stream": STREAM}
        assert step == self.step
        assert self.loss is not None
        assert np.array_equal(self.doubles(loss, self.loss.size), self.loss)
        ctypes.memset(slopes, 7, self.slopes_size())
        self.slopes = slopes

    def effective(self, tau: float) -> tuple[Array, Array]:
        """The effective time (1 - exp(-2 gamma tau))/(2 gamma) and its derivative by gamma, by series."""
        u = 2 * self.gamma * tau
        assert np.abs(u).max() < 2
        time = sum((-u) ** j / math.factorial(j + 1) for j in range(30))
        slope = sum((j + 1) * (-u) ** j / math.factorial(j + 2) for j in range(30))
        return np.asarray(tau * time), np.asarray(-2 * tau**2 * slope)

    def sums(self, address: int, width: int) -> Array:
        return there_is(address, self.shape[0] * width, np.float64).reshape(-1, width)

    def kinetic_adjoint(self, k: int, *, cotangent: int, spectrum: int, sum_omega: int) -> None:
        self.check_turn(k, "kinetic back")
        assert (spectrum != 0) == (sum_omega != 0)
        mu = self.field(cotangent)
        if sum_omega:
            turn = (mu.conj() * self.field(spectrum)).imag
            self.sums(sum_omega, self.shape[1])[:] += self.kinetic_time(k) * turn
        mu *= self.kinetic_factor(k).conj().astype(self.complex)

    def potential_adjoint(
        self,
        k: int,
        *,
        psi: int,
        cotangent: int,
        slopes: int,
        sum_nonlinearity: int,
        sum_potential: int,
        sum_loss: int,
    ) -> None:
        self.check_turn(k, "potential back")
        if sum_loss:
            assert slopes == self.slopes
        z, n = self.field(psi).astype(np.complex128), self.shape[1]
        tau = self.potential_time(k)
        time, slope = self.effective(tau)
        intensity = np.abs(z) ** 2
        back = np.exp(-self.gamma * tau - 1j * (self.g * intensity * time - self.v * tau))
        mu = self.field(cotangent) * back
        s, r = (z.conj() * mu).imag, (z.conj() * mu).real
        if sum_potential:
            self.sums(sum_potential, n)[:] -= tau * s
        if sum_nonlinearity:
            parts = self.sums(sum_nonlinearity, SUMS_OF_ROW)
            np.add.at(parts.T, np.arange(n) % SUMS_OF_ROW, (intensity * time * s).T)
        if sum_loss:
            self.sums(sum_loss, n)[:] += self.g * intensity * slope * s - tau * r
        self.field(cotangent)[:] = mu + 2 * self.g * time * s * z


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder.built = FieldRecorder.taken = 0
    BackwardRecorder.calls = []
    BackwardRecorder.batches = set()
    install(
        monkeypatch,
        Ensemble=BackwardRecorder,  # asked for numbers of steps and flows alone
        Fields=BackwardRecorder,
        most_adjoint_steps=1000,
    )


def compare(psi0: Tensor, medium: Any, options: tuple[Any, ...], t: Tensor = T) -> None:
    """All gradients with the CPU's."""
    wanted = [True, True, True, medium[1] is not None, medium[2] is not None]
    expected, found = both_ways(psi0, medium, options, wanted, t)
    eps = torch.finfo(psi0.dtype).eps
    for exact, ours in zip(expected, found, strict=True):
        assert (ours.shape, ours.dtype) == (exact.shape, exact.dtype)
        size = 1 + float(exact.abs().max() if exact.numel() else 0)
        own = torch.finfo(exact.dtype).eps
        assert torch.allclose(ours, exact, rtol=0, atol=(500 * eps + 10 * own) * size)


def backwards(calls: list[tuple[str, int]]) -> list[tuple[str, int]]:
    return [call for call in calls if call[0].endswith("back")]


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("medium", list(media()))
@pytest.mark.parametrize(
    ("method", "dealias", "in_parts"),
    [
        ("strang", None, True),
        ("yoshida4", "two_thirds", False),
        ("rkn4_6b", "exponential", True),
        ("rkn4_6b", None, False),
    ],
)
def test_same_gradients_as_on_the_cpu(
    method: str,
    dealias: str | None,
    in_parts: bool,
    medium: str,
    dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n = 60
    if in_parts:
        monkeypatch.setattr(_cuda_segments, "_SCRATCH", 1)
        monkeypatch.setattr(_cuda_segments, "_FIELDS_AT_ONCE", 4 * n * dtype.itemsize)
    psi0 = (0.5 * torch.randn(2, 3, n, dtype=dtype)).conj()
    compare(psi0, media(n)[medium], (method, 0.05, None, None, dealias, None))
    assert BackwardRecorder.batches == ({3} if in_parts else {6})
    # To get to the checkpoints flows are taken once more.
    taken = [call[0] for call in BackwardRecorder.calls]
    assert (taken.count("kinetic") > taken.count("kinetic back")) == in_parts


@pytest.mark.parametrize("n", [2, 3, 5, 16, 30, 486, 8192])
@pytest.mark.parametrize("method", ["strang", "rkn4_6b"])
def test_lengths(method: str, n: int) -> None:
    t = torch.tensor([0.0, 0.01, 0.03], dtype=torch.float64)
    psi0 = 0.5 * torch.randn(2, 3, n, dtype=torch.complex128)
    compare(psi0, media(n)["shared"], (method, 0.01, None, None, None, None), t)


@pytest.mark.parametrize("method", ["strang", "rkn4_6b"])
@pytest.mark.parametrize("length", [1, 2, 5])
def test_wherever_the_chain_is_cut(
    method: str, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same flows go back, each once and in the same order, and give the same to the bit."""
    monkeypatch.setattr("fourfold.nlse._cuda_adjoint.segment_length", lambda *sizes: length)
    n, options = 45, (method, 0.05, None, None, "exponential", None)
    psi0, t = 0.5 * torch.randn(3, n, dtype=torch.complex128), T[:2]
    medium = (real(3), real(n), real(3, n))
    torch.manual_seed(seed := int(torch.randint(1 << 30, ())))
    cut = both_ways(psi0, medium, options, [True] * 5, t)[1]
    calls = backwards(BackwardRecorder.calls)
    BackwardRecorder.calls.clear()
    monkeypatch.setattr("fourfold.nlse._cuda_adjoint.segment_length", lambda *sizes: sizes[0])
    torch.manual_seed(seed)
    whole = both_ways(psi0, medium, options, [True] * 5, t)[1]
    assert calls == backwards(BackwardRecorder.calls)
    numbers = [k for what, k in calls if what == "kinetic back"]
    assert numbers == list(range(len(numbers)))[::-1]
    assert all(torch.equal(a, b) for a, b in zip(cut, whole, strict=True))


@pytest.mark.parametrize("asked", range(5))
def test_only_what_is_asked_for(asked: int) -> None:
    psi0 = 0.5 * torch.randn(4, 48, dtype=torch.complex128)
    wanted = [i == asked for i in range(5)]
    given = (torch.tensor(0.7), real(48), real(4, 48))
    expected, found = both_ways(psi0, given, ("strang", 0.1, None, None, None, None), wanted)
    for i, (exact, ours) in enumerate(zip(expected, found, strict=True)):
        assert (ours.shape, ours.dtype) == (exact.shape, exact.dtype)
        assert (ours.numel() > 0) == (i == asked)
        assert torch.allclose(ours, exact, atol=1e-12)


def test_a_missed_state_gives_nan() -> None:
    def spoil(psi: Tensor) -> Tensor:
        spoiled = psi.clone()
        spoiled[1, 2] *= 1 + 1e-4
        return spoiled

    psi0 = 0.5 * torch.randn(4, 50, dtype=torch.complex128)
    given = (real(4), real(50), None)
    wanted = [True, True, True, True, False]
    options: tuple[Any, ...] = ("strang", 0.1, None, None, None, None)
    expected, found = both_ways(psi0, given, options, wanted, spoil=spoil)
    others = [0, 1, 3]
    for i in (0, 2):
        assert bool(torch.view_as_real(found[i] + 0j)[2].isnan().any())
        assert torch.allclose(found[i][others], expected[i][others], atol=1e-11)
    assert bool(found[1].isnan().all())
    assert bool(found[3].isnan().all())


def test_one_field_and_no_field() -> None:
    options = ("rkn4_6b", 0.1, None, None, None, None)
    one = 0.5 * torch.randn(24, dtype=torch.complex128)
    for psi0, t in ((one, T), (one, T[:1]), (torch.empty(0, 24, dtype=torch.complex64), T)):
        compare(psi0, (torch.tensor(1.0), None, None), options, t)


def test_the_same_way_as_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where blocks would hold the field but do not pay."""
    monkeypatch.setattr(_cuda_blocks, "_device", lambda psi0: ((7, 5), 40))
    t = torch.tensor([0.0, 0.01], dtype=torch.float64)
    psi0 = 0.5 * torch.randn(2, 1024, dtype=torch.complex128)
    compare(psi0, (torch.tensor(1.0), None, None), ("strang", 0.01, None, None, None, None), t)
    assert BackwardRecorder.calls
