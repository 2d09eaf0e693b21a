"""Dark solitons of the defocusing equation i psi_t + 1/2 psi_xx - |psi|^2 psi = 0.

They solve `fourfold.nlse.Problem(grid, nonlinearity=-1.0)`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse._checks import check_grid, finite, positive
from fourfold.nlse.exact._arguments import times
from fourfold.nlse.grid import Grid

Complex = NDArray[np.complex128]


def dark_soliton(
    grid: Grid,
    background: float = 1.0,
    velocity: float = 0.0,
    center: float = 0.0,
    t: ArrayLike = 0.0,
) -> Complex:
    r"""One dark (grey) soliton, at the points of the grid.

    .. math:: \psi(x, t) = e^{-i q^2 t} [B \tanh(B (x - x_0 - v t)) + i v], \quad
              B^2 + v^2 = q^2

    of the equation with ``nonlinearity=-1``. At rest (v = 0) the field vanishes at its centre.

    Parameters
    ----------
    grid : Grid
        Where to give its values.
    background : float
        q > 0, the modulus far away.
    velocity : float
        v, slower than the background's sound: \|v\| < q.
    center : float
        x_0, position at t = 0.
    t : float or array
        Time.

    Returns
    -------
    complex128 array of shape ``t.shape + (n,)``

    Raises
    ------
    ValueError
        `background` is not positive, or \|velocity\| not smaller than `background`.

    Notes
    -----
    The field differs in phase on the two sides and therefore jumps at the edge of the box: it is
    no initial state for a periodic run. Take `dark_soliton_pair` or `dark_soliton_collision`.

    References
    ----------
    Tsuzuki, J. Low Temp. Phys. 4 (1971) 441; Zakharov & Shabat, Sov. Phys. JETP 37 (1973) 823.
    """
    check_grid(grid)
    background, velocity, b = _dark_parameters(background, velocity)
    center = finite("center", center)
    time = times(t)
    profile = b * np.tanh(b * (grid.x - center - velocity * time)) + 1j * velocity
    result: Complex = np.exp(-1j * background**2 * time) * profile
    return result


def dark_soliton_pair(
    grid: Grid,
    background: float = 1.0,
    velocity: float = 0.0,
    separation: float | None = None,
    center: float = 0.0,
) -> Complex:
    r"""Two dark solitons that fit a periodic box, as an initial state for ``nonlinearity=-1``.

    The product of a soliton at ``center - separation/2`` with velocity v and its mirror image at
    ``center + separation/2`` with velocity -v,

    .. math:: q \frac{[B \tanh B y_1 + i v] [-B \tanh B y_2 + i v]}{-q^2}, \quad
              y_{1,2} = x - x_0 \pm d/2, \quad B^2 + v^2 = q^2,

    and of all their periodic images, so that it is smooth across the edge. Outside the pair it
    is q; between the two it is -q at rest, and turned in phase accordingly for other v.

    Parameters
    ----------
    grid : Grid
        Where to give its values.
    background : float
        q > 0, the modulus far away.
    velocity : float
        v of the left one, \|v\| < q. Positive: the two approach each other.
    separation : float, optional
        d, distance of the two, between 0 and ``grid.length``; half of the length if left out.
    center : float
        x_0, middle of the two.

    Returns
    -------
    complex128 array of shape ``(n,)``

    Raises
    ------
    ValueError
        An argument is out of range.

    Notes
    -----
    Each soliton is exact alone; the product misses an exact state by their overlap, of the order
    ``q e^{-2 B d}`` with d the smaller of the gaps ``separation`` and
    ``grid.length - separation``. As long as both gaps stay large, the solitons move at v and -v
    and the background turns as ``e^{-i q^2 t}``. At v = 0 they repel with an acceleration of the
    order ``e^{-2 B d}``.
    """
    check_grid(grid)
    background, velocity, b = _dark_parameters(background, velocity)
    center = finite("center", center)
    length = grid.length
    gap = length / 2 if separation is None else finite("separation", separation)
    if not 0 < gap < length:
        raise ValueError(
            f"separation must lie between 0 and grid.length = {length}, both excluded, got {gap}"
        )
    y = grid.x - center
    y = y - length * np.rint(y / length)
    psi = np.full(grid.n, background, dtype=np.complex128)
    # tanh is 1 to the last digit from 20 on; a pair is 1 everywhere outside of itself.
    reach = math.ceil(20 / (b * length)) + 1
    for m in range(-reach, reach + 1):
        first = b * np.tanh(b * (y + m * length + gap / 2)) + 1j * velocity
        second = -b * np.tanh(b * (y + m * length - gap / 2)) + 1j * velocity
        psi *= first * second / -(background**2)
    return psi


def dark_soliton_collision(
    grid: Grid, background: float = 1.0, velocity: float = 0.5, t: ArrayLike = 0.0
) -> Complex:
    r"""Two equal dark solitons that meet at x = 0, t = 0, exact on the line.

    .. math:: \psi = q \, e^{-i q^2 t} \frac{(q^2 - 2v^2) \cosh T - q v \cosh Z - 2 i v B \sinh T}
              {q (q \cosh T + v \cosh Z)}, \quad T = 2 v B t, \; Z = 2 B x, \; B^2 + v^2 = q^2

    of the equation with ``nonlinearity=-1``. Before and after, the two stand at
    ``x = +-(v |t| + ln(q / v) / (2 B))``: they repel, and each jumps forward by ``ln(q / v) / B``.

    Parameters
    ----------
    grid : Grid
        Where to give its values.
    background : float
        q > 0, the modulus far away.
    velocity : float
        Speed v of each, 0 < v < q.
    t : float or array
        Time, of any sign: negative before they meet.

    Returns
    -------
    complex128 array of shape ``t.shape + (n,)``

    Raises
    ------
    ValueError
        `background` is not positive, or `velocity` not between 0 and `background`.

    Notes
    -----
    The two sides have the same phase, so the field fits a periodic box as long as the solitons
    keep away from its edge: the slope jumps there by about ``e^{-2 B d}``, d the distance from the
    edge.

    References
    ----------
    Akhmediev & Ankiewicz, Phys. Rev. A 47 (1993) 3213.
    """
    check_grid(grid)
    q, v, b = _dark_parameters(background, velocity)
    if v <= 0:
        raise ValueError(f"velocity must be positive, got {v}")
    time = times(t)
    # cosh and sinh divided by the largest exponential, so that nothing overflows.
    grow = np.abs(2 * v * b * time)
    wide = np.abs(2 * b * grid.x)
    largest = np.maximum(grow, wide)
    cosh_t = np.exp(grow - largest) * (1 + np.exp(-2 * grow)) / 2
    sinh_t = -np.sign(time) * np.exp(grow - largest) * np.expm1(-2 * grow) / 2
    cosh_z = np.exp(wide - largest) * (1 + np.exp(-2 * wide)) / 2
    above = (q**2 - 2 * v**2) * cosh_t - q * v * cosh_z - 2j * v * b * sinh_t
    result: Complex = np.exp(-1j * q**2 * time) * above / (q * cosh_t + v * cosh_z)
    return result


def _dark_parameters(background: float, velocity: float) -> tuple[float, float, float]:
    q = positive("background", background)
    v = finite("velocity", velocity)
    if abs(v) >= q:
        raise ValueError(f"velocity must be smaller than background = {q} in modulus, got {v}")
    return q, v, math.sqrt((q - v) * (q + v))
