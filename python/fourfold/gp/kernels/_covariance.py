"""The one place of the kernels that hands addresses to C++."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from fourfold import _core
from fourfold._threads import get_num_threads

__all__ = [
    "HIGHEST_ORDER",
    "PRODUCT",
    "SUM",
    "Form",
    "Program",
    "check_phases",
    "program_jet",
    "program_pull_back",
]

Array = npt.NDArray[np.float64]

# The sine and cosine of a larger angle lose digits; C++ refuses to compute them.
_LARGEST_ANGLE = 1.6e6
# Of a lag, above which none of the digits of its phase is known.
_MOST_PERIODS = 1e15


class Form(IntEnum):
    """As `Form` in csrc/gp/covariance.hpp."""

    GAUSSIAN = 0
    MATERN12 = 1
    MATERN32 = 2
    MATERN52 = 3
    RATIONAL_QUADRATIC = 4
    PERIODIC = 5


# Steps of a `Program` that are no form, as in csrc/bindings/gp_kernels.cpp.
SUM, PRODUCT = -1, -2

# The highest derivative that exists at lag 0; of the smooth ones: that is offered.
HIGHEST_ORDER = {
    Form.GAUSSIAN: 4,
    Form.MATERN12: 0,
    Form.MATERN32: 2,
    Form.MATERN52: 4,
    Form.RATIONAL_QUADRATIC: 4,
    Form.PERIODIC: 4,
}


@dataclass(frozen=True)
class Program:
    """A kernel in postfix order, for one pass over the lags.

    Attributes
    ----------
    steps : tuple of int
        A `Form` for each leaf; `SUM` and `PRODUCT` take the two kernels before them.
    leaves : tuple of ndarray, (3, Q) each
        w, a, m of ``sum_q w_q f(z; a_q, m_q)``, C-contiguous.
    """

    steps: tuple[int, ...]
    leaves: tuple[Array, ...]


def program_jet(program: Program, lag: Array, orders: Sequence[int]) -> Array:
    r"""Derivatives at lags.

    ``lag`` is C-contiguous. Returns (len(orders), \*lag.shape). Orders are distinct.
    """
    check_phases(program, float(np.abs(lag).max(initial=0.0)))
    out = np.empty((len(orders), *lag.shape))
    if lag.size:
        parameters = _packed(program)
        _core.gp.covariance_jet(
            list(program.steps),
            [leaf.shape[1] for leaf in program.leaves],
            parameters.ctypes.data,
            lag.ctypes.data,
            lag.size,
            _addresses(out, orders),
            get_num_threads(),
        )
    return out


def program_pull_back(
    program: Program, lag: Array, orders: Sequence[int], cotangent: Array
) -> list[Array]:
    """Gradients, (3, Q) for each leaf, of ``sum(cotangent * program_jet(...))`` with respect to its parameters."""
    check_phases(program, float(np.abs(lag).max(initial=0.0)))
    parameters = _packed(program)
    gradient = np.zeros_like(parameters)
    if lag.size:
        _core.gp.covariance_pull_back(
            list(program.steps),
            [leaf.shape[1] for leaf in program.leaves],
            parameters.ctypes.data,
            lag.ctypes.data,
            lag.size,
            _addresses(cotangent, orders),
            gradient.ctypes.data,
            get_num_threads(),
        )
    ends = np.cumsum([leaf.size for leaf in program.leaves])[:-1]
    pieces = np.split(gradient, ends)
    return [piece.reshape(3, -1) for piece in pieces]


def _packed(program: Program) -> Array:
    return np.concatenate([leaf.reshape(-1) for leaf in program.leaves])


def _addresses(rows: Array, orders: Sequence[int]) -> list[int]:
    addresses = [0] * 5
    for row, order in zip(rows.reshape(len(orders), -1), orders, strict=True):
        addresses[order] = row.ctypes.data
    return addresses


def check_phases(program: Program, largest_lag: float) -> None:
    """Refuse lags of whose phase no digit is left, or that the sine does not take."""
    forms = [Form(step) for step in program.steps if step >= 0]
    for form, leaf in zip(forms, program.leaves, strict=True):
        if form is Form.PERIODIC:
            periods = largest_lag / float(leaf[2].min())
            if periods > _MOST_PERIODS:
                raise ValueError(
                    f"period: |x - y| reaches {periods:.3g} periods, of whose phase no digit is left beyond "
                    f"{_MOST_PERIODS:.0e}"
                )
        elif form is not Form.RATIONAL_QUADRATIC:
            largest = float(np.abs(leaf[2]).max()) * largest_lag
            if largest > _LARGEST_ANGLE:
                raise ValueError(
                    f"frequencies: 2 pi f |x - y| reaches {largest:.3g}, the kernels take up to {_LARGEST_ANGLE:.3g}"
                )
