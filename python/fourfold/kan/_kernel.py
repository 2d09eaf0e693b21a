"""The one place of `fourfold.kan` that hands addresses of rational functions to C++."""

from __future__ import annotations

import math
from typing import Any

import torch

from fourfold import _core
from fourfold._threads import get_num_threads
from fourfold.kan._signature import VARIANTS, check

__all__ = ["backward", "forward", "no_kernel_for"]

Tensor = torch.Tensor

_STORAGE = {torch.float64: 0, torch.float32: 1, torch.bfloat16: 2, torch.float16: 3}
_VARIANTS = {name: number for number, name in enumerate(VARIANTS)}

# What has been checked, by everything that was. A training run has a handful of these.
_plans: dict[Any, _Plan] = {}
_MOST_PLANS = 1024


def no_kernel_for(device: torch.device) -> NotImplementedError:
    """What to raise for tensors on such a device."""
    return NotImplementedError(
        f"kan.rational has no kernel for tensors on {device}, only for the CPU; "
        "implementation='torch' runs on any device"
    )


class _Plan:
    """How tensors of one signature are laid out, and the C++ object that computes on them."""

    __slots__ = ("call", "compute", "convert_denominator", "convert_numerator", "empty")

    def __init__(
        self, x: Tensor, numerator: Tensor, denominator: Tensor, variant: str, dim: int
    ) -> None:
        signature = check(x, numerator, denominator, variant, dim)
        if not x.is_cpu:
            raise no_kernel_for(x.device)
        rows, run = _around(x, signature.dim)
        self.call = _core.kan.Rational(
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
        self.compute = torch.float64 if x.dtype == torch.float64 else torch.float32
        self.convert_numerator = numerator.dtype != self.compute
        self.convert_denominator = denominator.dtype != self.compute
        self.empty = x.numel() == 0


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


def _plan(x: Tensor, numerator: Tensor, denominator: Tensor, variant: str, dim: int) -> _Plan:
    key = (
        x.shape,
        None if x.is_contiguous() else x.stride(),
        x.dtype,
        x.device,
        numerator.shape,
        numerator.dtype,
        denominator.shape,
        denominator.dtype,
        denominator.device == numerator.device == x.device,
        variant,
        dim,
    )
    plan = _plans.get(key)
    if plan is None:
        plan = _Plan(x, numerator, denominator, variant, dim)
        if len(_plans) >= _MOST_PLANS:
            _plans.clear()
        _plans[key] = plan
    return plan


def _coefficients(given: Tensor, compute: torch.dtype) -> Tensor:
    return given.to(compute).resolve_neg().contiguous()


def forward(x: Tensor, numerator: Tensor, denominator: Tensor, variant: str, dim: int) -> Tensor:
    """F(x), with the strides of ``torch.empty_like(x)``. Arguments are checked."""
    x = _dense(x)
    plan = _plan(x, numerator, denominator, variant, dim)
    out = torch.empty_like(x)
    if plan.empty:
        return out
    numerator = _coefficients(numerator, plan.compute)
    denominator = _coefficients(denominator, plan.compute)
    plan.call.forward(
        _address(x), _address(numerator), _address(denominator), _address(out), get_num_threads()
    )
    return out


def backward(
    gradient: Tensor, x: Tensor, numerator: Tensor, denominator: Tensor, variant: str, dim: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x and of the coefficients, for the gradient of F. Arguments are checked."""
    x = _dense(x)
    plan = _plan(x, numerator, denominator, variant, dim)
    if gradient.shape != x.shape or gradient.dtype != x.dtype or gradient.device != x.device:
        raise ValueError(
            f"gradient: expected {x.dtype} of shape {tuple(x.shape)} on {x.device} like x, "
            f"got {gradient.dtype} of shape {tuple(gradient.shape)} on {gradient.device}"
        )
    x_gradient = torch.empty_like(x)
    if plan.empty:
        return x_gradient, torch.zeros_like(numerator), torch.zeros_like(denominator)
    gradient = gradient.resolve_conj().resolve_neg()
    if gradient.stride() != x.stride():
        gradient = torch.empty_like(x).copy_(gradient)
    a, b = _coefficients(numerator, plan.compute), _coefficients(denominator, plan.compute)
    a_gradient, b_gradient = torch.empty_like(a), torch.empty_like(b)
    plan.call.backward(
        _address(gradient),
        _address(x),
        _address(a),
        _address(b),
        _address(x_gradient),
        _address(a_gradient),
        _address(b_gradient),
        get_num_threads(),
    )
    return x_gradient, a_gradient.to(numerator.dtype), b_gradient.to(denominator.dtype)


def _address(tensor: Tensor) -> int:
    address = tensor.data_ptr()
    if address == 0 and tensor.numel() > 0:
        raise RuntimeError(f"a {type(tensor).__name__} without memory reached a kernel")
    return address
