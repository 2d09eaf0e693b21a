"""Knots for finer or moved grids, and the weights that keep a spline's function on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from fourfold.kan.bases.bspline import BSpline

__all__ = ["adapted_knots", "fit_weights", "refined_knots"]

# Points per function at which the old spline is sampled where the caller gives none.
_POINTS = 8


def refined_knots(knots: Tensor, degree: int, grid_size: int) -> Tensor:
    """Knots (grid_size + 2 k + 1, R) with the same ends, spread as the old ones are."""
    inner = knots[degree : knots.shape[0] - degree].double()
    place = torch.linspace(0, inner.shape[0] - 1, grid_size + 1, dtype=torch.float64)
    left = place.floor().clamp(max=inner.shape[0] - 2).long()
    share = (place - left)[:, None]
    return _extended((1 - share) * inner[left] + share * inner[left + 1], degree).to(knots.dtype)


def adapted_knots(x: Tensor, grid_size: int, degree: int, uniform: float, margin: float) -> Tensor:
    """Knots (grid_size + 2 k + 1, D), float64, between quantiles and even spacing of x (n, D)."""
    if not 0 <= uniform <= 1:
        raise ValueError(f"uniform: expected a number in [0, 1], got {uniform}")
    if not 0 <= margin < float("inf"):
        raise ValueError(f"margin: expected a number of at least 0, got {margin}")
    sample = x.double()
    low, high = sample.amin(dim=0), sample.amax(dim=0)
    width = high - low
    if not bool(((width > 0) & width.isfinite()).all()):
        bad = int((~((width > 0) & width.isfinite())).nonzero()[0])
        raise ValueError(f"x: feature {bad} has one value only, or one that is not finite")
    share = torch.linspace(0, 1, grid_size + 1, dtype=torch.float64)
    quantiles = torch.quantile(sample, share, dim=0)
    quantiles[0] -= margin * width
    quantiles[-1] += margin * width
    even = quantiles[0] + share[:, None] * (1 + 2 * margin) * width
    return _extended(uniform * even + (1 - uniform) * quantiles, degree)


def fit_weights(old: BSpline, weight: Tensor, new: BSpline, x: Tensor | None) -> Tensor:
    """Weights (K', D, O) of the new basis that fit the old function of every edge best.

    Least squares in float64, by singular values: where there are too few points the smallest
    weights are taken.
    """
    if x is None:
        x = _points_over(new)
    new.check(x)
    if not bool(x.isfinite().all()):
        raise ValueError("x: expected finite values, got some that are not")
    sample = x.detach().double().reshape(-1, new.in_features)
    old_values = _exact(old)(sample).movedim(-1, 0)  # (D, n, K)
    target = old_values @ weight.detach().double().movedim(1, 0)  # (D, n, O)
    matrix = _exact(new)(sample).movedim(-1, 0)
    solution = torch.linalg.lstsq(matrix.cpu(), target.cpu(), driver="gelsd").solution
    fitted: Tensor = solution.movedim(0, 1).to(weight.device, weight.dtype)
    return fitted


def _exact(spline: BSpline) -> BSpline:
    """The same in float64; its coefficients from the knots as they are."""
    return type(spline)(spline.in_features, degree=spline.degree, knots=spline.knots.double())


def _points_over(spline: BSpline) -> Tensor:
    inner = spline.knots[spline.degree : spline.knots.shape[0] - spline.degree].double()
    share = (torch.arange(_POINTS, dtype=torch.float64) + 0.5) / _POINTS
    points = inner[:-1, None] + share[:, None] * inner.diff(dim=0)[:, None]
    return points.flatten(0, 1).expand(-1, spline.in_features)


def _extended(inner: Tensor, degree: int) -> Tensor:
    """With `degree` more knots at each end, as far apart as the mean of the inner ones."""
    step = (inner[-1] - inner[0]) / (inner.shape[0] - 1)
    steps = torch.arange(1, degree + 1, dtype=inner.dtype, device=inner.device)[:, None] * step
    return torch.cat([inner[:1] - steps.flip(0), inner, inner[-1:] + steps])
