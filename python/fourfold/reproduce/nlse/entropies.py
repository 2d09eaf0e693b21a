"""The entropies that the published runs report, of a probability over the points of a field."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["probabilities", "renyi", "shannon", "tsallis"]

Float64 = npt.NDArray[np.float64]

# The published code leaves out what is smaller.
_LEAST = 1e-15


def probabilities(field: npt.NDArray[Any]) -> Float64:
    """Return |field|^2 divided by its sum, without values below 1e-15."""
    weight = np.abs(field) ** 2
    p: Float64 = weight / weight.sum()
    return p[p >= _LEAST]


def shannon(p: Float64) -> float:
    """Return ``-sum p ln p``."""
    return float(-np.sum(p * np.log(p)))


def renyi(p: Float64, order: float) -> float:
    """Return ``ln(sum p^a) / (1 - a)``, for an infinite order ``-ln max p``."""
    if np.isinf(order):
        return float(-np.log(p.max()))
    return float(np.log(np.sum(p**order)) / (1 - order))


def tsallis(p: Float64, order: float) -> float:
    """Return ``(1 - sum p^q) / (q - 1)``."""
    return float((1 - np.sum(p**order)) / (order - 1))
