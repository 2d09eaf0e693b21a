"""The one place of the bases that hands addresses to C++ (csrc/bindings/kan_bases.cpp, cuda_kan_bases.cpp)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from fourfold import _core
from fourfold._gpu import cuda_kernels, current_stream, has_cuda_kernels, no_cuda_kernels
from fourfold._threads import get_num_threads
from fourfold.kan._basis_formulas import ACTIVATIONS, COMBINATIONS

__all__ = [
    "FUNCTIONS",
    "SERIES",
    "basis",
    "basis_backward",
    "spline",
    "spline_backward",
    "spline_linear",
    "spline_linear_backward",
]

# As fourfold::kan::Function.
FUNCTIONS = {
    "gaussian": 0,
    "mexican_hat": 1,
    "morlet": 2,
    "dog": 3,
    "bump": 4,
    "chebyshev": 5,
    "fourier": 6,
} | {
    f"{combination} of {activation}": 16 + len(COMBINATIONS) * s + c
    for s, activation in enumerate(ACTIVATIONS)
    for c, combination in enumerate(COMBINATIONS)
}
SERIES = frozenset({"chebyshev", "fourier"})

_SUFFIX = {torch.float32: "float32", torch.float64: "float64"}


def basis(x: Tensor, centre: Tensor, scale: Tensor, function: str, functions: int) -> Tensor:
    """Return the functions at ``x`` (..., D): a new tensor (..., functions, D)."""
    x = _ready("x", x, x)
    centre, scale = _parameters(x, centre, scale, function, functions)
    out = x.new_empty((*x.shape[:-1], functions, x.shape[-1]))
    if out.numel() > 0:
        _call("basis", x)(
            **_family(x, centre, scale, function, functions), x=_address(x), out=_address(out)
        )
    return out


def basis_backward(
    grad: Tensor, x: Tensor, centre: Tensor, scale: Tensor, function: str, wanted: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, and (if wanted, else empty tensors) of centre and scale."""
    x = _ready("x", x, x)
    functions = grad.shape[-2]
    grad = _ready("grad", grad, x, (*x.shape[:-1], functions, x.shape[-1]))
    centre, scale = _parameters(x, centre, scale, function, functions)
    dx = torch.empty_like(x)
    shape = (functions, x.shape[-1]) if wanted else (0,)
    dcentre, dscale = x.new_zeros(shape), x.new_zeros(shape)
    if grad.numel() > 0:
        family = _family(x, centre, scale, function, functions)
        scratch = _workspace(x, family, wanted)
        _call("basis_contract", x)(
            **family,
            **({} if x.is_cpu else {"workspace": _address(scratch)}),
            grad=_address(grad),
            x=_address(x),
            dx=_address(dx),
            dcentre=_address(dcentre),
            dscale=_address(dscale),
        )
    else:
        dx.zero_()
    return dx, dcentre, dscale


def spline(x: Tensor, knots: Tensor, table: Tensor, derivative: int) -> Tensor:
    """Return the B-splines, or a derivative of them, at ``x`` (..., D): a new (..., K, D)."""
    x = _ready("x", x, x)
    layout, keep = _spline(x, knots, table)
    functions = layout["intervals"] + layout["degree"]
    out = x.new_empty((*x.shape[:-1], functions, x.shape[-1]))
    if out.numel() > 0:
        _call("spline", x)(
            **layout, rows=_rows(x), derivative=_order(derivative), x=_address(x), out=_address(out)
        )
    del keep
    return out


def spline_backward(
    grad: Tensor, x: Tensor, knots: Tensor, table: Tensor, derivative: int
) -> Tensor:
    """Return the sum over the functions of ``grad`` (..., K, D) times their derivative at x."""
    x = _ready("x", x, x)
    layout, keep = _spline(x, knots, table)
    functions = layout["intervals"] + layout["degree"]
    grad = _ready("grad", grad, x, (*x.shape[:-1], functions, x.shape[-1]))
    dx = torch.empty_like(x)
    if dx.numel() > 0:
        _call("spline_contract", x)(
            **layout,
            rows=_rows(x),
            derivative=_order(derivative),
            grad=_address(grad),
            x=_address(x),
            dx=_address(dx),
        )
    del keep
    return dx


