"""The mean function: known, or a basis whose coefficients are integrated out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import NotSavableError

__all__ = ["Basis", "mean_of"]

Array = npt.NDArray[np.float64]
Function = Callable[[Array], npt.ArrayLike]


class Basis:
    """``mean(x) = known + sum_j b_j h_j(x)``.

    Parameters
    ----------
    known : float
    polynomial : int or None
        0: a constant, 1: a constant and every coordinate, None: neither.
    functions : sequence of callables
        Each takes points (m, d) and gives (m,).
    """

    def __init__(
        self, known: float, polynomial: int | None, functions: Sequence[Function] = ()
    ) -> None:
        self.known, self.polynomial, self.functions = known, polynomial, tuple(functions)

    def size(self, dimensions: int) -> int:
        """The number p of functions."""
        fixed = 0 if self.polynomial is None else 1 + self.polynomial * dimensions
        return fixed + len(self.functions)

    def at(self, points: Array, orders: Sequence[int]) -> Array:
        """Derivatives of the functions at points (m, d): (p, m)."""
        m, d = points.shape
        total = sum(orders)
        rows: list[Array] = []
        if self.polynomial is not None:
            rows.append(np.full(m, 1.0 if total == 0 else 0.0))
            for k in range(d if self.polynomial else 0):
                if total == 0:
                    rows.append(points[:, k])
                else:
                    rows.append(np.full(m, 1.0 if total == orders[k] == 1 else 0.0))
        if self.functions and total:
            raise ValueError(
                "derivative: those of the functions in mean are not known; use mean='constant' or 'linear'"
            )
        for j, function in enumerate(self.functions):
            values = np.asarray(function(points.copy()), dtype=np.float64)
            if values.shape != (m,) or not np.isfinite(values).all():
                raise ValueError(
                    f"mean[{j}]: expected {m} finite numbers for points of shape {points.shape}, got shape "
                    f"{values.shape}" + ("" if values.shape != (m,) else " with NaN or infinity")
                )
            rows.append(values)
        return np.stack(rows) if rows else np.empty((0, m))

    def known_at(self, orders: Sequence[int]) -> float:
        """The known part, or its derivative."""
        return 0.0 if sum(orders) else self.known

    def description(self) -> dict[str, Any]:
        """For a file."""
        if self.functions:
            raise NotSavableError(
                "mean: functions cannot be saved in a file; mean=number, 'constant' and 'linear' can"
            )
        return {"known": self.known, "polynomial": self.polynomial}


def mean_of(mean: Any) -> Basis:
    """The basis that the argument ``mean`` of `GridGP` describes."""
    if isinstance(mean, str):
        if mean not in ("constant", "linear"):
            raise ValueError(
                f"mean: expected 'constant', 'linear', a number or functions, got {mean!r}"
            )
        return Basis(0.0, 0 if mean == "constant" else 1)
    if isinstance(mean, (int, float, np.integer, np.floating)) and not isinstance(mean, bool):
        if not np.isfinite(mean):
            raise ValueError(f"mean: expected a finite number, got {mean}")
        return Basis(float(mean), None)
    if isinstance(mean, Sequence) and mean and all(callable(f) for f in mean):
        return Basis(0.0, None, mean)
    raise TypeError(
        "mean: expected 'constant', 'linear', a number or a list of functions of points (m, d), got "
        f"{mean!r}"
    )
