"""What the equation conserves: mass, momentum and energy, by spectral derivatives.

All functions take fields of shape ``(..., n)``, complex64 or complex128 (or real), and work in
double precision. They return float64 of the leading shape: a scalar for one field.
"""

from __future__ import annotations

from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse._checks import refuse_masked
from fourfold.nlse._densities import abs2, power
from fourfold.nlse.grid import Grid
from fourfold.nlse.problem import Problem

__all__ = ["energy", "mass", "momentum"]

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]
_Place = slice | EllipsisType

# Fields are widened and transformed in blocks of about this many points: no second copy of a run.
_BLOCK_POINTS = 1 << 18


def mass(grid: Grid, psi: NDArray[Any]) -> Float:
    r"""The mass (power, number of particles) :math:`\int |\psi|^2 dx`, as ``sum |psi|^2 dx``.

    It is conserved without loss, and decays with loss gamma as
    :math:`-2 \int \gamma |\psi|^2 dx`.

    Parameters
    ----------
    grid : Grid
        Where the fields live.
    psi : complex array of shape (..., n)
        The fields.

    Returns
    -------
    float64 of shape ``psi.shape[:-1]``
    """
    fields = _fields(grid, psi)

    def of_block(block: Complex, _: _Place) -> Float:
        result: Float = grid.dx * abs2(block).sum(axis=-1)
        return result

    return _by_blocks(of_block, fields)


def momentum(grid: Grid, psi: NDArray[Any]) -> Float:
    r"""The momentum :math:`\int \operatorname{Im}(\psi^* \psi_x) dx`.

    Computed as ``length * sum_k k |c_k|^2`` with ``c = fft(psi) / n``. Conserved without potential
    and loss.

    Parameters
    ----------
    grid : Grid
        Where the fields live.
    psi : complex array of shape (..., n)
        The fields.

    Returns
    -------
    float64 of shape ``psi.shape[:-1]``
    """
    fields = _fields(grid, psi)

    def of_block(block: Complex, _: _Place) -> Float:
        result: Float = grid.length * (power(block) * grid.k).sum(axis=-1)
        return result

    return _by_blocks(of_block, fields)


def energy(problem: Problem, psi: NDArray[Any], t: ArrayLike | None = None) -> Float:
    r"""The energy (Hamiltonian) of the fields.

    .. math:: \int \psi^* \omega(-i \partial_x) \psi - \tfrac{g}{2} |\psi|^4 + V |\psi|^2 \, dx

    which for the default problem is :math:`\int \tfrac12 |\psi_x|^2 - \tfrac12 |\psi|^4 dx`. The
    first term is computed as ``length * sum_k omega(k) |c_k|^2``. Conserved without loss, if nothing
    depends on time.

    Parameters
    ----------
    problem : Problem
        A nonlinearity or potential of its own for each realisation is matched to the *last*
        leading axes of `psi`, so that `psi` may have a time axis in front.
    psi : complex array of shape (..., n)
        The fields.
    t : float or array of shape (T,), optional
        Needed where the problem depends on time: the time of all fields, or the times along the
        first axis of `psi`.

    Returns
    -------
    float64 of shape ``psi.shape[:-1]``
    """
    grid = problem.grid
    fields = _fields(grid, psi)
    if problem.time_dependent:
        return _energy_in_time(problem, fields, t)
    leading = fields.shape[:-1]
    if not _fits(problem.batch_shape, leading):
        raise ValueError(
            f"psi must have leading dimensions that end in the problem's batch shape "
            f"{problem.batch_shape}, got shape {fields.shape}"
        )
    g = np.broadcast_to(problem.nonlinearity, leading)
    potential = problem.potential
    v = None if potential is None else np.broadcast_to(potential, fields.shape)

    def of_block(block: Complex, where: _Place) -> Float:
        intensity = abs2(block)
        total: Float = grid.length * (power(block) * problem.omega).sum(axis=-1)
        total = total - (grid.dx / 2) * g[where] * (intensity**2).sum(axis=-1)
        if v is not None:
            total = total + grid.dx * (v[where] * intensity).sum(axis=-1)
        return total

    return _by_blocks(of_block, fields)


def _energy_in_time(problem: Problem, fields: NDArray[Any], t: ArrayLike | None) -> Float:
    if t is None:
        raise ValueError("t must be given: the problem depends on time")
    times = np.asarray(t, dtype=np.float64)
    if times.ndim == 0:
        return energy(problem.at(float(times)), fields)
    if fields.ndim < 2 or times.shape != fields.shape[:1]:
        raise ValueError(
            f"t must be a number or one time for each entry of psi's first axis, got shape "
            f"{times.shape} for psi of shape {fields.shape}"
        )
    each = zip(times.tolist(), fields, strict=True)
    return np.array([energy(problem.at(time), now) for time, now in each])


def _fields(grid: Grid, psi: NDArray[Any]) -> NDArray[Any]:
    refuse_masked("psi", psi)
    array = np.asarray(psi)
    if array.dtype.kind not in "fc":
        raise TypeError(f"psi must be a complex array, got dtype {array.dtype}")
    if array.ndim == 0 or array.shape[-1] != grid.n:
        raise ValueError(f"psi must have shape (..., {grid.n}), got {array.shape}")
    return array


def _fits(batch_shape: tuple[int, ...], leading: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(batch_shape, leading) == leading
    except ValueError:
        return False


def _by_blocks(function: Callable[[Complex, _Place], Float], fields: NDArray[Any]) -> Float:
    """Apply a function of (block, its place on the first axis) to fields (..., n) in blocks."""
    if fields.ndim == 1:
        return function(fields.astype(np.complex128), ...)
    result = np.empty(fields.shape[:-1])
    rows = max(1, _BLOCK_POINTS // max(1, fields[:1].size))
    for start in range(0, fields.shape[0], rows):
        where = slice(start, start + rows)
        result[where] = function(fields[where].astype(np.complex128), where)
    return result
