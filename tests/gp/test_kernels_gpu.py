"""`gp.kernels` on a GPU beside the same on the CPU, on fresh random numbers."""

from __future__ import annotations

import secrets

import numpy as np
import pytest
import torch

from fourfold import gp
from fourfold._gpu import has_cuda_kernels, no_cuda_kernels
from fourfold.gp.kernels import (
    Kernel,
    Matern,
    Periodic,
    RationalQuadratic,
    SpectralMixture,
    SquaredExponential,
    StudentTMixture,
)

from .test_gpu import poison_the_allocator

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if not has_cuda_kernels():
        pytest.skip(no_cuda_kernels())


def draw() -> tuple[np.random.Generator, dict[str, Kernel]]:
    """Kernels of fresh parameters; more components than a launch takes."""
    seed = secrets.randbits(48)
    print("seed", seed)
    rng = np.random.default_rng(seed)

    def size() -> float:
        return float(rng.uniform(0.3, 2))

    kernels: dict[str, Kernel] = {
        "squared exponential": SquaredExponential(size(), size()),
        "matern12": Matern(size(), 0.5, size()),
        "matern32": Matern(size(), 1.5, size()),
        "matern52": Matern(size(), 2.5, size()),
        "rational quadratic": RationalQuadratic(size(), size(), size()),
        "periodic": Periodic(size(), size(), size()),
        "mixture": SpectralMixture(*rng.uniform(0.1, 2, (3, 150))),
        "student": StudentTMixture(*rng.uniform(0.1, 2, (3, 7))),
    }
    kernels["sum"] = kernels["rational quadratic"] + kernels["matern32"]
    kernels["tree"] = (
        kernels["squared exponential"] * kernels["periodic"] + kernels["rational quadratic"]
    ) * kernels["matern52"] + kernels["mixture"]
    return rng, kernels


NAMES = list(draw()[1])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("shape", [(1,), (3, 257), (701, 703)], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_as_on_the_cpu(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    rng, kernels = draw()
    kernel = kernels[name]
    z = rng.normal(size=shape) * np.exp(rng.uniform(-8, 5, shape))
    lag = torch.from_numpy(np.where(rng.random(shape) < 0.1, 0.0, z)).to(dtype)
    for orders in ([0], [2, 0], [4, 1, 3]):
        if max(orders) > kernel.highest_order:
            continue
        poison_the_allocator()
        found, expected = kernel.jet(lag.cuda(), orders), kernel.jet(lag, orders)
        assert found.device.type == "cuda"
        for one, other in zip(found.cpu(), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12 * float(other.abs().max()))
        cotangent = torch.from_numpy(rng.normal(size=expected.shape))
        poison_the_allocator()
        gradient = kernel.pull_back(lag.cuda(), orders, cotangent.cuda()).cpu()
        wanted = kernel.pull_back(lag, orders, cotangent)
        limit = 1e-10 * float(wanted.abs().max()) * lag.numel() ** 0.5
        torch.testing.assert_close(gradient, wanted, rtol=0, atol=limit)


@pytest.mark.parametrize("name", NAMES)
def test_matrices(name: str) -> None:
    rng, kernels = draw()
    kernel = kernels[name]
    x, y = rng.uniform(-3, 3, 1231), rng.uniform(-3, 3, 517)
    for derivative in ((0, 0), (0, 1), (1, 1)):
        if sum(derivative) > kernel.highest_order:
            continue
        poison_the_allocator()
        found = kernel(torch.from_numpy(x).cuda(), y, derivative=derivative)
        expected = torch.from_numpy(kernel(x, y, derivative=derivative))
        limit = 1e-12 * float(expected.abs().max())
        torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=limit)


def test_two_runs_are_equal_to_the_bit_on_any_stream() -> None:
    rng, kernels = draw()
    lag = torch.from_numpy(rng.normal(size=(600, 601))).cuda()
    cotangent = torch.from_numpy(rng.normal(size=(2, 600, 601))).cuda()
    torch.cuda.synchronize()
    runs = []
    for stream in (torch.cuda.current_stream(), torch.cuda.Stream()):  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream):
            poison_the_allocator()
            jet = kernels["tree"].jet(lag, [0, 4])
            runs.append((jet.cpu(), kernels["tree"].pull_back(lag, [2, 0], cotangent).cpu()))
    assert all(torch.equal(p, q) for p, q in zip(*runs, strict=True))


def test_a_gradient_through_a_grid() -> None:
    """Hyperparameters of a Kronecker system, as one learns them on a GPU."""
    kernel = Matern(0.4, 2.5, 1.2)
    x = torch.linspace(0, 1, 20, dtype=torch.float64)
    y = torch.randn(20, 20, dtype=torch.float64)
    slopes = []
    for device in ("cpu", "cuda"):
        points = x.to(device)
        factor = kernel(points).requires_grad_()
        quad, logdet = gp.Kronecker([factor, factor]).inv_quad_logdet(y.to(device), 0.1)
        (by_factor,) = torch.autograd.grad(quad + logdet, factor)
        slopes.append(kernel.pull_back(points.unsqueeze(-1) - points, [0], by_factor.unsqueeze(0)))
    torch.testing.assert_close(slopes[1].cpu(), slopes[0], rtol=1e-8, atol=1e-8)
