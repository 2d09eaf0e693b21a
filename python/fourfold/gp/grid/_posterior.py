"""The process given the observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold.gp._info import PredictInfo
from fourfold.gp._variance import checked_variance
from fourfold.gp.grid._data import Data, Group
from fourfold.gp.grid._likelihood import Mean, System, mean_of_group, system_of
from fourfold.gp.grid._mean import Basis
from fourfold.gp.grid._state import State
from fourfold.gp.grid._targets import Product, Target

__all__ = ["Part", "Posterior"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """One group of outputs: its system, and its mean if coefficients are estimated."""

    group: Group
    system: System
    mean: Mean | None


class Posterior:
    """What predictions read.

    Attributes
    ----------
    weights : ndarray, shape (B, N)
        ``A^-1 (y - mean)``, 0 at missing points.
    coefficients : ndarray, shape (B, p)
        Of the mean's functions.
    parts : list of Part
    """

    def __init__(self, data: Data, basis: Basis, state: State, seed: int) -> None:
        self.data, self.basis, self.state = data, basis, state
        functions = basis.at(Product([a.points for a in data.axes]).points(), [0] * len(data.axes))
        self.functions = functions
        self.weights = np.empty_like(data.rows)
        self.coefficients = np.empty((len(data.rows), len(functions)))
        self.parts: list[Part] = []
        for group in data.groups:
            system = system_of(state, group, seed)
            mean = mean_of_group(system, self.basis_of(group)) if len(functions) else None
            self.parts.append(Part(group, system, mean))
            weights, coefficients = self.conditioned(self.parts[-1], data.rows[group.members])
            self.weights[group.members] = weights
            self.coefficients[group.members] = coefficients

    def basis_of(self, group: Group) -> Array:
        """The mean's functions at the observed points, 0 elsewhere, (p, N)."""
        return self.functions if group.mask is None else self.functions * group.mask

    def conditioned(self, part: Part, rows: Array) -> tuple[Array, Array]:
        """Weights (b, N) and coefficients (b, p) for other data of a group; rows are 0 at missing points."""
        if part.mean is None:
            return part.system.solve(rows), np.empty((len(rows), 0))
        coefficients = part.mean.coefficients(rows)
        return part.system.solve(rows - coefficients @ self.basis_of(part.group)), coefficients

    def mean(self, target: Target, orders: Sequence[int]) -> Array:
        """(B, m), in the units of y."""
        result = target.contract(self.weights, self.state.crosses(target, orders))
        if len(self.functions):
            result += self.coefficients @ self.basis.at(target.points(), orders)
        offset = self.data.offset if not any(orders) else 0 * self.data.offset
        return offset[:, None] + self.data.scale[:, None] * result

    def std(self, target: Target, orders: Sequence[int]) -> tuple[Array, PredictInfo]:
        """Standard deviations (B, m), in the units of y."""
        prior = self.state.prior(orders)
        result = np.empty((len(self.weights), int(np.prod(target.shape))))
        infos = []
        for part in self.parts:
            variance, info = part.system.variances(target, orders)
            variance, zeroed = checked_variance(variance, prior)
            infos.append(PredictInfo(info.ways, zeroed, info.iterations, info.residual))
            if part.mean is not None:
                cross = target.contract(part.mean.weights, self.state.crosses(target, orders))
                left = self.basis.at(target.points(), orders) - cross
                half = scipy.linalg.solve_triangular(part.mean.lower, left, lower=True)
                variance = variance + (half**2).sum(axis=0)
            members = part.group.members
            result[members] = self.data.scale[members, None] * np.sqrt(variance)
        return result, _joined(infos)


def _joined(infos: Sequence[PredictInfo]) -> PredictInfo:
    residuals = [i.residual for i in infos if i.residual is not None]
    return PredictInfo(
        tuple(dict.fromkeys(way for i in infos for way in i.ways)),
        sum(i.zeroed for i in infos),
        max(i.iterations for i in infos),
        max(residuals) if residuals else None,
    )
