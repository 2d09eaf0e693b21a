"""What Python hands to the CUDA kernels of small systems, seen by a stand-in for `_cuda` that computes on the CPU.

It takes the same addresses under the same names, so that layouts, strides, scratch, device and stream are checked where
there is no GPU.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fourfold import _core, gp
from fourfold.gp import _cuda_kernel, _decomposition
from fourfold.gp._packed import INV_QUAD_LOGDET

from .reference import spd

DEVICE, STREAM = 3, 12345
calls: list[str] = []


def fill(address: int, values: Sequence[int]) -> None:
    """Numbers of 32 bits."""
    (ctypes.c_int32 * len(values)).from_address(address)[:] = list(values)


class StandIn:
    """`_cuda.gp.SmallSystem_<dtype>`."""

    dtype: str

    def __init__(
        self, *, batch: int, count: int, sizes: Sequence[int], items: Sequence[int]
    ) -> None:
        self.shape = (batch, count, list(sizes), list(items))

    def fits(self, device: int) -> bool:
        assert device == DEVICE
        return True

    def status_count(self) -> int:
        return 5

    def workspace_count(self) -> int:
        batch, _, sizes, items = self.shape
        return 0 if min(items) == batch else batch * sum(n * n for n in sizes)

    def forward(self, *, status: int, device: int, stream: int, **given: Any) -> None:
        assert (device, stream) == (DEVICE, STREAM)
        calls.append("forward")
        names = ["factors", "noise", "y", "limit", "basis", "values", "x", "quad", "logdet"]
        assert sorted(given) == sorted(names)
        call = getattr(_core.gp, f"spectral_forward_{self.dtype}")
        fine = call(*self.shape, *(given[name] for name in names), 1)
        fill(status, [0, 0, 0 if fine else 2, 0, 0])

    def backward(self, *, middles: int, device: int, stream: int, **given: Any) -> None:
        assert (device, stream) == (DEVICE, STREAM)
        assert (middles != 0) == (self.workspace_count() > 0)
        calls.append("backward")
        names = [
            "basis",
            "values",
            "noise",
            "x",
            "grad_quad",
            "grad_logdet",
            "wanted",
            "grad_factors",
            "grad_noise",
            "grad_y",
        ]
        assert sorted(given) == sorted(names)
        call = getattr(_core.gp, f"spectral_backward_{self.dtype}")
        call(*self.shape, *(given[name] for name in names), 1)


def eigh(
    *,
    batch: int,
    n: int,
    a: int,
    limit: float,
    values: int,
    vectors: int,
    status: int,
    device: int,
    stream: int,
) -> None:
    """`_cuda.gp.eigh`."""
    assert (device, stream) == (DEVICE, STREAM)
    calls.append("eigh")
    fine = _core.gp.eigh_float64([(batch, n, a, values, vectors)], limit, 1)
    fill(status, [0 if fine else 1] * batch)


@dataclass(frozen=True)
class Device:
    type: str
    index: int


class OnGpu(torch.Tensor):
    """A CPU tensor that says it is on a GPU."""

    is_cpu = False
    device = Device("cuda", DEVICE)  # type: ignore[assignment]
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    calls.clear()
    names = {f"SmallSystem_{d}": type(d, (StandIn,), {"dtype": d}) for d in ("float32", "float64")}
    fake = SimpleNamespace(
        gp=SimpleNamespace(**names, eigh=eigh, eigh_fits=lambda n, device: device == DEVICE)
    )
    monkeypatch.setattr(_cuda_kernel, "has_cuda_kernels", lambda: True)
    monkeypatch.setattr(_cuda_kernel, "cuda_kernels", lambda: fake)
    monkeypatch.setattr(_cuda_kernel, "current_stream", lambda device: STREAM)
    monkeypatch.setattr(_cuda_kernel, "is_capturing", lambda: False)
    _cuda_kernel._fits.cache_clear()
    _cuda_kernel._system.cache_clear()
    yield
    _cuda_kernel._fits.cache_clear()
    _cuda_kernel._system.cache_clear()


def there(x: Tensor) -> Tensor:
    return x.as_subclass(OnGpu)


def system(
    sizes: list[int], items: list[int], batch: int, count: int, dtype: torch.dtype
) -> tuple[list[Tensor], Tensor, Tensor]:
    torch.manual_seed(0)
    generator = np.random.default_rng(5)
    factors = [
        torch.from_numpy(spd(generator, i, n)).to(dtype) for i, n in zip(items, sizes, strict=True)
    ]
    noise = torch.rand(batch, dtype=dtype) + 0.1
    return factors, noise, torch.randn(batch, count, int(np.prod(sizes)), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(
    ("sizes", "items", "batch", "count"),
    [
        ([7], [1], 1, 1),
        ([4, 5], [3, 3], 3, 2),
        ([3, 6, 2], [2, 1, 2], 2, 1),
        ([5, 4], [4, 1], 4, 0),
    ],
    ids=str,
)
def test_same_answer_as_on_the_cpu(
    sizes: list[int], items: list[int], batch: int, count: int, dtype: torch.dtype
) -> None:
    factors, noise, y = system(sizes, items, batch, count, dtype)
    flags = [False] * len(sizes)
    expected = INV_QUAD_LOGDET.forward(factors, noise, y, flags)
    # Toeplitz or not is all the same there.
    got = INV_QUAD_LOGDET.forward(
        [there(f) for f in factors], there(noise), there(y), [True] * len(sizes)
    )
    for one, other in zip(got, expected, strict=True):
        assert torch.equal(one, other)
    grads = [torch.randn(batch, count, dtype=dtype), torch.randn(batch, dtype=dtype)]
    *_, basis, values, x = expected
    for wants_y in (True, False):
        wanted = [True] * len(sizes)
        slopes = INV_QUAD_LOGDET.backward(
            grads, basis, values, noise, x, sizes, items, wanted, wants_y
        )
        found = INV_QUAD_LOGDET.backward(
            [there(g) for g in grads],
            *(there(z) for z in (basis, values, noise, x)),
            sizes,
            items,
            wanted,
            wants_y,
        )
        for part, whole in zip([*found[0], *found[1:]], [*slopes[0], *slopes[1:]], strict=True):
            assert (part is None) == (whole is None)
            if part is not None and whole is not None:
                assert torch.equal(part, whole)
    assert calls == ["forward", "backward", "backward"]


def test_what_does_not_fit_goes_through_torch() -> None:
    factors, noise, y = system([65, 2], [1, 1], 1, 1, torch.float64)
    expected = INV_QUAD_LOGDET.forward(factors, noise, y, [False, False])
    assert not _cuda_kernel.system_fits(there(y), [65, 2], [1, 1])
    assert not _cuda_kernel.system_fits(there(y), [2] * 9, [1] * 9)
    assert _cuda_kernel.system_fits(there(y), [64, 2], [1, 1])
    assert not _cuda_kernel.system_fits(y, [64, 2], [1, 1])
    assert not _cuda_kernel.system_fits(there(y.expand(1, 9, -1)), [64, 2], [1, 1])
    assert expected[0].shape == (1, 1)
    assert calls == []


def test_trouble_is_named() -> None:
    factors, noise, y = system([3, 4], [1, 1], 1, 1, torch.float64)
    found = _cuda_kernel.spectral_forward(
        [there(-f) for f in factors[:1]] + [there(factors[1])], there(noise), there(y), 1e-5
    )
    assert found is None


def test_eigenproblems() -> None:
    (matrix,), _, _ = system([6], [3], 3, 1, torch.float64)
    values, vectors = _decomposition._large_eigh(there(matrix))
    torch.testing.assert_close(vectors.mT @ (values.unsqueeze(-1) * vectors), matrix)
    assert calls == ["eigh"]


def test_contiguity_and_device_are_checked() -> None:
    factors, noise, y = system([3, 4], [1, 1], 1, 1, torch.float64)
    on_gpu = [there(f) for f in factors]
    with pytest.raises(ValueError, match=r"factors\[1\]: expected a contiguous tensor"):
        _cuda_kernel.spectral_forward([on_gpu[0], factors[1]], there(noise), there(y), 1e-5)
    with pytest.raises(ValueError, match=r"factors\[0\]: expected a contiguous tensor"):
        _cuda_kernel.spectral_forward(
            [there(factors[0].mT), on_gpu[1]], there(noise), there(y), 1e-5
        )


def test_devices_do_not_mix() -> None:
    factors, _, y = system([3, 4], [1, 1], 1, 1, torch.float64)
    with pytest.raises(ValueError, match="factors: expected one device, got cpu, meta"):
        gp.Kronecker([factors[0], factors[1].to("meta")])
    with pytest.raises(ValueError, match="y: expected a tensor on cpu as the factors, got one on"):
        gp.Kronecker(factors).solve(y.to("meta"))
