"""What every covariance function offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels._parameters import Parameter

__all__ = ["Kernel"]


class Kernel(ABC):
    """A stationary covariance function of one variable, ``k(x, y) = k(z)`` with the signed lag ``z = x - y``.

    Kernels are immutable: `with_theta` returns another one. ``a + b`` and ``a * b`` are kernels.
    """

    @property
    @abstractmethod
    def highest_order(self) -> int:
        """The highest derivative ``d^r k/dz^r`` that exists at lag 0, at most 4."""

    @property
    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """The hyperparameters, in the order of `theta`."""

    @abstractmethod
    def _with_values(self, values: Sequence[npt.NDArray[np.float64]]) -> Self:
        """Return this kernel with other values of all parameters."""

    @abstractmethod
    def _jet(self, lag: npt.NDArray[np.float64], orders: Sequence[int]) -> npt.NDArray[np.float64]:
        """As `jet`, arguments checked."""

    @abstractmethod
    def _pull_back(
        self,
        lag: npt.NDArray[np.float64],
        orders: Sequence[int],
        cotangent: npt.NDArray[np.float64],
    ) -> list[npt.NDArray[np.float64]]:
        """Gradient of ``sum(cotangent * jet)`` with respect to the value of each parameter."""

    @property
    def theta(self) -> npt.NDArray[np.float64]:
        """The free hyperparameters as one vector (P,): positive ones as logarithms."""
        return np.concatenate([np.empty(0), *(p.theta for p in self.parameters if p.free)])

    @property
    def theta_bounds(self) -> npt.NDArray[np.float64]:
        """Bounds of `theta`, shape (P, 2)."""
        return np.concatenate(
            [np.empty((0, 2)), *(p.theta_bounds for p in self.parameters if p.free)]
        )

    @property
    def theta_names(self) -> list[str]:
        """Name of each entry of `theta`; those of a vector end in [0], [1], ..."""
        return [
            p.name if p.value.ndim == 0 else f"{p.name}[{i}]"
            for p in self.parameters
            if p.free
            for i in range(p.value.size)
        ]

    def with_theta(self, theta: npt.ArrayLike) -> Self:
        """Return this kernel with other hyperparameters, (P,) as in `theta`."""
        vector = np.asarray(theta, dtype=np.float64)
        if vector.shape != self.theta.shape:
            raise ValueError(f"theta: expected shape {self.theta.shape}, got {vector.shape}")
        values, at = [], 0
        for p in self.parameters:
            if p.free:
                values.append(p.to_value(vector[at : at + p.value.size]))
                at += p.value.size
            else:
                values.append(p.value)
        return self._with_values(values)

    def jet(self, lag: npt.ArrayLike, orders: Sequence[int] = (0,)) -> npt.NDArray[np.float64]:
        r"""Derivatives ``d^r k/dz^r`` in closed form.

        Parameters
        ----------
        lag : array_like of float, any shape
            Signed lags ``z = x - y``.
        orders : sequence of int
            Distinct orders r from 0 to `highest_order`.

        Returns
        -------
        ndarray of float64, shape (len(orders), \*lag.shape)

        Raises
        ------
        ValueError
            An order that this kernel does not have, or a lag that is not finite.
        """
        return self._jet(_checked_lag(lag), self._checked_orders(orders))

    def pull_back(
        self, lag: npt.ArrayLike, orders: Sequence[int], cotangent: npt.ArrayLike
    ) -> npt.NDArray[np.float64]:
        r"""Gradient of ``sum(cotangent * jet(lag, orders))`` with respect to `theta`.

        Parameters
        ----------
        lag, orders
            As in `jet`.
        cotangent : array_like of float, shape (len(orders), \*lag.shape)

        Returns
        -------
        ndarray of float64, shape (P,)
        """
        z, checked = _checked_lag(lag), self._checked_orders(orders)
        c = np.ascontiguousarray(cotangent, dtype=np.float64)
        if c.shape != (len(checked), *z.shape):
            raise ValueError(f"cotangent: expected shape {(len(checked), *z.shape)}, got {c.shape}")
        pieces = [np.empty(0)]
        for p, by_value in zip(self.parameters, self._pull_back(z, checked, c), strict=True):
            if p.free:
                pieces.append(np.reshape(by_value * p.value if p.log else by_value, -1))
        return np.concatenate(pieces)

    def __call__(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike | None = None,
        *,
        derivative: tuple[int, int] = (0, 0),
    ) -> npt.NDArray[np.float64]:
        """The matrix ``d^(i+j) k(x_a - y_b) / dx^i dy^j``.

        Parameters
        ----------
        x : array_like of float, shape (n,)
        y : array_like of float, shape (m,), optional
            ``x`` if left out.
        derivative : (int, int)
            The orders i and j; i + j is at most `highest_order`.

        Returns
        -------
        ndarray of float64, shape (n, m)
        """
        i, j = derivative
        if i < 0 or j < 0:
            raise ValueError(f"derivative: expected orders of at least 0, got {derivative}")
        a = np.asarray(x, dtype=np.float64)
        b = a if y is None else np.asarray(y, dtype=np.float64)
        if a.ndim != 1 or b.ndim != 1:
            raise ValueError(f"x, y: expected vectors, got shapes {a.shape} and {b.shape}")
        values: npt.NDArray[np.float64] = self.jet(a[:, None] - b, [i + j])[0]
        return -values if j % 2 else values

    @property
    def variance_at_zero(self) -> float:
        """``k(0)``."""
        return float(self.jet(0.0)[0])

    def __add__(self, other: object) -> Kernel:
        """``(a + b)(z) = a(z) + b(z)``."""
        if not isinstance(other, Kernel):
            return NotImplemented
        from fourfold.gp.kernels.compose import Sum

        return Sum(self, other)

    def __mul__(self, other: object) -> Kernel:
        """``(a * b)(z) = a(z) b(z)``."""
        if not isinstance(other, Kernel):
            return NotImplemented
        from fourfold.gp.kernels.compose import Product

        return Product(self, other)

    def _checked_orders(self, orders: Sequence[int]) -> list[int]:
        checked = [int(r) for r in orders]
        if not checked or len(set(checked)) != len(checked) or min(checked) < 0:
            raise ValueError(f"orders: expected distinct orders of at least 0, got {orders}")
        if max(checked) > self.highest_order:
            raise ValueError(
                f"orders: {type(self).__name__} has derivatives at lag 0 up to order {self.highest_order}, "
                f"got {max(checked)}"
            )
        return checked


def _checked_lag(lag: npt.ArrayLike) -> npt.NDArray[np.float64]:
    z: npt.NDArray[np.float64] = np.array(lag, dtype=np.float64, order="C", copy=None)
    if not np.isfinite(z).all():
        raise ValueError("lag: expected finite numbers, got NaN or infinity")
    return z
