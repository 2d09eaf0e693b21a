"""CPU tensors that say they are on a GPU, for stand-ins of `_cuda` that compute on the CPU.

A stand-in takes the same addresses in the same order as the kernels, so that layouts, strides, conversions, scratch, device and
stream are checked where there is no GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from fourfold.kan import _basis_kernel, _kernel

__all__ = ["DEVICE", "STREAM", "OnGpu", "pretend_a_stream", "there"]

DEVICE, STREAM = 3, 12345


@dataclass(frozen=True)
class Device:
    type: str
    index: int


class OnGpu(torch.Tensor):
    """What is computed from it says so, too."""

    is_cpu = False
    device = Device("cuda", DEVICE)  # type: ignore[assignment]


def there(x: torch.Tensor) -> torch.Tensor:
    return x.as_subclass(OnGpu)


def pretend_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_kernel, _basis_kernel):
        monkeypatch.setattr(module, "current_stream", lambda device: STREAM)