def spline_linear(x: Tensor, weight: Tensor, knots: Tensor, table: Tensor) -> Tensor:
    """Return ``y[..., o] = sum over j, d of B_j(x[..., d]) weight[j, d, o]``."""
    x = _ready("x", x, x)
    layout, keep = _spline(x, knots, table)
    weight = _weight(x, weight, layout)
    if not x.is_cpu:
        # A product of dense matrices is faster there than fewer sums with weights from everywhere.
        return spline(x, knots, table, 0).flatten(-2) @ weight.flatten(0, 1)
    outputs = weight.shape[-1]
    y = x.new_empty((*x.shape[:-1], outputs))
    if y.numel() > 0:
        _call("spline_linear", x)(
            **layout,
            rows=_rows(x),
            outputs=outputs,
            x=_address(x),
            weight=_address(weight),
            y=_address(y),
        )
    del keep
    return y


def spline_linear_backward(
    grad: Tensor, x: Tensor, weight: Tensor, knots: Tensor, table: Tensor, wants_x: bool
) -> tuple[Tensor, Tensor]:
    """Return the gradients of x (if wanted, else an empty tensor) and of the weight."""
    x = _ready("x", x, x)
    layout, keep = _spline(x, knots, table)
    weight = _weight(x, weight, layout)
    outputs = weight.shape[-1]
    grad = _ready("grad", grad, x, (*x.shape[:-1], outputs))
    if not x.is_cpu:
        return _products_backward(grad, x, weight, knots, table, wants_x)
    dx = torch.empty_like(x) if wants_x else x.new_empty(0)
    dweight = torch.empty_like(weight)
    _call("spline_linear_backward", x)(
        **layout,
        rows=_rows(x),
        outputs=outputs,
        grad=_address(grad),
        x=_address(x),
        weight=_address(weight),
        dx=_address(dx),
        dweight=_address(dweight),
    )
    del keep
    return dx, dweight


def _products_backward(
    grad: Tensor, x: Tensor, weight: Tensor, knots: Tensor, table: Tensor, wants_x: bool
) -> tuple[Tensor, Tensor]:
    """As `spline_linear_backward`, by products of dense matrices; the values are computed again."""
    matrix = weight.flatten(0, 1)
    values = spline(x, knots, table, 0).reshape(-1, matrix.shape[0])
    dweight = (values.T @ grad.reshape(-1, grad.shape[-1])).view(weight.shape)
    if not wants_x:
        return x.new_empty(0), dweight
    inner = (grad @ matrix.T).reshape(*x.shape[:-1], *weight.shape[:2])
    return spline_backward(inner, x, knots, table, 1), dweight


def _call(name: str, x: Tensor) -> Any:
    full = f"{name}_{_SUFFIX[x.dtype]}"
    if x.is_cpu:
        return partial(getattr(_core.kan, full), threads=get_num_threads())
    device = x.device.index
    stream = current_stream(device)
    return partial(getattr(cuda_kernels().kan, full), device=device, stream=stream)


def _workspace(x: Tensor, family: dict[str, Any], wanted: bool) -> Tensor:
    """On a GPU, room for the parts of the gradients of centre and scale, if they are wanted."""
    if x.is_cpu or not wanted or family["centre"] == 0:
        return x.new_empty(0)
    size_of = getattr(cuda_kernels().kan, f"basis_workspace_{_SUFFIX[x.dtype]}")
    known = {name: family[name] for name in ("function", "features", "functions", "rows")}
    return x.new_empty(size_of(**known, device=x.device.index))


