"""What a call of `rational` may look like: checks of dtypes, shapes and devices, with no look at the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

__all__ = ["LARGEST_DEGREE", "VARIANTS", "Signature", "check"]

LARGEST_DEGREE = 12
VARIANTS = ("A", "B", "C", "N")
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


class Signature(NamedTuple):
    """The degrees and the layout of a valid call."""

    m: int
    n: int
    groups: int
    channels: int
    dim: int  # from 0 on
    shared_numerator: bool
    shared_denominator: bool


def check(
    x: torch.Tensor,
    numerator: torch.Tensor,
    denominator: torch.Tensor,
    variant: str,
    dim: int,
) -> Signature:
    """Return what the shapes say, or raise a `ValueError` or `TypeError` that says what came."""
    if variant not in VARIANTS:
        raise ValueError(f"variant: expected one of {', '.join(VARIANTS)}, got {variant!r}")
    if not isinstance(dim, int):
        raise TypeError(f"dim: expected an integer, got {dim!r}")
    for name, value in (("x", x), ("numerator", numerator), ("denominator", denominator)):
        if value.layout != torch.strided or value.is_nested:
            raise TypeError(f"{name}: expected a dense tensor, got one of layout {value.layout}")
    if x.dtype not in DTYPES:
        raise TypeError(f"x: expected float64, float32, bfloat16 or float16, got {_name(x.dtype)}")
    for name, coefficients in (("numerator", numerator), ("denominator", denominator)):
        if coefficients.dtype not in DTYPES:
            raise TypeError(
                f"{name}: expected a floating-point tensor, got {_name(coefficients.dtype)}"
            )
        if coefficients.dtype == torch.float64 and x.dtype != torch.float64:
            raise TypeError(
                f"{name}: float64 coefficients need float64 x, got x of {_name(x.dtype)}; "
                "convert one of them"
            )
        if coefficients.device != x.device:
            raise ValueError(f"{name}: expected on {x.device} like x, got {coefficients.device}")
        if coefficients.dim() != 2:
            raise ValueError(
                f"{name}: expected shape (groups or 1, coefficients), "
                f"got {tuple(coefficients.shape)}"
            )
    return check_shapes(x.shape, numerator.shape, denominator.shape, variant, dim)


def check_shapes(
    x: Sequence[int],
    numerator: Sequence[int],
    denominator: Sequence[int],
    variant: str,
    dim: int,
) -> Signature:
    """The part of `check` that concerns shapes."""
    if len(x) == 0:
        raise ValueError("x: expected at least one dimension, got a scalar")
    if not -len(x) <= dim < len(x):
        raise ValueError(
            f"dim: expected {-len(x)} to {len(x) - 1} for x of shape {tuple(x)}, got {dim}"
        )
    m = numerator[1] - 1
    n = denominator[1] - (1 if variant == "C" else 0)
    for name, degree, columns, first in (
        ("numerator", m, numerator[1], "a_0"),
        ("denominator", n, denominator[1], "b_0" if variant == "C" else "b_1"),
    ):
        if not 0 <= degree <= LARGEST_DEGREE:
            raise ValueError(
                f"{name}: expected the coefficients from {first} on of a polynomial of degree 0 to "
                f"{LARGEST_DEGREE}, got {columns} of them"
            )
    # Sizes may be symbols of torch.compile: compared, not converted, so that they stay dynamic.
    rows_a, rows_b = numerator[0], denominator[0]
    groups = rows_a if rows_b == 1 else rows_b
    if groups == 0 or not (rows_a == groups or rows_a == 1):
        raise ValueError(
            "numerator, denominator: expected the same number of groups, or 1, in the first "
            f"dimension of both, got {rows_a} and {rows_b}"
        )
    dim %= len(x)
    if x[dim] % groups != 0:
        raise ValueError(
            f"x: expected a number of channels that {groups} groups divide, "
            f"got {x[dim]} in dimension {dim} of {tuple(x)}"
        )
    return Signature(m, n, groups, x[dim], dim, bool(rows_a == 1), bool(rows_b == 1))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
