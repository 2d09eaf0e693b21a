"""The CUDA kernels of the bases against those of the CPU, on fresh random numbers."""

# torch returns Any, and modules hide the types of what they hold.
# mypy: disable-error-code="no-any-return,no-untyped-call"

from __future__ import annotations

import secrets
from typing import Any

import pytest
import torch
import torch._dynamo.testing
from torch.library import opcheck

from fourfold import kan
from fourfold._gpu import has_cuda_kernels, no_cuda_kernels
from fourfold.kan import _basis_kernel as kernel
from fourfold.kan import _basis_ops as ops
from fourfold.kan import bases
from fourfold.kan.bases import BASES

pytestmark = pytest.mark.gpu

Tensor = torch.Tensor
DTYPES = [torch.float32, torch.float64]
# One number, less and more than a warp's features, many rows, more functions than a block has warps.
SHAPES = [(1, 1, 1), (5, 33, 8), (2001, 7, 9), (70, 784, 17), (3, 64, 40)]
# Combinations differ in the formula alone.
CASES = [
    (function, shape)
    for function in kernel.FUNCTIONS
    for shape in (SHAPES if " of " not in function else SHAPES[1:2])
]


@pytest.fixture(autouse=True)
def _a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if not has_cuda_kernels():
        pytest.skip(no_cuda_kernels())
    seed = secrets.randbits(48)
    print("seed", seed)
    torch.manual_seed(seed)


def poison_the_allocator() -> None:
    """Memory that the next outputs get is full of NaN."""
    blocks = [torch.full((1 << n,), torch.nan, device="cuda") for n in (10, 16, 21, 23)]
    del blocks


def close(got: Any, expected: Any, sizes: Any = None) -> None:
    """To some units in the last place of a number, or of a sum's largest terms."""
    if isinstance(got, Tensor):
        got, expected = (got,), (expected,)
    for k, (there, here) in enumerate(zip(got, expected, strict=True)):
        assert there.dtype == here.dtype
        size = 1.0 if sizes is None else sizes[k].abs().amax().clamp(min=1.0)
        off = (there.cpu().double() - here.double()).abs()
        assert torch.equal(off.isnan(), here.isnan())
        bound = 256 * torch.finfo(here.dtype).eps * (here.double().abs() + size)
        assert bool((off <= bound)[~here.isnan()].all()), (off / bound).nan_to_num().max()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("function", "shape"), CASES, ids=str)
