"""How fast the modes of a run grow: the gain of an instability, measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse._densities import coefficients_of, power
from fourfold.nlse.analysis._inputs import Array, Float64, check_number, read_field, read_on
from fourfold.nlse.grid import Grid
from fourfold.nlse.solution import Solution

__all__ = ["GrowthRates", "growth_rates"]


@dataclass(frozen=True, eq=False)
class GrowthRates:
    """Growth of the modulation at each wavenumber, float64 arrays (n,) in the order of ``grid.k``.

    Attributes
    ----------
    wavenumber : float64 array
        Relative to the background's.
    rate : float64 array
        The gain sigma: amplitudes grow as ``exp(sigma t)``. NaN where a mode is zero, and for the
        background itself.
    error : float64 array
        Standard error of the rate, from the scatter about the fit; NaN where there is none.
    frequency : float64 array
        For ``method="recurrence"``, of the oscillation of a mode that does not grow, else zero;
        NaN for ``method="fit"``.
    """

    wavenumber: Float64
    rate: Float64
    error: Float64
    frequency: Float64


def growth_rates(
    psi: Any,
    t: npt.ArrayLike | None = None,
    *,
    grid: Grid | None = None,
    between: Sequence[float] | None = None,
    method: str = "fit",
    background: int = 0,
    lag: int | None = None,
) -> GrowthRates:
    r"""Measure the gain of each mode in the linear stage of an instability.

    ``method="fit"`` fits a straight line to half the logarithm of the spectrum (its mean over the
    realisations) against time. It needs nothing but exponential growth, which modes that grow
    slowly reach late: ``sigma t`` should be well above 1 from the start of the stretch.

    ``method="recurrence"`` uses what holds of each mode from the start. Seen from the background, in
    its phase and moving with it, a weak modulation obeys :math:`\ddot y = \sigma^2 y`, so that

    .. math:: y(t + \tau) + y(t - \tau) = 2 \cosh(\sigma \tau) \, y(t),

    from which cosh(sigma tau) follows by least squares over times and realisations. It finds slow
    growth too, and the frequency of modes that do not grow. The saved times must be evenly
    spaced, and the background a plane wave.

    Closed form for the focusing equation: `fourfold.nlse.modulation_gain`.

    Parameters
    ----------
    psi : Solution, or complex array or tensor (T, ..., n)
        The run. For ``method="fit"`` a Solution may hold the statistics alone.
    t : float array (T,), optional
        The times of an array; a Solution has its own.
    grid : Grid, optional
        The grid of an array; a Solution has its own. The dispersion, by which a recurrence knows
        how the background moves, is ``k^2/2`` for an array and the problem's for a Solution.
    between : (float, float), optional
        The stretch of time to use, both ends included; all of it if left out.
    method : {"fit", "recurrence"}
        See above.
    background : int
        Number of wavelengths in the box of the plane wave that is modulated.
    lag : int, optional
        For ``method="recurrence"``: tau in saved times. If left out, as long as there is one triple
        of times; long lags measure small rates better.

    Returns
    -------
    GrowthRates

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above, or the stretch holds fewer than 2 saved times (3
        for a recurrence).

    References
    ----------
    T. B. Benjamin, J. E. Feir, J. Fluid Mech. 27, 417 (1967).
    """
    if method not in ("fit", "recurrence"):
        raise ValueError(f"method must be 'fit' or 'recurrence', got {method!r}")
    if method == "fit" and lag is not None:
        raise ValueError("lag is for method='recurrence' only")
    grid, times = _frame(psi, t, grid)
    mode = check_number("background", background, -(grid.n // 2), (grid.n - 1) // 2)
    inside = _stretch(times, between, 2 if method == "fit" else 3)
    # Relative to the background: the modes are turned so that it comes first.
    if method == "fit":
        spectrum = np.roll(_mean_spectrum(psi)[inside], -mode, axis=-1)
        rate, error = _line(times[inside], spectrum)
        frequency = np.full(grid.n, np.nan)
    else:
        fields = read_field(psi)[0][inside]
        c = coefficients_of(fields)
        c = np.roll(c.reshape(len(c), -1, grid.n), -mode, axis=-1)
        c *= np.exp(1j * _drift(psi, grid, mode) * times[inside, None, None])
        rate, error, frequency = _recurrence(times[inside], c, lag)
    rate[0] = error[0] = frequency[0] = np.nan
    return GrowthRates(grid.k.copy(), rate, error, frequency)


def _frame(psi: Any, t: Any, grid: Any) -> tuple[Grid, Float64]:
    if isinstance(psi, Solution):
        if t is not None or grid is not None:
            raise ValueError("t and grid must be left out for a Solution, which has its own")
        return psi.grid, psi.t
    if t is None or grid is None:
        raise ValueError("t and grid must be given with an array of fields")
    grid, fields, _ = read_on(grid, psi)
    times = np.asarray(t, dtype=np.float64)
    if fields.ndim < 2 or times.shape != fields.shape[:1]:
        raise ValueError(
            f"t must have the length of the first axis of psi, got {times.shape} and {fields.shape}"
        )
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ValueError("t must be finite and increase strictly")
    return grid, times


def _stretch(times: Float64, between: Sequence[float] | None, least: int) -> npt.NDArray[np.bool_]:
    if between is None:
        inside = np.ones(times.shape, dtype=bool)
    else:
        try:
            start, end = (float(time) for time in between)
        except (TypeError, ValueError):
            raise ValueError(f"between must be two times, got {between!r}") from None
        slack = 1e-9 * max(1.0, float(np.abs(times).max()))
        inside = (times >= start - slack) & (times <= end + slack)
    if inside.sum() < least:
        raise ValueError(
            f"between must hold at least {least} saved times, got {int(inside.sum())} of those "
            f"from {times[0]:g} to {times[-1]:g}"
        )
    return inside


def _drift(psi: Any, grid: Grid, mode: int) -> Float64:
    """The part of omega that is odd about the background: it moves a modulation, no more."""
    omega = psi.problem.omega if isinstance(psi, Solution) else grid.k**2 / 2
    above = np.roll(omega, -mode)
    below = above[-np.arange(grid.n) % grid.n]
    return np.asarray((above - below) / 2)


def _mean_spectrum(psi: Any) -> Float64:
    if isinstance(psi, Solution) and not psi.has_fields:
        statistics = psi.statistics
        assert statistics is not None  # without fields there are statistics
        return statistics.spectrum
    fields, _ = read_field(psi)
    spectra = []
    for at_once in fields:  # a time after the other: no second copy of the run
        spectra.append(power(at_once).reshape(-1, at_once.shape[-1]).mean(axis=0))
    return np.array(spectra)


def _line(times: Float64, spectrum: Float64) -> tuple[Float64, Float64]:
    """Slopes of half the logarithm of (T, n), and their standard errors."""
    some = (spectrum > 0).all(axis=0)
    y = 0.5 * np.log(spectrum, out=np.full(spectrum.shape, np.nan), where=spectrum > 0)
    off = times - times.mean()
    rate = off @ y / (off @ off)
    rate[~some] = np.nan
    error = np.full(rate.shape, np.nan)
    if len(times) > 2:
        rest = y - y.mean(axis=0) - np.outer(off, rate)
        error = np.sqrt((rest**2).sum(axis=0) / ((len(times) - 2) * (off @ off)))
    return rate, error


def _recurrence(times: Float64, c: Array, lag: Any) -> tuple[Float64, Float64, Float64]:
    count, realisations, _ = c.shape
    steps = np.diff(times)
    if np.ptp(steps) > 1e-6 * steps.mean():
        raise ValueError("t must be evenly spaced for method='recurrence'")
    most = (count - 1) // 2
    shift = most if lag is None else check_number("lag", lag, 1, most)
    carrier = c[..., :1]
    size = np.abs(carrier)
    if not (size > 0).all():
        raise ValueError("background must not vanish: its mode is zero at some time")
    y = c * (carrier.conj() / size)
    middle = y[shift : count - shift]
    both = y[2 * shift :] + y[: count - 2 * shift]
    weight = (np.abs(middle) ** 2).sum(axis=(0, 1))
    inner = (middle.conj() * both).real.sum(axis=(0, 1))
    half = np.divide(inner, 2 * weight, out=np.full(inner.shape, np.nan), where=weight > 0)

    tau = shift * float(steps.mean())
    grows = half > 1
    rate = np.where(np.isnan(half), np.nan, 0.0)
    rate[grows] = np.arccosh(half[grows]) / tau
    frequency = rate.copy()
    frequency[grows] = 0.0
    # Below -1 no real frequency fits: the mode is no free oscillation.
    swings = np.abs(half) <= 1
    frequency[swings] = np.arccos(half[swings]) / tau
    frequency[half < -1] = np.nan

    error = np.full(half.shape, np.nan)
    samples = middle.shape[0] * realisations
    if samples > 1:
        rest = (np.abs(both - 2 * half * middle) ** 2).sum(axis=(0, 1))
        some = grows & (weight > 0)
        of_half = np.sqrt(rest[some] / (4 * (samples - 1) * weight[some]))
        error[some] = of_half / (tau * np.sqrt(half[some] ** 2 - 1))
    return rate, error, frequency
