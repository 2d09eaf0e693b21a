"""Draws from the posterior by Matheron's rule: a draw from the prior, corrected by what it misses of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp._sampling import normal
from fourfold.gp.grid._axis import Axis
from fourfold.gp.grid._posterior import Posterior
from fourfold.gp.grid._targets import Product
from fourfold.gp.kernels import Kernel
from fourfold.gp.kronecker import Kronecker

__all__ = ["draw"]

Array = npt.NDArray[np.float64]

# Eigenvalues below zero by this share of the largest, for each row, are rounding.
_ROUNDING = 100 * np.finfo(np.float64).eps


def draw(posterior: Posterior, target: Product, count: int, rng: Any) -> Array:
    """(count, B, m) in the units of y."""
    data, state = posterior.data, posterior.state
    outputs, total = data.rows.shape
    unions, at_grid, at_target = [], [], []
    for axis, new in zip(state.axes, target.coordinates, strict=True):
        both, inverse = np.unique(np.concatenate([axis.points, new]), return_inverse=True)
        unions.append(both)
        at_grid.append(inverse[: axis.size])
        at_target.append(inverse[axis.size :])
    roots = [
        _root(k, Axis(u), kernel)
        for k, (u, kernel) in enumerate(zip(unions, state.kernels, strict=True))
    ]
    shape = tuple(u.size for u in unions)
    if rng is None or isinstance(rng, (int, np.integer)):
        rng = np.random.default_rng(rng)
    white = normal((count * outputs, int(np.prod(shape))), rng, torch.float64)
    prior = Kronecker(roots).matvec(white.numpy()).reshape(count * outputs, *shape)
    on_grid = _taken(prior, at_grid).reshape(count, outputs, total)
    on_target = _taken(prior, at_target).reshape(count, outputs, -1)
    noise = normal((count, outputs, total), rng, torch.float64).numpy() * np.sqrt(state.noise)
    missed = np.where(data.observed, data.rows - on_grid - noise, 0.0)
    weights = np.empty((count, outputs, total))
    coefficients = np.empty((count, outputs, len(posterior.functions)))
    for part in posterior.parts:
        members = part.group.members
        rows = missed[:, members].reshape(-1, total)
        found, means = posterior.conditioned(part, rows)
        weights[:, members] = found.reshape(count, members.size, total)
        coefficients[:, members] = means.reshape(count, members.size, means.shape[-1])
    none = [0] * len(state.axes)
    correction = target.contract(weights.reshape(-1, total), state.crosses(target, none))
    functions = posterior.basis.at(target.points(), none)
    result = on_target + correction.reshape(on_target.shape) + coefficients @ functions
    return data.offset[:, None] + data.scale[:, None] * result


def _root(k: int, axis: Axis, kernel: Kernel) -> Array:
    """R with ``R R' = K_k``, from the eigendecomposition: smooth kernels have no Cholesky factor in float64."""
    (values, vectors) = Kronecker([axis.factor(axis.covariance(kernel))]).eigh()[0]
    spectrum = values.numpy()
    smallest = float(spectrum.min())
    if smallest < -_ROUNDING * axis.size * float(spectrum.max()):
        raise NotPositiveDefiniteError(
            f"kernels[{k}]: the covariance of the points to draw at has the eigenvalue {smallest:.3g}, the "
            f"largest is {spectrum.max():.3g}",
            factor=k,
            smallest_eigenvalue=smallest,
        )
    return np.ascontiguousarray(vectors.numpy() * np.sqrt(np.where(spectrum > 0, spectrum, 0.0)))


def _taken(prior: Array, at: Sequence[npt.NDArray[np.intp]]) -> Array:
    for k, index in enumerate(at):
        prior = prior.take(index, axis=k + 1)
    return prior
