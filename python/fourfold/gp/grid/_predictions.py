"""What a fitted `GridGP` answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.gp._info import PredictInfo
from fourfold.gp._inputs import checked_count, finite_array, in_kind_of, kind_is_torch
from fourfold.gp.grid import _leave_one_out, _paths
from fourfold.gp.grid._data import checked_grids
from fourfold.gp.grid._posterior import Posterior
from fourfold.gp.grid._results import LeaveOneOut
from fourfold.gp.grid._targets import Product, Scattered, Target

__all__ = ["Predictions"]

Array = npt.NDArray[np.float64]


class Predictions:
    """The methods of `GridGP` that need its posterior alone."""

    _posterior: Posterior

    def predict(
        self,
        points: Any,
        *,
        return_std: bool = False,
        derivative: Sequence[int] | None = None,
        return_info: bool = False,
    ) -> Any:
        r"""Posterior mean and standard deviation of ``mean + f`` (without noise) at scattered points.

        Parameters
        ----------
        points : array_like or tensor of float, shape (m, d), or (m,) for d = 1
            Anywhere, on the grid or off it.
        return_std : bool
            Whether to return standard deviations, too. With missing points or noise for every point these cost one
            solve a point beyond 3000 observations.
        derivative : sequence of d int, optional
            Orders of the partial derivative to predict, (1, 0) for that along the first dimension. The mean needs
            kernels with so many derivatives at lag 0, the standard deviation with twice as many.
        return_info : bool
            Whether to return a `PredictInfo`, too: how, and how many variances rounding had taken below zero.

        Returns
        -------
        array or tensor of float64, shape (\*batch, m), as points are; or a tuple of what was asked for

        Raises
        ------
        NotPositiveDefiniteError
            A variance is below -100 eps k(x, x): there is too little noise for this kernel.
        """
        self._fitted("predict")
        coordinates = finite_array("points", points)
        d = self._dimensions
        if coordinates.ndim == 1 and d == 1:
            coordinates = coordinates[:, None]
        if coordinates.ndim != 2 or coordinates.shape[1] != d:
            raise ValueError(
                f"points: expected shape (m, {d}), got {coordinates.shape}; for a grid of points predict_grid"
            )
        target = Scattered(coordinates)
        return self._predicted(
            target,
            return_std,
            derivative,
            return_info,
            kind_is_torch(points, self._posterior.data.torch),
        )

    def predict_grid(
        self,
        grids: Sequence[Any] | None = None,
        *,
        return_std: bool = False,
        derivative: Sequence[int] | None = None,
        return_info: bool = False,
    ) -> Any:
        r"""As `predict`, at all points of a grid at once, which is much cheaper than point by point.

        Parameters
        ----------
        grids : sequence of d array_like of float, shapes (m_1,), ..., (m_d,), optional
            Strictly increasing; by default the grid of the observations.
        return_std, derivative, return_info
            As in `predict`.

        Returns
        -------
        array or tensor of float64, shape (\*batch, m_1, ..., m_d), as y was; or a tuple of what was asked for
        """
        self._fitted("predict_grid")
        return self._predicted(
            self._grid(grids), return_std, derivative, return_info, self._posterior.data.torch
        )

    def sample(self, n: int = 1, grids: Sequence[Any] | None = None, rng: Any = None) -> Any:
        r"""Draws of ``mean + f`` (without noise) from the posterior, on a grid; by Matheron's rule.

        Parameters
        ----------
        n : int
            How many.
        grids : sequence of d array_like of float, optional
            Strictly increasing; by default the grid of the observations.
        rng : None, int, numpy.random.Generator or torch.Generator
            Where the random numbers come from; an int is a seed.

        Returns
        -------
        array or tensor of float64, shape (n, \*batch, m_1, ..., m_d), as y was

        Raises
        ------
        NotPositiveDefiniteError
            A kernel's matrix has an eigenvalue below zero by more than rounding.
        """
        self._fitted("sample")
        target = self._grid(grids)
        draws = _paths.draw(self._posterior, target, checked_count("n", n, 1), rng)
        shape = (n, *self._posterior.data.batch_shape, *target.shape)
        return in_kind_of(draws.reshape(shape), self._posterior.data.torch)

    def leave_one_out(self) -> LeaveOneOut:
        """Every observation predicted from all others, in closed form, at the hyperparameters found.

        Returns
        -------
        LeaveOneOut
        """
        self._fitted("leave_one_out")
        data = self._posterior.data
        shape = (*data.batch_shape, *data.sizes)
        return LeaveOneOut(
            *(
                in_kind_of(a.reshape(shape), data.torch)
                for a in _leave_one_out.leave_one_out(self._posterior)
            )
        )

    def _predicted(
        self, target: Target, return_std: bool, derivative: Any, return_info: bool, tensor: bool
    ) -> Any:
        orders = self._orders(derivative)
        shape = (*self._posterior.data.batch_shape, *target.shape)
        results = [in_kind_of(self._posterior.mean(target, orders).reshape(shape), tensor)]
        info = PredictInfo()
        if return_std:
            std, info = self._posterior.std(target, orders)
            results.append(in_kind_of(std.reshape(shape), tensor))
        if return_info:
            results.append(info)
        return results[0] if len(results) == 1 else tuple(results)

    def _orders(self, derivative: Any) -> list[int]:
        d = self._dimensions
        if derivative is None:
            return [0] * d
        if (
            not isinstance(derivative, (Sequence, np.ndarray))
            or len(derivative) != d
            or not all(isinstance(r, (int, np.integer)) and r >= 0 for r in derivative)
        ):
            raise ValueError(f"derivative: expected {d} orders of at least 0, got {derivative!r}")
        return [int(r) for r in derivative]

    def _grid(self, grids: Any) -> Product:
        if grids is None:
            return Product([axis.points for axis in self._posterior.data.axes])
        vectors = checked_grids("grids", grids)
        if len(vectors) != self._dimensions:
            raise ValueError(f"grids: expected {self._dimensions} vectors, got {len(vectors)}")
        return Product(vectors)

    def _fitted(self, method: str, error: type[Exception] = ValueError) -> None:
        if not hasattr(self, "_posterior"):
            raise error(f"{method}: call fit first")

    @property
    def _dimensions(self) -> int:
        return len(self._posterior.data.axes)
