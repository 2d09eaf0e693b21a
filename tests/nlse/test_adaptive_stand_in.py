"""Ensembles with adaptive steps on a GPU: what Python hands over, seen by a stand-in that computes on the CPU."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
import torch

from fourfold import _core, nlse
from fourfold.nlse import _cuda_adaptive, _cuda_kernel, methods
from tests.nlse.cuda_stand_in import DEVICE, STREAM, install, there
from tests.nlse.test_ensemble_stand_in import MEDIA, N, Recorder, T, read

Tensor = torch.Tensor
PLACES = np.roll(np.arange(N)[::-1], 5)


class AdaptiveRecorder(Recorder):
    """`_cuda.nlse.AdaptiveEnsemble`."""

    orders: list[int]

    def advance(  # type: ignore[override]
        self,
        *,
        t0: float,
        t1: float,
        span: float,
        rtol: float,
        atol: float,
        psi: int,
        out: int,
        coarse: int,
        first: int,
        next: int,
        nonlinearity: int,
        potential: int,
        loss: int,
        omega: int,
        filter: int,
        order: int,
        twiddles: int,
        **queue: int,
    ) -> None:
        assert queue == {"device": DEVICE, "stream": STREAM}
        n, batch = self.what["n"], self.what["batch"]
        assert read(twiddles, n, self.real).tolist() == list(range(n))
        assert (loss != 0) == self.what["lossy"]
        size = n * batch * 2 * np.dtype(self.real).itemsize
        ctypes.memset(coarse, 7, size)  # it is all there, and none of the others
        omegas, multiplier = np.empty(n), np.ones(n)
        omegas[PLACES] = read(omega, n, np.float64)
        if filter:
            multiplier[PLACES] = self.doubles(filter, n)
        rows = {
            name: 1 if self.what[f"shared_{name}"] else batch
            for name in ("nonlinearity", "potential", "loss")
        }
        g = self.doubles(nonlinearity, rows["nonlinearity"])
        v = self.doubles(potential, n * rows["potential"]) if potential else None
        gamma = self.doubles(loss, n * rows["loss"]) if loss else None
        kind = "IntegratorComplex64" if self.what["single"] else "IntegratorComplex128"
        AdaptiveRecorder.orders.append(int(read(order, 1, np.int32)[0]))
        integrator = getattr(_core.nlse, kind)(
            n=n,
            batch=batch,
            method=self.what["method"],
            order=AdaptiveRecorder.orders[-1],
            step=0.0,
            rtol=rtol,
            atol=atol,
            t_start=t0,
            t_end=t0 + span,
            omega=omegas.ctypes.data,
            filter=multiplier.ctypes.data if filter else 0,
            nonlinearity=g.ctypes.data,
            shared_nonlinearity=self.what["shared_nonlinearity"],
            potential=0 if v is None else v.ctypes.data,
            shared_potential=self.what["shared_potential"],
            loss=0 if gamma is None else gamma.ctypes.data,
            shared_loss=self.what["shared_loss"],
        )
        ctypes.memmove(out, psi, size)
        integrator.restore_control(0.0, first)
        assert integrator.advance(out, t0, t1, 1)[0] == 0
        integrator.control(next)


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    AdaptiveRecorder.orders = []
    install(
        monkeypatch,
        AdaptiveEnsemble=AdaptiveRecorder,
        largest_adaptive_grid=8192,
        frequencies=lambda n: PLACES.astype(np.int64).tobytes(),
    )


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("medium", list(MEDIA))
@pytest.mark.parametrize(
    ("method", "dealias", "tolerances"),
    [
        ("strang", None, (1e-4, 1e-6)),
        ("rkn4_6b", None, (None, None)),
        ("rkn6_14a", "two_thirds", (1e-5, None)),
    ],
)
def test_same_answer_as_on_the_cpu(
    method: str,
    dealias: str | None,
    tolerances: tuple[float | None, float | None],
    medium: str,
    dtype: torch.dtype,
) -> None:
    psi0 = (0.5 * torch.randn(2, 3, N, dtype=dtype)).conj()
    omega = 0.5 * torch.fft.fftfreq(N, 1 / N).to(torch.float32) ** 2
    g, v, gamma = MEDIA[medium]
    options: Any = (method, None, *tolerances, dealias)
    expected = torch.ops.fourfold.nlse_propagate(psi0, T, omega, g, v, gamma, *options, None)
    given = [there(x) for x in (omega, g, v, gamma)]
    psi, steps = _cuda_kernel.propagate(there(psi0), T, *given, *options)
    assert (psi.dtype, psi.shape, steps.shape) == (dtype, (4, 2, 3, N), (3, 2, 3))
    assert torch.equal(psi[0].as_subclass(Tensor), psi0)
    # The same kernels of the CPU, with coefficients rounded to the field's precision.
    allowed = 1e-10 if dtype == torch.complex128 else 1e-3
    assert torch.allclose(psi.as_subclass(Tensor), expected[0], rtol=0, atol=allowed)
    if dtype == torch.complex128:
        assert torch.allclose(steps.as_subclass(Tensor), expected[1], rtol=1e-6)
    row = methods.get_method(method)
    lossy = gamma is not None
    assert set(AdaptiveRecorder.orders) == {row.general_order if lossy else row.order}


@pytest.mark.parametrize(
    ("omega", "loss", "full"),
    [
        ("0.5 k^2", None, True),
        ("0.5 k^2 - 0.3 k + 2", None, True),
        ("0.5 k^2 + 1e-6 k^3", None, False),
        ("0.5 k^2", "zero", True),
        ("0.5 k^2", "somewhere", False),
    ],
)
@pytest.mark.parametrize("n", [2, 32, 512, 8192])
def test_the_order_is_that_of_the_problem(n: int, omega: str, loss: str | None, full: bool) -> None:
    grid = nlse.Grid(n, 2 * np.pi)
    k = grid.k
    values = {
        "0.5 k^2": 0.5 * k**2,
        "0.5 k^2 - 0.3 k + 2": 0.5 * k**2 - 0.3 * k + 2,
        "0.5 k^2 + 1e-6 k^3": 0.5 * k**2 + 1e-6 * k**3,
    }[omega]
    gamma = None if loss is None else np.zeros(n)
    if loss == "somewhere":
        assert gamma is not None
        gamma[n - 1] = -1e-30
    problem = nlse.Problem(grid, dispersion=values, loss=gamma)
    row = methods.get_method("rkn6_14a")
    found = _cuda_adaptive.order_of(
        row,
        torch.from_numpy(np.array(values)),
        None if gamma is None else torch.from_numpy(gamma),
        _cuda_adaptive.parabolas(n),
    )
    assert found.dtype == torch.int32
    assert found.tolist() == [problem.order("rkn6_14a")]
    if n > 2:
        assert found.tolist() == [6 if full else 4]


def call(n: int = N, dtype: torch.dtype = torch.complex128, **changed: Any) -> Any:
    given: dict[str, Any] = {
        "t": T,
        "omega": there(torch.zeros(n)),
        "nonlinearity": there(torch.tensor(1.0)),
        "potential": None,
        "loss": None,
        "method": "strang",
        "step": None,
        "rtol": None,
        "atol": None,
        "dealias": None,
    }
    return _cuda_kernel.propagate(there(torch.zeros(2, n, dtype=dtype)), **(given | changed))


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        (
            {"n": 48},
            NotImplementedError,
            "adaptive steps of such fields have no CUDA kernel: n must be .* got 48",
        ),
        ({"n": 16}, NotImplementedError, "a power of two from 32 to 8192"),
        ({"n": 16384, "dtype": torch.complex64}, NotImplementedError, "got 16384"),
        ({"n": 8192}, NotImplementedError, "need 131072 bytes of shared memory"),
        ({"rtol": 1e-17, "atol": 0.0}, ValueError, "rtol must be at least"),
        ({"rtol": -1.0}, ValueError, "rtol must be finite and at least 0"),
        ({"rtol": 0.0, "atol": 0.0}, ValueError, "must not both be 0"),
        ({"method": "dop853"}, NotImplementedError, "'dop853' has no CUDA kernel"),
    ],
)
def test_refusals(changed: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call(**changed)
    assert AdaptiveRecorder.orders == []


def test_one_time_and_no_field() -> None:
    psi, steps = call(t=T[:1])
    assert (psi.shape, steps.shape) == ((1, 2, N), (0, 2))
    assert AdaptiveRecorder.orders == []
