"""The CUDA kernels of rational functions against those of the CPU, on fresh random numbers."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest
import torch
import torch._dynamo.testing
from torch.library import opcheck

from fourfold import kan
from fourfold._gpu import has_cuda_kernels, no_cuda_kernels
from fourfold.kan import _ops
from fourfold.kan.functional import Variant

pytestmark = pytest.mark.gpu

Tensor = torch.Tensor
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
VARIANTS: tuple[Variant, ...] = ("A", "B", "C", "N")
# Odd sizes, one group, a group for each channel, images, runs that become segments.
SHAPES = [
    ((301, 24), -1, 8),
    ((7, 33, 768), -1, 8),
    ((1003,), 0, 1),
    ((129, 40), -1, 40),
    ((3, 16, 7, 9), 1, 8),
    ((2, 24, 97, 113), 1, 3),
    ((4099, 96), -1, 8),
]


@pytest.fixture(autouse=True)
def _a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if not has_cuda_kernels():
        pytest.skip(no_cuda_kernels())


def draw(
    shape: tuple[int, ...],
    groups: int,
    dtype: torch.dtype,
    variant: str = "A",
    degree: tuple[int, int] = (5, 4),
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """g, x, a, b on the CPU; a few x far from the origin."""
    seed = secrets.randbits(48)
    print("seed", seed)
    torch.manual_seed(seed)
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    x = torch.randn(shape, dtype=compute)
    far = torch.rand(shape) < 0.002
    x = torch.where(far, x * {torch.float64: 1e200, torch.float16: 1e4}.get(dtype, 1e30), x)
    a = torch.randn(1, degree[0] + 1, dtype=compute)
    b = torch.randn(groups, degree[1] + (variant == "C"), dtype=compute)
    if variant == "N":
        x, b = x.abs(), b.abs()
    return torch.randn(shape, dtype=compute).to(dtype), x.to(dtype), a, b


def poison_the_allocator() -> None:
    """Memory that the next outputs get is full of NaN."""
    blocks = [
        torch.full((n,), torch.nan, device="cuda") for n in (1 << 10, 1 << 16, 1 << 21, 1 << 23)
    ]
    del blocks


def compare(got: Tensor, expected: Tensor, size: Tensor | float = 1.0) -> None:
    eps = torch.finfo(expected.dtype).eps
    there, here = got.cpu().double(), expected.double()
    finite = here.isfinite()
    assert torch.equal(there[~finite].isnan(), here[~finite].isnan())
    scale = torch.as_tensor(size, dtype=torch.float64).expand_as(here)[finite]
    off = (there[finite] - here[finite]).abs()
    assert bool((off <= 64 * eps * (here[finite].abs() + scale)).all()), (off / scale).max()


def check(g: Tensor, x: Tensor, a: Tensor, b: Tensor, variant: Variant, dim: int) -> None:
    expected = kan.rational(x, a, b, variant=variant, dim=dim)
    slopes = _ops.rational_backward(g, x, a, b, variant, dim)
    on_gpu = [z.cuda() for z in (g, x, a, b)]
    poison_the_allocator()
    out = kan.rational(*on_gpu[1:], variant=variant, dim=dim)
    assert out.stride() == expected.stride()
    assert out.dtype == expected.dtype
    compare(out, expected)
    poison_the_allocator()
    got = _ops.rational_backward(*on_gpu, variant, dim)
    compare(got[0], slopes[0])
    # Sums of many terms, which may cancel: the sums of their sizes, from an all-positive gradient.
    sizes = _ops.rational_backward(
        g.abs(), x.abs(), a.abs(), b.abs(), "A" if variant == "A" else variant, dim
    )
    for k in (1, 2):
        compare(got[k], slopes[k], sizes[k].double().abs().amax().clamp(min=1.0))
    again = _ops.rational_backward(*on_gpu, variant, dim)
    assert all(torch.equal(p, q) for p, q in zip(got, again, strict=True))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("shape", "dim", "groups"), SHAPES, ids=str)
def test_shapes(shape: tuple[int, ...], dim: int, groups: int, dtype: torch.dtype) -> None:
    check(*draw(shape, groups, dtype), "A", dim)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("degree", [(5, 4), (3, 2), (7, 6), (12, 12), (0, 3), (2, 0)], ids=str)
def test_variants_and_degrees(
    degree: tuple[int, int], variant: Variant, dtype: torch.dtype
) -> None:
    check(*draw((65, 48), 4, dtype, variant, degree), variant, -1)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "expanded": lambda x: x[:1].expand_as(x),
    "negated": lambda x: torch._neg_view(-x),
    "one element off": lambda x: torch.cat([x.flatten()[:1], x.flatten()])[1:].view(x.shape),
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_strides_and_alignment(layout: str, dtype: torch.dtype) -> None:
    g, x, a, b = (z.cuda() for z in draw((9, 11, 24), 8, dtype))
    there = LAYOUTS[layout](x)
    plain = there.clone(memory_format=torch.contiguous_format)
    compare(kan.rational(there, a, b), kan.rational(plain.cpu(), a.cpu(), b.cpu()))
    got = _ops.rational_backward(LAYOUTS[layout](g), there, a, b, "A", -1)
    copied = LAYOUTS[layout](g).clone(memory_format=torch.contiguous_format)
    expected = _ops.rational_backward(*(z.cpu() for z in (copied, plain, a, b)), "A", -1)
    compare(got[0], expected[0])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_empty_and_special_numbers(dtype: torch.dtype) -> None:
    _, _, a, b = (z.cuda() for z in draw((1, 8), 8, dtype))
    assert kan.rational(torch.empty(0, 8, dtype=dtype, device="cuda"), a, b).shape == (0, 8)
    x = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, torch.nan, 1.0, -1.0, 3e4], dtype=dtype)
    expected = kan.rational(x[:, None].expand(8, 8).contiguous(), a.cpu(), b.cpu())
    compare(kan.rational(x.cuda()[:, None].expand(8, 8).contiguous(), a, b), expected)


def test_gradcheck_and_operators() -> None:
    g, x, a, b = (z.cuda().requires_grad_() for z in draw((3, 8), 4, torch.float64))
    x = (x.detach() / (1 + x.detach().abs()) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(kan.rational, (x, a, b))
    assert torch.autograd.gradgradcheck(kan.rational, (x, a, b))
    opcheck(torch.ops.fourfold.rational.default, (x, a, b, "A", -1))
    opcheck(
        torch.ops.fourfold.rational_backward.default,
        (*(z.detach() for z in (g, x, a, b)), "A", -1),
    )


def test_compile() -> None:
    layer = kan.Rational(16, groups=4, init="gelu").cuda()
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    run = torch.compile(layer, fullgraph=True, backend=counter)
    x = torch.randn(6, 3, 16, device="cuda", requires_grad=True)
    torch.testing.assert_close(run(x), layer(x))
    (slope,) = torch.autograd.grad(run(x).sum(), x)
    torch.testing.assert_close(slope, torch.autograd.grad(layer(x).sum(), x)[0])


def test_other_streams_are_waited_for_by_torch_alone() -> None:
    """The work is queued on the current stream: its results are there when that stream has come so far."""
    g, x, a, b = (z.cuda() for z in draw((4001, 768), 8, torch.float32))
    expected = _ops.rational_backward(g, x, a, b, "A", -1)
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        late = x * 1  # would not be finished yet, were the kernel on another stream
        torch.cuda._sleep(10_000_000)  # type: ignore[no-untyped-call]
        late.copy_(x)
        got = _ops.rational_backward(g, late, a, b, "A", -1)
    torch.cuda.current_stream().wait_stream(stream)
    assert all(torch.equal(p, q) for p, q in zip(got, expected, strict=True))


def test_other_devices() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one CUDA device")
    _, x, a, b = (z.to("cuda:1") for z in draw((301, 24), 8, torch.float32))
    before = torch.cuda.current_device()
    out = kan.rational(x, a, b)
    assert out.device == x.device
    assert torch.cuda.current_device() == before
    compare(out, kan.rational(x.cpu(), a.cpu(), b.cpu()))


def test_graph_capture() -> None:
    g, x, a, b = (z.cuda() for z in draw((301, 768), 8, torch.float32))
    _ops.rational_backward(g, x, a, b, "A", -1)  # loads the kernels
    kan.rational(x, a, b)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = kan.rational(x, a, b)
        slopes = _ops.rational_backward(g, x, a, b, "A", -1)
    x.copy_(torch.randn_like(x))
    graph.replay()
    assert torch.equal(out, kan.rational(x, a, b))
    for p, q in zip(slopes, _ops.rational_backward(g, x, a, b, "A", -1), strict=True):
        assert torch.equal(p, q)


def test_training_steps_are_equal_to_the_bit() -> None:
    def train() -> list[Tensor]:
        torch.manual_seed(1)
        layer = kan.Rational(96, groups=8).cuda()
        optimiser = torch.optim.SGD(layer.parameters(), lr=1e-3)
        for _ in range(5):
            optimiser.zero_grad()
            x = torch.randn(517, 96, device="cuda")
            layer(x).square().mean().backward()
            optimiser.step()
        return [p.detach().clone() for p in layer.parameters()]

    assert all(torch.equal(p, q) for p, q in zip(train(), train(), strict=True))
