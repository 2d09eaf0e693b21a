"""Breathers on a unit background, of i psi_t + 1/2 psi_xx + |psi|^2 psi = 0.

One formula holds for the first three (Akhmediev, Eleonskii & Kulagin, Theor. Math. Phys. 72 (1987)
809): with w = 2 sqrt(1 - 2a) and b = sqrt(8a (1 - 2a)),

    psi = e^{it} [1 + (2 (1 - 2a) cosh bt + i b sinh bt) / (sqrt(2a) cos wx - cosh bt)].

a < 1/2 is the Akhmediev breather, a > 1/2 (w and b imaginary) the Kuznetsov-Ma breather, and the
limit a = 1/2 the Peregrine soliton. All are centred at x = 0 and highest at t = 0.
"""

from __future__ import annotations

import math
from operator import index

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse._checks import check_grid, finite
from fourfold.nlse.exact._arguments import times
from fourfold.nlse.grid import Grid

Complex = NDArray[np.complex128]

# How well the box must hold whole periods of an Akhmediev breather: looser than rounding, and
# tighter than any jump at the edge that could be seen.
_LENGTH_TOLERANCE = 1e-12


def akhmediev(grid: Grid, a: float = 0.25, t: ArrayLike = 0.0) -> Complex:
    r"""The Akhmediev breather: periodic in x, it grows out of a plane wave and returns to it.

    .. math:: \psi = e^{it} \left[1 + \frac{2 (1 - 2a) \cosh bt + i b \sinh bt}
              {\sqrt{2a} \cos wx - \cosh bt}\right], \quad
              w = 2 \sqrt{1 - 2a}, \quad b = \sqrt{8a (1 - 2a)}

    It is highest at x = 0, t = 0, with 1 + 2 sqrt(2a), and turns the phase of the background as it
    passes: from ``e^{it} (4a - 1 + ib)`` long before to ``e^{it} (4a - 1 - ib)`` long after.

    Parameters
    ----------
    grid : Grid
        Its length must be a whole number of periods 2 pi / w: see `akhmediev_length`.
    a : float
        Between 0 and 1/2, both excluded.
    t : float or array
        Time, of any sign.

    Returns
    -------
    complex128 array of shape ``t.shape + (n,)``

    Raises
    ------
    ValueError
        `a` is out of range, or ``grid.length`` holds no whole number of periods (the message names
        the nearest length that does).
    """
    check_grid(grid)
    a = _akhmediev_parameter(a)
    period = akhmediev_length(a)
    periods = max(1, round(grid.length / period))
    if abs(grid.length - periods * period) > _LENGTH_TOLERANCE * grid.length:
        raise ValueError(
            f"grid.length must be a whole number of periods {period!r} of the breather with "
            f"a = {a}; the nearest good length is {akhmediev_length(a, periods)!r} "
            f"(akhmediev_length(a={a}, periods={periods})), got {grid.length!r}"
        )
    time = times(t)
    small = 1 - 2 * a
    b = math.sqrt(8 * a * small)
    root = math.sqrt(2 * a)

    # Everything divided by cosh bt, which would overflow; and cosh bt - sqrt(2a) cos wx written as
    # a sum of positive terms, which keeps its digits where the three nearly cancel (a near 1/2).
    low = np.exp(-np.abs(b * time))
    sech = 2 * low / (1 + low**2)
    one_minus_sech = np.expm1(-np.abs(b * time)) ** 2 / (1 + low**2)
    half_sine = np.sin(np.pi * periods * _fraction(grid)) ** 2  # sin(wx/2)^2
    below = one_minus_sech + sech * (small / (1 + root) + 2 * root * half_sine)
    above = 2 * small + 1j * b * np.tanh(b * time)
    result: Complex = np.exp(1j * time) * (1 - above / below)
    return result


def akhmediev_length(a: float = 0.25, periods: int = 1) -> float:
    """Length of a box that holds a whole number of periods of `akhmediev`: 2 pi periods / w.

    Raises
    ------
    ValueError
        `a` is not between 0 and 1/2, or `periods` is less than 1.
    """
    a = _akhmediev_parameter(a)
    count = index(periods)
    if count < 1:
        raise ValueError(f"periods must be at least 1, got {periods}")
    return count * math.pi / math.sqrt(1 - 2 * a)


