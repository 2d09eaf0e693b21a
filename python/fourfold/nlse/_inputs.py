"""The checks of what a user hands to `solve`. All of them happen before any work."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse._checks import real, refuse_masked

__all__ = ["check_choice", "check_field", "check_saved_times", "check_step", "check_tolerances"]

_COMPLEX = (np.dtype(np.complex64), np.dtype(np.complex128))

# The local error of a step is measured as the difference of two results. Measured on solitons and
# noise, that works down to one rounding of the field; below, the difference is noise and the step
# falls to its floor. Results are no better for tolerances of less than a few.
_ROUNDINGS = 4.0

# Fixed steps are counted in 64-bit integers and a double tells that many of them apart.
_MOST_STEPS = 2.0**53


def check_choice(name: str, value: Any, allowed: tuple[str | None, ...]) -> None:
    """Refuse a ``value`` that is not in ``allowed``."""
    if not (value is None or isinstance(value, str)) or value not in allowed:
        choices = ", ".join(repr(choice) for choice in allowed)
        raise ValueError(f"{name} must be one of {choices}; got {value!r}")


def check_field(psi0: Any, n: int) -> tuple[npt.NDArray[Any], bool]:
    """``psi0`` as a NumPy array to be read, and whether it was a torch tensor.

    The array may have any strides, alignment and byte order, and shares memory with ``psi0``.

    Raises
    ------
    TypeError
        If ``psi0`` is not a plain array or tensor, or not complex64 or complex128.
    ValueError
        If its last axis is not ``n`` long or an entry is not finite.
    NotImplementedError
        If it is a tensor that does not live in the memory of the CPU, or has a forward-mode tangent.
    """
    # torch is looked up, never imported: who hands over a tensor has imported it.
    torch = sys.modules.get("torch")
    is_torch = torch is not None and isinstance(psi0, torch.Tensor)
    if is_torch:
        field = _tensor_to_numpy(torch, psi0)
    elif isinstance(psi0, np.ndarray):
        refuse_masked("psi0", psi0)
        field = np.asarray(psi0)
    else:
        raise TypeError(f"psi0 must be a NumPy array or a torch tensor, got {type(psi0).__name__}")

    if field.dtype.newbyteorder("=") not in _COMPLEX:
        raise TypeError(
            f"psi0 must be complex64 or complex128, got {field.dtype}; "
            "cast it: psi0.astype(numpy.complex128)"
        )
    if field.ndim == 0 or field.shape[-1] != n:
        raise ValueError(f"psi0 must have the shape (..., {n}) of the grid, got {field.shape}")
    finite = np.isfinite(field)
    if not finite.all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(f"psi0 must be finite, got {field[where]} at index {where}")
    return field, is_torch


def _tensor_to_numpy(torch: Any, psi0: Any) -> npt.NDArray[Any]:
    if type(psi0) not in (torch.Tensor, torch.nn.Parameter):
        raise TypeError(
            f"psi0 must be a plain torch.Tensor, got its subclass {type(psi0).__name__}"
        )
    if psi0.layout != torch.strided:
        raise TypeError(
            f"psi0 must be a dense tensor, got layout {psi0.layout}; use psi0.to_dense()"
        )
    if psi0.dtype not in (torch.complex64, torch.complex128):
        raise TypeError(
            f"psi0 must be complex64 or complex128, got {psi0.dtype}; "
            "cast it: psi0.to(torch.complex128)"
        )
    if psi0.device.type != "cpu":
        raise NotImplementedError(
            f"psi0 is on the device {psi0.device}, but solve runs on the CPU only; pass psi0.cpu() and "
            "move sol.psi back, or use fourfold.nlse.propagate, which has CUDA kernels"
        )
    # Inside vmap, grad or jvp the tensor is a wrapper without memory: reading it would drop the
    # transformation.
    try:
        psi0.data_ptr()
    except RuntimeError:
        raise TypeError(
            "psi0 is inside a torch.func transformation or torch.compile, which solve does not "
            "support; fourfold.nlse.propagate does"
        ) from None
    if torch.autograd.forward_ad.unpack_dual(psi0).tangent is not None:
        raise NotImplementedError(
            "psi0 has a forward-mode tangent, but solve differentiates in reverse mode only; "
            "pass psi0.detach()"
        )
    field: npt.NDArray[Any] = psi0.detach().resolve_conj().resolve_neg().numpy()
    return field


def check_saved_times(t: Any) -> npt.NDArray[np.float64]:
    """``t`` as a fresh float64 array, read-only.

    Raises
    ------
    TypeError
        If ``t`` does not hold real numbers.
    ValueError
        If it is not one-dimensional, empty, not finite or not strictly increasing.
    """
    given = np.asarray(t)
    if given.dtype.kind not in "iuf":
        raise TypeError(f"t must hold real numbers, got dtype {given.dtype}")
    if given.ndim != 1 or given.size == 0:
        raise ValueError(
            f"t must be one-dimensional with at least one entry, got shape {given.shape}"
        )
    times = np.array(given, dtype=np.float64)
    if not np.isfinite(times).all():
        raise ValueError(f"t must be finite, got {times[~np.isfinite(times)][0]}")
    back = np.flatnonzero(np.diff(times) <= 0)
    if back.size:
        i = int(back[0])
        raise ValueError(
            f"t must increase strictly, got t[{i}] = {times[i]} and t[{i + 1}] = {times[i + 1]}"
        )
    times.setflags(write=False)
    return times


def check_step(step: Any, times: npt.NDArray[np.float64]) -> float:
    """``step`` as a float.

    Raises
    ------
    TypeError
        If ``step`` is not a real number.
    ValueError
        If it is not positive and finite, or so small that the steps cannot be counted.
    """
    size = real("step", step)
    if not (size > 0 and math.isfinite(size)):
        raise ValueError(f"step must be positive and finite, got {size}")
    if len(times) > 1:
        smallest = max(
            float(np.diff(times).max()) / _MOST_STEPS, float(np.spacing(np.abs(times).max()))
        )
        if size < smallest:
            raise ValueError(f"step must be at least {smallest:.2g} for these t, got {size}")
    return size


def check_tolerances(rtol: Any, atol: Any, field: npt.NDArray[Any]) -> tuple[float, float]:
    """``rtol`` and ``atol`` as floats, those not given (None) by the precision of ``field``.

    Raises
    ------
    TypeError
        If one is not a real number.
    ValueError
        If one is negative or not finite, both are zero, or both together ask for less than the
        round-off of the field.
    """
    single = field.dtype.newbyteorder("=") == np.complex64
    relative = real("rtol", rtol) if rtol is not None else (1e-5 if single else 1e-8)
    absolute = real("atol", atol) if atol is not None else (1e-7 if single else 1e-10)
    for name, value in (("rtol", relative), ("atol", absolute)):
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be finite and at least 0, got {value}")
    if relative == 0 and absolute == 0:
        raise ValueError("rtol and atol must not both be 0")

    # A step may err by rtol ||psi|| + atol sqrt(n) in the 2-norm: what is asked of the strongest
    # realisation?
    floor = _ROUNDINGS * float(np.finfo(field.dtype).eps)
    norms = np.linalg.norm(field, axis=-1) / math.sqrt(field.shape[-1])
    strongest = float(norms.max(initial=0.0))
    asked = relative + (
        absolute / strongest if strongest > 0 else math.inf if absolute > 0 else 0.0
    )
    if strongest > 0 and asked < floor:
        raise ValueError(
            f"rtol must be at least {floor:.2g} in {field.dtype.newbyteorder('=')}, got "
            f"rtol={relative:g} and atol={absolute:g}, which ask for {asked:.2g} of the field"
        )
    return relative, absolute
