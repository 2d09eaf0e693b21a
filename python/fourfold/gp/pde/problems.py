"""Problems of high frequency and several scales with known solutions (Fang et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fourfold.gp.pde.conditions import Condition, Dirichlet, Function
from fourfold.gp.pde.problem import Problem

__all__ = [
    "advection",
    "allencahn_1d",
    "allencahn_2d",
    "mix_sin",
    "poisson_2d",
    "sin_cos",
    "single_sin",
    "x2_add_sinx",
    "x_time_sinx",
]

Array = npt.NDArray[np.float64]


def _poisson(
    exact: Callable[[Array], Array], second: Function, high: float, points: int
) -> Problem:
    left, right = exact(np.array([0.0, high]))
    conditions = [Dirichlet(0, left), Dirichlet(high, right)]
    return Problem((0, high), {2: 1.0}, second, conditions, points=points, exact=exact)


def _sin_cos(x: Array) -> Array:
    u: Array = np.sin(6 * x) * np.cos(100 * x)
    return u


def _sin_cos_second(x: Array) -> Array:
    second: Array = -10036 * _sin_cos(x) - 1200 * np.cos(6 * x) * np.sin(100 * x)
    return second


def single_sin() -> Problem:
    """Poisson, ``u = sin 100x`` on [0, 2 pi]."""
    return _poisson(lambda x: np.sin(100 * x), lambda x: -1e4 * np.sin(100 * x), 2 * np.pi, 400)


def sin_cos() -> Problem:
    """Poisson, ``u = sin 6x cos 100x`` on [0, 2 pi]."""
    return _poisson(_sin_cos, _sin_cos_second, 2 * np.pi, 400)


def x_time_sinx() -> Problem:
    """Poisson, ``u = x sin 200x`` on [0, 2 pi]."""
    return _poisson(
        lambda x: x * np.sin(200 * x),
        lambda x: 400 * np.cos(200 * x) - 4e4 * x * np.sin(200 * x),
        2 * np.pi,
        900,
    )


def mix_sin(fast: str = "cos") -> Problem:
    """Poisson, ``u = sin x + 0.1 sin 20x + 0.05 cos 100x`` on [0, 1].

    ``fast="sin"`` has sin 100x in the last term: the authors' code; their text has the cosine.
    """
    if fast not in ("cos", "sin"):
        raise ValueError(f"fast: expected 'cos' or 'sin', got {fast!r}")
    wave = np.cos if fast == "cos" else np.sin
    return _poisson(
        lambda x: np.sin(x) + 0.1 * np.sin(20 * x) + 0.05 * wave(100 * x),
        lambda x: -np.sin(x) - 40 * np.sin(20 * x) - 500 * wave(100 * x),
        1.0,
        900,
    )


def x2_add_sinx() -> Problem:
    """Poisson, ``u = sin 500x - 2 (x - 1/2)^2`` on [0, 1]."""
    return _poisson(
        lambda x: np.sin(500 * x) - 2 * (x - 0.5) ** 2,
        lambda x: -25e4 * np.sin(500 * x) - 4,
        1.0,
        400,
    )


def allencahn_1d(name: str = "single_sin") -> Problem:
    """``u'' + u (u^2 - 1) = f`` with the solution of `single_sin` or `sin_cos`."""
    made = {"single_sin": single_sin, "sin_cos": sin_cos}
    if name not in made:
        raise ValueError(f"name: expected 'single_sin' or 'sin_cos', got {name!r}")
    linear = made[name]()
    exact = linear.exact
    assert exact is not None

    def source(x: Array) -> Array:
        u = np.asarray(exact(x))
        found: Array = linear.source_at(x) + u * (u**2 - 1)
        return found

    return Problem(
        linear.interval,
        linear.terms,
        source,
        linear.conditions,
        nonlinear=(lambda u: u * (u**2 - 1), lambda u: 3 * u**2 - 1),
        points=linear.shape,
        exact=exact,
    )


_LAPLACIAN = {(2, 0): 1.0, (0, 2): 1.0}


def _all_sides(side: float, exact: Function) -> list[Condition]:
    return [Dirichlet(x, exact, axis=axis) for axis in (0, 1) for x in (0.0, side)]


def poisson_2d(name: str = "sin_sin", points: int | None = None) -> Problem:
    """Poisson on [0, 2 pi]^2, u given on all sides.

    ``"sin_sin"``: ``u = sin 100x sin 100y`` on 400 x 400 points; ``"sin_add_cos"``: ``u = h(x) + h(y)`` with ``h(x) =
    sin 6x cos 20x`` on 200 x 200. ``points`` replaces the number along each axis.
    """
    side = 2 * np.pi
    if name == "sin_sin":

        def exact(x: Array, y: Array) -> Array:
            u: Array = np.sin(100 * x) * np.sin(100 * y)
            return u

        def source(x: Array, y: Array) -> Array:
            f: Array = -2e4 * exact(x, y)
            return f

        count = 400
    elif name == "sin_add_cos":

        def exact(x: Array, y: Array) -> Array:
            u: Array = np.sin(6 * x) * np.cos(20 * x) + np.sin(6 * y) * np.cos(20 * y)
            return u

        def source(x: Array, y: Array) -> Array:
            mixed = np.cos(6 * x) * np.sin(20 * x) + np.cos(6 * y) * np.sin(20 * y)
            f: Array = -436 * exact(x, y) - 240 * mixed
            return f

        count = 200
    else:
        raise ValueError(f"name: expected 'sin_sin' or 'sin_add_cos', got {name!r}")
    return Problem(
        [(0.0, side)] * 2,
        _LAPLACIAN,
        source,
        _all_sides(side, exact),
        points=count if points is None else points,
        exact=exact,
    )


def allencahn_2d(points: int = 400) -> Problem:
    """``u_xx + u_yy + u (u^2 - 1) = f`` on [0, 1]^2, ``u = q(x) q(y)``, ``q(x) = sin x + 0.1 sin 20x + cos 100x``."""

    def q(x: Array) -> Array:
        value: Array = np.sin(x) + 0.1 * np.sin(20 * x) + np.cos(100 * x)
        return value

    def second(x: Array) -> Array:
        value: Array = -np.sin(x) - 40 * np.sin(20 * x) - 1e4 * np.cos(100 * x)
        return value

    def exact(x: Array, y: Array) -> Array:
        return q(x) * q(y)

    def source(x: Array, y: Array) -> Array:
        u = exact(x, y)
        f: Array = second(x) * q(y) + q(x) * second(y) + u * (u**2 - 1)
        return f

    return Problem(
        [(0.0, 1.0)] * 2,
        _LAPLACIAN,
        source,
        _all_sides(1.0, exact),
        nonlinear=(lambda u: u * (u**2 - 1), lambda u: 3 * u**2 - 1),
        points=points,
        exact=exact,
    )


def advection(points: int = 200) -> Problem:
    """``200 u_x + u_t = 0`` on [0, 1]^2, ``u = sin(x - 200 t)``, given on all sides, t = 1 as well."""

    def exact(x: Array, t: Array) -> Array:
        u: Array = np.sin(x - 200 * t)
        return u

    return Problem(
        [(0.0, 1.0)] * 2,
        {(1, 0): 200.0, (0, 1): 1.0},
        0.0,
        _all_sides(1.0, exact),
        points=points,
        exact=exact,
    )
