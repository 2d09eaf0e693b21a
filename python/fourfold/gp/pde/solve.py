"""Condition a Gaussian process on an equation; learn its kernel; iterate for nonlinear terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold.errors import ConvergenceError, NotPositiveDefiniteError
from fourfold.gp._inputs import checked_count, checked_number
from fourfold.gp.kernels import Kernel, SpectralMixture, StudentTMixture
from fourfold.gp.pde._box import solve_box
from fourfold.gp.pde._search import search
from fourfold.gp.pde._start import starting_kernel
from fourfold.gp.pde._start_box import starting_kernels
from fourfold.gp.pde._system import Factor, System, end_functionals
from fourfold.gp.pde.conditions import Condition, Periodic
from fourfold.gp.pde.gp_hm import GPHM, solve_gp_hm
from fourfold.gp.pde.hm_solution import GPHMSolution
from fourfold.gp.pde.problem import Problem
from fourfold.gp.pde.solution import Solution

__all__ = ["solve"]

Array = npt.NDArray[np.float64]

_LARGEST_JITTER = 1e-6
# Of a Gauss-Newton step.
_SMALLEST_STEP = 2.0**-10


def solve(
    problem: Problem,
    kernel: Kernel | Sequence[Kernel] | None = None,
    *,
    method: str | GPHM = "conditioning",
    learn: bool | None = None,
    max_iterations: int = 15,
    jitter: float | None = None,
    newton_steps: int = 20,
    tolerance: float = 1e-6,
    most_features: int = 6000,
) -> Any:
    """Solve a problem by a Gaussian process conditioned on its conditions and on its equation on the grid.

    In 1-D the covariance of all these linear functionals of u is written in closed form, scaled to unit diagonal,
    and decomposed by Cholesky. On a box the process, whose covariance is a product over the axes, is expanded in products
    of functions of one variable with independent weights, and the weights are conditioned by regularised
    least squares. The amplitude of the process is profiled out. Nonlinear problems are solved by Gauss-Newton steps
    (each such a linear problem), shortened until the residual is no higher.

    Parameters
    ----------
    problem : Problem
    kernel : Kernel or sequence of Kernel, optional
        With as many derivatives as twice the operator's order; on a box one for each axis. By default a
        `SpectralMixture` with frequencies from the spectrum of the source, and of the conditions on a box.
    method : "conditioning", "gp-hm" or GPHM
        "gp-hm" is the method as published (Fang et al. 2024), for comparison, with settings in `GPHM`: u on the grid,
        both precisions and the kernels' parameters by one optimiser. Its kernels are `SpectralMixture` or
        `StudentTMixture`, its conditions not periodic; the arguments from ``max_iterations`` on are not its own and
        are refused.
    learn : bool, optional
        Maximise the marginal likelihood over the free hyperparameters (L-BFGS-B with analytic gradients; for nonlinear
        problems of the equation linearised at the solution, which is then found once more). By default a
        kernel that was passed is learned in 1-D; those of a box, where each evaluation costs a solution and more, are
        not, and the kernel that is made from the spectrum is not: learning takes 10 to 40 times as long as the
        solution, and the error is no smaller. By "gp-hm" they are, unless it is False.
    max_iterations : int
        Of L-BFGS-B; it stops there without complaint: any kernel gives a solution.
    jitter : float, optional
        Noise variance on each equation relative to its prior variance, by default 1e-13 in 1-D and 1e-12 on a box. The
        search for kernels has 10 times as much, on a box 1e-8 at least: it meets fewer matrices that are not positive
        definite, and the likelihood does not see where the expansion is cut. In 1-D jitter is multiplied by 10, at
        most to 1e-6, until the matrix is positive definite and the conditioned equations are met within 1e-6 but for
        that noise; what was used is ``solution.jitter``.
    newton_steps : int
        At most that many Gauss-Newton steps.
    tolerance : float
        They end where the root mean square of u's change is below this share of u's. With the default jitter rounding
        moves u by 1e-7 or so from step to step: much smaller tolerances are not reached.
    most_features : int
        On a box, how many functions the expansion has at most; memory is 16 R^2 bytes, work about R^3.

    Returns
    -------
    Solution, BoxSolution or GPHMSolution
        In 1-D, on a box, and by GP-HM.

    Raises
    ------
    NotPositiveDefiniteError
        Not even with the largest jitter.
    ConvergenceError
        The Gauss-Newton steps, or the refinement of the least-squares solution, did not converge.
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: expected a pde.Problem, got {problem!r}")
    if learn not in (None, True, False):
        raise ValueError(f"learn: expected True, False or None, got {learn!r}")
    if method != "conditioning":
        given = {
            "max_iterations": max_iterations,
            "jitter": jitter,
            "newton_steps": newton_steps,
            "tolerance": tolerance,
            "most_features": most_features,
        }
        defaults = solve.__kwdefaults__ or {}
        passed = [name for name, value in given.items() if value != defaults[name]]
        if passed:
            raise ValueError(
                f"{', '.join(passed)}: not used by GP-HM; its settings are those of method=GPHM(...)"
            )
        return _by_gp_hm(problem, kernel, method, learn)
    if jitter is None:
        jitter = 1e-13 if problem.dimension == 1 else 1e-12
    if checked_number("jitter", jitter, positive=True) > _LARGEST_JITTER:
        raise ValueError(f"jitter: expected within (0, {_LARGEST_JITTER}], got {jitter}")
    checked_count("newton_steps", newton_steps, 1)
    checked_count("max_iterations", max_iterations, 1)
    if checked_number("tolerance", tolerance, positive=True) >= 1:
        raise ValueError(f"tolerance: expected within (0, 1), got {tolerance}")
    checked_count("most_features", most_features, 1)
    if problem.dimension > 1:
        kernels = _checked_kernels(problem, kernel)
        steps = max_iterations if learn else 0
        return solve_box(problem, kernels, jitter, most_features, newton_steps, tolerance, steps)
    if kernel is not None and not isinstance(kernel, Kernel):
        raise TypeError(f"kernel: expected one Kernel for one axis, got {kernel!r}")
    if kernel is not None:
        orders = [c.order for c in problem.conditions if isinstance(c, Condition)]
        _check_order(kernel, max(problem.highest_order(0), *orders, 0), 0)
    start = starting_kernel(problem) if kernel is None else kernel
    learn = kernel is not None if learn is None else learn
    history: list[dict[str, Any]] = []
    system = _linearised(problem)
    if problem.nonlinear is not None:
        # The likelihood is that of the equation linearised at the solution: first find that.
        factor = _factorised(system, start, jitter)
        factor = _newton(problem, factor, newton_steps, tolerance, history)
        system = factor.system
    if problem.nonlinear is None or learn:
        factor = _fitted(system, start, jitter, max_iterations if learn else 0, history)
        if problem.nonlinear is not None:
            factor = _newton(problem, factor, newton_steps, tolerance, history)
    return Solution(problem, factor, history)


