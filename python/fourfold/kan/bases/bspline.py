"""B-splines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from fourfold.kan import _basis_formulas as formulas
from fourfold.kan import _basis_ops as ops
from fourfold.kan._checks import check_domain, check_positive, check_tensor
from fourfold.kan.bases._basis import Basis, Implementation
from fourfold.kan.bases._spline_table import spline_table

__all__ = ["BSpline"]

_MAX_DEGREE = 5


class BSpline(Basis):
    """B-splines of degree k on G intervals: ``K = G + k`` functions, as in the first KAN paper.

    The knots go on for k more intervals beyond each end of the domain, so that the functions sum to 1
    on the domain and fall to 0 outside: beyond the last knots all are 0.

    Parameters
    ----------
    in_features : int
        Number of input features D.
    grid_size : int
        Number of intervals G.
    degree : int
        k, 1 to 5.
    domain : (float, float)
        What the G intervals cover.
    knots : Tensor, optional
        (G + 2 k + 1, D) or (G + 2 k + 1, 1), not decreasing along the first dimension, instead of
        `grid_size` and `domain`.
    implementation : {"auto", "compiled", "torch"}
        See `Basis`.

    Attributes
    ----------
    knots : Tensor
        As above; a buffer.

    Notes
    -----
    Only k + 1 functions are not 0 at a point. They are polynomials there, whose coefficients are kept
    in a table; see docs/internals/kan-bases.md. Liu et al. 2024, "KAN: Kolmogorov-Arnold Networks".
    """

    default_base: ClassVar[str | None] = "silu"
    knots: Tensor
    _working_knots: Tensor
    _table: Tensor

    def __init__(
        self,
        in_features: int,
        *,
        grid_size: int = 5,
        degree: int = 3,
        domain: tuple[float, float] = (-1.0, 1.0),
        knots: Tensor | None = None,
        implementation: Implementation = "auto",
    ) -> None:
        check_positive("degree", degree)
        if degree > _MAX_DEGREE:
            raise ValueError(f"degree: expected 1 to {_MAX_DEGREE}, got {degree}")
        if knots is None:
            check_positive("grid_size", grid_size)
            low, high = check_domain(domain)
            step = (high - low) / grid_size
            steps = torch.arange(-degree, grid_size + degree + 1, dtype=torch.float64)
            knots = (low + step * steps)[:, None].to(torch.get_default_dtype())
        else:
            grid_size = _intervals_of(knots, degree, in_features)
        super().__init__(in_features, grid_size + degree, implementation=implementation)
        self.degree = degree
        self.grid_size = grid_size
        self.register_buffer("knots", knots.detach().clone())
        self._make_table()

    @property
    def domain(self) -> tuple[Tensor, Tensor]:
        """Both ends of the G intervals, per feature or (1,) for all."""
        return self.knots[self.degree], self.knots[-1 - self.degree]

    def formula(self, x: Tensor) -> Tensor:
        """See `Basis.formula`."""
        return formulas.spline(x, self._working_knots, self._table)

    def compiled(self, x: Tensor) -> Tensor:
        """See `Basis.compiled`."""
        return ops.spline(x, self._working_knots, self._table)

    def derivative(self, x: Tensor, order: int = 1) -> Tensor:
        """A derivative of every function, (..., K, D)."""
        self.check(x)
        check_positive("order", order, 0)
        function = ops.spline if self.compiles(x) else formulas.spline
        return function(x, self._working_knots, self._table, order)

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """As `Basis.linear`; on the CPU in one pass that leaves out the functions that are 0."""
        self.check(x)
        # autocast wants the product in its own dtype: then it is torch's.
        fused = self.compiles(x) and x.dtype == weight.dtype == self._table.dtype
        mixed = x.device.type in ("cpu", "cuda") and torch.is_autocast_enabled(x.device.type)
        if not fused or mixed:
            return super().linear(x, weight)
        return ops.spline_linear(x, weight, self._working_knots, self._table)

    def _make_table(self) -> None:
        # Half precision has too few digits to tell u from: it is computed in float32 throughout.
        work = self.knots.dtype if self.knots.dtype == torch.float64 else torch.float32
        table = spline_table(self.knots.double(), self.degree)
        self.register_buffer("_working_knots", self.knots.to(work), persistent=False)
        self.register_buffer("_table", table.to(work), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> BSpline:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._make_table()
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._make_table()

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{self.in_features}, grid_size={self.grid_size}, degree={self.degree}"


def _intervals_of(knots: Tensor, degree: int, in_features: int) -> int:
    check_tensor("knots", knots)
    if not knots.is_floating_point():
        raise TypeError(f"knots: expected a floating dtype, got {knots.dtype}")
    if knots.dim() != 2 or knots.shape[1] not in (1, in_features):
        raise ValueError(
            f"knots: expected shape (G + {2 * degree + 1}, {in_features}) or (..., 1), "
            f"got {tuple(knots.shape)}"
        )
    intervals = knots.shape[0] - 2 * degree - 1
    if intervals < 1:
        raise ValueError(
            f"knots: expected at least {2 * degree + 2} for degree {degree}, got {knots.shape[0]}"
        )
    if not bool(knots.isfinite().all() & (knots.diff(dim=0) >= 0).all()):
        raise ValueError(
            "knots: expected finite values that do not decrease along the first dimension"
        )
    return intervals
