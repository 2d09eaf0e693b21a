"""What a scan computed as one labelled dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse._dataset import STATISTICS
from fourfold.nlse._problem_arrays import batch_dimensions
from fourfold.nlse._scan_points import Axis, Point
from fourfold.nlse.solution import Solution

if TYPE_CHECKING:
    import xarray

__all__ = ["States", "label_states", "states_of"]

States = dict[str, npt.NDArray[Any]]
"""The arrays of the dataset by name, with an axis of combinations in front."""

_COHERENCE = {
    "coherence": ("x", "first-order coherence |g12| in x"),
    "spectral_coherence": ("k", "first-order coherence |g12| in k"),
}


def states_of(solution: Solution) -> States:
    """The arrays of a solution whose first axis of realisations is that of combinations.

    Without fields it is that of one combination and has no such axis.
    """
    conserved = {name: getattr(solution, name) for name in ("mass", "momentum", "energy")}
    if solution.has_fields:
        found = {"psi": solution.fields_as_numpy(), **conserved}
        return {name: np.moveaxis(values, 1, 0) for name, values in found.items()}
    statistics = {name: getattr(solution.statistics, name) for name in (*STATISTICS, *_COHERENCE)}
    return {name: values[None] for name, values in (statistics | conserved).items()}


def label_states(xr: Any, axes: list[Axis], point: Point, t: Any, states: States) -> xarray.Dataset:
    """The dataset; ``point`` is any combination."""
    grid = point.problem.grid
    shape = tuple(len(axis.values) for axis in axes)
    names = tuple(axis.name for axis in axes)
    batch_shape = point.field.shape[:-1]
    batch = batch_dimensions(batch_shape) if batch_shape else ()
    variables: dict[str, Any] = {}
    for name, values in states.items():
        if name in STATISTICS or name in _COHERENCE:
            last, long_name = (STATISTICS | _COHERENCE)[name]
            dims: tuple[str, ...] = ("time", last)
        elif name == "psi":
            dims, long_name = ("time", *batch, "x"), "field"
        else:
            dims, long_name = ("time", *batch), name
        attributes = {"long_name": long_name, "units": "1"}
        variables[name] = ((*names, *dims), values.reshape(shape + values.shape[1:]), attributes)
    coordinates: dict[str, Any] = {
        "time": ("time", t, {"long_name": "time", "units": "1"}),
        "x": ("x", grid.x, {"long_name": "position", "units": "1"}),
    }
    if "spectrum" in states:
        coordinates["k"] = ("k", grid.k, {"long_name": "angular wavenumber", "units": "1"})
    for axis in axes:
        coordinates[axis.name] = (axis.name, axis.coordinates)
    for name, size in zip(batch, batch_shape, strict=True):
        coordinates[name] = (name, np.arange(size), {"long_name": "number of the realisation"})
    attributes = {"title": "Scan of the nonlinear Schrodinger equation"}
    dataset: xarray.Dataset = xr.Dataset(variables, coordinates, attributes)
    return dataset
