"""What kernels with parameters of their own share: all that is not mathematics."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels._covariance import HIGHEST_ORDER, Form, Program
from fourfold.gp.kernels._parameters import Parameter
from fourfold.gp.kernels.base import Kernel

__all__ = ["ParametricKernel"]

Array = npt.NDArray[np.float64]


class ParametricKernel(Kernel):
    """A kernel that is a formula in named parameters, which it keeps in the order of `theta`."""

    _form: Form

    def __init__(self, *parameters: Parameter) -> None:
        self._parameters = parameters

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The hyperparameters, in the order of `theta`."""
        return self._parameters

    @property
    def highest_order(self) -> int:
        """The highest derivative at lag 0."""
        return HIGHEST_ORDER[self._form]

    @abstractmethod
    def _packed(self) -> Array:
        """The w, a, m of csrc/gp/covariance.hpp, (3, Q)."""

    @abstractmethod
    def _unpacked(self, gradient: Array) -> list[Array]:
        """Gradient with respect to the value of each parameter, from that with respect to `_packed`."""

    def _program(self) -> Program:
        return Program((self._form,), (np.ascontiguousarray(self._packed()),))

    def _by_values(self, by_leaf: Iterator[Array]) -> list[Array]:
        return self._unpacked(next(by_leaf))

    def _with_values(self, values: Sequence[Array]) -> Self:
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
