"""Bright solitons of i psi_t + 1/2 psi_xx + |psi|^2 psi = 0, one and two, on a periodic grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse._checks import check_grid, finite, positive
from fourfold.nlse.exact._arguments import Pair, pair, times
from fourfold.nlse.grid import Grid

Complex = NDArray[np.complex128]
Float = NDArray[np.float64]


def soliton(
    grid: Grid,
    amplitude: float = 1.0,
    center: float = 0.0,
    velocity: float = 0.0,
    phase: float = 0.0,
    t: ArrayLike = 0.0,
) -> Complex:
    r"""The bright soliton, exact on the line, as a periodic field.

    On the line the soliton of the focusing equation is

    .. math:: \psi(x, t) = A \operatorname{sech}(A (x - x_0 - v t)) \,
              e^{i (v x + (A^2 - v^2) t / 2 + \varphi)},

    of mass 2 A, momentum 2 A v and energy A v^2 - A^3 / 3.

    Parameters
    ----------
    grid : Grid
        Where to give its values.
    amplitude : float
        A > 0, greatest modulus; 1 / A is the width.
    center : float
        x_0, position at t = 0, anywhere on the line.
    velocity : float
        v; also the local wavenumber.
    phase : float
        Phase phi added everywhere, in radians.
    t : float or array
        Time, of shape ``t.shape``.

    Returns
    -------
    complex128 array of shape ``t.shape + (n,)``

    Raises
    ------
    ValueError
        ``amplitude * grid.length < 1``: the soliton is wider than the box.

    Notes
    -----
    What is returned is the sum over the periodic images, ``sum_m psi(x + m L, t)``. A soliton
    that leaves the box on one side comes back on the other, with the factor ``e^{i v m L}`` that a
    periodic run gives it; v need not be a multiple of 2 pi / L. Each image is exact; side by side
    they miss an exact periodic solution by their overlap, of the order ``A e^{-A L / 2}`` (1e-10
    for A L = 50, below rounding for A L >= 75), and so does the line formula miss the sum.

    References
    ----------
    Zakharov & Shabat, Sov. Phys. JETP 34 (1972) 62.
    """
    check_grid(grid)
    amplitude = _amplitude("amplitude", amplitude, grid)
    center = finite("center", center)
    velocity = finite("velocity", velocity)
    phase = finite("phase", phase)
    time = times(t)

    middle = center + velocity * time
    constant = phase + (amplitude**2 - velocity**2) * time / 2
    psi = np.zeros((*time.shape[:-1], grid.n), dtype=np.complex128)
    for x in _images(grid, middle, amplitude):
        envelope = amplitude * _sech(amplitude * (x - middle))
        psi += envelope * np.exp(1j * (velocity * x + constant))
    return psi


def two_soliton(
    grid: Grid,
    amplitudes: Pair = (2.0, 1.5),
    centers: Pair = (-10.0, 10.0),
    velocities: Pair = (2.0, -2.0),
    phases: Pair = (0.0, 0.0),
    t: ArrayLike = 0.0,
) -> Complex:
    r"""Two bright solitons and their collisions, exact on the line, as a periodic field.

    Where the two stand well apart at t = 0 (by more than D / A, below), the field is there the sum
    of the two solitons with these values, in the sense of `soliton`. Where they overlap at t = 0,
    the values are those from before the collision if the faster one is to the left (or at the same
    place), those from after it if it is to the right. When they pass through each other, the
    faster one jumps forward by D / A, the other back by D / A, with

    .. math:: D = \ln \frac{(A_1 + A_2)^2 + (v_1 - v_2)^2}{(A_1 - A_2)^2 + (v_1 - v_2)^2},

    and their phases turn. The defaults are the published collision.

    Parameters
    ----------
    grid : Grid
        Where to give its values.
    amplitudes, centers, velocities, phases : two floats each
        As in `soliton`.
    t : float or array
        Time, of any sign.

    Returns
    -------
    complex128 array of shape ``t.shape + (n,)``

    Raises
    ------
    ValueError
        Both amplitudes and both velocities are equal (there is no such solution), or a soliton or
        the jump at a collision does not fit into the box.

    Notes
    -----
    The two-soliton solution of the line,

    .. math::
        F &= 1 + e^{2 r_1} + |Q|^{-2} e^{2 r_2} + e^{2 r_1 + 2 r_2} + 2 \operatorname{Re}
             \frac{4 A_1 A_2 E_1 E_2^*}{(p_1 + p_2^*)^2 Q^*},\\
        F \psi &= 2 A_1 E_1 (1 + \tilde Q |Q|^{-2} e^{2 r_2}) + 2 A_2 E_2 (Q^{-1} + e^{2 r_1}),

    with :math:`p = A + i v`, :math:`r = A (x - x_0 - v t)`,
    :math:`E = e^{r + i (v x + (A^2 - v^2) t / 2 + \varphi)}`,
    :math:`Q = (p_1 - p_2)^2 / (p_1^* + p_2)^2`,
    :math:`\tilde Q = (p_1 - p_2)^2 / (p_1 + p_2^*)^2`, number 1 to the left,
    is summed over the periodic images. In a periodic box the two meet again and again, once every
    ``(L - D/A_1 - D/A_2) / |v_1 - v_2|``; at each time the collision nearest in time is taken in
    full, and the other neighbours as images. What is missed is the overlap of solitons half a box
    apart, of the order ``A e^{-A L / 2}`` for the smaller A, as in `soliton`, with no limit in t.

    References
    ----------
    Zakharov & Shabat, Sov. Phys. JETP 34 (1972) 62; Hirota, J. Math. Phys. 14 (1973) 805.
    """
    check_grid(grid)
    a = pair("amplitudes", amplitudes)
    x0 = pair("centers", centers)
    v = pair("velocities", velocities)
    phi = pair("phases", phases)
    waves = [_Wave(_amplitude(f"amplitudes[{i}]", a[i], grid), x0[i], v[i], phi[i]) for i in (0, 1)]
    if waves[0].p == waves[1].p:
        raise ValueError(
            "amplitudes and velocities must not both be equal: two such solitons have no exact "
            f"solution, got amplitudes={a}, velocities={v}"
        )
    time = times(t)
    psi = np.empty((*time.shape[:-1], grid.n), dtype=np.complex128)
    collision = _nearest_collision(grid, waves, time[..., 0])
    for number in np.unique(collision):
        left, right = _before_collision(grid, waves, int(number))
        now = collision == number
        some = time[now]
        middle = (left.center + right.center + (left.velocity + right.velocity) * some) / 2
        total = np.zeros((some.shape[0], grid.n), dtype=np.complex128)
        for x in _images(grid, middle, min(a)):
            total += _line_two_soliton(x, some, left, right)
        psi[now] = total
    return psi


@dataclass(frozen=True)
class _Wave:
    amplitude: float
    center: float
    velocity: float
    phase: float

    @property
    def p(self) -> complex:
        return complex(self.amplitude, self.velocity)

    def moved(self, distance: float, turn: float) -> _Wave:
        return _Wave(self.amplitude, self.center + distance, self.velocity, self.phase + turn)

    def image(self, period: float) -> _Wave:
        """The same soliton as seen one or more periods to the right."""
        return self.moved(period, -self.velocity * period)


def _line_two_soliton(x: Float, t: Float, left: _Wave, right: _Wave) -> Complex:
    p1, p2 = left.p, right.p
    q = (p1 - p2) ** 2 / (p1.conjugate() + p2) ** 2
    q_other = (p1 - p2) ** 2 / (p1 + p2.conjugate()) ** 2
    size = abs(q) ** 2
    cross = 4 * p1.real * p2.real / ((p1 + p2.conjugate()) ** 2 * q.conjugate())

    r1 = left.amplitude * (x - left.center - left.velocity * t)
    r2 = right.amplitude * (x - right.center - right.velocity * t)
    turn1, turn2 = (
        np.exp(1j * (w.velocity * x + (w.amplitude**2 - w.velocity**2) * t / 2 + w.phase))
        for w in (left, right)
    )
    # Both sums divided by exp(2 max(r1, 0) + 2 max(r2, 0)), so that nothing overflows: of
    # 1 and exp(2r) there remain `one` and `two`, of exp(r) there remains `half`.
    one1, half1, two1 = _shifted(r1)
    one2, half2, two2 = _shifted(r2)
    e1, e2 = half1 * turn1, half2 * turn2
    above = 2 * p1.real * e1 * (one2 + (q_other / size) * two2)
    above += 2 * p2.real * e2 * (one1 / q + two1)
    below = one1 * one2 + two1 * one2 + one1 * two2 / size + two1 * two2
    below += 2 * (cross * e1 * e2.conj()).real
    result: Complex = above / below
    return result


def _shifted(r: Float) -> tuple[Float, Float, Float]:
    """1, exp(r) and exp(2r), all divided by the larger of 1 and exp(2r)."""
    low = np.exp(-np.abs(r))
    return np.where(r > 0, low**2, 1.0), low, np.where(r > 0, 1.0, low**2)


def _nearest_collision(grid: Grid, waves: list[_Wave], t: Float) -> NDArray[np.int64]:
    """Which collision is nearest in time to t: 0 is the first one after t = 0."""
    fast, slow, gap, shift = _order(grid, waves)
    if fast.velocity == slow.velocity:
        return np.zeros(t.shape, dtype=np.int64)
    period = grid.length - shift * (1 / fast.amplitude + 1 / slow.amplitude)
    if period <= 0:
        raise ValueError(
            f"grid.length must exceed {grid.length - period:.6g}, by which these solitons jump "
            f"when they collide, got {grid.length}"
        )
    # The solitons are D/A nearer to their meeting after a collision than without it: on average
    # over before and after, half of it.
    meeting = gap - (grid.length - period) / 2
    closing = fast.velocity - slow.velocity
    return np.rint((closing * t - meeting) / period).astype(np.int64)


def _before_collision(grid: Grid, waves: list[_Wave], number: int) -> tuple[_Wave, _Wave]:
    """The solitons (left, right) that take part in a collision, as they are before it."""
    fast, slow, _, shift = _order(grid, waves)
    if fast.velocity == slow.velocity:
        return fast, slow
    p1, p2 = fast.p, slow.p
    q = (p1 - p2) ** 2 / (p1.conjugate() + p2) ** 2
    q_other = (p1 - p2) ** 2 / (p1 + p2.conjugate()) ** 2
    fast_turn = math.atan2(q_other.imag, q_other.real)
    slow_turn = -math.atan2(q.imag, q.real)
    return (
        fast.moved(number * shift / fast.amplitude, number * fast_turn),
        slow.image(number * grid.length).moved(
            -number * shift / slow.amplitude, number * slow_turn
        ),
    )


def _order(grid: Grid, waves: list[_Wave]) -> tuple[_Wave, _Wave, float, float]:
    """The faster soliton; the image of the slower one that it meets next; their gap at t = 0; D.

    With equal velocities, which never meet: the two in the order in which they are nearest.
    """
    fast, slow = sorted(waves, key=lambda wave: -wave.velocity)  # stable: first come first
    gap = (slow.center - fast.center) % grid.length
    if fast.velocity == slow.velocity and gap > grid.length / 2:
        fast, slow, gap = slow, fast, grid.length - gap
    periods = round((gap - (slow.center - fast.center)) / grid.length)
    p1, p2 = fast.p, slow.p
    shift = 2 * math.log(abs(p1 + p2.conjugate()) / abs(p1 - p2))
    return fast, slow.image(periods * grid.length), gap, shift


def _images(grid: Grid, middle: Float, amplitude: float) -> list[Float]:
    """x + m L for every image that matters of what stands at `middle`, shape (..., n) each."""
    nearest = np.rint(middle / grid.length)
    reach = math.ceil(40 / (amplitude * grid.length)) + 1
    return [grid.x + (nearest + m) * grid.length for m in range(-reach, reach + 1)]


def _sech(y: Float) -> Float:
    low = np.exp(-np.abs(y))
    result: Float = 2 * low / (1 + low**2)
    return result


def _amplitude(name: str, value: float, grid: Grid) -> float:
    amplitude = positive(name, value)
    if amplitude * grid.length < 1:
        raise ValueError(
            f"{name} must be at least 1 / grid.length = {1 / grid.length:.6g} (the soliton is "
            f"wider than the box), got {amplitude}"
        )
    return amplitude
