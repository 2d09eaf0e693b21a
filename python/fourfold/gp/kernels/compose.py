"""Sums and products of kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels._parameters import Parameter
from fourfold.gp.kernels.base import Kernel
from fourfold.gp.kernels.leibniz import product_jet, product_pull_back

__all__ = ["Product", "Sum"]

Array = npt.NDArray[np.float64]


class _Pair(Kernel):
    """What sums and products share: two kernels with their parameters one after the other."""

    _sign: str

    def __init__(self, first: Kernel, second: Kernel) -> None:
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

    def __repr__(self) -> str:
        return f"({self.first!r} {self._sign} {self.second!r})"


class Sum(_Pair):
    """``k(z) = first(z) + second(z)``; written ``first + second``."""

    _sign = "+"

    def _jet(self, lag: Array, orders: Sequence[int]) -> Array:
        return self.first._jet(lag, orders) + self.second._jet(lag, orders)

    def _pull_back(self, lag: Array, orders: Sequence[int], cotangent: Array) -> list[Array]:
        return [
            *self.first._pull_back(lag, orders, cotangent),
            *self.second._pull_back(lag, orders, cotangent),
        ]


class Product(_Pair):
    """``k(z) = first(z) second(z)``; written ``first * second``. Derivatives by Leibniz' rule."""

    _sign = "*"

    def _jet(self, lag: Array, orders: Sequence[int]) -> Array:
        every = range(max(orders) + 1)
        return product_jet(self.first._jet(lag, every), self.second._jet(lag, every), orders)

    def _pull_back(self, lag: Array, orders: Sequence[int], cotangent: Array) -> list[Array]:
        every = range(max(orders) + 1)
        a, b = self.first._jet(lag, every), self.second._jet(lag, every)
        return [
            *self.first._pull_back(lag, every, product_pull_back(b, orders, cotangent)),
            *self.second._pull_back(lag, every, product_pull_back(a, orders, cotangent)),
        ]
