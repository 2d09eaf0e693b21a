"""What `StateSpaceGP` takes, checked and sorted by time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fourfold.gp._inputs import (
    as_array,
    as_mask,
    check_magnitude,
    finite_vector,
    kind_is_torch,
)
from fourfold.gp.kernels import Kernel, Matern, Sum
from fourfold.gp.series._cuda_filter import SeriesThere
from fourfold.gp.series._series import Series

__all__ = ["checked_noise", "checked_series", "checked_times", "components"]

Array = npt.NDArray[np.float64]

_LARGEST_STATE = 12


def checked_times(t: Any) -> Array:
    """A vector of finite numbers whose squares are finite too."""
    if isinstance(t, Tensor) and t.device.type == "cuda":
        t = t.cpu()  # few numbers, whose order decides all that follows
    time = finite_vector("t", t)
    check_magnitude("t", time)
    return time


def checked_series(
    t: Any, y: Any, observed: Any, mean: float, noise: Array
) -> Series | SeriesThere:
    """Arguments of `StateSpaceGP.fit`."""
    time = checked_times(t)
    if isinstance(y, Tensor) and y.device.type == "cuda":
        return _checked_there(time, y, observed, mean, noise)
    value = as_array("y", y)
    _check_shapes(time, value.shape, noise)
    single = value.ndim == 1
    value = np.atleast_2d(value)
    seen = np.ones(value.shape, dtype=bool)
    if observed is not None:
        seen = np.atleast_2d(as_mask("observed", observed))
        if seen.shape != value.shape:
            raise ValueError(
                f"observed: expected the shape of y, {value.shape[int(single) :]}, got {np.shape(observed)}"
            )
    bad = ~np.isfinite(value) & seen
    if bad.any():
        raise ValueError(
            f"y: {int(bad.sum())} observed entries are NaN or infinite; say observed= where they are missing"
        )
    check_magnitude("y", np.where(seen, value, 0.0))
    order = np.argsort(time, kind="stable")
    return Series(
        time=time[order],
        value=np.ascontiguousarray(np.where(seen, value - mean, 0.0)[:, order]),
        observed=np.ascontiguousarray(seen[:, order]),
        noise=noise[order] if noise.ndim == 1 else None,
        single=single,
        torch=kind_is_torch(y),
    )


def _check_shapes(time: Array, shape: tuple[int, ...], noise: Array) -> None:
    if len(shape) not in (1, 2) or shape[-1] != time.size:
        raise ValueError(
            f"y: expected shape ({time.size},) or (B, {time.size}), got {tuple(shape)}"
        )
    if noise.ndim == 1 and noise.size != time.size:
        raise ValueError(f"noise: expected a number or shape ({time.size},), got {noise.shape}")


def _checked_there(time: Array, y: Tensor, observed: Any, mean: float, noise: Array) -> SeriesThere:
    """The same of a tensor on a GPU. Waits for the device."""
    if y.requires_grad:
        raise TypeError(
            "y: this tensor requires a gradient, which does not pass through; detach() it"
        )
    if y.layout != torch.strided:
        raise TypeError(f"y: expected a dense tensor, got layout {y.layout}")
    if y.dtype == torch.bool or y.is_complex():
        raise TypeError(f"y: expected real numbers, got {y.dtype}")
    _check_shapes(time, y.shape, noise)
    value = (y[None] if y.ndim == 1 else y).detach().double()
    seen = torch.ones_like(value, dtype=torch.bool)
    if observed is not None:
        seen = (
            observed
            if isinstance(observed, Tensor)
            else torch.from_numpy(as_mask("observed", observed))
        )
        if seen.dtype != torch.bool:
            raise TypeError(f"observed: expected bool, True where observed, got {seen.dtype}")
        seen = seen.to(value.device)
        seen = seen[None] if seen.ndim == 1 else seen
        if seen.shape != value.shape:
            raise ValueError(
                f"observed: expected the shape of y, {tuple(y.shape)}, got {np.shape(observed)}"
            )
    value = torch.where(seen, value, 0.0)
    bad = int((~value.isfinite()).sum())
    if bad:
        raise ValueError(
            f"y: {bad} observed entries are NaN or infinite; say observed= where they are missing"
        )
    if value.numel():
        check_magnitude("y", np.array(float(value.abs().max())))
    order = np.argsort(time, kind="stable")
    rows = torch.from_numpy(order).to(value.device)
    return SeriesThere(
        time=time[order],
        value=torch.where(seen, value - mean, 0.0).mT[rows].contiguous(),
        observed=seen.mT[rows].contiguous(),
        noise=noise[order] if noise.ndim == 1 else None,
        single=y.ndim == 1,
        device=y.device.index,
    )


def checked_noise(noise: Any) -> Array:
    """A variance, or a vector of them; a copy."""
    array = as_array("noise", noise).copy()
    if array.ndim > 1 or not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(
            "noise: expected a number or a vector of finite numbers of at least 0, got "
            f"shape {array.shape}, smallest entry {array.min(initial=np.inf):.3g}"
        )
    return array


def components(kernel: Kernel) -> list[Matern]:
    """The Matern kernels that ``kernel`` is the sum of, in the order of its parameters."""
    if isinstance(kernel, Matern):
        return [kernel]
    if not isinstance(kernel, Sum):
        raise ValueError(f"kernel: expected a Matern kernel or a sum of them, got {kernel!r}")
    parts = [*components(kernel.first), *components(kernel.second)]
    size = sum(round(part.nu + 0.5) for part in parts)
    if size > _LARGEST_STATE:
        raise ValueError(
            f"kernel: its state has {size} components (1, 2, 3 for each Matern-1/2, 3/2, 5/2), at most "
            f"{_LARGEST_STATE} are supported"
        )
    return parts
