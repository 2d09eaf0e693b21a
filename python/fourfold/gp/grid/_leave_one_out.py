"""Every observation predicted from all others, without refitting."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp.grid._posterior import Posterior

__all__ = ["leave_one_out"]

Array = npt.NDArray[np.float64]


def leave_one_out(posterior: Posterior) -> tuple[Array, Array, Array]:
    """Means, standard deviations and log densities (B, N), NaN at missing points, in the units of y.

    With C = A^-1, less what an estimated mean takes, ``mean_i = y_i - (C y)_i/C_ii`` and ``variance_i = 1/C_ii``
    (Dubrule 1983; Rasmussen and Williams, section 5.4.2).
    """
    data = posterior.data
    mean, std, density = (np.full(data.rows.shape, np.nan) for _ in range(3))
    for part in posterior.parts:
        members, mask = part.group.members, part.group.mask
        seen = np.arange(data.total) if mask is None else np.flatnonzero(mask)
        whole = part.system.inverse_diagonal()[seen]
        diagonal = whole
        if part.mean is not None:
            half = scipy.linalg.solve_triangular(
                part.mean.lower, part.mean.weights[:, seen], lower=True
            )
            diagonal = whole - (half**2).sum(axis=0)
        # With a mean, an observation may be the only one that tells a coefficient: then nothing predicts it.
        if not (diagonal > 1e-12 * whole).all():
            at = int(seen[np.argmin(diagonal / whole)])
            raise NotPositiveDefiniteError(
                f"without observation {np.unravel_index(at, data.sizes)} the mean's coefficients are not determined",
                smallest_eigenvalue=float(diagonal.min()),
            )
        misses = posterior.weights[np.ix_(members, seen)] / diagonal
        variance = np.broadcast_to(1 / diagonal, misses.shape)
        at_members = np.ix_(members, seen)
        scale, offset = data.scale[members, None], data.offset[members, None]
        mean[at_members] = offset + scale * (data.rows[at_members] - misses)
        std[at_members] = scale * np.sqrt(variance)
        density[at_members] = -0.5 * (misses**2 / variance + np.log(2 * np.pi * variance)) - np.log(
            scale
        )
    return mean, std, density
