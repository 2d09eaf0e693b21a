"""Sums and products of kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels._covariance import PRODUCT, SUM, Program
from fourfold.gp.kernels._parameters import Parameter
from fourfold.gp.kernels.base import Kernel

__all__ = ["Product", "Sum"]

Array = npt.NDArray[np.float64]


class _Pair(Kernel):
    """What sums and products share: two kernels with their parameters one after the other."""

    _sign: ClassVar[str]
    _step: ClassVar[int]

    def __init__(self, first: Kernel, second: Kernel) -> None:
        for name, kernel in (("first", first), ("second", second)):
            if not isinstance(kernel, Kernel):
                raise TypeError(f"{name}: expected a Kernel, got {kernel!r}")
        self.first = first
        self.second = second

    @property
    def highest_order(self) -> int:
        """The highest derivative at lag 0 that both have."""
        return min(self.first.highest_order, self.second.highest_order)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those of both, named ``first.`` and ``second.``."""
        return tuple(
            replace(p, name=f"{name}.{p.name}")
            for name, kernel in (("first", self.first), ("second", self.second))
            for p in kernel.parameters
        )

    def _with_values(self, values: Sequence[Array]) -> Self:
        count = len(self.first.parameters)
        return type(self)(
            self.first._with_values(values[:count]), self.second._with_values(values[count:])
        )

    def _program(self) -> Program:
        first, second = self.first._program(), self.second._program()
        return Program((*first.steps, *second.steps, self._step), (*first.leaves, *second.leaves))

    def _by_values(self, by_leaf: Iterator[Array]) -> list[Array]:
        by_first = self.first._by_values(by_leaf)
        return [*by_first, *self.second._by_values(by_leaf)]

    def __repr__(self) -> str:
        return f"({self.first!r} {self._sign} {self.second!r})"


class Sum(_Pair):
    """``k(z) = first(z) + second(z)``; written ``first + second``."""

    _sign = "+"
    _step = SUM


class Product(_Pair):
    """``k(z) = first(z) second(z)``; written ``first * second``. Derivatives by Leibniz' rule."""

    _sign = "*"
    _step = PRODUCT
