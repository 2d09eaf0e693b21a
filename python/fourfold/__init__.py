"""Four families of structured computation as fast, exact, well-behaved kernels.

====================  =============================================================
`fourfold.nlse`       waves under the nonlinear Schrodinger equation
`fourfold.gp`         exact Gaussian processes on grids, PDEs solved by them
`fourfold.pc`         probabilistic circuits: learning, exact queries, lossless compression
`fourfold.kan`        Kolmogorov-Arnold layers with rational and other bases
====================  =============================================================

The families are loaded when they are first used; ``import fourfold`` alone loads neither torch nor
matplotlib.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

import fourfold._compiled  # noqa: F401  (refuses an extension module of another version)
from fourfold import errors
from fourfold._config import show_config
from fourfold._threads import get_num_threads, set_num_threads
from fourfold._version import __version__

if TYPE_CHECKING:
    from fourfold import gp, kan, nlse, pc

__all__ = [
    "__version__",
    "errors",
    "get_num_threads",
    "gp",
    "kan",
    "nlse",
    "pc",
    "set_num_threads",
    "show_config",
]

_FAMILIES = frozenset({"gp", "kan", "nlse", "pc"})


def __getattr__(name: str) -> ModuleType:
    if name in _FAMILIES:
        return importlib.import_module(f"fourfold.{name}")
    raise AttributeError(f"module 'fourfold' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_FAMILIES})