def _ready(name: str, tensor: Tensor, like: Tensor, shape: tuple[int, ...] | None = None) -> Tensor:
    """The tensor, contiguous; it must be of the dtype and device (and shape) that the others have."""
    if not (tensor.is_cpu or (tensor.device.type == "cuda" and has_cuda_kernels())):
        why = f": {no_cuda_kernels()}" if tensor.device.type == "cuda" else ""
        raise NotImplementedError(
            f"{name}: the bases have no kernel for tensors on {tensor.device}{why}; "
            "implementation='torch' runs anywhere"
        )
    if tensor.device != like.device:
        raise ValueError(f"{name}: expected on {like.device} like x, got one on {tensor.device}")
    if tensor.dtype not in _SUFFIX:
        raise TypeError(f"{name}: expected float32 or float64, got {tensor.dtype}")
    if tensor.dtype != like.dtype:
        raise TypeError(f"{name}: expected {like.dtype} as x has, got {tensor.dtype}")
    if tensor.dim() == 0:
        raise ValueError(f"{name}: expected at least one dimension, got a scalar")
    if shape is not None and tensor.shape != shape:
        raise ValueError(f"{name}: expected shape {tuple(shape)}, got {tuple(tensor.shape)}")
    # A negated view has the address of what it negates.
    return tensor.resolve_neg().contiguous()


def _parameters(
    x: Tensor, centre: Tensor, scale: Tensor, function: str, functions: int
) -> tuple[Tensor, Tensor]:
    if function not in FUNCTIONS:
        raise ValueError(f"function: expected one of {sorted(FUNCTIONS)}, got {function!r}")
    if functions < 1 or (function == "fourier" and functions % 2 != 0):
        raise ValueError(f"functions: {functions} is no number of functions for {function}")
    shape = (0,) if function in SERIES else (functions, x.shape[-1])
    return _ready("centre", centre, x, shape), _ready("scale", scale, x, shape)


def _family(
    x: Tensor, centre: Tensor, scale: Tensor, function: str, functions: int
) -> dict[str, Any]:
    return {
        "function": FUNCTIONS[function],
        "features": x.shape[-1],
        "functions": functions,
        "centre": _address(centre),
        "scale": _address(scale),
        "rows": _rows(x),
    }


def _spline(x: Tensor, knots: Tensor, table: Tensor) -> tuple[dict[str, Any], tuple[Tensor, ...]]:
    """What C++ must know of the splines, and the tensors that have to outlive the call."""
    knots, table = _ready("knots", knots, x), _ready("table", table, x)
    degree = table.shape[-1] - 1
    rows = table.shape[0]
    intervals = knots.shape[0] - 2 * degree - 1
    expected = (rows, intervals + 2 * degree + 2, degree + 2, degree + 1)
    if not 1 <= degree <= 5 or intervals < 1 or rows not in (1, x.shape[-1]):
        raise ValueError(
            f"table, knots: shapes {tuple(table.shape)} and {tuple(knots.shape)} are not those of "
            f"splines of degree 1 to 5 on {x.shape[-1]} features"
        )
    _ready("table", table, x, expected)
    _ready("knots", knots, x, (intervals + 2 * degree + 1, rows))
    layout = {
        "features": x.shape[-1],
        "degree": degree,
        "intervals": intervals,
        "shared": rows == 1,
        "knots": _address(knots),
        "table": _address(table),
    }
    return layout, (knots, table)


def _weight(x: Tensor, weight: Tensor, layout: dict[str, Any]) -> Tensor:
    functions = layout["intervals"] + layout["degree"]
    return _ready("weight", weight, x, (functions, x.shape[-1], weight.shape[-1]))


def _order(derivative: int) -> int:
    if derivative < 0:
        raise ValueError(f"derivative: expected at least 0, got {derivative}")
    return derivative


def _rows(x: Tensor) -> int:
    return x.numel() // x.shape[-1] if x.shape[-1] > 0 else 0


def _address(tensor: Tensor) -> int:
    """The address; 0 for an empty tensor, which C++ takes for one that is not wanted."""
    address = tensor.data_ptr()
    if address == 0 and tensor.numel() > 0:
        raise ValueError("a tensor without storage cannot be handed to the compiled bases")
    return address if tensor.numel() > 0 else 0
