"""Terms that are not linear in u."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.gp._inputs import checked_count

__all__ = ["Nonlinear"]

Array = npt.NDArray[np.float64]


class Nonlinear:
    """``N(d^a u, d^b u, ...)``: a function of u and of its derivatives at the same point, with its slopes.

    Parameters
    ----------
    orders : sequence of int or of tuple of int
        Which derivatives N takes: a tuple has an order for each axis, 0 for u itself; integers in 1-D.
    function : callable
        Takes as many arrays of one shape as there are orders, and returns that shape.
    slopes : sequence of callable
        The derivative of N with respect to each argument; each takes what ``function`` takes.

    Examples
    --------
    Burgers' ``u u_x`` in (x, t):

    >>> from fourfold.gp import pde
    >>> term = pde.Nonlinear([(0, 0), (1, 0)], lambda u, u_x: u * u_x,
    ...                      [lambda u, u_x: u_x, lambda u, u_x: u])
    """

    def __init__(
        self,
        orders: Sequence[int | tuple[int, ...]],
        function: Callable[..., npt.ArrayLike],
        slopes: Sequence[Callable[..., npt.ArrayLike]],
    ) -> None:
        self.orders: list[tuple[int, ...]] = [
            tuple(
                checked_count("orders", r) for r in (order if isinstance(order, tuple) else [order])
            )
            for order in orders
        ]
        self.function = function
        self.slopes = list(slopes)
        if not self.orders or len(set(self.orders)) < len(self.orders):
            raise ValueError(f"orders: expected distinct orders, got {list(orders)}")
        if len(self.slopes) != len(self.orders):
            raise ValueError(
                f"slopes: expected one for each of {len(self.orders)} orders, got {len(self.slopes)}"
            )

    def value(self, parts: Sequence[Array]) -> Array:
        """N at derivatives of u in the order of `orders`."""
        return _checked("nonlinear", self.function(*parts), parts[0])

    def slope(self, parts: Sequence[Array]) -> list[Array]:
        """The slopes of N, one for each of `orders`."""
        return [
            _checked(f"nonlinear: slope {i}", slope(*parts), parts[0])
            for i, slope in enumerate(self.slopes)
        ]


def _checked(name: str, found: Any, like: Array) -> Array:
    values = np.asarray(found, dtype=np.float64)
    if values.shape not in ((), like.shape):
        raise ValueError(f"{name}: expected shape {like.shape} or (), got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    return np.broadcast_to(values, like.shape).copy()
