"""Named hyperparameters and the vector that an optimiser sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.gp._inputs import as_array

__all__ = ["Bounds", "Parameter", "check_start", "positive_parameter"]

Bounds = tuple[float, float] | None


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter, a number or a vector.

    Parameters
    ----------
    name : str
    value : ndarray of float64, shape () or (Q,)
    log : bool
        Whether the optimiser sees its logarithm (it is positive then) or the value itself.
    bounds : (float, float) or None
        Range of the value, not of its logarithm; None: the parameter is held fixed.
    """

    name: str
    value: npt.NDArray[np.float64]
    log: bool
    bounds: Bounds

    @property
    def free(self) -> bool:
        """Whether an optimiser may change it."""
        return self.bounds is not None

    @property
    def theta(self) -> npt.NDArray[np.float64]:
        """What the optimiser sees, shape (size,)."""
        return np.log(self.value).reshape(-1) if self.log else self.value.reshape(-1)

    def to_value(self, theta: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Inverse of `theta`."""
        with np.errstate(over="ignore"):  # infinity is refused by name
            return (np.exp(theta) if self.log else theta).reshape(self.value.shape)

    def with_value(self, value: npt.ArrayLike) -> Parameter:
        """Return this parameter with another value, checked as the first one was."""
        array = checked_values(self.name, value, vector=self.value.ndim == 1)
        if self.log and not (array > 0).all():
            raise ValueError(f"{self.name}: expected positive numbers, got {array}")
        return replace(self, value=array)

    @property
    def theta_bounds(self) -> npt.NDArray[np.float64]:
        """Bounds of `theta`, shape (size, 2)."""
        assert self.bounds is not None
        limits = np.log(self.bounds) if self.log else np.asarray(self.bounds)
        return np.broadcast_to(limits, (self.value.size, 2))


def positive_parameter(
    name: str, value: npt.ArrayLike, bounds: Bounds, *, vector: bool = False
) -> Parameter:
    """Check and wrap a positive parameter; it is optimised in its logarithm."""
    array = checked_values(name, value, vector=vector)
    if not (array > 0).all():
        raise ValueError(f"{name}: expected positive numbers, got {array}")
    return Parameter(name, array, True, checked_bounds(name, bounds, positive=True))


def checked_values(name: str, value: npt.ArrayLike, *, vector: bool) -> npt.NDArray[np.float64]:
    """Return ``value`` as float64 of shape (Q,) or ()."""
    array = as_array(name, value).copy()
    expected = 1 if vector else 0
    if array.ndim != expected or array.size == 0:
        kind = "a vector" if vector else "one number"
        raise ValueError(f"{name}: expected {kind}, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, got {array}")
    array.flags.writeable = False
    return array


def checked_bounds(name: str, bounds: Bounds, *, positive: bool) -> Bounds:
    """Return ``bounds`` as floats."""
    if bounds is None:
        return None
    given: Any = bounds
    try:
        low, high = map(float, given)
    except (TypeError, ValueError):
        low = high = np.nan
    if not low < high or (positive and low <= 0):
        kind = "0 < low < high" if positive else "low < high"
        raise ValueError(f"bounds of {name}: expected {kind} or None (fixed), got {bounds}")
    return low, high


def check_start(
    names: Sequence[str], theta: npt.NDArray[np.float64], bounds: npt.NDArray[np.float64]
) -> None:
    """Refuse a search that begins outside its bounds by more than rounding."""
    low, high = bounds.T
    slack = 1e-9 * np.maximum(1.0, np.abs(theta))
    outside = (theta < low - slack) | (theta > high + slack)
    if outside.any():
        at = int(np.argmax(outside))
        raise ValueError(
            f"{names[at]}: the search starts outside the bounds of this hyperparameter; change one of them, or hold it "
            "fixed (bounds None)"
        )
