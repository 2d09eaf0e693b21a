"""What `StateSpaceGP` takes, checked and sorted by time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.gp._inputs import (
    as_array,
    as_mask,
    check_magnitude,
    finite_vector,
    kind_is_torch,
)
from fourfold.gp.kernels import Kernel, Matern, Sum

__all__ = ["Series", "checked_noise", "checked_series", "checked_times", "components"]

Array = npt.NDArray[np.float64]

_LARGEST_STATE = 12


@dataclass(frozen=True)
class Series:
    """B series of observations at common times, in the order of these.

    Attributes
    ----------
    time : ndarray, shape (T,)
        Not decreasing.
    value : ndarray, shape (B, T)
        Less the mean; 0 where missing.
    observed : ndarray of bool, shape (B, T)
    noise : ndarray, shape (T,), or None
        A variance for every time, if these were given.
    single : bool
        Whether y was a vector.
    torch : bool
        Whether y was a tensor.
    """

    time: Array
    value: Array
    observed: npt.NDArray[np.bool_]
    noise: Array | None
    single: bool
    torch: bool


def checked_times(t: Any) -> Array:
    """A vector of finite numbers whose squares are finite too."""
    time = finite_vector("t", t)
    check_magnitude("t", time)
    return time


def checked_series(t: Any, y: Any, observed: Any, mean: float, noise: Array) -> Series:
    """Arguments of `StateSpaceGP.fit`."""
    time = checked_times(t)
    value = as_array("y", y)
    if value.ndim not in (1, 2) or value.shape[-1] != time.size:
        raise ValueError(f"y: expected shape ({time.size},) or (B, {time.size}), got {value.shape}")
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
    if noise.ndim == 1 and noise.size != time.size:
        raise ValueError(f"noise: expected a number or shape ({time.size},), got {noise.shape}")
    order = np.argsort(time, kind="stable")
    return Series(
        time=time[order],
        value=np.ascontiguousarray(np.where(seen, value - mean, 0.0)[:, order]),
        observed=np.ascontiguousarray(seen[:, order]),
        noise=noise[order] if noise.ndim == 1 else None,
        single=single,
        torch=kind_is_torch(y),
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
