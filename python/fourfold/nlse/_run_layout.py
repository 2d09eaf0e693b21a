"""What stands in the file of a run that is saved while it goes on, and how a `Plan` is told by it.

The file is netCDF in the classic format with 64-bit data; one record is one saved time. See
docs/internals/nlse.md for why.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold import _core
from fourfold._threads import get_num_threads
from fourfold._version import __version__
from fourfold.nlse._dataset import STATISTICS
from fourfold.nlse._netcdf_classic import Layout, Variable, lay_out
from fourfold.nlse._plan import Plan
from fourfold.nlse._problem_arrays import (
    batch_dimensions,
    problem_arrays,
    problem_attributes,
    rebuild_problem,
)
from fourfold.nlse.methods import get_method

__all__ = ["CONTENT", "RUN_FORMAT", "SLOTS", "Named", "lay_out_run", "plan_of", "setup_values"]

RUN_FORMAT = 1
"""Version of the file format. `plan_of` reads this one and all before it."""

CONTENT = "nlse run"

SLOTS = 2
"""Of the fields that a run with statistics would go on from, one is whole while one is written."""

_F8, _I8, _U4 = np.dtype("f8"), np.dtype("i8"), np.dtype("u4")


def lay_out_run(plan: Plan) -> Layout:
    """The layout of the file of a run."""
    batch = batch_dimensions(plan.batch_shape)
    real = np.dtype("f4") if plan.dtype == np.complex64 else _F8
    n = plan.problem.grid.n
    dimensions = {"time": 0, "x": n, "k": n, "planned_time": len(plan.times)}
    dimensions |= dict(zip(batch, plan.batch_shape, strict=True))
    variables: list[Variable] = []

    def add(name: str, dtype: np.dtype[Any], dims: tuple[str, ...], long_name: str) -> None:
        variables.append(Variable(name, dtype, dims, {"long_name": long_name, "units": "1"}))

    def add_complex(name: str, dtype: np.dtype[Any], dims: tuple[str, ...], long_name: str) -> None:
        add(f"{name}_real", dtype, dims, f"{long_name}, real part")
        add(f"{name}_imag", dtype, dims, f"{long_name}, imag part")

    add("x", _F8, ("x",), "position")
    add("k", _F8, ("k",), "angular wavenumber")
    add("planned_time", _F8, ("planned_time",), "times to save")
    for name, (values, dims, long_name) in problem_arrays(plan.problem, plan.batch_shape).items():
        dimensions |= {
            dim: size for dim, size in zip(dims, values.shape, strict=True) if dim not in dimensions
        }
        add(name, _F8, dims, long_name)
    if plan.store == "statistics":
        dimensions["slot"] = SLOTS
        add_complex("state", real, ("slot", *batch, "x"), "field to go on from")
        add("state_time_index", _I8, ("slot",), "its place among the times; -1: none")
        add("state_checksum", _U4, ("slot",), "CRC-32 of the field and its place")
    add("setup_checksum", _U4, (), "CRC-32 of the header and of what does not change")

    add("time", _F8, ("time",), "time")
    if plan.store == "fields":
        add_complex("psi", real, ("time", *batch, "x"), "field")
    else:
        for name, (dim, long_name) in STATISTICS.items():
            adder = add_complex if name.startswith("mean_") else add
            adder(name, _F8, ("time", dim), long_name)
        for name in ("mass", "momentum", "energy"):
            add(name, _F8, ("time", *batch), name)
    add("next_step", _F8, ("time", *batch), "step size to go on with")
    add("interval", _F8, ("time",), "time from the saved time before")
    for name in ("steps", "rejected", "transforms"):
        add(name, _I8, ("time",), f"{name} so far, over all realisations")
    add("wall_seconds", _F8, ("time",), "computing time so far")
    add("checksum", _U4, ("time",), "CRC-32 of the record up to here")
    return lay_out(dimensions, _attributes(plan), variables)


def _attributes(plan: Plan) -> dict[str, str | int | float]:
    attributes: dict[str, str | int | float] = {
        "title": "Run of the nonlinear Schrodinger equation, saved while it goes on",
        "fourfold_content": CONTENT,
        "fourfold_run_format": RUN_FORMAT,
        "fourfold_version": __version__,
        "fourfold_isa": _core.isa_level(),
        **problem_attributes(plan.problem),
        "store": plan.store,
        "array_kind": "torch" if plan.is_torch else "numpy",
        "batch_shape": json.dumps(plan.batch_shape),
        "method": plan.method.name,
        "rtol": plan.rtol,
        "atol": plan.atol,
        "dealias": plan.dealias or "none",
        "threads": get_num_threads(),
    }
    if plan.step is not None:
        attributes["step"] = plan.step
    return attributes


def setup_values(plan: Plan) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """What is written once: names and values, in the order of the file."""
    yield "x", plan.problem.grid.x
    yield "k", plan.problem.grid.k
    yield "planned_time", plan.times
    for name, (values, _, _) in problem_arrays(plan.problem, plan.batch_shape).items():
        yield name, values


class Named:
    """Arrays by name with attributes, as far as `rebuild_problem` asks an `xarray.Dataset`."""

    class _Values:
        def __init__(self, values: npt.NDArray[Any]) -> None:
            self.values = values

    def __init__(self, attrs: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self.attrs = attrs
        self._arrays = arrays

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def __getitem__(self, name: str) -> _Values:
        return self._Values(self._arrays[name])


def plan_of(layout: Layout, fixed: Mapping[str, npt.NDArray[Any]]) -> Plan:
    """The plan from which `lay_out_run` and `setup_values` came."""
    attributes = layout.attributes
    batch_shape = tuple(int(size) for size in json.loads(str(attributes["batch_shape"])))
    store = str(attributes["store"])
    part = layout.variables["psi_real" if store == "fields" else "state_real"]
    step = attributes.get("step")
    dealias = str(attributes["dealias"])
    times = fixed["planned_time"]
    times.setflags(write=False)
    return Plan(
        problem=rebuild_problem(Named(attributes, fixed)),
        times=times,
        dtype=np.dtype(np.complex64 if part.dtype.itemsize == 4 else np.complex128),
        batch_shape=batch_shape,
        method=get_method(str(attributes["method"])),
        step=None if step is None else float(step),
        rtol=float(attributes["rtol"]),
        atol=float(attributes["atol"]),
        dealias=None if dealias == "none" else dealias,
        store=store,
        is_torch=attributes["array_kind"] == "torch",
    )
