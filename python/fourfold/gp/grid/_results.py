"""What a fit and leave-one-out say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["FitInfo", "LeaveOneOut"]


@dataclass(frozen=True)
class FitInfo:
    """How hyperparameters were found.

    Attributes
    ----------
    ways : tuple of str
        How log-determinants were computed: ``"eigendecomposition"`` and ``"cholesky"`` of the factors (complete
        grids); ``"dense cholesky"``, ``"low-rank correction"`` (exact, too) and ``"stochastic lanczos"``
        (an estimate, with the same random vectors in all evaluations) for grids with holes.
    interval : float
        Half the width of the 95 % confidence interval of the log marginal likelihood; 0 where it is exact.
    log_prior : float
        Sum of the log densities of the priors.
    starts : tuple of float
        What every start reached: log marginal likelihood + log prior; NaN where the search failed.
    iterations, evaluations : int
        Of the best start.
    refused : int
        Evaluations of the best start that met a matrix that is not positive definite; the search turned away from
        there.
    gain : float
        What one more step of the search promises.
    at_bounds : tuple of str
        Hyperparameters that ended at one of their bounds.
    """

    ways: tuple[str, ...] = ()
    interval: float = 0.0
    log_prior: float = 0.0
    starts: tuple[float, ...] = ()
    iterations: int = 0
    evaluations: int = 0
    refused: int = 0
    gain: float = 0.0
    at_bounds: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeaveOneOut:
    """Every observation predicted from all others of its output; of the shape of y, NaN where y is missing.

    Attributes
    ----------
    mean : array or tensor
        Of the observation that was left out.
    std : array or tensor
        Its standard deviation, noise included.
    log_density : array or tensor
        ``log p(y_i | all others)``; its sum is the log pseudo-likelihood.
    """

    mean: Any
    std: Any
    log_density: Any
