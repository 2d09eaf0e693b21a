"""Differential equations against exact solutions, dense conditioning, and finite differences."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.linalg

from fourfold.errors import ConvergenceError, NotPositiveDefiniteError
from fourfold.gp import pde
from fourfold.gp.kernels import (
    Kernel,
    Matern,
    Periodic,
    SpectralMixture,
    SquaredExponential,
    StudentTMixture,
)
from fourfold.gp.pde._exact_lags import jets_on_grid
from fourfold.gp.pde._system import Factor, System, end_functionals

RNG = np.random.default_rng()


def variable_problem(points: int = 9) -> pde.Problem:
    """``(2 + x) u'' + cos(x) u' - 3 u = f`` with ``u = exp(x) sin 3x``, Dirichlet left, Neumann right."""

    def jet(x: Any) -> Any:
        e, s, c = np.exp(x), np.sin(3 * x), np.cos(3 * x)
        return e * s, e * (s + 3 * c), e * (6 * c - 8 * s)

    def source(x: Any) -> Any:
        u, first, second = jet(x)
        return (2 + x) * second + np.cos(x) * first - 3 * u

    return pde.Problem(
        (0.0, 1.5),
        {2: lambda x: 2 + x, 1: np.cos, 0: -3.0},
        source,
        [pde.Dirichlet(0.0, 0.0), pde.Neumann(1.5, jet(1.5)[1])],
        points=points,
        exact=lambda x: jet(x)[0],
    )


def error(solution: pde.Solution) -> float:
    problem = solution.problem
    assert problem.exact is not None
    x = RNG.uniform(*problem.interval, 300)
    truth = np.asarray(problem.exact(x))
    return float(np.linalg.norm(solution.u(x) - truth) / np.linalg.norm(truth))


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (pde.problems.single_sin, 2e-7),
        (pde.problems.sin_cos, 2e-7),
        (pde.problems.mix_sin, 1e-9),
        (lambda: pde.problems.mix_sin("sin"), 1e-9),
        (pde.problems.x_time_sinx, 1e-5),
        (pde.problems.x2_add_sinx, 1e-5),
        (lambda: pde.problems.allencahn_1d("single_sin"), 1e-5),
        (lambda: pde.problems.allencahn_1d("sin_cos"), 1e-5),
    ],
)
def test_reference_problems_by_one_default_call(make: Any, most: float) -> None:
    assert error(pde.solve(make())) < most


def test_variable_coefficients_and_neumann() -> None:
    problem = variable_problem(60)
    solution = pde.solve(problem, learn=True)
    assert error(solution) < 1e-6
    x = RNG.uniform(0.1, 1.4, 20)
    step = 1e-4
    slope = (solution.u(x + step) - solution.u(x - step)) / (2 * step)
    np.testing.assert_allclose(solution.derivative(x), slope, rtol=1e-5, atol=1e-5)
    assert np.abs(solution.residual(x)).max() < 1e-3
    condition = problem.conditions[1]
    assert isinstance(condition, pde.Condition)
    assert solution.derivative([1.5])[0] == pytest.approx(condition.value, rel=1e-6)


def test_periodic_conditions() -> None:
    """``u'' - 4 u = f``; the values at the ends and the slopes are not given, but agree."""
    m = 2 * np.pi / 1.5

    def exact(x: Any) -> Any:
        return np.exp(np.sin(m * x))

    def source(x: Any) -> Any:
        return m**2 * (np.cos(m * x) ** 2 - np.sin(m * x)) * exact(x) - 4 * exact(x)

    problem = pde.Problem(
        (0, 1.5), {2: 1.0, 0: -4.0}, source, [pde.Periodic()], points=60, exact=exact
    )
    for learn in (False, True):
        solution = pde.solve(problem, learn=learn)
        assert error(solution) < 1e-6
    for order in (0, 1):
        low, high = solution.derivative([0.0, 1.5], order)
        assert low == pytest.approx(high, abs=1e-5)
    # Every sample of this process is periodic: the conditions say nothing more, and cost nothing.
    periodic = pde.solve(problem, Periodic(1.0, 1.5), learn=False, jitter=1e-10)
    assert error(periodic) < 1e-5


