"""A trainable rational activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import torch
from torch import nn

from fourfold.kan._checks import check_multiple, check_tensor
from fourfold.kan.fitting import FUNCTIONS, RationalFit, fit_rational
from fourfold.kan.functional import Implementation, Variant, rational

__all__ = ["Rational"]

Tensor = torch.Tensor


class Rational(nn.Module):
    """An activation function that learns its shape: a rational function for each group of channels.

    The groups share the numerator and have a denominator each, as in the Kolmogorov-Arnold transformer; the
    parameters have its names, so that its state dicts fit.

    Parameters
    ----------
    channels : int or None
        Size of dimension `dim`. None: any that `groups` divides.
    groups : int
        Number of stretches of channels, each with coefficients of its own.
    degree : tuple of int
        Of numerator and denominator.
    variant : {"A", "B", "C", "N"}
        The form of the denominator, see `rational`.
    init : str, callable or RationalFit
        What function to begin with: a name, or a function, that `fit_rational` fits on [-8, 8], or a fit
        of your own.
    dim : int
        The dimension of the channels.
    share_numerator : bool
        Whether all groups have one numerator.
    implementation : {"kernel", "torch"}
        See `rational`. May be changed afterwards: `module.implementation = "torch"`.
    device, dtype
        Of the parameters.

    Attributes
    ----------
    weight_numerator : Parameter
        ``a_0, ..., a_m``, shape (1 or groups, m + 1).
    weight_denominator : Parameter
        ``b_1, ..., b_n`` (variant C: from ``b_0``), shape (groups, n).
    fit : RationalFit
        What it began with: the coefficients, the error, the interval, and the `gain` that the
        weights of the next layer need.

    Raises
    ------
    ValueError
        `groups` does not divide `channels`, or `init` is of another degree or variant.

    Examples
    --------
    >>> import torch
    >>> from fourfold import kan
    >>> layer = kan.Rational(768, init="gelu")
    >>> layer(torch.randn(4, 196, 768)).shape
    torch.Size([4, 196, 768])
    """

    def __init__(
        self,
        channels: int | None,
        groups: int = 8,
        degree: tuple[int, int] = (5, 4),
        variant: Variant = "A",
        init: str | Callable[[Tensor], Tensor] | RationalFit = "silu",
        dim: int = -1,
        *,
        share_numerator: bool = True,
        implementation: Implementation = "kernel",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_multiple("channels", groups if channels is None else channels, groups)
        if not isinstance(dim, int):
            raise TypeError(f"dim: expected an integer, got {dim!r}")
        if implementation not in get_args(Implementation):
            raise ValueError(
                f"implementation: expected 'kernel' or 'torch', got {implementation!r}"
            )
        if isinstance(init, str):
            if init not in FUNCTIONS:
                raise ValueError(f"init: expected one of {', '.join(FUNCTIONS)}, got {init!r}")
        elif not callable(init) and not isinstance(init, RationalFit):
            raise TypeError(
                f"init: expected a name, a function or a fit, got {type(init).__name__}"
            )
        fit = init if isinstance(init, RationalFit) else fit_rational(init, degree, variant=variant)
        if fit.degree != tuple(degree) or fit.variant != variant:
            raise ValueError(
                f"init: expected a fit of degree {tuple(degree)} and variant {variant}, "
                f"got one of degree {fit.degree} and variant {fit.variant}"
            )
        self.channels = channels
        self.groups = groups
        self.variant: Variant = variant
        self.dim = dim
        self.implementation: Implementation = implementation
        self.fit = fit
        rows = 1 if share_numerator else groups
        empty = torch.empty
        self.weight_numerator = nn.Parameter(
            empty(rows, len(fit.numerator), device=device, dtype=dtype)
        )
        self.weight_denominator = nn.Parameter(
            empty(groups, len(fit.denominator), device=device, dtype=dtype)
        )
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Go back to the function of the beginning."""
        for weight, values in (
            (self.weight_numerator, self.fit.numerator),
            (self.weight_denominator, self.fit.denominator),
        ):
            weight.copy_(torch.tensor(values, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """F(x), of the shape and dtype of x."""
        check_tensor("x", x)
        inside = -x.dim() <= self.dim < x.dim()
        if self.channels is not None and not (inside and x.shape[self.dim] == self.channels):
            raise ValueError(
                f"x: expected {self.channels} channels in dimension {self.dim}, "
                f"got shape {tuple(x.shape)}"
            )
        return rational(
            x,
            self.weight_numerator,
            self.weight_denominator,
            variant=self.variant,
            dim=self.dim,
            implementation=self.implementation,
        )

    def extra_repr(self) -> str:
        """What `print` shows."""
        return (
            f"{self.channels}, groups={self.groups}, degree={self.fit.degree}, "
            f"variant={self.variant!r}, init={self.fit.name!r}, dim={self.dim}"
        )
