"""Condition a Gaussian process on an equation; learn its kernel; iterate for nonlinear terms."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.optimize

from fourfold.errors import ConvergenceError, NotPositiveDefiniteError
from fourfold.gp.kernels import Kernel
from fourfold.gp.pde._start import starting_kernel
from fourfold.gp.pde._system import Factor, System
from fourfold.gp.pde.problem import Problem, evaluated
from fourfold.gp.pde.solution import Solution

__all__ = ["solve"]

Array = npt.NDArray[np.float64]

_LARGEST_JITTER = 1e-6
# Of the box around the best hyperparameters (in theta) that a search is confined to after failures.
_SMALLEST_RADIUS = 1e-3
# Of a Gauss-Newton step.
_SMALLEST_STEP = 2.0**-10


def solve(
    problem: Problem,
    kernel: Kernel | None = None,
    *,
    learn: bool = True,
    max_iterations: int = 15,
    jitter: float = 1e-12,
    newton_steps: int = 20,
    tolerance: float = 1e-6,
) -> Solution:
    """Solve a problem by a Gaussian process conditioned on its conditions and on its equation on the grid.

    The covariance of all these linear functionals of u is written in closed form, scaled to unit diagonal, and
    decomposed by Cholesky; the amplitude of the process is profiled out. Nonlinear problems are solved by
    Gauss-Newton steps (each such a linear problem), shortened until the residual decreases.

    Parameters
    ----------
    problem : Problem
    kernel : Kernel, optional
        Start of the search, with as many derivatives as twice the operator's order. By default a
        `SpectralMixture` with frequencies from the spectrum of the source.
    learn : bool
        Maximise the marginal likelihood over the free hyperparameters (L-BFGS-B with analytic gradients; for
        nonlinear problems of the equation linearised at the solution, which is then found once more).
    max_iterations : int
        Of L-BFGS-B; it stops there without complaint: any kernel gives a solution.
    jitter : float
        Added to the unit diagonal. Multiplied by 10 until the matrix is positive definite, at most to 1e-6;
        what was used is ``solution.jitter``.
    newton_steps : int
        At most that many Gauss-Newton steps.
    tolerance : float
        They end where the root mean square of u's change is below this share of u's. With the default jitter rounding
        moves u by 1e-7 or so from step to step: much smaller tolerances are not reached.

    Raises
    ------
    NotPositiveDefiniteError
        Not even with the largest jitter.
    ConvergenceError
        The Gauss-Newton steps did not converge.
    """
    if not 0 < jitter <= _LARGEST_JITTER:
        raise ValueError(f"jitter: expected within (0, {_LARGEST_JITTER}], got {jitter}")
    if newton_steps < 1 or max_iterations < 1:
        raise ValueError(
            f"newton_steps, max_iterations: expected at least 1, got {newton_steps}, {max_iterations}"
        )
    start = starting_kernel(problem) if kernel is None else kernel
    history: list[dict[str, Any]] = []
    system = _linearised(problem, np.zeros(problem.points))
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


def _linearised(problem: Problem, u: Array) -> System:
    grid = problem.grid
    coefficients, source = problem.coefficients(grid), problem.source_at(grid)
    if problem.nonlinear is not None:
        value = evaluated("nonlinear[0]", lambda _: problem.nonlinear[0](u), grid)  # type: ignore[index]
        slope = evaluated("nonlinear[1]", lambda _: problem.nonlinear[1](u), grid)  # type: ignore[index]
        coefficients[0] = coefficients.get(0, 0.0) + slope
        source = source - value + slope * u
    return System(problem.conditions, grid, coefficients, source)


def _factorised(system: System, kernel: Kernel, jitter: float) -> Factor:
    while True:
        try:
            return Factor(system, kernel, jitter)
        except scipy.linalg.LinAlgError:
            if jitter * 10 > _LARGEST_JITTER * 1.01:
                smallest = float(np.linalg.eigvalsh(system.gram(kernel))[0])
                raise NotPositiveDefiniteError(
                    f"the Gram matrix of the equation is not positive definite with jitter {jitter:.1e}; "
                    "use fewer points or a shorter length-scale",
                    smallest_eigenvalue=smallest,
                ) from None
            jitter *= 10


def _fitted(
    system: System, kernel: Kernel, jitter: float, iterations: int, history: list[dict[str, Any]]
) -> Factor:
    factor, steps, failures = _factorised(system, kernel, jitter), 0, 0
    if iterations and kernel.theta.size and np.any(system.y):
        found, steps, failures = _learned(system, kernel, factor.jitter, iterations)
        factor = _factorised(system, found, factor.jitter)
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


class _NotPositive(Exception):
    """Raised inside the optimiser where the Gram matrix cannot be decomposed."""


def _learned(
    system: System, kernel: Kernel, jitter: float, iterations: int
) -> tuple[Kernel, int, int]:
    """The likeliest kernel found, iterations made, and how often the search left the positive definite region.

    The likelihood does not exist where Cholesky fails. The search then starts again from the best point so far,
    confined to a box around it of half the size of the step that failed.
    """
    best, lowest, made, failures = kernel.theta, np.inf, 0, 0
    bounds = kernel.theta_bounds

    def objective(theta: Array) -> tuple[float, Array]:
        nonlocal best, lowest
        try:
            factor = Factor(system, kernel.with_theta(theta), jitter)
        except scipy.linalg.LinAlgError:
            raise _NotPositive(float(np.abs(theta - best).max())) from None
        value = -factor.log_marginal_likelihood
        if value < lowest:
            best, lowest = theta.copy(), value
        return value, -factor.gradient()

    def count(_: Array) -> None:
        nonlocal made
        made += 1

    while made < iterations:
        try:
            scipy.optimize.minimize(
                objective,
                best,
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                callback=count,
                options={"maxiter": iterations - made, "maxcor": 20},
            )
            break
        except _NotPositive as failure:
            failures += 1
            radius = 0.5 * failure.args[0]
            if radius < _SMALLEST_RADIUS:
                break
            bounds = np.stack(
                [np.maximum(bounds[:, 0], best - radius), np.minimum(bounds[:, 1], best + radius)],
                axis=1,
            )
    return kernel.with_theta(best), made, failures


def _newton(
    problem: Problem, factor: Factor, steps: int, tolerance: float, history: list[dict[str, Any]]
) -> Factor:
    assert problem.nonlinear is not None
    function = problem.nonlinear[0]
    grid = problem.grid
    coefficients, source = problem.coefficients(grid), problem.source_at(grid)

    def norm(u: Array, linear: Array) -> float:
        return float(np.linalg.norm(linear + np.asarray(function(u)) - source))

    u, linear = np.zeros(grid.size), np.zeros(grid.size)
    residual, change = norm(u, linear), np.inf
    for made in range(steps):
        by_order = [
            factor.system.cross(factor.kernel, grid, r) @ factor.weights for r in (0, *coefficients)
        ]
        new = by_order[0]
        new_linear = np.sum(
            [c * part for c, part in zip(coefficients.values(), by_order[1:], strict=True)], axis=0
        )
        change = float(np.linalg.norm(new - u))
        if change <= tolerance * float(np.linalg.norm(new)):
            history.append({"stage": "newton", "residual": norm(new, new_linear), "step": 1.0})
            return factor
        step = 1.0
        while not norm(u + step * (new - u), linear + step * (new_linear - linear)) <= residual:
            step /= 2
            if step < _SMALLEST_STEP:
                raise ConvergenceError(
                    f"no step along the Gauss-Newton direction lowers the residual {residual:.3g}; u still "
                    f"changes by {change / float(np.linalg.norm(new)):.3g} of its size: raise tolerance or points",
                    iterations=made,
                    residual=residual,
                )
        u, linear = u + step * (new - u), linear + step * (new_linear - linear)
        residual = norm(u, linear)
        history.append({"stage": "newton", "residual": residual, "step": step})
        factor = _factorised(_linearised(problem, u), factor.kernel, factor.jitter)
    raise ConvergenceError(
        f"u changed by {change:.3g} in the last of {steps} Gauss-Newton steps, residual {residual:.3g}; "
        "raise newton_steps or tolerance",
        iterations=steps,
        residual=residual,
    )
