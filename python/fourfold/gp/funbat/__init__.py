"""Functional Bayesian Tucker and CP decomposition of tensors with continuous indices."""

from fourfold.gp.funbat.model import FunBaT

__all__ = ["FunBaT"]
