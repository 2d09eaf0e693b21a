"""Bright solitons in a field: where they are, how strong, how fast, in which phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse._checks import real
from fourfold.nlse._densities import abs2
from fourfold.nlse.analysis._inputs import Array, Complex128, Float64, read_on
from fourfold.nlse.grid import Grid

__all__ = ["Solitons", "find_solitons"]

# Newton's method on a bracket converges in a handful; what is flat to round-off takes all.
_ITERATIONS = 60


@dataclass(frozen=True, eq=False)
class Solitons:
    """The peaks of one field, by increasing position: float64 arrays (p,).

    Attributes
    ----------
    position : float64 array
        Where ``|psi|`` is greatest, in ``[-length/2, length/2)``.
    amplitude : float64 array
        ``|psi|`` there.
    velocity : float64 array
        The local wavenumber ``Im(psi_x / psi)`` there: the velocity, where the dispersion is
        ``k^2/2``.
    phase : float64 array
        ``arg psi`` there, in (-pi, pi]. For the soliton ``A sech(A (x - x0 - v t)) exp(i (v x +
        (A^2 - v^2) t / 2))`` it is ``v x0 + (A^2 + v^2) t / 2``.
    inverse_width : float64 array
        ``sqrt(-(|psi|^2)_xx / (2 |psi|^2))`` there: equal to ``A sqrt(g)`` for a soliton, so its
        ratio to the amplitude shows how far a peak is from being one.
    """

    position: Float64
    amplitude: Float64
    velocity: Float64
    phase: Float64
    inverse_width: Float64

    def __len__(self) -> int:
        return len(self.position)


def find_solitons(grid: Grid, psi: Any, *, threshold: float = 0.2) -> Solitons:
    """The peaks of one field, found between the points of the grid.

    Each local maximum of ``|psi|`` on the grid is refined on the trigonometric interpolation of the
    field, by Newton's method: its position is as exact as the field (1e-12 where the spectrum is
    resolved), not to a fraction of dx. Tails of other solitons move it by as much as they overlap.

    Parameters
    ----------
    grid : Grid
        Where the field lives.
    psi : array or tensor (n,)
        One field; `track_solitons` takes a run.
    threshold : float
        Peaks lower than this share of the highest are left out. At least 0, at most 1.

    Returns
    -------
    Solitons
        Empty for a field that is zero everywhere or of exactly constant modulus.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above.
    """
    grid, field, _ = read_on(grid, psi)
    if field.ndim != 1:
        raise ValueError(
            f"psi must be one field, of shape ({grid.n},), got {field.shape}; "
            "track_solitons takes a run"
        )
    return peaks(
        grid, field.astype(np.complex128), least=check_threshold(threshold) * _highest(field)
    )


def check_threshold(threshold: Any) -> float:
    """``threshold`` as a float between 0 and 1."""
    share = real("threshold", threshold)
    if not 0 <= share <= 1:
        raise ValueError(f"threshold must be from 0 to 1, got {share}")
    return share


def peaks(grid: Grid, field: Complex128, least: float) -> Solitons:
    """The peaks of a field (n,) that are not lower than ``least``."""
    modulus = np.abs(field)
    # A plateau of two equal points has its peak between them; it counts at the left one.
    is_peak = (modulus > np.roll(modulus, 1)) & (modulus >= np.roll(modulus, -1)) & (modulus > 0)
    # A maximum between the points may be somewhat higher than they are.
    start = np.flatnonzero(is_peak & (modulus >= 0.9 * least))
    c = np.fft.fft(field, norm="forward")
    k = grid.k
    # Positions count from the first point, as the coefficients do.
    x = _refine(c, k, np.asarray(start * grid.dx, dtype=np.float64), grid.dx)
    x = x[np.abs(_evaluate(c, k, x)[0]) >= least]
    position = (x + grid.length) % grid.length - grid.length / 2
    order = np.argsort(position)
    value, slope, bend = _evaluate(c, k, x[order])
    intensity = abs2(value)
    second = np.abs(slope) ** 2 + (value.conj() * bend).real
    return Solitons(
        position=position[order],
        amplitude=np.abs(value),
        velocity=(value.conj() * slope).imag / intensity,
        phase=np.angle(value),
        # A peak that is flat but for rounding has no curvature of either sign.
        inverse_width=np.sqrt(np.where(second < 0, -second, 0.0) / intensity),
    )


def _refine(c: Complex128, k: Float64, start: Float64, dx: float) -> Float64:
    """Zeros of the slope of |psi|^2 within dx of the starting places."""
    low, high, x = start - dx, start + dx, start.copy()
    left = np.arange(len(x))  # those that still move
    for _ in range(_ITERATIONS):
        at = x[left]
        value, slope, bend = _evaluate(c, k, at)
        first = (value.conj() * slope).real
        second = np.abs(slope) ** 2 + (value.conj() * bend).real
        rising = first > 0
        low[left], high[left] = np.where(rising, at, low[left]), np.where(rising, high[left], at)
        to = at + np.divide(-first, second, out=np.zeros_like(first), where=second < 0)
        # What would leave the bracket, or has no maximum near, halves it.
        outside = ~((to > low[left]) & (to < high[left])) & (first != 0)
        x[left] = np.where(outside, (low[left] + high[left]) / 2, to)
        # Newton's method doubles the digits: what moved so little has all of them.
        left = left[np.abs(x[left] - at) > 1e-9 * dx]
        if left.size == 0:
            break
    return x


def _evaluate(c: Complex128, k: Float64, x: Float64) -> tuple[Complex128, Complex128, Complex128]:
    """The trigonometric interpolation and its first two derivatives.

    Places count from the first point of the grid.
    """
    waves = np.exp(1j * np.outer(x, k)) * c
    # Sums, not products of matrices: those would wake the threads of the BLAS for so little.
    value, slope, bend = (waves.sum(-1), (1j * k * waves).sum(-1), (-(k**2) * waves).sum(-1))
    return value, slope, bend


def _highest(field: Array) -> float:
    return float(np.abs(field).max())


def wrapped(distance: npt.NDArray[np.float64], length: float) -> Float64:
    """A distance on the circle, from -length/2 to length/2."""
    return np.asarray(distance - length * np.round(distance / length))
