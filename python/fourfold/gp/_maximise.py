"""Maximum likelihood by L-BFGS-B: the one place that decides when a search has converged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.optimize

from fourfold.errors import ConvergenceError, NotPositiveDefiniteError

__all__ = ["Maximum", "maximise"]

Array = npt.NDArray[np.float64]

# What the search takes for the objective where the matrix is not positive definite: a wall for the line search.
_WALL = 1e10

# A line search that finds no increase is at the maximum if not more than this, per observation, could be gained.
_GAIN = 1e-8


@dataclass(frozen=True)
class Maximum:
    """Where a search ended.

    Attributes
    ----------
    theta : ndarray, shape (P,)
    value : float
        The objective there.
    iterations, evaluations : int
    refused : int
        Evaluations at which a matrix was not positive definite.
    gain : float
        What one more quasi-Newton step promises, ``g'Hg/2``.
    """

    theta: Array
    value: float
    iterations: int
    evaluations: int
    refused: int
    gain: float


def maximise(
    objective: Callable[[Array], tuple[float, Array]],
    theta: Array,
    bounds: Array,
    *,
    count: int,
    max_iterations: int,
    resolution: Callable[[], float] = lambda: 0.0,
    report: Callable[[int, float], None] | None = None,
) -> Maximum:
    """Climb from ``theta`` to the next maximum.

    Parameters
    ----------
    objective : callable
        ``theta`` -> (value, gradient), a log-likelihood.
    theta : ndarray, shape (P,)
    bounds : ndarray, shape (P, 2)
    count : int
        Number of observations: tolerances are per observation, so that they do not depend on it.
    max_iterations : int
    resolution : callable
        How far apart two values have to be before their difference means anything, where values are estimates.
    report : callable, optional
        Called with the number of the iteration and the value.

    Raises
    ------
    ConvergenceError
        The search used up its iterations, or a line search failed where more than rounding (or the resolution) was
        to be gained.
    NotPositiveDefiniteError
        The matrix is not positive definite at the start.
    """
    scale = 1.0 / max(1, count)
    start = np.clip(theta, bounds[:, 0], bounds[:, 1])
    refused = 0
    seen = {"value": np.nan, "iteration": 0}

    def negative(at: Array) -> tuple[float, Array]:
        nonlocal refused
        try:
            value, gradient = objective(at)
        except NotPositiveDefiniteError:
            if np.array_equal(at, start):
                raise
            refused += 1
            return _WALL, np.zeros_like(at)
        seen["value"] = value
        return -scale * value, -scale * gradient

    def tell(_: Array) -> None:
        seen["iteration"] += 1
        if report is not None:
            report(int(seen["iteration"]), float(seen["value"]))

    found = scipy.optimize.minimize(
        negative,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        callback=tell,
        options={"maxiter": max_iterations, "ftol": 1e-13, "gtol": 1e-8, "maxfun": 10**9},
    )
    # The part of the gradient that the bounds leave.
    free = ~(
        ((found.x <= bounds[:, 0]) & (found.jac > 0))
        | ((found.x >= bounds[:, 1]) & (found.jac < 0))
    )
    slope = np.where(free, found.jac, 0.0)
    gain = 0.5 * float(slope @ (found.hess_inv @ slope)) / scale
    allowed = max(_GAIN * max(1.0, abs(float(found.fun))) / scale, resolution())
    if not found.success and not (found.status == 2 and gain <= allowed):
        why = (
            f"the line search failed after {found.nit} iterations where {gain:.3g} were still to be gained"
            if found.status == 2
            else f"had not converged after {found.nit} iterations"
        )
        raise ConvergenceError(
            f"the marginal likelihood: {why} (largest gradient {np.abs(slope).max() / scale:.3g}); "
            "raise max_iterations, narrow the bounds or start elsewhere",
            iterations=int(found.nit),
            residual=float(np.abs(slope).max() / scale),
            state=found.x,
        )
    return Maximum(
        found.x, -float(found.fun) / scale, int(found.nit), int(found.nfev), refused, gain
    )
