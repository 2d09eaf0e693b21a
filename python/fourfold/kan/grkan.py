"""Layers with group rational functions in front of linear maps (GR-KAN)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from fourfold.kan._checks import check_multiple, check_positive
from fourfold.kan.activation import Rational
from fourfold.kan.fitting import RationalFit
from fourfold.kan.functional import Variant

__all__ = ["GRKANMLP", "GRKANLinear"]

Tensor = torch.Tensor
Init = str | Callable[[Tensor], Tensor] | RationalFit


@torch.no_grad()
def preserve_variance(linear: nn.Linear, gain: float) -> None:
    """Draw normal weights of variance gain/in_features, zero biases."""
    nn.init.normal_(linear.weight, std=(gain / linear.in_features) ** 0.5)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)


class GRKANLinear(nn.Module):
    """A rational function of every input feature, then a linear map: ``y = W F(x) + b``.

    The weights are drawn from a normal distribution of variance ``1/(in_features E[F(z)^2])``,
    z ~ N(0, 1), with the moment of the function as it was fitted: for x ~ N(0, 1) every output has
    E[y^2] = 1.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last dimension before and after.
    groups, degree, variant, init
        As of `Rational`.
    bias : bool
        Whether there is a b; it starts at zero.
    device, dtype
        Of the parameters.

    Attributes
    ----------
    act : Rational
        F.
    linear : nn.Linear
        W and b.

    References
    ----------
    X. Yang and X. Wang, *Kolmogorov-Arnold Transformer*, 2024, arXiv:2409.10594, section 4.3.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        groups: int = 8,
        degree: tuple[int, int] = (5, 4),
        variant: Variant = "A",
        init: Init = "silu",
        *,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_multiple("in_features", in_features, groups)
        check_positive("out_features", out_features)
        self.act = Rational(in_features, groups, degree, variant, init, device=device, dtype=dtype)
        self.linear = nn.Linear(in_features, out_features, bias, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        self.act.reset_parameters()
        preserve_variance(self.linear, self.act.fit.gain)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        out: Tensor = self.linear(self.act(x))
        return out


class GRKANMLP(nn.Module):
    """What stands for the MLP in a Kolmogorov-Arnold transformer: two rational layers.

    ``act1 -> fc1 -> act2 -> fc2``, `act1` the identity at first, `act2` SiLU; dropout after each
    linear map's input as in the original.

    Parameters
    ----------
    in_features : int
        Size of the last dimension of the input.
    hidden_features, out_features : int, optional
        Sizes between and after; `in_features` if not given.
    groups, degree, variant
        As of `Rational`.
    init : tuple
        What `act1` and `act2` begin with.
    bias : bool
        Of both linear maps.
    drop : float
        Probability of dropout in front of both linear maps.
    device, dtype
        Of the parameters.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int | None = None,
        out_features: int | None = None,
        groups: int = 8,
        degree: tuple[int, int] = (5, 4),
        variant: Variant = "A",
        init: tuple[Init, Init] = ("identity", "silu"),
        *,
        bias: bool = True,
        drop: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        hidden = in_features if hidden_features is None else hidden_features
        out = in_features if out_features is None else out_features
        check_multiple("in_features", in_features, groups)
        check_multiple("hidden_features", hidden, groups)
        check_positive("out_features", out)
        given: object = init
        if not isinstance(given, tuple) or len(given) != 2:
            raise TypeError(f"init: expected a tuple of two functions, got {init!r}")
        where = {"device": device, "dtype": dtype}
        self.act1: nn.Module = Rational(in_features, groups, degree, variant, init[0], **where)  # type: ignore[arg-type]
        self.fc1 = nn.Linear(in_features, hidden, bias, device=device, dtype=dtype)
        self.act2: nn.Module = Rational(hidden, groups, degree, variant, init[1], **where)  # type: ignore[arg-type]
        self.fc2 = nn.Linear(hidden, out, bias, device=device, dtype=dtype)
        self.drop = nn.Dropout(drop)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew; each linear map preserves the variance behind its rational function."""
        for act, linear in ((self.act1, self.fc1), (self.act2, self.fc2)):
            if isinstance(act, Rational):
                act.reset_parameters()
                preserve_variance(linear, act.fit.gain)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        x = self.fc1(self.drop(self.act1(x)))
        out: Tensor = self.fc2(self.drop(self.act2(x)))
        return out
