"""Convolutions whose taps carry functions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fourfold.kan._checks import check_dtype, check_positive
from fourfold.kan.bases import make_basis
from fourfold.kan.bases._basis import Basis
from fourfold.kan.linear import (
    BASIS_SHARE,
    activate,
    base_activation,
    mean_power,
    normal_quantiles,
)

__all__ = ["KANConv2d"]

Pair = int | tuple[int, int]


class KANConv2d(nn.Module):
    """A convolution that adds up functions of its inputs instead of multiples.

    Every channel is expanded in the basis and the K in_channels results are convolved; beside it goes
    a convolution of s(x), if there is a residual branch. What `padding` adds counts as absent: zeros
    after the expansion, not the functions' values at 0.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, dilation : int or (int, int)
        As `torch.nn.Conv2d`.
    basis, base, bias, **options
        As `KANLinear`. A basis with parameters has them per channel.

    Attributes
    ----------
    weight : Parameter
        (out_channels, functions, in_channels, kernel height, kernel width).
    base_weight : Parameter or None
        (out_channels, in_channels, kernel height, kernel width).
    bias : Parameter or None
        (out_channels,)
    """

    bias: nn.Parameter | None
    base_weight: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        basis: str | Basis = "bspline",
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        base: str | None = "default",
        bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__()
        check_positive("in_channels", in_channels)
        check_positive("out_channels", out_channels)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _pair("kernel_size", kernel_size)
        self.stride = _pair("stride", stride)
        self.padding = _pair("padding", padding, 0)
        self.dilation = _pair("dilation", dilation)
        self.basis = make_basis(basis, in_channels, options)
        self.base = base_activation(base, self.basis)
        shape = (in_channels, *self.kernel_size)
        self.weight = nn.Parameter(torch.empty(out_channels, self.basis.functions, *shape))
        self.base_weight = nn.Parameter(torch.empty(out_channels, *shape)) if self.base else None
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all weights anew, for outputs of variance 1 as `KANLinear`; the basis stays."""
        z = normal_quantiles(self.weight, self.in_channels)
        taps = self.kernel_size[0] * self.kernel_size[1]
        share = 1.0 if self.base_weight is None else BASIS_SHARE
        self.weight.normal_().mul_((share / (taps * mean_power(self.basis.formula(z)))).sqrt())
        if self.base_weight is not None:
            power = taps * mean_power(activate(self.base, z))
            self.base_weight.normal_().mul_(((1 - share) / power).sqrt())
        if self.bias is not None:
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """(N, out_channels, H', W') of ``x`` (N, in_channels, H, W)."""
        check_dtype(x, self.weight)
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"x: expected (N, {self.in_channels}, H, W), got {tuple(x.shape)}")
        for size, taps, pad, apart in zip(
            x.shape[2:], self.kernel_size, self.padding, self.dilation, strict=True
        ):
            if size + 2 * pad < apart * (taps - 1) + 1:
                raise ValueError(
                    f"x: smaller than the kernel: shape {tuple(x.shape)}, kernel_size "
                    f"{self.kernel_size}, padding {self.padding}, dilation {self.dilation}"
                )
        # Channels last is how the basis wants them; seen from the convolution, a memory format.
        features = self.basis(x.movedim(1, -1)).flatten(-2).movedim(-1, 1)
        y = self._convolve(features, self.weight.flatten(1, 2), self.bias)
        if self.base_weight is not None:
            y = y + self._convolve(activate(self.base, x), self.base_weight, None)
        return y

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, base={self.base!r}"
        )


def _pair(name: str, value: Pair, least: int = 1) -> tuple[int, int]:
    pair = value if isinstance(value, tuple) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"{name}: expected an integer or two, got {value!r}")
    for one in pair:
        check_positive(name, one, least)
    return pair
