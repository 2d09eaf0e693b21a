"""The extension module of the CUDA kernels, which is loaded when the first CUDA tensor comes."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from types import ModuleType
from typing import Any

from fourfold import _core
from fourfold._version import __version__

__all__ = ["cuda_config", "cuda_kernels", "current_stream", "has_cuda_kernels", "no_cuda_kernels"]

_NAME = "fourfold._cuda"


@functools.cache
def has_cuda_kernels() -> bool:
    """Whether this installation was built with them. A driver or a device may be missing yet."""
    return importlib.util.find_spec(_NAME) is not None


@functools.cache
def cuda_kernels() -> Any:
    """Return the extension module.

    Raises
    ------
    NotImplementedError
        If this installation was built without it.
    ImportError
        If it is of another version than the Python files.
    """
    if not has_cuda_kernels():
        raise NotImplementedError(no_cuda_kernels())
    module: ModuleType = importlib.import_module(_NAME)
    if module.__version__ != __version__:
        raise ImportError(
            f"fourfold's Python files are version {__version__}, its CUDA kernels are version "
            f"{module.__version__}; build both together"
        )
    return module


def no_cuda_kernels() -> str:
    """Say why there are none."""
    return f"this installation of fourfold has no CUDA kernels ({_core.build_info()['cuda']})"


def current_stream(device: int) -> int:
    """Address of the stream that torch queues work on, without making a torch.cuda.Stream."""
    import torch  # whose tensors they are that came; without it there are none

    return torch._C._cuda_getCurrentRawStream(device)


def cuda_config() -> dict[str, Any]:
    """What `fourfold.show_config` says of them."""
    config: dict[str, Any] = {
        "built": has_cuda_kernels(),
        "at_build": _core.build_info()["cuda"],
        "devices": None,
    }
    if has_cuda_kernels():
        count, why = cuda_kernels().devices()
        config["devices"] = count if count > 0 else f"none here: {why or 'no device'}"
    return config
