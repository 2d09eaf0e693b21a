"""Squared moduli, in space and of the spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["abs2", "coefficients_of", "power"]


def abs2(field: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """``|field|^2`` in double precision."""
    re, im = (part.astype(np.float64, copy=False) for part in (field.real, field.imag))
    squares: npt.NDArray[np.float64] = re * re
    squares += im * im
    return squares


def coefficients_of(field: npt.NDArray[Any]) -> npt.NDArray[np.complex128]:
    """``c = fft(psi)/n`` of fields (..., n), in double precision."""
    return np.fft.fft(field.astype(np.complex128, copy=False), axis=-1, norm="forward")


def power(field: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """``|c_k|^2`` of fields (..., n), in the order of ``grid.k``."""
    return abs2(coefficients_of(field))
