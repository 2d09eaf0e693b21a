"""Kolmogorov-Arnold layers with rational and other bases."""

from fourfold.kan import plot, symbolic
from fourfold.kan.bases import (
    AF,
    RBF,
    Basis,
    BSpline,
    Chebyshev,
    Fourier,
    ReLU,
    Wavelet,
)
from fourfold.kan.conv import KANConv2d
from fourfold.kan.linear import KANLinear
from fourfold.kan.network import KAN
from fourfold.kan.selectable import (
    SelectableKANConv2d,
    SelectableKANLinear,
    Selection,
    prune,
    select,
    selectable_layers,
)

__all__ = [
    "AF",
    "KAN",
    "RBF",
    "BSpline",
    "Basis",
    "Chebyshev",
    "Fourier",
    "KANConv2d",
    "KANLinear",
    "ReLU",
    "SelectableKANConv2d",
    "SelectableKANLinear",
    "Selection",
    "Wavelet",
    "plot",
    "prune",
    "select",
    "selectable_layers",
    "symbolic",
]
