"""What Python hands to the CUDA kernels of series, seen by a stand-in for `_cuda` that computes on the CPU.

It takes the same addresses under the same names, so that layouts, scratch, device and stream are checked where there is
no GPU.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fourfold import gp
from fourfold._gpu import cuda_kernels, has_cuda_kernels
from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp.kernels import Kernel, Matern
from fourfold.gp.series import _cuda_filter
from fourfold.gp.series._filter import run_filter

from .test_small_system_stand_in import DEVICE, STREAM, there

calls: list[str] = []


def numbers(address: int, shape: tuple[int, ...], kind: Any = ctypes.c_double) -> Any:
    """An array at this address."""
    size = int(np.prod(shape))
    if size == 0:
        return np.empty(shape, kind)
    return np.ctypeslib.as_array((kind * size).from_address(address)).reshape(shape)


class StandIn:
    """`_cuda.gp.StateSpace`."""

    def __init__(
        self,
        *,
        order: Sequence[int],
        rate: Sequence[float],
        variance: Sequence[float],
        series: int,
        count: int,
    ) -> None:
        self.order, self.rate, self.variance = list(order), list(rate), list(variance)
        self.series, self.count = series, count

    def scratch_count(self) -> int:
        return 17

    def run(
        self,
        data: Sequence[int],
        reached: int,
        predicted: int,
        scratch: int,
        where: tuple[int, int],
    ) -> Any:
        """Each series by the CPU's filter; None for one that does not reach the end."""
        assert where == (DEVICE, STREAM)
        numbers(scratch, (17,))[:] = np.nan
        shape = (self.count, self.series)
        time, noise = numbers(data[0], (self.count,)), numbers(data[2], (self.count,))
        value = numbers(data[1], shape)
        observed = numbers(data[3], shape, ctypes.c_uint8).astype(bool)
        ends = numbers(reached, (self.series,), ctypes.c_int32)
        variances = numbers(predicted, (self.series,))
        for b in range(self.series):
            try:
                found = run_filter(
                    self.order,
                    np.array(self.rate),
                    np.array(self.variance),
                    time.copy(),
                    value[None, :, b].copy(),
                    noise[None].copy(),
                    observed[None, :, b].copy(),
                    backward=True,
                )
            except NotPositiveDefiniteError as error:
                ends[b], variances[b] = error.pivot, error.smallest_eigenvalue
                yield b, None
            else:
                ends[b], variances[b] = self.count, 0
                yield b, found

    def likelihood(
        self,
        *,
        log_likelihood: int,
        by_noise: int,
        by_rate: int,
        by_log_variance: int,
        device: int,
        stream: int,
        **given: Any,
    ) -> None:
        calls.append("likelihood")
        size = sum(self.order)
        out = [numbers(a, (self.series,)) for a in (log_likelihood, by_noise)]
        slopes = [numbers(a, (size, self.series)) for a in (by_rate, by_log_variance)]
        for part in (*out, *slopes):
            part[:] = np.nan
        for b, found in self.run(**given, where=(device, stream)):
            if found is None:
                continue
            out[0][b] = found.log_likelihood[0]
            out[1][b] = found.by_noise.sum()
            row = 0
            for c, order in enumerate(self.order):
                # A component's is the sum over its rows.
                shares = np.full(order, 1.0 / order)
                slopes[0][row : row + order, b] = found.by_rate[0, c] * shares
                slopes[1][row : row + order, b] = (
                    found.by_variance[0, c] * self.variance[c] * shares
                )
                row += order

    def posterior(
        self, *, place: int, mean: int, variance: int, device: int, stream: int, **given: Any
    ) -> None:
        calls.append("posterior")
        places = numbers(place, (self.count,), ctypes.c_int32)
        shape = (int(places.max()) + 1, self.series)
        out = numbers(mean, shape), numbers(variance, shape)
        for b, found in self.run(**given, where=(device, stream)):
            for part, values in zip(out, (found.mean, found.variance), strict=True):
                part[places[places >= 0], b] = values[0, places >= 0]


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    calls.clear()
    fake = SimpleNamespace(gp=SimpleNamespace(StateSpace=StandIn))
    monkeypatch.setattr(_cuda_filter, "cuda_kernels", lambda: fake)
    monkeypatch.setattr(_cuda_filter, "current_stream", lambda device: STREAM)


