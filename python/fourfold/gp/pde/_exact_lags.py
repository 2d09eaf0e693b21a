"""Derivatives of a kernel at the lags of a uniform grid, with the phases of its waves right to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels import Kernel, SpectralMixture

__all__ = ["jets_on_grid"]

Array = npt.NDArray[np.float64]


def jets_on_grid(
    kernel: Kernel, low: float, high: float, count: int, orders: Sequence[int]
) -> Array:
    """``d^r k/dz^r`` at the lags ``i (high - low)/(count - 1)``, (len(orders), count).

    In float64 the phase ``2 pi f z`` of a wave with hundreds of periods is wrong by some hundred roundings, differently at
    each lag; the matrix with those lags is positive definite to that accuracy only. A `SpectralMixture` is therefore
    evaluated in the platform's long double (64 bits of mantissa on x86-64) and rounded once.
    """
    if not isinstance(kernel, SpectralMixture):
        lags = np.arange(count) * ((high - low) / (count - 1))
        return kernel.jet(lags, orders)
    long = np.longdouble
    z = (np.arange(count) * ((long(high) - long(low)) / (count - 1)))[:, None]
    a = 0.5 / kernel.lengthscales.astype(long) ** 2
    # The constant of NumPy is that of float64.
    m = 8 * np.arctan(long(1)) * kernel.frequencies.astype(long)
    g = kernel.weights.astype(long) * np.exp(-a * z**2)
    b = 2 * a
    envelope = [
        g,
        -b * z * g,
        (b**2 * z**2 - b) * g,
        (3 * b**2 * z - b**3 * z**3) * g,
        (b**4 * z**4 - 6 * b**3 * z**2 + 3 * b**2) * g,
    ]
    cosine, sine = np.cos(m * z), np.sin(m * z)
    wave = [cosine, -sine, -cosine, sine]
    found = np.empty((len(orders), count))
    for row, order in zip(found, orders, strict=True):
        total = np.zeros(g.shape, dtype=long)
        for q in range(order + 1):
            total += comb(order, q) * envelope[order - q] * (m**q * wave[q % 4])
        row[:] = total.sum(axis=1)
    return found
