"""Kolmogorov-Arnold layers with rational and other bases."""

from fourfold.kan.bases import Basis
from fourfold.kan.linear import KANLinear

__all__ = ["Basis", "KANLinear"]
