"""Gradients of propagation on a GPU against those of the CPU, on fresh random numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.library import opcheck

from fourfold import nlse
from fourfold.nlse import _cuda_segments
from tests.nlse import test_ensemble_gpu as forward
from tests.nlse.test_ensemble_gpu import DTYPES, MEDIA, SCHEMES, field, omega_of, on_gpu, real

pytestmark = pytest.mark.gpu

Tensor = torch.Tensor
_a_gpu = forward._a_gpu  # the fixture, for this file


def gradients(psi0: Tensor, t: Tensor, weight: Tensor, given: dict[str, Any]) -> list[Tensor]:
    """Of a real function of all saved states, with respect to every tensor."""
    leaves = {
        name: value.detach().requires_grad_()
        for name, value in given.items()
        if isinstance(value, torch.Tensor)
    }
    start = psi0.detach().requires_grad_()
    out = nlse.propagate(start, t, **(given | leaves))
    total = (out * weight).real.sum() + (out.abs() ** 2).sum()
    return list(torch.autograd.grad(total, [start, *leaves.values()]))


def compare(psi0: Tensor, t: Tensor, allowed: float, **given: Any) -> None:
    """CPU against GPU, twice."""
    weight = torch.randn(len(t), *psi0.shape, dtype=psi0.dtype)
    expected = gradients(psi0, t, weight, given)
    there = {name: on_gpu(value) for name, value in given.items()}
    forward.poison_the_allocator()
    found = gradients(psi0.cuda(), t, weight.cuda(), there)
    for exact, ours in zip(expected, found, strict=True):
        assert (ours.dtype, ours.shape) == (exact.dtype, exact.shape)
        off = float(torch.linalg.vector_norm(ours.cpu() - exact))
        # Sums over points and realisations may cancel.
        assert off <= allowed * (float(torch.linalg.vector_norm(exact)) + psi0.numel() ** 0.5)
    forward.poison_the_allocator()
    again = gradients(psi0.cuda(), t, weight.cuda(), there)
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))


T = torch.tensor([0.0, 0.03, 0.06, 0.071], dtype=torch.float64)


def medium_of(name: str, batch: int, n: int) -> dict[str, Any]:
    given: dict[str, Any] = MEDIA[name](batch, n)
    g = given.get("nonlinearity", 1.0)
    return given | {"nonlinearity": torch.as_tensor(g, dtype=torch.float64)}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("medium", list(MEDIA))
@pytest.mark.parametrize("n", [1 << k for k in range(5, 15)])
def test_lengths(n: int, medium: str, dtype: torch.dtype) -> None:
    if dtype == torch.complex128 and n > 8192:
        pytest.skip("more than the kernel takes")
    if not forward.fits(n, dtype):
        pytest.skip("more shared memory than a block of this GPU has")
    batch = int(torch.randint(1, 70, ()))
    options: dict[str, Any] = {"method": "rkn4_6b", "step": 0.01, "omega": omega_of(n)}
    eps = torch.finfo(dtype).eps
    compare(field(batch, n, dtype=dtype), T, 1000 * eps, **options, **medium_of(medium, batch, n))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_in_parts(scheme: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    n = 128
    monkeypatch.setattr(_cuda_segments, "_SCRATCH", 1)
    monkeypatch.setattr(_cuda_segments, "_FIELDS_AT_ONCE", 20 * n * dtype.itemsize)
    options: dict[str, Any] = {"method": scheme, "step": 0.003, "omega": omega_of(n)}
    given = medium_of("own", 45, n)
    compare(field(45, n, dtype=dtype), T, 1000 * torch.finfo(dtype).eps, **options, **given)


# Through torch.fft.
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("medium", list(MEDIA))
@pytest.mark.parametrize("n", [2, 3, 20, 48, 125, 600, 1000, 1080, 15000, 32768])
def test_other_lengths(n: int, medium: str, dtype: torch.dtype) -> None:
    batch = int(torch.randint(1, 70, ())) if n < 10_000 else 3
    options: dict[str, Any] = {
        "method": "rkn4_6b",
        "step": 0.01,
        "omega": omega_of(n).clamp(max=1e4),
    }
    eps = torch.finfo(dtype).eps
    compare(field(batch, n, dtype=dtype), T, 1000 * eps, **options, **medium_of(medium, batch, n))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_other_lengths_in_parts(
    scheme: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 120
    monkeypatch.setattr(_cuda_segments, "_SCRATCH", 1)
    monkeypatch.setattr(_cuda_segments, "_FIELDS_AT_ONCE", 20 * n * dtype.itemsize)
    options: dict[str, Any] = {"method": scheme, "step": 0.003, "omega": omega_of(n)}
    given = medium_of("own", 45, n)
    compare(field(45, n, dtype=dtype), T, 1000 * torch.finfo(dtype).eps, **options, **given)


def test_a_missed_state_gives_nan() -> None:
    psi0, t = field(3, 64).cuda().requires_grad_(), torch.tensor([0.0, 0.1], dtype=torch.float64)
    out = nlse.propagate(psi0, t, omega=omega_of(64).cuda(), step=0.05, tolerance=-1.0)
    (found,) = torch.autograd.grad(out.abs().sum(), psi0)
    assert bool(found.real.isnan().all())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_opcheck_and_compile(dtype: torch.dtype) -> None:
    psi0 = field(3, 64, dtype=dtype).cuda().requires_grad_()
    t = torch.tensor([0.0, 0.1, 0.15], dtype=torch.float64)
    omega = omega_of(64).cuda().requires_grad_()
    g, v = torch.tensor(1.0).cuda().requires_grad_(), real(64).cuda().requires_grad_()
    args = (psi0, t, omega, g, v, None, "rkn4_6b", 0.05, None, None, None, None)
    opcheck(torch.ops.fourfold.nlse_propagate, args)

    def density(p: Tensor) -> Tensor:
        return nlse.propagate(p, t, omega=omega, potential=v, step=0.05).abs().sum()

    compiled = torch.compile(density, fullgraph=True, backend="aot_eager")
    wanted = [psi0, omega, v]
    expected = torch.autograd.grad(density(psi0), wanted)
    found = torch.autograd.grad(compiled(psi0), wanted)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    slope = torch.func.grad(density)(psi0.detach())
    assert torch.equal(slope, expected[0])


@pytest.mark.parametrize("n", [1024, 1000])
def test_another_stream(n: int) -> None:
    psi0, t = field(40, n).cuda(), torch.tensor([0.0, 0.5], dtype=torch.float64)
    given: dict[str, Any] = {"omega": omega_of(n).cuda(), "step": 0.01}
    weight = torch.randn(2, 40, n, dtype=torch.complex128, device="cuda")
    expected = gradients(psi0, t, weight, given)
    late = torch.empty_like(psi0)
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        torch.cuda._sleep(20_000_000)  # type: ignore[no-untyped-call]
        late.copy_(psi0)
        found = gradients(late, t, weight, given)
    torch.cuda.current_stream().wait_stream(stream)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("n", [256, 250])
def test_graph_capture(n: int) -> None:
    psi0, t = field(5, n).cuda(), torch.tensor([0.0, 0.1, 0.15], dtype=torch.float64)
    given: dict[str, Any] = {
        "omega": omega_of(n).cuda(),
        "step": 0.01,
        "potential": real(n).cuda(),
    }
    weight = torch.randn(3, 5, n, dtype=torch.complex128, device="cuda")
    gradients(psi0, t, weight, given)  # loads the kernels and the tables of the grid
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = gradients(psi0, t, weight, given)
    psi0.copy_(field(5, n))
    graph.replay()
    expected = gradients(psi0, t, weight, given)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
