"""The rational functions in plain torch: for export, for ONNX, for other devices, and for higher derivatives.

Same values and same conventions as the kernel: the derivatives of ``|b|`` and ``|x|`` at 0 are +1, and far from the
origin F is computed in ``1/x`` with the highest coefficients that are not zero. Everything is differentiable by torch.
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
    grouped = x.to(compute).unflatten(dim, (groups, x.shape[dim] // groups))
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
    far = grouped.abs() > 1
    one = torch.ones_like(grouped)
    near_x = torch.where(far, one, grouped)
    near_t = _magnitude(near_x) if absolute else near_x
    w = _horner(columns(b), near_t)
    q = constant + _magnitude(w) if folded else w
    near = _horner(columns(a), near_x) / q

    far_x = torch.where(far, grouped, one)
    far_t = _magnitude(far_x) if absolute else far_x
    from_a, m = _from_highest(a)
    from_b, n = _from_highest(b)
    m, n = (degree.reshape(groups, *[1] * after) for degree in (m, n))
    w = _horner(columns(from_b), 1 / far_t)
    if folded:
        # Q = |W| + constant = |t|^n (|w| + constant |t|^-n)
        q = _magnitude(w) + constant * _power(_magnitude(far_t), -n)
        sign = _parity(far_x, m)
    else:
        q = w
        sign = _parity(far_x, m) * (1 if absolute else _parity(far_x, n))
    ratio = sign * _horner(columns(from_a), 1 / far_x) / q
    beyond = _power(_magnitude(far_x), m - n) * ratio
    return torch.where(far, beyond, near).flatten(dim, dim + 1).to(x.dtype)


def _magnitude(z: Tensor) -> Tensor:
    """|z|, with the derivative +1 at 0."""
    return torch.where(z >= 0, z, -z)


def _horner(coefficients: list[Tensor], x: Tensor) -> Tensor:
    value = torch.zeros_like(x) + coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


def _from_highest(table: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of coefficients reversed, the highest that is not zero first, and its degree."""
    size = table.shape[1]
    index = torch.arange(size, device=table.device)
    degree = torch.where(table != 0, index, 0).amax(dim=1, keepdim=True)
    source = degree - index
    moved = torch.gather(table, 1, source.clamp(min=0))
    return torch.where(source >= 0, moved, torch.zeros_like(moved)), degree


def _parity(x: Tensor, exponent: Tensor) -> Tensor:
    """The sign of x^exponent."""
    odd = exponent % 2 == 1
    return torch.where((x < 0) & odd, -torch.ones_like(x), torch.ones_like(x))


def _power(base: Tensor, exponent: Tensor) -> Tensor:
    return torch.pow(base, exponent.to(base.dtype))
