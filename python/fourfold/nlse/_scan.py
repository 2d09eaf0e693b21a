"""`scan`: a grid of parameters, solved together, as one labelled dataset."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold.errors import BlowUpError, StepSizeError
from fourfold.nlse._backward import wanted_leaves
from fourfold.nlse._dataset import import_xarray
from fourfold.nlse._inputs import check_field
from fourfold.nlse._problem_arrays import batch_dimensions
from fourfold.nlse.problem import Problem
from fourfold.nlse.solution import Solution
from fourfold.nlse.solver import solve

if TYPE_CHECKING:
    import xarray

__all__ = ["scan"]

# Names of the dataset that a parameter must not take.
_TAKEN = {"time", "x", "k", "realisation", "psi", "mass", "momentum", "energy"}


def scan(
    problem: Problem | Callable[..., Problem],
    psi0: Any,
    t: npt.ArrayLike,
    parameters: Mapping[str, Iterable[Any]],
    *,
    method: str | None = None,
    step: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    dealias: str | None = None,
    progress: bool = False,
) -> xarray.Dataset:
    """Solve for every combination of parameters, together, and label what comes out.

    Problem and initial state may be functions of the parameters: each is called with those that it
    names. Combinations that differ in nonlinearity, potential, loss and initial state are the
    realisations of one batch, spread over all threads. Those that differ in the dispersion, or whose
    coefficients depend on time, are solved one group after the other; all must have the same grid.

    Parameters
    ----------
    problem : Problem or function
        The equation, or a function of parameters that returns it.
    psi0 : complex array or function
        The field at ``t[0]``, (n,) or (..., n), or a function of parameters that returns it, of the same
        shape for all. Leading dimensions are realisations: noise, say.
    t : array_like (T,)
        Times to save.
    parameters : mapping of str to sequence
        The values of each parameter, at least one each. The dataset has a dimension for each, in this
        order.
    method, step, rtol, atol, dealias, progress
        As of `fourfold.nlse.solve`, for all combinations alike. The default method is chosen for each
        group by itself.

    Returns
    -------
    xarray.Dataset
        ``psi`` over (parameters..., time, realisations..., x); ``mass``, ``momentum`` and ``energy``
        over (parameters..., time, realisations...); coordinates are the values of the parameters, the
        times and the positions. Values that are no numbers or texts are numbered.

    Raises
    ------
    MissingExtraError
        If xarray is not installed.
    TypeError, ValueError
        If an argument is not what is said above, or a parameter is named by neither function.
    BlowUpError, StepSizeError
        As `solve`; the message says for which parameters. The exception's solution is that of the
        combinations that were solved together.

    Examples
    --------
    >>> import numpy as np
    >>> from fourfold import nlse
    >>> grid = nlse.Grid(n=128, length=40.0)
    >>> found = nlse.scan(
    ...     lambda g: nlse.Problem(grid, nonlinearity=g),
    ...     lambda amplitude: nlse.soliton(grid, amplitude=amplitude),
    ...     t=[0.0, 1.0, 2.0],
    ...     parameters={"g": [0.5, 1.0], "amplitude": [1.0, 1.5, 2.0]},
    ... )
    >>> dict(found["psi"].sizes)
    {'g': 2, 'amplitude': 3, 'time': 3, 'x': 128}
    """
    xr = import_xarray("nlse.scan")
    axes = _check_parameters(parameters)
    make_problem = _maker("problem", problem, axes)
    make_field = _maker("psi0", psi0, axes)
    _refuse_idle(axes, make_problem, make_field)
    points = [
        _point(dict(zip(axes, values, strict=True)), make_problem, make_field)
        for values in itertools.product(*axes.values())
    ]
    _check_alike(points)
    parts: list[Any] = [None] * len(points)
    for group in _groups(points):
        members = [points[index] for index in group]
        solution = _solve_group(
            members,
            t,
            {
                "method": method,
                "step": step,
                "rtol": rtol,
                "atol": atol,
                "dealias": dealias,
                "progress": progress,
            },
        )
        fields = solution.fields_as_numpy()
        for row, index in enumerate(group):
            parts[index] = (
                fields[:, row],
                solution.mass[:, row],
                solution.momentum[:, row],
                solution.energy[:, row],
            )
    return _dataset(xr, axes, points[0], np.array(solution.t), parts)


class _Point(NamedTuple):
    """One combination of parameters."""

    values: dict[str, Any]
    problem: Problem
    field: npt.NDArray[Any]


class _Maker(NamedTuple):
    """Makes a problem or a field from the parameters that it names."""

    names: tuple[str, ...]
    make: Callable[..., Any]


def _check_parameters(parameters: Any) -> dict[str, list[Any]]:
    if not isinstance(parameters, Mapping):
        raise TypeError(
            f"parameters must be a mapping of names to values, got {type(parameters).__name__}"
        )
    if not parameters:
        raise ValueError("parameters must name at least one parameter")
    axes: dict[str, list[Any]] = {}
    for name, values in parameters.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"parameters: a name must be a Python identifier, got {name!r}")
        if name in _TAKEN:
            raise ValueError(f"parameters: the name {name!r} is taken by the dataset")
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise TypeError(f"parameters[{name!r}] must be a sequence of values, got {values!r}")
        axes[name] = [v.item() if isinstance(v, np.generic) else v for v in values]
        if not axes[name]:
            raise ValueError(f"parameters[{name!r}] must have at least one value")
    return axes


def _maker(what: str, given: Any, axes: Mapping[str, Any]) -> _Maker:
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


def _refuse_idle(axes: Mapping[str, Any], *makers: _Maker) -> None:
    for name in axes:
        if not any(name in maker.names for maker in makers):
            raise ValueError(
                f"parameter {name!r} has no effect: neither problem nor psi0 is a function that "
                "takes it"
            )


def _point(values: dict[str, Any], problem: _Maker, field: _Maker) -> _Point:
    made = problem.make(**{name: values[name] for name in problem.names})
    if not isinstance(made, Problem):
        raise TypeError(f"problem must be or return a Problem, got {type(made).__name__}")
    psi0 = field.make(**{name: values[name] for name in field.names})
    if wanted_leaves(made, psi0):
        raise ValueError(
            "nlse.scan gives no gradients, but tensors require them; call it under torch.no_grad()"
        )
    try:
        array, _ = check_field(psi0, made.grid.n)
    except (TypeError, ValueError) as error:
        raise type(error)(f"at {_label(values)}: {error}") from None
    return _Point(values, made, array)


def _check_alike(points: list[_Point]) -> None:
    first = points[0]
    for point in points[1:]:
        if point.problem.grid != first.problem.grid:
            raise ValueError(
                f"problem must have one grid for all, got {first.problem.grid} at "
                f"{_label(first.values)} and {point.problem.grid} at {_label(point.values)}"
            )
        shapes = first.field.shape, point.field.shape
        if shapes[0] != shapes[1] or first.field.dtype != point.field.dtype:
            raise ValueError(
                f"psi0 must have one shape and dtype for all, got {first.field.dtype} of "
                f"{shapes[0]} at {_label(first.values)} and {point.field.dtype} of {shapes[1]} at "
                f"{_label(point.values)}"
            )


def _groups(points: list[_Point]) -> Iterator[list[int]]:
    """Numbers of the points that one batch can hold."""
    groups: dict[Any, list[int]] = {}
    for index, point in enumerate(points):
        problem = point.problem
        # Those that depend on time go together only where they are one and the same.
        same = id(problem) if problem.time_dependent else 0
        key = (same, problem.omega.tobytes())
        groups.setdefault(key, []).append(index)
    yield from groups.values()


def _solve_group(members: list[_Point], t: npt.ArrayLike, options: dict[str, Any]) -> Solution:
    problem = _together(members)
    try:
        return solve(problem, np.stack([member.field for member in members]), t, **options)
    except (BlowUpError, StepSizeError) as error:
        inner = math.prod(members[0].field.shape[:-1])
        label = _label(members[error.realisation // inner].values)
        raise type(error)(
            f"at {label}: {error}",
            time=error.time,
            realisation=error.realisation,
            solution=error.solution,
        ) from None


def _together(members: list[_Point]) -> Problem:
    """One problem whose coefficients have an axis for the members, where they differ."""
    first = members[0].problem
    if all(member.problem is first for member in members):
        return first
    inner = len(members[0].field.shape) - 1

    def stacked(name: str, last: int) -> Any:
        values = [getattr(member.problem, name) for member in members]
        if all(value is None for value in values):
            return None
        tail = (first.grid.n,) * last
        arrays = [np.asarray(0.0 if value is None else value) for value in values]
        batch = np.broadcast_shapes(*(a.shape[: a.ndim - last] for a in arrays if a.ndim >= last))
        rows = np.stack([np.broadcast_to(array, batch + tail) for array in arrays])
        if np.array_equal(rows, np.broadcast_to(rows[:1], rows.shape)):
            return rows[0]
        # The axis of the members stands before those of the realisations.
        return rows.reshape(len(rows), *(1,) * (inner - len(batch)), *batch, *tail)

    return Problem(
        first.grid,
        dispersion=first.dispersion,
        nonlinearity=stacked("nonlinearity", 0),
        potential=stacked("potential", 1),
        loss=stacked("loss", 1),
    )


def _label(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())


def _dataset(
    xr: Any,
    axes: Mapping[str, list[Any]],
    point: _Point,
    times: npt.NDArray[np.float64],
    parts: list[tuple[npt.NDArray[Any], ...]],
) -> xarray.Dataset:
    shape = tuple(len(values) for values in axes.values())
    batch_shape = point.field.shape[:-1]
    batch = batch_dimensions(batch_shape) if batch_shape else ()
    each = (*axes, "time", *batch)
    variables = {}
    for number, (name, last, long_name) in enumerate(
        (
            ("psi", ("x",), "field"),
            ("mass", (), "mass"),
            ("momentum", (), "momentum"),
            ("energy", (), "energy"),
        )
    ):
        values = np.stack([part[number] for part in parts])
        values = values.reshape(shape + values.shape[1:])
        variables[name] = ((*each, *last), values, {"long_name": long_name, "units": "1"})
    coordinates: dict[str, Any] = {
        "time": ("time", times, {"long_name": "time", "units": "1"}),
        "x": ("x", point.problem.grid.x, {"long_name": "position", "units": "1"}),
    }
    for name, values_of in axes.items():
        plain = all(isinstance(value, (bool, int, float, complex, str)) for value in values_of)
        coordinates[name] = (name, values_of if plain else np.arange(len(values_of)))
    for name, size in zip(batch, batch_shape, strict=True):
        coordinates[name] = (name, np.arange(size), {"long_name": "number of the realisation"})
    attributes = {"title": "Scan of the nonlinear Schrodinger equation"}
    dataset: xarray.Dataset = xr.Dataset(variables, coordinates, attributes)
    return dataset
