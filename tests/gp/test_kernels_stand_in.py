"""What Python hands to the CUDA kernels of covariance functions, seen by a stand-in for `_cuda` that computes on the CPU.

It takes the same addresses under the same names, so that layouts, orders, pieces, device and stream are checked where
there is no GPU.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fourfold import _core
from fourfold._gpu import cuda_kernels, has_cuda_kernels
from fourfold.gp.kernels import (
    Kernel,
    Matern,
    Periodic,
    RationalQuadratic,
    SpectralMixture,
    SquaredExponential,
    StudentTMixture,
)
from fourfold.gp.kernels import _cuda_covariance as there_module

from .test_small_system_stand_in import DEVICE, STREAM, there

calls: list[str] = []


def numbers(address: int, size: int) -> Any:
    """An array at this address."""
    return np.ctypeslib.as_array((ctypes.c_double * size).from_address(address))


def jet_at(addresses: Sequence[int], n: int) -> list[Any]:
    return [numbers(address, n) if address else None for address in addresses]


def write(out: Sequence[int], values: Sequence[Any], n: int, add: bool) -> None:
    for row, value in zip(jet_at(out, n), values, strict=True):
        if row is not None:
            row[:] = row + value if add else value


class StandIn:
    """`_cuda.gp`."""

    @staticmethod
    def lags(points: Sequence[int], columns: int, n: int) -> Any:
        if points[1] == 0:
            return numbers(points[0], n).copy()
        assert n % columns == 0
        x, y = numbers(points[0], n // columns), numbers(points[1], columns)
        return (x[:, None] - y).reshape(-1)

    def covariance_jet(
        self,
        *,
        form: int,
        components: int,
        parameters: int,
        points: Sequence[int],
        columns: int,
        n: int,
        out: Sequence[int],
        add: bool,
        device: int,
        stream: int,
    ) -> None:
        assert (device, stream) == (DEVICE, STREAM)
        assert n > 0
        calls.append("jet")
        z = self.lags(points, columns, n)
        made = np.full((5, n), np.nan)
        wanted = [row.ctypes.data if address else 0 for row, address in zip(made, out, strict=True)]
        _core.gp.covariance_jet([form], [components], parameters, z.ctypes.data, n, wanted, 1)
        write(out, list(made), n, add)

    def covariance_product(
        self,
        *,
        a: Sequence[int],
        b: Sequence[int],
        n: int,
        out: Sequence[int],
        add: bool,
        device: int,
        stream: int,
    ) -> None:
        assert (device, stream) == (DEVICE, STREAM)
        calls.append("product")
        x, y = jet_at(a, n), jet_at(b, n)
        values = [
            sum(binomial(r, j) * x[j] * y[r - j] for j in range(r + 1)) if out[r] else None
            for r in range(5)
        ]
        write(out, values, n, add)

    def covariance_product_pull_back(
        self,
        *,
        b: Sequence[int],
        cotangent: Sequence[int],
        n: int,
        by_a: Sequence[int],
        device: int,
        stream: int,
    ) -> None:
        assert (device, stream) == (DEVICE, STREAM)
        calls.append("product pull-back")
        y, c = jet_at(b, n), jet_at(cotangent, n)
        values = []
        for j in range(5):
            terms = [binomial(r, j) * c[r] * y[r - j] for r in range(j, 5) if c[r] is not None]
            values.append(sum(terms, np.zeros(n)))
        write(by_a, values, n, False)

    def covariance_parts(self, components: int, lags: int) -> int:
        assert lags > 0
        return 7 * components

    def covariance_pull_back(
        self,
        *,
        form: int,
        components: int,
        parameters: int,
        points: Sequence[int],
        columns: int,
        n: int,
        cotangent: Sequence[int],
        gradient: int,
        parts: int,
        device: int,
        stream: int,
    ) -> None:
        assert (device, stream) == (DEVICE, STREAM)
        calls.append("pull-back")
        numbers(parts, 7 * components)[:] = np.nan
        z = self.lags(points, columns, n)
        _core.gp.covariance_pull_back(
            [form], [components], parameters, z.ctypes.data, n, list(cotangent), gradient, 1
        )


def binomial(r: int, j: int) -> float:
    return float([[1], [1, 1], [1, 2, 1], [1, 3, 3, 1], [1, 4, 6, 4, 1]][r][j])


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    calls.clear()
    fake = SimpleNamespace(gp=StandIn())
    monkeypatch.setattr(there_module, "cuda_kernels", lambda: fake)
    monkeypatch.setattr(there_module, "current_stream", lambda device: STREAM)


RNG = np.random.default_rng(np.random.SeedSequence().entropy)
SE, PER, RQ, M52 = (
    SquaredExponential(0.7, 1.2),
    Periodic(0.9, 1.3),
    RationalQuadratic(0.4, 1.3, variance_bounds=None),
    Matern(0.8, 2.5),
)
KERNELS: dict[str, Kernel] = {
    "1/2": Matern(0.7, 0.5),
    "3/2": Matern(0.4, 1.5, 2.0),
    "mixture": SpectralMixture(
        RNG.uniform(0.1, 1, 70), RNG.uniform(0.2, 2, 70), RNG.uniform(0, 3, 70)
    ),
    "student": StudentTMixture([0.3, 0.2], [1.0, 0.4], [0.0, 2.0]),
    "sum": SE + RQ,
    "product": SE * PER,
    "tree": (SE * PER + RQ) * M52 + PER,
    "square": (SE + M52) * (RQ + PER) * M52,
}


def tensor(array: Any) -> Any:
    return there(torch.from_numpy(np.array(array, dtype=np.float64)))


@pytest.mark.parametrize("piece", [4, 1 << 18], ids=["pieces", "one piece"])
@pytest.mark.parametrize("name", list(KERNELS))
def test_lags_and_orders(name: str, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(there_module, "_PIECE", piece)
    kernel = KERNELS[name]
    lag = np.append(RNG.normal(size=(3, 5)), np.zeros((1, 5)), axis=0)
    for orders in ([0], [2, 0], [1, 4], [3]):
        if max(orders) > kernel.highest_order:
            continue
        expected = kernel.jet(lag, orders)
        found = kernel.jet(tensor(lag), orders)
        assert isinstance(found, torch.Tensor)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())
        cotangent = RNG.normal(size=expected.shape)
        gradient = kernel.pull_back(tensor(lag), orders, tensor(cotangent))
        assert isinstance(gradient, torch.Tensor)
        wanted = kernel.pull_back(lag, orders, cotangent)
        size = 1e-11 * np.abs(wanted).max()
        np.testing.assert_allclose(gradient, wanted, rtol=1e-11, atol=size)
        again = kernel.pull_back(tensor(lag), orders, cotangent.tolist())
        assert torch.equal(again, gradient)


@pytest.mark.parametrize("piece", [4, 1 << 18], ids=["pieces", "one piece"])
@pytest.mark.parametrize("name", ["3/2", "sum", "tree"])
def test_matrices(name: str, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(there_module, "_PIECE", piece)
    kernel = KERNELS[name]
    x, y = RNG.normal(size=7), RNG.normal(size=3).astype(np.float32)
    for derivative in ((0, 0), (1, 0), (0, 1), (1, 1)):
        expected = kernel(x, y, derivative=derivative)
        for there_y in (tensor(y), there(torch.from_numpy(y)), y, y.tolist()):
            found = kernel(tensor(x), there_y, derivative=derivative)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
        square = kernel(tensor(x), derivative=derivative)
        np.testing.assert_allclose(square, kernel(x, derivative=derivative), rtol=1e-12, atol=1e-13)


def test_how_much_is_queued() -> None:
    x = tensor(np.linspace(0, 1, 9))
    KERNELS["sum"](x)
    assert calls == ["jet", "jet"]
    calls.clear()
    KERNELS["product"](x)
    assert calls == ["jet", "jet", "product"]
    calls.clear()
    KERNELS["mixture"].pull_back(x, [0], np.ones((1, 9)))
    assert calls == ["pull-back"]


@pytest.mark.parametrize("shape", [(0,), (2, 0), ()], ids=str)
@pytest.mark.parametrize("name", ["1/2", "tree"])
def test_few_lags(name: str, shape: tuple[int, ...]) -> None:
    kernel = KERNELS[name]
    z = np.zeros(shape)
    np.testing.assert_allclose(kernel.jet(tensor(z)), kernel.jet(z), rtol=1e-14)
    c = np.ones((1, *shape))
    np.testing.assert_allclose(
        kernel.pull_back(tensor(z), [0], tensor(c)), kernel.pull_back(z, [0], c), rtol=1e-12
    )
    assert tuple(kernel(tensor(np.zeros(0)), tensor(np.zeros(4))).shape) == (0, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: M52.jet(tensor([0, np.nan])), ValueError, "lag: expected finite numbers"),
        (lambda: M52.jet(tensor([0, -np.inf])), ValueError, "lag: expected finite numbers"),
        (lambda: M52(tensor([np.inf]), tensor([0])), ValueError, "x, y: expected finite numbers"),
        (lambda: M52(tensor([0]), [np.nan]), ValueError, "x, y: expected finite numbers"),
        (lambda: M52.jet(tensor([0]), [5]), ValueError, "orders: Matern has derivatives"),
        (lambda: M52(tensor([[0]])), ValueError, "x, y: expected vectors"),
        (lambda: M52(tensor([0]), torch.zeros(1)), ValueError, "y: expected a tensor on"),
        (lambda: M52.pull_back(tensor([0]), [0], torch.zeros(1, 1)), ValueError, "cotangent: exp"),
        (lambda: M52.pull_back(tensor([0]), [0], [1.0]), ValueError, r"cotangent: .* \(1, 1\)"),
        (lambda: M52.jet(there(torch.zeros(2, requires_grad=True))), TypeError, "lag: this tensor"),
        (lambda: M52.jet(there(torch.zeros(2) * 1j)), TypeError, "lag: expected real numbers"),
        (lambda: M52.jet(there(torch.zeros(2) > 0)), TypeError, "lag: expected real numbers"),
        (lambda: PER.jet(tensor([1e20])), ValueError, "period: "),
        (lambda: KERNELS["student"].jet(tensor([1e9])), ValueError, "frequencies: 2 pi f"),
    ],
)
def test_bad_arguments(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
    assert calls == []


@pytest.mark.skipif(not has_cuda_kernels(), reason="built without CUDA kernels")
def test_the_extension_has_these_names() -> None:
    """No device is needed to be refused; a product's addresses may be any, and there is no device -1."""
    kernels = cuda_kernels().gp
    parameters = np.ones((3, 1))
    common: Any = {"form": 0, "components": 1, "parameters": parameters.ctypes.data}
    common |= {"points": [0, 0], "columns": 1, "n": 5}
    where: Any = {"device": -1, "stream": 0}
    with pytest.raises(RuntimeError, match="a tensor without memory"):
        kernels.covariance_jet(**common, out=[0] * 5, add=False, **where)
    with pytest.raises(RuntimeError, match="a tensor without memory"):
        kernels.covariance_pull_back(**common, cotangent=[0] * 5, gradient=0, parts=0, **where)
    with pytest.raises(RuntimeError, match="CUDA device"):
        kernels.covariance_product(a=[0] * 5, b=[0] * 5, n=5, out=[0] * 5, add=False, **where)
    with pytest.raises(RuntimeError, match="CUDA device"):
        kernels.covariance_product_pull_back(
            b=[0] * 5, cotangent=[0] * 5, n=5, by_a=[0] * 5, **where
        )
    # 2 chunks of 2048 lags, 64 components at a time.
    assert kernels.covariance_parts(100, 2049) == 3 * 64 * 2
