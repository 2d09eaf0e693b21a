"""`rational` among torch's own machinery: autograd, torch.func, compile, export, autocast, errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch._dynamo.testing
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.library import opcheck

from fourfold import kan
from fourfold.kan.functional import Implementation, Variant

Tensor = torch.Tensor
VARIANTS: tuple[Variant, ...] = ("A", "B", "C", "N")


def inputs(
    variant: str = "A", degree: tuple[int, int] = (5, 4), shape: Sequence[int] = (2, 3, 8)
) -> tuple[Tensor, Tensor, Tensor]:
    """In float64, away from the kinks."""
    torch.manual_seed(7)
    positive = variant == "N"
    x = torch.randn(shape, dtype=torch.float64)
    x = x.abs() + 0.1 if positive else x + 0.1 * x.sign()
    a = torch.randn(1, degree[0] + 1, dtype=torch.float64)
    b = torch.randn(4, degree[1] + (variant == "C"), dtype=torch.float64)
    b = b.abs() if positive else b
    return x.requires_grad_(), a.requires_grad_(), b.requires_grad_()


@pytest.mark.parametrize("implementation", ["kernel", "torch"])
@pytest.mark.parametrize("degree", [(5, 4), (2, 3), (3, 0), (0, 2)], ids=str)
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradcheck(
    variant: Variant, degree: tuple[int, int], implementation: Implementation
) -> None:
    def call(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return kan.rational(x, a, b, variant=variant, implementation=implementation)

    given = inputs(variant, degree, (2, 4))
    assert torch.autograd.gradcheck(call, given)
    if implementation == "kernel":
        assert torch.autograd.gradgradcheck(call, given)


def test_third_derivative() -> None:
    x = torch.linspace(0.5, 2, 8, dtype=torch.float64, requires_grad=True)
    a, b = torch.tensor([[0.0, 1.0]]).double(), torch.tensor([[1.0]]).double()
    value = kan.rational(x, a, b)  # x/(1 + x)
    for order, factor in ((1, 1.0), (2, -2.0), (3, 6.0)):
        (value,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        torch.testing.assert_close(value, factor * (1 + x) ** (-1 - order))


@pytest.mark.parametrize(
    "variant", ["A", *(pytest.param(v, marks=pytest.mark.slow) for v in "BCN")]
)
def test_opcheck(variant: str) -> None:
    x, a, b = inputs(variant)
    opcheck(torch.ops.fourfold.rational.default, (x, a, b, variant, -1))
    plain = [z.detach().bfloat16().transpose(0, -1) for z in (torch.randn_like(x), x)]
    small = [z.detach().bfloat16() for z in (a, b)]
    opcheck(torch.ops.fourfold.rational.default, (plain[1], *small, variant, 0))
    opcheck(torch.ops.fourfold.rational_backward.default, (*plain, *small, variant, 0))


@pytest.mark.slow
def test_opcheck_of_the_second_derivative() -> None:
    x, a, b = inputs()
    backward = torch.ops.fourfold.rational_backward.default
    opcheck(backward, (torch.randn_like(x), x, a, b, "A", -1))


IN_DIMS = [(0, None, None), (1, 0, None), (None, 0, 0), (0, 1, 0), (2, None, 1), (None, None, 0)]


@pytest.mark.parametrize("dim", [-1, 0])
@pytest.mark.parametrize("in_dims", IN_DIMS, ids=str)
def test_vmap(in_dims: tuple[int | None, ...], dim: int) -> None:
    torch.manual_seed(0)
    sizes = ((8, 3, 8), (1, 6), (4, 4)) if dim == 0 else ((3, 2, 8), (1, 6), (4, 4))
    batched = []
    for size, at in zip(sizes, in_dims, strict=True):
        shape = list(size)
        if at is not None:
            shape.insert(at, 5)
        batched.append(torch.randn(shape, dtype=torch.float64))

    def call(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return kan.rational(x, a, b, dim=dim)

    def direct(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return torch.ops.fourfold.rational(x, a, b, "A", dim)  # type: ignore[no-any-return]

    slopes = torch.func.grad(lambda *z: call(*z).sin().sum(), argnums=(0, 1, 2))
    calls: list[Callable[..., Any]] = [call, direct, slopes]
    for function in calls:
        got = torch.func.vmap(function, in_dims)(*batched)
        each = [
            function(
                *(
                    z if at is None else z.select(at, k)
                    for z, at in zip(batched, in_dims, strict=True)
                )
            )
            for k in range(5)
        ]
        if isinstance(got, Tensor):
            got, each = (got,), [(one,) for one in each]
        for part, several in zip(got, zip(*each, strict=True), strict=True):
            torch.testing.assert_close(part, torch.stack(several))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_forward_mode_and_hessian() -> None:
    x, a, b = (z.detach() for z in inputs())
    reverse = torch.func.jacrev(kan.rational, argnums=(0, 1, 2))(x, a, b)
    forward = torch.func.jacfwd(kan.rational, argnums=(0, 1, 2))(x, a, b)
    for p, q in zip(reverse, forward, strict=True):
        torch.testing.assert_close(p, q)
    point = x[0, 0]
    hessian = torch.func.hessian(lambda z: kan.rational(z, a, b).sum())(point)
    expected = torch.autograd.functional.hessian(  # type: ignore[no-untyped-call]
        lambda z: kan.rational(z, a, b, implementation="torch").sum(), point
    )
    torch.testing.assert_close(hessian, expected)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(point, torch.ones_like(point))  # type: ignore[no-untyped-call]
        out = kan.rational(dual, a, b)
        tangent = torch.autograd.forward_ad.unpack_dual(out).tangent  # type: ignore[no-untyped-call]
    slope = torch.func.grad(lambda z: kan.rational(z, a, b).sum())(point)
    torch.testing.assert_close(tangent, slope)


def test_batched_backward() -> None:
    x, a, b = inputs()
    out = kan.rational(x, a, b)
    g = torch.randn(3, *out.shape, dtype=torch.float64)
    together = torch.autograd.grad(out, (x, a, b), g, is_grads_batched=True, retain_graph=True)
    for k in range(3):
        alone = torch.autograd.grad(out, (x, a, b), g[k], retain_graph=True)
        for p, q in zip(together, alone, strict=True):
            torch.testing.assert_close(p[k], q)


def test_compile_with_dynamic_batch() -> None:
    """Whole graphs; the batch may change without another compilation; gradients of all."""
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    layer = kan.Rational(16, groups=4, init="gelu")

    @torch.compile(fullgraph=True, backend=counter)
    def run(x: Tensor) -> Tensor:
        out: Tensor = layer(x.sin()) * 2
        return out

    for batch in (6, 7, 11, 30):
        x = torch.randn(batch, 3, 16, requires_grad=True)
        torch._dynamo.mark_dynamic(x, 0)
        expected = layer(x.sin()) * 2
        leaves = (x, *layer.parameters())
        slopes = torch.autograd.grad(expected.sum(), leaves)
        got = run(x)
        torch.testing.assert_close(got, expected)
        for p, q in zip(torch.autograd.grad(got.sum(), leaves), slopes, strict=True):
            torch.testing.assert_close(p, q)
    assert counter.frame_count == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own
def test_inductor() -> None:
    layer = kan.Rational(16, groups=4)
    x = torch.randn(5, 16, requires_grad=True)
    got = torch.compile(layer, fullgraph=True)(x)
    torch.testing.assert_close(got, layer(x))
    (slope,) = torch.autograd.grad(got.sum(), x)
    torch.testing.assert_close(slope, torch.autograd.grad(layer(x).sum(), x)[0])


def test_export_of_the_plain_formula() -> None:
    layer = kan.Rational(16, groups=4, init="gelu", implementation="torch")
    x = torch.randn(5, 16) * torch.tensor([[0.1], [1.0], [10.0], [1e4], [1e30]])
    batch = torch.export.Dim("batch")
    program = torch.export.export(layer, (x,), dynamic_shapes=({0: batch},))
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert all(name.startswith(("aten.", "<built-in", "_operator")) for name in names), names
    torch.testing.assert_close(program.module()(x[:3]), layer(x[:3]))


@pytest.mark.slow
def test_onnx(tmp_path: Any) -> None:
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    layer = kan.Rational(16, groups=4, init="gelu", implementation="torch")
    x = torch.randn(5, 16) * torch.tensor([[0.1], [1.0], [10.0], [1e4], [1e30]])
    file = str(tmp_path / "layer.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(layer, (x,), file, dynamo=True, verbose=False)
    onnx.checker.check_model(file)
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(got), layer(x), rtol=1e-5, atol=1e-5)


def test_kernel_exports_as_one_operator() -> None:
    layer = kan.Rational(16, groups=4)
    program = torch.export.export(layer, (torch.randn(5, 16),))
    assert "fourfold.rational" in str(program.graph)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_jit_trace_keeps_the_operator() -> None:
    layer = kan.Rational(16, groups=4)
    traced = torch.jit.trace(layer, torch.randn(5, 16))  # type: ignore[no-untyped-call]
    x = torch.randn(7, 16)
    assert torch.equal(traced(x), layer(x))


def test_autocast_as_torch_activations() -> None:
    """The dtype that comes is the dtype that goes, inside and outside."""
    layer = torch.nn.Sequential(torch.nn.Linear(8, 16), kan.Rational(16, 4), torch.nn.Linear(16, 2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = layer[0](torch.randn(3, 8))
        assert layer[1](hidden).dtype == torch.nn.functional.silu(hidden).dtype == torch.bfloat16
        wide = torch.randn(3, 16)
        assert layer[1](wide).dtype == torch.nn.functional.silu(wide).dtype == torch.float32
        layer(torch.randn(3, 8)).sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in layer.parameters())


def test_fake_meta_and_function_modes() -> None:
    x, a, b = (z.detach() for z in inputs())
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = kan.rational(mode.from_tensor(x), mode.from_tensor(a), mode.from_tensor(b))
        assert (fake.shape, fake.stride(), fake.dtype) == (x.shape, x.stride(), x.dtype)
    meta = kan.rational(x.to("meta"), a.to("meta"), b.to("meta"))
    assert meta.device.type == "meta"
    with torch.device("cpu"):  # a function mode
        assert torch.equal(kan.rational(x, a, b), kan.rational(x, a, b))


def test_inference_mode_and_frozen_parts() -> None:
    x, a, b = inputs()
    with torch.inference_mode():
        torch.testing.assert_close(kan.rational(x, a, b), kan.rational(x, a, b))
    only = kan.rational(x.detach(), a, b.detach())
    (da,) = torch.autograd.grad(only.sum(), a)
    torch.testing.assert_close(da, torch.autograd.grad(kan.rational(x, a, b).sum(), a)[0])


def test_nothing_is_saved_but_the_inputs() -> None:
    x, a, b = inputs()
    kept: list[Tensor] = []

    def pack(saved: Tensor) -> Tensor:
        kept.append(saved)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        kan.rational(x, a, b).sum()
    assert {z.data_ptr() for z in kept} == {z.data_ptr() for z in (x, a, b)}


def test_saved_tensors_may_not_be_changed() -> None:
    x, a, b = inputs()
    out = kan.rational(x * 1, a, b)
    with torch.no_grad():
        a.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("implementation", ["kernel", "torch"])
def test_refusals(implementation: Implementation) -> None:
    x, a, b = (z.detach().float() for z in inputs())

    def refused(kind: type[Exception], match: str, *given: Any, **options: Any) -> None:
        with pytest.raises(kind, match=match):
            kan.rational(*given, implementation=implementation, **options)

    refused(ValueError, r"4 groups divide, got 3 in dimension 1 of \(2, 3, 8\)", x, a, b, dim=1)
    refused(ValueError, r"dim: expected -3 to 2 .* got 3", x, a, b, dim=3)
    refused(ValueError, "variant: expected one of A, B, C, N, got 'D'", x, a, b, variant="D")
    refused(ValueError, r"numerator: expected shape .* got \(6,\)", x, a[0], b)
    refused(ValueError, "denominator: .* degree 0 to 12, got 13", x, a, torch.ones(4, 13))
    refused(ValueError, "numerator: .* degree 0 to 12, got 0", x, torch.ones(4, 0), b)
    refused(ValueError, "b_0 on .* got 0", x, a, torch.ones(4, 0), variant="C")
    refused(ValueError, "same number of groups, or 1, .* got 2 and 4", x, torch.ones(2, 6), b)
    refused(ValueError, "at least one dimension, got a scalar", torch.tensor(1.0), a, b)
    refused(TypeError, "x: expected float64, .* got int64", x.long(), a, b)
    refused(TypeError, "numerator: expected a floating-point tensor, got complex64", x, a + 0j, b)
    refused(TypeError, "float64 coefficients need float64 x, got x of float32", x, a.double(), b)
    refused(TypeError, "x: expected a torch.Tensor, got list", [1.0], a, b)
    refused(TypeError, "denominator: expected a torch.Tensor, got ndarray", x, a, b.numpy())
    refused(TypeError, r"x: expected a dense tensor, .* torch.sparse_coo", x.to_sparse(), a, b)
    refused(TypeError, "denominator: expected a dense tensor", x, a, b.to_sparse())
    refused(TypeError, "dim: expected an integer, got 'c'", x, a, b, dim="c")
    refused(ValueError, "numerator: expected on cpu like x, got meta", x, a.to("meta"), b)


def test_refused_implementation_and_device() -> None:
    x, a, b = inputs()
    with pytest.raises(
        ValueError, match="implementation: expected 'kernel' or 'torch', got 'fast'"
    ):
        kan.rational(x, a, b, implementation="fast")  # type: ignore[arg-type]
    with FakeTensorMode():
        there = [torch.empty(z.shape, device="xpu") for z in (x, a, b)]
        with pytest.raises(NotImplementedError, match=r"no kernel for tensors on xpu:0, only for"):
            kan.rational(*there)


def test_backward_operator_refuses_another_gradient() -> None:
    x, a, b = (z.detach() for z in inputs())
    with pytest.raises(ValueError, match=r"gradient: expected torch.float64 of shape \(2, 3, 8\)"):
        torch.ops.fourfold.rational_backward(x[:1], x, a, b, "A", -1)
