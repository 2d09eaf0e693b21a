"""Coefficients that came as torch tensors and want gradients, looked at without importing torch."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

__all__ = ["Leaf", "is_tensor", "plain"]


class Leaf(NamedTuple):
    """A tensor that wants gradients, and the count of its changes when its values were read."""

    name: str
    tensor: Any
    version: int

    def check(self) -> None:
        """Refuse a tensor whose values are no longer those that were read."""
        if self.tensor._version != self.version:
            raise ValueError(
                f"{self.name} was changed in place since the Problem was made, which keeps its values "
                "of then; make a new Problem from it for every solve"
            )


def is_tensor(value: Any) -> bool:
    """Whether it is a torch tensor (torch is looked up, never imported)."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def plain(name: str, value: Any) -> tuple[Any, Leaf | None]:
    """A value without its gradient, as NumPy understands it, and the leaf if it is one.

    Raises
    ------
    TypeError
        If it is a tensor inside a torch.func transformation or not real.
    NotImplementedError
        If it does not live on the CPU.
    """
    if not is_tensor(value):
        return value, None
    torch = sys.modules["torch"]
    if value.device.type != "cpu":
        raise NotImplementedError(f"{name} must be on the CPU, it is on {value.device}")
    if value.dtype not in (torch.float32, torch.float64) and value.requires_grad:
        raise TypeError(f"{name} must be float32 or float64, got {value.dtype}")
    try:
        array = value.detach().resolve_neg().numpy()
    except RuntimeError:
        raise TypeError(
            f"{name} is inside a torch.func transformation or torch.compile, where there is no Problem; "
            "fourfold.nlse.propagate takes tensors alone"
        ) from None
    kept = array.item() if array.ndim == 0 else array
    return kept, Leaf(name, value, value._version) if value.requires_grad else None
