"""Checks of arguments that many modules share."""

from __future__ import annotations

from collections.abc import Container

import torch

__all__ = [
    "check_domain",
    "check_dtype",
    "check_multiple",
    "check_positive",
    "check_tensor",
    "is_name",
]


def check_tensor(name: str, value: object) -> None:
    """Refuse what is no tensor."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name}: expected a torch tensor, got {type(value).__name__}")


def is_name(value: object, names: Container[str]) -> bool:
    """Whether it is one of the names. What is no string, and perhaps cannot be looked up, is none."""
    return isinstance(value, str) and value in names


def check_positive(name: str, value: int, least: int = 1) -> None:
    """Refuse what is not an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")


def check_multiple(name: str, value: int, groups: int) -> None:
    """Refuse a number of channels that groups do not divide."""
    check_positive("groups", groups)
    check_positive(name, value)
    if value % groups != 0:
        raise ValueError(f"{name}: expected a multiple of {groups} groups, got {value}")


def check_dtype(x: torch.Tensor, weight: torch.Tensor) -> None:
    """Refuse what is no tensor of the layer's dtype, unless autocast sees to that."""
    check_tensor("x", x)
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise TypeError(f"x: expected {weight.dtype} as the layer has, got {x.dtype}")


def check_domain(domain: tuple[float, float]) -> tuple[float, float]:
    """Return the two ends of an interval as floats; refuse anything else."""
    try:
        low, high = (float(end) for end in domain)
    except (TypeError, ValueError):
        raise ValueError(f"domain: expected two numbers (low, high), got {domain!r}") from None
    if not low < high or not abs(high - low) < float("inf"):
        raise ValueError(f"domain: expected finite low < high, got {domain!r}")
    return low, high
