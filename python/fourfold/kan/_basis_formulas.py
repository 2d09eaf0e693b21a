"""The bases as plain torch formulas: what the compiled kernels are tested against and fall back on.

Every function takes ``x`` (..., D) and returns (..., K, D). They differentiate to any order, export,
and run on any device.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "ACTIVATIONS",
    "COMBINATIONS",
    "basis",
    "basis_gradients",
    "chebyshev",
    "combined",
    "family",
    "fourier",
    "spline",
    "spline_linear",
]

# Beyond it every family is 0 even in double precision; cut there, u^2 cannot overflow.
_FAR_OUT = 60.0
#: Of AF-KAN, in the order of fourfold::kan::Activation and fourfold::kan::Combination.
ACTIVATIONS = (
    "softplus",
    "sigmoid",
    "silu",
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "selu",
    "tanh",
)
COMBINATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "quad1": lambda a, b: (a * b).square(),
    "quad2": lambda a, b: a * b + a.square() + b.square(),
    "sum": lambda a, b: a + b,
    "prod": lambda a, b: a * b,
    "sum_prod": lambda a, b: a + b + a * b,
    "cubic1": lambda a, b: (a + b) * (a.square() + b.square()),
    "cubic2": lambda a, b: (a * b) ** 3,
}

_MEXICAN_HAT = 2 / (math.sqrt(3) * math.pi**0.25)  # unit L2 norm


def basis(x: Tensor, centre: Tensor, scale: Tensor, function: str, functions: int) -> Tensor:
    """Whichever it is; as `fourfold.kan._basis_kernel.basis`."""
    if function == "chebyshev":
        return chebyshev(x, functions)
    if function == "fourier":
        return fourier(x, functions // 2)
    if " of " in function:
        return combined(x, centre, scale, function)
    return family(x, centre, scale, function)


def combined(x: Tensor, low: Tensor, high: Tensor, function: str) -> Tensor:
    """``c(s(x - low), s(high - x))``, with low and high (K, D); named "c of s"."""
    combination, _, activation = function.partition(" of ")
    s = getattr(F, activation)
    expanded = x.unsqueeze(-2)
    return COMBINATIONS[combination](s(expanded - low), s(high - expanded))


def family(x: Tensor, centre: Tensor, scale: Tensor, function: str) -> Tensor:
    """``f((x - centre) scale)``, with centre and scale (K, D)."""
    u = ((x.unsqueeze(-2) - centre) * scale).clamp(-_FAR_OUT, _FAR_OUT)
    square = u * u
    if function == "bump":
        bump: Tensor = (1 - square).relu().square()
        return bump
    if function == "gaussian":
        return torch.exp(-square)
    envelope: Tensor = torch.exp(-0.5 * square)
    if function == "mexican_hat":
        hat: Tensor = envelope * (1 - square) * _MEXICAN_HAT
        return hat
    if function == "morlet":
        return torch.cos(5 * u) * envelope
    if function == "dog":
        return -u * envelope
    raise ValueError(f"function: {function!r} is no family")


def chebyshev(x: Tensor, functions: int) -> Tensor:
    """``T_0(x) .. T_(functions - 1)(x)`` by their recurrence."""
    planes = [torch.ones_like(x), x]
    for _ in range(functions - 2):
        planes.append(2 * x * planes[-1] - planes[-2])
    return torch.stack(planes[:functions], dim=-2)


def fourier(x: Tensor, terms: int) -> Tensor:
    """``cos(j x)`` for j = 1 .. terms, then ``sin(j x)``."""
    angle = x.unsqueeze(-2) * torch.arange(1, terms + 1, dtype=x.dtype, device=x.device)[:, None]
    return torch.cat([angle.cos(), angle.sin()], dim=-2)


def basis_gradients(
    grad: Tensor, x: Tensor, centre: Tensor, scale: Tensor, function: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, centre and scale for the gradient ``grad`` (..., K, D) of `basis`."""
    if function == "chebyshev":
        return (grad * _chebyshev_slopes(x, grad.shape[-2])).sum(dim=-2), centre, scale
    if function == "fourier":
        return (grad * _fourier_slopes(x, grad.shape[-2] // 2)).sum(dim=-2), centre, scale
    if " of " in function:
        pull = torch.func.vjp(lambda z, a, b: combined(z, a, b, function), x, centre, scale)[1]
        dx, dlow, dhigh = pull(grad)
        return dx, dlow, dhigh
    distance = x.unsqueeze(-2) - centre
    inner = grad * _family_slopes((distance * scale).clamp(-_FAR_OUT, _FAR_OUT), function)
    along = inner * scale
    leading = tuple(range(grad.dim() - 2))
    if not leading:
        return along.sum(dim=-2), -along, inner * distance
    return along.sum(dim=-2), -along.sum(dim=leading), (inner * distance).sum(dim=leading)


def _chebyshev_slopes(x: Tensor, functions: int) -> Tensor:
    """``j U_(j-1)(x)``."""
    planes = [torch.zeros_like(x), torch.ones_like(x)]
    for _ in range(functions - 2):
        planes.append(2 * x * planes[-1] - planes[-2])
    return torch.stack([j * plane for j, plane in enumerate(planes[:functions])], dim=-2)


def _fourier_slopes(x: Tensor, terms: int) -> Tensor:
    j = torch.arange(1, terms + 1, dtype=x.dtype, device=x.device)[:, None]
    angle = x.unsqueeze(-2) * j
    return torch.cat([-j * angle.sin(), j * angle.cos()], dim=-2)


def _family_slopes(u: Tensor, function: str) -> Tensor:
    square = u * u
    if function == "bump":
        slope: Tensor = -4 * u * (1 - square).relu()
        return slope
    if function == "gaussian":
        return -2 * u * torch.exp(-square)
    envelope: Tensor = torch.exp(-0.5 * square)
    if function == "mexican_hat":
        slope_of_hat: Tensor = envelope * u * (square - 3) * _MEXICAN_HAT
        return slope_of_hat
    if function == "morlet":
        return -(5 * torch.sin(5 * u) + u * torch.cos(5 * u)) * envelope
    return (square - 1) * envelope


def spline(x: Tensor, knots: Tensor, table: Tensor, derivative: int = 0) -> Tensor:
    """B-splines from the table of their polynomials; see csrc/kan/bases.hpp for its layout."""
    degree = table.shape[-1] - 1
    intervals = knots.shape[0] - 2 * degree - 1
    interval = (x.unsqueeze(-2) >= knots).sum(dim=-2)
    if table.shape[0] == 1:
        row = table[0, interval]
    else:
        row = table[torch.arange(x.shape[-1], device=x.device), interval]
    origin, inverse_width = row[..., 0, 0], row[..., 0, 1]
    u = ((x - origin) * inverse_width).unsqueeze(-1)
    values = torch.zeros_like(row[..., 0, :])
    for power in range(degree, derivative - 1, -1):
        values = values * u + row[..., 1 + power, :] * math.perm(power, derivative)
    values = values * (inverse_width.unsqueeze(-1) ** derivative + 0 * u)
    first = (interval - 1 - degree).clamp(0, intervals - 1)
    slots = torch.arange(degree + 1, device=x.device)[:, None]
    out = x.new_zeros((*x.shape[:-1], intervals + degree, x.shape[-1]))
    return out.scatter(-2, first.unsqueeze(-2) + slots, values.transpose(-1, -2))


def spline_linear(x: Tensor, weight: Tensor, knots: Tensor, table: Tensor) -> Tensor:
    """``sum over j, d of B_j(x[..., d]) weight[j, d, o]``."""
    return spline(x, knots, table).flatten(-2) @ weight.flatten(0, 1)