def test_nonlinear_term_with_derivatives() -> None:
    """``u'' - u u' = f`` with ``u = sin 3x``."""
    term = pde.Nonlinear([0, 1], lambda u, v: -u * v, [lambda u, v: -v, lambda u, v: -u])
    problem = pde.Problem(
        (0, 1),
        {2: 1.0},
        lambda x: -9 * np.sin(3 * x) - 3 * np.sin(3 * x) * np.cos(3 * x),
        [pde.Dirichlet(0, 0), pde.Neumann(1, 3 * np.cos(3))],
        nonlinear=term,
        points=50,
        exact=lambda x: np.sin(3 * x),
    )
    solution = pde.solve(problem, learn=False)
    assert error(solution) < 1e-5
    assert np.abs(solution.residual(np.linspace(0.1, 0.9, 9))).max() < 1e-3


def test_initial_value_problem() -> None:
    problem = pde.Problem(
        (0, 3), {2: 1, 0: 4}, 0.0, [pde.Dirichlet(0, 1), pde.Neumann(0, 0)], points=80
    )
    solution = pde.solve(problem, SquaredExponential(1.0))
    x = RNG.uniform(0, 3, 50)
    np.testing.assert_allclose(solution.u(x), np.cos(2 * x), atol=1e-5)


def test_equals_conditioning_written_out_with_mpmath() -> None:
    """Mean and deviation from derivatives by mpmath and 40-digit linear algebra."""
    problem, scale, jitter = variable_problem(7), 0.8, 1e-8
    solution = pde.solve(problem, SquaredExponential(scale), learn=False, jitter=jitter)
    with mpmath.workdps(40):

        def kernel(x: Any, y: Any, r: int, s: int) -> Any:
            z = (mpmath.mpf(float(x)) - mpmath.mpf(float(y))) / mpmath.mpf(scale)
            n = r + s
            hermite = mpmath.hermite(n, z / mpmath.sqrt(2)) / mpmath.sqrt(2) ** n
            value = (-1) ** n * hermite * mpmath.exp(-(z**2) / 2) / mpmath.mpf(scale) ** n
            return (-1) ** s * value

        grid = problem.grid
        given: Any = problem.conditions
        functionals = [([(1.0, c.order)], c.x) for c in given]
        functionals += [([(2 + x, 2), (np.cos(x), 1), (-3.0, 0)], x) for x in grid]
        y = [c.value for c in given] + list(problem.source_at(grid))
        size = len(y)

        def covariance(a: Any, b: Any) -> Any:
            return mpmath.fsum(
                mpmath.mpf(float(c)) * mpmath.mpf(float(d)) * kernel(a[1], b[1], r, s)
                for c, r in a[0]
                for d, s in b[0]
            )

        gram = mpmath.matrix(size, size)
        for i in range(size):
            for j in range(size):
                gram[i, j] = covariance(functionals[i], functionals[j])
        for i in range(size):
            gram[i, i] *= 1 + mpmath.mpf(jitter)
        data = mpmath.matrix([float(v) for v in y])
        weights = mpmath.lu_solve(gram, data)
        variance = (data.T * weights)[0] / size
        for point in (0.05, 0.77, 1.31):
            at = ([(1.0, 0)], point)
            row = mpmath.matrix([covariance(at, b) for b in functionals])
            mean = (row.T * weights)[0]
            spread = variance * (1 - (row.T * mpmath.lu_solve(gram, row))[0])
            assert solution.u([point])[0] == pytest.approx(float(mean), rel=1e-6)
            assert solution.std([point])[0] == pytest.approx(float(mpmath.sqrt(spread)), rel=1e-4)
        sign, logdet = 1, mpmath.log(mpmath.det(gram))
        likelihood = -(size * mpmath.log(2 * mpmath.pi * variance) + logdet + size) / 2
    assert sign == 1
    assert solution.log_marginal_likelihood == pytest.approx(float(likelihood), rel=1e-6)
    assert solution.variance == pytest.approx(float(variance), rel=1e-6)


@pytest.mark.parametrize(
    "kernel",
    [
        SpectralMixture([1.0, 0.4, 0.2], [0.3, 0.5, 0.2], [0.0, 0.7, 1.9]),
        StudentTMixture([1.0, 0.4], [0.5, 0.8], [0.1, 0.9]),
        SquaredExponential(0.4) + Matern(0.6),
    ],
)
@pytest.mark.parametrize("periodic", [False, True])
def test_gradient_of_the_likelihood(kernel: Kernel, periodic: bool) -> None:
    problem = variable_problem(11)
    if periodic:
        problem.conditions = (pde.Periodic(),)
    grid = problem.grid
    coefficients = {r: c for (r,), c in problem.coefficients(grid).items()}
    system = System(end_functionals(problem), grid, coefficients, problem.source_at(grid))
    gradient = Factor(system, kernel, 1e-6).gradient()
    theta, step = kernel.theta, 1e-5
    for i in range(theta.size):
        move = step * (np.arange(theta.size) == i)
        above, below = (
            Factor(system, kernel.with_theta(t), 1e-6).log_marginal_likelihood
            for t in (theta + move, theta - move)
        )
        assert gradient[i] == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-4)


