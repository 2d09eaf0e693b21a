"""Networks that are trained, refined, pruned, and read as formulas."""

# torch returns Any, and modules hide the types of what they hold.
# mypy: disable-error-code="no-any-return,union-attr,operator,index,misc,no-untyped-call,arg-type,comparison-overlap,return-value"

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest
import sympy
import torch

from fourfold import kan
from fourfold.errors import TrainingError
from fourfold.kan import symbolic

DOUBLE = torch.float64


def square_points(n: int = 300, features: int = 2) -> torch.Tensor:
    return torch.rand(n, features, dtype=DOUBLE) * 2 - 1


def known_network() -> kan.KAN:
    """exp(sin(3 x) + y^2), exactly."""
    network = kan.KAN([2, 1, 1], base=None).double()
    x = square_points()
    for edge, name in (((0, 0, 0), "sin"), ((0, 1, 0), "x^2"), ((1, 0, 0), "exp")):
        network.fix_symbolic(*edge, "x", x)
        network.fixed["_".join(map(str, edge))] = symbolic.SymbolicEdge(
            symbolic.SymbolicFit(name, 3.0 if name == "sin" else 1.0, 0, 1, 0, 1), x
        )
    return network


def test_a_network_is_its_layers() -> None:
    network = kan.KAN([3, 4, 2], "rbf")
    x = torch.randn(5, 3)
    torch.testing.assert_close(network(x), network.layers[1](network.layers[0](x)))
    nodes = network.activations(x)
    assert [n.shape for n in nodes] == [(5, 3), (5, 4), (5, 2)]
    bias = network.layers[1].bias
    torch.testing.assert_close(network.edges(1, nodes[1]).sum(dim=1) + bias, nodes[2])


def target(x: torch.Tensor) -> torch.Tensor:
    return torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, 1:] ** 2)


def test_a_trained_network_becomes_a_formula() -> None:
    """[2, 5, 1]: train sparsely, prune what is small, refine, name the edges, train, read."""
    torch.manual_seed(1)
    x = square_points(400)
    y = target(x)
    network = kan.KAN([2, 5, 1], grid_size=3).double()
    seen: list[int] = []
    for _ in range(6):
        network.fit(x, y, steps=4, grid_updates=1, sparsity=0.01)
        if not network.prune(x, 0.05):
            break
    assert int(network.mask_1.sum()) == 1  # one of five hidden nodes is left
    losses = network.fit(x, y, steps=10, grid_updates=1, progress=lambda i, _: seen.append(i))
    assert seen == list(range(len(losses)))
    coarse = losses[-1]
    network.refine(10, x)
    assert network.fit(x, y, steps=10)[-1] < coarse / 100
    fits = network.symbolic(x)
    assert sorted(fit.name for fit in fits.values()) == ["exp", "sin", "x^2"]
    network.fit(x, y, steps=10)
    (formula,) = network.formula(["x", "y"])
    test = square_points(200)
    truth = target(test)[:, 0].numpy()
    found = sympy.lambdify(sympy.symbols("x y", real=True), formula)(*test.T.numpy())
    assert 1 - np.var(found - truth) / np.var(truth) > 0.9999
    # A product of signs may be left: sin(3.14 x) or -sin(-3.14 x).
    (rounded,) = network.formula(["x", "y"], digits=2)
    a, b = sympy.symbols("x y", real=True)
    assert sympy.simplify(rounded - sympy.exp(sympy.sin(sympy.Float(3.14) * a) + b**2)) == 0


def test_fixed_edges() -> None:
    network = known_network()
    x = square_points(50)
    want = torch.exp(torch.sin(3 * x[:, :1]) + x[:, 1:] ** 2)
    torch.testing.assert_close(network(x), want)
    a, b = sympy.symbols("x_1 x_2", real=True)
    (formula,) = network.formula(digits=6)
    assert sympy.simplify(formula - sympy.exp(sympy.sin(3 * a) + b**2)) == 0
    # The splines below them are out of the way, and do not learn.
    network(x).sum().backward()
    assert all((layer.weight.grad == 0).all() for layer in network.layers)
    assert network.fixed["0_0_0"].affine.grad.abs().sum() > 0
    other = kan.KAN([2, 1, 1], base=None).double()
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(x), network(x))
    assert "sin" in {t.get_text() for ax in network.plot(x).axes for t in ax.texts}


