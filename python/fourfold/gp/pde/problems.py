"""Problems of high frequency and several scales with known solutions (Fang et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fourfold.gp.pde.problem import Dirichlet, Function, Problem

__all__ = ["allencahn_1d", "mix_sin", "sin_cos", "single_sin", "x2_add_sinx", "x_time_sinx"]

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
        linear.operator,
        source,
        linear.conditions,
        nonlinear=(lambda u: u * (u**2 - 1), lambda u: 3 * u**2 - 1),
        points=linear.points,
        exact=exact,
    )
