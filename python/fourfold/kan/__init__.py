"""Kolmogorov-Arnold layers with rational and other bases."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fourfold.kan.activation import Rational
    from fourfold.kan.fitting import RationalFit, fit_rational
    from fourfold.kan.functional import rational
    from fourfold.kan.grkan import GRKANMLP, GRKANLinear
    from fourfold.kan.kat import KAT, KATBlock
    from fourfold.kan.replace import rationalize

__all__ = [
    "GRKANMLP",
    "KAT",
    "GRKANLinear",
    "KATBlock",
    "Rational",
    "RationalFit",
    "fit_rational",
    "rational",
    "rationalize",
]

# Each name and the module that has it, loaded when it is first asked for.
_HOMES = {
    "GRKANLinear": "grkan",
    "GRKANMLP": "grkan",
    "KAT": "kat",
    "KATBlock": "kat",
    "Rational": "activation",
    "RationalFit": "fitting",
    "fit_rational": "fitting",
    "rational": "functional",
    "rationalize": "replace",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"fourfold.kan.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'fourfold.kan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
