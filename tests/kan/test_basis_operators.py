"""The bases' torch operators: opcheck, compile, vmap, fake tensors, refusals."""

# torch returns Any, and modules hide the types of what they hold.
# mypy: disable-error-code="no-any-return,union-attr,operator,index,misc,no-untyped-call,arg-type,comparison-overlap,return-value"

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch._dynamo.testing

from fourfold import kan
from fourfold.kan import _basis_ops as ops

DOUBLE = torch.float64


def spline_arguments(features: int = 5, per_feature: bool = False) -> tuple[torch.Tensor, ...]:
    basis = kan.BSpline(features).double()
    if per_feature:
        basis = kan.BSpline(features, knots=basis.knots * torch.linspace(0.5, 2, features))
    return basis._working_knots.clone(), basis._table.clone()


def operators() -> list[tuple[Any, tuple[Any, ...]]]:
    x = torch.randn(7, 5, dtype=DOUBLE, requires_grad=True)
    centre = torch.randn(3, 5, dtype=DOUBLE, requires_grad=True)
    scale = torch.rand(3, 5, dtype=DOUBLE).requires_grad_()
    none = torch.empty(0, dtype=DOUBLE)
    knots, table = spline_arguments(per_feature=True)
    weight = torch.randn(8, 5, 4, dtype=DOUBLE, requires_grad=True)
    plain = [t.detach() for t in (x, centre, scale, weight)]
    grad3, grad8 = torch.randn(7, 3, 5, dtype=DOUBLE), torch.randn(7, 8, 5, dtype=DOUBLE)
    grad4 = torch.randn(7, 4, dtype=DOUBLE)
    fourfold = torch.ops.fourfold
    return [
        (fourfold.kan_basis, (x, centre, scale, "morlet", 3)),
        (fourfold.kan_basis, (x, none, none, "chebyshev", 4)),
        (fourfold.kan_basis, (x, centre, scale, "quad1 of silu", 3)),
        (fourfold.kan_basis_backward, (grad3, plain[0], plain[1], plain[2], "gaussian", True)),
        (fourfold.kan_basis_backward, (grad3, plain[0], none, none, "chebyshev", False)),
        (fourfold.kan_spline, (x, knots, table, 0)),
        (fourfold.kan_spline_backward, (grad8, plain[0], knots, table, 1)),
        (fourfold.kan_spline_linear, (x, weight, knots, table)),
        (fourfold.kan_spline_linear_backward, (grad4, plain[0], plain[3], knots, table, True)),
    ]


@pytest.mark.parametrize("index", range(9))
def test_opcheck(index: int) -> None:
    operator, arguments = operators()[index]
    # Dynamic shapes once: tracing takes most of the time.
    tests = ["test_schema", "test_autograd_registration", "test_faketensor"]
    dynamic = "test_aot_dispatch_dynamic" if index in (0, 7) else "test_schema"
    torch.library.opcheck(operator.default, arguments, test_utils=[*tests, dynamic])


def test_second_derivatives_of_the_layer() -> None:
    knots, table = spline_arguments(per_feature=True)
    x = (2 * torch.randn(3, 5, dtype=DOUBLE)).requires_grad_()
    weight = torch.randn(8, 5, 2, dtype=DOUBLE, requires_grad=True)

    def layer(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return ops.spline_linear(x, weight, knots, table)

    assert torch.autograd.gradcheck(layer, (x, weight))
    assert torch.autograd.gradgradcheck(layer, (x, weight))


def test_compiles_into_one_graph_for_any_batch() -> None:
    torch._dynamo.reset()
    layer = torch.nn.Sequential(kan.KANLinear(6, 5), kan.KANLinear(5, 3, "wavelet"))
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend=counter)
    for batch in (4, 7, 9):
        x = torch.randn(batch, 6)
        got, want = compiled(x), layer(x)
        torch.testing.assert_close(got, want)
        ours = torch.autograd.grad(got.sum(), list(layer.parameters()))
        theirs = torch.autograd.grad(want.sum(), list(layer.parameters()))
        torch.testing.assert_close(ours, theirs)
    assert counter.frame_count == 1


@pytest.mark.parametrize(("name", "kernel"), [("rbf", False), ("fourier", False), ("relu", True)])
def test_what_torch_compile_sees(name: str, kernel: bool) -> None:
    """The formula, where its compiler makes more of it, unless the kernel is asked for."""
    x = torch.randn(4, 3)
    for implementation, expected in (("auto", kernel), ("compiled", True), ("torch", False)):
        torch._dynamo.reset()
        basis = kan.bases.BASES[name](3, implementation=implementation)
        seen: list[bool] = []

        def backend(graph: torch.fx.GraphModule, _: object, seen: list[bool] = seen) -> object:
            seen.append("fourfold.kan_basis" in graph.code)
            return graph.forward

        got = torch.compile(basis, fullgraph=True, backend=backend)(x)
        assert seen == [expected]
        torch.testing.assert_close(got, basis(x))


