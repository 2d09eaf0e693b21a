"""The polynomials that B-splines are between two knots."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["spline_table"]


def spline_table(knots: Tensor, degree: int) -> Tensor:
    """Table of the local polynomials of all B-splines, in the layout of csrc/kan/bases.hpp.

    By the recursion of Cox and de Boor on polynomials in ``u = (x - t_j) / (t_(j+1) - t_j)``, for all
    intervals at once. Terms over an empty support are 0.

    Parameters
    ----------
    knots : Tensor
        (G + 2 k + 1, R), float64, not decreasing along the first dimension.
    degree : int
        k.

    Returns
    -------
    Tensor
        (R, G + 2 k + 2, k + 2, k + 1), float64.
    """
    k = degree
    t = knots.movedim(0, -1)  # (R, M)
    rows, count = t.shape
    intervals = count - 2 * k - 1
    # Functions that reach over the ends are computed with made-up knots, and left out below.
    step = torch.arange(1, k + 1, dtype=t.dtype, device=t.device)
    padded = torch.cat([t[:, :1] - step.flip(0), t, t[:, -1:] + step], dim=-1)
    j = torch.arange(count - 1, device=t.device)
    low, width = t[:, :-1], t.diff(dim=-1)

    def knot(index: Tensor) -> Tensor:
        return padded[:, index + k]

    # values[r]: (R, J, k + 1) coefficients of the function j - d + r of degree d on interval j.
    one = t.new_zeros(rows, count - 1, k + 1)
    one[..., 0] = 1
    values = [one]
    for d in range(1, k + 1):
        raised = [t.new_zeros(rows, count - 1, k + 1) for _ in range(d + 1)]
        for r, lower in enumerate(values):  # the function m of degree d - 1
            m = j - (d - 1) + r
            begin, end = knot(m), knot(m + d)
            share = torch.where(end > begin, 1 / (end - begin), 0.0)
            # It rises into the function m of degree d, and falls into m - 1.
            _add_product(raised[r + 1], lower, (low - begin) * share, width * share)
            _add_product(raised[r], lower, (end - low) * share, -width * share)
        values = raised
    coefficients = torch.stack(values, dim=-1)  # (R, J, power, r)

    table = t.new_zeros(rows, count + 1, k + 2, k + 1)
    table[:, 1:-1, 0, 0] = low
    table[:, 1:-1, 0, 1] = torch.where(width > 0, 1 / width, 0.0)
    for interval in range(count - 1):
        first = min(max(interval - k, 0), intervals - 1)
        shift = interval - k - first
        for slot in range(k + 1):
            if 0 <= slot - shift <= k:
                table[:, 1 + interval, 1:, slot] = coefficients[:, interval, :, slot - shift]
    return table


def _add_product(into: Tensor, polynomial: Tensor, constant: Tensor, slope: Tensor) -> None:
    """Add ``polynomial (constant + slope u)``."""
    into += polynomial * constant.unsqueeze(-1)
    into[..., 1:] += polynomial[..., :-1] * slope.unsqueeze(-1)
