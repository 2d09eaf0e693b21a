"""The four published cases of simple-idealized-1d-nlse (arXiv 2509.05901).

All solve ``i psi_t + 1/2 psi_xx + |psi|^2 psi = 0`` on ``Grid(512, 50.0)`` and are saved at 100
times from 0 to 20.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse.exact import soliton, two_soliton
from fourfold.nlse.grid import Grid
from fourfold.nlse.problem import Problem

__all__ = ["CASES", "Case", "get"]

Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class Case:
    r"""A problem with its initial state, its times and, where there is one, its exact solution.

    Attributes
    ----------
    name : str
        Key in `CASES`.
    title : str
        For figures and tables.
    problem : Problem
    initial : callable
        x -> psi at the first time.
    t : NDArray[float64]
        Times to save at, read-only.
    method : str or None
        For `fourfold.nlse.solve`; None is its default.
    rtol, atol : float
        For `fourfold.nlse.solve`.
    exact : callable or None
        t -> psi, complex128 of shape ``t.shape + (n,)``: the truth to compare with.
    exact_to : float or None
        How far at most, in max \|psi\|, an accurate run of the published initial state on the
        published grid is from `exact`: both cut something off. (2.0e-6 for the two solitons after
        t = 17, whose spectrum the grid cannot hold while they collide.)
    """

    name: str
    title: str
    problem: Problem
    initial: Callable[[NDArray[np.float64]], Complex]
    t: NDArray[np.float64]
    method: str | None = None
    rtol: float = 1e-9
    atol: float = 1e-11
    exact: Callable[[ArrayLike], Complex] | None = None
    exact_to: float | None = None

    @property
    def grid(self) -> Grid:
        """The grid of the problem."""
        return self.problem.grid

    def psi0(self) -> Complex:
        """The initial state on the grid: a fresh complex128 array of shape ``(n,)``."""
        return self.initial(self.grid.x)


def get(name: str) -> Case:
    """The published case of that name.

    Raises
    ------
    ValueError
        There is no such case; the message lists those there are.
    """
    try:
        return CASES[name]
    except (KeyError, TypeError):
        raise ValueError(f"name must be one of {', '.join(CASES)}; got {name!r}") from None


def _published_soliton(
    x: NDArray[np.float64], amplitude: float, center: float, velocity: float
) -> Complex:
    """The line formula cut off at the edges of the box, without periodic images."""
    envelope = amplitude * (1.0 / np.cosh(amplitude * (x - center)))
    wave: Complex = envelope * np.exp(1j * velocity * x)
    return wave


def _single_soliton(x: NDArray[np.float64]) -> Complex:
    return _published_soliton(x, 2.0, -10.0, 1.0)


def _two_solitons(x: NDArray[np.float64]) -> Complex:
    return _published_soliton(x, 2.0, -10.0, 2.0) + _published_soliton(x, 1.5, 10.0, -2.0)


def _breather(x: NDArray[np.float64]) -> Complex:
    """Not an exact breather, in spite of its name: a modulated sech."""
    envelope = np.sqrt(2) * (1.0 / np.cosh(x))
    state: Complex = envelope * np.exp(1j * 0.5 * x) * (1 + 0.5 * np.cos(2 * 0.5 * x))
    return state


def _modulation_instability(x: NDArray[np.float64]) -> Complex:
    """A Gaussian with noise; the seed and the order of the draws are the published ones."""
    random = np.random.RandomState(42)
    noise_real = random.randn(x.size)
    noise: Complex = noise_real + 1j * random.randn(x.size)
    gaussian = np.exp(-(x**2) / (2 * 5.0**2))
    return gaussian + 0.01 * noise


def _times() -> NDArray[np.float64]:
    t = np.linspace(0, 20, 100)
    t.flags.writeable = False
    return t


_GRID = Grid(n=512, length=50.0)
_PROBLEM = Problem(_GRID)
_TIMES = _times()

CASES: Mapping[str, Case] = MappingProxyType(
    {
        case.name: case
        for case in (
            Case(
                name="single_soliton",
                title="Single soliton",
                problem=_PROBLEM,
                initial=_single_soliton,
                t=_TIMES,
                exact=lambda t: soliton(_GRID, amplitude=2.0, center=-10.0, velocity=1.0, t=t),
                exact_to=1e-11,
            ),
            Case(
                name="two_solitons",
                title="Collision of two solitons",
                problem=_PROBLEM,
                initial=_two_solitons,
                t=_TIMES,
                exact=lambda t: two_soliton(_GRID, (2.0, 1.5), (-10.0, 10.0), (2.0, -2.0), t=t),
                exact_to=3e-6,
            ),
            Case(
                name="breather",
                title="Breather",
                problem=_PROBLEM,
                initial=_breather,
                t=_TIMES,
            ),
            Case(
                name="modulation_instability",
                title="Modulation instability",
                problem=_PROBLEM,
                initial=_modulation_instability,
                t=_TIMES,
            ),
        )
    }
)
"""The published cases by name."""
