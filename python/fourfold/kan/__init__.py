"""Kolmogorov-Arnold layers with rational and other bases."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fourfold.kan import plot, symbolic
    from fourfold.kan.activation import Rational
    from fourfold.kan.bases import (
        AF,
        RBF,
        Basis,
        BSpline,
        Chebyshev,
        Fourier,
        RationalBasis,
        ReLU,
        Wavelet,
    )
    from fourfold.kan.conv import KANConv2d
    from fourfold.kan.fitting import RationalFit, fit_rational
    from fourfold.kan.functional import rational
    from fourfold.kan.grkan import GRKANMLP, GRKANLinear
    from fourfold.kan.kat import KAT, KATBlock
    from fourfold.kan.linear import KANLinear
    from fourfold.kan.network import KAN
    from fourfold.kan.replace import rationalize
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
    "GRKANMLP",
    "KAN",
    "KAT",
    "RBF",
    "BSpline",
    "Basis",
    "Chebyshev",
    "Fourier",
    "GRKANLinear",
    "KANConv2d",
    "KANLinear",
    "KATBlock",
    "Rational",
    "RationalBasis",
    "RationalFit",
    "ReLU",
    "SelectableKANConv2d",
    "SelectableKANLinear",
    "Selection",
    "Wavelet",
    "fit_rational",
    "plot",
    "prune",
    "rational",
    "rationalize",
    "select",
    "selectable_layers",
    "symbolic",
]

# Each name and the module that has it, loaded when it is first asked for.
_HOMES = {
    "AF": "bases",
    "BSpline": "bases",
    "Basis": "bases",
    "Chebyshev": "bases",
    "Fourier": "bases",
    "GRKANLinear": "grkan",
    "GRKANMLP": "grkan",
    "KAN": "network",
    "KANConv2d": "conv",
    "KANLinear": "linear",
    "KAT": "kat",
    "KATBlock": "kat",
    "RBF": "bases",
    "Rational": "activation",
    "RationalBasis": "bases",
    "RationalFit": "fitting",
    "ReLU": "bases",
    "SelectableKANConv2d": "selectable",
    "SelectableKANLinear": "selectable",
    "Selection": "selectable",
    "Wavelet": "bases",
    "fit_rational": "fitting",
    "prune": "selectable",
    "rational": "functional",
    "rationalize": "replace",
    "select": "selectable",
    "selectable_layers": "selectable",
}
_MODULES = frozenset({"plot", "symbolic"})


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"fourfold.kan.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"fourfold.kan.{name}")
    raise AttributeError(f"module 'fourfold.kan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
