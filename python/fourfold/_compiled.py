"""The extension module, checked to be of the same version as the Python files around it."""

from __future__ import annotations

from typing import Protocol

from fourfold._version import __version__

__all__ = ["check_version"]

_REBUILD = (
    "rebuild it: `make build` (or `pip install --no-build-isolation -e .`) in a checkout, "
    "`pip install --force-reinstall --no-cache-dir fourfold` elsewhere"
)

try:
    from fourfold import _core
except ImportError as error:
    raise ImportError(
        f"the extension module of fourfold {__version__} cannot be loaded ({error}); {_REBUILD}",
        name=error.name,
        path=error.path,
    ) from error


class _Versioned(Protocol):
    __version__: str


def check_version(core: _Versioned, expected: str) -> None:
    """Refuse an extension module of another version than `expected`.

    Raises
    ------
    ImportError
        If the versions differ. The message holds the command that rebuilds the module.
    """
    if core.__version__ != expected:
        raise ImportError(
            f"fourfold's Python files are version {expected}, its extension module is version "
            f"{core.__version__}; {_REBUILD}"
        )


check_version(_core, __version__)