KERNELS: list[Kernel] = [
    Matern(0.7, 0.5, 1.3),
    Matern(1.1, 2.5, 2.0),
    Matern(0.3, 0.5, 0.2) + Matern(2.0, 2.5, 1.5),
    Matern(0.9, 1.5, 0.8) + Matern(0.4, 1.5, 0.3, lengthscale_bounds=None),
]


def draw(series: int | None) -> tuple[Any, Any, Any]:
    """Times that are not sorted and repeat, y with NaN where it was not observed."""
    rng = np.random.default_rng(np.random.SeedSequence().entropy)
    t = rng.uniform(0, 9, 31)
    t[3], t[8] = t[4], t[9] + 1e-9
    shape = (31,) if series is None else (series, 31)
    y = rng.normal(size=shape)
    observed = rng.random(shape) < 0.8
    return t, np.where(observed, y, np.nan), observed


@pytest.mark.parametrize("series", [None, 1, 5], ids=str)
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("noise", ["one", "learnt", "many"])
def test_same_as_on_the_cpu(kernel: Kernel, series: int | None, noise: str) -> None:
    t, y, observed = draw(series)
    variances: Any = np.linspace(0.1, 0.5, 31) if noise == "many" else 0.2
    options: Any = {"noise": variances, "mean": 0.3, "max_iterations": 0}
    if noise == "one":
        options["noise_bounds"] = None
    here = gp.StateSpaceGP(kernel, **options).fit(t, y, observed=observed)
    on_gpu = gp.StateSpaceGP(kernel, **options)
    on_gpu.fit(t, there(torch.from_numpy(y)), observed=there(torch.from_numpy(observed)))
    assert on_gpu.log_marginal_likelihood_ == pytest.approx(here.log_marginal_likelihood_)
    theta = kernel.theta + 0.1
    if noise == "learnt":
        theta = np.append(theta, -1.0)
    value, slope = on_gpu.log_marginal_likelihood(theta)
    expected_value, expected_slope = here.log_marginal_likelihood(theta)
    assert value == pytest.approx(expected_value, rel=1e-11)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-9, atol=1e-9)
    new = np.array([4.0, -1.0, t[3], 11.0, 4.0])
    mean, std, info = on_gpu.predict(new, return_std=True, return_info=True)
    expected = here.predict(new, return_std=True, return_info=True)
    assert isinstance(mean, torch.Tensor)
    assert mean.is_contiguous()
    assert std.is_contiguous()
    assert tuple(mean.shape) == expected[0].shape
    np.testing.assert_allclose(mean, expected[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(std, expected[1], rtol=0, atol=1e-12)
    assert info == expected[2]
    assert calls == ["likelihood", "likelihood", "posterior"]


def test_learns_the_same() -> None:
    t, y, observed = draw(3)
    given = there(torch.from_numpy(y).float())
    found = gp.StateSpaceGP(Matern(), noise=0.3).fit(t, given, observed=observed)
    expected = gp.StateSpaceGP(Matern(), noise=0.3).fit(t, y.astype(np.float32), observed=observed)
    np.testing.assert_allclose(
        found.log_marginal_likelihood_, expected.log_marginal_likelihood_, rtol=1e-9
    )
    assert set(calls) == {"likelihood"}


def test_the_prior_of_nothing() -> None:
    model = gp.StateSpaceGP(Matern(1.0, 2.5, 3.0), max_iterations=0)
    model.fit([], there(torch.empty(2, 0, dtype=torch.float64)))
    assert model.log_marginal_likelihood_ == 0
    mean, std = model.predict([0.0, 5.0], return_std=True)
    assert torch.equal(mean, torch.zeros(2, 2, dtype=torch.float64))
    np.testing.assert_allclose(std, np.sqrt(3))
    assert model.predict([]).shape == (2, 0)


def test_trouble_is_named() -> None:
    model = gp.StateSpaceGP(Matern(), noise=0.0, noise_bounds=None, max_iterations=0)
    y = there(torch.zeros(3, 3))
    observed = np.array([[True, True, False], [True, True, True], [True, True, True]])
    with pytest.raises(
        NotPositiveDefiniteError, match=r"series 1: .* observation 2 \(t = 1\)"
    ) as error:
        model.fit([0.0, 1.0, 1.0], y, observed=observed)
    assert (error.value.batch, error.value.pivot) == (1, 2)


def fit(kernel: Kernel | None = None, **changes: Any) -> object:
    given: dict[str, Any] = {"t": [0.0, 1.0], "y": torch.zeros(2, dtype=torch.float64)} | changes
    given["y"] = there(given["y"])
    return gp.StateSpaceGP(kernel or Matern(), noise=changes.pop("noise", 0.1)).fit(
        given["t"], given["y"], observed=given.get("observed")
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fit(Matern() + Matern()), NotImplementedError, "its state has 6 components"),
        (lambda: fit(y=torch.zeros(3)), ValueError, r"y: expected shape \(2,\) or \(B, 2\), got"),
        (lambda: fit(y=torch.zeros(1, 1, 2)), ValueError, "y: expected shape"),
        (lambda: fit(y=torch.tensor([0, torch.nan])), ValueError, "y: 1 observed entries are NaN"),
        (lambda: fit(y=torch.tensor([0, 1e200], dtype=torch.float64)), ValueError, "y: entries of"),
        (lambda: fit(y=torch.zeros(2) * 1j), TypeError, "y: expected real numbers"),
        (lambda: fit(y=torch.zeros(2, requires_grad=True)), TypeError, "y: this tensor requires"),
        (lambda: fit(observed=[1, 0]), TypeError, "observed: expected bool"),
        (lambda: fit(observed=torch.ones(2)), TypeError, "observed: expected bool"),
        (lambda: fit(observed=[[True], [False]]), ValueError, r"observed: expected the shape of y"),
        (lambda: fit(observed=[False, False]), ValueError, "y: nothing to learn from"),
        (lambda: fit(noise=[0.1]), ValueError, "noise: expected a number or shape"),
        (lambda: fit(t=[0, np.inf]), ValueError, "t: expected a vector of finite numbers"),
    ],
)
def test_bad_arguments(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
    assert calls == []


@pytest.mark.skipif(not has_cuda_kernels(), reason="built without CUDA kernels")
def test_the_extension_has_these_names() -> None:
    """No device is needed to be refused."""
    kernels = cuda_kernels().gp
    with pytest.raises(ValueError, match="a state of 1 to 4 numbers"):
        kernels.StateSpace(order=[3, 2], rate=[1, 1], variance=[1, 1], series=1, count=1)
    call = kernels.StateSpace(order=[1, 3], rate=[1, 2], variance=[1, 1], series=5, count=100)
    # Four 4 x 4 matrices a time; 10 segments of 10, 14 numbers a state.
    assert (call.size(), call.scratch_count()) == (4, 100 * 64 + 20 * 14 * 5)
    here: Any = {"data": [0] * 4, "reached": 0, "predicted": 0, "scratch": 0}
    here |= {"device": 0, "stream": 0}
    outputs = ("log_likelihood", "by_noise", "by_rate", "by_log_variance")
    with pytest.raises(RuntimeError, match="a tensor without memory"):
        call.likelihood(**here, **dict.fromkeys(outputs, 0))
    with pytest.raises(RuntimeError, match="a tensor without memory"):
        call.posterior(**here, place=0, mean=0, variance=0)
