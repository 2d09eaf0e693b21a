"""KANLinear and KANConv2d: against sums over edges, loops and SciPy; their variance; grids."""

# torch returns Any, and modules hide the types of what they hold.
# mypy: disable-error-code="no-any-return,union-attr,operator,index,misc,no-untyped-call,arg-type,comparison-overlap,return-value"

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F

from fourfold import kan
from fourfold.kan.bases import BASES
from fourfold.kan.bases.af import Activation, Combination, Norm, Reduction

NAMES = sorted(BASES)


@pytest.mark.isa
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("outputs", [1, 5, 17, 83])
def test_linear_is_the_sum_over_functions(name: str, outputs: int) -> None:
    layer = kan.KANLinear(8, outputs, name, base="silu").double()
    x = torch.randn(3, 4, 8, dtype=torch.float64)
    want = layer.bias + F.silu(x) @ layer.base_weight.T
    features = layer.basis.formula(x)
    for j in range(layer.basis.functions):
        want = want + features[..., j, :] @ layer.weight[j]
    torch.testing.assert_close(layer(x), want)
    if layer.basis.separable:
        torch.testing.assert_close(layer.edges(x).sum(dim=-2) + layer.bias, want)
    else:
        with pytest.raises(ValueError, match="mixes the features"):
            layer.edges(x)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "af"])
@pytest.mark.parametrize("base", ["default", None, "gelu"])
def test_outputs_begin_with_variance_one(name: str, base: str | None) -> None:
    torch.manual_seed(7)
    layer = kan.KANLinear(200, 300, name, base=base)
    y = layer(torch.randn(400, 200))
    assert 0.85 < y.square().mean() < 1.15


@pytest.mark.parametrize("name", NAMES)
def test_state_dicts_go_round(name: str) -> None:
    layer, other = kan.KANLinear(8, 3, name), kan.KANLinear(8, 3, name)
    x = torch.randn(5, 8)
    if name == "bspline":
        layer.update_grid(3 * x, uniform=0.3)
        layer.refine(7)
        state = layer.state_dict()
        for wrong in (kan.KANLinear(8, 4), kan.KANLinear(8, 3, degree=2), kan.KANLinear(7, 3)):
            with pytest.raises(RuntimeError, match="size mismatch for weight"):
                wrong.load_state_dict(state)
    other.load_state_dict(layer.state_dict())
    layer.eval(), other.eval()
    assert torch.equal(other(x), layer(x))


@pytest.mark.parametrize("name", NAMES)
def test_a_convolution_is_a_layer_of_patches(name: str) -> None:
    conv = kan.KANConv2d(4, 6, (3, 2), name, stride=(2, 1), padding=(1, 0), dilation=(1, 2))
    conv = conv.double().eval()
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    y = conv(x)
    # Feature by feature: what the basis makes of a channel, unfolded into patches.
    values = conv.basis.formula(x.movedim(1, -1))  # (N, H, W, K, C)
    images = values.permute(0, 3, 4, 1, 2).flatten(1, 2)
    geometry: dict[str, Any] = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}
    patches = F.unfold(images, (3, 2), **geometry)
    want = conv.weight.flatten(1) @ patches + conv.bias[:, None]
    if conv.base_weight is not None:
        want = want + conv.base_weight.flatten(1) @ F.unfold(F.silu(x), (3, 2), **geometry)
    torch.testing.assert_close(y.flatten(2), want)


def test_a_convolution_trains_and_refuses() -> None:
    conv = kan.KANConv2d(3, 4, 3, padding=1)
    y = conv(torch.randn(2, 3, 5, 5))
    assert 0.3 < y.detach().square().mean() < 2
    y.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in conv.parameters())
    with pytest.raises(ValueError, match=r"x: expected \(N, 3, H, W\), got \(2, 4, 5, 5\)"):
        conv(torch.randn(2, 4, 5, 5))
    with pytest.raises(ValueError, match="kernel_size: expected at least 1"):
        kan.KANConv2d(3, 4, (3, 0))
    with pytest.raises(ValueError, match=r"x: smaller than the kernel: .* dilation \(2, 2\)"):
        kan.KANConv2d(3, 4, 3, dilation=2)(torch.randn(2, 3, 5, 4))
    assert kan.KANConv2d(3, 4, 3, dilation=2)(torch.randn(2, 3, 5, 5)).shape == (2, 4, 1, 1)


def test_options_that_no_basis_has_are_named() -> None:
    with pytest.raises(
        TypeError, match=r"options: rbf has functions, .*implementation, got grid_size$"
    ):
        kan.KANLinear(4, 3, "rbf", grid_size=5)
    with pytest.raises(TypeError, match="mask: expected a torch tensor, got list"):
        kan.KANLinear(4, 3)(torch.randn(5, 4), [1])


def test_refining_to_nested_knots_changes_nothing() -> None:
    layer = kan.KANLinear(3, 4, grid_size=4).double()
    x = torch.rand(200, 3, dtype=torch.float64) * 2 - 1
    before = layer(x)
    layer.refine(12)
    assert layer.weight.shape == (15, 3, 4)
    torch.testing.assert_close(layer(x), before, rtol=0, atol=1e-12)
    layer.refine(5, x)
    assert 1e-6 < (layer(x) - before).abs().max() < 0.1 * before.abs().max()