def test_learning_raises_the_likelihood_and_finds_the_frequency() -> None:
    frequency = float(RNG.uniform(4, 8))
    m = 2 * np.pi * frequency
    problem = pde.Problem(
        (0, 1),
        {2: 1.0},
        lambda x: -(m**2) * np.sin(m * x),
        [pde.Dirichlet(0, 0), pde.Dirichlet(1, np.sin(m))],
        points=60,
    )
    start, learned = (pde.solve(problem, learn=learn) for learn in (False, True))
    assert learned.log_marginal_likelihood >= start.log_marginal_likelihood
    strongest = learned.frequencies[np.argsort(-learned.weights * learned.frequencies**4)[:3]]
    # The interval resolves frequencies to 1.
    assert np.abs(strongest - frequency).min() < 0.5
    x = RNG.uniform(0, 1, 50)
    assert np.abs(learned.u(x) - np.sin(m * x)).max() < 1e-5
    assert learned.weights.shape == learned.frequencies.shape


def test_newton_that_cannot_finish_says_so() -> None:
    with pytest.raises(ConvergenceError, match="Gauss-Newton"):
        pde.solve(pde.problems.allencahn_1d(), learn=False, newton_steps=1)


def test_newton_that_goes_uphill_says_so() -> None:
    wrong = (lambda u: u**3, lambda u: -3 * u**2)
    problem = pde.Problem((0, 1), {0: 1.0}, 10.0, [], nonlinear=wrong, points=20)
    with pytest.raises(ConvergenceError, match="lowers the residual") as caught:
        pde.solve(problem, SquaredExponential(0.2), learn=False)
    assert caught.value.residual > 0


def test_search_backs_off_from_matrices_that_are_not_positive_definite() -> None:
    problem = pde.Problem(
        (0, 1), {2: 1.0}, np.exp, [pde.Dirichlet(0, 1), pde.Dirichlet(1, np.e)], points=40
    )
    kernel = SquaredExponential(0.05)
    start = pde.solve(problem, kernel, learn=False, jitter=1e-15)
    learned = pde.solve(problem, kernel, jitter=1e-15)
    assert learned.history[0]["failures"] >= 1
    assert learned.log_marginal_likelihood > start.log_marginal_likelihood
    assert start.jitter <= learned.jitter <= 1e-13
    np.testing.assert_allclose(learned.u([0.3, 0.8]), np.exp([0.3, 0.8]), rtol=1e-6)


def test_negative_variances_within_rounding_are_counted_and_others_raise() -> None:
    problem = pde.Problem((0, 1), {0: 1.0}, 1.0, [], points=30)
    solution = pde.solve(problem, SquaredExponential(0.1), learn=False, jitter=1e-16)
    std = solution.std(problem.grid)
    assert 0 < solution.negative_variances <= np.count_nonzero(std == 0)
    solution._factor.lower *= 0.999
    with pytest.raises(NotPositiveDefiniteError, match="raise jitter"):
        solution.std(problem.grid)


def test_jitter_is_raised_and_reported() -> None:
    problem = pde.Problem((0, 1), {2: 1.0}, 1.0, [pde.Dirichlet(0, 0), pde.Dirichlet(1, 0)])
    solution = pde.solve(problem, SquaredExponential(0.5), learn=False, jitter=1e-17)
    assert solution.jitter > 1e-17
    x = RNG.uniform(0, 1, 20)
    np.testing.assert_allclose(solution.u(x), x * (x - 1) / 2, atol=1e-4)
    assert (solution.std(x) >= 0).all()


