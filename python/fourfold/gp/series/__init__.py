"""Gaussian processes of one variable in time linear in the number of observations."""

from fourfold.gp.series.model import StateSpaceGP

__all__ = ["StateSpaceGP"]
