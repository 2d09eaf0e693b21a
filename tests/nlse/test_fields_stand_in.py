"""Fields on a GPU through torch's transforms, here on the CPU with a stand-in for the kernels between them.

Addresses, tables, the order of the flows and the transforms are the real ones; only what a kernel does to each point is NumPy's.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
import torch

from fourfold import nlse
from fourfold.nlse import _cuda_blocks, _cuda_fields, _cuda_kernel
from tests.nlse.cuda_stand_in import DEVICE, STREAM, install, there
from tests.nlse.test_ensemble_stand_in import Recorder, T, real

Tensor = torch.Tensor
W = 1 / (2 - 2 ** (1 / 3))
V = 1 - 2 * W
B = [0.0829844064174052, 0.396309801498368, -0.0390563049223486]
A = [0.245298957184271, 0.604872665711080]

# Durations of the flows of a step, kinetic and potential.
SCHEMES = {
    "strang": ([0.5, 0.5], [1.0]),
    "yoshida4": ([W / 2, (W + V) / 2, (W + V) / 2, W / 2], [W, V, W]),
    "rkn4_6b": ([*A, *[0.5 - sum(A)] * 2, *A[::-1]], [*B, 1 - 2 * sum(B), *B[::-1]]),
}


def there_is(address: int, count: int, dtype: Any) -> np.ndarray[Any, Any]:
    """The numbers at an address, to be changed in place."""
    size = count * np.dtype(dtype).itemsize
    buffer = (ctypes.c_char * size).from_address(address)
    return np.frombuffer(buffer, dtype=dtype)


class FieldRecorder(Recorder):
    """`_cuda.nlse.Fields`."""

    taken: int

    def __init__(self, **what: Any) -> None:
        super().__init__(**what)
        self.kinetic_times, self.potential_times = SCHEMES[what["method"]]
        self.shape = (what["batch"], what["n"])
        self.complex = np.complex64 if what["single"] else np.complex128

    @property
    def kinetic_first(self) -> bool:
        return len(self.kinetic_times) > len(self.potential_times)

    def begin(
        self,
        *,
        step: float,
        steps: int,
        nonlinearity: int,
        potential: int,
        tables: int,
        **queue: int,
    ) -> int:
        assert queue == {"device": DEVICE, "stream": STREAM}
        assert (step, tables) == (self.step, self.tables)
        batch, n = self.shape
        rows = {
            name: 1 if self.what[f"shared_{name}"] else batch
            for name in ("nonlinearity", "potential", "loss")
        }
        self.g = self.doubles(nonlinearity, rows["nonlinearity"])[:, None]
        self.v = self.gamma = np.zeros((1, n))
        if potential:
            self.v = self.doubles(potential, n * rows["potential"]).reshape(-1, n)
        if self.loss is not None:
            self.gamma = self.loss.reshape(-1, n)
        # One step after the other, the flows where they meet taken together.
        outer, inner = self.potential_times, self.kinetic_times
        if self.kinetic_first:
            outer, inner = inner, outer
        self.outer = (outer[:-1] * steps) + [outer[-1]]
        for s in range(1, steps):
            self.outer[s * (len(outer) - 1)] += outer[-1]
        self.inner = list(inner) * steps
        self.done: list[str] = []
        return len(self.outer if self.kinetic_first else self.inner)

    def kinetic_time(self, k: int) -> float:
        return float((self.outer if self.kinetic_first else self.inner)[k] * self.step)

    def potential_time(self, k: int) -> float:
        return float((self.inner[k - 1] if self.kinetic_first else self.outer[k]) * self.step)

    def kinetic_factor(self, k: int) -> np.ndarray[Any, Any]:
        factor = np.exp(-1j * self.omega * self.kinetic_time(k)) / self.what["n"]
        return np.asarray(factor if self.filter is None else factor * self.filter)

    def check_turn(self, k: int, what: str) -> None:
        """The flows come one after the other."""
        before = 2 * k + (what == "kinetic") - self.kinetic_first
        assert len(self.done) == before
        self.done.append(what)

    def field(self, address: int) -> np.ndarray[Any, Any]:
        count = self.shape[0] * self.shape[1]
        return there_is(address, count, self.complex).reshape(self.shape)

    def kinetic(self, k: int, psi: int) -> None:
        self.check_turn(k, "kinetic")
        self.field(psi)[:] *= self.kinetic_factor(k).astype(self.complex)

    def potential(self, k: int, psi: int, out: int) -> None:
        self.check_turn(k, "potential")
        tau = self.potential_time(k)
        field = self.field(psi).astype(np.complex128)
        with np.errstate(invalid="ignore", divide="ignore"):
            time = np.where(
                self.gamma == 0, tau, -np.expm1(-2 * self.gamma * tau) / (2 * self.gamma)
            )
        angle = self.g * abs(field) ** 2 * time - self.v * tau
        field = field * np.exp(-self.gamma * tau + 1j * angle)
        self.field(out)[:] = field
        FieldRecorder.taken += 1


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder.built = FieldRecorder.taken = 0
    install(monkeypatch, Ensemble=Recorder, Fields=FieldRecorder)


def compare(psi0: Tensor, t: Tensor, *rest: Any) -> None:
    expected = torch.ops.fourfold.nlse_propagate(psi0, t, *rest, None)
    given = [there(x) for x in rest[:4]]
    psi, steps = _cuda_kernel.propagate(there(psi0), t, *given, *rest[4:])
    assert (psi.dtype, psi.shape) == (psi0.dtype, expected[0].shape)
    off = torch.linalg.vector_norm(psi.as_subclass(Tensor) - expected[0])
    assert off <= 500 * torch.finfo(psi0.dtype).eps * torch.linalg.vector_norm(expected[0])
    assert torch.allclose(steps.as_subclass(Tensor), expected[1], rtol=1e-14)


def smooth(*shape: int, dtype: torch.dtype) -> Tensor:
    n = shape[-1]
    decay = torch.exp(-torch.fft.fftfreq(n, 1 / n, dtype=torch.float64).square() / 50)
    psi: Tensor = torch.fft.ifft(torch.randn(shape, dtype=torch.complex128) * decay * n**0.5)
    return psi.to(dtype)


def omega_of(n: int) -> Tensor:
    k2: Tensor = torch.fft.fftfreq(n, 1 / n, dtype=torch.float64).square()
    return 0.5 * k2.clamp(max=3000.0)


MEDIA: dict[str, Any] = {
    "plain": lambda n: (torch.tensor(1.0), None, None),
    "shared": lambda n: (torch.tensor(-0.5), real(n), real(n)),
    "own": lambda n: (real(2, 3), real(2, 3, n), real(2, 3, n)),
    "strided": lambda n: (real(3, 2).T, real(n, 3).T, torch._neg_view(real(2, 3, n))),
}


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("medium", list(MEDIA))
@pytest.mark.parametrize(
    ("method", "dealias"),
    [("strang", "exponential"), ("yoshida4", None), ("rkn4_6b", None), ("rkn4_6b", "two_thirds")],
)
def test_same_answer_as_on_the_cpu(
    method: str, dealias: str | None, medium: str, dtype: torch.dtype
) -> None:
    n = 60
    psi0 = smooth(2, 3, n, dtype=dtype).conj()
    compare(psi0, T, omega_of(n), *MEDIA[medium](n), method, 0.05, None, None, dealias)
    assert FieldRecorder.taken > 0
    assert 2 <= Recorder.built <= 3


@pytest.mark.parametrize("n", [2, 3, 5, 16, 30, 486, 1000, 8192])
@pytest.mark.parametrize("method", ["strang", "rkn4_6b"])
def test_lengths(method: str, n: int) -> None:
    t = torch.tensor([0.0, 0.01, 0.03], dtype=torch.float64)
    psi0 = smooth(n, dtype=torch.complex128)
    compare(psi0, t, omega_of(n), *MEDIA["shared"](n), method, 0.01, None, None, None)


def test_a_thousand_steps() -> None:
    grid = nlse.Grid(600, 40.0)
    psi0 = torch.from_numpy(nlse.soliton(grid, amplitude=1.2))
    omega = 0.5 * torch.from_numpy(grid.k.copy()) ** 2
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    rest: Any = (omega, torch.tensor(1.0), None, None, "strang", 0.001, None, None, None)
    expected = torch.ops.fourfold.nlse_propagate(psi0, t, *rest, None)[0]
    psi, _ = _cuda_kernel.propagate(there(psi0), t, *(there(x) for x in rest[:4]), *rest[4:])
    off = torch.linalg.vector_norm(psi.as_subclass(Tensor) - expected)
    assert off <= 1e-12 * torch.linalg.vector_norm(expected)


@pytest.mark.parametrize("method", ["strang", "rkn4_6b"])
def test_more_steps_than_a_count_holds(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cuda_fields, "_MOST_STEPS", 2)
    psi0 = smooth(4, 48, dtype=torch.complex128)
    compare(psi0, T, omega_of(48), *MEDIA["shared"](48), method, 0.05, None, None, None)


def test_the_saved_states_stay() -> None:
    """Flows are in place, but never in a state that was saved."""
    psi0 = smooth(48, dtype=torch.complex128)
    given = psi0.clone()
    options = (None, None, "rkn4_6b", 0.05, None, None, None)
    psi, _ = _cuda_kernel.propagate(
        there(psi0), T, there(omega_of(48)), there(torch.tensor(1.0)), *options
    )
    assert torch.equal(psi0, given)
    assert torch.equal(psi[0].as_subclass(Tensor), given)


@pytest.mark.parametrize(
    ("n", "batch", "single", "capability", "processors", "expected"),
    [
        (1024, 1, False, (9, 0), 132, True),
        (8192, 1, False, (9, 0), 132, True),
        (16384, 1, True, (9, 0), 132, True),
        (1024, 16384, False, (9, 0), 132, True),
        (8192, 20, False, (8, 0), 108, False),
        (8192, 108, False, (8, 0), 108, True),
        (1024, 1, False, (7, 5), 40, False),
        (256, 1, False, (7, 5), 40, True),
        (1024, 4000, False, (7, 5), 40, True),
        (1024, 1, True, (7, 5), 40, True),
    ],
)
def test_which_way(
    n: int,
    batch: int,
    single: bool,
    capability: tuple[int, int],
    processors: int,
    expected: bool,
) -> None:
    found = _cuda_blocks.blocks_pay(
        n, batch, single=single, capability=capability, processors=processors
    )
    assert found is expected


def test_few_fields_on_a_card_with_few_fp64_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cuda_blocks, "_device", lambda psi0: ((7, 5), 40))
    t = torch.tensor([0.0, 0.01], dtype=torch.float64)
    psi0 = smooth(2, 1024, dtype=torch.complex128)
    compare(psi0, t, omega_of(1024), *MEDIA["plain"](1024), "strang", 0.01, None, None, None)
    assert FieldRecorder.taken > 0
