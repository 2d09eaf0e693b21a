"""`gp.Kronecker` on a GPU beside the same on the CPU, on fresh random numbers."""

from __future__ import annotations

import math
import secrets
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.library import opcheck

from fourfold import gp
from fourfold._gpu import has_cuda_kernels, no_cuda_kernels
from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp import _cuda_kernel

from .reference import spd

pytestmark = pytest.mark.gpu

# Sizes, which factors have the batch, batch, right-hand sides. Small ones, which have kernels, and others.
SYSTEMS: list[Any] = [
    ([16, 16, 16], [True] * 3, (64,), ()),
    ([30, 30], [True] * 2, (8,), ()),
    ([1], [False], (), ()),
    ([7, 5], [False, True], (3,), (2,)),
    ([64, 33], [True, False], (2,), ()),
    ([2, 3, 1, 4, 2], [False] * 5, (), (5,)),
    ([100, 90], [True, True], (2,), (2,)),
    ([20, 40, 30], [False] * 3, (), ()),
    ([65, 3], [True, False], (4,), ()),
    ([6, 5], [True, False], (2,), (11,)),
]
IDS = [f"{s[0]} {s[2]} {s[3]}" for s in SYSTEMS]
DTYPES = [torch.float64, torch.float32]


@pytest.fixture(autouse=True)
def _a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if not has_cuda_kernels():
        pytest.skip(no_cuda_kernels())


def poison_the_allocator() -> None:
    """Memory that the next outputs get is full of NaN."""
    blocks = [
        torch.full((n,), torch.nan, device="cuda") for n in (1 << 10, 1 << 16, 1 << 21, 1 << 23)
    ]
    del blocks


def draw(case: Any, dtype: torch.dtype) -> list[Tensor]:
    """Factors, noise and data on the CPU."""
    sizes, batched, batch, extra = case
    seed = secrets.randbits(48)
    print("seed", seed)
    rng = np.random.default_rng(seed)
    factors = [spd(rng, *(batch if b else ()), n) for n, b in zip(sizes, batched, strict=True)]
    noise, y = rng.uniform(0.1, 1, batch), rng.standard_normal((*extra, *batch, math.prod(sizes)))
    return [torch.as_tensor(z).to(dtype) for z in (*factors, noise, y)]


def leaves(tensors: list[Tensor], device: str) -> list[Tensor]:
    return [t.to(device).requires_grad_() for t in tensors]


def results_of(tensors: list[Tensor], *, noise: bool = True) -> list[Tensor]:
    *factors, s, y = tensors
    k = gp.Kronecker(factors)
    quad, logdet = k.inv_quad_logdet(y, s if noise else None)
    return [quad, logdet, k.solve(y, s if noise else None), k.matvec(y)]


