"""One set of hyperparameters on one grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from fourfold.gp.grid._axis import Axis
from fourfold.gp.grid._targets import Target
from fourfold.gp.kernels import Kernel
from fourfold.gp.kronecker import Kronecker

__all__ = ["State"]

Array = npt.NDArray[np.float64]


class State:
    """Kernels, noise and the Kronecker product that they make.

    Parameters
    ----------
    axes : sequence of Axis
    kernels : sequence of Kernel
    noise : float, or ndarray of shape (N,)
        A variance, or one for every point.
    wants_gradient : bool
        Whether `covariances` require gradients.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        kernels: Sequence[Kernel],
        noise: float | Array,
        *,
        wants_gradient: bool = False,
    ) -> None:
        self.axes, self.kernels, self.noise = list(axes), list(kernels), noise
        self.covariances = [
            axis.covariance(kernel).requires_grad_(wants_gradient)
            for axis, kernel in zip(axes, kernels, strict=True)
        ]
        self.kronecker = Kronecker(
            [axis.factor(c) for axis, c in zip(axes, self.covariances, strict=True)]
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """n_1, ..., n_d."""
        return self.kronecker.sizes

    def crosses(self, target: Target, orders: Sequence[int]) -> list[Array]:
        """Covariances of derivatives at the target with f on the grid, one matrix a dimension."""
        return [
            axis.cross(kernel, x, order)
            for axis, kernel, x, order in zip(
                self.axes, self.kernels, target.coordinates, orders, strict=True
            )
        ]

    def priors(self, orders: Sequence[int]) -> list[float]:
        """``d^2r k(x, y)/dx^r dy^r`` at x = y, one a dimension; their product is the prior variance."""
        return [
            float((-1) ** r * kernel.jet(0.0, [2 * r])[0])
            for kernel, r in zip(self.kernels, orders, strict=True)
        ]

    def prior(self, orders: Sequence[int]) -> float:
        """The prior variance of a derivative."""
        return math.prod(self.priors(orders))

    def smooth(self, rows: Array) -> Array:
        """``K`` times rows (c, N)."""
        with torch.no_grad():
            product = self.kronecker.matvec(torch.from_numpy(np.ascontiguousarray(rows)))
        return np.asarray(product.numpy())