def test_updating_the_grid_follows_the_inputs() -> None:
    layer = kan.KANLinear(2, 3, grid_size=6, base=None).double()
    x = torch.randn(500, 2, dtype=torch.float64) * torch.tensor([0.2, 0.3]) + 0.1
    before = layer(x)
    layer.update_grid(x, uniform=0.0, margin=0.0)
    spline = layer.basis
    assert isinstance(spline, kan.BSpline)
    inner = spline.knots[3:-3]
    torch.testing.assert_close(inner[0], x.amin(dim=0))
    torch.testing.assert_close(inner[-1], x.amax(dim=0))
    counts = torch.stack([(x >= low).sum(dim=0) for low in inner[:-1]]).diff(dim=0)
    assert ((counts + 500 / 6).abs() <= 2).all()  # an equal share in every interval
    assert (layer(x) - before).std() < 0.2 * before.std()
    layer.update_grid(x, margin=0.2)
    assert isinstance(layer.basis, kan.BSpline)
    inner = layer.basis.knots[3:-3]
    width = x.amax(dim=0) - x.amin(dim=0)
    torch.testing.assert_close(inner[0], x.amin(dim=0) - 0.2 * width)
    torch.testing.assert_close(inner.diff(dim=0), (1.4 / 6 * width).expand(6, 2))
    with pytest.raises(ValueError, match="feature 1 has one value only"):
        layer.update_grid(x * torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"uniform: expected a number in \[0, 1\]"):
        layer.update_grid(x, uniform=1.5)
    with pytest.raises(TypeError, match="refine needs a B-spline basis, this one is RBF"):
        kan.KANLinear(2, 3, "rbf").refine(4)


def af_answer(**options: Any) -> torch.Tensor:
    torch.manual_seed(3)
    basis = kan.AF(7, **options).eval()
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in basis.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return basis(torch.randn(5, 7)).detach()


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("activation", get_args(Activation)),
        ("combination", get_args(Combination)),
        ("reduction", get_args(Reduction)),
        ("norm", (*get_args(Norm), None)),
        ("grid_size", (2, 3, 4)),
        ("order", (1, 2, 3)),
        ("domain", ((0, 1), (-1, 1))),
    ],
)
def test_every_option_of_af_acts(option: str, values: tuple[Any, ...]) -> None:
    answers = [af_answer(**{option: value}) for value in values]
    for i, one in enumerate(answers):
        assert one.isfinite().all()
        for other in answers[:i]:
            assert not torch.allclose(one, other, rtol=1e-3)


@pytest.mark.parametrize("combination", get_args(Combination))
def test_af_by_hand(combination: str) -> None:
    basis = kan.AF(2, combination=combination, activation="tanh", reduction="multistep", norm=None)
    assert basis.separable
    x = torch.tensor([[0.3, -0.8]])
    a = torch.tanh(x[0, 1] - basis.low[:, 1])
    b = torch.tanh(basis.high[:, 1] - x[0, 1])
    combined = {
        "quad1": a**2 * b**2,
        "quad2": a * b + a**2 + b**2,
        "sum": a + b,
        "prod": a * b,
        "sum_prod": a + b + a * b,
        "cubic1": (a + b) * (a**2 + b**2),
        "cubic2": a**3 * b**3,
    }[combination]
    score = basis.score
    assert isinstance(score, torch.nn.Linear)
    want = torch.tanh(score.weight[0] @ combined + score.bias[0])
    torch.testing.assert_close(basis(x)[0, 0, 1], want)


def test_af_attention_by_hand() -> None:
    basis = kan.AF(4, norm=None)
    x = torch.randn(1, 4)
    a, b = F.silu(x - basis.low), F.silu(basis.high - x)
    values = (a * b) ** 2
    score = basis.score
    assert isinstance(score, torch.nn.Linear)
    scores = score.weight[0] @ values + score.bias
    weights = (scores / 2).softmax(dim=0)  # the temperature begins at sqrt(4)
    torch.testing.assert_close(basis(x)[0, 0], F.silu(weights * values.sum(dim=0)))


@pytest.mark.parametrize("reduction", get_args(Reduction))
@pytest.mark.parametrize("norm", [*get_args(Norm), None])
def test_a_prediction_does_not_depend_on_batch_mates(reduction: Any, norm: Any) -> None:
    layer = kan.KANLinear(6, 4, "af", reduction=reduction, norm=norm)
    layer(torch.randn(20, 6))  # statistics of a batch norm
    layer.eval()
    x = torch.randn(9, 6)
    together = layer(x)
    alone = torch.cat([layer(row[None]) for row in x])
    other_mates = layer(torch.cat([x[:1], 5 * torch.randn(30, 6)]))[:1]
    torch.testing.assert_close(alone, together)
    torch.testing.assert_close(other_mates, together[:1])
