"""The one place of `fourfold.kan` that hands addresses of rational functions to C++."""

from __future__ import annotations

import math
from typing import Any

import torch

from fourfold import _core
from fourfold._gpu import cuda_kernels, current_stream, has_cuda_kernels, no_cuda_kernels
from fourfold._threads import get_num_threads
from fourfold.kan._signature import VARIANTS, check

__all__ = ["backward", "forward", "has_kernel_for", "no_kernel_for"]

Tensor = torch.Tensor
_empty_like = torch.empty_like

_STORAGE = {torch.float64: 0, torch.float32: 1, torch.bfloat16: 2, torch.float16: 3}
_VARIANTS = {name: number for number, name in enumerate(VARIANTS)}

# What has been checked, by everything that was. A training run has a handful of these.
_plans: dict[Any, _Plan] = {}
_MOST_PLANS = 1024
# So few elements are one work item, whatever the threads.
_SMALL = 4096
# Where torch describes its tensors to C++ (2.10 and later), small calls need not be described in Python. It takes for
# granted that they are tensors, as do all who come here.
_exchange_api = getattr(torch.Tensor, "__dlpack_c_exchange_api__", None)
_small_calls = None if _exchange_api is None else _core.kan.SmallCalls(_exchange_api)


def has_kernel_for(device: torch.device) -> bool:
    """Whether this installation computes on such a device. Meta tensors only have shapes."""
    return device.type in ("cpu", "meta") or (device.type == "cuda" and has_cuda_kernels())


def no_kernel_for(device: torch.device) -> NotImplementedError:
    """What to raise for tensors on such a device."""
    why = f": {no_cuda_kernels()}" if device.type == "cuda" else ""
    return NotImplementedError(
        f"kan.rational has no kernel for tensors on {device}, only for the CPU{why}; "
        "implementation='torch' runs on any device"
    )


def _scratch(size: int, like: Tensor) -> Tensor:
    return torch.empty(size, dtype=torch.uint8, device=like.device)


class _Plan:
    """How tensors of one signature are laid out, and the C++ object that computes on them."""

    __slots__ = (
        "backward",
        "call",
        "compute",
        "convert_denominator",
        "convert_numerator",
        "device",
        "empty",
        "forward",
        "small",
        "workspace",
    )

    def __init__(
        self, x: Tensor, numerator: Tensor, denominator: Tensor, variant: str, dim: int
    ) -> None:
        signature = check(x, numerator, denominator, variant, dim)
        on_gpu = x.device.type == "cuda" and has_cuda_kernels()
        if not (x.is_cpu or on_gpu):
            raise no_kernel_for(x.device)
        rows, run = _around(x, signature.dim)
        call: Any = (cuda_kernels() if on_gpu else _core).kan.Rational(
            rows=rows,
            groups=signature.groups,
            run=signature.channels // signature.groups * run,
            m=signature.m,
            n=signature.n,
            shared_numerator=signature.shared_numerator,
            shared_denominator=signature.shared_denominator,
            variant=_VARIANTS[variant],
            storage=_STORAGE[x.dtype],
        )
        self.call, self.forward, self.backward = call, call.forward, call.backward
        self.device: int | None = x.device.index if on_gpu else None
        self.empty = x.numel() == 0
        # Bytes of scratch of the backward pass.
        self.workspace: int = call.workspace(self.device) if on_gpu and not self.empty else 0
        self.compute = torch.float64 if x.dtype == torch.float64 else torch.float32
        self.convert_numerator = numerator.dtype != self.compute
        self.convert_denominator = denominator.dtype != self.compute
        self.small = x.numel() < _SMALL


def _around(x: Tensor, dim: int) -> tuple[int, int]:
    """How many elements lie, in memory, outside and inside the channels of a dense x."""
    stride = x.stride(dim)
    inner = [x.shape[d] for d in range(x.dim()) if d != dim and x.stride(d) < stride]
    # A single channel, or dimensions of size 1, may have any stride.
    if x.shape[dim] <= 1 or x.numel() == 0:
        return x.numel() // max(x.shape[dim], 1), 1
    run = math.prod(inner)
    return x.numel() // (x.shape[dim] * run), run


def _is_dense(x: Tensor) -> bool:
    """Whether the elements fill a stretch of memory, in any order of the dimensions."""
    expected = 1
    for stride, size in sorted(
        (stride, size) for stride, size in zip(x.stride(), x.shape, strict=True) if size != 1
    ):
        if stride != expected:
            return False
        expected *= size
    return True


