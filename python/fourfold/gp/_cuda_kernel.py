"""The place of `fourfold.gp` that hands the addresses of tensors on a GPU to the CUDA kernels.

The same layouts as in `_kernel`. Work is queued on torch's current stream of the tensors' device.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fourfold._gpu import cuda_kernels, current_stream, has_cuda_kernels

__all__ = [
    "eigh",
    "eigh_fits",
    "is_capturing",
    "spectral_backward",
    "spectral_forward",
    "system_fits",
]

MODES, SIZE, COUNT = 8, 64, 8
"""Systems of more modes, with larger factors or with more right-hand sides for each have no kernels."""


def is_capturing() -> bool:
    """Whether calls are being recorded in a CUDA graph: then nothing can be looked at."""
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


def _address(name: str, tensor: Tensor, like: Tensor) -> int:
    if tensor.dtype != like.dtype or not tensor.is_contiguous() or tensor.device != like.device:
        raise ValueError(
            f"{name}: expected a contiguous tensor of {like.dtype} on {like.device}, got {tensor.dtype} of shape "
            f"{tuple(tensor.shape)} and strides {tensor.stride()} on {tensor.device}"
        )
    return int(tensor.data_ptr())


@functools.lru_cache(maxsize=1024)
def _system(
    dtype: torch.dtype, batch: int, count: int, sizes: tuple[int, ...], items: tuple[int, ...]
) -> Any:
    name = "SmallSystem_float32" if dtype == torch.float32 else "SmallSystem_float64"
    return getattr(cuda_kernels().gp, name)(batch=batch, count=count, sizes=sizes, items=items)


@functools.lru_cache(maxsize=1024)
def _fits(
    dtype: torch.dtype,
    batch: int,
    count: int,
    sizes: tuple[int, ...],
    items: tuple[int, ...],
    device: int,
) -> bool:
    return bool(_system(dtype, batch, count, sizes, items).fits(device))


def system_fits(y: Tensor, sizes: Sequence[int], items: Sequence[int]) -> bool:
    """Whether there are kernels for this system with its right-hand sides y (batch, count, N)."""
    if y.device.type != "cuda" or not has_cuda_kernels() or y.shape[0] == 0:
        return False
    if len(sizes) > MODES or max(sizes) > SIZE or y.shape[1] > COUNT:
        return False
    return _fits(y.dtype, *y.shape[:2], tuple(sizes), tuple(items), y.device.index)


def spectral_forward(
    factors: Sequence[Tensor], noise: Tensor, y: Tensor, limit: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor] | None:
    """As `_kernel.spectral_forward`. Waits for the device, unless a CUDA graph is being recorded.

    There nothing can raise: who replays it finds NaN where a matrix was not positive definite.
    """
    batch, count, _ = y.shape
    sizes = tuple(f.shape[-1] for f in factors)
    items = tuple(f.shape[0] for f in factors)
    system = _system(y.dtype, batch, count, sizes, items)
    basis = y.new_empty(sum(i * n * n for i, n in zip(items, sizes, strict=True)))
    values = y.new_empty(batch * sum(sizes))
    x = torch.empty_like(y)
    quad = y.new_empty(batch, count)
    logdet = y.new_empty(batch)
    status = y.new_empty(system.status_count(), dtype=torch.int32)
    system.forward(
        factors=[_address(f"factors[{k}]", f, y) for k, f in enumerate(factors)],
        noise=_address("noise", noise, y),
        y=_address("y", y, y),
        limit=limit,
        basis=basis.data_ptr(),
        values=values.data_ptr(),
        x=x.data_ptr(),
        quad=quad.data_ptr(),
        logdet=logdet.data_ptr(),
        status=status.data_ptr(),
        device=y.device.index,
        stream=current_stream(y.device.index),
    )
    if not is_capturing() and bool(status.any()):
        return None
    return quad, logdet, basis, values, x


def spectral_backward(
    grads: Sequence[Tensor],
    basis: Tensor,
    values: Tensor,
    noise: Tensor,
    x: Tensor,
    sizes: Sequence[int],
    items: Sequence[int],
    wanted: Sequence[bool],
    wants_y: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """As `_kernel.spectral_backward`."""
    batch, count, _ = x.shape
    system = _system(x.dtype, batch, count, tuple(sizes), tuple(items))
    grad_factors = torch.empty_like(basis)
    grad_noise = torch.empty_like(noise)
    grad_y = torch.empty_like(x) if wants_y else None
    middles = x.new_empty(system.workspace_count())
    grad_quad, grad_logdet = (g.contiguous() for g in grads)
    system.backward(
        basis=_address("basis", basis, x),
        values=_address("values", values, x),
        noise=_address("noise", noise, x),
        x=_address("x", x, x),
        grad_quad=_address("the gradient of inv_quad", grad_quad, x),
        grad_logdet=_address("the gradient of logdet", grad_logdet, x),
        wanted=list(wanted),
        grad_factors=grad_factors.data_ptr(),
        grad_noise=grad_noise.data_ptr(),
        grad_y=0 if grad_y is None else grad_y.data_ptr(),
        middles=middles.data_ptr(),
        device=x.device.index,
        stream=current_stream(x.device.index),
    )
    return grad_factors, grad_noise, grad_y


def eigh_fits(matrix: Tensor) -> bool:
    """Whether there is a kernel for the eigenproblems of (batch, n, n)."""
    return (
        matrix.device.type == "cuda"
        and matrix.dtype == torch.float64
        and matrix.shape[-1] <= SIZE
        and matrix.numel() > 0
        and has_cuda_kernels()
        and bool(cuda_kernels().gp.eigh_fits(matrix.shape[-1], matrix.device.index))
    )


def eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (batch, n), in no order, and eigenvectors in rows (batch, n, n). Waits for the device."""
    batch, n, _ = matrix.shape
    values, vectors = matrix.new_empty(batch, n), torch.empty_like(matrix)
    status = matrix.new_empty(batch, dtype=torch.int32)
    cuda_kernels().gp.eigh(
        batch=batch,
        n=n,
        a=_address("factor", matrix, matrix),
        limit=2.0,  # no two entries differ by more than twice the largest one: not checked here
        values=values.data_ptr(),
        vectors=vectors.data_ptr(),
        status=status.data_ptr(),
        device=matrix.device.index,
        stream=current_stream(matrix.device.index),
    )
    if bool(status.any()):
        raise ArithmeticError("the eigenvalue iteration did not converge")
    return values, vectors
