"""`gp.StateSpaceGP` on a GPU beside the same on the CPU, on fresh random numbers."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import pytest
import torch

from fourfold import gp
from fourfold._gpu import has_cuda_kernels, no_cuda_kernels
from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp.kernels import Kernel, Matern

from .test_gpu import poison_the_allocator

pytestmark = pytest.mark.gpu

KERNELS: list[Kernel] = [
    Matern(0.7, 0.5, 1.3),
    Matern(0.9, 1.5, 0.8),
    Matern(1.1, 2.5, 2.0),
    Matern(0.3, 0.5, 0.2) + Matern(2.0, 1.5, 1.5),
    Matern(0.3, 0.5, 0.2) + Matern(2.0, 2.5, 1.5),
    Matern(0.9, 1.5, 0.8) + Matern(0.4, 1.5, 0.3),
]
SHAPES = [(1, 1), (3, 2), (37, 61), (1000, 33), (5, 700)]


@pytest.fixture(autouse=True)
def _a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if not has_cuda_kernels():
        pytest.skip(no_cuda_kernels())


def draw(series: int, count: int) -> tuple[Any, Any, Any]:
    """Times out of order that repeat, y, what was observed."""
    seed = secrets.randbits(48)
    print("seed", seed)
    rng = np.random.default_rng(seed)
    t = rng.uniform(0, 0.3 * count, count)
    t[count // 2] = t[0]
    t[count // 3] = t[-1] + 1e-9
    y = rng.normal(size=(series, count))
    return t, y, rng.random((series, count)) < 0.8


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_as_on_the_cpu(kernel: Kernel, shape: tuple[int, int], dtype: torch.dtype) -> None:
    t, y, observed = draw(*shape)
    y = torch.from_numpy(np.where(observed, y, np.nan)).to(dtype)
    options: Any = {"noise": 0.2, "mean": 0.3, "max_iterations": 0}
    here = gp.StateSpaceGP(kernel, **options).fit(t, y, observed=observed)
    there = gp.StateSpaceGP(kernel, **options)
    poison_the_allocator()
    there.fit(torch.from_numpy(t).cuda(), y.cuda(), observed=torch.from_numpy(observed).cuda())
    count = y.numel()
    assert there.log_marginal_likelihood_ == pytest.approx(
        here.log_marginal_likelihood_, rel=1e-10, abs=1e-10 * count
    )
    theta = np.append(kernel.theta + 0.1, -1.0)
    poison_the_allocator()
    found, wanted = there.log_marginal_likelihood(theta), here.log_marginal_likelihood(theta)
    assert found[0] == pytest.approx(wanted[0], rel=1e-10, abs=1e-10 * count)
    np.testing.assert_allclose(found[1], wanted[1], rtol=1e-8, atol=1e-9 * count)
    new = np.concatenate([t[:3], [-1.0, 5.0, 1e4]])
    poison_the_allocator()
    mean, std = there.predict(new, return_std=True)
    expected = here.predict(new, return_std=True)
    assert mean.device.type == "cuda"
    np.testing.assert_allclose(mean.cpu(), expected[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(std.cpu() ** 2, np.asarray(expected[1]) ** 2, rtol=0, atol=1e-9)


def test_two_runs_are_equal_to_the_bit_on_any_stream() -> None:
    t, y, _ = draw(300, 50)
    model = gp.StateSpaceGP(KERNELS[2], noise=0.1, max_iterations=0)
    runs = []
    for stream in (torch.cuda.current_stream(), torch.cuda.Stream()):  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream):
            poison_the_allocator()
            model.fit(t, torch.from_numpy(y).cuda())
            value, slope = model.log_marginal_likelihood(np.zeros(3))
            mean, std = model.predict([0.5, 3.0], return_std=True)
            runs.append((value, slope.tolist(), mean.tolist(), std.tolist()))
    assert runs[0] == runs[1]


def test_learns_the_same() -> None:
    rng = np.random.default_rng(3)
    t = np.sort(rng.uniform(0, 30, 200))
    y = np.linalg.cholesky(Matern(1.7, 1.5)(t) + 0.05 * np.eye(200)) @ rng.normal(size=(200, 4))
    found = gp.StateSpaceGP(Matern(0.3, 1.5), noise=1.0).fit(t, torch.from_numpy(y.T).cuda())
    expected = gp.StateSpaceGP(Matern(0.3, 1.5), noise=1.0).fit(t, y.T)
    assert found.log_marginal_likelihood_ == pytest.approx(
        expected.log_marginal_likelihood_, rel=1e-8
    )


def test_trouble_is_named() -> None:
    model = gp.StateSpaceGP(Matern(), noise=0.0, noise_bounds=None, max_iterations=0)
    observed = np.array([[True, True, False], [True, True, True]])
    with pytest.raises(NotPositiveDefiniteError, match=r"series 1: .* observation 2 \(t = 1\)"):
        model.fit([0.0, 1.0, 1.0], torch.zeros(2, 3, device="cuda"), observed=observed)