def test_functions(function: str, shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    rows, features, functions = shape
    functions += functions % 2 if function == "fourier" else 0
    series = function in kernel.SERIES
    x = torch.randn(rows, features, dtype=dtype)
    if function == "chebyshev":
        x = x.tanh()
    of_parameters = (0,) if series else (functions, features)
    c, s = torch.randn(of_parameters, dtype=dtype), torch.rand(of_parameters, dtype=dtype) + 0.5
    g = torch.randn(rows, functions, features, dtype=dtype)
    if not series:
        x[0, 0] = torch.nan
    x_, c_, s_, g_ = (z.cuda() for z in (x, c, s, g))
    poison_the_allocator()
    close(kernel.basis(x_, c_, s_, function, functions), kernel.basis(x, c, s, function, functions))
    wanted = not series
    poison_the_allocator()
    got = kernel.basis_backward(g_, x_, c_, s_, function, wanted)
    expected = kernel.basis_backward(g, x, c, s, function, wanted)
    many = float(max(rows, functions) * functions)
    close(got, expected, [torch.tensor(many)] * 3)
    again = kernel.basis_backward(g_, x_, c_, s_, function, wanted)
    assert all(torch.equal(p.nan_to_num(), q.nan_to_num()) for p, q in zip(got, again, strict=True))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_angles_beyond_the_fast_range(dtype: torch.dtype) -> None:
    x = torch.logspace(0, 37, 999, dtype=dtype).repeat_interleave(3)[:, None]
    x[0], x[1] = torch.inf, torch.nan
    empty = x.new_empty(0)
    expected = kernel.basis(x, empty, empty, "fourier", 2)
    close(kernel.basis(x.cuda(), empty.cuda(), empty.cuda(), "fourier", 2), expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
@pytest.mark.parametrize("grid_size", [1, 5, 200])
@pytest.mark.parametrize("adapted", [False, True])
def test_splines(adapted: bool, grid_size: int, degree: int, dtype: torch.dtype) -> None:
    features = 37
    knots = torch.rand(grid_size + 2 * degree + 1, features if adapted else 1).cumsum(dim=0)
    basis = bases.BSpline(features, degree=degree, knots=knots - knots.mean()).to(dtype)
    tables = basis._working_knots, basis._table
    there = tables[0].cuda(), tables[1].cuda()
    x = torch.randn(301, features, dtype=dtype) * knots.mean()
    x[0, 0], x[1, 1], x[2, 2] = torch.nan, torch.inf, -1e30
    g = torch.randn(301, basis.functions, features, dtype=dtype)
    for order in range(degree):
        size = [torch.tensor(float(30**order))]
        poison_the_allocator()
        close([kernel.spline(x.cuda(), *there, order)], [kernel.spline(x, *tables, order)], size)
        got = kernel.spline_backward(g.cuda(), x.cuda(), *there, order)
        close([got], [kernel.spline_backward(g, x, *tables, order)], size)
    x = x.nan_to_num(0.5, 0.5, 0.5)
    w = torch.randn(basis.functions, features, 11, dtype=dtype)
    gy = torch.randn(301, 11, dtype=dtype)
    close(kernel.spline_linear(x.cuda(), w.cuda(), *there), kernel.spline_linear(x, w, *tables))
    got_pair = kernel.spline_linear_backward(gy.cuda(), x.cuda(), w.cuda(), *there, True)
    expected = kernel.spline_linear_backward(gy, x, w, *tables, True)
    close(got_pair, expected, [torch.tensor(300.0)] * 2)


@pytest.mark.parametrize("name", list(BASES))
def test_layers(name: str) -> None:
    """A training step through the module is that of the CPU."""
    layer = kan.KANLinear(6, 5, name).double()
    x = torch.rand(33, 6, dtype=torch.float64) - 0.5
    y = layer(x)
    y.square().sum().backward()
    expected = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
    layer.zero_grad()
    layer.cuda()
    there = layer(x.cuda())
    there.square().sum().backward()
    torch.testing.assert_close(there.cpu(), y)
    got = [p.grad for p in layer.parameters() if p.grad is not None]
    for p, q in zip(got, expected, strict=True):
        torch.testing.assert_close(p.cpu(), q, rtol=1e-9, atol=1e-9)


def test_operators_and_compile() -> None:
    x = torch.rand(4, 3, device="cuda", dtype=torch.float64, requires_grad=True)
    c, s = torch.rand(5, 3, device="cuda", dtype=torch.float64), x.new_ones(5, 3)
    opcheck(torch.ops.fourfold.kan_basis.default, (x, c, s, "gaussian", 5))
    layer = kan.KANLinear(3, 2).cuda().double()
    tables = layer.basis._working_knots, layer.basis._table
    opcheck(torch.ops.fourfold.kan_spline.default, (x, *tables, 0))
    opcheck(torch.ops.fourfold.kan_spline_linear.default, (x, layer.weight.detach(), *tables))
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    run = torch.compile(layer, fullgraph=True, backend=counter)
    torch.testing.assert_close(run(x), layer(x))
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(layer, x)
    assert torch.autograd.gradcheck(lambda *z: ops.basis(*z, "morlet", 5), (x, c, s))
    slopes = torch.func.vmap(torch.func.grad(lambda z: layer(z).sum()))(x.detach())
    (expected,) = torch.autograd.grad(layer(x).sum(), x)
    torch.testing.assert_close(slopes, expected)


def test_streams_and_graphs() -> None:
    x, g = torch.randn(4001, 64, device="cuda"), torch.randn(4001, 8, 64, device="cuda")
    c, s = torch.randn(8, 64, device="cuda"), torch.rand(8, 64, device="cuda")

    def both(z: Tensor) -> list[Tensor]:
        out = kernel.basis(z, c, s, "gaussian", 8)
        return [out, *kernel.basis_backward(g, z, c, s, "gaussian", True)]

    expected = both(x)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        late = torch.zeros_like(x)
        torch.cuda._sleep(10_000_000)
        late.copy_(x)  # not finished yet, were the kernel on another stream
        got = both(late)
    torch.cuda.current_stream().wait_stream(stream)
    assert all(torch.equal(p, q) for p, q in zip(got, expected, strict=True))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = both(x)
    x.copy_(torch.randn_like(x))
    graph.replay()
    assert all(torch.equal(p, q) for p, q in zip(captured, both(x), strict=True))


def test_other_devices() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one CUDA device")
    layer = kan.KANLinear(6, 5).to("cuda:1")
    x = torch.rand(7, 6, device="cuda:1")
    before = torch.cuda.current_device()
    assert layer(x).device == x.device
    assert torch.cuda.current_device() == before
    with pytest.raises(ValueError, match="knots: expected on cuda:0 like x, got one on cuda:1"):
        layer(x.to("cuda:0"))
