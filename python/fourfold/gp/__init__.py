"""Exact Gaussian processes on grids, and PDEs solved by them."""

from fourfold.errors import ConvergenceError, NotPositiveDefiniteError
from fourfold.gp import kernels, pde
from fourfold.gp._info import SolveInfo
from fourfold.gp.funbat import FunBaT
from fourfold.gp.kronecker import Kronecker
from fourfold.gp.series import StateSpaceGP
from fourfold.gp.toeplitz import Toeplitz

__all__ = [
    "ConvergenceError",
    "FunBaT",
    "Kronecker",
    "NotPositiveDefiniteError",
    "SolveInfo",
    "StateSpaceGP",
    "Toeplitz",
    "kernels",
    "pde",
]
