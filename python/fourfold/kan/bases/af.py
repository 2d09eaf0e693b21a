"""The activation-function combinations of AF-KAN."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fourfold.kan import _basis_formulas as formulas
from fourfold.kan import _basis_ops as ops
from fourfold.kan._checks import check_domain, check_positive
from fourfold.kan.bases._basis import Basis, Implementation

__all__ = ["AF"]

Activation = Literal[
    "softplus", "sigmoid", "silu", "relu", "leaky_relu", "elu", "gelu", "selu", "tanh"
]
Combination = Literal["quad1", "quad2", "sum", "prod", "sum_prod", "cubic1", "cubic2"]
Reduction = Literal["global_attention", "spatial_attention", "multistep"]
Norm = Literal["layer", "batch"]


class AF(Basis):
    """One function per feature, reduced from g + k combinations of activations, after AF-KAN.

    With an activation s and trainable ``low_j``, ``high_j`` per feature, j = 1 .. g + k,
    ``a = s(x - low_j)`` and ``b = s(high_j - x)`` are combined:

    ========== =========================
    quad1      ``(a b)^2``
    quad2      ``a b + a^2 + b^2``
    sum        ``a + b``
    prod       ``a b``
    sum_prod   ``a + b + a b``
    cubic1     ``(a + b)(a^2 + b^2)``
    cubic2     ``(a b)^3``
    ========== =========================

    and the g + k results of a feature are reduced to one:

    ================= ==========================================================================
    global_attention  their sum, times the feature's softmax weight among all D features; scores are
                      a learned combination of the g + k, over ``max(temperature, 1)``
    spatial_attention their sum weighted by a softmax over the g + k; scores are a convolution of
                      width 3 along the features
    multistep         a learned combination
    ================= ==========================================================================

    then normalised over the features and put through s again.

    Parameters
    ----------
    in_features : int
        Number of input features D.
    grid_size, order : int
        g and k.
    activation : str
        s: softplus, sigmoid, silu, relu, leaky_relu, elu, gelu, selu or tanh.
    combination, reduction : str
        As in the tables.
    norm : {"layer", "batch", None}
        ``"batch"`` is `torch.nn.BatchNorm1d`: its statistics are those of the training, so that in
        evaluation the prediction of a row does not depend on its batch mates. With the others it
        never does.
    domain : (float, float)
        What the g intervals cover: ``low_j`` begins at ``domain[0] + (j - 1 - k) h`` and ``high_j``
        ``(k + 1) h`` further on, h being an interval's length.
    implementation : {"auto", "compiled", "torch"}
        See `Basis`. The kernel computes the combinations; reduction and norm are torch's.

    Notes
    -----
    Ta et al. 2025, "AF-KAN". Not separable but for ``multistep`` without a norm: attention and norm
    mix the features.
    """

    fuses: ClassVar[bool] = True

    def __init__(
        self,
        in_features: int,
        *,
        grid_size: int = 3,
        order: int = 3,
        activation: Activation = "silu",
        combination: Combination = "quad1",
        reduction: Reduction = "global_attention",
        norm: Norm | None = "layer",
        domain: tuple[float, float] = (0.0, 1.0),
        implementation: Implementation = "auto",
    ) -> None:
        super().__init__(in_features, 1, implementation=implementation)
        check_positive("grid_size", grid_size)
        check_positive("order", order, 0)
        _check_choice("activation", activation, get_args(Activation))
        _check_choice("combination", combination, get_args(Combination))
        _check_choice("reduction", reduction, get_args(Reduction))
        _check_choice("norm", norm, (*get_args(Norm), None))
        self.activation = activation
        self.combination = combination
        self.reduction = reduction
        self.separable = reduction == "multistep" and norm is None
        count = grid_size + order
        begin, end = check_domain(domain)
        step = (end - begin) / grid_size
        low = begin + step * torch.arange(-order, grid_size)
        self.low = nn.Parameter(low[:, None].repeat(1, in_features))
        self.high = nn.Parameter((low + (order + 1) * step)[:, None].repeat(1, in_features))
        self.score: nn.Module
        if reduction == "spatial_attention":
            self.score = nn.Conv1d(count, count, 3, padding=1, groups=count)
        else:
            self.score = nn.Linear(count, 1)
        if reduction == "global_attention":
            self.temperature = nn.Parameter(torch.tensor(math.sqrt(in_features)))
        self.norm: nn.Module = nn.Identity()
        if norm is not None:
            self.norm = (nn.LayerNorm if norm == "layer" else nn.BatchNorm1d)(in_features)

    @property
    def _function(self) -> str:
        return f"{self.combination} of {self.activation}"

    def formula(self, x: Tensor) -> Tensor:
        """See `Basis.formula`."""
        low, high = self.low.to(x.dtype), self.high.to(x.dtype)
        return self._finished(x, formulas.combined(x, low, high, self._function))

    def compiled(self, x: Tensor) -> Tensor:
        """See `Basis.compiled`."""
        low, high = self.low.to(x.dtype), self.high.to(x.dtype)
        return self._finished(x, ops.basis(x, low, high, self._function, low.shape[0]))

    def _finished(self, x: Tensor, values: Tensor) -> Tensor:
        reduced = self._reduce(values).reshape(-1, self.in_features)
        normed = self.norm(reduced.to(self.low.dtype)).to(values.dtype).reshape(x.shape)
        activated: Tensor = getattr(F, self.activation)(normed)
        return activated.unsqueeze(-2)

    def _reduce(self, values: Tensor) -> Tensor:
        """(..., g + k, D) to (..., D)."""
        weight, bias = (cast(Tensor, p).to(values.dtype) for p in self.score.parameters())
        if self.reduction == "spatial_attention":
            flat = values.reshape(-1, *values.shape[-2:])
            scores = F.conv1d(flat, weight, bias, padding=1, groups=flat.shape[1])
            return (values * scores.softmax(dim=-2).reshape(values.shape)).sum(dim=-2)
        if self.reduction == "multistep":
            return (weight @ values).squeeze(-2) + bias
        # One product makes the scores and the sums, and no copy is turned.
        scores, total = (torch.cat([weight, torch.ones_like(weight)]) @ values).unbind(-2)
        temperature = self.temperature.to(values.dtype).clamp(min=1)
        weights = ((scores + bias) / temperature).softmax(dim=-1)
        return weights * total

    def extra_repr(self) -> str:
        """What `print` shows."""
        return (
            f"{self.in_features}, activation={self.activation!r}, "
            f"combination={self.combination!r}, reduction={self.reduction!r}"
        )


def _check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: expected one of {allowed}, got {value!r}")
