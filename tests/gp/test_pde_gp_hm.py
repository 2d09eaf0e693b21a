"""GP-HM: its objective against the formulas written out with autograd and Kronecker products, and what it solves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp import pde
from fourfold.gp.kernels import SpectralMixture, SquaredExponential, StudentTMixture
from fourfold.gp.pde._hm_axis import kernel_at, parameters, parameters_bounds
from fourfold.gp.pde._hm_coordinates import Coordinates
from fourfold.gp.pde._hm_objective import Objective, State

RNG = np.random.default_rng()


def mixture(kind: Any, components: int = 3) -> Any:
    return kind(
        RNG.uniform(0.2, 1, components),
        RNG.uniform(0.1, 0.3, components),
        RNG.uniform(0, 2, components),
    )


def line(**change: Any) -> pde.Problem:
    """``u'' + u (u^2 - 1) = f``, as the paper's Allen-Cahn equation."""
    given: dict[str, Any] = {
        "box": (0, 1),
        "operator": {2: 1.0},
        "source": lambda x: np.sin(5 * x),
        "conditions": [pde.Dirichlet(0, 0.3), pde.Dirichlet(1, -0.2)],
        "nonlinear": (lambda u: u**3 - u, lambda u: 3 * u**2 - 1),
        "points": 9,
    }
    return pde.Problem(**(given | change))


def square(**change: Any) -> pde.Problem:
    """``u_xx + u_yy = f``, all sides given."""

    def side(x: Any, y: Any) -> Any:
        return np.cos(x + 2 * y)

    given: dict[str, Any] = {
        "box": [(0, 1), (0, 0.5)],
        "operator": {(2, 0): 1.0, (0, 2): 1.0},
        "source": lambda x, y: x - np.sin(3 * y),
        "conditions": [
            pde.Dirichlet(at, side, axis=a)
            for a, ends in enumerate(((0, 1), (0, 0.5)))
            for at in ends
        ],
        "points": (6, 5),
    }
    return pde.Problem(**(given | change))


def kernel_matrix(kind: Any, values: Any, grid: Any, order: int) -> Any:
    """K and K'' of the paper's formulas, entry by entry."""
    log_w, s, f = values.reshape(3, -1)
    z = (grid[:, None] - grid)[..., None]
    m = 2 * np.pi * f
    cosine, sine = torch.cos(m * z), torch.sin(m * z)
    if kind is SpectralMixture:
        a = torch.exp(s)
        g = torch.exp(-a * z**2)
        first, second = -2 * a * z * g, (4 * a**2 * z**2 - 2 * a) * g
    else:
        alpha = np.sqrt(5) * torch.exp(s)
        t = alpha * z.abs()
        g = (1 + t + t**2 / 3) * torch.exp(-t)
        first = -(alpha**2) / 3 * z * (1 + t) * torch.exp(-t)
        second = -(alpha**2) / 3 * (1 + t - t**2) * torch.exp(-t)
    part = g * cosine if order == 0 else second * cosine - 2 * m * first * sine - m**2 * g * cosine
    return (torch.exp(log_w) * part).sum(-1)


