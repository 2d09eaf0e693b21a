"""Gaussian radial basis functions."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from fourfold.kan import _basis_formulas as formulas
from fourfold.kan import _basis_ops as ops
from fourfold.kan._checks import check_domain, check_positive
from fourfold.kan.bases._basis import Basis, Implementation

__all__ = ["RBF"]


class RBF(Basis):
    """Gaussians ``exp(-((x - c_j) / w)^2)`` on an even grid of centres, as in FastKAN.

    Parameters
    ----------
    in_features : int
        Number of input features D.
    functions : int
        Number of centres K, at least 2.
    domain : (float, float)
        First and last centre.
    width : float, optional
        w; the distance of neighbouring centres by default.
    trainable : bool
        Whether centres and widths are learned, one pair per function and feature.
    implementation : {"auto", "compiled", "torch"}
        See `Basis`.

    Notes
    -----
    Li 2024, "Kolmogorov-Arnold Networks are Radial Basis Function Networks".
    """

    default_base: ClassVar[str | None] = "silu"
    fuses = True
    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        in_features: int,
        *,
        functions: int = 8,
        domain: tuple[float, float] = (-2.0, 2.0),
        width: float | None = None,
        trainable: bool = False,
        implementation: Implementation = "auto",
    ) -> None:
        check_positive("functions", functions, 2)
        super().__init__(in_features, functions, implementation=implementation)
        low, high = check_domain(domain)
        width = (high - low) / (functions - 1) if width is None else float(width)
        if not 0 < width < float("inf"):
            raise ValueError(f"width: expected a positive number, got {width}")
        columns = in_features if trainable else 1
        centre = torch.linspace(low, high, functions)[:, None].repeat(1, columns)
        scale = torch.full((functions, columns), 1 / width)
        if trainable:
            self.centre, self.scale = torch.nn.Parameter(centre), torch.nn.Parameter(scale)
        else:
            self.register_buffer("centre", centre)
            self.register_buffer("scale", scale)

    def _parameters_for(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shape = (self.functions, self.in_features)
        return self.centre.to(x.dtype).expand(shape), self.scale.to(x.dtype).expand(shape)

    def formula(self, x: Tensor) -> Tensor:
        """See `Basis.formula`."""
        return formulas.family(x, *self._parameters_for(x), "gaussian")

    def compiled(self, x: Tensor) -> Tensor:
        """See `Basis.compiled`."""
        return ops.basis(x, *self._parameters_for(x), "gaussian", self.functions)
