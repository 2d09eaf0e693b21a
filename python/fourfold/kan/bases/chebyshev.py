"""Chebyshev polynomials."""

from __future__ import annotations

import torch
from torch import Tensor

from fourfold.kan import _basis_formulas as formulas
from fourfold.kan import _basis_ops as ops
from fourfold.kan._checks import check_positive
from fourfold.kan.bases._basis import Basis, Implementation

__all__ = ["Chebyshev"]


class Chebyshev(Basis):
    """``T_0 .. T_degree`` of ``tanh(x)``, as in ChebyKAN.

    Parameters
    ----------
    in_features : int
        Number of input features D.
    degree : int
        Highest degree; there are ``degree + 1`` functions.
    squash : bool
        Whether the argument is tanh(x), which lies in [-1, 1] where the polynomials do, or x itself.
    implementation : {"auto", "compiled", "torch"}
        See `Basis`.

    Notes
    -----
    Sidharth et al. 2024, "Chebyshev Polynomial-Based Kolmogorov-Arnold Networks".
    """

    def __init__(
        self,
        in_features: int,
        *,
        degree: int = 4,
        squash: bool = True,
        implementation: Implementation = "auto",
    ) -> None:
        check_positive("degree", degree)
        super().__init__(in_features, degree + 1, implementation=implementation)
        self.squash = squash

    def formula(self, x: Tensor) -> Tensor:
        """See `Basis.formula`."""
        return formulas.chebyshev(torch.tanh(x) if self.squash else x, self.functions)

    def compiled(self, x: Tensor) -> Tensor:
        """See `Basis.compiled`."""
        none = x.new_empty(0)
        argument = torch.tanh(x) if self.squash else x
        return ops.basis(argument, none, none, "chebyshev", self.functions)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{self.in_features}, degree={self.functions - 1}, squash={self.squash}"
