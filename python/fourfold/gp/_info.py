"""What a solve, a log-determinant or a prediction says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["PredictInfo", "SolveInfo"]


@dataclass(frozen=True)
class SolveInfo:
    """How a result was computed, and how good it is.

    Attributes
    ----------
    ways : tuple of str
        For each factor ``"cholesky"``, ``"eigendecomposition"``, ``"levinson"`` or ``"centrosymmetric cholesky"``;
        or one word for the whole: ``"conjugate gradients"``, ``"low-rank correction"``, ``"dense cholesky"``,
        ``"stochastic lanczos"``.
    conditions : tuple
        For the Toeplitz ways the estimated condition number of each factor (n eps times it bounds the error of
        the factor's log-determinant), else None.
    jitter : tuple
        What was added to the factors' diagonals, as `Kronecker.jitter`.
    iterations : int
        Of conjugate gradients, or of Lanczos; 0 where nothing is iterated.
    residual : float or None
        The largest ``|b - A x|/|b|``, computed anew at the end of conjugate gradients.
    interval : (low, high) or None
        The 95 % confidence interval of a stochastic log-determinant.
    """

    ways: tuple[str, ...]
    conditions: tuple[float | None, ...] = ()
    jitter: tuple[Any, ...] = ()
    iterations: int = 0
    residual: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class PredictInfo:
    """How a prediction was computed.

    Attributes
    ----------
    ways : tuple of str
        How variances were computed: ``"kalman smoother"``, ``"sums of squares"`` (points of a complete grid),
        ``"differences"`` (prior minus reduction, elsewhere), ``"dense cholesky"`` and ``"conjugate gradients"``
        (grids with holes). Empty if none were.
    zeroed : int
        Variances that rounding had taken below zero, by less than 100 eps times the prior's, and that are 0 now.
    iterations : int
        Most steps of conjugate gradients.
    residual : float or None
        Their largest relative residual.
    """

    ways: tuple[str, ...] = ()
    zeroed: int = 0
    iterations: int = 0
    residual: float | None = None