def test_pruning_removes_what_does_not_matter() -> None:
    network = kan.KAN([2, 3, 1], base=None).double()
    x = square_points()
    with torch.no_grad():
        network.layers[0].weight[:, :, 1] *= 1e-3  # node 1 is reached by hardly anything
        network.layers[1].weight[:, 2] *= 1e-3  # nothing leaves node 2
    removed = network.prune(x, 0.02)
    dead = {(0, 0, 1), (0, 1, 1), (1, 1, 0), (0, 0, 2), (0, 1, 2), (1, 2, 0)}
    assert set(removed) == dead
    assert network.prune(x, 0.02) == []
    only = network.layers[1].edges(network.layers[0](x))[:, 0]
    torch.testing.assert_close(network(x), only + network.layers[1].bias)
    # Removed edges have no box in the picture: a canvas and three boxes are left.
    assert len(network.plot(x).axes) == 1 + 3


def test_pruning_keeps_the_mean_of_what_it_removes() -> None:
    network = kan.KAN([2, 3, 2], base=None).double()
    x = square_points()
    with torch.no_grad():
        network.layers[0].weight[:, 1] = 0.7  # the second input adds a constant: splines sum to 1
    before = network(x)
    assert {edge for edge in network.prune(x, 0.0001) if edge[0] == 0} == {
        (0, 1, 0),
        (0, 1, 1),
        (0, 1, 2),
    }
    torch.testing.assert_close(network(x), before)
    # What is left trains, moves its grids and is made sparse without the removed ones.
    losses = network.fit(x, torch.cat([x, x], 1)[:, :2], steps=3, grid_updates=1, sparsity=0.001)
    assert losses[-1] < losses[0]
    assert network.fixed_name(0, 1, 2) == "0"


def test_a_pruned_hidden_node_does_not_hinder_training() -> None:
    network = kan.KAN([2, 3, 1], grid_size=3).double()
    x = square_points(100)
    for i in range(2):
        network.fix_symbolic(0, i, 1, "0")
    network.fix_symbolic(1, 1, 0, "0")
    at = network.layers[1].basis.knots
    # The node has one value only, which has no range to spread a grid over.
    network.fit(x, target(x), steps=2, grid_updates=1, sparsity=0.001)
    knots = network.layers[1].basis.knots
    assert torch.equal(knots[:, 1], at[:, 0])
    assert not torch.equal(knots[:, 0], at[:, 0])


@pytest.mark.parametrize("basis", ["bspline", "rbf"])
def test_state_dicts_go_round(basis: str) -> None:
    """Of pruned, fixed and refined networks into new ones; copies; compiled."""
    network = kan.KAN([2, 3, 1], basis).double()
    x = square_points(50)
    if basis == "bspline":
        network.update_grid(x, uniform=0.5)
        network.refine(7, x)
    network.fix_symbolic(0, 0, 0, "sin", x)
    network.fix_symbolic(0, 1, 2, "0")
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    fresh = kan.KAN([2, 3, 1], basis).double()
    used = kan.KAN([2, 3, 1], basis).double()
    used.fix_symbolic(1, 1, 0, "exp", x)
    for other in (fresh, used):
        other.load_state_dict(state)
        assert torch.equal(other(x), network(x))
        names = [(layer, i, o) for layer, i, o in ((0, 0, 0), (0, 1, 2), (1, 1, 0), (0, 0, 1))]
        assert [other.fixed_name(*edge) for edge in names] == ["sin", "0", None, None]
    assert torch.equal(copy.deepcopy(network)(x), network(x))
    assert torch.equal(pickle.loads(pickle.dumps(network))(x), network(x))
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), network(x))


def test_sparsity_makes_edges_small() -> None:
    torch.manual_seed(1)
    x = square_points(200)
    y = x[:, :1] ** 2
    sizes = []
    for sparsity in (0.0, 0.02):
        torch.manual_seed(0)
        network = kan.KAN([2, 1], grid_size=3).double()
        network.fit(x, y, steps=5, sparsity=sparsity)
        sizes.append(network.edges(0, x)[:, 1].std())
    assert sizes[1] < 0.02
    assert not network.fit(x, y, steps=1, sparsity=0.0)[-1] > 1


