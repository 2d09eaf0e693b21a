"""Entropies of a field: how widely it is spread over the points, or over the modes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse._checks import real
from fourfold.nlse._densities import abs2, coefficients_of
from fourfold.nlse.analysis._inputs import (
    Complex128,
    Float64,
    axis_last,
    check_number,
    over_rows,
    read_field,
    read_real,
)

__all__ = [
    "differential_entropy",
    "disequilibrium",
    "renyi_entropy",
    "shannon_entropy",
    "statistical_complexity",
    "tsallis_entropy",
]

# The published analysis leaves out smaller probabilities: in a tail they are round-off.
_FLOOR = 1e-15


def shannon_entropy(psi: Any, *, spectral: bool = False, floor: float = _FLOOR) -> Any:
    r"""Shannon entropy of the field's probabilities.

    .. math:: S = -\sum_j p_j \ln p_j, \quad p_j = |\psi_j|^2 / \textstyle\sum_i |\psi_i|^2

    in nats: 0 for one point, ``ln n`` for a constant modulus. It belongs to the points: on a grid
    of spacing dx it is the entropy of the density minus ``ln dx``, so for a soliton
    ``A sech(A x)`` it is ``2 - ln(2 A dx)``.

    Parameters
    ----------
    psi : Solution, or array or tensor (..., n)
        The fields.
    spectral : bool
        Take the modes, :math:`|\hat\psi_k|^2`, instead of the points.
    floor : float
        Probabilities that are not above it are left out, without normalising the others again:
        1e-15, as published. It matters for orders below 1 and for round-off alone.

    Returns
    -------
    float64 of the leading shape, (T, ...) for a Solution; a scalar for one field

    Raises
    ------
    TypeError, ValueError
        If `psi` does not hold finite numbers, or a field of it is zero everywhere.
    """
    return _entropy(psi, 1.0, _shannon_of_sum, spectral, floor)


def renyi_entropy(psi: Any, order: float, *, spectral: bool = False, floor: float = _FLOOR) -> Any:
    r"""Renyi entropy of the field's probabilities.

    .. math:: R_a = \frac{\ln \sum_j p_j^a}{1 - a}

    with its limits: of order 0 (Hartley) the logarithm of the number of probabilities above the
    floor, of order 1 Shannon's, of order infinity ``-ln max p``.

    Parameters
    ----------
    psi, spectral, floor
        As in `shannon_entropy`.
    order : float
        a, not negative; ``math.inf`` is allowed.

    Returns
    -------
    float64 of the leading shape

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above.

    References
    ----------
    A. Renyi, Proc. 4th Berkeley Symp. Math. Stat. Probab. 1, 547 (1961).
    """
    a = _order(order)

    def finish(total: Float64) -> Float64:
        if math.isinf(a):
            return np.asarray(-np.log(total))
        return _shannon_of_sum(total) if a == 1 else np.asarray(np.log(total) / (1 - a))

    return _entropy(psi, a, finish, spectral, floor)


def tsallis_entropy(
    psi: Any, order: float, *, spectral: bool = False, floor: float = _FLOOR
) -> Any:
    r"""Tsallis entropy of the field's probabilities.

    .. math:: T_q = \frac{1 - \sum_j p_j^q}{q - 1}

    and Shannon's for q = 1.

    Parameters
    ----------
    psi, spectral, floor
        As in `shannon_entropy`.
    order : float
        q, finite and not negative.

    Returns
    -------
    float64 of the leading shape

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above.

    References
    ----------
    C. Tsallis, J. Stat. Phys. 52, 479 (1988).
    """
    q = _order(order)
    if math.isinf(q):
        raise ValueError("order must be finite for the Tsallis entropy, got inf")

    def finish(total: Float64) -> Float64:
        return _shannon_of_sum(total) if q == 1 else np.asarray((1 - total) / (q - 1))

    return _entropy(psi, q, finish, spectral, floor)


def disequilibrium(psi: Any) -> Any:
    r"""Distance of the field's probabilities from equal ones, :math:`\sum_j (p_j - 1/n)^2`.

    Parameters
    ----------
    psi : Solution, or array or tensor (..., n)
        The fields.

    Returns
    -------
    float64 of the leading shape

    Raises
    ------
    TypeError, ValueError
        If `psi` does not hold finite numbers, or a field of it is zero everywhere.
    """
    fields, back = read_field(psi)

    def of_block(block: Complex128) -> Float64:
        p = _probabilities(block, spectral=False, floor=0.0)
        return np.asarray(np.sum((p - 1 / p.shape[-1]) ** 2, axis=-1))

    return back(over_rows(of_block, fields))


def statistical_complexity(psi: Any) -> Any:
    r"""The published statistical complexity of a field, :math:`C = (S / \ln n) \, D \, n`.

    S is the Shannon entropy of the points (`shannon_entropy`), D the `disequilibrium`, n the number
    of points. It is zero for one point and for a constant modulus. The factor n is the published
    one; Lopez-Ruiz, Mancini and Calbet have C without it.

    Parameters
    ----------
    psi : Solution, or array or tensor (..., n)
        The fields, n at least 2.

    Returns
    -------
    float64 of the leading shape

    Raises
    ------
    TypeError, ValueError
        If `psi` does not hold finite numbers, or a field of it is zero everywhere.

    References
    ----------
    arXiv 2509.05901 and its analysis scripts; R. Lopez-Ruiz, H. L. Mancini, X. Calbet, Phys. Lett.
    A 209, 321 (1995).
    """
    fields, back = read_field(psi)
    n = fields.shape[-1]
    if n < 2:
        raise ValueError(f"psi must have at least 2 points, got shape {fields.shape}")
    entropy = np.asarray(shannon_entropy(fields))
    return back((entropy / math.log(n) * np.asarray(disequilibrium(fields)) * n)[()])


def differential_entropy(values: Any, *, bins: int = 50, axis: int = -1) -> Any:
    r"""Differential entropy of the distribution that the values are drawn from, by a histogram.

    .. math:: h = -\sum_b p_b \ln (p_b / w)

    with the share p_b of the values in each of `bins` equal bins of width w from the least to the
    greatest value: the entropy of the density in nats, in the unit of the values. Minus infinity if
    all values are equal.

    Parameters
    ----------
    values : array or tensor (..., n), real
        For a field of the published analysis ``abs(psi)``; its own figure is this one plus
        ``ln w`` (see `published_measures`).
    bins : int
        Number of bins.
    axis : int
        The axis to take the values from.

    Returns
    -------
    float64 of the leading shape

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above.
    """
    given, back = read_real(values, "values")
    number = check_number("bins", bins, 1)
    rows = axis_last(given, axis, "values").astype(np.float64)
    entropies, _ = histogram_entropy(rows, number)
    return back(entropies)


def histogram_entropy(rows: Float64, bins: int) -> tuple[Float64, Float64]:
    """The differential entropy of (..., n) and the width of the bins, both of the leading shape."""
    flat = rows.reshape(-1, rows.shape[-1])
    entropy, width = np.full(flat.shape[0], -np.inf), np.zeros(flat.shape[0])
    for i, row in enumerate(flat):
        off = row - row.min()
        span = off.max()
        if span > 0:
            # Over [0, 1]: values that differ by rounding alone leave no room for bins of their own.
            counts, _ = np.histogram(off / span, bins=bins, range=(0, 1))
            width[i] = span / bins
            p = counts[counts > 0] / row.size
            entropy[i] = -np.sum(p * np.log(p / width[i]))
    shape = rows.shape[:-1]
    return entropy.reshape(shape)[()], width.reshape(shape)[()]


def _entropy(psi: Any, order: float, finish: Any, spectral: bool, floor: float) -> Any:
    if not isinstance(spectral, (bool, np.bool_)):
        raise TypeError(f"spectral must be True or False, got {spectral!r}")
    least = real("floor", floor)
    if not 0 <= least < 1:
        raise ValueError(f"floor must be at least 0 and less than 1, got {least}")
    fields, back = read_field(psi)

    def of_block(block: Complex128) -> Float64:
        p = _probabilities(block, spectral=bool(spectral), floor=least)
        if math.isinf(order):
            return np.asarray(finish(p.max(axis=-1)))
        if order == 1:
            logarithm = np.log(p, out=np.zeros_like(p), where=p > 0)
            return np.asarray(finish((p * logarithm).sum(axis=-1)))
        powers = np.power(p, order, out=np.zeros_like(p), where=p > 0)
        return np.asarray(finish(powers.sum(axis=-1)))

    return back(over_rows(of_block, fields))


def _shannon_of_sum(total: Float64) -> Float64:
    # 0.0 - x and not -x: the entropy of one point is 0, not -0.
    return np.asarray(0.0 - total)


def _probabilities(block: Complex128, *, spectral: bool, floor: float) -> Float64:
    """p of (rows, n), zero where it is not above the floor."""
    if spectral:
        block = coefficients_of(block)
    # Scaled by the largest: a faint field has probabilities too.
    scale = np.maximum(np.abs(block.real), np.abs(block.imag)).max(axis=-1, keepdims=True)
    if not (scale > 0).all():
        raise ValueError("psi must not vanish: a field that is zero everywhere has no entropy")
    weight = abs2(block / scale)
    p: npt.NDArray[np.float64] = weight / weight.sum(axis=-1, keepdims=True)
    p[p <= floor] = 0
    return p


def _order(order: Any) -> float:
    value = real("order", order)
    if not value >= 0:
        raise ValueError(f"order must not be negative, got {value}")
    return value
