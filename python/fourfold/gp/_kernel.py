"""The one place of `fourfold.gp` that hands the addresses of tensors of the algebra to C++.

Everything here takes contiguous tensors of one dtype, float32 or float64, and on one device, with the batch flattened
to one axis, and sees to it that they stay alive. Data has the shape (batch, count, N), N the product of the
sizes of the modes, in C order. Tensors that are not the CPU's go through `_through_torch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fourfold import _core
from fourfold._threads import get_num_threads
from fourfold.gp import _cuda_kernel, _large, _through_torch

__all__ = [
    "SMALL",
    "all_finite",
    "are_large",
    "asymmetry",
    "durbin",
    "in_one_call",
    "is_here",
    "is_large",
    "mode_gram",
    "mode_products",
    "row_dots",
    "scale_rows",
    "small_eigh",
    "spectral_backward",
    "spectral_divide_",
    "spectral_forward",
    "spectral_sums",
    "triangular_solves",
]

SMALL = 512
"""Systems with a factor larger than this go through torch's BLAS and LAPACK altogether.

Our own threads and those of torch would wait for each other's cores if they took turns. Up to this size one matrix on
each of our threads takes less time than LAPACK on all of them.
"""

SMALL_MODE = 32
"""Products with larger matrices, if they are square, are done in place of the result."""

_torch_alone = False  # tests: the CPU's tensors go through `_through_torch`, too


def is_here(tensor: Tensor) -> bool:
    """Whether this is for the CPU's kernels."""
    return tensor.is_cpu and not _torch_alone


def _call(name: str, dtype: torch.dtype, **arguments: Any) -> Any:
    """C++ `name` for this dtype, with the addresses of tensors, and of lists of tensors, and our threads."""
    suffix = "float32" if dtype == torch.float32 else "float64"
    values = [_value(key, value, dtype) for key, value in arguments.items()]
    return getattr(_core.gp, f"{name}_{suffix}")(*values, get_num_threads())


