"""Which member of an ensemble is meant by ``realisation=``."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse.solution import Solution

__all__ = ["Index", "check_realisation", "member"]

Index = int | tuple[int, ...] | None


def check_realisation(solution: Solution, realisation: Index) -> int | None:
    """The flat index of the member of the ensemble; None for all."""
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
        if int(np.prod(solution.batch_shape)) != 1:
            raise ValueError(
                f"realisation must say which of the {int(np.prod(solution.batch_shape))} "
                "realisations is meant"
            )
        index = 0
    fields = solution.fields_as_numpy().reshape(len(solution.t), -1, solution.grid.n)
    field: npt.NDArray[Any] = fields[:, index]
    return field
