"""A `Problem` as named arrays and attributes, for files and datasets, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import NotSavableError
from fourfold.nlse.grid import Grid
from fourfold.nlse.in_time import Factor, FunctionInTime, Modulated, Series
from fourfold.nlse.problem import Problem

__all__ = ["batch_dimensions", "problem_arrays", "problem_attributes", "rebuild_problem"]

Float64 = npt.NDArray[np.float64]


def problem_attributes(problem: Problem) -> dict[str, str | int | float]:
    """What of a problem is no array."""
    attributes: dict[str, str | int | float] = {
        "equation": "i psi_t = omega(-i d/dx) psi - g |psi|^2 psi + V psi - i gamma psi",
        "grid_n": problem.grid.n,
        "grid_length": problem.grid.length,
    }
    if isinstance(problem.dispersion, Mapping):
        # JSON writes the shortest digits that give the same double again.
        attributes["dispersion"] = json.dumps(dict(problem.dispersion))
    if "nonlinearity" not in problem.in_time and isinstance(problem.nonlinearity, float):
        attributes["nonlinearity"] = problem.nonlinearity
    return attributes


def problem_arrays(
    problem: Problem, batch_shape: tuple[int, ...]
) -> dict[str, tuple[Float64, tuple[str, ...], str]]:
    """The coefficients that are arrays, with names for their axes and a description.

    omega is always among them, for those who read the file elsewhere.

    Raises
    ------
    NotSavableError
        If a coefficient is a function of time, or has one as a factor.
    """
    long_name = "dispersion, angular frequency of a linear wave"
    found: dict[str, tuple[Float64, tuple[str, ...], str]] = {
        "omega": (problem.omega, ("k",), long_name)
    }
    described: dict[str, tuple[tuple[str, ...], str]] = {
        "nonlinearity": ((), "nonlinearity g, positive focuses"),
        "potential": (("x",), "potential V"),
        "loss": (("x",), "loss gamma, negative is gain"),
    }
    for name, (last, long_name) in described.items():
        part = problem.in_time.get(name)
        if part is not None:
            found |= _series_arrays(name, part, last, long_name, batch_shape)
            continue
        values = getattr(problem, name)
        if isinstance(values, np.ndarray):
            leading = values.shape[: values.ndim - len(last)]
            dims = _aligned_dimensions(name, leading, batch_shape) + last
            found[name] = (values, dims, long_name)
    return found


def rebuild_problem(dataset: Any) -> Problem:
    """The problem of which `problem_arrays` and `problem_attributes` made part of ``dataset``."""
    attributes = dataset.attrs

    def array_or_none(name: str) -> npt.NDArray[np.float64] | None:
        return dataset[name].values if name in dataset else None

    dispersion: Any = array_or_none("omega")
    if "dispersion" in attributes:
        listed = json.loads(attributes["dispersion"])
        dispersion = {int(order): float(value) for order, value in listed.items()}
    parts: dict[str, Any] = {
        name: _rebuild_series(dataset, name)
        if f"{name}_profiles" in dataset
        else array_or_none(name)
        for name in ("nonlinearity", "potential", "loss")
    }
    if parts["nonlinearity"] is None:
        parts["nonlinearity"] = float(attributes["nonlinearity"])
    grid = Grid(n=int(attributes["grid_n"]), length=float(attributes["grid_length"]))
    return Problem(grid, dispersion=dispersion, **parts)


def batch_dimensions(batch_shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names for the axes of realisations."""
    if len(batch_shape) == 1:
        return ("realisation",)
    return tuple(f"realisation_{axis}" for axis in range(len(batch_shape)))


def _series_arrays(
    name: str,
    part: Series | FunctionInTime,
    last: tuple[str, ...],
    long_name: str,
    batch_shape: tuple[int, ...],
) -> dict[str, tuple[Float64, tuple[str, ...], str]]:
    """A sum of profiles times piecewise cubic polynomials of time."""
    if not isinstance(part, Series) or not part.sampled:
        raise NotSavableError(
            f"{name} holds a Python function of time, which no file can hold; give its samples: "
            "nlse.Modulated(profile, function(times), times)"
        )
    term, piece = f"{name}_term", f"{name}_piece"
    factors = part.factors
    batch = _aligned_dimensions(name, part.batch_shape, batch_shape)
    return {
        f"{name}_profiles": (part.rows, (term, *batch, *last), f"{long_name}: profiles"),
        f"{name}_pieces": (
            np.array([float(len(factor.knots)) for factor in factors]),
            (term,),
            "number of polynomials of each factor",
        ),
        f"{name}_spans": (
            np.array([factor.span for factor in factors]),
            (term, f"{name}_ends"),
            "times between which each factor is given",
        ),
        f"{name}_knots": (
            np.concatenate([factor.knots for factor in factors]),
            (piece,),
            "time from which each polynomial counts",
        ),
        f"{name}_coefficients": (
            np.concatenate([factor.coefficients for factor in factors]),
            (piece, f"{name}_power"),
            "coefficients of the polynomials, lowest power first",
        ),
    }


def _rebuild_series(dataset: Any, name: str) -> Modulated:
    rows, pieces, spans, knots, coefficients = (
        dataset[f"{name}_{what}"].values
        for what in ("profiles", "pieces", "spans", "knots", "coefficients")
    )
    ends = np.cumsum(pieces).astype(int)
    terms = []
    for row, start, end, (low, high) in zip(
        rows, np.concatenate([[0], ends[:-1]]), ends, spans, strict=True
    ):
        span = (float(low), float(high))
        terms.append((row, Factor(None, knots[start:end], coefficients[start:end], span)))
    return Modulated.of_terms(terms)


def _aligned_dimensions(
    name: str, shape: tuple[int, ...], batch_shape: tuple[int, ...]
) -> tuple[str, ...]:
    """Names for the axes of a coefficient that broadcasts against the batch.

    An axis of length 1 that is stretched gets a name of its own, so that its shape is kept.
    """
    batch = batch_dimensions(batch_shape)
    offset = len(batch) - len(shape)
    return tuple(
        batch[offset + axis] if size == batch_shape[offset + axis] else f"{name}_axis_{axis}"
        for axis, size in enumerate(shape)
    )
