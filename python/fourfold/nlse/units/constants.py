"""Constants of nature (CODATA 2022), units of the fibre's trade, and what it writes in other ways."""

from __future__ import annotations

import math

from fourfold.nlse._checks import finite, positive

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
    return -finite("dispersion", dispersion) * wave**2 / (2 * math.pi * SPEED_OF_LIGHT)


def dispersion_parameter_from_beta2(beta2: float, wavelength: float) -> float:
    """The inverse of `beta2_from_dispersion_parameter`: D in s/m^2 from beta_2 in s^2/m."""
    wave = positive("wavelength", wavelength)
    return -finite("beta2", beta2) * 2 * math.pi * SPEED_OF_LIGHT / wave**2


def loss_from_decibels(decibels: float) -> float:
    """The loss alpha of the power in 1/m from dB/m: ``P(z) = P(0) exp(-alpha z)``."""
    return finite("decibels", decibels) / _DECIBELS


def loss_to_decibels(alpha: float) -> float:
    """The loss in dB/m from alpha in 1/m."""
    return finite("alpha", alpha) * _DECIBELS
