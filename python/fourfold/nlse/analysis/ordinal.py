"""Permutation entropy and Jensen-Shannon complexity, from the ordinal patterns of series."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold.nlse import _kernel
from fourfold.nlse.analysis._inputs import Array, Back, Float64, axis_last, check_number, read_real

__all__ = [
    "EntropyComplexity",
    "complexity_entropy",
    "jensen_shannon_complexity",
    "ordinal_counts",
    "ordinal_patterns",
    "permutation_entropy",
]

Int64 = npt.NDArray[np.int64]


class EntropyComplexity(NamedTuple):
    """A place in the H-C plane: two float64 of the same leading shape."""

    entropy: Any
    """Permutation entropy H over ``ln order!``: from 0 to 1."""
    complexity: Any
    """Jensen-Shannon complexity C: from 0 to less than 0.57."""


def ordinal_counts(series: Any, order: int = 5, delay: int = 1, *, axis: int = -1) -> Any:
    """How often each ordinal pattern occurs among the windows of a series.

    A window is ``x[i], x[i + delay], ..., x[i + (order - 1) delay]`` for every i that fits; its
    pattern says which of its values is the smallest, the next, and so on. Of equal values the
    earlier one counts as the smaller (as by a stable sort).

    Parameters
    ----------
    series : array or tensor, real
        The series run along `axis`; all other axes are series beside each other, which share the
        threads. Computed in double precision.
    order : int
        Number of values in a window, 3 to 7.
    delay : int
        Distance between neighbouring values of a window, at least 1.
    axis : int
        The axis along which the series run: -1 for fields over space, 0 for saved times.

    Returns
    -------
    int64 of shape (..., order!)
        The pattern of each index is the row of `ordinal_patterns`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above, a value is not finite, or no window fits.

    References
    ----------
    C. Bandt, B. Pompe, Phys. Rev. Lett. 88, 174102 (2002).
    """
    counts, back = _counts(series, order, delay, axis)
    return back(counts)


def ordinal_patterns(order: int) -> Int64:
    """The pattern of each index of `ordinal_counts`, as ranks.

    Parameters
    ----------
    order : int
        3 to 7.

    Returns
    -------
    int64 array (order!, order)
        Row i holds, for each value of the window, how many others are smaller.
    """
    order = check_number("order", order, 3, 7)
    ranks = np.array(list(itertools.permutations(range(order))), dtype=np.int64)
    # The index: j! times the number of earlier values that are greater, summed over j.
    index = sum(
        math.factorial(j) * (ranks[:, :j] > ranks[:, j : j + 1]).sum(axis=1) for j in range(order)
    )
    return ranks[np.argsort(index)]


def permutation_entropy(
    series: Any, order: int = 3, delay: int = 1, *, axis: int = -1, normalize: bool = True
) -> Any:
    r"""Permutation entropy: the Shannon entropy of the ordinal patterns of a series.

    .. math:: H = -\frac{1}{\ln d!} \sum_\pi p_\pi \ln p_\pi

    over the ``d! = order!`` patterns: 0 for a series that only rises, 1 for noise without memory.

    Parameters
    ----------
    series, order, delay, axis
        As in `ordinal_counts`, which also states how ties are broken. A plateau that is not quite
        flat, such as the round-off in the tail of a pulse, counts as much as the pulse.
    normalize : bool
        Divide by ``ln order!``; else the entropy is in nats.

    Returns
    -------
    float64 of the leading shape, a scalar for one series

    Raises
    ------
    TypeError, ValueError
        As `ordinal_counts`.

    References
    ----------
    C. Bandt, B. Pompe, Phys. Rev. Lett. 88, 174102 (2002).
    """
    if not isinstance(normalize, (bool, np.bool_)):
        raise TypeError(f"normalize must be True or False, got {normalize!r}")
    counts, back = _counts(series, order, delay, axis)
    entropy = _shannon(_shares(counts))
    return back(entropy / math.log(counts.shape[-1]) if normalize else entropy)


def complexity_entropy(
    series: Any, order: int = 5, delay: int = 1, *, axis: int = -1
) -> EntropyComplexity:
    r"""Permutation entropy H and Jensen-Shannon complexity C of series: the H-C plane.

    .. math:: C = Q_0 \, J[P, U] \, H[P], \quad
              J = S\left[\tfrac{P + U}{2}\right] - \tfrac12 S[P] - \tfrac12 S[U]

    with the shares P of the N = order! patterns, equal shares U, and Q_0 such that the greatest J
    becomes 1: ``Q_0 = -2 / ((1 + 1/N) ln(N + 1) - 2 ln(2 N) + ln N)``. Regular series lie near
    H = 0, noise near H = 1 with C = 0, chaos between them near the upper limit
    (`plane_limits`).

    Parameters
    ----------
    series, order, delay, axis
        As in `ordinal_counts`. The series should be much longer than order!: of too few windows
        the patterns look more regular than they are.

    Returns
    -------
    EntropyComplexity
        The named pair ``(entropy, complexity)``.

    Raises
    ------
    TypeError, ValueError
        As `ordinal_counts`.

    References
    ----------
    O. A. Rosso et al., Phys. Rev. Lett. 99, 154102 (2007); S. O. Hyman, K. J. Daniel, D. A.
    Schaffner, Astrophys. J. 987, 195 (2025): PECCARY, whose H and C these are.
    """
    counts, back = _counts(series, order, delay, axis)
    entropy, complexity = plane_point(_shares(counts))
    return EntropyComplexity(back(entropy), back(complexity))


def jensen_shannon_complexity(probabilities: Any) -> Any:
    """The complexity C of `complexity_entropy`, of any probabilities.

    Parameters
    ----------
    probabilities : array or tensor (..., N)
        Not negative, with sum 1, N at least 2.

    Returns
    -------
    float64 of the leading shape
    """
    given, back = read_real(probabilities, "probabilities")
    p = given.astype(np.float64)
    if p.shape[-1] < 2 or (p < 0).any() or not np.allclose(p.sum(axis=-1), 1, rtol=0, atol=1e-9):
        raise ValueError("probabilities must be at least two, not negative, and have the sum 1")
    return back(plane_point(p)[1])


def plane_point(p: Float64, times: Float64 | None = None) -> tuple[Float64, Float64]:
    """H and C of probabilities (..., N), or (..., groups) of which each occurs so many times."""
    weight = np.ones(p.shape) if times is None else times
    n = round(float(weight[..., :].sum(axis=-1).flat[0]))
    # As two relative entropies: entropies would cancel where P is nearly U.
    u = 1 / n
    mean = (p + u) / 2
    part = np.log(p / mean, out=np.zeros_like(p), where=p > 0)
    of_p = (weight * p * part).sum(axis=-1)
    of_u = (weight * u * np.log(u / mean)).sum(axis=-1)
    greatest = -0.5 * ((1 + u) * math.log(n + 1) - 2 * math.log(2 * n) + math.log(n))
    entropy = _shannon(p, weight) / math.log(n)
    return entropy, ((of_p + of_u) / 2 / greatest * entropy)[()]


def counts_of_rows(rows: Float64, order: int, delay: int) -> Int64:
    """Counts (..., order!) of series (..., n) that have been checked."""
    n = rows.shape[-1]
    if n < (order - 1) * delay + 1:
        raise ValueError(
            f"series must have at least {(order - 1) * delay + 1} values for order {order} and "
            f"delay {delay}, got {n}"
        )
    return _kernel.ordinal_counts(rows, order, delay)


def _counts(series: Any, order: Any, delay: Any, axis: Any) -> tuple[Int64, Back]:
    given, back = read_real(series, "series")
    order = check_number("order", order, 3, 7)
    delay = check_number("delay", delay, 1)
    return counts_of_rows(as_rows(given, axis), order, delay), back


def as_rows(given: Array, axis: Any) -> Float64:
    """Series along the last axis, double precision and contiguous."""
    return np.ascontiguousarray(axis_last(given, axis, "series"), dtype=np.float64)


def _shares(counts: Int64) -> Float64:
    shares: Float64 = counts / counts.sum(axis=-1, keepdims=True)
    return shares


def _shannon(p: Float64, times: Float64 | float = 1.0) -> Float64:
    logarithm = np.log(p, out=np.zeros_like(p), where=p > 0)
    entropy: Float64 = 0.0 - (times * p * logarithm).sum(axis=-1)
    return entropy