def written_out(problem: pde.Problem, kinds: Any, vector: Any, weight: float, jitter: float) -> Any:
    """The negative of GP-HM's objective by dense Kronecker products."""
    total, shape = int(np.prod(problem.shape)), problem.shape
    u, log_tau, log_v = vector[:total].reshape(shape), vector[total], vector[total + 1]
    grids = [torch.tensor(x) for x in problem.axes]
    values = vector[total + 2 :].split([(vector.numel() - total - 2) // len(kinds)] * len(kinds))
    matrices = [
        kernel_matrix(kind, v, x, 0) + jitter * torch.eye(x.numel(), dtype=torch.float64)
        for kind, v, x in zip(kinds, values, grids, strict=True)
    ]
    second = [kernel_matrix(*args, 2) for args in zip(kinds, values, grids, strict=True)]
    covariance = matrices[0] if len(kinds) == 1 else torch.kron(*matrices)
    flat = u.reshape(-1)
    prior = -0.5 * torch.logdet(covariance) - 0.5 * flat @ torch.linalg.solve(covariance, flat)
    if len(kinds) == 1:
        equation = second[0] @ torch.linalg.solve(matrices[0], u) + u * (u**2 - 1)
        boundary = [u[0] - 0.3, u[-1] + 0.2]
    else:
        u_xx = second[0] @ torch.linalg.solve(matrices[0], u)
        u_yy = (second[1] @ torch.linalg.solve(matrices[1], u.T)).T
        equation = u_xx + u_yy
        x, y = grids
        boundary = [
            u[0] - torch.cos(x[0] + 2 * y),
            u[-1] - torch.cos(x[-1] + 2 * y),
            u[:, 0] - torch.cos(x + 2 * y[0]),
            u[:, -1] - torch.cos(x + 2 * y[-1]),
        ]
    given = torch.tensor(problem.source_at(*problem.mesh))
    edges = torch.cat([b.reshape(-1) for b in boundary])
    on_boundary = 0.5 * edges.numel() * log_tau - 0.5 * log_tau.exp() * (edges**2).sum()
    inside = 0.5 * total * log_v - 0.5 * log_v.exp() * ((equation - given) ** 2).sum()
    return -(prior + weight * on_boundary + inside)


@pytest.mark.parametrize("kind", [SpectralMixture, StudentTMixture])
@pytest.mark.parametrize("make", [line, square])
@pytest.mark.parametrize("start", [True, False])
def test_objective_and_gradient_are_the_formulas(kind: Any, make: Any, start: bool) -> None:
    problem, jitter = make(), 1e-6
    objective = Objective(problem, [mixture(kind) for _ in problem.shape], 200.0, jitter)
    state = objective.start()
    vector = state.packed()
    if start:
        assert not state.u.any()
        assert state.log_tau == state.log_v == 0
    else:
        vector = vector + RNG.normal(size=vector.size) * 0.1
    value, gradient = objective.value_and_gradient(state.like(vector))
    point = torch.tensor(vector, requires_grad=True)
    expected = written_out(problem, [kind] * len(problem.shape), point, 200.0, jitter)
    (by_autograd,) = torch.autograd.grad(expected, point)
    assert value == pytest.approx(expected.item(), rel=1e-8)
    error = np.linalg.norm(gradient - by_autograd.numpy())
    assert error <= 1e-8 * np.linalg.norm(by_autograd.numpy())


def test_published_start() -> None:
    kernel = pde.published_kernel(20.0)
    log_w, s, f = parameters(kernel).reshape(3, -1)
    np.testing.assert_allclose(log_w, -np.log(30))
    np.testing.assert_allclose(s, 0, atol=1e-15)
    np.testing.assert_allclose(f, np.linspace(0, 1, 30) * 20)
    moved = parameters(kernel) + RNG.normal(size=90) * 0.1
    np.testing.assert_allclose(parameters(kernel_at(kernel, moved)), moved, atol=1e-12)
    bounds = parameters_bounds(kernel)
    assert (bounds[:, 0] < bounds[:, 1]).all()
    fixed = SpectralMixture([1.0], [0.5], [2.0], frequencies_bounds=None)
    np.testing.assert_array_equal(parameters_bounds(fixed)[2], [2.0, 2.0])


def test_gradient_with_slopes_and_mixed_derivatives_by_differences() -> None:
    term = pde.Nonlinear([(0, 0), (1, 0)], lambda u, v: u * v, [lambda u, v: v, lambda u, v: u])
    problem = square(
        operator={(2, 0): 1.0, (0, 2): lambda x, y: x + y, (1, 1): 0.5},
        nonlinear=term,
        conditions=[pde.Dirichlet(0, 0.3), pde.Neumann(0.5, lambda x, y: x, axis=1)],
    )
    objective = Objective(problem, [mixture(SpectralMixture, 2) for _ in "xy"], 3.0, 1e-6)
    start = objective.start()
    vector = start.packed() + RNG.normal(size=start.packed().size) * 0.1
    coordinates = Coordinates(objective, start.like(vector))
    point = coordinates.start() + RNG.normal(size=vector.size) * 1e-3
    _, gradient = coordinates.value_and_gradient(objective, point)
    scale = np.abs(gradient).max()
    for i in range(0, point.size, 3):
        step = 1e-5 * (np.arange(point.size) == i)
        above, below = (
            coordinates.value_and_gradient(objective, p)[0] for p in (point + step, point - step)
        )
        assert gradient[i] == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-6 * scale)


def smooth(points: Any = 16) -> pde.Problem:
    return pde.Problem(
        (0, 1),
        {2: 1.0},
        lambda x: -49 * np.sin(7 * x),
        [pde.Dirichlet(0, 0.0), pde.Dirichlet(1, np.sin(7))],
        points=points,
        exact=lambda x: np.sin(7 * x),
    )


def test_better_optimiser_goes_lower_and_solves() -> None:
    problem, kernel = smooth(30), pde.published_kernel(3.0, 6)
    x = np.linspace(0, 1, 77)
    adam = pde.solve(problem, kernel, method=pde.GPHM("adam", steps=200))
    better = pde.solve(problem, kernel, method="gp-hm")
    assert better.objective < adam.objective < adam.history[0]["objective"]
    assert np.abs(better.u(x) - np.sin(7 * x)).max() < 1e-2
    assert better.history[0]["stage"] == "u"
    slope = (better.u(x[1:-1] + 1e-5) - better.u(x[1:-1] - 1e-5)) / 2e-5
    np.testing.assert_allclose(better.derivative(x[1:-1], 1), slope, atol=1e-2)
    np.testing.assert_allclose(better.on_grid([x]), better.u(x), atol=1e-8)
    # The jitter smooths u between the grid and its own interpolation.
    np.testing.assert_allclose(better.on_grid(), better.u_grid, atol=1e-3)
    assert better.residual(x).shape == x.shape
    assert better.condition_misfit < 1e-2


def test_kernels_stay_where_they_are_not_to_be_learned() -> None:
    kernel = pde.published_kernel(3.0, 6)
    for optimiser in ("adam", "l-bfgs"):
        how = pde.GPHM(optimiser, steps=120)
        solution = pde.solve(smooth(), kernel, method=how, learn=False)
        np.testing.assert_allclose(solution.frequencies[0], kernel.frequencies)
        np.testing.assert_allclose(solution.weights[0], kernel.weights)


def test_on_a_box() -> None:
    def exact(x: Any, y: Any) -> Any:
        return np.sin(3 * x) * np.cos(2 * y)

    box = [(0.0, 1.0), (0.0, 0.5)]
    sides = [pde.Dirichlet(at, exact, axis=a) for a in (0, 1) for at in box[a]]
    problem = pde.Problem(
        box,
        {(2, 0): 1.0, (0, 2): 1.0},
        lambda x, y: -13 * exact(x, y),
        sides,
        points=(12, 9),
        exact=exact,
    )
    solution = pde.solve(problem, pde.published_kernel(1.0, 4), method=pde.GPHM(steps=300))
    at = np.stack([RNG.uniform(0, 1, 20), RNG.uniform(0, 0.5, 20)], axis=1)
    np.testing.assert_allclose(solution.u(at), exact(*at.T), atol=0.05)
    grid = solution.on_grid([at[:3, 0], at[:4, 1]])
    assert grid.shape == (3, 4)
    assert grid[2, 2] == pytest.approx(solution.u([[at[2, 0], at[2, 1]]])[0])


def test_bad_arguments_are_refused() -> None:
    for change, message in (
        ({"optimiser": "sgd"}, "optimiser"),
        ({"steps": 0}, "steps"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"jitter": np.nan}, "jitter"),
    ):
        with pytest.raises(ValueError, match=message):
            pde.GPHM(**change)
    with pytest.raises(ValueError, match="method"):
        pde.solve(smooth(), method="newton")
    with pytest.raises(ValueError, match="not used by GP-HM"):
        pde.solve(smooth(), method="gp-hm", jitter=1e-8)
    with pytest.raises(ValueError, match="periodic"):
        pde.solve(line(conditions=[pde.Periodic()]), method="gp-hm")
    with pytest.raises(TypeError, match="GP-HM has SpectralMixture"):
        pde.solve(smooth(), SquaredExponential(0.3), method="gp-hm")
    with pytest.raises(ValueError, match="highest"):
        pde.published_kernel(0.0)
    bad = SpectralMixture([1e12], [3.0], [0.0], weights_bounds=None)
    with pytest.raises(NotPositiveDefiniteError, match="raise jitter"):
        pde.solve(smooth(), bad, method=pde.GPHM("adam", steps=3))
    solution = pde.solve(smooth(), pde.published_kernel(3.0, 6), method=pde.GPHM(steps=5))
    with pytest.raises(ValueError, match="points: expected within"):
        solution.u([2.0])
    with pytest.raises(ValueError, match="axes"):
        solution.on_grid([[0.1], [0.2]])


def test_state_is_packed_and_unpacked() -> None:
    state = State(RNG.normal(size=(3, 4)), 0.5, -1.5, [RNG.normal(size=6), RNG.normal(size=3)])
    again = state.like(state.packed())
    np.testing.assert_array_equal(again.u, state.u)
    assert (again.log_tau, again.log_v) == (0.5, -1.5)
    for a, b in zip(again.parameters, state.parameters, strict=True):
        np.testing.assert_array_equal(a, b)
