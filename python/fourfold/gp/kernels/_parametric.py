"""What kernels with parameters of their own share: all that is not mathematics."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels._parameters import Parameter
from fourfold.gp.kernels.base import Kernel

__all__ = ["ParametricKernel"]


class ParametricKernel(Kernel):
    """A kernel that is a formula in named parameters, which it keeps in the order of `theta`."""

    def __init__(self, *parameters: Parameter) -> None:
        self._parameters = parameters

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The hyperparameters, in the order of `theta`."""
        return self._parameters

    def _with_values(self, values: Sequence[npt.NDArray[np.float64]]) -> Self:
        other = copy.copy(self)
        other._parameters = tuple(
            p.with_value(value) for p, value in zip(self._parameters, values, strict=True)
        )
        return other

    @property
    def _numbers(self) -> list[float]:
        """The values, where all of them are numbers."""
        return [float(p.value) for p in self._parameters]

    def __repr__(self) -> str:
        inside = ", ".join(f"{p.name}={float(p.value):.6g}" for p in self._parameters)
        return f"{type(self).__name__}({inside})"
