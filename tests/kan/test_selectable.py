"""S-KAN: the mixture, selection, and pruning that removes parameters."""

# torch returns Any, and modules hide the types of what they hold.
# mypy: disable-error-code="no-any-return,union-attr,operator,index,misc,no-untyped-call,arg-type,comparison-overlap,return-value"

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from fourfold import kan
from fourfold.kan import plot

Layer = kan.SelectableKANLinear | kan.SelectableKANConv2d
LINEAR = (lambda: kan.SelectableKANLinear(3, 11), (6, 3))
CONV = (lambda: kan.SelectableKANConv2d(3, 11, 3, padding=1), (2, 3, 5, 4))


def layer_and_input(which: str) -> tuple[Layer, torch.Tensor]:
    make, shape = {"linear": LINEAR, "conv": CONV}[which]
    layer = make()
    with torch.no_grad():
        layer.scores.normal_()
        assert layer.bias is not None
        layer.bias.normal_()
    return layer, torch.randn(*shape)


@pytest.mark.parametrize("which", ["linear", "conv"])
def test_the_mixture(which: str) -> None:
    layer, x = layer_and_input(which)
    weights = layer.mixing_weights()
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(11))
    shape = (-1,) if which == "linear" else (-1, 1, 1)
    assert layer.bias is not None
    want = layer.bias.reshape(shape)
    for p, name in enumerate(layer.pool):
        want = want + weights[p].reshape(shape) * layer.branches[name](x)
    torch.testing.assert_close(layer(x), want)
    assert layer.stage == "full"


@pytest.mark.parametrize("which", ["linear", "conv"])
def test_selecting_and_pruning(which: str) -> None:
    layer, x = layer_and_input(which)
    full = layer.report()
    layer.select(2)
    assert layer.stage == "selective"
    assert ((layer.mixing_weights() > 0).sum(dim=0) == 2).all()
    layer.select(1)
    y = layer(x)
    y.square().sum().backward()
    # What rests does not learn.
    for p, name in enumerate(layer.pool):
        rests = ~layer.active[p]
        grad = layer.branches[name].weight.grad
        assert grad is not None
        dim = -1 if which == "linear" else 0
        assert (grad.movedim(dim, 0)[rests] == 0).all()
    layer.prune()
    assert layer.stage == "pruned"
    torch.testing.assert_close(layer(x), y)
    report = layer.report()
    assert torch.equal(report.choice, full.choice)
    assert report.parameters == sum(p.numel() for p in layer.parameters())
    assert report.parameters < full.parameters / 2.5
    assert sum(report.counts.values()) == 11
    assert "pruned, 11 nodes" in str(report)
    layer(x).sum().backward()
    with pytest.raises(RuntimeError, match="has been pruned"):
        layer.select(1)
    with pytest.raises(RuntimeError, match="has been pruned"):
        layer.prune()


@pytest.mark.parametrize("which", ["linear", "conv"])
def test_pruning_at_once_keeps_the_weight_of_the_best(which: str) -> None:
    layer, x = layer_and_input(which)
    weights = layer.mixing_weights().detach()
    parts = {name: branch(x).detach() for name, branch in layer.branches.items()}
    choice = layer.report().choice
    layer.prune()
    y = layer(x)
    assert layer.bias is not None
    dim = -1 if which == "linear" else 1
    for node in range(11):
        part = parts[layer.pool[choice[node]]].select(dim, node)
        want = weights[choice[node], node] * part + layer.bias[node]
        torch.testing.assert_close(y.select(dim, node), want)


@pytest.mark.parametrize("stage", ["full", "selective", "pruned"])
def test_state_dicts_go_round(stage: str) -> None:
    layer, x = layer_and_input("linear")
    model = nn.Sequential(layer, nn.Linear(11, 2))
    if stage != "full":
        kan.select(model, 2)
    if stage == "pruned":
        kan.prune(model)
    other = nn.Sequential(kan.SelectableKANLinear(3, 11), nn.Linear(11, 2))
    other.load_state_dict(copy.deepcopy(model.state_dict()))
    assert torch.equal(other(x), model(x))
    assert next(kan.selectable_layers(other))[1].stage == stage


def test_training_selects_what_made_the_data() -> None:
    torch.manual_seed(5)
    x = 2 * torch.randn(400, 1)
    target = torch.cat([torch.cos(6 * x), torch.tanh(x) ** 3], dim=1)
    layer = kan.SelectableKANLinear(
        1, 2, ("chebyshev", "fourier"), options={"fourier": {"terms": 8}}
    )
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        loss = (layer(x) - target).square().mean()
        loss.backward()
        optimiser.step()
    chosen = [layer.pool[index] for index in layer.report().choice]
    assert chosen == ["fourier", "chebyshev"]


def test_the_picture() -> None:
    model = nn.Sequential(kan.SelectableKANLinear(3, 11), kan.SelectableKANLinear(11, 4))
    figure = plot.selection(model)
    assert len(figure.axes) == 2
    with pytest.raises(ValueError, match="no selectable layer"):
        plot.selection(nn.Linear(2, 3))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="pool: expected two or more different names"):
        kan.SelectableKANLinear(2, 3, ("rbf", "rbf"))
    with pytest.raises(ValueError, match="pool: expected two or more different names"):
        kan.SelectableKANLinear(2, 3, ("rbf", "sine"))
    with pytest.raises(ValueError, match="pool: expected two or more different names"):
        kan.SelectableKANLinear(2, 2, [["rbf"], "relu"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="pool: expected names of bases, got 3"):
        kan.SelectableKANLinear(2, 2, 3)
    with pytest.raises(TypeError, match="options: expected a dict of dicts"):
        kan.SelectableKANLinear(2, 3, options={"rbf": 3})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=r"options: \['relu'\] are not in the pool"):
        kan.SelectableKANLinear(2, 3, options={"relu": {}})
    with pytest.raises(ValueError, match="keep: expected at most 4, got 5"):
        kan.SelectableKANLinear(2, 3).select(5)
    with pytest.raises(ValueError, match="no selectable layer"):
        kan.select(nn.Linear(2, 3))