def _value(name: str, value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return _address(name, value, dtype)
    if isinstance(value, list) and value and isinstance(value[0], Tensor):
        return [_address(name, one, dtype) for one in value]
    return value


def _address(name: str, tensor: Tensor, dtype: torch.dtype) -> int:
    if tensor.dtype != dtype or not tensor.is_contiguous() or tensor.device.type != "cpu":
        raise ValueError(
            f"{name}: expected a contiguous CPU tensor of {dtype}, got {tensor.dtype} of shape "
            f"{tuple(tensor.shape)} and strides {tensor.stride()} on {tensor.device}"
        )
    address = tensor.data_ptr()
    if address == 0 and tensor.numel() > 0:
        raise ValueError(f"{name}: this tensor has no memory")
    return int(address)


def mode_products(matrices: Sequence[Tensor], x: Tensor, *, transposed: bool = False) -> Tensor:
    """``(M_1 (x) ... (x) M_d) x`` (``transposed``: of their transposes).

    ``matrices[k]`` has the shape (batch or 1, rows, columns) and any strides.
    """
    if not is_here(x):
        return _through_torch.mode_products([m.mT for m in matrices] if transposed else matrices, x)
    if is_large(matrices):
        return _large.mode_products([m.mT for m in matrices] if transposed else matrices, x)
    batch, count, total = x.shape
    dtype = x.dtype
    modes = []
    size = total
    steps = []
    for matrix in matrices:
        item, rs, cs = matrix.stride()
        rows, columns = matrix.shape[-2:]
        if transposed:
            rows, columns, rs, cs = columns, rows, cs, rs
        if matrix.dtype != dtype or matrix.device.type != "cpu":
            raise ValueError(f"a factor is {matrix.dtype} on {matrix.device}, the data {dtype}")
        modes.append((rows, columns, matrix.data_ptr(), item if matrix.shape[0] > 1 else 0, rs, cs))
        size = size // columns * rows
        steps.append(size)
    out = x.new_empty(batch, count, size)
    work: Tensor | int = 0
    if any(m[0] != m[1] for m in modes) or max(m[0] for m in modes) <= SMALL_MODE:
        largest = max(steps[:-1], default=1)
        work = x.new_empty(batch * count * largest * (2 if largest > size else 1))
    if out.numel() > 0:
        _call(
            "mode_products", dtype, batch=batch, count=count, modes=modes, x=x, out=out, work=work
        )
    return out


def is_large(matrices: Sequence[Tensor]) -> bool:
    """Whether these go through torch's BLAS and LAPACK."""
    return are_large([max(m.shape[-2:]) for m in matrices])


def are_large(sizes: Sequence[int]) -> bool:
    """`is_large` by the sizes of the factors."""
    return max(sizes, default=0) > SMALL


def triangular_solves(
    lower: Sequence[Tensor], x: Tensor, *, transposed: bool = False, both: bool = False
) -> Tensor:
    """``(L_1 (x) ... (x) L_d)^-1 x``, with ``L_k'``, or with ``L_k L_k'`` (both).

    ``lower[k]`` is (batch or 1, n_k, n_k); entries above the diagonal are not looked at.
    """
    batch, count, _ = x.shape
    sizes = [m.shape[-1] for m in lower]
    if not is_here(x):
        if both:
            x = _through_torch.triangular_solves(lower, x, transposed=False)
        return _through_torch.triangular_solves(lower, x, transposed=transposed or both)
    if x.numel() > 0 and are_large(sizes):
        if both:
            x = _large.triangular_solves(lower, x, False)
        return _large.triangular_solves(lower, x, transposed or both)
    out = torch.empty_like(x)
    if x.numel() > 0:
        _call(
            "triangular_solves",
            x.dtype,
            batch=batch,
            count=count,
            sizes=sizes,
            items=[m.shape[0] for m in lower],
            lower=[m.contiguous() for m in lower],
            sweep=2 if both else int(transposed),
            x=x,
            out=out,
        )
    return out


def spectral_divide_(values: Sequence[Tensor], noise: Tensor, x: Tensor) -> Tensor:
    """``x <- x/D`` with ``D = values_1 (x) ... (x) values_d + noise``; returns the sums of ``x^2/D``.

    ``values[k]`` is (batch, n_k), ``noise`` (batch,); the sums are float64 of shape (batch, count).
    """
    if not is_here(x):
        return _through_torch.spectral_divide_(values, noise, x)
    batch, count, _ = x.shape
    quad = torch.zeros(batch, count, dtype=torch.float64)
    if x.numel() > 0:
        _call(
            "spectral_divide",
            x.dtype,
            batch=batch,
            count=count,
            sizes=[v.shape[-1] for v in values],
            values=list(values),
            noise=noise,
            x=x,
            quad=quad.data_ptr(),
        )
    return quad


def spectral_sums(
    values: Sequence[Tensor], noise: Tensor, *, traces: bool = False
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    """``sum log D``, ``sum 1/D`` and ``min D`` of each item; and sums of ``lambda_-k/D`` for each mode k.

    All float64: (batch,) three times, and (batch, n_k). ``lambda_-k`` is the product of the other modes' values. The
    sum of ``1/D`` is computed with ``traces`` only.
    """
    if not is_here(noise):
        return _through_torch.spectral_sums(values, noise, traces=traces)
    batch = noise.shape[0]
    sums = torch.empty(3, batch, dtype=torch.float64)
    per_mode = [torch.empty(v.shape, dtype=torch.float64) for v in values] if traces else []
    if batch > 0:
        logdet, inverse, smallest = (sums[i].data_ptr() for i in range(3))
        _call(
            "spectral_sums",
            noise.dtype,
            batch=batch,
            sizes=[v.shape[-1] for v in values],
            values=list(values),
            noise=noise,
            logdet=logdet,
            inverse=inverse,
            smallest=smallest,
            traces=[t.data_ptr() for t in per_mode],
        )
    return sums[0], sums[1], sums[2], per_mode


def mode_gram(
    sizes: Sequence[int], mode: int, x: Tensor, z: Tensor, values: Sequence[Tensor], weight: Tensor
) -> Tensor:
    """``sum_c weight_c X_c(k) diag(lambda_-k) Z_c(k)'`` of shape (batch, n_k, n_k).

    ``values`` empty: without the diagonal. ``weight`` is (batch, count).
    """
    if not is_here(x):
        return _through_torch.mode_gram(sizes, mode, x, z, values, weight)
    if are_large(sizes):
        return _large.mode_gram(sizes, mode, x, z, values, weight)
    batch, count, _ = x.shape
    n = sizes[mode]
    gram = x.new_zeros(batch, n, n)
    if x.numel() > 0:
        _call(
            "mode_gram",
            x.dtype,
            batch=batch,
            count=count,
            sizes=list(sizes),
            mode=mode,
            x=x,
            z=z,
            values=list(values),
            weight=weight,
            gram=gram,
        )
    return gram


def in_one_call(y: Tensor, sizes: Sequence[int], items: Sequence[int]) -> bool:
    """Whether `spectral_forward` and `spectral_backward` are for this system with right-hand sides y."""
    if is_here(y):
        return not are_large(sizes)
    return _cuda_kernel.system_fits(y, sizes, items)


def spectral_forward(
    factors: Sequence[Tensor], noise: Tensor, y: Tensor, limit: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor] | None:
    """``y'(K + s)^-1 y`` (batch, count), ``log det (K + s)`` (batch,), and basis, values and x for the gradient.

    None if a factor or y has entries that are not finite, a factor's entries across the diagonal differ by more than
    ``limit`` of its largest one, or a matrix is not positive definite. For systems `in_one_call`.
    """
    if not is_here(y):
        return _cuda_kernel.spectral_forward(factors, noise, y, limit)
    batch, count, _ = y.shape
    dtype = y.dtype
    sizes = [f.shape[-1] for f in factors]
    items = [f.shape[0] for f in factors]
    basis = y.new_empty(sum(i * n * n for i, n in zip(items, sizes, strict=True)))
    values = y.new_empty(batch * sum(sizes))
    x = torch.empty_like(y)
    quad = y.new_empty(batch, count)
    logdet = y.new_empty(batch)
    fine = _call(
        "spectral_forward",
        dtype,
        batch=batch,
        count=count,
        sizes=sizes,
        items=items,
        factors=list(factors),
        noise=noise,
        y=y,
        limit=limit,
        basis=basis,
        values=values,
        x=x,
        quad=quad,
        logdet=logdet,
    )
    return (quad, logdet, basis, values, x) if fine else None


def spectral_backward(
    grads: Sequence[Tensor],
    basis: Tensor,
    values: Tensor,
    noise: Tensor,
    x: Tensor,
    sizes: Sequence[int],
    items: Sequence[int],
    wanted: Sequence[bool],
    wants_y: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of the factors, packed as basis, of the noise and of y, for those of quad and logdet."""
    if not is_here(x):
        return _cuda_kernel.spectral_backward(
            grads, basis, values, noise, x, sizes, items, wanted, wants_y
        )
    grad_factors = torch.empty_like(basis)
    grad_noise = torch.empty_like(noise)
    grad_y = torch.empty_like(x) if wants_y else None
    _call(
        "spectral_backward",
        x.dtype,
        batch=x.shape[0],
        count=x.shape[1],
        sizes=sizes,
        items=items,
        basis=basis,
        values=values,
        noise=noise,
        x=x,
        grad_quad=grads[0].contiguous(),
        grad_logdet=grads[1].contiguous(),
        wanted=list(wanted),
        grad_factors=grad_factors,
        grad_noise=grad_noise,
        grad_y=0 if grad_y is None else grad_y,
    )
    return grad_factors, grad_noise, grad_y


def asymmetry(matrix: Tensor) -> tuple[float, float]:
    """Largest ``|a_ij|`` (NaN if an entry is NaN) and largest ``|a_ij - a_ji|`` of (batch, n, n)."""
    if matrix.numel() == 0:
        return 0.0, 0.0
    if not is_here(matrix):
        return _through_torch.asymmetry(matrix)
    batch, n, _ = matrix.shape
    largest, difference = _call("asymmetry", matrix.dtype, batch=batch, n=n, factor=matrix)
    return float(largest), float(difference)


def all_finite(x: Tensor) -> bool:
    """Whether every entry of x (..., n) is finite."""
    if x.numel() == 0:
        return True
    if not is_here(x):
        return _through_torch.all_finite(x)
    rows = x.numel() // x.shape[-1]
    return bool(_call("all_finite", x.dtype, rows=rows, n=x.shape[-1], x=x))


def row_dots(x: Tensor, z: Tensor) -> Tensor:
    """Sums of x*z over the last axis, float64."""
    if not is_here(x):
        return _through_torch.row_dots(x, z)
    sums = torch.zeros(x.shape[:-1], dtype=torch.float64)
    if x.numel() > 0:
        n = x.shape[-1]
        _call("row_dots", x.dtype, rows=sums.numel(), n=n, x=x, z=z, out=sums.data_ptr())
    return sums


def scale_rows(factor: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
    """``factor[..., None] * x``, into ``out``, which may be x, or into new memory."""
    if not is_here(x):
        return _through_torch.scale_rows(factor, x, out)
    if out is None:
        out = torch.empty_like(x)
    if x.numel() > 0:
        rows, n = factor.numel(), x.shape[-1]
        _call("scale_rows", x.dtype, rows=rows, n=n, factor=factor, x=x, out=out)
    return out


def small_eigh(factors: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Eigenvalues (batch, n), in no order, and eigenvectors in rows (batch, n, n) of float64 matrices."""
    results = [(f.new_empty(f.shape[:-1]), torch.empty_like(f)) for f in factors]
    jobs = [
        (
            f.shape[0],
            f.shape[-1],
            _address("factor", f, torch.float64),
            values.data_ptr(),
            vectors.data_ptr(),
        )
        for f, (values, vectors) in zip(factors, results, strict=True)
    ]
    # No two entries differ by more than twice the largest one: not checked here.
    if jobs and not _core.gp.eigh_float64(jobs, 2.0, get_num_threads()):
        raise ArithmeticError("the eigenvalue iteration did not converge")
    return results


def durbin(column: Tensor) -> tuple[Tensor, int, float, float]:
    """Durbin's recursion on the symmetric Toeplitz matrix T with this first column (n,), float64.

    Returns p with ``T p = last e_1`` and ``p[0] = 1``; -1, or the row at which T is found not to be positive
    definite; ``log det T``; ``last``.
    """
    n = column.shape[0]
    predictor = column.new_zeros(n)
    work = column.new_zeros(3 * n)
    row, logdet, last = _core.gp.durbin_float64(
        n, _address("column", column, torch.float64), predictor.data_ptr(), work.data_ptr()
    )
    return predictor, row, logdet, last
