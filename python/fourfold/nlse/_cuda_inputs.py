"""Arguments of `fourfold.nlse.propagate` on a GPU: checked without looking at values there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from fourfold.nlse._cuda_tables import REAL
from fourfold.nlse._inputs import check_choice, check_saved_times
from fourfold.nlse.grid import Grid
from fourfold.nlse.methods import DIFFERENTIABLE, get_method

__all__ = ["check_method", "check_tensors"]

Tensor = torch.Tensor


def check_tensors(
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
    if psi0.dtype not in REAL:
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


def check_method(
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