def slopes_of(results: list[Tensor], given: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
    loss = sum(
        ((r * w.to(r.device)).sum() for r, w in zip(results, weights, strict=True)),
        torch.zeros((), device=given[0].device),
    )
    return list(torch.autograd.grad(loss, given, materialize_grads=True))


def total(results: list[Tensor]) -> Tensor:
    return torch.stack([r.sum() for r in results]).sum()


def compare(got: Tensor, expected: Tensor) -> None:
    off = (got.detach().cpu().double() - expected.detach().double()).abs().max()
    size = expected.detach().double().abs().max()
    assert float(off) <= 2e4 * torch.finfo(expected.dtype).eps * max(float(size), 1e-3)


@pytest.mark.parametrize("noise", [True, False], ids=["noise", "no noise"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", SYSTEMS, ids=IDS)
def test_as_on_the_cpu(case: Any, dtype: torch.dtype, noise: bool) -> None:
    tensors = draw(case, dtype)
    here, there = leaves(tensors, "cpu"), leaves(tensors, "cuda")
    expected = results_of(here, noise=noise)
    poison_the_allocator()
    got = results_of(there, noise=noise)
    weights = [torch.randn_like(r) for r in expected]
    wanted = slopes_of(expected, here, weights)
    poison_the_allocator()
    found = slopes_of(got, there, weights)
    for one, other in zip([*got, *found], [*expected, *wanted], strict=True):
        assert one.device.type == "cuda"
        compare(one, other)
    with torch.no_grad():
        for one, other in zip(results_of(there, noise=noise), expected, strict=True):
            compare(one, other)


@pytest.mark.parametrize("case", SYSTEMS[:5], ids=IDS[:5])
def test_two_runs_are_equal_to_the_bit(case: Any) -> None:
    given = leaves(draw(case, torch.float64), "cuda")
    runs = []
    for _ in range(2):
        poison_the_allocator()
        *factors, s, y = given
        results = list(gp.Kronecker(factors).inv_quad_logdet(y, s))
        runs.append([*results, *torch.autograd.grad(total(results), given)])
    assert all(torch.equal(p, q) for p, q in zip(*runs, strict=True))


def test_small_systems_have_kernels() -> None:
    y = torch.empty(64, 1, 4096, device="cuda")
    assert _cuda_kernel.system_fits(y, [16, 16, 16], [64, 64, 64])
    assert _cuda_kernel.system_fits(y.double(), [16, 16, 16], [64, 64, 64])
    assert _cuda_kernel.system_fits(y[:8, :, :900].double(), [30, 30], [8, 1])


@pytest.mark.parametrize("n", [1, 2, 5, 16, 30, 47, 64])
def test_eigenproblems(n: int) -> None:
    rng = np.random.default_rng(secrets.randbits(48))
    v = rng.standard_normal((12, n, n))
    matrices = torch.as_tensor(v + v.swapaxes(-1, -2))
    matrices[0], matrices[1], matrices[2] = 0, 1, torch.eye(n)
    matrices[3] *= 1e150
    matrices[4] *= 1e-150
    [(values, vectors)] = gp.Kronecker([matrices.cuda()]).eigh()
    values, vectors = values.cpu(), vectors.cpu()
    size = matrices.abs().amax((-1, -2)).clamp(min=1e-300)[:, None, None] * n
    unit = torch.eye(n, dtype=torch.float64).expand(12, n, n)
    torch.testing.assert_close(vectors.mT @ vectors, unit, rtol=0, atol=3e-14)
    again = (vectors * values.unsqueeze(-2)) @ vectors.mT
    torch.testing.assert_close(again / size, matrices / size, rtol=0, atol=3e-14)


def test_other_operations() -> None:
    factors = [torch.as_tensor(spd(np.random.default_rng(2), n)) for n in (20, 7)]
    column = torch.exp(-torch.arange(600.0, dtype=torch.float64) / 9)
    systems: list[tuple[list[Any], list[Any]]] = [
        (factors, [f.cuda() for f in factors]),
        ([gp.Toeplitz(column), factors[1]], [gp.Toeplitz(column.cuda()), factors[1].cuda()]),
    ]
    for here, there in systems:
        on_cpu, on_gpu = gp.Kronecker(here), gp.Kronecker(there)
        x = torch.randn(math.prod(on_cpu.sizes), 3, dtype=torch.float64)
        compare(on_gpu @ x.cuda(), on_cpu @ x)
        compare(on_gpu.diagonal(), on_cpu.diagonal())
        compare(on_gpu.logdet(0.1), on_cpu.logdet(0.1))
        compare(on_gpu.logdet(), on_cpu.logdet())
        compare(on_gpu.solve(x[:, 0].cuda(), 0.1), on_cpu.solve(x[:, 0], 0.1))
        vectors = [torch.rand(n, dtype=torch.float64) + 0.1 for n in on_cpu.sizes]
        compare(
            on_gpu.solve(x[:, 0].cuda(), [v.cuda() for v in vectors]),
            on_cpu.solve(x[:, 0], vectors),
        )
        compare(on_gpu.sample(2, 5, noise=0.2), on_cpu.sample(2, 5, noise=0.2))
        generator = torch.Generator("cuda").manual_seed(0)
        assert on_gpu.sample(2, generator).device.type == "cuda"


def test_errors() -> None:
    k = gp.Kronecker([torch.eye(3, device="cuda").requires_grad_()])
    with pytest.raises(ValueError, match="y: 1 entries are not finite"):
        k.inv_quad_logdet(torch.tensor([1, torch.nan, 2], device="cuda"), 0.1)
    with pytest.raises(ValueError, match="on cuda:0 as the factors, got one on cpu"):
        k.solve(torch.ones(3))
    with pytest.raises(ValueError, match="noise: expected finite variances"):
        k.solve(torch.ones(3, device="cuda"), -0.1)
    with pytest.raises(NotPositiveDefiniteError, match="the matrix with its noise"):
        gp.Kronecker([-torch.eye(3, device="cuda").requires_grad_()]).logdet(0.1)
    triangle = torch.triu(torch.ones(3, 3, device="cuda")).requires_grad_()
    with pytest.raises(ValueError, match=r"factors\[0\] is not symmetric"):
        gp.Kronecker([triangle]).logdet(0.1)
    with pytest.raises(ValueError, match="mask: expected a tensor on cuda:0 as the factors"):
        k.solve(torch.ones(3, device="cuda"), mask=torch.tensor([True, False, True]))


@pytest.mark.parametrize("method", ["exact", "dense", "lanczos"])
def test_masks(method: str) -> None:
    rng = np.random.default_rng(3)
    factors = [torch.as_tensor(spd(rng, n)) for n in (12, 9)]
    y = torch.as_tensor(rng.standard_normal(108))
    mask = torch.as_tensor(rng.uniform(size=108) < 0.9)
    results = []
    for device in ("cpu", "cuda"):
        given = leaves([*factors, torch.tensor(0.3, dtype=torch.float64)], device)
        k = gp.Kronecker(given[:2])
        options: dict[str, Any] = {"mask": mask.to(device), "method": method}
        both = k.inv_quad_logdet(y.to(device), given[2], **options)
        x = k.solve(y.to(device), given[2], mask=mask.to(device))
        points = torch.linspace(0.1, 1, 108, dtype=torch.float64, device=device)
        more = k.inv_quad_logdet(y.to(device), points, mask=mask.to(device))
        results.append([*both, x, *more, *torch.autograd.grad(total(list(both)), given)])
    for here, there in zip(*results, strict=True):
        assert there.device.type == "cuda"
        compare(there, here)


def test_operators_and_compile() -> None:
    tensors = leaves(draw(([5, 4], [True, False], (2,), ()), torch.float64), "cuda")
    one, other, s, y = tensors
    shared = other.detach().unsqueeze(0).requires_grad_()
    data = y.detach().unsqueeze(1).contiguous().requires_grad_()
    for name in ("gp_inv_quad_logdet", "gp_solve"):
        operator = getattr(torch.ops.fourfold, name).default
        opcheck(operator, ([one, shared], s, data, [False, False]))

    def loss(one: Tensor, other: Tensor, s: Tensor, y: Tensor) -> Tensor:
        quad, logdet = gp.Kronecker([one, other]).inv_quad_logdet(y, s)
        return torch.as_tensor(quad.sum() + logdet.sum())

    run = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(run(*tensors), loss(*tensors))
    for p, q in zip(
        torch.autograd.grad(run(*tensors), tensors),
        torch.autograd.grad(loss(*tensors), tensors),
        strict=True,
    ):
        torch.testing.assert_close(p, q)


def test_other_stream() -> None:
    given = leaves(draw(SYSTEMS[0], torch.float64), "cuda")
    expected = torch.autograd.grad(total(results_of(given)), given)
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        late = [torch.zeros_like(g) for g in given]
        torch.cuda._sleep(10_000_000)  # type: ignore[no-untyped-call]
        for to, source in zip(late, given, strict=True):
            to.copy_(source.detach())
        late = [g.requires_grad_() for g in late]
        got = torch.autograd.grad(total(results_of(late)), late)
    torch.cuda.current_stream().wait_stream(stream)
    assert all(torch.equal(p, q) for p, q in zip(got, expected, strict=True))


def test_graph_capture() -> None:
    """Both ways of a small system; where a matrix is not positive definite, NaN."""
    given = leaves(draw(([16, 5], [True, False], (4,), ()), torch.float64), "cuda")

    def step() -> list[Tensor]:
        *factors, s, y = given
        quad, logdet = gp.Kronecker(factors).inv_quad_logdet(y, s)
        loss = quad.sum() + logdet.sum()
        return [quad.detach(), logdet.detach(), *torch.autograd.grad(loss, given)]

    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        step()  # loads the kernels
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = step()
    with torch.no_grad():
        given[-1].copy_(torch.randn_like(given[-1]))
    graph.replay()
    for p, q in zip(recorded, step(), strict=True):
        assert torch.equal(p, q)
    with torch.no_grad():
        given[0][2] = -torch.eye(16, device="cuda", dtype=torch.float64)
    graph.replay()
    assert recorded[1].isnan().tolist() == [False, False, True, False]
