"""The search for hyperparameters from several starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fourfold.errors import ConvergenceError, NotPositiveDefiniteError
from fourfold.gp._maximise import Maximum, maximise
from fourfold.gp.grid._hyperparameters import Hyperparameters
from fourfold.gp.grid._likelihood import Likelihood
from fourfold.gp.grid._results import FitInfo
from fourfold.gp.kernels._parameters import check_start

__all__ = ["search"]

Array = npt.NDArray[np.float64]


def search(
    likelihood: Likelihood,
    hyperparameters: Hyperparameters,
    *,
    count: int,
    max_iterations: int,
    restarts: int,
    seed: int,
    report: Callable[[int, int, float], None] | None,
) -> tuple[Array, FitInfo]:
    """The best theta of all starts, and how it was found; what the likelihood says about itself is not filled in."""
    theta = hyperparameters.start
    best: Maximum | None = None
    reached: list[float] = []
    if max_iterations > 0 and theta.size > 0:
        check_start(hyperparameters.names, theta, hyperparameters.bounds)
        rng = np.random.default_rng(seed)
        failure: Exception | None = None
        for start in range(1 + restarts):
            tell = None if report is None else (lambda i, v, s=start: report(s, i, v))
            try:
                found = maximise(
                    likelihood,
                    theta if start == 0 else hyperparameters.drawn(rng),
                    hyperparameters.bounds,
                    count=count,
                    max_iterations=max_iterations,
                    resolution=lambda: likelihood.interval,
                    report=tell,
                )
            except (ConvergenceError, NotPositiveDefiniteError) as error:
                failure = failure or error
                reached.append(np.nan)
                continue
            reached.append(found.value)
            if best is None or found.value > best.value:
                best = found
        if best is None:
            assert failure is not None
            raise failure
        theta = best.theta
    info = FitInfo(log_prior=hyperparameters.log_prior(theta)[0])
    if best is not None:
        info = replace(
            info,
            starts=tuple(reached),
            iterations=best.iterations,
            evaluations=best.evaluations,
            refused=best.refused,
            gain=best.gain,
            at_bounds=hyperparameters.at_bounds(theta),
        )
    return theta, info
