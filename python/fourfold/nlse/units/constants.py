"""Constants of nature (CODATA 2022), units of the fibre's trade, and what it writes in other ways."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

__all__ = [
    "ATOMIC_MASS",
    "BOHR_RADIUS",
    "HBAR",
    "PER_W_KM",
    "PS2_PER_KM",
    "SPEED_OF_LIGHT",
    "beta2_from_dispersion_parameter",
    "dispersion_parameter_from_beta2",
    "loss_from_decibels",
    "loss_to_decibels",
    "positive",
    "real",
]

SPEED_OF_LIGHT = 299_792_458.0
"""c in m/s, exact."""

HBAR = 6.626_070_15e-34 / (2 * math.pi)
"""Planck's constant over 2 pi in J s, exact but for rounding."""

ATOMIC_MASS = 1.660_539_068_92e-27
"""The atomic mass unit in kg."""

BOHR_RADIUS = 5.291_772_105_44e-11
"""The Bohr radius in m, in which scattering lengths are often given."""

PS2_PER_KM = 1e-27
"""1 ps^2/km in s^2/m."""

PER_W_KM = 1e-3
"""1 /(W km) in 1/(W m)."""

_DECIBELS = 10 / math.log(10)


def beta2_from_dispersion_parameter(dispersion: float, wavelength: float) -> float:
    r"""Group-velocity dispersion from the dispersion parameter D.

    .. math:: \beta_2 = -\frac{\lambda^2}{2 \pi c} D

    (Agrawal, Nonlinear Fiber Optics, eq. 1.2.11)

    Parameters
    ----------
    dispersion : float
        D in s/m^2; 1 ps/(nm km) is 1e-6 s/m^2.
    wavelength : float
        In vacuum, in m.

    Returns
    -------
    float
        beta_2 in s^2/m.
    """
    wave = positive("wavelength", wavelength)
    return -real("dispersion", dispersion) * wave**2 / (2 * math.pi * SPEED_OF_LIGHT)


def dispersion_parameter_from_beta2(beta2: float, wavelength: float) -> float:
    """The inverse of `beta2_from_dispersion_parameter`: D in s/m^2 from beta_2 in s^2/m."""
    wave = positive("wavelength", wavelength)
    return -real("beta2", beta2) * 2 * math.pi * SPEED_OF_LIGHT / wave**2


def loss_from_decibels(decibels: float) -> float:
    """The loss alpha of the power in 1/m from dB/m: ``P(z) = P(0) exp(-alpha z)``."""
    return real("decibels", decibels) / _DECIBELS


def loss_to_decibels(alpha: float) -> float:
    """The loss in dB/m from alpha in 1/m."""
    return real("alpha", alpha) * _DECIBELS


def real(name: str, value: Any) -> float:
    """A finite number."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    return number


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    number = real(name, value)
    if number <= 0:
        raise ValueError(f"{name} must be positive, got {number}")
    return number
