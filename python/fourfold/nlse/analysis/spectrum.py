"""Where the spectrum of a field lies, and how wide it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from fourfold.nlse._checks import real
from fourfold.nlse._densities import power as power_of
from fourfold.nlse.analysis._inputs import (
    Array,
    Complex128,
    Float64,
    over_rows,
    read_field,
    read_on,
)
from fourfold.nlse.grid import Grid

__all__ = ["active_modes", "bandwidth", "mean_wavenumber"]


def mean_wavenumber(grid: Grid, psi: Any) -> Any:
    r"""The mean wavenumber :math:`\bar k = \sum_k k |c_k|^2 / \sum_k |c_k|^2`.

    It is momentum over mass: v for a soliton of velocity v.

    Parameters
    ----------
    grid : Grid
        Where the fields live.
    psi : Solution, or array or tensor (..., n)
        The fields.

    Returns
    -------
    float64 of the leading shape; NaN for a field that is zero everywhere

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above.
    """
    grid, fields, back = read_on(grid, psi)
    k = grid.k
    return back(over_rows(lambda block: moments(block, k)[0], fields))


def bandwidth(grid: Grid, psi: Any) -> Any:
    r"""The root mean square width of the spectrum in k.

    .. math:: \left( \sum_k (k - \bar k)^2 |c_k|^2 / \sum_k |c_k|^2 \right)^{1/2}

    For a soliton of amplitude A it is ``A / sqrt(3)``. The published bandwidth is in cycles per
    point: this one times ``dx / (2 pi)``.

    Parameters
    ----------
    grid : Grid
        Where the fields live.
    psi : Solution, or array or tensor (..., n)
        The fields.

    Returns
    -------
    float64 of the leading shape; NaN for a field that is zero everywhere

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above.
    """
    grid, fields, back = read_on(grid, psi)
    k = grid.k
    return back(over_rows(lambda block: moments(block, k)[1], fields))


def active_modes(psi: Any, threshold: float = 0.01) -> Any:
    """The number of modes stronger than a share of the strongest one.

    Parameters
    ----------
    psi : Solution, or array or tensor (..., n)
        The fields.
    threshold : float
        That share, of ``|c_k|^2``; 0.01 as published. Greater than it, not equal, counts.

    Returns
    -------
    int64 of the leading shape; 0 for a field that is zero everywhere

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above.
    """
    share = real("threshold", threshold)
    if not 0 <= share < 1:
        raise ValueError(f"threshold must be at least 0 and less than 1, got {share}")
    fields, back = read_field(psi)

    def of_block(block: Complex128) -> Float64:
        power = power_of(block)
        strongest = power.max(axis=-1, keepdims=True)
        return np.asarray((power > share * strongest).sum(axis=-1), dtype=np.float64)

    return back(np.asarray(over_rows(of_block, fields)).astype(np.int64)[()])


def moments(block: Array, k: Float64) -> tuple[Float64, Float64]:
    """The mean of k over the spectra of fields (rows, n), and its root mean square deviation."""
    power = power_of(block)
    total = power.sum(axis=-1, keepdims=True)
    share = np.divide(power, total, out=np.full(power.shape, np.nan), where=total > 0)
    mean = (share * k).sum(axis=-1)
    width = np.sqrt((share * (k - mean[:, None]) ** 2).sum(axis=-1))
    return mean, width
