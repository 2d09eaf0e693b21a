"""Gaussian-process regression on grids."""

from fourfold.gp.grid._results import FitInfo, LeaveOneOut
from fourfold.gp.grid.model import GridGP

__all__ = ["FitInfo", "GridGP", "LeaveOneOut"]
