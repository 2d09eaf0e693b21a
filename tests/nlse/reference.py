"""A slow integrator to trust: numpy.fft and SciPy's DOP853 at the tightest tolerance.

It shares nothing with the package: not the FFT, no splitting, no grid class. The equation is that
of `fourfold.nlse.Problem`,

    i psi_t = omega(-i d/dx) psi - g |psi|^2 psi + V psi - i gamma psi,

solved for the Fourier coefficients in the interaction picture, a_m(t) = exp(i omega_m t) c_m(t),
so that only what is not diagonal in k is left to the Runge-Kutta method. Good to about 1e-12; meant
for n <= 512 and short times (the steps follow the fastest phase, omega at the largest k).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

Complex = NDArray[np.complex128]


def wavenumbers(n: int, length: float) -> NDArray[np.float64]:
    """2 pi m / length with m = 0, 1, ..., -2, -1; for even n the middle one is -n/2."""
    m = np.arange(n)
    m[m >= (n + 1) // 2] -= n
    return 2 * np.pi / length * m.astype(np.float64)


def integrate(
    psi0: ArrayLike,
    t: ArrayLike,
    *,
    length: float,
    dispersion: Mapping[int, float] | Callable[[NDArray[np.float64]], ArrayLike] | None = None,
    g: float | Callable[[float], ArrayLike] = 1.0,
    potential: ArrayLike | Callable[[float], ArrayLike] = 0.0,
    loss: ArrayLike | Callable[[float], ArrayLike] = 0.0,
    rtol: float = 1e-13,
) -> Complex:
    """Integrate one field from t[0] and return it at all t, shape (len(t), n).

    dispersion is {order: coefficient} or omega as a function of k (default k^2/2). g, potential and
    loss may be functions of time alone, which return their values on the grid.
    t may run backwards.
    """
    psi0 = np.asarray(psi0, dtype=np.complex128)
    times = np.asarray(t, dtype=np.float64)
    (n,) = psi0.shape
    k = wavenumbers(n, length)
    if dispersion is None:
        omega = 0.5 * k**2
    elif callable(dispersion):
        omega = np.asarray(dispersion(k), dtype=np.float64)
    else:
        omega = np.zeros(n)
        for order, c in dispersion.items():
            omega = omega + c * k**order

    def now(value: Any, s: float) -> NDArray[np.float64]:
        return np.asarray(value(times[0] + s) if callable(value) else value, dtype=np.float64)

    def rhs(s: float, a: Complex) -> Complex:
        v, gamma, strength = now(potential, s), now(loss, s), now(g, s)
        turn = np.exp(-1j * omega * s)
        psi = np.fft.ifft(turn * a)
        force = 1j * (strength * (psi.real**2 + psi.imag**2) - v) * psi - gamma * psi
        result: Complex = turn.conj() * np.fft.fft(force)
        return result

    # solve_ivp interpolates at t_eval with less than its full accuracy: integrate piece by piece.
    # atol: rounding in the small coefficients is not worth resolving.
    states = [psi0]
    a: Complex = np.fft.fft(psi0)
    atol = rtol * np.abs(a).max()
    for start, end in pairwise(times):
        span = (start - times[0], end - times[0])
        piece: Any = solve_ivp(rhs, span, a, method="DOP853", rtol=rtol, atol=atol)
        if not piece.success:
            raise RuntimeError(piece.message)
        a = piece.y[:, -1]
        states.append(np.fft.ifft(np.exp(-1j * omega * (end - times[0])) * a))
    return np.array(states)
