"""`solve`: from an initial state to the states at the saved times."""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import OrderWarning
from fourfold.nlse._backward import check_differentiable, wanted_leaves
from fourfold.nlse._execute import begin, check_new_file
from fourfold.nlse._inputs import (
    check_choice,
    check_field,
    check_saved_times,
    check_step,
    check_tolerances,
)
from fourfold.nlse._plan import Plan
from fourfold.nlse.methods import (
    DEFAULT_METHODS,
    PUBLISHED_ATOL,
    PUBLISHED_RTOL,
    Method,
    get_method,
)
from fourfold.nlse.problem import Problem
from fourfold.nlse.solution import Solution

__all__ = ["check_batch", "check_step_control", "solve"]


def solve(
    problem: Problem,
    psi0: Any,
    t: npt.ArrayLike,
    *,
    method: str | None = None,
    step: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    dealias: str | None = None,
    store: str = "fields",
    save: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Solution:
    """Solve the nonlinear Schrodinger equation and save the field at the times ``t``.

    ::

        i psi_t = omega(-i d/dx) psi - g |psi|^2 psi + V(x) psi - i gamma(x) psi

    Every realisation takes its own steps and gives the same result in whatever batch and on however
    many threads it is solved.

    Parameters
    ----------
    problem : Problem
        The equation and its grid.
    psi0 : complex64 or complex128 array or CPU tensor (..., n)
        Field at ``t[0]``; leading dimensions are realisations. NumPy or torch. It is copied, not
        changed. If it or a coefficient of the problem is a tensor that requires gradients,
        ``solution.psi`` has them (docs/nlse/gradients.md).
    t : array_like (T,)
        Times to save, strictly increasing; the first is that of `psi0`.
    method : str, optional
        One of `fourfold.nlse.methods.METHODS`. Default: ``"rkn6_14a"`` where it keeps order 6, else
        ``"rkn4_6b"``.
    step : float, optional
        Fixed step: every interval between saved times is cut into the fewest equal steps that are
        not longer. Without it the steps adapt to `rtol` and `atol`.
    rtol, atol : float, optional
        Local error allowed in one step, ``rtol ||psi|| + atol sqrt(n)`` in the 2-norm. Default:
        1e-8 and 1e-10 for complex128, 1e-5 and 1e-7 for complex64; those of the published solver,
        1e-9 and 1e-11, for ``"published"``, where they count per Fourier coefficient. Not together
        with `step`.
    dealias : {None, "two_thirds", "exponential"}
        None, the 2/3 rule, or ``exp(-36 (|k|/k_c)^36)`` with ``k_c = 2 pi n / (3 L)``. The splittings
        multiply the whole spectrum by it at every sub-step, so that a smooth filter eats into a
        spectrum that reaches k_c the more steps there are; the other methods filter the nonlinear
        term alone.
    store : {"fields", "statistics"}
        Keep the field at every saved time, or only the statistics over the realisations (at least
        two), gathered as the run goes: then nothing is held but the current fields.
    save : path, optional
        Write the saved times to this file as the run goes on, twice a second at most, and hold only the
        current fields in memory. The file is netCDF (classic, 64-bit data); `fourfold.nlse.load` and
        other readers of netCDF open it at any moment, also after the process was killed, and
        `fourfold.nlse.resume` goes on from it. It must not exist yet.
    progress : bool
        Show a bar with the rate and the time left on standard error, if that is a terminal.

    Returns
    -------
    Solution
        With ``psi`` of shape (T, ..., n) in the dtype and the kind (NumPy or torch) of `psi0`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above; before any work.
    NotImplementedError
        If `psi0` is a tensor that does not live on the CPU, or gradients are wanted of a method that
        has none.
    BlowUpError
        If the field stops being finite.
    StepSizeError
        If the adaptive step falls below 1e-8 of the whole time span.
        Both carry the time reached, the realisation and, as ``solution``, the states saved so far.
    RunInterrupted
        At Ctrl-C; a KeyboardInterrupt with, as ``solution``, the states saved so far.
    OSError
        If the file exists (FileExistsError) or cannot be written.
    NotSavableError
        If it is to be written and the problem holds functions of time; before any work.

    Warns
    -----
    OrderWarning
        If a method is asked for that loses order on this problem.

    Examples
    --------
    >>> import numpy as np
    >>> from fourfold import nlse
    >>> grid = nlse.Grid(n=256, length=40.0)
    >>> sol = nlse.solve(nlse.Problem(grid), nlse.soliton(grid), t=np.linspace(0, 1, 11))
    >>> sol.psi.shape
    (11, 256)
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a Problem, got {type(problem).__name__}")
    field, is_torch = check_field(psi0, problem.grid.n)
    batch_shape = field.shape[:-1]
    check_batch(problem, batch_shape)
    times = check_saved_times(t)
    chosen = _choose_method(problem, method)
    fixed_step, rtol, atol = check_step_control(chosen, step, rtol, atol, field, times)
    check_choice("dealias", dealias, (None, "two_thirds", "exponential"))
    if dealias is not None and chosen.own_filter:
        raise ValueError(
            f"dealias must be None for method {chosen.name!r}, which has a filter of its own"
        )
    check_choice("store", store, ("fields", "statistics"))
    leaves = wanted_leaves(problem, psi0)
    if leaves:
        check_differentiable(chosen.name, store, save)
    count = math.prod(batch_shape)
    if store == "statistics" and count < 2:
        raise ValueError(
            f'store="statistics" needs at least 2 realisations, got psi0 of shape {field.shape}'
        )

    plan = Plan(
        problem=problem,
        times=times,
        dtype=field.dtype.newbyteorder("="),
        batch_shape=batch_shape,
        method=chosen,
        step=fixed_step,
        rtol=rtol,
        atol=atol,
        dealias=dealias,
        store=store,
        is_torch=is_torch,
        keep_loss="loss" in leaves,
    )
    path = None if save is None else check_new_file(save, plan)
    order = problem.order(chosen.name)
    if method is not None and order < chosen.order:
        warnings.warn(
            f"{chosen.name} converges with order {order} instead of {chosen.order} on this "
            "problem, because of its loss or its dispersion; "
            f"{_default_method(problem).name} keeps its order",
            OrderWarning,
            stacklevel=2,
        )
    if leaves:
        from fourfold.nlse._autograd import solve_with_gradients

        return solve_with_gradients(plan, psi0, field, leaves, progress)
    return begin(plan, field, path, progress)


def check_batch(problem: Problem, batch_shape: tuple[int, ...]) -> None:
    """Refuse a problem whose batch shape does not broadcast to that of the fields."""
    try:
        fits = np.broadcast_shapes(problem.batch_shape, batch_shape) == batch_shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"psi0 must have leading dimensions that those of the problem, {problem.batch_shape}, "
            f"broadcast to; got {batch_shape}"
        )


def _default_method(problem: Problem) -> Method:
    candidates = [get_method(name) for name in DEFAULT_METHODS]
    return next((m for m in candidates if problem.order(m.name) == m.order), candidates[-1])


def _choose_method(problem: Problem, name: str | None) -> Method:
    return _default_method(problem) if name is None else get_method(name)


def check_step_control(
    method: Method,
    step: float | None,
    rtol: float | None,
    atol: float | None,
    field: npt.NDArray[Any],
    times: npt.NDArray[np.float64],
) -> tuple[float | None, float, float]:
    """The fixed step (None: adaptive) and the tolerances."""
    if step is None:
        if not method.adaptive:
            raise ValueError(
                f"step must be given for method {method.name!r}, which does not adapt it"
            )
        if method.name == "published":
            rtol = PUBLISHED_RTOL if rtol is None else rtol
            atol = PUBLISHED_ATOL if atol is None else atol
        return None, *check_tolerances(rtol, atol, field)
    if not method.fixed_step:
        raise ValueError(
            f"step must be None for method {method.name!r}, which adapts it to rtol and atol"
        )
    if rtol is not None or atol is not None:
        raise ValueError("step excludes rtol and atol: give a fixed step or tolerances, not both")
    return check_step(step, times), 0.0, 0.0
