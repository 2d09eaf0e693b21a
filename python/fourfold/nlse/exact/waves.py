"""Plane waves of i psi_t + 1/2 psi_xx + |psi|^2 psi = 0, and how fast they break up."""

from __future__ import annotations

from operator import index

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse._checks import check_grid, finite, positive
from fourfold.nlse.exact._arguments import reals, times
from fourfold.nlse.grid import Grid

Complex = NDArray[np.complex128]


def plane_wave(grid: Grid, amplitude: float = 1.0, mode: int = 0, t: ArrayLike = 0.0) -> Complex:
    r"""The plane wave.

    .. math:: \psi(x, t) = A \, e^{i (k x - (k^2 / 2 - A^2) t)}, \quad k = 2 \pi \, mode / L

    Parameters
    ----------
    grid : Grid
        Where to give its values.
    amplitude : float
        A.
    mode : int
        Number of wavelengths in the box, from ``-(n // 2)`` to ``(n - 1) // 2``.
    t : float or array
        Time.

    Returns
    -------
    complex128 array of shape ``t.shape + (n,)``

    Raises
    ------
    ValueError
        The grid is too coarse for the mode.
    """
    check_grid(grid)
    amplitude = finite("amplitude", amplitude)
    number = index(mode)
    n = grid.n
    if not -(n // 2) <= number <= (n - 1) // 2:
        raise ValueError(
            f"mode must lie from {-(n // 2)} to {(n - 1) // 2} on a grid of {n} points, "
            f"got {number}"
        )
    time = times(t)
    k = 2 * np.pi * number / grid.length
    # k x from whole numbers: exact periods stay exact.
    phase = 2 * np.pi * ((number * np.arange(n)) % n) / n - np.pi * (number % 2)
    result: Complex = amplitude * np.exp(1j * (phase - (k**2 / 2 - amplitude**2) * time))
    return result


def modulation_gain(wavenumber: ArrayLike, amplitude: float = 1.0) -> NDArray[np.float64]:
    r"""Growth rate of a small modulation of a plane wave (Benjamin-Feir instability).

    .. math:: \sigma(K) = \tfrac{1}{2} |K| \sqrt{4 A^2 - K^2} \quad (|K| < 2 A)

    and 0 for shorter waves. The modulation's amplitude grows as ``exp(sigma t)``; the rate is
    greatest, A^2, at ``K = sqrt(2) A``.

    Parameters
    ----------
    wavenumber : float or array
        K, of the modulation relative to the plane wave.
    amplitude : float
        A > 0.

    Returns
    -------
    float64 array of the shape of `wavenumber`, a scalar for a scalar

    References
    ----------
    Benjamin & Feir, J. Fluid Mech. 27 (1967) 417; Zakharov & Ostrovsky, Physica D 238 (2009) 540.
    """
    a = positive("amplitude", amplitude)
    k = np.abs(reals("wavenumber", wavenumber))
    room = np.maximum((2 * a - k) * (2 * a + k), 0.0)
    gain: NDArray[np.float64] = 0.5 * k * np.sqrt(room)
    return gain
