"""A `Solution` as an `xarray.Dataset` and back.

A dataset for a file has every complex variable ``name`` split into ``name_real`` and ``name_imag``,
because netCDF has no complex numbers; everything else is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourfold._version import __version__
from fourfold.errors import MissingExtraError
from fourfold.nlse._conserved import Conserved
from fourfold.nlse._problem_arrays import (
    batch_dimensions,
    problem_arrays,
    problem_attributes,
    rebuild_problem,
)
from fourfold.nlse.solution import Solution, SolveStats, as_numpy
from fourfold.nlse.statistics import EnsembleStatistics

if TYPE_CHECKING:
    import xarray

Float64 = npt.NDArray[np.float64]

__all__ = [
    "FORMAT",
    "STATISTICS",
    "from_file_dataset",
    "import_xarray",
    "split_complex",
    "to_xarray",
]

FORMAT = 2
"""Version of the file format. `from_file_dataset` reads this one and all before it.

Format 2 differs from 1 where coefficients depend on time, and only those files are called so.
"""

STATISTICS = {
    "mean_field": ("x", "mean of psi over the realisations"),
    "mean_coefficients": ("k", "mean of the Fourier coefficients fft(psi)/n"),
    "intensity": ("x", "mean of |psi|^2"),
    "intensity_variance": ("x", "variance of |psi|^2"),
    "spectrum": ("k", "mean of the squared moduli of the Fourier coefficients fft(psi)/n"),
}
"""What describes the arrays of `EnsembleStatistics`: dimension beside time, and long name."""


def to_xarray(solution: Solution) -> xarray.Dataset:
    """The solution as an `xarray.Dataset`: see `Solution.to_xarray`."""
    xr = import_xarray("Solution.to_xarray")
    grid = solution.grid
    batch = batch_dimensions(solution.batch_shape)
    per_realisation = ("time", *batch)

    variables: dict[str, Any] = {}

    def add(name: str, dims: tuple[str, ...], values: npt.NDArray[Any], long_name: str) -> None:
        variables[name] = (dims, values, {"long_name": long_name, "units": "1"})

    if solution.has_fields:
        add("psi", (*per_realisation, "x"), solution.fields_as_numpy(), "field")
    else:
        statistics = solution.statistics
        for name, (dim, long_name) in STATISTICS.items():
            add(name, ("time", dim), getattr(statistics, name), long_name)
        if hasattr(solution, "final"):
            add("final", (*batch, "x"), as_numpy(solution.final), "field at the last time")
    add("mass", per_realisation, solution.mass, "mass")
    add("momentum", per_realisation, solution.momentum, "momentum")
    add("energy", per_realisation, solution.energy, "energy")
    for name, (values, dims, long_name) in problem_arrays(
        solution.problem, solution.batch_shape
    ).items():
        add(name, dims, values, long_name)

    coordinates: dict[str, Any] = {
        "time": ("time", solution.t, {"long_name": "time", "units": "1"}),
        "x": ("x", grid.x, {"long_name": "position", "units": "1"}),
        "k": ("k", grid.k, {"long_name": "angular wavenumber", "units": "1"}),
    }
    for name, size in zip(batch, solution.batch_shape, strict=True):
        coordinates[name] = (name, np.arange(size), {"long_name": "number of the realisation"})
    dataset: xarray.Dataset = xr.Dataset(variables, coordinates, _attributes(solution))
    return dataset


def split_complex(dataset: xarray.Dataset) -> xarray.Dataset:
    """Every complex variable as two real ones: netCDF has no complex numbers."""
    for name in [name for name, v in dataset.data_vars.items() if v.dtype.kind == "c"]:
        whole = dataset[name]
        long_name = whole.attrs["long_name"]
        for part, values in (("real", whole.values.real), ("imag", whole.values.imag)):
            attributes = {**whole.attrs, "long_name": f"{long_name}, {part} part"}
            dataset[f"{name}_{part}"] = (whole.dims, np.ascontiguousarray(values), attributes)
        dataset = dataset.drop_vars(str(name))
    return dataset


def _joined(dataset: xarray.Dataset, name: str) -> npt.NDArray[Any]:
    """The complex array of which `split_complex` made two."""
    real, imag = dataset[f"{name}_real"].values, dataset[f"{name}_imag"].values
    # Through the parts: real + 1j * imag would not keep the signs of zeros.
    whole = np.empty(real.shape, dtype=np.result_type(real.dtype, np.complex64))
    whole.real = real
    whole.imag = imag
    return whole


def from_file_dataset(dataset: xarray.Dataset) -> Solution:
    """The solution of which `to_xarray` and `split_complex` made ``dataset``."""
    attributes = dataset.attrs
    conserved = Conserved(*(dataset[name].values for name in ("mass", "momentum", "energy")))
    step = attributes.get("stats_step")
    stats = SolveStats(
        method=str(attributes["stats_method"]),
        order=int(attributes["stats_order"]),
        steps=int(attributes["stats_steps"]),
        rejected=int(attributes["stats_rejected"]),
        transforms=int(attributes["stats_transforms"]),
        wall_seconds=float(attributes["stats_wall_seconds"]),
        step=None if step is None else float(step),
        adaptive=bool(attributes["stats_adaptive"]),
        threads=int(attributes["stats_threads"]),
    )
    problem, times = rebuild_problem(dataset), dataset["time"].values
    if attributes["store"] == "fields":
        psi = _joined(dataset, "psi")
        return Solution(problem, times, stats, psi=psi, conserved=conserved)
    statistics = EnsembleStatistics(
        count=int(attributes["realisations"]),
        mean_field=_joined(dataset, "mean_field"),
        mean_coefficients=_joined(dataset, "mean_coefficients"),
        intensity=dataset["intensity"].values,
        intensity_variance=dataset["intensity_variance"].values,
        spectrum=dataset["spectrum"].values,
    )
    final = _joined(dataset, "final") if "final_real" in dataset else None
    return Solution(problem, times, stats, final=final, statistics=statistics, conserved=conserved)


def _attributes(solution: Solution) -> dict[str, str | int | float]:
    """Global attributes: whose file it is, the problem, and how it was solved."""
    stats = solution.stats
    attributes: dict[str, str | int | float] = {
        "title": "Solution of the nonlinear Schrodinger equation",
        "fourfold_content": "nlse solution",
        "fourfold_format": FORMAT if solution.problem.time_dependent else 1,
        "fourfold_version": __version__,
        "store": "fields" if solution.has_fields else "statistics",
        **problem_attributes(solution.problem),
        "stats_method": stats.method,
        "stats_order": stats.order,
        "stats_steps": stats.steps,
        "stats_rejected": stats.rejected,
        "stats_transforms": stats.transforms,
        "stats_wall_seconds": stats.wall_seconds,
        "stats_adaptive": int(stats.adaptive),
        "stats_threads": stats.threads,
    }
    if stats.step is not None:
        attributes["stats_step"] = stats.step
    if not solution.has_fields and solution.statistics is not None:
        attributes["realisations"] = solution.statistics.count
    return attributes


def import_xarray(purpose: str) -> Any:
    """The module xarray, or a MissingExtraError that says what needs it."""
    try:
        import xarray
    except ImportError:
        raise MissingExtraError("io", "xarray", purpose) from None
    return xarray
