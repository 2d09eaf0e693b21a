"""The experiments behind ``fourfold reproduce``: each family against its truth, and the report."""

from fourfold.reproduce.record import Check, Family, Figure, Section
from fourfold.reproduce.runner import FAMILIES, run

__all__ = ["FAMILIES", "Check", "Family", "Figure", "Section", "run"]
