"""Equations on boxes against exact solutions, dense conditioning, and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

from fourfold.errors import ConvergenceError
from fourfold.gp import pde
from fourfold.gp.kernels import Matern, SquaredExponential
from fourfold.gp.pde._expansion import Expansion
from fourfold.gp.pde._least_squares import Conditioned
from fourfold.gp.pde._rows import Rows, Table, Term, separable_term
from fourfold.gp.pde._start_box import _blackman_harris, starting_kernels

RNG = np.random.default_rng()

LAPLACIAN = {(2, 0): 1.0, (0, 2): 1.0}


def sides(box: Any, exact: Any) -> list[Any]:
    return [pde.Dirichlet(x, exact, axis=a) for a, ends in enumerate(box) for x in ends]


def error(solution: pde.BoxSolution) -> float:
    problem = solution.problem
    assert problem.exact is not None
    axes = [np.sort(RNG.uniform(*ends, 40)) for ends in problem.box]
    truth = np.asarray(problem.exact(*np.meshgrid(*axes, indexing="ij")))
    return float(np.linalg.norm(solution.on_grid(axes) - truth) / np.linalg.norm(truth))


def helmholtz(points: int = 24) -> pde.Problem:
    """``(1 + x) u_xx + u_yy + sin(x y) u_y + 2 u = f``, a coefficient that no product makes, Neumann on one side."""
    box = ((0.0, 1.0), (-1.0, 0.5))

    def exact(x: Any, y: Any) -> Any:
        return np.exp(x) * np.sin(4 * y)

    def source(x: Any, y: Any) -> Any:
        u = exact(x, y)
        return (1 + x) * u - 16 * u + np.sin(x * y) * 4 * np.exp(x) * np.cos(4 * y) + 2 * u

    conditions = [
        pde.Dirichlet(0, exact),
        pde.Neumann(1, exact),
        pde.Dirichlet(-1, exact, axis=1),
        pde.Dirichlet(0.5, exact, axis=1),
    ]
    operator = {
        (2, 0): lambda x, y: 1 + x,
        (0, 2): 1.0,
        (0, 1): lambda x, y: np.sin(x * y),
        (0, 0): 2.0,
    }
    return pde.Problem(box, operator, source, conditions, points=points, exact=exact)


@pytest.mark.parametrize("sizes", [(7, 9), (5, 6, 4)])
def test_normal_matrix_and_adjoint_are_those_of_the_dense_matrix(sizes: tuple[int, ...]) -> None:
    axes = [np.linspace(0, 1, n) for n in sizes]
    kernels = [SquaredExponential(0.3 + 0.1 * i) for i in range(len(sizes))]
    expansion = Expansion(kernels, axes, 1e-8, 60)
    weights = RNG.normal(size=(2, *sizes))

    def tables(order: int) -> list[Any]:
        return [Table(expansion.functions(a, x, order), x, order) for a, x in enumerate(axes)]

    terms = [Term(tables(1), weights[0]), Term(tables(0)), Term(tables(2), weights[1])]
    rows = Rows(expansion, [*terms, Term(tables(1))], weights[0])
    dense = np.stack([rows.apply(e).reshape(-1) for e in np.eye(expansion.size)], axis=1)
    normal = np.zeros((expansion.size, expansion.size))
    rows.add_normal_matrix(normal)
    np.testing.assert_allclose(normal, dense.T @ dense, atol=1e-12)
    np.testing.assert_allclose(rows.adjoint(weights[1]), dense.T @ weights[1].ravel(), atol=1e-12)
    assert np.sum(dense**2, axis=1).max() <= 1 + 1e-12


def test_products_of_functions_of_one_variable_are_recognised() -> None:
    x, y = np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 2, 6), indexing="ij")
    values = [RNG.normal(size=(5, 3)), RNG.normal(size=(6, 2))]
    tables = [Table(v, np.zeros(len(v)), 0) for v in values]
    for coefficient in (np.full(x.shape, -2.0), 1 + x, np.exp(x) * np.cos(y), 0 * x):
        term = separable_term(coefficient, tables)
        assert term.weight is None
        made = np.einsum("xi,yj->xyij", *term.tables)
        direct = np.einsum("xy,xi,yj->xyij", coefficient, *values)
        np.testing.assert_allclose(made, direct, rtol=1e-13, atol=1e-14)
    assert separable_term(x + y, tables).weight is not None


def test_expansion_holds_the_covariance() -> None:
    axes = [np.linspace(0, 1, 12), np.linspace(0, 2, 15)]
    kernels = [SquaredExponential(0.4), Matern(0.7)]
    expansion = Expansion(kernels, axes, 1e-15, 10**4)
    places = [
        np.stack([RNG.uniform(0, 1, 6), axes[1][RNG.integers(15, size=6)]], axis=1) for _ in "ab"
    ]
    a, b = np.asarray(places[0]), np.asarray(places[1])
    found = expansion.rows(a, (0, 0)) @ expansion.rows(b, (0, 0)).T
    exact = kernels[0](a[:, 0], b[:, 0]) * kernels[1](a[:, 1], b[:, 1])
    # What 12 functions do not hold between the nodes is at most 1.46e-5, near the ends.
    np.testing.assert_allclose(found, exact, rtol=0, atol=2e-5)
    z = RNG.normal(size=(expansion.size,))
    np.testing.assert_allclose(
        expansion.at(z, a, (1, 0)), expansion.rows(a, (1, 0)) @ z, rtol=1e-8, atol=1e-8
    )
    fewer = Expansion(kernels, axes, 1e-15, 20)
    assert fewer.size == 20
    assert fewer.truncation > 1e-10


def test_equals_conditioning_written_out() -> None:
    """Mean, deviation and likelihood of a small problem from the covariance of its functionals."""
    problem, kernel, jitter = helmholtz(8), SquaredExponential(0.7), 1e-6
    problem.conditions = (problem.conditions[0], problem.conditions[2])
    solution = pde.solve(problem, [kernel, kernel], jitter=jitter)
    x, y = (m.reshape(-1) for m in problem.mesh)
    functionals: list[tuple[list[Any], Any, Any, Any]] = [
        (
            [((2, 0), 1 + x), ((0, 2), 1 + 0 * x), ((0, 1), np.sin(x * y)), ((0, 0), 2 + 0 * x)],
            x,
            y,
            problem.source_at(x, y),
        )
    ]
    for c in problem.conditions:
        assert isinstance(c, pde.Condition)
        px, py = (
            np.broadcast_to(v, (8,))
            for v in ((c.x, problem.axes[1]), (problem.axes[0], c.x))[c.axis]
        )
        functionals.append(([((0, 0), np.ones(8))], px, py, problem.condition_at(c).reshape(-1)))

    def covariance(a: Any, b: Any) -> Any:
        total = 0.0
        for (i, j), c in a[0]:
            for (k, m), d in b[0]:
                part = kernel(a[1], b[1], derivative=(i, k)) * kernel(a[2], b[2], derivative=(j, m))
                total = total + c[:, None] * part * d
        return total

    blocks = [[covariance(a, b) for b in functionals] for a in functionals]
    gram = np.block(blocks)
    noise = np.concatenate(
        [
            np.full(len(b), jitter * np.diag(b).max())
            for b in (row[i] for i, row in enumerate(blocks))
        ]
    )
    values = np.concatenate([f[3] for f in functionals])
    solved = scipy.linalg.cho_factor(gram + np.diag(noise))
    points = np.array([[0.3, -0.2], [0.9, 0.4]])
    at = ([((0, 0), np.ones(2))], points[:, 0], points[:, 1])
    cross = np.concatenate([covariance(at, f) for f in functionals], axis=1)
    mean = cross @ scipy.linalg.cho_solve(solved, values)
    variance = values @ scipy.linalg.cho_solve(solved, values) / values.size
    spread = variance * (1 - np.sum(cross * scipy.linalg.cho_solve(solved, cross.T).T, axis=1))
    logdet = 2 * np.log(np.diag(solved[0])).sum()
    likelihood = -0.5 * (values.size * (np.log(2 * np.pi * variance) + 1) + logdet)
    np.testing.assert_allclose(solution.u(points), mean, rtol=1e-3)
    np.testing.assert_allclose(solution.std(points), np.sqrt(spread), rtol=1e-3)
    assert solution.variance == pytest.approx(variance, rel=1e-3)
    assert solution.log_marginal_likelihood == pytest.approx(likelihood, rel=1e-3)


def test_variable_coefficients_and_neumann() -> None:
    solution = pde.solve(helmholtz(), SquaredExponential(0.7))
    assert error(solution) < 1e-5
    assert solution.misfit < 1e-4
    points = np.stack([RNG.uniform(0.1, 0.9, 20), RNG.uniform(-0.9, 0.4, 20)], axis=1)
    assert np.abs(solution.residual(points)).max() < 1e-2
    step = np.array([0.0, 1e-4])
    slope = (solution.u(points + step) - solution.u(points - step)) / 2e-4
    np.testing.assert_allclose(solution.derivative(points, (0, 1)), slope, rtol=1e-5, atol=1e-5)
    assert (solution.std(points) >= 0).all()
    grid = solution.on_grid(orders=(1, 0))
    at = np.stack([m.reshape(-1) for m in solution.problem.mesh], axis=1)
    np.testing.assert_allclose(grid.reshape(-1), solution.derivative(at, (1, 0)), atol=1e-8)
    assert solution.u(np.empty((0, 2))).shape == (0,)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda: pde.problems.poisson_2d("sin_add_cos", 64), 1e-5),
        (lambda: pde.problems.advection(80), 1e-5),
        (lambda: pde.problems.allencahn_2d(48), 1e-4),
    ],
)
def test_reference_problems_on_coarser_grids(make: Any, most: float) -> None:
    assert error(pde.solve(make())) < most


def allen_cahn(points: int = 14) -> pde.Problem:
    """``u_xx + u_yy + u (u^2 - 1) = f`` with ``u = 2 sin 3x cos 2y``."""
    box = [(0.0, 1.0)] * 2

    def exact(x: Any, y: Any) -> Any:
        return 2 * np.sin(3 * x) * np.cos(2 * y)

    def source(x: Any, y: Any) -> Any:
        u = exact(x, y)
        return -13 * u + u * (u**2 - 1)

    return pde.Problem(
        box,
        LAPLACIAN,
        source,
        sides(box, exact),
        nonlinear=(lambda u: u * (u**2 - 1), lambda u: 3 * u**2 - 1),
        points=points,
        exact=exact,
    )


def test_allen_cahn_by_gauss_newton() -> None:
    solution = pde.solve(allen_cahn(), SquaredExponential(0.8))
    assert error(solution) < 1e-5
    steps = [h["residual"] for h in solution.history if h["stage"] == "newton"]
    assert steps[-1] < 1e-2 * steps[0]
    at = np.stack([RNG.uniform(0.1, 0.9, 9) for _ in "xy"], axis=1)
    assert np.abs(solution.residual(at)).max() < 1e-2


def test_heat_equation_with_initial_condition() -> None:
    problem = pde.Problem(
        [(0, 1), (0, 0.5)],
        {(0, 1): 1.0, (2, 0): -0.1},
        0.0,
        [
            pde.Dirichlet(0, 0.0),
            pde.Dirichlet(1, 0.0),
            pde.Dirichlet(0, lambda x, t: np.sin(2 * np.pi * x), axis=1),
        ],
        points=(30, 25),
        exact=lambda x, t: np.exp(-0.4 * np.pi**2 * t) * np.sin(2 * np.pi * x),
    )
    assert error(pde.solve(problem)) < 1e-4


def test_wave_equation_with_periodic_space() -> None:
    problem = pde.Problem(
        [(0, 1), (0, 1)],
        {(0, 2): 1.0, (2, 0): -1.0},
        0.0,
        [
            pde.Periodic(0),
            pde.Dirichlet(0, lambda x, t: np.sin(2 * np.pi * x), axis=1),
            pde.Neumann(0, lambda x, t: -2 * np.pi * np.cos(2 * np.pi * x), axis=1),
        ],
        points=30,
        exact=lambda x, t: np.sin(2 * np.pi * (x - t)),
    )
    solution = pde.solve(problem)
    assert error(solution) < 1e-4
    ends = solution.on_grid([[0.0, 1.0], np.linspace(0, 1, 7)])
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-4)


def test_burgers_in_space_and_time() -> None:
    """``u_t + u u_x - 0.1 u_xx = 0`` and its travelling front."""

    def exact(x: Any, t: Any) -> Any:
        return 1 - np.tanh((x - t - 0.3) / 0.2)

    term = pde.Nonlinear([(0, 0), (1, 0)], lambda u, v: u * v, [lambda u, v: v, lambda u, v: u])
    problem = pde.Problem(
        [(0, 1), (0, 0.5)],
        {(0, 1): 1.0, (2, 0): -0.1},
        0.0,
        [pde.Dirichlet(0, exact), pde.Dirichlet(1, exact), pde.Dirichlet(0, exact, axis=1)],
        nonlinear=term,
        points=(24, 14),
        exact=exact,
    )
    assert error(pde.solve(problem, SquaredExponential(0.3))) < 1e-2


def test_three_dimensions() -> None:
    def exact(x: Any, y: Any, z: Any) -> Any:
        return np.sin(2 * x) * np.cos(y) * np.exp(z)

    box = [(0.0, 1.0), (0.0, 2.0), (0.0, 0.5)]
    problem = pde.Problem(
        box,
        {(2, 0, 0): 1.0, (0, 2, 0): 1.0, (0, 0, 2): 1.0},
        lambda x, y, z: -4 * exact(x, y, z),
        sides(box, exact),
        points=(10, 11, 9),
        exact=exact,
    )
    kernels = [SquaredExponential(1.0), SquaredExponential(1.5), SquaredExponential(0.8)]
    assert error(pde.solve(problem, kernels)) < 1e-4


def test_starting_kernels_see_source_and_conditions() -> None:
    for kernel in starting_kernels(pde.problems.poisson_2d("sin_add_cos", 80)):
        for wave in (14, 26):
            assert np.abs(kernel.frequencies - wave / (2 * np.pi)).min() < 0.05
    in_space, in_time = starting_kernels(pde.problems.advection(80))
    assert in_space.frequencies.max() < 1
    assert np.abs(in_time.frequencies - 200 / (2 * np.pi)).min() < 0.1


def test_all_zero_data_give_zero() -> None:
    box = [(0.0, 1.0)] * 2
    zero = pde.Problem(box, LAPLACIAN, 0.0, sides(box, 0.0), points=9)
    solution = pde.solve(zero, SquaredExponential(0.4))
    assert not solution.on_grid().any()
    assert solution.misfit == 0
    assert not pde.solve(zero).on_grid().any()


def test_newton_that_cannot_finish_says_so() -> None:
    with pytest.raises(ConvergenceError, match="Gauss-Newton"):
        pde.solve(allen_cahn(), SquaredExponential(0.8), newton_steps=1)


def test_arguments_of_a_solution_that_make_no_sense() -> None:
    problem = helmholtz(8)
    loose: Any = pde.solve(problem, SquaredExponential(0.5))
    with pytest.raises(ValueError, match=r"axes: expected a list of 2 vectors, got 0\.5"):
        loose.on_grid(0.5)
    with pytest.raises(TypeError, match="axes: expected real numbers"):
        loose.on_grid("ab")
    with pytest.raises(ValueError, match="orders: expected 0, 1 or 2 for each of 2 axes, got 1"):
        loose.derivative([[0.5, 0.0]], 1)
    wrong: Any = 3
    with pytest.raises(TypeError, match="kernel: expected a Kernel or one for each axis, got 3"):
        pde.solve(problem, wrong)


@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_window(n: int) -> None:
    from scipy.signal import windows

    exact = windows.blackmanharris(n) if n > 1 else np.ones(1)
    np.testing.assert_allclose(_blackman_harris(n), exact, atol=1e-15)


def test_refinement_that_cannot_finish_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fourfold.gp.pde._least_squares._MOST_REFINEMENTS", 1)
    expansion = Expansion([SquaredExponential(0.3)] * 2, [np.linspace(0, 1, 9)] * 2, 1e-14, 100)
    x = np.linspace(0, 1, 9)
    tables = [Table(expansion.functions(a, x, 0), x, 0) for a in (0, 1)]
    rows = Rows(expansion, [Term(tables)], RNG.normal(size=(9, 9)))
    monkeypatch.setattr(
        "fourfold.gp.pde._least_squares._cholesky", lambda m: (np.eye(m.shape[0]), 0.0)
    )
    with pytest.raises(ConvergenceError, match="raise jitter"):
        Conditioned([rows], 1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"box": [(0, 1), (1, 0)]}, "box"),
        ({"box": [(0, 1)] * 4}, "box"),
        ({"operator": {(2,): 1.0}}, "tuples of 2"),
        ({"operator": {2: 1.0}}, "tuples of 2"),
        ({"operator": {(3, 0): 1.0}}, "operator"),
        ({"operator": {(2, 0): np.nan, (0, 2): 1}}, r"operator\[\(2, 0\)\]"),
        ({"source": lambda x, y: x[:-1]}, "source"),
        ({"points": (5, 5, 5)}, "points"),
        ({"points": (5, 1)}, "points"),
        ({"conditions": [pde.Dirichlet(0, 0)]}, "axis 1, which has no condition"),
        ({"conditions": [pde.Dirichlet(0, 0, axis=2)]}, "axis below 2"),
        ({"conditions": [pde.Dirichlet(0.5, 0)]}, "x at an end"),
        ({"conditions": [pde.Periodic(0), pde.Dirichlet(0, 0)]}, "Periodic alone"),
        (
            {"conditions": [pde.Dirichlet(0, 1), pde.Dirichlet(0, 0, axis=1)]},
            "where the faces meet",
        ),
        ({"nonlinear": pde.Nonlinear([0], np.sin, [np.cos])}, "nonlinear"),
    ],
)
def test_bad_problems_are_refused(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "box": [(0, 1), (0, 1)],
        "operator": LAPLACIAN,
        "source": 0.0,
        "conditions": [pde.Dirichlet(0, 0), pde.Dirichlet(0, 0, axis=1)],
        "points": 6,
    }
    with pytest.raises(ValueError, match=message):
        pde.Problem(**(good | change))


def test_bad_arguments_are_refused() -> None:
    problem = helmholtz(8)
    with pytest.raises(ValueError, match="one Kernel for each of 2"):
        pde.solve(problem, [SquaredExponential(1.0)])
    with pytest.raises(ValueError, match="axis 0 needs derivatives up to order 4"):
        pde.solve(problem, Matern(nu=1.5))
    with pytest.raises(ValueError, match="most_features"):
        pde.solve(problem, most_features=0)
    with pytest.raises(ValueError, match="slopes"):
        pde.Nonlinear([0, 1], lambda u, v: u * v, [lambda u, v: v])
    with pytest.raises(ValueError, match="distinct"):
        pde.Nonlinear([0, 0], lambda u, v: u * v, [lambda u, v: v] * 2)
    solution = pde.solve(problem, SquaredExponential(0.6))
    with pytest.raises(ValueError, match="points: expected shape"):
        solution.u([0.1, 0.2])
    with pytest.raises(ValueError, match="points: expected within"):
        solution.u([[0.1, 2.0]])
    with pytest.raises(ValueError, match="orders"):
        solution.derivative([[0.1, 0.2]], (3, 0))
    with pytest.raises(ValueError, match="axes"):
        solution.on_grid([[0.1]])
