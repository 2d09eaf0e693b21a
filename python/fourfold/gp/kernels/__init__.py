"""Stationary covariance functions with their derivatives in closed form."""

from fourfold.gp.kernels.base import Kernel
from fourfold.gp.kernels.compose import Product, Sum
from fourfold.gp.kernels.mixture import (
    Matern,
    SpectralMixture,
    SquaredExponential,
    StudentTMixture,
)
from fourfold.gp.kernels.periodic import Periodic
from fourfold.gp.kernels.rational_quadratic import RationalQuadratic

__all__ = [
    "Kernel",
    "Matern",
    "Periodic",
    "Product",
    "RationalQuadratic",
    "SpectralMixture",
    "SquaredExponential",
    "StudentTMixture",
    "Sum",
]
