"""The machine and the versions behind a report."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import fourfold

__all__ = ["Machine", "describe"]

_PACKAGES = ("numpy", "scipy", "torch", "matplotlib", "xarray", "netCDF4")


@dataclass(frozen=True)
class Machine:
    """Where a report was made; `rows` are label and value, ready to show."""

    rows: list[tuple[str, str]]


def describe() -> Machine:
    """Describe this machine and the versions in use."""
    rows = [
        ("fourfold", fourfold.__version__),
        ("processor", _processor()),
        ("cores allowed", str(_cores())),
        ("threads used", str(fourfold.get_num_threads())),
        ("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
    ]
    rows += [(name, _version(name)) for name in _PACKAGES]
    return Machine(rows)


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else (platform.processor() or "unknown")


def _cores() -> int:
    # Not on every platform.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else (os.cpu_count() or 1)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
