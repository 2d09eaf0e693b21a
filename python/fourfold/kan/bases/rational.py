"""Rational functions of groups of features."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from torch import Tensor

from fourfold.kan.activation import Rational
from fourfold.kan.bases._basis import Basis, Implementation
from fourfold.kan.fitting import RationalFit
from fourfold.kan.functional import Variant, rational

__all__ = ["RationalBasis"]


class RationalBasis(Basis):
    """One trainable rational function per group of features, as in the Kolmogorov-Arnold transformer.

    An edge is a multiple of its group's function, so that a layer costs little more than a linear one.

    Parameters
    ----------
    in_features : int
        Number of input features D.
    groups : int, optional
        Number of groups of neighbouring features; by default the greatest common divisor of 8 and D.
    degree, variant, init
        See `fourfold.kan.Rational`.
    implementation : {"auto", "compiled", "torch"}
        See `Basis`.
    """

    def __init__(
        self,
        in_features: int,
        *,
        groups: int | None = None,
        degree: tuple[int, int] = (5, 4),
        variant: Variant = "A",
        init: str | Callable[[Tensor], Tensor] | RationalFit = "silu",
        implementation: Implementation = "auto",
    ) -> None:
        super().__init__(in_features, 1, implementation=implementation)
        groups = math.gcd(8, in_features) if groups is None else groups
        self.function = Rational(in_features, groups, degree, variant, init)

    def formula(self, x: Tensor) -> Tensor:
        """See `Basis.formula`."""
        return self._evaluate(x, "torch")

    def compiled(self, x: Tensor) -> Tensor:
        """See `Basis.compiled`."""
        return self._evaluate(x, "kernel")

    def _evaluate(self, x: Tensor, implementation: Literal["kernel", "torch"]) -> Tensor:
        function = self.function
        values = rational(
            x,
            function.weight_numerator,
            function.weight_denominator,
            variant=function.variant,
            implementation=implementation,
        )
        return values.unsqueeze(-2)