def _by_gp_hm(
    problem: Problem,
    kernel: Kernel | Sequence[Kernel] | None,
    method: str | GPHM,
    learn: bool | None,
) -> GPHMSolution:
    if method == "gp-hm":
        method = GPHM()
    if not isinstance(method, GPHM):
        raise ValueError(f"method: expected 'conditioning', 'gp-hm' or a GPHM, got {method!r}")
    if any(isinstance(c, Periodic) for c in problem.conditions):
        raise ValueError("conditions: GP-HM has no periodic ones; use method='conditioning'")
    kernels = _checked_kernels(problem, kernel)
    if kernels is None:
        kernels = list(starting_kernels(problem))
    mixtures: list[SpectralMixture | StudentTMixture] = []
    for axis, k in enumerate(kernels):
        if not isinstance(k, SpectralMixture | StudentTMixture):
            raise TypeError(
                f"kernel: GP-HM has SpectralMixture or StudentTMixture, got {type(k).__name__} on axis {axis}"
            )
        mixtures.append(k)
    return solve_gp_hm(problem, mixtures, method, learn is None or learn)


def _checked_kernels(
    problem: Problem, kernel: Kernel | Sequence[Kernel] | None
) -> list[Kernel] | None:
    if kernel is None:
        return None
    given: Any = [kernel] * problem.dimension if isinstance(kernel, Kernel) else kernel
    if not isinstance(given, Sequence) or not all(isinstance(k, Kernel) for k in given):
        raise TypeError(f"kernel: expected a Kernel or one for each axis, got {kernel!r}")
    kernels: list[Kernel] = list(given)
    if len(kernels) != problem.dimension:
        raise ValueError(
            f"kernel: expected one Kernel for each of {problem.dimension} axes, got {len(kernels)}"
        )
    for axis, k in enumerate(kernels):
        # Of functions of x for a grid: the basis is differentiated as often as u.
        _check_order(k, max(problem.highest_order(axis), 1), axis)
    return kernels


def _check_order(kernel: Kernel, order: int, axis: int) -> None:
    """The kernel has the derivatives that functionals of order ``order`` along an axis need."""
    if 2 * order > kernel.highest_order:
        raise ValueError(
            f"kernel: axis {axis} needs derivatives up to order {2 * order}, {type(kernel).__name__} has "
            f"{kernel.highest_order}"
        )


