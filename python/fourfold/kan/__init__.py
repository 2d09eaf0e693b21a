"""Kolmogorov-Arnold layers with rational and other bases."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fourfold.kan.functional import rational

__all__ = ["rational"]

# Each name and the module that has it, loaded when it is first asked for.
_HOMES = {
    "rational": "functional",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"fourfold.kan.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'fourfold.kan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
