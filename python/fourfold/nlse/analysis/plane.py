"""The limits of the H-C plane of permutation entropy and Jensen-Shannon complexity."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fourfold.nlse.analysis._inputs import Float64, check_number
from fourfold.nlse.analysis.ordinal import EntropyComplexity, plane_point

__all__ = ["PlaneLimits", "periodic_limits", "plane_limits"]


class PlaneLimits(NamedTuple):
    """The two curves between which every series lies, each with H increasing from 0 to 1."""

    lower: EntropyComplexity
    upper: EntropyComplexity


def plane_limits(order: int, points: int = 1000) -> PlaneLimits:
    """The least and the greatest complexity C that any probabilities of entropy H can have.

    The least belongs to one probability p that differs from all others, which are equal; the
    greatest to some zeros, one p and the rest equal, one arc for each number of zeros.

    Parameters
    ----------
    order : int
        Number of values in a window, 3 to 7.
    points : int
        About how many points each curve has, at least 2. The upper one has no fewer than its
        order! - 1 arcs.

    Returns
    -------
    PlaneLimits
        The named pair ``(lower, upper)`` of `EntropyComplexity`, float64 arrays.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above.

    References
    ----------
    M. T. Martin, A. Plastino, O. A. Rosso, Physica A 369, 439 (2006).
    """
    n = math.factorial(check_number("order", order, 3, 7))
    points = check_number("points", points, 2)
    # One p, and n - 1 that share the rest.
    p = np.linspace(1, 1 / n, points)
    lower = _mixed(p, n - 1, n)

    # n - m - 1 zeros, one p from 0 to what the m others have: H goes from ln m to ln (m + 1).
    arcs = []
    for m in range(1, n):
        share = math.log((m + 1) / m) / math.log(n)
        count = max(1, math.ceil(points * share))
        arcs.append((np.linspace(0, 1 / (m + 1), count, endpoint=False), np.full(count, m)))
    arcs.append((np.array([1 / n]), np.array([n - 1])))
    upper = _mixed(
        np.concatenate([arc for arc, _ in arcs]), np.concatenate([m for _, m in arcs]), n
    )
    return PlaneLimits(lower, upper)


def periodic_limits(order: int) -> tuple[float, float]:
    """The least and the greatest permutation entropy of a slow periodic series.

    A series that rises and falls once in a period, sampled so finely that a window sees at most
    one of its turns, has at least the 2 monotone patterns and at most ``2 (2 (order - 2) + 1)``
    patterns.

    Parameters
    ----------
    order : int
        Number of values in a window, 3 to 7.

    Returns
    -------
    (float, float)
        ``ln 2 / ln order!`` and ``ln (4 order - 6) / ln order!``

    References
    ----------
    S. O. Hyman, K. J. Daniel, D. A. Schaffner, Astrophys. J. 987, 195 (2025).
    """
    order = check_number("order", order, 3, 7)
    greatest = math.log(math.factorial(order))
    return math.log(2) / greatest, math.log(4 * order - 6) / greatest


def _mixed(p: Float64, equal: int | np.ndarray, n: int) -> EntropyComplexity:
    """H and C of: one p, ``equal`` probabilities that share the rest, and zeros, n in all."""
    # The three groups, each a probability and how many have it.
    equal = np.broadcast_to(equal, p.shape)
    groups = ((p, np.ones(p.shape)), ((1 - p) / equal, equal), (np.zeros(p.shape), n - 1 - equal))
    value = np.stack([g[0] for g in groups], axis=-1)
    times = np.stack([np.asarray(g[1], dtype=np.float64) for g in groups], axis=-1)
    return EntropyComplexity(*plane_point(value, times))