def test_all_zero_data_give_zero() -> None:
    problem = pde.Problem((0, 1), {2: 1.0}, 0.0, [pde.Dirichlet(0, 0)], points=20)
    assert not pde.solve(problem, SquaredExponential(0.3)).u([0.2, 0.7]).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"box": (1, 0)}, "interval"),
        ({"operator": {3: 1.0}}, "operator"),
        ({"operator": {}}, "operator"),
        ({"operator": {2: np.nan}}, r"operator\[2\]"),
        ({"source": lambda x: x[:-1]}, "source"),
        ({"source": np.inf}, "source"),
        ({"conditions": [pde.Dirichlet(0.5, 0)]}, "conditions"),
        ({"conditions": [pde.Dirichlet(0, 1), pde.Dirichlet(0, 2)]}, "conditions"),
        ({"points": 1}, "points"),
    ],
)
def test_bad_problems_are_refused(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "box": (0, 1),
        "operator": {2: 1.0},
        "source": 0.0,
        "conditions": [pde.Dirichlet(0, 0)],
    }
    with pytest.raises(ValueError, match=message):
        pde.Problem(**(good | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"box": "ab"}, "box"),
        ({"box": [(0, 1), 2]}, "box"),
        ({"operator": [2]}, "operator"),
        ({"source": None}, "source"),
        ({"source": lambda x: 1j * x}, "source"),
        ({"conditions": pde.Dirichlet(0, 0)}, "conditions"),
        ({"conditions": [(0, 0)]}, "conditions"),
        ({"points": 30.5}, "points"),
        ({"nonlinear": np.sin}, "nonlinear"),
    ],
)
def test_arguments_of_other_types_are_refused(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "box": (0, 1),
        "operator": {2: 1.0},
        "source": 0.0,
        "conditions": [pde.Dirichlet(0, 0)],
    }
    with pytest.raises(TypeError, match=message):
        pde.Problem(**(good | change))
    with pytest.raises(TypeError, match="problem"):
        pde.solve("problem")  # type: ignore[arg-type]


def test_what_no_condition_determines_is_uncertain() -> None:
    """``u'' = 1`` with a value at one end only: any slope will do."""
    problem = pde.Problem((0, 1), {2: 1.0}, 1.0, [pde.Dirichlet(0, 0)], points=30)
    both = pde.Problem(
        (0, 1), {2: 1.0}, 1.0, [pde.Dirichlet(0, 0), pde.Dirichlet(1, 0.5)], points=30
    )
    kernel = SquaredExponential(1.0)
    open_end, determined = (
        pde.solve(p, kernel, learn=False).std([0.9])[0] for p in (problem, both)
    )
    assert open_end > 0.05 > 1e-4 > determined


def test_bad_arguments_are_refused() -> None:
    problem = variable_problem()
    with pytest.raises(ValueError, match="jitter"):
        pde.solve(problem, jitter=0.0)
    with pytest.raises(ValueError, match="kernel: axis 0 needs"):
        pde.solve(problem, Matern(nu=1.5))
    solution = pde.solve(problem, SquaredExponential(0.5), learn=False)
    with pytest.raises(ValueError, match="points"):
        solution.u([2.0])
    with pytest.raises(ValueError, match="order"):
        solution.derivative([1.0], 3)
    with pytest.raises(AttributeError):
        _ = solution.frequencies


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.5), (-0.7, 2.1)])
def test_lags_of_the_grid_are_right_at_many_periods(low: float, high: float) -> None:
    kernel = SpectralMixture([1.0, 0.3], [0.7, 0.2], [400.0, 0.3])
    orders = [0, 1, 2, 3, 4]
    by_lag = jets_on_grid(kernel, low, high, 11, orders)
    with mpmath.workdps(30):

        def value(z: Any) -> Any:
            return mpmath.fsum(
                mpmath.mpf(w)
                * mpmath.exp(-(z**2) / (2 * mpmath.mpf(length) ** 2))
                * mpmath.cos(2 * mpmath.pi * mpmath.mpf(f) * z)
                for w, length, f in zip(
                    kernel.weights, kernel.lengthscales, kernel.frequencies, strict=True
                )
            )

        step = (mpmath.mpf(high) - mpmath.mpf(low)) / 10
        for r in orders:
            size = (2 * np.pi * 400) ** r
            for i in (0, 1, 7, 10):
                exact = float(mpmath.diff(value, i * step, r))
                assert abs(by_lag[r, i] - exact) < 3e-15 * size


@pytest.mark.parametrize("jitter", [1e-12, 1e-15, 1e-17, 1e-30])
def test_no_jitter_is_too_small_for_an_answer_that_meets_its_equations(jitter: float) -> None:
    """What is given back meets the equations as well as it says, or there is a named error."""
    for _ in range(3):
        m, n = float(RNG.uniform(1, 15)), int(RNG.integers(15, 60))
        problem = pde.Problem(
            (0, 1),
            {2: 1.0},
            lambda x, m=m: -(m**2) * np.sin(m * x),
            [pde.Dirichlet(0, 0.0), pde.Dirichlet(1, np.sin(m))],
            points=n,
        )
        kernel = SquaredExponential(float(10 ** RNG.uniform(-1.5, 0.5)))
        for learn in (False, True):
            try:
                solution = pde.solve(problem, kernel, learn=learn, jitter=jitter)
            except NotPositiveDefiniteError:
                continue
            scaled = solution.residual(problem.grid) / solution._factor.scale[2:]
            size = np.linalg.norm(solution._factor.system.y / solution._factor.scale)
            assert np.linalg.norm(scaled) <= (solution.misfit + 1e-5) * size
            if solution.misfit < 1e-6 and solution.kernel.lengthscale > 0.2:
                x = np.linspace(0, 1, 50)
                assert np.abs(solution.u(x) - np.sin(m * x)).max() < 1e-3