@pytest.mark.parametrize(
    "name", ["bspline", "rbf", "wavelet", "relu", "chebyshev", "fourier", "af"]
)
def test_functional_transforms(name: str) -> None:
    layer = kan.KANLinear(4, 3, name).double()
    x = torch.randn(6, 4, dtype=DOUBLE)
    torch.testing.assert_close(torch.vmap(layer)(x), layer(x))
    jacobian = torch.func.vmap(torch.func.jacrev(layer))(x)
    rows = [torch.autograd.functional.jacobian(layer, row) for row in x]
    torch.testing.assert_close(jacobian, torch.stack(rows))
    # A gradient per sample, and an ensemble of layers.
    parameters = dict(layer.named_parameters())

    def loss(parameters: dict[str, torch.Tensor], row: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, parameters, (row,)).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    whole = torch.func.grad(lambda p: sum(loss(p, row) for row in x))(parameters)
    for key, value in whole.items():
        torch.testing.assert_close(each[key].sum(0), value)
    layers = [kan.KANLinear(4, 3, name).double() for _ in range(3)]
    stacked = torch.func.stack_module_state(layers)

    def call(*state: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(layer, state, (x,))

    together = torch.vmap(call)(*stacked)
    torch.testing.assert_close(together, torch.stack([one(x) for one in layers]))


@pytest.mark.parametrize("name", ["bspline", "wavelet"])
def test_batched_gradients(name: str) -> None:
    layer = kan.KANLinear(4, 3, name).double()
    x = torch.randn(2, 4, dtype=DOUBLE, requires_grad=True)
    y = layer(x)
    vectors = torch.randn(5, 2, 3, dtype=DOUBLE)
    together = torch.autograd.grad(y, x, vectors, is_grads_batched=True, retain_graph=True)[0]
    each = [torch.autograd.grad(y, x, v, retain_graph=True)[0] for v in vectors]
    torch.testing.assert_close(together, torch.stack(each))


def test_autocast_gives_its_dtype() -> None:
    for name in ("bspline", "rbf"):
        layer = kan.KANLinear(6, 5, name)
        x = torch.randn(3, 6)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = layer(x)
        assert y.dtype == torch.bfloat16
        torch.testing.assert_close(y.float(), layer(x), atol=0.05, rtol=0.05)


def test_exports_as_formula() -> None:
    layer = kan.KANLinear(6, 5, implementation="torch")
    x = torch.randn(3, 6)
    program = torch.export.export(layer, (x,))
    torch.testing.assert_close(program.module()(x), layer(x))
    assert "kan_spline" not in str(program.graph)


def test_meta_tensors_have_shapes() -> None:
    with torch.device("meta"):
        layer = kan.KANLinear(6, 5)
        assert layer(torch.empty(3, 6)).shape == (3, 5)


def test_negated_views_are_taken_as_they_are() -> None:
    layer = kan.KANLinear(4, 3).double()
    z = torch.randn(6, 4, dtype=torch.complex128).conj()
    assert z.imag.is_neg()
    torch.testing.assert_close(layer(z.imag), layer(z.imag.resolve_neg().clone()))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, by torch
@pytest.mark.parametrize("name", ["bspline", "rbf", "chebyshev"])
def test_forward_mode_derivatives(name: str) -> None:
    layer = kan.KANLinear(4, 3, name).double()
    x, direction = torch.randn(2, 6, 4, dtype=DOUBLE)
    value, slope = torch.func.jvp(layer, (x,), (direction,))
    torch.testing.assert_close(value, layer(x))
    step = 1e-6
    want = (layer(x + step * direction) - layer(x - step * direction)) / (2 * step)
    torch.testing.assert_close(slope, want, rtol=1e-6, atol=1e-7)


def test_refusals() -> None:
    knots, table = spline_arguments()
    x = torch.randn(3, 5, dtype=DOUBLE)
    weight = torch.randn(8, 5, 2, dtype=DOUBLE)
    with pytest.raises(ValueError, match=r"weight: expected shape \(8, 5, 2\), got \(7, 5, 2\)"):
        ops.spline_linear(x, weight[:7], knots, table)
    with pytest.raises(TypeError, match=r"weight: expected torch\.float64 as x has"):
        ops.spline_linear(x, weight.float(), knots, table)
    with pytest.raises(ValueError, match="are not those of splines"):
        ops.spline(x, knots[:5], table)
    with pytest.raises(TypeError, match=r"x: expected float32 or float64, got torch\.float16"):
        ops.spline(x.half(), knots, table)
    with pytest.raises(ValueError, match=r"centre: expected shape \(3, 5\)"):
        ops.basis(x, x[:2], x[:2], "gaussian", 3)
    with pytest.raises(ValueError, match="function: expected one of"):
        ops.basis(x, x, x, "haar", 3)
    with pytest.raises(ValueError, match="derivative: expected at least 0"):
        ops.spline(x, knots, table, -1)
    with pytest.raises(NotImplementedError):
        torch.ops.fourfold.kan_spline(x.to_sparse(), knots, table, 0)
