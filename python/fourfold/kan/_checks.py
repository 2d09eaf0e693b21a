"""Checks of arguments that many modules share."""

from __future__ import annotations

import torch

__all__ = ["check_domain", "check_positive", "check_tensor"]


def check_tensor(name: str, value: object) -> None:
    """Refuse what is no tensor."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name}: expected a torch tensor, got {type(value).__name__}")


def check_positive(name: str, value: int, least: int = 1) -> None:
    """Refuse what is not an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")


def check_domain(domain: tuple[float, float]) -> tuple[float, float]:
    """Return the two ends of an interval as floats; refuse anything else."""
    try:
        low, high = (float(end) for end in domain)
    except (TypeError, ValueError):
        raise ValueError(f"domain: expected two numbers (low, high), got {domain!r}") from None
    if not low < high or not abs(high - low) < float("inf"):
        raise ValueError(f"domain: expected finite low < high, got {domain!r}")
    return low, high
