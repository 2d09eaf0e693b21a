"""The periodic grid of points on which the fields of `fourfold.nlse` live."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from operator import index

import numpy as np
from numpy.typing import NDArray

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid:
    """A periodic grid of `n` points on an interval of a given length, centred on zero.

    The points are ``x[j] = -length/2 + j * dx``; the point ``+length/2`` is the same as
    ``-length/2`` and is left out.

    Parameters
    ----------
    n : int
        Number of points, at least 2, with no prime factor but 2, 3 and 5.
    length : float
        Length of the period, in the units of x.

    Raises
    ------
    TypeError
        `n` is not an integer or `length` not a real number.
    ValueError
        `n` is smaller than 2 or has another prime factor (the message names the next good `n`),
        or `length` is not positive and finite.

    Examples
    --------
    >>> grid = Grid(n=8, length=4.0)
    >>> grid.dx
    0.5
    >>> grid.x
    array([-2. , -1.5, -1. , -0.5,  0. ,  0.5,  1. ,  1.5])
    """

    n: int
    length: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", _good_n(self.n))
        object.__setattr__(self, "length", _good_length(self.length))

    @property
    def dx(self) -> float:
        """Distance between neighbouring points, ``length / n``."""
        return self.length / self.n

    @cached_property
    def x(self) -> NDArray[np.float64]:
        """The points in increasing order: float64, shape ``(n,)``, read-only."""
        x = np.linspace(-self.length / 2, self.length / 2, self.n, endpoint=False)
        x.flags.writeable = False
        return x

    @cached_property
    def k(self) -> NDArray[np.float64]:
        """The angular wavenumbers in the order of `numpy.fft.fft`: float64, ``(n,)``, read-only.

        ``k = 2 pi numpy.fft.fftfreq(n, dx)``. For even `n` the highest mode, at ``k[n // 2]``,
        stands for both signs; it counts as negative, ``-pi / dx``, here and everywhere.
        """
        k = (2 * np.pi * np.fft.fftfreq(self.n, self.dx)).astype(np.float64, copy=False)
        k.flags.writeable = False
        return k


def _good_n(n: object) -> int:
    if isinstance(n, (bool, np.bool_)):
        raise TypeError(f"n must be an integer, got {n!r}")
    try:
        value = index(n)  # type: ignore[arg-type]  # what has no __index__ is refused below
    except TypeError:
        raise TypeError(f"n must be an integer, got {n!r} of type {type(n).__name__}") from None
    if value < 2:
        raise ValueError(f"n must be at least 2, got {value}")
    if not _has_only_factors_2_3_5(value):
        good = value + 1
        while not _has_only_factors_2_3_5(good):
            good += 1
        raise ValueError(
            f"n must have no prime factor but 2, 3 and 5, got {value}; the next good n is {good}"
        )
    return value


def _good_length(length: object) -> float:
    if isinstance(length, (bool, np.bool_)) or not isinstance(length, Real):
        raise TypeError(
            f"length must be a real number, got {length!r} of type {type(length).__name__}"
        )
    try:
        value = float(length)
    except OverflowError:
        value = math.inf
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"length must be positive and finite, got {value}")
    return value


def _has_only_factors_2_3_5(n: int) -> bool:
    for factor in (2, 3, 5):
        while n % factor == 0:
            n //= factor
    return n == 1
