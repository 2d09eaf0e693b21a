"""What takes the place of `fourfold._cuda` where there is no GPU, and tensors that say they are on one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fourfold import _gpu, nlse
from fourfold.nlse import _cuda_adaptive, _cuda_blocks, _cuda_tables

DEVICE, STREAM = 3, 12345
SHARED_MEMORY = 99_000


@dataclass(frozen=True)
class Device:
    type: str
    index: int


class OnGpu(torch.Tensor):
    """A CPU tensor that says it is on a GPU, as do its parts."""

    is_cpu = False
    device = Device("cuda", DEVICE)  # type: ignore[assignment]
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(index).as_subclass(OnGpu)


def there(x: torch.Tensor | None) -> Any:
    return None if x is None else x.as_subclass(OnGpu)


def install(monkeypatch: pytest.MonkeyPatch, **kernels: Any) -> None:
    """Make ``kernels`` those of `_cuda.nlse`; the card is an H100."""

    def once(device: Any, make: Callable[..., torch.Tensor], *arguments: Any) -> torch.Tensor:
        return make(*arguments)

    namespace = SimpleNamespace(
        smallest_grid=32,
        largest_grid_complex64=16384,
        largest_grid_complex128=8192,
        shared_memory_of_block=lambda device: SHARED_MEMORY,
        twiddles_complex64=lambda n: np.arange(n, dtype=np.float32).tobytes(),
        twiddles_complex128=lambda n: np.arange(n, dtype=np.float64).tobytes(),
    )
    vars(namespace).update(kernels)
    monkeypatch.setattr(_gpu, "cuda_kernels", lambda: SimpleNamespace(nlse=namespace))
    monkeypatch.setattr(_gpu, "current_stream", lambda device: STREAM)
    monkeypatch.setattr(_cuda_blocks, "_device", lambda psi0: ((9, 0), 132))
    for module in (_cuda_tables, _cuda_adaptive):
        monkeypatch.setattr(module, "once", once)
    nlse.propagate  # noqa: B018 (registers the operator)


def install_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the CUDA kernels were not built."""

    def missing() -> Any:
        raise NotImplementedError(_gpu.no_cuda_kernels())

    monkeypatch.setattr(_gpu, "cuda_kernels", missing)