def peregrine(grid: Grid, t: ArrayLike = 0.0) -> Complex:
    r"""The Peregrine soliton: one crest three times the background, alone in space and time.

    .. math:: \psi = e^{it} \left[1 - \frac{4 (1 + 2it)}{1 + 4x^2 + 4t^2}\right]

    Parameters
    ----------
    grid : Grid
        Where to give its values.
    t : float or array
        Time, of any sign.

    Returns
    -------
    complex128 array of shape ``t.shape + (n,)``

    Notes
    -----
    The solution of the line, at the points of the grid. It decays as 1 / x^2 and its slope jumps
    at the edge of the box (it is off the background by 1.6e-3 there for length 50): a periodic run
    follows it near the centre only, until what starts at the edge arrives.

    References
    ----------
    Peregrine, J. Austral. Math. Soc. B 25 (1983) 16.
    """
    check_grid(grid)
    time = times(t)
    result: Complex = np.exp(1j * time) * (
        1 - 4 * (1 + 2j * time) / (1 + 4 * grid.x**2 + 4 * time**2)
    )
    return result


def kuznetsov_ma(grid: Grid, a: float = 1.0, t: ArrayLike = 0.0) -> Complex:
    r"""The Kuznetsov-Ma breather: localised in x, periodic in t.

    .. math:: \psi = e^{it} \left[1 - \frac{2 \mu \cos \beta t + i \beta \sin \beta t}
              {\sqrt{2a} \cosh \kappa x - \cos \beta t}\right], \quad
              \mu = 2a - 1, \quad \kappa = 2 \sqrt{\mu}, \quad \beta = \sqrt{8a \mu}

    It is highest at x = 0, t = 0, with 1 + 2 sqrt(2a); its period in time is 2 pi / beta.

    Parameters
    ----------
    grid : Grid
        Where to give its values.
    a : float
        Greater than 1/2.
    t : float or array
        Time, of any sign.

    Returns
    -------
    complex128 array of shape ``t.shape + (n,)``

    Raises
    ------
    ValueError
        `a` is not greater than 1/2.

    Notes
    -----
    The solution of the line, at the points of the grid. In a periodic box its slope jumps at the
    edge, by an amount of the order ``e^{-kappa L / 2}``. The background is unstable (see
    `modulation_gain`): what differs there, be it rounding, grows as e^t.
    """
    check_grid(grid)
    a = finite("a", a)
    if a <= 0.5:
        raise ValueError(
            f"a must be greater than 1/2 (below it is the Akhmediev breather, akhmediev), got {a}"
        )
    time = times(t)
    mu = 2 * a - 1
    kappa = 2 * math.sqrt(mu)
    beta = math.sqrt(8 * a * mu)
    root = math.sqrt(2 * a)

    # Divided by cosh(kappa x), and sqrt(2a) cosh(kappa x) - cos(beta t) written as a sum of
    # positive terms, as for the Akhmediev breather.
    low = np.exp(-np.abs(kappa * grid.x))
    sech = 2 * low / (1 + low**2)
    one_minus_sech = np.expm1(-np.abs(kappa * grid.x)) ** 2 / (1 + low**2)
    half_sine = np.sin(beta * time / 2) ** 2
    below = mu / (1 + root) + one_minus_sech + 2 * sech * half_sine
    above = sech * (2 * mu * np.cos(beta * time) + 1j * beta * np.sin(beta * time))
    result: Complex = np.exp(1j * time) * (1 - above / below)
    return result


def _akhmediev_parameter(a: float) -> float:
    number = finite("a", a)
    if not 0 < number < 0.5:
        raise ValueError(
            "a must lie between 0 and 1/2, both excluded (1/2 is the Peregrine soliton, peregrine; "
            f"above is the Kuznetsov-Ma breather, kuznetsov_ma), got {number}"
        )
    return number


def _fraction(grid: Grid) -> NDArray[np.float64]:
    """x / length, exact to the last digit."""
    return np.arange(grid.n) / grid.n - 0.5
