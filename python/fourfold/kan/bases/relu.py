"""Squared products of two ReLUs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fourfold.kan import _basis_formulas as formulas
from fourfold.kan import _basis_ops as ops
from fourfold.kan._checks import check_domain, check_positive
from fourfold.kan.bases._basis import Basis, Implementation

__all__ = ["ReLU"]


class ReLU(Basis):
    """``[relu(x - low_j) relu(high_j - x)]^2 16 / (high_j - low_j)^4``, as in ReLU-KAN.

    ``K = G + k`` bumps of height 1. With g = (domain's length) / G they begin at
    ``low_j = domain[0] + (j - k) g``, j = 0 .. G + k - 1, and are ``(k + 1) g`` wide; all 2 K ends are
    trainable, per feature.

    Parameters
    ----------
    in_features : int
        Number of input features D.
    grid_size : int
        G.
    order : int
        k, by how many steps a bump is wider than one.
    domain : (float, float)
        What the grid covers.
    implementation : {"auto", "compiled", "torch"}
        See `Basis`.

    Notes
    -----
    Qiu et al. 2024, "ReLU-KAN". Written as ``max(1 - u^2, 0)^2`` with u from -1 to 1 between the ends,
    which is the same while ``low < high``; a pair that training has swapped counts as the interval
    between.
    """

    def __init__(
        self,
        in_features: int,
        *,
        grid_size: int = 5,
        order: int = 3,
        domain: tuple[float, float] = (-1.0, 1.0),
        implementation: Implementation = "auto",
    ) -> None:
        check_positive("grid_size", grid_size)
        check_positive("order", order, 0)
        super().__init__(in_features, grid_size + order, implementation=implementation)
        begin, end = check_domain(domain)
        step = (end - begin) / grid_size
        low = begin + step * torch.arange(-order, grid_size)
        self.low = nn.Parameter(low[:, None].repeat(1, in_features))
        self.high = nn.Parameter((low + (order + 1) * step)[:, None].repeat(1, in_features))

    def _centre_and_scale(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.low.to(x.dtype), self.high.to(x.dtype)
        return (low + high) / 2, 2 / (high - low)

    def formula(self, x: Tensor) -> Tensor:
        """See `Basis.formula`."""
        return formulas.family(x, *self._centre_and_scale(x), "bump")

    def compiled(self, x: Tensor) -> Tensor:
        """See `Basis.compiled`."""
        return ops.basis(x, *self._centre_and_scale(x), "bump", self.functions)
