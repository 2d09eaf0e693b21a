"""What the kernels of `fourfold.nlse` read beside the field, on its device."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fourfold import _gpu
from fourfold.nlse._kernel import fourier_filter
from fourfold.nlse.grid import Grid

__all__ = [
    "REAL",
    "address",
    "filter_of",
    "frequencies",
    "once",
    "per_realisation",
    "places",
    "scratch",
    "twiddles",
]

Tensor = torch.Tensor

REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}


def address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def scratch(size: int, like: Tensor) -> Tensor:
    """So many bytes."""
    return like.new_empty(size, dtype=torch.uint8)


def per_realisation(
    values: Tensor, batch_shape: tuple[int, ...], tail: tuple[int, ...], dtype: torch.dtype
) -> Tensor:
    """One row for all realisations if they share it, else one row each."""
    shape = tail if values.ndim == len(tail) else (*batch_shape, *tail)
    return values.detach().to(dtype).resolve_neg().expand(shape).contiguous()


@functools.lru_cache(maxsize=64)
def once(device: torch.device, make: Callable[..., Tensor], *arguments: Any) -> Tensor:
    """The table that ``make`` makes on the CPU, copied to the device in the first call."""
    return make(*arguments).to(device)


def twiddles(n: int, like: Tensor) -> Tensor:
    return once(like.device, _twiddles, n, like.dtype)


def frequencies(n: int, like: Tensor) -> Tensor:
    """The index in the FFT's order of each place of the spectrum as the kernels keep it."""
    return once(like.device, _frequencies, n)


def places(n: int, like: Tensor) -> Tensor:
    """Where the kernels keep each frequency of the FFT's order."""
    return once(like.device, _places, n)


def filter_of(n: int, dealias: str | None, like: Tensor) -> Tensor | None:
    return None if dealias is None else once(like.device, _filter, n, dealias, like.dtype)


def _twiddles(n: int, dtype: torch.dtype) -> Tensor:
    kernels = _gpu.cuda_kernels().nlse
    make = kernels.twiddles_complex64 if dtype == torch.complex64 else kernels.twiddles_complex128
    return torch.frombuffer(bytearray(make(n)), dtype=REAL[dtype])


def _frequencies(n: int) -> Tensor:
    return torch.frombuffer(bytearray(_gpu.cuda_kernels().nlse.frequencies(n)), dtype=torch.int64)


def _places(n: int) -> Tensor:
    return torch.argsort(_frequencies(n))


def _filter(n: int, dealias: str, dtype: torch.dtype) -> Tensor:
    multiplier = fourier_filter(Grid(n, 2 * np.pi), dealias)
    assert multiplier is not None
    return torch.from_numpy(multiplier).to(REAL[dtype])
