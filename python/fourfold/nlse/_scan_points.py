"""The combinations of parameters of a scan: their problems and initial states, checked before any work."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold.nlse._backward import wanted_leaves
from fourfold.nlse._inputs import check_field
from fourfold.nlse.problem import COEFFICIENTS, Problem

__all__ = ["Axis", "Point", "check_parameters", "make_points"]

# Names of the dataset that a parameter must not take.
_TAKEN = {
    *("time", "x", "k", "realisation", "psi", "mass", "momentum", "energy", "mean_field"),
    *("mean_coefficients", "intensity", "intensity_variance", "spectrum"),
    *("coherence", "spectral_coherence"),
}


class Axis(NamedTuple):
    """A parameter and its values."""

    name: str
    values: list[Any]

    @property
    def plain(self) -> bool:
        """Whether the values are numbers or texts, which can stand for themselves."""
        return all(isinstance(value, (bool, int, float, complex, str)) for value in self.values)

    @property
    def coordinates(self) -> Any:
        """What is written at the axis: the values, or their numbers."""
        return self.values if self.plain else np.arange(len(self.values))

    def label(self, index: int) -> str:
        """The name of one value in a message."""
        return f"{self.name} = {self.values[index]!r}" if self.plain else f"{self.name}[{index}]"


class Point(NamedTuple):
    """One combination of parameters."""

    label: str
    problem: Problem
    field: npt.NDArray[Any]


class _Maker:
    """Makes a problem or a field from the parameters that it names, once for each of their values."""

    def __init__(self, names: tuple[str, ...], make: Callable[..., Any]) -> None:
        self.names = names
        self._make = make
        self._made: dict[tuple[int, ...], Any] = {}

    def at(self, indices: Mapping[str, int], values: Mapping[str, Any]) -> Any:
        key = tuple(indices[name] for name in self.names)
        if key not in self._made:
            self._made[key] = self._make(**{name: values[name] for name in self.names})
        return self._made[key]


def check_parameters(parameters: Any) -> list[Axis]:
    """The parameters as axes.

    Raises
    ------
    TypeError, ValueError
        If they are no mapping of names to sequences of at least one value.
    """
    if not isinstance(parameters, Mapping):
        raise TypeError(
            f"parameters must be a mapping of names to values, got {type(parameters).__name__}"
        )
    if not parameters:
        raise ValueError("parameters must name at least one parameter")
    axes = []
    for name, values in parameters.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"parameters: a name must be a Python identifier, got {name!r}")
        if name in _TAKEN:
            raise ValueError(f"parameters: the name {name!r} is taken by the dataset")
        single = isinstance(values, (str, Mapping)) or getattr(values, "ndim", 1) == 0
        if single or not isinstance(values, Iterable):
            raise TypeError(f"parameters[{name!r}] must be a sequence of values, got {values!r}")
        listed = [v.item() if isinstance(v, np.generic) else v for v in values]
        if not listed:
            raise ValueError(f"parameters[{name!r}] must have at least one value")
        axes.append(Axis(name, listed))
    return axes


def make_points(axes: list[Axis], problem: Any, psi0: Any) -> list[Point]:
    """Every combination, the last parameter changing fastest.

    Raises
    ------
    TypeError, ValueError
        If problem and psi0 do not say what is solved, or differ where they must not.
    """
    names = [axis.name for axis in axes]
    make_problem = _problem_maker(problem, names)
    make_field = _maker("psi0", psi0, names)
    for name in names:
        if name not in make_problem.names + make_field.names:
            hint = ""
            if isinstance(problem, Problem):
                hint = f"; the coefficients of a Problem are {', '.join(COEFFICIENTS)}"
            raise ValueError(
                f"parameter {name!r} has no effect: neither problem nor psi0 is a function that "
                f"takes it{hint}"
            )
    points = []
    for combination in itertools.product(*(range(len(axis.values)) for axis in axes)):
        indices = dict(zip(names, combination, strict=True))
        values = {axis.name: axis.values[indices[axis.name]] for axis in axes}
        label = ", ".join(axis.label(indices[axis.name]) for axis in axes)
        points.append(_point(label, indices, values, make_problem, make_field))
    _check_alike(points)
    return points


def _problem_maker(given: Any, names: list[str]) -> _Maker:
    if not isinstance(given, Problem):
        return _maker("problem", given, names)
    return _Maker(tuple(name for name in names if name in COEFFICIENTS), given.replace)


def _maker(what: str, given: Any, axes: list[str]) -> _Maker:
    if not callable(given):
        return _Maker((), lambda: given)
    names = []
    for name, parameter in inspect.signature(given).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise TypeError(f"{what}: a function must take its parameters by name, got *{name}")
        if parameter.kind is parameter.VAR_KEYWORD:
            names += [axis for axis in axes if axis not in names]
        elif name in axes:
            names.append(name)
        elif parameter.default is parameter.empty:
            raise ValueError(
                f"{what} is a function of {name!r}, which is not among the parameters "
                f"{', '.join(axes)}"
            )
    return _Maker(tuple(names), given)


def _point(
    label: str,
    indices: Mapping[str, int],
    values: Mapping[str, Any],
    problem: _Maker,
    field: _Maker,
) -> Point:
    try:
        made = problem.at(indices, values)
        if not isinstance(made, Problem):
            raise TypeError(f"problem must be or return a Problem, got {type(made).__name__}")
        psi0 = field.at(indices, values)
        array, _ = check_field(psi0, made.grid.n)
    except Exception as error:
        error.add_note(f"nlse.scan, at {label}")
        raise
    if wanted_leaves(made, psi0):
        raise ValueError(
            "nlse.scan gives no gradients, but tensors require them; call it under torch.no_grad()"
        )
    return Point(label, made, array)


def _check_alike(points: list[Point]) -> None:
    first = points[0]
    for point in points[1:]:
        if point.problem.grid != first.problem.grid:
            raise ValueError(
                f"problem must have one grid for all, got {first.problem.grid} at {first.label} "
                f"and {point.problem.grid} at {point.label}"
            )
        shapes = first.field.shape, point.field.shape
        if shapes[0] != shapes[1] or first.field.dtype != point.field.dtype:
            raise ValueError(
                f"psi0 must have one shape and dtype for all, got {first.field.dtype} of "
                f"{shapes[0]} at {first.label} and {point.field.dtype} of {shapes[1]} at "
                f"{point.label}"
            )
