"""Wavelets."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from fourfold.kan import _basis_formulas as formulas
from fourfold.kan import _basis_ops as ops
from fourfold.kan._checks import check_domain, check_positive
from fourfold.kan.bases._basis import Basis, Implementation

__all__ = ["Wavelet"]

_KINDS = ("mexican_hat", "morlet", "dog")


class Wavelet(Basis):
    """``psi((x - t_j) / s_j)`` with trainable positions t and scales s, after Wav-KAN.

    =============== =============================================================
    `wavelet`       psi(u)
    =============== =============================================================
    ``mexican_hat`` ``2 / (sqrt(3) pi^(1/4)) (1 - u^2) exp(-u^2 / 2)``
    ``morlet``      ``cos(5 u) exp(-u^2 / 2)``
    ``dog``         ``-u exp(-u^2 / 2)``, the derivative of a Gaussian
    =============== =============================================================

    Parameters
    ----------
    in_features : int
        Number of input features D.
    functions : int
        Number of wavelets K per feature.
    wavelet : {"mexican_hat", "morlet", "dog"}
    domain : (float, float)
        The wavelets begin evenly spaced in it, as wide as they are apart.
    implementation : {"auto", "compiled", "torch"}
        See `Basis`.

    Notes
    -----
    Bozorgasl & Chen 2024, "Wav-KAN". There every edge has one wavelet with its own position and
    scale; here every feature has K of them and an edge is their weighted sum, which is a matrix
    product.
    """

    default_base: ClassVar[str | None] = "silu"

    def __init__(
        self,
        in_features: int,
        *,
        functions: int = 8,
        wavelet: Literal["mexican_hat", "morlet", "dog"] = "mexican_hat",
        domain: tuple[float, float] = (-2.0, 2.0),
        implementation: Implementation = "auto",
    ) -> None:
        check_positive("functions", functions)
        super().__init__(in_features, functions, implementation=implementation)
        if wavelet not in _KINDS:
            raise ValueError(f"wavelet: expected one of {_KINDS}, got {wavelet!r}")
        low, high = check_domain(domain)
        step = (high - low) / functions
        positions = low + step * (torch.arange(functions) + 0.5)
        self.wavelet = wavelet
        self.position = nn.Parameter(positions[:, None].repeat(1, in_features))
        self.scale = nn.Parameter(torch.full((functions, in_features), step))

    def formula(self, x: Tensor) -> Tensor:
        """See `Basis.formula`."""
        position, scale = self.position.to(x.dtype), self.scale.to(x.dtype)
        return formulas.family(x, position, 1 / scale, self.wavelet)

    def compiled(self, x: Tensor) -> Tensor:
        """See `Basis.compiled`."""
        position, scale = self.position.to(x.dtype), self.scale.to(x.dtype)
        return ops.basis(x, position, 1 / scale, self.wavelet, self.functions)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{self.in_features}, functions={self.functions}, wavelet={self.wavelet!r}"