@pytest.mark.parametrize("name", [n for n in symbolic.LIBRARY if n not in ("0", "x", "abs")])
def test_the_library_recognises_its_own(name: str) -> None:
    x = np.sort(np.random.default_rng(0).uniform(-1, 1, 300))
    a, b = (0.7, 1.9) if name in ("1/x", "sqrt", "log") else (1.1, 0.3)
    image = symbolic.LIBRARY[name].torch(torch.as_tensor(a * x + b)).numpy()
    best = symbolic.suggest(x, 2.5 * image - 1.0)[0]
    assert best.name == name
    assert best.r2 > 1 - 1e-8
    at = torch.as_tensor(best.a * x + best.b)
    again = best.c * symbolic.LIBRARY[name].torch(at).numpy() + best.d
    np.testing.assert_allclose(again, 2.5 * image - 1.0, atol=1e-3)
    if name in ("exp", "x^2", "x^3", "1/x", "sqrt", "log"):
        assert 0.1 < abs(best.c) < 10
    # The torch and the sympy side are the same function.
    s = sympy.Symbol("s")
    values = sympy.lambdify(s, symbolic.LIBRARY[name].sympy(s))(a * x + b)
    np.testing.assert_allclose(values, image, rtol=1e-12)


def test_fits_report_what_they_explain() -> None:
    x = np.linspace(-1, 1, 100)
    fit = symbolic.fit_function("x", x, 3 * x - 2)
    assert (fit.c, fit.d) == pytest.approx((3, -2))
    noisy = x + 0.1 * np.sin(40 * x)
    fit = symbolic.fit_function("x", x, noisy)
    slope = np.cov(x, noisy)[0, 1] / np.var(x, ddof=1)
    rest = np.var(noisy - slope * x) / np.var(noisy)
    assert fit.r2 == pytest.approx(1 - rest)
    assert symbolic.fit_function("0", x, x).r2 <= 0
    assert symbolic.suggest(x, np.zeros(100))[0].name == "0"


def test_errors() -> None:
    network = kan.KAN([2, 2, 1])
    x = torch.rand(20, 2)
    with pytest.raises(ValueError, match="the edge 0 -> 0 of layer 0 has no formula yet"):
        network.formula()
    with pytest.raises(ValueError, match="layer: expected 0 to 1, got 2"):
        network.fix_symbolic(2, 0, 0, "x", x)
    with pytest.raises(ValueError, match="o: expected a node from 0 to 0, got 1"):
        network.fix_symbolic(1, 0, 1, "x", x)
    with pytest.raises(ValueError, match="name: expected one of"):
        network.fix_symbolic(0, 0, 0, "sinh", x)
    with pytest.raises(ValueError, match=r"name: expected one of .* got \['sin'\]"):
        network.fix_symbolic(0, 0, 0, ["sin"], x)
    with pytest.raises(ValueError, match="x: expected inputs of the network"):
        network.fix_symbolic(0, 0, 0, "x")
    for message, data in (
        (r"y: expected shape \(n >= 1, 1\), got \(20, 2\)", torch.rand(20, 2)),
        (r"y: expected shape \(n >= 1, 1\), got \(20,\)", torch.rand(20)),
        ("y: expected as many rows as x has, 20, got 19", torch.rand(19, 1)),
        ("y: expected finite values", torch.full((20, 1), torch.nan)),
    ):
        with pytest.raises(ValueError, match=message):
            network.fit(x, data)
    with pytest.raises(TypeError, match=r"y: expected torch.float32 .* got torch.float64"):
        network.fit(x, torch.rand(20, 1, dtype=DOUBLE))
    with pytest.raises(TypeError, match="x: expected a torch tensor, got ndarray"):
        network.fit(np.zeros((3, 2)), torch.rand(3, 1))
    with pytest.raises(ValueError, match=r"x: expected shape \(n >= 2, 2\), got \(1, 2\)"):
        network.prune(x[:1])
    with pytest.raises(ValueError, match="threshold: expected at least 0 and less than 1, got 3"):
        network.prune(x, 3)
    with pytest.raises(ValueError, match="x: expected finite values"):
        network.symbolic(x / 0)
    with pytest.raises(ValueError, match=r"x: expected shape \(n >= 1, 2\), got \(20, 3\)"):
        network.plot(torch.rand(20, 3))
    with pytest.raises(ValueError, match="sparsity: expected a number of at least 0, got -1"):
        network.fit(x, torch.rand(20, 1), sparsity=-1)
    with pytest.raises(ValueError, match=r"features: expected \(2,\) of torch.bool"):
        network.layers[0].update_grid(x, features=torch.ones(2))
    with pytest.raises(ValueError, match="widths: expected two or more"):
        kan.KAN([3])
    with pytest.raises(ValueError, match="mixes the features"):
        kan.KAN([2, 1], "af").plot(x)
    with pytest.raises(TrainingError, match="the loss is inf after step 1"):
        network.fit(x, torch.full((20, 1), 1e30))
    with pytest.raises(TypeError, match="refine needs a B-spline basis"):
        kan.KAN([2, 1], "rbf").refine(5)
