"""What every covariance function offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fourfold.gp._inputs import as_array, checked_count, finite_array, in_kind_of, kind_is_torch
from fourfold.gp.kernels._covariance import Program, program_jet, program_pull_back
from fourfold.gp.kernels._cuda_covariance import (
    jet_there,
    lags_there,
    matrix_lags,
    pull_back_there,
    real_there,
)
from fourfold.gp.kernels._parameters import Parameter

__all__ = ["Kernel"]

Array = npt.NDArray[np.float64]


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
    def _program(self) -> Program:
        """What C++ evaluates."""

    @abstractmethod
    def _by_values(self, by_leaf: Iterator[Array]) -> list[Array]:
        """Gradient with respect to the value of each parameter, from those of `program_pull_back`, in their order."""

    def _pull_back(self, lag: Array, orders: Sequence[int], cotangent: Array) -> list[Array]:
        """Gradient of ``sum(cotangent * jet)`` with respect to the value of each parameter; arguments checked."""
        return self._by_values(iter(program_pull_back(self._program(), lag, orders, cotangent)))

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
        vector = as_array("theta", theta)
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

    @overload
    def jet(self, lag: Tensor, orders: Sequence[int] = (0,)) -> Tensor: ...
    @overload
    def jet(self, lag: npt.ArrayLike, orders: Sequence[int] = (0,)) -> Array: ...

    def jet(self, lag: Any, orders: Sequence[int] = (0,)) -> Any:
        r"""Derivatives ``d^r k/dz^r`` in closed form.

        Parameters
        ----------
        lag : array_like or tensor of float, any shape
            Signed lags ``z = x - y``. No gradient flows through, `pull_back` gives it. A CUDA tensor gives one on its GPU.
        orders : sequence of int
            Distinct orders r from 0 to `highest_order`.

        Returns
        -------
        array or tensor of float64, shape (len(orders), \*lag.shape)

        Raises
        ------
        ValueError
            An order that this kernel does not have, or a lag that is not finite.
        """
        checked = self._checked_orders(orders)
        if _is_there(lag):
            return jet_there(self._program(), lags_there(lag), checked)
        values = program_jet(self._program(), finite_array("lag", lag), checked)
        return in_kind_of(values, kind_is_torch(lag))

    @overload
    def pull_back(self, lag: Tensor, orders: Sequence[int], cotangent: Any) -> Tensor: ...
    @overload
    def pull_back(self, lag: npt.ArrayLike, orders: Sequence[int], cotangent: Any) -> Array: ...

    def pull_back(self, lag: Any, orders: Sequence[int], cotangent: Any) -> Any:
        r"""Gradient of ``sum(cotangent * jet(lag, orders))`` with respect to `theta`.

        Parameters
        ----------
        lag, orders
            As in `jet`.
        cotangent : array_like or tensor of float, shape (len(orders), \*lag.shape)

        Returns
        -------
        array or tensor (as lag is) of float64, shape (P,)
        """
        checked = self._checked_orders(orders)
        if _is_there(lag):
            return self._pull_back_there(lag, checked, cotangent)
        z = finite_array("lag", lag)
        c = np.asarray(as_array("cotangent", cotangent), order="C")
        _check_cotangent(c.shape, checked, z.shape)
        gradient = self._by_theta(self._pull_back(z, checked, c))
        return in_kind_of(gradient, kind_is_torch(lag))

    def _pull_back_there(self, lag: Tensor, orders: Sequence[int], cotangent: Any) -> Tensor:
        lags = lags_there(lag)
        c = real_there("cotangent", _there("cotangent", cotangent, lag))
        _check_cotangent(tuple(c.shape), orders, lags.shape)
        by_leaf = pull_back_there(self._program(), lags, orders, c)
        gradient = self._by_theta(self._by_values(iter(by_leaf)))
        return lags.x.new_tensor(gradient)

    def _by_theta(self, by_values: Sequence[Array]) -> Array:
        """Gradient with respect to `theta`, from that with respect to the value of each parameter."""
        pieces = [np.empty(0)]
        for p, by_value in zip(self.parameters, by_values, strict=True):
            if p.free:
                pieces.append(np.reshape(by_value * p.value if p.log else by_value, -1))
        return np.concatenate(pieces)

    @overload
    def __call__(
        self, x: Tensor, y: Any = None, *, derivative: tuple[int, int] = (0, 0)
    ) -> Tensor: ...
    @overload
    def __call__(
        self, x: npt.ArrayLike, y: Any = None, *, derivative: tuple[int, int] = (0, 0)
    ) -> Array: ...

    def __call__(self, x: Any, y: Any = None, *, derivative: tuple[int, int] = (0, 0)) -> Any:
        """The matrix ``d^(i+j) k(x_a - y_b) / dx^i dy^j``.

        Parameters
        ----------
        x : array_like or tensor of float, shape (n,)
        y : array_like or tensor of float, shape (m,), optional
            ``x`` if left out.
        derivative : (int, int)
            The orders i and j; i + j is at most `highest_order`.

        Returns
        -------
        array or tensor (as x is) of float64, shape (n, m)
        """
        orders: Any = derivative
        if not isinstance(orders, Sequence) or len(orders) != 2:
            raise ValueError(f"derivative: expected two orders, got {derivative!r}")
        i, j = (checked_count("derivative", order) for order in orders)
        if _is_there(x):
            lags = matrix_lags(x, x if y is None else _there("y", y, x))
            (there,) = jet_there(self._program(), lags, self._checked_orders([i + j]))
            return there.neg_() if j % 2 else there
        a = finite_array("x", x)
        b = a if y is None else finite_array("y", y)
        if a.ndim != 1 or b.ndim != 1:
            raise ValueError(f"x, y: expected vectors, got shapes {a.shape} and {b.shape}")
        values = self.jet(a[:, None] - b, [i + j])[0]
        return in_kind_of(-values if j % 2 else values, kind_is_torch(x))

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
        given: Any = orders
        if not isinstance(given, (Sequence, np.ndarray)):
            raise ValueError(f"orders: expected a list of orders, got {orders!r}")
        checked = [checked_count("orders", r) for r in given]
        if not checked or len(set(checked)) != len(checked):
            raise ValueError(f"orders: expected distinct orders of at least 0, got {orders}")
        if max(checked) > self.highest_order:
            raise ValueError(
                f"orders: {type(self).__name__} has derivatives at lag 0 up to order {self.highest_order}, "
                f"got {max(checked)}"
            )
        return checked


def _is_there(value: Any) -> bool:
    """Whether this is a tensor that the CUDA kernels take."""
    return isinstance(value, Tensor) and value.device.type == "cuda"


def _there(name: str, value: Any, like: Tensor) -> Tensor:
    """A tensor on the device of another; numbers are sent there."""
    if isinstance(value, Tensor):
        if value.device != like.device:
            raise ValueError(
                f"{name}: expected a tensor on {like.device}, got one on {value.device}"
            )
        return value
    return like.new_tensor(as_array(name, value), dtype=torch.float64)


def _check_cotangent(shape: tuple[int, ...], orders: Sequence[int], lags: tuple[int, ...]) -> None:
    if shape != (len(orders), *lags):
        raise ValueError(f"cotangent: expected shape {(len(orders), *lags)}, got {shape}")
