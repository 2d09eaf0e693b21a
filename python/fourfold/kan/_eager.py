"""When an eager call may hand addresses to C++ at once, and when torch has to see it."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

from fourfold._gpu import has_cuda_kernels

__all__ = ["in_forward_mode", "is_eager", "is_plain"]

Tensor = torch.Tensor

_STRIDED = torch.strided
_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})
_is_compiling = torch.compiler.is_compiling
# Known to Dynamo, and in eager calls the cheaper of the two; other tracers have a mode on one of the stacks.
_is_dynamo = torch.compiler.is_dynamo_compiling
_transform = torch._C._functorch.peek_interpreter_stack
_dispatch_modes = torch._C._len_torch_dispatch_stack
_function_modes = torch._C._len_torch_function_stack
_trace = torch._C._get_tracing_state


def is_plain(x: Tensor, numerator: Tensor, denominator: Tensor) -> bool:
    """Whether the tensors are just memory, and nothing watches the operations on them."""
    return (
        type(x) in _PLAIN
        and type(numerator) in _PLAIN
        and type(denominator) in _PLAIN
        and not _is_dynamo()
        and (
            (x.is_cpu and numerator.is_cpu and denominator.is_cpu)
            or (x.is_cuda and has_cuda_kernels())
        )
        and x.layout is _STRIDED
        and _transform() is None
        and _dispatch_modes() == 0
        and _function_modes() == 0
        and _trace() is None
        and forward_ad._current_level < 0
    )


def is_eager(*tensors: Tensor) -> bool:
    """As `is_plain`, but ``torch.func`` may be at work."""
    return (
        not _is_compiling()
        and all(type(t) in _PLAIN and t.layout is _STRIDED for t in tensors)
        and all(t.is_cpu or (t.is_cuda and has_cuda_kernels()) for t in tensors)
        and _dispatch_modes() == 0
        and _function_modes() == 0
        and _trace() is None
        and forward_ad._current_level < 0
    )


def in_forward_mode() -> bool:
    """Whether a forward-mode derivative is being taken."""
    if forward_ad._current_level >= 0:
        return True
    # None where there is no transform, whatever its type says.
    stack = torch._C._functorch.get_interpreter_stack() or []
    jvp = torch._C._functorch.TransformType.Jvp
    return any(level.key() == jvp for level in stack)
