"""Units: pulses in fibres and condensates in traps, to the dimensionless equation and back.

`Fibre` and `Trap` hold what is given in SI units, make the `fourfold.nlse.Problem`, convert coordinates
and fields both ways and know the lengths, numbers and quanta that the fields of physics speak of.
"""

from fourfold.nlse.units.constants import (
    ATOMIC_MASS,
    BOHR_RADIUS,
    HBAR,
    PER_W_KM,
    PS2_PER_KM,
    SPEED_OF_LIGHT,
    beta2_from_dispersion_parameter,
    dispersion_parameter_from_beta2,
    loss_from_decibels,
    loss_to_decibels,
)
from fourfold.nlse.units.fibre import Fibre
from fourfold.nlse.units.trap import Trap

__all__ = [
    "ATOMIC_MASS",
    "BOHR_RADIUS",
    "HBAR",
    "PER_W_KM",
    "PS2_PER_KM",
    "SPEED_OF_LIGHT",
    "Fibre",
    "Trap",
    "beta2_from_dispersion_parameter",
    "dispersion_parameter_from_beta2",
    "loss_from_decibels",
    "loss_to_decibels",
]
