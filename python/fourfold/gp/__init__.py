"""Exact Gaussian processes on grids, and PDEs solved by them."""

from fourfold.errors import ConvergenceError, NotPositiveDefiniteError
from fourfold.gp import kernels, pde, priors
from fourfold.gp._info import PredictInfo, SolveInfo
from fourfold.gp.funbat import FunBaT
from fourfold.gp.grid import GridGP
from fourfold.gp.kronecker import Kronecker
from fourfold.gp.series import StateSpaceGP
from fourfold.gp.toeplitz import Toeplitz

__all__ = [
    "ConvergenceError",
    "FunBaT",
    "GridGP",
    "Kronecker",
    "NotPositiveDefiniteError",
    "PredictInfo",
    "SolveInfo",
    "StateSpaceGP",
    "Toeplitz",
    "kernels",
    "pde",
    "priors",
]
