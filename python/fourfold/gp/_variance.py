"""The one rule for variances that rounding took below zero."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fourfold.errors import NotPositiveDefiniteError

__all__ = ["checked_variance", "checked_variance_there"]

Array = npt.NDArray[np.float64]

_ROUNDING = 100 * np.finfo(np.float64).eps


def checked_variance(variance: Array, prior: float) -> tuple[Array, int]:
    """Variances without rounding below zero, and how many of them were set to zero.

    Parameters
    ----------
    variance : ndarray of float64
    prior : float
        ``k(x, x)``, or a larger variance that they were subtracted from.

    Raises
    ------
    NotPositiveDefiniteError
        A variance is below ``-100 eps prior``: that is not rounding.
    """
    negative = variance < 0
    count = int(negative.sum())
    _refuse(float(variance.min(initial=0.0)), prior)
    return np.where(negative, 0.0, variance), count


def checked_variance_there(variance: Tensor, prior: float) -> tuple[Tensor, int]:
    """As `checked_variance`, of a tensor on any device. Waits for the device."""
    negative = variance < 0
    count = int(negative.sum())
    _refuse(float(variance.min()) if variance.numel() else 0.0, prior)
    return variance.masked_fill(negative, 0.0), count


def _refuse(smallest: float, prior: float) -> None:
    # Written so that a NaN is refused, too.
    if not (smallest >= -_ROUNDING * prior):
        raise NotPositiveDefiniteError(
            f"a predicted variance is {smallest:.3g} (prior {prior:.3g}): the observations have too little noise "
            "for this kernel, whose matrix is singular to rounding",
            smallest_eigenvalue=smallest,
        )