def _dense(x: Tensor) -> Tensor:
    """X itself, or a copy that has the strides of ``torch.empty_like(x)``."""
    x = x.resolve_conj().resolve_neg()
    if x.is_contiguous() or x.numel() == 0 or _is_dense(x):
        return x
    return torch.empty_like(x).copy_(x)


def _plan(x: Tensor, a: Tensor, b: Tensor, variant: str, dim: int, strides: Any) -> _Plan:
    """For x as it is laid out; `strides` None stands for contiguous ones, which takes less time to find."""
    key: Any = (x.shape, x.dtype, a.shape, a.dtype, b.shape, b.dtype, variant, dim, strides)
    if not (x.is_cpu and a.is_cpu and b.is_cpu):
        key += (x.device, a.device, b.device)
    try:
        plan = _plans.get(key)
    except TypeError:  # something that cannot be a key is no variant and no dimension
        check(x, a, b, variant, dim)
        raise
    if plan is None:
        plan = _Plan(x, a, b, variant, dim)
        if len(_plans) >= _MOST_PLANS:
            _plans.clear()
        _plans[key] = plan
    return plan


def _converted(table: Tensor, compute: torch.dtype) -> Tensor:
    """Coefficients as C++ reads them. Callers ask first whether they are so already: a call costs 0.2 us."""
    return table.to(compute).resolve_neg().contiguous()


def forward(x: Tensor, numerator: Tensor, denominator: Tensor, variant: str, dim: int) -> Tensor:
    """F(x), with the strides of ``torch.empty_like(x)``."""
    negated = x.is_neg() or numerator.is_neg() or denominator.is_neg()
    small = _small_calls if x.numel() < _SMALL and x.is_cpu and not negated else None
    if small is not None:
        out = _empty_like(x)
        if small.forward(x, numerator, denominator, out, variant, dim):
            return out
    strides = None
    if negated or not x.is_contiguous():
        x = _dense(x)
        strides = x.stride()
    plan = _plan(x, numerator, denominator, variant, dim, strides)
    if small is not None:
        small.add(x, numerator, denominator, variant, dim, plan.call)
    out = _empty_like(x)
    if plan.empty:
        return out
    if plan.convert_numerator or negated or not numerator.is_contiguous():
        numerator = _converted(numerator, plan.compute)
    if plan.convert_denominator or negated or not denominator.is_contiguous():
        denominator = _converted(denominator, plan.compute)
    addresses = (x.data_ptr(), numerator.data_ptr(), denominator.data_ptr(), out.data_ptr())
    if plan.device is None:
        plan.forward(*addresses, 1 if plan.small else get_num_threads())
    else:
        plan.forward(*addresses, plan.device, current_stream(plan.device))
    return out


def backward(
    gradient: Tensor, x: Tensor, numerator: Tensor, denominator: Tensor, variant: str, dim: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x and of the coefficients, for the gradient of F."""
    strides = None
    if x.is_neg() or not x.is_contiguous():
        x = _dense(x)
        strides = x.stride()
    plan = _plan(x, numerator, denominator, variant, dim, strides)
    if gradient.shape != x.shape or gradient.dtype != x.dtype or gradient.device != x.device:
        raise ValueError(
            f"gradient: expected {x.dtype} of shape {tuple(x.shape)} on {x.device} like x, "
            f"got {gradient.dtype} of shape {tuple(gradient.shape)} on {gradient.device}"
        )
    x_gradient = _empty_like(x)
    if plan.empty:
        return x_gradient, torch.zeros_like(numerator), torch.zeros_like(denominator)
    if gradient.is_neg() or gradient.stride() != x.stride():
        gradient = _empty_like(x).copy_(gradient)
    a, b = numerator, denominator
    if plan.convert_numerator or a.is_neg() or not a.is_contiguous():
        a = _converted(a, plan.compute)
    if plan.convert_denominator or b.is_neg() or not b.is_contiguous():
        b = _converted(b, plan.compute)
    a_gradient, b_gradient = _empty_like(a), _empty_like(b)
    addresses = (
        gradient.data_ptr(),
        x.data_ptr(),
        a.data_ptr(),
        b.data_ptr(),
        x_gradient.data_ptr(),
        a_gradient.data_ptr(),
        b_gradient.data_ptr(),
    )
    if plan.device is None:
        plan.backward(*addresses, 1 if plan.small else get_num_threads())
    else:
        scratch = _scratch(plan.workspace, x)
        plan.backward(*addresses, scratch.data_ptr(), plan.device, current_stream(plan.device))
    if plan.convert_numerator:
        a_gradient = a_gradient.to(numerator.dtype)
    if plan.convert_denominator:
        b_gradient = b_gradient.to(denominator.dtype)
    return x_gradient, a_gradient, b_gradient
