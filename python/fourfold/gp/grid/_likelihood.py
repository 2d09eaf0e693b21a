"""The log marginal likelihood and its gradient, and what a posterior needs at given hyperparameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold.gp.grid._complete import CompleteSystem, Gradient
from fourfold.gp.grid._data import Data, Group
from fourfold.gp.grid._dense import DENSE, DenseSystem
from fourfold.gp.grid._holed import HoledSystem
from fourfold.gp.grid._hyperparameters import Hyperparameters
from fourfold.gp.grid._state import State

__all__ = ["Likelihood", "Mean", "System", "system_of"]

Array = npt.NDArray[np.float64]

_DEPENDENT = 1e-12

System = CompleteSystem | DenseSystem | HoledSystem


@dataclass(frozen=True)
class Mean:
    """Generalised least squares of one group.

    Attributes
    ----------
    weights : ndarray, shape (p, N)
        ``W = A^-1 H``.
    lower : ndarray, shape (p, p)
        Cholesky factor of ``G = H W'``.
    logdet : float
        ``log det G``.
    """

    weights: Array
    lower: Array
    logdet: float

    def coefficients(self, rows: Array) -> Array:
        """``G^-1 W r`` of rows (b, N): (b, p)."""
        return _solved(self.lower, np.einsum("pn,bn->pb", self.weights, rows)).T


def mean_of_group(system: System, basis: Array) -> Mean:
    """The mean's part of the likelihood, for a basis (p, N) that is 0 at missing points."""
    weights = system.solve(basis)
    # einsum: NumPy's BLAS threads would fight torch's, which have just worked, for the cores.
    gram = np.einsum("in,jn->ij", weights, basis)
    gram = (gram + gram.T) / 2
    sizes = np.diag(gram)
    lower, row = scipy.linalg.lapack.dpotrf(gram, lower=1)
    # A pivot is what the functions before leave of the next one, squared.
    if row == 0 and (np.diag(lower) ** 2 <= _DEPENDENT * sizes).any():
        row = 1 + int(np.argmin(np.diag(lower) ** 2 / sizes))
    if row:
        raise ValueError(
            f"mean: its {len(basis)} functions are linearly dependent on the observed points "
            f"(function {row - 1} on those before it)"
        )
    return Mean(weights, lower, 2 * float(np.log(np.diag(lower)).sum()))


def system_of(state: State, group: Group, seed: int) -> System:
    """The covariance of a group's observations."""
    if group.mask is None and isinstance(state.noise, float):
        return CompleteSystem(state)
    total = math.prod(state.sizes)
    mask = np.ones(total, dtype=bool) if group.mask is None else group.mask
    if int(mask.sum()) <= DENSE:
        return DenseSystem(state, mask)
    return HoledSystem(state, mask, seed)


class Likelihood:
    """``log p(y | theta) + log p(theta)`` as a function of theta.

    Parameters
    ----------
    data : Data
    basis : ndarray, shape (p, N)
        The mean's functions on the grid.
    hyperparameters : Hyperparameters
    seed : int
        Of stochastic log-determinants: the same probes in all evaluations.

    Attributes
    ----------
    data : Data
    hyperparameters : Hyperparameters
    ways : tuple of str
        How the last log-determinants were computed.
    interval : float
        Half the width of the 95 % confidence interval of the last value; 0 where it is exact.
    """

    def __init__(
        self, data: Data, basis: Array, hyperparameters: Hyperparameters, seed: int
    ) -> None:
        self.data, self._basis, self.hyperparameters = data, basis, hyperparameters
        self._seed = seed
        self.ways: tuple[str, ...] = ()
        self.interval = 0.0

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Value and gradient of the sum of both."""
        value, gradient = self.marginal(theta)
        prior, slope = self.hyperparameters.log_prior(theta)
        return value + prior, gradient + slope

    def marginal(self, theta: Array) -> tuple[float, Array]:
        """``log p(y | theta)`` and its gradient."""
        value, gradient = self._marginal(theta, gradient=True)
        assert gradient is not None
        return value, gradient

    def value(self, theta: Array) -> float:
        """``log p(y | theta)`` alone."""
        return self._marginal(theta, gradient=False)[0]

    def _marginal(self, theta: Array, *, gradient: bool) -> tuple[float, Array | None]:
        data, hyper = self.data, self.hyperparameters
        kernels, noise = hyper.unpack(theta)
        holed = any(g.mask is not None for g in data.groups) or not isinstance(noise, float)
        state = State(data.axes, kernels, noise, wants_gradient=holed and gradient)
        value, by_noise, halves = 0.0, 0.0, []
        by_covariance: list[list[Array]] = []
        ways: list[str] = []
        for group in data.groups:
            system = system_of(state, group, self._seed)
            part, slopes = self._group(system, group, gradient)
            value += part
            if slopes is not None:
                by_covariance.append(slopes[0])
                by_noise += slopes[1]
            ways += system.ways
            if system.interval is not None:
                low, high = system.interval
                halves.append(len(group.members) * (high - low) / 4)
        self.ways = tuple(dict.fromkeys(ways))
        self.interval = math.hypot(*halves)
        if not gradient:
            return value, None
        by_kernels = []
        for k, (axis, kernel) in enumerate(zip(data.axes, kernels, strict=True)):
            # Complete systems give gradients of matrices, others those of lags.
            thetas = [axis.pull_back(kernel, found[k]) for found in by_covariance]
            by_kernels.append(np.sum(thetas, axis=0))
        return value, -0.5 * hyper.gradient(by_kernels, noise, by_noise)

    def _group(
        self, system: System, group: Group, wants_gradient: bool
    ) -> tuple[float, Gradient | None]:
        """Its part of the value, and the gradient of -2 times that if wanted."""
        rows = self.data.rows[group.members]
        outputs, count = len(rows), group.count(rows.shape[1])
        p = len(self._basis)
        weights = np.ones(outputs)
        logdet = 0.0
        if p:
            basis = self._basis if group.mask is None else self._basis * group.mask
            mean = mean_of_group(system, basis)
            logdet = mean.logdet
            rows = rows - np.einsum("bp,pn->bn", mean.coefficients(rows), basis)
            inverse = scipy.linalg.solve_triangular(mean.lower, np.eye(p), lower=True)
            turned = np.einsum("ij,jn->in", inverse, basis)
            rows = np.concatenate([rows, turned])
            weights = np.append(weights, np.full(p, float(outputs)))
        gradient = None
        if wants_gradient:
            quads, gradient = system.evaluate(rows, weights, outputs)
        else:
            quads = system.forms(rows[:outputs])
        constant = (count - p) * math.log(2 * math.pi)
        both = float(quads[:outputs].sum()) + outputs * (system.logdet + logdet + constant)
        return -0.5 * both, gradient


def _solved(lower: Array, right: Array) -> Array:
    solution: Array = scipy.linalg.cho_solve((lower, True), right)
    return solution
