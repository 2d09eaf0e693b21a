"""The rational functions in plain torch: for export, for ONNX, for other devices, and for higher derivatives.

Same values and same conventions as the kernel: the derivatives of ``|b|`` and ``|x|`` at 0 are +1, and far from the
origin F is computed in ``1/x`` with the highest coefficients that are not zero. Everything is differentiable by torch.
One thing differs: beyond `_limit` the derivatives with respect to coefficients that are zero, above the highest one that
is not, stay what they are there instead of growing on.
"""

from __future__ import annotations

import torch

__all__ = ["twin"]

Tensor = torch.Tensor


def twin(x: Tensor, numerator: Tensor, denominator: Tensor, variant: str, dim: int) -> Tensor:
    """F(x). Arguments are checked; see `fourfold.kan.rational`."""
    compute = torch.float64 if x.dtype == torch.float64 else torch.float32
    a, b = numerator.to(compute), denominator.to(compute)
    groups = max(a.shape[0], b.shape[0])
    a, b = a.expand(groups, -1), b.expand(groups, -1)
    dim = dim % x.dim()
    grouped = x.to(compute).reshape(
        *x.shape[:dim], groups, x.shape[dim] // groups, *x.shape[dim + 1 :]
    )
    after = grouped.dim() - dim - 1

    def columns(table: Tensor) -> list[Tensor]:
        return [column.reshape(groups, *[1] * after) for column in table.unbind(1)]

    absolute = variant == "A"
    b = _magnitude(b) if absolute else b
    # W = sum c_j t^j; where it is not folded its constant is the denominator's.
    constant = {"A": 0.0, "B": 1.0, "C": 0.1, "N": 0.0}[variant]
    if variant != "C":
        first = torch.zeros_like if variant == "B" else torch.ones_like
        b = torch.cat([first(a[:, :1]), b], dim=1)
    folded = variant in "BC"

    # Each form sees only arguments at which it is finite, so that no gradient becomes 0 times infinity.
    limit = _limit(compute, max(a.shape[1], b.shape[1]))
    far = grouped.abs() > limit
    one = torch.ones_like(grouped)
    near_x = torch.where(far, one, grouped)
    near_t = _magnitude(near_x) if absolute else near_x
    w = _horner(columns(b), near_t)
    q = constant + _magnitude(w) if folded else w
    near = _horner(columns(a), near_x) / q

    far_x = torch.where(far, grouped, one)
    far_t = _magnitude(far_x) if absolute else far_x
    from_a, above_a, m = _from_highest(a)
    from_b, above_b, n = _from_highest(b)
    m, n = (degree.reshape(groups, *[1] * after) for degree in (m, n))
    clamped_x, clamped_t = far_x.clamp(-limit, limit), far_t.clamp(-limit, limit)
    p = _horner(columns(from_a), 1 / far_x) + _horner(columns(above_a), clamped_x) * clamped_x
    w = _horner(columns(from_b), 1 / far_t) + _horner(columns(above_b), clamped_t) * clamped_t
    if folded:
        # Q = |W| + constant = |t|^n (|w| + constant |t|^-n)
        q = _magnitude(w) + constant * _power(_magnitude(far_t), -n)
        sign = _parity(far_x, m)
    else:
        q = w
        sign = _parity(far_x, m) * (1 if absolute else _parity(far_x, n))
    beyond = _power(_magnitude(far_x), m - n) * (sign * p / q)
    return torch.where(far, beyond, near).flatten(dim, dim + 1).to(x.dtype)


def _magnitude(z: Tensor) -> Tensor:
    """|z|, with the derivative +1 at 0."""
    return torch.where(z >= 0, z, -z)


def _horner(coefficients: list[Tensor], x: Tensor) -> Tensor:
    value = torch.zeros_like(x) + coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


def _limit(dtype: torch.dtype, coefficients: int) -> float:
    """Up to where Horner's form is far from overflow."""
    largest, bits = (128, 512) if dtype == torch.float64 else (16, 60)
    return float(2 ** min(largest, bits // coefficients))


def _from_highest(table: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of coefficients from the highest that is not zero down, those above it, and its degree.

    The latter are zero; they are there for their derivatives.
    """
    size = table.shape[1]
    index = torch.arange(size, device=table.device)
    degree = torch.where(table != 0, index, 0).amax(dim=1, keepdim=True)
    down, up = degree - index, degree + 1 + index
    zero = torch.zeros_like(table)
    below = torch.where(down >= 0, torch.gather(table, 1, down.clamp(min=0)), zero)
    above = torch.where(up < size, torch.gather(table, 1, up.clamp(max=size - 1)), zero)
    return below, above, degree


def _parity(x: Tensor, exponent: Tensor) -> Tensor:
    """The sign of x^exponent."""
    odd = exponent % 2 == 1
    return torch.where((x < 0) & odd, -torch.ones_like(x), torch.ones_like(x))


def _power(base: Tensor, exponent: Tensor) -> Tensor:
    return torch.pow(base, exponent.to(base.dtype))
