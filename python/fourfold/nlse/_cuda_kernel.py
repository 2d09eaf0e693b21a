"""The one place of `fourfold.nlse` that hands addresses of CUDA tensors to C++, with what it calls."""

from __future__ import annotations

import functools
import math
from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt
import torch

from fourfold._gpu import cuda_kernels, current_stream, has_cuda_kernels, no_cuda_kernels
from fourfold.nlse import _cuda_adaptive, _cuda_fields
from fourfold.nlse._inputs import check_choice, check_saved_times
from fourfold.nlse._kernel import fourier_filter
from fourfold.nlse.grid import Grid
from fourfold.nlse.methods import DIFFERENTIABLE, get_method

__all__ = ["propagate"]

Tensor = torch.Tensor

_REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}


def propagate(
    psi0: Tensor,
    t: Tensor,
    omega: Tensor,
    nonlinearity: Tensor,
    potential: Tensor | None,
    loss: Tensor | None,
    method: str,
    step: float | None,
    rtol: float | None,
    atol: float | None,
    dealias: str | None,
) -> tuple[Tensor, Tensor]:
    """What ``torch.ops.fourfold.nlse_propagate`` returns, for tensors on a GPU.

    Work is queued on the current stream of psi0's device, and nothing waits for it; so values are
    not looked at: a field that stops being finite is NaN from then on.

    Raises
    ------
    TypeError, ValueError
        As on the CPU, where values need not be looked at; or a tensor is on another device.
    NotImplementedError
        Without the CUDA kernels, and for what they cannot do: methods that are no splittings,
        adaptive steps of fields that no block of threads holds.
    """
    times = _check(psi0, t, omega, nonlinearity, potential, loss, dealias)
    fixed, rtol, atol = _check_method(method, step, rtol, atol, times, psi0.dtype)
    n, batch_shape = psi0.shape[-1], psi0.shape[:-1]
    count = math.prod(batch_shape)
    out = psi0.new_empty((len(times), *psi0.shape))
    out[0].copy_(psi0)
    first_steps = psi0.new_zeros((len(times) - 1, *batch_shape), dtype=torch.float64)
    if not has_cuda_kernels():
        raise NotImplementedError(no_cuda_kernels())
    kernels = cuda_kernels().nlse
    device: int = psi0.device.index
    real = _REAL[psi0.dtype]
    g = _per_realisation(nonlinearity, batch_shape, (), real)
    v = None if potential is None else _per_realisation(potential, batch_shape, (n,), real)
    gamma = None if loss is None else _per_realisation(loss, batch_shape, (n,), real)
    what = {
        "n": n,
        "batch": count,
        "method": method,
        "single": real == torch.float32,
        "shared_nonlinearity": nonlinearity.ndim == 0,
        "shared_potential": potential is not None and potential.ndim == 1,
        "shared_loss": loss is not None and loss.ndim == 1,
        "lossy": loss is not None,
    }
    ensemble = (kernels.AdaptiveEnsemble if fixed is None else kernels.Ensemble)(**what)
    if fixed is None:
        _cuda_adaptive.check_held(kernels, ensemble, n, psi0)
    if count == 0 or len(times) == 1:
        return out, first_steps
    angular = omega.to(torch.float64).resolve_neg().contiguous()
    multiplier = None if dealias is None else _filter(n, dealias, psi0)
    medium = {"nonlinearity": g.data_ptr(), "potential": _address(v)}
    queue = {"device": device, "stream": current_stream(device)}
    rows = out.view(len(times), count, n)
    if fixed is None:
        index = _tables_of_grid(n, "frequencies", psi0.dtype, psi0.device)
        permuted_filter = None if multiplier is None else multiplier[index]
        row = get_method(method)
        full = row.order == row.general_order
        basis = None if full else _tables_of_grid(n, "parabolas", psi0.dtype, psi0.device)
        order = _cuda_adaptive.order_of(row, angular, gamma, basis)
        permuted, roots = angular[index], _twiddles(n, psi0)
        _cuda_adaptive.advance(
            ensemble,
            rows,
            first_steps.view(-1, count),
            times,
            rtol=rtol,
            atol=atol,
            loss=_address(gamma),
            omega=permuted.data_ptr(),
            filter=_address(permuted_filter),
            order=order.data_ptr(),
            twiddles=roots.data_ptr(),
            **medium,
            **queue,
        )
        return out, first_steps
    in_blocks = _cuda_fields.in_blocks(kernels, ensemble, n, count, psi0)
    run = ensemble if in_blocks else kernels.Fields(**what)
    twiddles = _twiddles(n, psi0) if in_blocks else None
    tables = _scratch(run.tables_size(), psi0)
    sizes: list[float] = []
    for i, (start, end) in enumerate(pairwise(times.tolist())):
        duration, steps = ensemble.interval(start, end, fixed)
        size = duration / steps
        if not sizes or size != sizes[-1]:
            run.build_tables(
                step=size,
                omega=angular.data_ptr(),
                filter=_address(multiplier),
                loss=_address(gamma),
                tables=tables.data_ptr(),
                **queue,
            )
        given = {
            "step": size,
            "steps": steps,
            "tables": tables.data_ptr(),
            **medium,
            **queue,
        }
        if in_blocks:
            ensemble.advance(
                psi=rows[i].data_ptr(),
                out=rows[i + 1].data_ptr(),
                twiddles=_address(twiddles),
                **given,
            )
        else:
            _cuda_fields.advance(run, rows[i], rows[i + 1], **given)
        sizes.append(size)
    _fill(first_steps[1:], sizes[:-1])
    return out, first_steps


