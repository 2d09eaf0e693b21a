"""A layer whose edges carry functions: the expansion in a basis and a matrix product."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fourfold.kan._checks import check_dtype, check_positive, check_tensor
from fourfold.kan._refit import adapted_knots, fit_weights, refined_knots
from fourfold.kan.bases import BSpline, make_basis
from fourfold.kan.bases._basis import Basis

__all__ = ["KANLinear", "activate", "base_activation", "mean_power", "normal_quantiles"]

# What the basis branch begins with, of a variance of 1, where there is a residual branch beside it.
BASIS_SHARE = 0.01
_ACTIVATIONS = ("silu", "gelu", "relu", "tanh", "identity")


class KANLinear(nn.Module):
    r"""A Kolmogorov-Arnold layer: ``y_o = sum_d phi_{d,o}(x_d) + bias_o``.

    .. math:: \phi_{d,o}(x) = \sum_j w_{jdo}\, b_j(x) + v_{od}\, s(x)

    with the basis b and, if there is one, the residual branch s.

    Parameters
    ----------
    in_features, out_features : int
    basis : str or Basis
        ``"bspline"``, ``"rbf"``, ``"chebyshev"``, ``"fourier"``, ``"wavelet"``, ``"relu"``,
        ``"rational"``, ``"af"``, or a `Basis` of your own.
    base : {"default", "silu", "gelu", "relu", "tanh", "identity", None}
        s. By default what goes with the basis in the field: silu for bspline, rbf and wavelet, none
        for the others.
    bias : bool
    **options
        Of the basis, see there: ``grid_size=8``, ``degree=5``, ...

    Attributes
    ----------
    weight : Parameter
        w, (functions, in_features, out_features).
    base_weight : Parameter or None
        v, (out_features, in_features).
    bias : Parameter or None
        (out_features,)
    basis : Basis

    Notes
    -----
    Weights begin random such that outputs have variance 1 for inputs from N(0, 1): the basis makes
    all of it, or 1 % where there is a residual branch, which makes the rest.

    A state dict of B-splines on another grid loads: the layer takes over its grid.
    """

    bias: nn.Parameter | None
    base_weight: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        basis: str | Basis = "bspline",
        *,
        base: str | None = "default",
        bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__()
        check_positive("in_features", in_features)
        check_positive("out_features", out_features)
        self.in_features = in_features
        self.out_features = out_features
        self.basis = make_basis(basis, in_features, options)
        self.base = base_activation(base, self.basis)
        self.weight = nn.Parameter(torch.empty(self.basis.functions, in_features, out_features))
        self.base_weight = (
            nn.Parameter(torch.empty(out_features, in_features)) if self.base else None
        )
        self.bias = nn.Parameter(torch.empty(out_features)) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all weights anew; the basis keeps its own parameters."""
        z = normal_quantiles(self.weight, self.in_features)
        share = 1.0 if self.base_weight is None else BASIS_SHARE
        self.weight.normal_().mul_((share / mean_power(self.basis.formula(z))).sqrt())
        if self.base_weight is not None:
            power = mean_power(activate(self.base, z))
            self.base_weight.normal_().mul_(((1 - share) / power).sqrt())
        if self.bias is not None:
            self.bias.zero_()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """``y`` (..., out_features) of ``x`` (..., in_features).

        A `mask` (in_features, out_features) multiplies the edges' functions.
        """
        check_dtype(x, self.weight)
        weight: Tensor = self.weight
        base_weight: Tensor | None = self.base_weight
        if mask is not None:
            check_tensor("mask", mask)
            if mask.shape != (self.in_features, self.out_features):
                raise ValueError(
                    f"mask: expected shape {(self.in_features, self.out_features)}, "
                    f"got {tuple(mask.shape)}"
                )
            weight = weight * mask
            base_weight = None if base_weight is None else base_weight * mask.T
        y = self.basis.linear(x, weight)
        if base_weight is not None:
            return y + F.linear(activate(self.base, x), base_weight, self.bias)
        return y if self.bias is None else y + self.bias

    def edges(self, x: Tensor) -> Tensor:
        """Every edge's function of its own input.

        Parameters
        ----------
        x : Tensor
            (..., in_features)

        Returns
        -------
        Tensor
            ``phi_{d,o}(x_d)``, (..., in_features, out_features); their sum over d, and the bias, is y.

        Raises
        ------
        ValueError
            If the basis mixes the features, so that edges have no functions of their own.
        """
        self._require_separable("edges")
        y = torch.einsum("...kd,kdo->...do", self.basis(x), self.weight)
        if self.base_weight is not None:
            y = y + activate(self.base, x).unsqueeze(-1) * self.base_weight.T
        return y

    @torch.no_grad()
    def refine(self, grid_size: int, x: Tensor | None = None) -> None:
        """Give the B-splines another number of intervals, and weights that leave the function as it is.

        The old knots are interpolated, so adapted ones stay adapted; the new weights are the
        least-squares fit to the old function of every edge. If the new grid holds all old knots the
        function does not change but for rounding.

        Parameters
        ----------
        grid_size : int
            New number of intervals.
        x : Tensor, optional
            (n, in_features): where the fit is made. By default evenly over the domain.

        Raises
        ------
        TypeError
            If the basis is no B-spline.
        """
        spline = self._spline("refine")
        check_positive("grid_size", grid_size)
        knots = refined_knots(spline.knots, spline.degree, grid_size)
        self._replace_spline(spline, knots, x)

    @torch.no_grad()
    def update_grid(
        self,
        x: Tensor,
        *,
        uniform: float = 1.0,
        margin: float = 0.01,
        features: Tensor | None = None,
    ) -> None:
        """Move the knots of every feature to where its inputs are, and refit the weights.

        Parameters
        ----------
        x : Tensor
            (n, in_features) inputs of the layer, n >= 2.
        uniform : float
            0: an equal number of inputs in every interval. 1: intervals of equal length. In between:
            the weighted mean of the two.
        margin : float
            By what fraction of the inputs' range the domain goes beyond them at each end; intervals
            of equal length share that out.
        features : Tensor, optional
            (in_features,), bool: whose knots to move. All by default.

        Raises
        ------
        TypeError
            If the basis is no B-spline.
        ValueError
            If a feature has the same value everywhere, or `uniform` is outside [0, 1].
        """
        spline = self._spline("update_grid")
        spline.check(x)
        if x.dim() != 2 or x.shape[0] < 2:
            raise ValueError(f"x: expected (n >= 2, {self.in_features}), got {tuple(x.shape)}")
        if features is None:
            features = torch.ones(self.in_features, dtype=torch.bool, device=x.device)
        elif features.dtype != torch.bool or features.shape != (self.in_features,):
            raise ValueError(
                f"features: expected ({self.in_features},) of torch.bool, "
                f"got {tuple(features.shape)} of {features.dtype}"
            )
        knots = spline.knots.repeat(1, self.in_features // spline.knots.shape[1])
        moved = adapted_knots(x[:, features], spline.grid_size, spline.degree, uniform, margin)
        knots[:, features] = moved.to(knots)
        weight = self.weight.clone()
        self._replace_spline(spline, knots, x)
        self.weight[:, ~features] = weight[:, ~features]

    def _replace_spline(self, old: BSpline, knots: Tensor, x: Tensor | None) -> None:
        new = BSpline(
            self.in_features, degree=old.degree, knots=knots, implementation=old.implementation
        )
        weight = fit_weights(old, self.weight, new, x)
        self.basis = new
        if weight.shape == self.weight.shape:
            self.weight.copy_(weight)
        else:
            self.weight = nn.Parameter(weight, requires_grad=self.weight.requires_grad)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Splines on another grid come with their knots: make room, before the basis loads them.
        knots = state_dict.get(f"{prefix}basis.knots")
        old = self.basis
        if isinstance(old, BSpline) and knots is not None and knots.shape != old.knots.shape:
            room = knots.dim() == 2 and knots.shape[0] >= 2 * old.degree + 2
            if room and knots.shape[1] in (1, self.in_features):
                self.basis = BSpline(
                    self.in_features,
                    degree=old.degree,
                    knots=knots.to(old.knots),
                    implementation=old.implementation,
                )
                shape = (self.basis.functions, *self.weight.shape[1:])
                self.weight = nn.Parameter(self.weight.new_empty(shape), self.weight.requires_grad)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _spline(self, what: str) -> BSpline:
        if not isinstance(self.basis, BSpline):
            raise TypeError(
                f"{what} needs a B-spline basis, this one is {type(self.basis).__name__}"
            )
        return self.basis

    def _require_separable(self, what: str) -> None:
        if not self.basis.separable:
            raise ValueError(
                f"{what} needs edges with functions of their own; {self.basis} mixes the features"
            )

    def extra_repr(self) -> str:
        """What `print` shows."""
        return (
            f"{self.in_features}, {self.out_features}, base={self.base!r}, "
            f"bias={self.bias is not None}"
        )


def base_activation(base: str | None, basis: Basis) -> str | None:
    """The residual branch's activation that the argument `base` means with this basis."""
    name = basis.default_base if base == "default" else base
    if name is not None and name not in _ACTIVATIONS:
        raise ValueError(f"base: expected one of {_ACTIVATIONS} or None, got {base!r}")
    return name


def activate(name: str | None, x: Tensor) -> Tensor:
    """The residual branch's activation."""
    if name == "identity":
        return x
    value: Tensor = getattr(torch if name == "tanh" else F, str(name))(x)
    return value


def mean_power(values: Tensor) -> Tensor:
    """The sum over all functions and features of the mean square over the first dimension."""
    return values.square().mean(dim=0).sum()


def normal_quantiles(like: Tensor, features: int, count: int = 32) -> Tensor:
    """Points (count, features) with the mean squares of N(0, 1) under a function, about.

    Every column holds the same points, each in another order: some bases look at a whole row.
    """
    share = (torch.arange(count, dtype=torch.float64, device=like.device) + 0.5) / count
    points = math.sqrt(2) * torch.erfinv(2 * share - 1)
    points = (points / points.square().mean().sqrt()).to(like.dtype)
    row = torch.arange(count, device=like.device)[:, None]
    column = torch.arange(features, device=like.device)
    return points[(row + 7 * column) % count]