def _linearised(problem: Problem, parts: list[Array] | None = None) -> System:
    """The equation linearised at u, given by its derivatives that the nonlinear term takes; None: u = 0."""
    grid, coefficients = problem.grid, _by_order(problem)
    source = problem.source_at(grid)
    term = problem.nonlinear
    if term is not None:
        if parts is None:
            parts = [np.zeros(grid.size) for _ in term.orders]
        source = source - term.value(parts)
        for (order,), part, slope in zip(term.orders, parts, term.slope(parts), strict=True):
            coefficients[order] = coefficients.get(order, 0.0) + slope
            source = source + slope * part
    return System(end_functionals(problem), grid, coefficients, source)


def _by_order(problem: Problem) -> dict[int, Array]:
    return {r: c for (r,), c in problem.coefficients(problem.grid).items()}


def _factorised(system: System, kernel: Kernel, jitter: float) -> Factor:
    while True:
        try:
            return Factor(system, kernel, jitter)
        except scipy.linalg.LinAlgError:
            if jitter * 10 > _LARGEST_JITTER * 1.01:
                smallest = float(np.linalg.eigvalsh(system.gram(kernel))[0])
                raise NotPositiveDefiniteError(
                    f"the Gram matrix of the equation is not positive definite beyond rounding with jitter {jitter:.1e}; "
                    "use fewer points or a shorter length-scale",
                    smallest_eigenvalue=smallest,
                ) from None
            jitter *= 10


def _fitted(
    system: System, kernel: Kernel, jitter: float, iterations: int, history: list[dict[str, Any]]
) -> Factor:
    steps, failures = 0, 0
    if iterations and kernel.theta.size and np.any(system.y):
        first = _factorised(system, kernel, min(10 * jitter, _LARGEST_JITTER))
        kernel, steps, failures = _learned(system, kernel, first.jitter, iterations)
    factor = _factorised(system, kernel, jitter)
    history.append(
        {
            "stage": "learn",
            "kernel": type(kernel).__name__,
            "iterations": steps,
            "failures": failures,
            "log_marginal_likelihood": factor.log_marginal_likelihood,
        }
    )
    return factor


def _learned(
    system: System, kernel: Kernel, jitter: float, iterations: int
) -> tuple[Kernel, int, int]:
    """The likeliest kernel found, iterations made, and how often the search left the positive definite region."""

    def objective(theta: Array) -> tuple[float, Array]:
        factor = Factor(system, kernel.with_theta(theta), jitter)
        return -factor.log_marginal_likelihood, -factor.gradient()

    found = search(objective, kernel.theta, kernel.theta_bounds, iterations)
    return kernel.with_theta(found.best), found.iterations, found.failures


def _newton(
    problem: Problem, factor: Factor, steps: int, tolerance: float, history: list[dict[str, Any]]
) -> Factor:
    term = problem.nonlinear
    assert term is not None
    grid = problem.grid
    coefficients, source = _by_order(problem), problem.source_at(grid)
    orders = sorted({0, *coefficients, *(order for (order,) in term.orders)})

    def taken(state: Array) -> list[Array]:
        return [state[orders.index(order)] for (order,) in term.orders]

    def norm(state: Array) -> float:
        linear = sum(c * state[orders.index(r)] for r, c in coefficients.items())
        return float(np.linalg.norm(linear + term.value(taken(state)) - source))

    # u and its derivatives on the grid, one row for each of the orders.
    state = np.zeros((len(orders), grid.size))
    residual, change = norm(state), np.inf
    for made in range(steps):
        new = np.stack(
            [factor.system.cross(factor.kernel, grid, r) @ factor.weights for r in orders]
        )
        change, size = float(np.linalg.norm(new[0] - state[0])), float(np.linalg.norm(new[0]))
        if change <= tolerance * size:
            history.append({"stage": "newton", "residual": norm(new), "step": 1.0})
            return factor
        step = 1.0
        while not norm(state + step * (new - state)) <= residual:
            step /= 2
            if step < _SMALLEST_STEP:
                raise ConvergenceError(
                    f"no step along the Gauss-Newton direction lowers the residual {residual:.3g}; u still "
                    f"changes by {change / size:.3g} of its size: raise tolerance or points",
                    iterations=made,
                    residual=residual,
                )
        state = state + step * (new - state)
        residual = norm(state)
        history.append({"stage": "newton", "residual": residual, "step": step})
        factor = _factorised(_linearised(problem, taken(state)), factor.kernel, factor.jitter)
    raise ConvergenceError(
        f"u changed by {change:.3g} in the last of {steps} Gauss-Newton steps, residual {residual:.3g}; "
        "raise newton_steps or tolerance",
        iterations=steps,
        residual=residual,
    )
