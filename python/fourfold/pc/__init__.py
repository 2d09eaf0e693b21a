"""Probabilistic circuits: learning, exact queries, lossless compression.

A `Circuit` is a `Structure` (a tree of latent variables with the observed ones at its nodes) and its
probability tables.
"""

from fourfold.pc.circuit import Circuit
from fourfold.pc.structure import Structure

__all__ = ["Circuit", "Structure"]
