"""Which member of an ensemble and which saved times are meant."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse.solution import Solution

__all__ = ["Index", "caption", "check_realisation", "member", "nearest"]

Index = int | tuple[int, ...] | None


def check_realisation(solution: Solution, realisation: Index) -> int | None:
    """The flat index of the member of the ensemble; None for all."""
    if not isinstance(solution, Solution):
        raise TypeError(f"solution must be a fourfold.nlse.Solution, got {type(solution).__name__}")
    shape = solution.batch_shape
    if 0 in shape:
        raise ValueError(f"solution must have at least one realisation, got shape {shape}")
    if realisation is None:
        return None
    given = realisation if isinstance(realisation, tuple) else (realisation,)
    try:
        index = tuple(operator.index(i) for i in given)
    except TypeError:
        raise TypeError(
            f"realisation must be an integer or a tuple of integers, got {realisation!r}"
        ) from None
    if len(index) != len(shape) or any(not -n <= i < n for i, n in zip(index, shape, strict=True)):
        raise ValueError(f"realisation must be an index into {shape}, got {realisation!r}")
    return int(np.ravel_multi_index([i % n for i, n in zip(index, shape, strict=True)], shape))


def member(solution: Solution, realisation: Index) -> npt.NDArray[Any]:
    """The field (T, n) of one member; of the only one there is, if none is named.

    Raises
    ------
    TypeError, ValueError
        If `realisation` does not name one, or only the statistics were stored.
    """
    index = check_realisation(solution, realisation)
    if not solution.has_fields:
        raise ValueError(
            "solution must have its fields, but only the statistics were stored; "
            'solve with store="fields"'
        )
    if index is None:
        if math.prod(solution.batch_shape) != 1:
            raise ValueError(
                f"realisation must say which of the {math.prod(solution.batch_shape)} "
                "realisations is meant"
            )
        index = 0
    fields = solution.fields_as_numpy().reshape(len(solution.t), -1, solution.grid.n)
    field: npt.NDArray[Any] = fields[:, index]
    return field


def nearest(
    saved: npt.NDArray[np.float64], times: Sequence[float] | None, default: int
) -> list[int]:
    """Indices of the saved times to show; so many, evenly spread, if none are named."""
    if times is None:
        return sorted({round(i) for i in np.linspace(0, len(saved) - 1, min(default, len(saved)))})
    given = np.asarray(times)
    if given.dtype.kind not in "iuf":
        raise TypeError(f"times must be real numbers, got dtype {given.dtype}")
    wanted = given.astype(np.float64)
    if wanted.ndim != 1 or wanted.size == 0:
        raise ValueError(f"times must be a sequence of at least one time, got {times!r}")
    slack = 1e-9 * max(1.0, float(np.abs(saved).max()))
    outside = ~((wanted >= saved[0] - slack) & (wanted <= saved[-1] + slack))
    if outside.any():
        raise ValueError(
            f"times must be between the first and the last saved time, {saved[0]:g} and "
            f"{saved[-1]:g}; got {wanted[outside][0]:g}"
        )
    return [int(np.abs(saved - time).argmin()) for time in wanted]


def caption(solution: Solution, realisation: Index) -> str:
    """What a figure says of the members it shows; nothing if there is but one."""
    count = math.prod(solution.batch_shape)
    if count == 1:
        return ""
    if realisation is None:
        return f"mean over {count} realisations"
    return f"realisation {realisation} of {count}"
