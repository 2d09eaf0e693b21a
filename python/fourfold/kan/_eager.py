"""When an eager call may hand addresses to C++ at once, and when torch has to see it."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

__all__ = ["in_forward_mode", "is_plain"]

Tensor = torch.Tensor

_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})


def is_plain(*tensors: Tensor) -> bool:
    """Whether the tensors are just memory, and nothing watches the operations on them."""
    return (
        all(map(_PLAIN.__contains__, map(type, tensors)))
        and not torch.compiler.is_compiling()
        and tensors[0].is_cpu
        and tensors[0].layout is torch.strided
        and torch._C._functorch.peek_interpreter_stack() is None
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._len_torch_function_stack() == 0
        and torch._C._get_tracing_state() is None
        and forward_ad._current_level < 0
    )


def in_forward_mode() -> bool:
    """Whether a forward-mode derivative is being taken."""
    if forward_ad._current_level >= 0:
        return True
    stack = torch._C._functorch.get_interpreter_stack()
    jvp = torch._C._functorch.TransformType.Jvp
    return stack is not None and any(level.key() == jvp for level in stack)
