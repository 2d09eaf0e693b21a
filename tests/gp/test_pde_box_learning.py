"""Kernels of a box by maximum marginal likelihood: value and gradient against dense algebra, and what learning does."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from fourfold.gp import pde
from fourfold.gp.kernels import (
    Kernel,
    Matern,
    RationalQuadratic,
    SpectralMixture,
    SquaredExponential,
)
from fourfold.gp.pde._box_likelihood import BoxLikelihood
from fourfold.gp.pde._box_system import Linear
from fourfold.gp.pde._expansion import Expansion

# Weights at points (m,), the points (m, 2), orders: one term of a block of functionals.
Part = tuple[np.ndarray, np.ndarray, tuple[int, int]]

NOISE = 1e-5


def grid(x: Any, y: Any) -> np.ndarray:
    return np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)


def face(points: np.ndarray, orders: tuple[int, int] = (0, 0), weight: float = 1.0) -> Part:
    return np.full(len(points), weight), points, orders


def elliptic() -> tuple[pde.Problem, list[list[Part]], np.ndarray]:
    """``(1 + x y) u_xx + u_yy + cos(x) u_y = f``, Neumann on one side."""

    def exact(x: Any, y: Any) -> Any:
        return np.exp(x) * np.sin(2 * y)

    def source(x: Any, y: Any) -> Any:
        u = exact(x, y)
        return (1 + x * y) * u - 4 * u + np.cos(x) * 2 * np.exp(x) * np.cos(2 * y)

    operator = {
        (2, 0): lambda x, y: 1 + x * y,
        (0, 2): 1.0,
        (0, 1): lambda x, y: np.cos(x),
    }
    conditions = [
        pde.Dirichlet(0, exact),
        pde.Neumann(1, exact),
        pde.Dirichlet(-1, exact, axis=1),
        pde.Dirichlet(0.5, exact, axis=1),
    ]
    problem = pde.Problem([(0, 1), (-1, 0.5)], operator, source, conditions, points=(7, 6))
    x, y = problem.axes
    p = grid(x, y)
    blocks = [
        [
            (1 + p[:, 0] * p[:, 1], p, (2, 0)),
            (np.ones(len(p)), p, (0, 2)),
            (np.cos(p[:, 0]), p, (0, 1)),
        ],
        [face(grid([0.0], y))],
        [face(grid([1.0], y), (1, 0))],
        [face(grid(x, [-1.0]))],
        [face(grid(x, [0.5]))],
    ]
    values = [source(*p.T), *(exact(*block[0][1].T) for block in blocks[1:])]
    return problem, blocks, np.concatenate(values)


def carried() -> tuple[pde.Problem, list[list[Part]], np.ndarray]:
    """``u_t + 2 u_x = 0``, periodic in x."""
    problem = pde.Problem(
        [(0, 1), (0, 0.3)],
        {(1, 0): 2.0, (0, 1): 1.0},
        0.0,
        [pde.Periodic(0), pde.Dirichlet(0, lambda x, t: np.sin(2 * np.pi * x), axis=1)],
        points=(8, 5),
    )
    x, t = problem.axes
    p = grid(x, t)
    blocks = [
        [(np.full(len(p), 2.0), p, (1, 0)), (np.ones(len(p)), p, (0, 1))],
        [face(grid([0.0], t)), face(grid([1.0], t), weight=-1.0)],
        [face(grid(x, [0.0]))],
    ]
    return problem, blocks, np.concatenate([np.zeros(len(p) + len(t)), np.sin(2 * np.pi * x)])


def covariance(kernels: list[Kernel], one: list[Part], other: list[Part]) -> np.ndarray:
    total = np.zeros((len(one[0][0]), len(other[0][0])))
    for weight, points, orders in one:
        for factor, at, s in other:
            part = np.multiply.outer(weight, factor)
            for axis, kernel in enumerate(kernels):
                lag = points[:, None, axis] - at[:, axis]
                sign = (-1) ** s[axis]
                part = part * sign * kernel.jet(lag, [orders[axis] + s[axis]])[0]
            total += part
    return total


def dense(kernels: list[Kernel], blocks: list[list[Part]], y: np.ndarray) -> float:
    """``log p(y)`` at the most likely amplitude, the noise relative to the largest variance of each block."""
    gram = np.block([[covariance(kernels, one, other) for other in blocks] for one in blocks])
    ends = np.cumsum([0, *(len(block[0][0]) for block in blocks)])
    for low, high in itertools.pairwise(ends):
        diagonal = np.diag(gram)[low:high]
        gram[np.arange(low, high), np.arange(low, high)] += NOISE * diagonal.max()
    n = len(y)
    variance = y @ np.linalg.solve(gram, y) / n
    return float(-0.5 * (n * np.log(2 * np.pi * variance) + np.linalg.slogdet(gram)[1] + n))


SMOOTH: list[Any] = [
    (elliptic, [SquaredExponential(0.6), SquaredExponential(0.9, 2.0)]),
    (elliptic, [RationalQuadratic(0.7, 3.0), SpectralMixture([1.0, 0.3], [0.8, 0.5], [0.1, 0.9])]),
    (carried, [SquaredExponential(0.3), SquaredExponential(0.2) + SquaredExponential(1.0)]),
]
ROUGH: list[Any] = [(carried, [Matern(0.5), Matern(0.4)])]


def likelihood(problem: pde.Problem, kernels: list[Kernel]) -> BoxLikelihood:
    equation = Linear(problem.coefficients(*problem.mesh), problem.source_at(*problem.mesh))
    expansion = Expansion(kernels, problem.axes, 1e-17, 4000)
    return BoxLikelihood(problem, kernels, equation, NOISE, expansion)


def differences(function: Any, kernels: list[Kernel]) -> np.ndarray:
    """Gradient by the thetas of all kernels, by differences of fourth order."""
    theta = np.concatenate([k.theta for k in kernels])
    ends = np.cumsum([k.theta.size for k in kernels])[:-1]
    found = []
    for i in range(theta.size):
        values = []
        for multiple in (-2, -1, 1, 2):
            moved = theta.copy()
            moved[i] += 3e-3 * multiple
            parts = np.split(moved, ends)
            values.append(function([k.with_theta(p) for k, p in zip(kernels, parts, strict=True)]))
        found.append((values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * 3e-3))
    return np.array(found)


@pytest.mark.parametrize(("make", "kernels"), SMOOTH)
def test_value_and_gradient_against_dense_algebra(make: Any, kernels: list[Kernel]) -> None:
    problem, blocks, y = make()
    found = likelihood(problem, kernels)
    assert found.value == pytest.approx(dense(kernels, blocks, y), abs=1e-2)
    exact = differences(lambda moved: dense(moved, blocks, y), kernels)
    np.testing.assert_allclose(found.gradient(), exact, rtol=3e-3, atol=1e-3)


@pytest.mark.parametrize(("make", "kernels"), [*SMOOTH, *ROUGH])
def test_gradient_is_that_of_the_value(make: Any, kernels: list[Kernel]) -> None:
    """Also of kernels that the nodes of the expansion do not resolve."""
    problem, _, _ = make()
    exact = differences(lambda moved: likelihood(problem, moved).value, kernels)
    np.testing.assert_allclose(likelihood(problem, kernels).gradient(), exact, rtol=1e-4, atol=1e-3)


def test_gradient_in_three_dimensions() -> None:
    """With a coefficient that is no product of functions of one variable."""
    faces = [pde.Dirichlet(x, 0.0, axis=a) for a in range(3) for x in (0.0, 1.0)]
    operator = {
        (2, 0, 0): 1.0,
        (0, 2, 0): lambda x, y, z: 1 + x * y + z,
        (0, 0, 2): 1.0,
    }
    problem = pde.Problem(
        [(0, 1)] * 3, operator, lambda x, y, z: x + y * z, faces, points=(4, 5, 4)
    )
    kernels: list[Kernel] = [SquaredExponential(scale) for scale in (0.9, 0.7, 1.1)]
    exact = differences(lambda moved: likelihood(problem, moved).value, kernels)
    np.testing.assert_allclose(likelihood(problem, kernels).gradient(), exact, rtol=1e-4, atol=1e-3)


def poisson(points: int = 24) -> pde.Problem:
    def exact(x: Any, y: Any) -> Any:
        return np.sin(3 * x) * np.exp(y)

    faces = [pde.Dirichlet(x, exact, axis=a) for a in (0, 1) for x in (0.0, 1.0)]
    operator = {(2, 0): 1.0, (0, 2): 1.0}
    source = lambda x, y: -8 * exact(x, y)  # noqa: E731
    return pde.Problem([(0, 1), (0, 1)], operator, source, faces, points=points, exact=exact)


def error(solution: pde.BoxSolution) -> float:
    axes = [np.linspace(0, 1, 41)] * 2
    assert solution.problem.exact is not None
    truth = np.asarray(solution.problem.exact(*np.meshgrid(*axes, indexing="ij")))
    return float(np.linalg.norm(solution.on_grid(axes) - truth) / np.linalg.norm(truth))


def test_learning_mends_a_kernel_that_does_not_suit() -> None:
    problem, kernel = poisson(), SquaredExponential(0.06)
    start = pde.solve(problem, kernel)
    learned = pde.solve(problem, kernel, learn=True)
    assert learned.log_marginal_likelihood > start.log_marginal_likelihood + 100
    assert error(learned) < 0.01 * error(start)
    (entry,) = [e for e in learned.history if e["stage"] == "learn"]
    assert entry["iterations"] >= 2
    assert all(k.lengthscale > 0.2 for k in learned.kernels)
    assert kernel.lengthscale == 0.06


def test_learning_of_a_nonlinear_problem() -> None:
    def exact(x: Any, y: Any) -> Any:
        return np.sin(3 * x) * np.exp(y)

    faces = [pde.Dirichlet(x, exact, axis=a) for a in (0, 1) for x in (0.0, 1.0)]
    problem = pde.Problem(
        [(0, 1), (0, 1)],
        {(2, 0): 1.0, (0, 2): 1.0},
        lambda x, y: -8 * exact(x, y) + exact(x, y) ** 3,
        faces,
        nonlinear=(lambda u: u**3, lambda u: 3 * u**2),
        points=16,
        exact=exact,
    )
    kernel = SquaredExponential(0.2)
    start = pde.solve(problem, kernel)
    learned = pde.solve(problem, kernel, learn=True, max_iterations=5)
    stages = [e["stage"] for e in learned.history]
    assert stages.index("learn") > stages.index("newton")
    assert stages[-1] == "newton"
    assert learned.log_marginal_likelihood > start.log_marginal_likelihood
    assert error(learned) < error(start)


def test_what_cannot_be_learned_is_left() -> None:
    """Fixed hyperparameters, and right-hand sides that are all 0."""
    fixed = SquaredExponential(0.5, lengthscale_bounds=None, variance_bounds=None)
    plain = pde.solve(poisson(12), fixed)
    learned = pde.solve(poisson(12), fixed, learn=True)
    assert learned.log_marginal_likelihood == plain.log_marginal_likelihood
    faces = [pde.Dirichlet(x, 0.0, axis=a) for a in (0, 1) for x in (0.0, 1.0)]
    zero = pde.Problem([(0, 1), (0, 1)], {(2, 0): 1.0, (0, 2): 1.0}, 0.0, faces, points=8)
    solution = pde.solve(zero, SquaredExponential(0.5), learn=True)
    assert not solution.u([[0.3, 0.4]]).any()