def test_a_matrix_that_is_positive_definite_by_rounding_alone_is_refused() -> None:
    """A length-scale of 30 intervals: Cholesky may succeed, the weights are then 1e9 times the data."""
    problem = pde.Problem(
        (0, 1), {2: 1.0}, lambda x: np.sin(30 * x), [pde.Dirichlet(0, 0), pde.Dirichlet(1, 0)]
    )
    grid = problem.grid
    coefficients = {r: c for (r,), c in problem.coefficients(grid).items()}
    system = System(end_functionals(problem), grid, coefficients, problem.source_at(grid))
    for scale in (1.0, 5.0, 30.0):
        for jitter in (1e-12, 1e-15):
            with pytest.raises(scipy.linalg.LinAlgError):
                Factor(system, SquaredExponential(scale), jitter)
    # More jitter is used, and shown, instead.
    assert pde.solve(problem, SquaredExponential(1.0), learn=False, jitter=1e-15).jitter > 1e-12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "tolerance: expected a positive number, got 0.0"),
        ({"tolerance": 1.0}, r"tolerance: expected within \(0, 1\), got 1.0"),
        ({"tolerance": "small"}, "tolerance: expected a positive number, got 'small'"),
        ({"jitter": -1e-9}, "jitter: expected a positive number"),
        ({"jitter": float("nan")}, "jitter: expected a positive number"),
        ({"jitter": 1e-3}, "jitter: expected within"),
        ({"newton_steps": 2.5}, "newton_steps: expected an integer of at least 1, got 2.5"),
        ({"max_iterations": "15"}, "max_iterations: expected an integer of at least 1"),
        ({"most_features": 0}, "most_features: expected an integer of at least 1, got 0"),
        ({"learn": "yes"}, "learn: expected True, False or None, got 'yes'"),
        ({"method": "gphm"}, "method: expected 'conditioning', 'gp-hm' or a GPHM, got 'gphm'"),
        ({"method": "gp-hm", "tolerance": 1e-4}, "^tolerance: not used by GP-HM"),
        ({"method": "gp-hm", "jitter": 1e-8, "max_iterations": 3}, "^max_iterations, jitter: not"),
    ],
)
def test_options_that_make_no_sense(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pde.solve(variable_problem(), **options)


# So that arguments of a wrong type pass the type checker.
loose: Any = pde


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: loose.GPHM("sgd"), "optimiser: expected one of"),
        (lambda: loose.GPHM(steps="many"), "steps: expected an integer of at least 1, got 'many'"),
        (lambda: loose.GPHM(steps=1.5), "steps: expected an integer"),
        (
            lambda: loose.GPHM(learning_rate=float("nan")),
            "learning_rate: expected a positive number",
        ),
        (lambda: loose.GPHM(boundary_weight=-1), "boundary_weight: expected a positive number"),
        (lambda: loose.GPHM(jitter="1e-6"), "jitter: expected a positive number"),
        (lambda: loose.published_kernel(-2.0), "highest: expected a positive number"),
        (lambda: loose.published_kernel(2.0, components=0), "components: expected an integer"),
        (lambda: loose.Dirichlet("left", 0.0), "x: expected"),
        (lambda: loose.Dirichlet(0, [1.0, 2.0]), "value: expected a number or a function"),
        (lambda: loose.Neumann(0, float("nan")), "value: expected finite numbers"),
        (lambda: loose.Dirichlet(0, 0.0, axis=0.5), "axis: expected an integer"),
        (lambda: loose.Nonlinear(["u"], abs, [abs]), "orders: expected an integer"),
        (lambda: loose.solve(variable_problem()).u([["a"]]), "points: expected"),
        (lambda: loose.solve(variable_problem(), Matern(1.0, 1.5)), "kernel: axis 0 needs"),
        (lambda: loose.solve(variable_problem(), "rbf"), "kernel: expected one Kernel"),
        (lambda: loose.solve(variable_problem()).u([[0.5]] * 2), "points: expected shape"),
        (
            lambda: loose.solve(variable_problem()).u([np.nan]),
            "points: expected a vector of finite",
        ),
    ],
)
def test_arguments_that_make_no_sense(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()
