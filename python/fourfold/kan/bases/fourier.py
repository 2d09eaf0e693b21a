"""Fourier series."""

from __future__ import annotations

import math

from torch import Tensor

from fourfold.kan import _basis_formulas as formulas
from fourfold.kan import _basis_ops as ops
from fourfold.kan._checks import check_positive
from fourfold.kan.bases._basis import Basis, Implementation

__all__ = ["Fourier"]


class Fourier(Basis):
    """``cos(2 pi j x / period)`` for j = 1 .. terms, then the sines: ``K = 2 terms``, as in FourierKAN.

    The constant is the layer's bias.

    Parameters
    ----------
    in_features : int
        Number of input features D.
    terms : int
        Number of frequencies.
    period : float
        Period of the slowest.
    implementation : {"auto", "compiled", "torch"}
        See `Basis`.
    """

    fuses = True

    def __init__(
        self,
        in_features: int,
        *,
        terms: int = 4,
        period: float = 2 * math.pi,
        implementation: Implementation = "auto",
    ) -> None:
        check_positive("terms", terms)
        super().__init__(in_features, 2 * terms, implementation=implementation)
        if not 0 < period < float("inf"):
            raise ValueError(f"period: expected a positive number, got {period}")
        self.period = float(period)

    def formula(self, x: Tensor) -> Tensor:
        """See `Basis.formula`."""
        return formulas.fourier(x * (2 * math.pi / self.period), self.functions // 2)

    def compiled(self, x: Tensor) -> Tensor:
        """See `Basis.compiled`."""
        none = x.new_empty(0)
        angle = x * (2 * math.pi / self.period)
        return ops.basis(angle, none, none, "fourier", self.functions)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{self.in_features}, terms={self.functions // 2}, period={self.period:g}"
