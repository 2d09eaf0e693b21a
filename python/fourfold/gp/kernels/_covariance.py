"""The one place of the kernels that hands addresses to C++."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from fourfold import _core
from fourfold._threads import get_num_threads

__all__ = ["HIGHEST_ORDER", "Envelope", "mixture_jet", "mixture_pull_back"]

# The sine and cosine of a larger angle lose digits; C++ refuses to compute them.
_LARGEST_ANGLE = 1.6e6


class Envelope(IntEnum):
    """As `Envelope` in csrc/gp/covariance.hpp."""

    GAUSSIAN = 0
    MATERN12 = 1
    MATERN32 = 2
    MATERN52 = 3


HIGHEST_ORDER = {
    Envelope.GAUSSIAN: 4,
    Envelope.MATERN12: 0,
    Envelope.MATERN32: 2,
    Envelope.MATERN52: 4,
}


def mixture_jet(
    envelope: Envelope,
    parameters: npt.NDArray[np.float64],
    lag: npt.NDArray[np.float64],
    orders: Sequence[int],
) -> npt.NDArray[np.float64]:
    r"""Derivatives of ``sum_q w_q g(z; a_q) cos(m_q z)``.

    ``parameters`` is C-contiguous, (3, Q): w, a, m (m in radians per unit). ``lag`` is C-contiguous. Returns
    (len(orders), \*lag.shape). Orders are distinct.
    """
    _check_angles(parameters, lag)
    out = np.empty((len(orders), *lag.shape))
    if lag.size:
        addresses = [0] * 5
        for row, order in zip(out.reshape(len(orders), -1), orders, strict=True):
            addresses[order] = row.ctypes.data
        _core.gp.covariance_jet(
            int(envelope),
            parameters.shape[1],
            parameters.ctypes.data,
            lag.ctypes.data,
            lag.size,
            addresses,
            get_num_threads(),
        )
    return out


def mixture_pull_back(
    envelope: Envelope,
    parameters: npt.NDArray[np.float64],
    lag: npt.NDArray[np.float64],
    orders: Sequence[int],
    cotangent: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Gradient, (3, Q), of ``sum(cotangent * mixture_jet(...))`` with respect to ``parameters``."""
    _check_angles(parameters, lag)
    gradient = np.zeros_like(parameters)
    if lag.size:
        addresses = [0] * 5
        for row, order in zip(cotangent.reshape(len(orders), -1), orders, strict=True):
            addresses[order] = row.ctypes.data
        _core.gp.covariance_pull_back(
            int(envelope),
            parameters.shape[1],
            parameters.ctypes.data,
            lag.ctypes.data,
            lag.size,
            addresses,
            gradient.ctypes.data,
            get_num_threads(),
        )
    return gradient


def _check_angles(parameters: npt.NDArray[np.float64], lag: npt.NDArray[np.float64]) -> None:
    largest = float(np.abs(parameters[2]).max() * np.abs(lag).max(initial=0.0))
    if largest > _LARGEST_ANGLE:
        raise ValueError(
            f"frequencies: 2 pi f |x - y| reaches {largest:.3g}, the kernels take up to {_LARGEST_ANGLE:.3g}"
        )