def _check(
    psi0: Tensor,
    t: Tensor,
    omega: Tensor,
    nonlinearity: Tensor,
    potential: Tensor | None,
    loss: Tensor | None,
    dealias: str | None,
) -> npt.NDArray[np.float64]:
    """The times, if shapes, dtypes and devices are as they must be."""
    if omega.ndim != 1:
        raise ValueError(f"omega must have shape (n,), got {tuple(omega.shape)}")
    n = Grid(omega.shape[0], 2 * np.pi).n  # refuses what the CPU does
    if psi0.dtype not in _REAL:
        raise TypeError(f"psi0 must be complex64 or complex128, got {psi0.dtype}")
    if psi0.ndim == 0 or psi0.shape[-1] != n:
        raise ValueError(
            f"psi0 must have the shape (..., {n}) of the grid, got {tuple(psi0.shape)}"
        )
    if t.device.type != "cpu":
        raise ValueError(
            f"t must be on the CPU, where its values decide what is launched; got {t.device}"
        )
    coefficients = {"omega": omega, "nonlinearity": nonlinearity, "potential": potential}
    for name, value in (coefficients | {"loss": loss}).items():
        if value is None:
            continue
        if value.device != psi0.device:
            raise ValueError(f"{name} must be on {psi0.device} like psi0, got {value.device}")
        if value.is_complex() or value.dtype == torch.bool:
            raise TypeError(f"{name} must be real numbers, got dtype {value.dtype}")
        if name in ("potential", "loss") and (value.ndim == 0 or value.shape[-1] != n):
            raise ValueError(
                f"{name} must have the shape (..., {n}) of the grid, got {tuple(value.shape)}"
            )
        if name != "omega":
            _check_broadcast(name, value.shape[: value.ndim - (name != "nonlinearity")], psi0)
    check_choice("dealias", dealias, (None, "two_thirds", "exponential"))
    return check_saved_times(t.detach().resolve_neg().numpy())


def _check_broadcast(name: str, shape: tuple[int, ...], psi0: Tensor) -> None:
    batch_shape = tuple(psi0.shape[:-1])
    try:
        fits = np.broadcast_shapes(shape, batch_shape) == batch_shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"psi0 must have leading dimensions that those of {name}, {tuple(shape)}, broadcast to; "
            f"got {batch_shape}"
        )


def _check_method(
    name: str,
    step: float | None,
    rtol: float | None,
    atol: float | None,
    times: npt.NDArray[np.float64],
    dtype: torch.dtype,
) -> tuple[float | None, float, float]:
    """The step (None: adaptive) and the tolerances."""
    from fourfold.nlse.solver import check_step_control  # it imports this package

    method = get_method(name)
    if method.own_filter:
        raise ValueError(f"method {name!r} is not to be had here; solve has it")
    if name not in DIFFERENTIABLE:
        raise NotImplementedError(
            f"method {name!r} has no CUDA kernel; those that do are {', '.join(DIFFERENTIABLE)}"
        )
    # Whether rtol asks for less than the round-off shows without a field if it is alone.
    like = np.ones((1, 1) if atol == 0 else (0, 1), torch.empty(0, dtype=dtype).numpy().dtype)
    return check_step_control(method, step, rtol, atol, like, times)


def _per_realisation(
    values: Tensor, batch_shape: tuple[int, ...], tail: tuple[int, ...], dtype: torch.dtype
) -> Tensor:
    """One row for all realisations if they share it, else one row each."""
    shape = tail if values.ndim == len(tail) else (*batch_shape, *tail)
    return values.detach().to(dtype).resolve_neg().expand(shape).contiguous()


def _fill(rows: Tensor, values: list[float]) -> None:
    """Each row with its value; equal ones next to each other at once."""
    at = 0
    for value, group in groupby(values):
        length = len(list(group))
        rows[at : at + length].fill_(value)
        at += length


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _scratch(size: int, like: Tensor) -> Tensor:
    return torch.empty(size, dtype=torch.uint8, device=like.device)


def _twiddles(n: int, like: Tensor) -> Tensor:
    return _tables_of_grid(n, "twiddles", like.dtype, like.device)


def _places(n: int, like: Tensor) -> Tensor:
    """Where the kernels keep each frequency of the FFT's order."""
    return _tables_of_grid(n, "places", like.dtype, like.device)


def _filter(n: int, dealias: str, like: Tensor) -> Tensor:
    return _tables_of_grid(n, dealias, like.dtype, like.device)


@functools.lru_cache(maxsize=64)
def _tables_of_grid(n: int, kind: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Copied to the device once."""
    return _host_table(n, kind, dtype).to(device)


def _host_table(n: int, kind: str, dtype: torch.dtype) -> Tensor:
    real = _REAL[dtype]
    if kind == "twiddles":
        kernels = cuda_kernels().nlse
        name = "twiddles_complex64" if real == torch.float32 else "twiddles_complex128"
        return torch.frombuffer(bytearray(getattr(kernels, name)(n)), dtype=real)
    if kind == "frequencies":
        return torch.frombuffer(bytearray(cuda_kernels().nlse.frequencies(n)), dtype=torch.int64)
    if kind == "places":
        return torch.argsort(_host_table(n, "frequencies", dtype))
    if kind == "parabolas":
        return _cuda_adaptive.parabolas(n)
    multiplier = fourier_filter(Grid(n, 2 * np.pi), kind)
    assert multiplier is not None
    return torch.from_numpy(multiplier).to(real)
