"""Initial states of a run file: one table a state, chosen by ``state = "..."``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field

from fourfold import nlse
from fourfold.cli.nlse.fields import (
    Mode,
    Positive,
    PositivePair,
    Real,
    RealPair,
    Table,
    Text,
)
from fourfold.cli.validation import one_of

Field1 = npt.NDArray[np.complex128]


class State(Table):
    """What every initial state offers.

    ``exact_for`` is the nonlinearity for which `psi` at later times solves the equation with
    dispersion ``k^2/2``, no potential and no loss; 0.0 where `psi` is no solution in time.
    """

    exact_for: ClassVar[float] = 0.0

    def psi(self, grid: nlse.Grid, t: float) -> Field1:
        """Return the field at time ``t`` on the grid, complex128 (n,)."""
        raise NotImplementedError


class Soliton(State):
    """``A sech(A (x - x0 - v t)) exp(i (v x + (A^2 - v^2) t / 2 + phase))``."""

    state: Literal["soliton"]
    amplitude: Positive = 1.0
    center: Real = 0.0
    velocity: Real = 0.0
    phase: Real = 0.0
    exact_for: ClassVar[float] = 1.0

    def psi(self, grid: nlse.Grid, t: float) -> Field1:
        return nlse.soliton(
            grid,
            amplitude=self.amplitude,
            center=self.center,
            velocity=self.velocity,
            phase=self.phase,
            t=t,
        )


class TwoSoliton(State):
    """The exact two-soliton solution."""

    state: Literal["two_soliton"]
    amplitudes: PositivePair = Field(default_factory=lambda: [2.0, 1.5])
    centers: RealPair = Field(default_factory=lambda: [-10.0, 10.0])
    velocities: RealPair = Field(default_factory=lambda: [2.0, -2.0])
    phases: RealPair = Field(default_factory=lambda: [0.0, 0.0])
    exact_for: ClassVar[float] = 1.0

    def psi(self, grid: nlse.Grid, t: float) -> Field1:
        return nlse.two_soliton(
            grid,
            amplitudes=tuple(self.amplitudes),
            centers=tuple(self.centers),
            velocities=tuple(self.velocities),
            phases=tuple(self.phases),
            t=t,
        )


class Akhmediev(State):
    """Akhmediev breather on a unit background; the box must hold whole periods."""

    state: Literal["akhmediev"]
    a: Annotated[float, Field(gt=0, lt=0.5, description="a number between 0 and 0.5")] = 0.25
    exact_for: ClassVar[float] = 1.0

    def psi(self, grid: nlse.Grid, t: float) -> Field1:
        return nlse.akhmediev(grid, a=self.a, t=t)


class Peregrine(State):
    """Peregrine breather on a unit background; it decays as 1/x^2, so the box must be wide."""

    state: Literal["peregrine"]
    exact_for: ClassVar[float] = 1.0

    def psi(self, grid: nlse.Grid, t: float) -> Field1:
        return nlse.peregrine(grid, t=t)


class KuznetsovMa(State):
    """Kuznetsov-Ma breather on a unit background."""

    state: Literal["kuznetsov_ma"]
    a: Annotated[float, Field(gt=0.5, le=100, description="a number above 0.5, at most 100")] = 1.0
    exact_for: ClassVar[float] = 1.0

    def psi(self, grid: nlse.Grid, t: float) -> Field1:
        return nlse.kuznetsov_ma(grid, a=self.a, t=t)


class DarkCollision(State):
    """Two equal dark solitons that meet at x = 0, t = 0 (needs ``physics.nonlinearity = -1.0``)."""

    state: Literal["dark_collision"]
    background: Positive = 1.0
    velocity: Positive = 0.5
    exact_for: ClassVar[float] = -1.0

    def psi(self, grid: nlse.Grid, t: float) -> Field1:
        return nlse.dark_soliton_collision(
            grid, background=self.background, velocity=self.velocity, t=t
        )


class DarkPair(State):
    """Two dark solitons anywhere in the box (needs ``physics.nonlinearity = -1.0``)."""

    state: Literal["dark_pair"]
    background: Positive = 1.0
    velocity: Real = 0.0
    separation: Positive | None = Field(default=None, description="a number above 0")
    center: Real = 0.0

    def psi(self, grid: nlse.Grid, t: float) -> Field1:
        return nlse.dark_soliton_pair(
            grid,
            background=self.background,
            velocity=self.velocity,
            separation=self.separation,
            center=self.center,
        )


class PlaneWave(State):
    """``A exp(i (k x + (A^2 - k^2/2) t))`` with ``k = 2 pi mode / length``."""

    state: Literal["plane_wave"]
    amplitude: Positive = 1.0
    mode: Mode = 0
    exact_for: ClassVar[float] = 1.0

    def psi(self, grid: nlse.Grid, t: float) -> Field1:
        return nlse.plane_wave(grid, amplitude=self.amplitude, mode=self.mode, t=t)


class Published(State):
    """The initial state of a published case, on any grid."""

    state: Literal["published"]
    case: Annotated[str, BeforeValidator(one_of(*nlse.cases.CASES))]

    def psi(self, grid: nlse.Grid, t: float) -> Field1:
        return nlse.cases.get(self.case).initial(grid.x)


class Gaussian(State):
    """``A exp(-(x - x0)^2 / (2 w^2)) exp(i v x)``."""

    state: Literal["gaussian"]
    amplitude: Positive = 1.0
    width: Positive = 5.0
    center: Real = 0.0
    velocity: Real = 0.0

    def psi(self, grid: nlse.Grid, t: float) -> Field1:
        distance = (grid.x - self.center) / self.width
        wave = np.exp(-(distance**2) / 2 + 1j * self.velocity * grid.x)
        return np.asarray(self.amplitude * wave, np.complex128)


class FromFile(State):
    """A field from a NumPy file: ``.npy``, or one array of an ``.npz``."""

    state: Literal["file"]
    path: Annotated[str, Field(min_length=1, description="the path of a .npy or .npz file")]
    array: Text = ""


Initial = Annotated[
    Soliton
    | TwoSoliton
    | Akhmediev
    | Peregrine
    | KuznetsovMa
    | DarkCollision
    | DarkPair
    | PlaneWave
    | Published
    | Gaussian
    | FromFile,
    Field(discriminator="state"),
]
