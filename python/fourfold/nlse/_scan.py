"""`scan`: a grid of parameters, solved together, as one labelled dataset."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourfold._progress import terminal_bar
from fourfold.errors import BlowUpError, StepSizeError
from fourfold.nlse._dataset import import_xarray
from fourfold.nlse._inputs import check_choice
from fourfold.nlse._scan_dataset import States, label_states, states_of
from fourfold.nlse._scan_points import Point, check_parameters, make_points
from fourfold.nlse.problem import Problem
from fourfold.nlse.solution import Solution
from fourfold.nlse.solver import solve

if TYPE_CHECKING:
    import xarray

__all__ = ["scan"]


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
    store: str = "fields",
    progress: bool = False,
) -> xarray.Dataset:
    """Solve for every combination of parameters, together, and label what comes out.

    Of a `Problem`, the parameters "dispersion", "nonlinearity", "potential" and "loss" replace the
    coefficients. For anything else problem and initial state may be functions of the parameters: each is
    called once for each combination of those that it names. Combinations that differ in nonlinearity,
    potential, loss and initial state are the realisations of one batch, spread over all threads. Those
    that differ in the dispersion or in what depends on time are solved one group after the other; all
    must have the same grid.

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
    method, step, rtol, atol, dealias
        As of `fourfold.nlse.solve`, for all combinations alike. The default method is chosen for each
        group by itself.
    store : {"fields", "statistics"}
        Keep the field at every saved time, or only the statistics over the realisations of each
        combination, of which there must be at least two. Combinations are then solved one after the
        other, and nothing is held but the initial states and the current fields of one.
    progress : bool
        Show a bar on standard error, if that is a terminal: of the run, or of the groups if there are
        several.

    Returns
    -------
    xarray.Dataset
        ``psi`` over (parameters..., time, realisations..., x); ``mass``, ``momentum`` and ``energy``
        over (parameters..., time, realisations...); coordinates are the values of the parameters, the
        times and the positions. Values that are no numbers or texts are numbered. With
        ``store="statistics"`` the arrays of `EnsembleStatistics` take the place of ``psi``, over
        (parameters..., time, x) and (parameters..., time, k).

    Raises
    ------
    MissingExtraError
        If xarray is not installed.
    TypeError, ValueError
        If an argument is not what is said above, or a parameter has no effect; before any work.
    BlowUpError, StepSizeError
        As `solve`; the message says for which parameters. The exception's solution is that of the
        combinations that were solved together.

    Examples
    --------
    >>> import numpy as np
    >>> from fourfold import nlse
    >>> grid = nlse.Grid(n=128, length=40.0)
    >>> found = nlse.scan(
    ...     nlse.Problem(grid),
    ...     lambda amplitude: nlse.soliton(grid, amplitude=amplitude),
    ...     t=[0.0, 1.0, 2.0],
    ...     parameters={"nonlinearity": [0.5, 1.0], "amplitude": [1.0, 1.5, 2.0]},
    ... )
    >>> dict(found["psi"].sizes)
    {'nonlinearity': 2, 'amplitude': 3, 'time': 3, 'x': 128}
    """
    xr = import_xarray("nlse.scan")
    check_choice("store", store, ("fields", "statistics"))
    axes = check_parameters(parameters)
    points = make_points(axes, problem, psi0)
    groups = [[i] for i in range(len(points))] if store == "statistics" else _groups(points)
    options: dict[str, Any] = {
        "method": method,
        "step": step,
        "rtol": rtol,
        "atol": atol,
        "dealias": dealias,
        "store": store,
        "progress": progress and len(groups) == 1,
    }
    states: States = {}
    columns = ("nlse scan", "bar", "percent", f"{{task.completed}} / {len(groups)}", "left")
    with terminal_bar(progress and len(groups) > 1, *columns, total=len(groups)) as update:
        for done, group in enumerate(groups, start=1):
            members = [points[index] for index in group]
            solution = _solve_together(members, t, options)
            part = states_of(solution)
            if len(groups) == 1:
                states = part
            else:
                _put(part, group, len(points), states)
            if update is not None:
                update(done, now=done == len(groups))
    return label_states(xr, axes, points[0], np.array(solution.t), states)


def _groups(points: list[Point]) -> list[list[int]]:
    """Numbers of the points that one batch can hold."""
    groups: dict[Any, list[int]] = {}
    for index, point in enumerate(points):
        # What depends on time can be shared, but not stacked.
        in_time = tuple((name, id(part)) for name, part in point.problem.in_time.items())
        groups.setdefault((in_time, point.problem.omega.tobytes()), []).append(index)
    return list(groups.values())


def _put(part: States, group: list[int], count: int, states: States) -> None:
    for name, values in part.items():
        if name not in states:
            states[name] = np.empty((count, *values.shape[1:]), values.dtype)
        states[name][group] = values


def _solve_together(members: list[Point], t: npt.ArrayLike, options: dict[str, Any]) -> Solution:
    try:
        if options["store"] == "statistics":
            return solve(members[0].problem, members[0].field, t, **options)
        fields = np.stack([member.field for member in members])
        return solve(_stacked(members), fields, t, **options)
    except (BlowUpError, StepSizeError) as error:
        inner = math.prod(members[0].field.shape[:-1])
        label = members[0 if len(members) == 1 else error.realisation // inner].label
        raise type(error)(
            f"at {label}: {error}",
            time=error.time,
            realisation=error.realisation,
            solution=error.solution,
        ) from None


def _stacked(members: list[Point]) -> Problem:
    """One problem whose coefficients have an axis for the members, where they differ."""
    first = members[0].problem
    if all(member.problem is first for member in members):
        return first
    inner = len(members[0].field.shape) - 1

    def stacked(name: str, last: int) -> Any:
        values = [getattr(member.problem, name) for member in members]
        if all(value is values[0] for value in values):
            return values[0]
        tail = (first.grid.n,) * last
        arrays = [np.asarray(0.0 if value is None else value) for value in values]
        batch = np.broadcast_shapes(*(a.shape[: a.ndim - last] for a in arrays if a.ndim >= last))
        rows = np.stack([np.broadcast_to(array, batch + tail) for array in arrays])
        if np.array_equal(rows, np.broadcast_to(rows[:1], rows.shape)):
            return rows[0]
        # The axis of the members stands before those of the realisations.
        return rows.reshape(len(rows), *(1,) * (inner - len(batch)), *batch, *tail)

    lengths = {"nonlinearity": 0, "potential": 1, "loss": 1}
    fixed = {name: last for name, last in lengths.items() if name not in first.in_time}
    return first.replace(**{name: stacked(name, last) for name, last in fixed.items()})
