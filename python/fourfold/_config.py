"""What this installation of fourfold is made of."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from typing import Any

from fourfold import _core
from fourfold._gpu import cuda_config
from fourfold._threads import get_num_threads, threads_source
from fourfold._version import __version__

__all__ = ["show_config"]


def show_config() -> dict[str, dict[str, Any]]:
    """Print and return how fourfold was built and what it runs on.

    Returns
    -------
    dict
        One dict each for

        - ``"fourfold"``: its version, compiler, build type and sanitizers;
        - ``"python"``: version, implementation, whether the global interpreter lock is on;
        - ``"isa"``: instruction-set levels built, those that this CPU runs, and the one in use;
        - ``"threads"``: how many the kernels use, and where the number comes from;
        - ``"cuda"``: whether the CUDA kernels are built, what the build found, and how many devices
          there are, or why none;
        - ``"packages"``: versions of numpy, scipy and torch, None for what is not installed.

    Raises
    ------
    ValueError
        If the environment variable ``FOURFOLD_ISA`` names a level that cannot run here.
    """
    build = _core.build_info()
    config: dict[str, dict[str, Any]] = {
        "fourfold": {
            "version": __version__,
            "compiler": build["compiler"],
            "build_type": build["build_type"],
            "sanitizers": build["sanitizers"] or None,
        },
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "gil": _gil_enabled(),
            "platform": platform.platform(),
        },
        "isa": {
            "built": _core.isa_levels_built(),
            "supported": _core.isa_levels_supported(),
            "in_use": _core.isa_level(),
            "FOURFOLD_ISA": os.environ.get("FOURFOLD_ISA"),
        },
        "threads": {"in_use": get_num_threads(), "source": threads_source()},
        "cuda": cuda_config(),
        "packages": {name: _version(name) for name in ("numpy", "scipy", "torch")},
    }
    width = max(len(key) for section in config.values() for key in section)
    for name, section in config.items():
        print(name)
        for key, value in section.items():
            print(f"  {key:<{width}}  {_in_words(value)}")
    return config


def _gil_enabled() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def _version(package: str) -> str | None:
    # From the metadata, so that asking does not import torch.
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _in_words(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value)
    return str(value)
