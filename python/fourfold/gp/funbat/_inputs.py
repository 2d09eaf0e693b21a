"""Checks of what users hand over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.gp._inputs import as_array, check_magnitude
from fourfold.gp.funbat._kernel import MAX_MODES, MAX_RANK
from fourfold.gp.kernels import Matern
from fourfold.gp.kernels._parameters import check_start

__all__ = [
    "checked_indices",
    "checked_kernels",
    "checked_noise_prior",
    "checked_rank",
    "checked_values",
    "starting_kernels",
]

Array = npt.NDArray[np.float64]

_LARGEST_CORE = 512


def checked_indices(indices: Any, modes: int | None) -> Array:
    """Indices as float64 of shape (N, K)."""
    array = np.ascontiguousarray(as_array("indices", indices))
    columns = "K" if modes is None else str(modes)
    if array.ndim != 2 or (modes is not None and array.shape[1] != modes):
        raise ValueError(f"indices: expected shape (N, {columns}), got {array.shape}")
    if not 2 <= array.shape[1] <= MAX_MODES:
        raise ValueError(f"indices: expected 2 to {MAX_MODES} columns, got shape {array.shape}")
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"indices: {int(bad.sum())} rows are NaN or infinite, the first is row {row}: {array[row]}"
        )
    check_magnitude("indices", array)
    return array + 0.0  # -0 and 0 are one index


def checked_values(values: Any, count: int, mean: float) -> Array:
    """Values minus the mean as float64 of shape (N,)."""
    array = as_array("values", values)
    if array.shape != (count,):
        raise ValueError(
            f"values: expected shape ({count},), one for each row of indices, got {array.shape}"
        )
    bad = ~np.isfinite(array)
    if bad.any():
        raise ValueError(
            f"values: {int(bad.sum())} are NaN or infinite, the first is entry {int(np.argmax(bad))}; "
            "leave out the rows of what is missing"
        )
    check_magnitude("values", array)
    array = array - mean
    if array.any() and not np.sum(array * array) > 1e-280:
        raise ValueError(
            f"values: at most {np.abs(array).max():.3g} from mean, whose squares vanish; use another unit"
        )
    if not array.any():
        what = f"all of them equal mean = {mean:.6g}" if count else "none"
        raise ValueError(f"values: expected at least one that tells something, got {what}")
    return array


def checked_rank(rank: int | Sequence[int]) -> tuple[int, ...]:
    """Ranks as a tuple; a single number has length 1."""
    if isinstance(rank, np.ndarray):
        rank = rank.tolist()
    single = not isinstance(rank, Sequence)
    ranks = tuple(rank) if isinstance(rank, Sequence) else (rank,)
    given: tuple[Any, ...] = ranks
    for r in given:
        if not isinstance(r, (int, np.integer)) or isinstance(r, bool) or not 1 <= r <= MAX_RANK:
            raise ValueError(f"rank: expected integers from 1 to {MAX_RANK}, got {rank!r}")
    if not single and not 2 <= len(ranks) <= MAX_MODES:
        raise ValueError(f"rank: expected one number or 2 to {MAX_MODES} of them, got {rank!r}")
    if not single and int(np.prod(ranks)) > _LARGEST_CORE:
        raise ValueError(
            f"rank: a core tensor of {int(np.prod(ranks))} entries; at most {_LARGEST_CORE} are supported, "
            "because its covariance is kept in full"
        )
    return tuple(map(int, ranks))


def checked_kernels(kernel: Matern | Sequence[Matern] | None) -> tuple[Matern, ...] | None:
    """Kernels as a tuple, of length 1 if one serves all modes."""
    if kernel is None:
        return None
    kernels = tuple(kernel) if isinstance(kernel, Sequence) else (kernel,)
    for one in kernels:
        if not isinstance(one, Matern):
            raise ValueError(f"kernel: expected a Matern kernel or one for each mode, got {one!r}")
    if not kernels:
        raise ValueError("kernel: expected a Matern kernel or one for each mode, got none")
    return kernels


def checked_noise_prior(prior: tuple[float, float] | None) -> tuple[float, float] | None:
    """Shape and rate as floats."""
    if prior is None:
        return None
    try:
        shape, rate = map(float, prior)
    except (TypeError, ValueError):
        shape = rate = np.nan
    if not (0 < shape < np.inf and 0 < rate < np.inf):
        raise ValueError(f"noise_prior: expected two positive numbers, got {prior!r}")
    return shape, rate


def starting_kernels(
    kernels: tuple[Matern, ...] | None, indices: Array, variance: float
) -> list[Matern]:
    """One kernel for each mode: as given, or Matern-3/2 that suits the span of the indices."""
    modes = indices.shape[1]
    if kernels is None:
        spans = np.ptp(indices, axis=0)
        made = []
        for span in np.where(spans > 0, spans, 1.0):
            made.append(
                Matern(
                    0.2 * span,
                    1.5,
                    variance,
                    lengthscale_bounds=(1e-3 * span, 1e2 * span),
                    variance_bounds=(1e-8 * variance, 1e8 * variance),
                )
            )
        return made
    if len(kernels) not in (1, modes):
        raise ValueError(f"kernel: expected one or {modes} kernels, got {len(kernels)}")
    for k, kernel in enumerate(kernels):
        names = [f"kernel[{k}].{name}" for name in kernel.theta_names]
        check_start(names, kernel.theta, kernel.theta_bounds)
    return list(kernels) * (modes if len(kernels) == 1 else 1)
