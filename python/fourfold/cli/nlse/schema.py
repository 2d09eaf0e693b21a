"""What a run file may hold. `RunConfig` is the whole; each class below it is one table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from fourfold import nlse
from fourfold.cli.nlse.fields import (
    NotNegative,
    Positive,
    Real,
    Seed,
    Switch,
    Table,
    Text,
)
from fourfold.cli.nlse.states import FromFile, Initial
from fourfold.cli.validation import one_of
from fourfold.nlse.methods import METHODS

Tolerance = Annotated[float, Field(ge=0, le=1)]

_MOST_POINTS = 2**22
_MOST_SAVES = 1_000_000
_MOST_REALISATIONS = 1_000_000


class GridTable(Table):
    """The periodic grid: ``n`` points on ``[-length/2, length/2)``."""

    n: Annotated[
        int,
        Field(
            ge=2,
            le=_MOST_POINTS,
            description=f"a whole number from 2 to {_MOST_POINTS} with prime factors 2, 3 and 5",
        ),
    ]
    length: Positive

    @field_validator("n")
    @classmethod
    def _good_size(cls, n: int) -> int:
        nlse.Grid(n=n, length=1.0)  # its ValueError names the next good size
        return n


class TimeTable(Table):
    """The saved times: ``saves`` of them, evenly spaced, ``start`` and ``end`` included."""

    start: Real = 0.0
    end: Real
    saves: Annotated[
        int,
        Field(ge=2, le=_MOST_SAVES, description=f"a whole number from 2 to {_MOST_SAVES}"),
    ] = 101

    @model_validator(mode="after")
    def _forward(self) -> TimeTable:
        if self.end <= self.start:
            raise ValueError(f"end = {self.end:g} must be after start = {self.start:g}")
        return self


class NoPotential(Table):
    """``V = 0``."""

    kind: Literal["none"]


class Harmonic(Table):
    """``V(x) = frequency^2 (x - center)^2 / 2``."""

    kind: Literal["harmonic"]
    frequency: Positive
    center: Real = 0.0


class Lattice(Table):
    """``V(x) = depth sin^2(pi x / period)``; the box must hold whole periods."""

    kind: Literal["lattice"]
    depth: Real
    period: Positive


class GaussianPotential(Table):
    """``V(x) = height exp(-(x - center)^2 / (2 width^2))``; a negative height is a well."""

    kind: Literal["gaussian"]
    height: Real
    width: Positive
    center: Real = 0.0


Potential = Annotated[
    NoPotential | Harmonic | Lattice | GaussianPotential, Field(discriminator="kind")
]


class PhysicsTable(Table):
    """``i psi_t = omega(-i d/dx) psi - g |psi|^2 psi + V psi - i loss psi``."""

    dispersion: Annotated[
        dict[str, Real],
        Field(
            min_length=1,
            description="a table of order = coefficient with orders from 1 to 12, as in {2 = 0.5}",
        ),
    ] = Field(default_factory=lambda: {"2": 0.5})
    nonlinearity: Real = 1.0
    loss: Real = 0.0
    potential: Potential = NoPotential(kind="none")

    @field_validator("dispersion")
    @classmethod
    def _orders(cls, dispersion: dict[str, float]) -> dict[str, float]:
        for order in dispersion:
            if order not in _ORDERS:
                raise ValueError(f"got the order {order!r}; allowed: orders from 1 to 12")
        return dispersion


_ORDERS = tuple(str(order) for order in range(1, 13))


class SolverTable(Table):
    """How to step: a fixed ``step``, or steps chosen for ``rtol`` and ``atol``."""

    method: Annotated[str, BeforeValidator(one_of("default", *METHODS))] = "default"
    step: Positive | None = Field(default=None, description="a number above 0")
    rtol: Tolerance | None = Field(default=None, description="a number from 0 to 1")
    atol: Tolerance | None = Field(default=None, description="a number from 0 to 1")
    dealias: Annotated[str, BeforeValidator(one_of("none", "two_thirds", "exponential"))] = "none"
    precision: Annotated[str, BeforeValidator(one_of("double", "single"))] = "double"


class NoiseTable(Table):
    """Noise on the initial state, drawn anew for each realisation from a generator of that seed.

    ``white``: `fourfold.nlse.add_noise`; ``photon``: `fourfold.nlse.add_photon_noise`, one photon of
    random phase in each mode; ``vacuum``: `fourfold.nlse.add_vacuum_noise`, truncated Wigner.
    """

    kind: Annotated[str, BeforeValidator(one_of("white", "photon", "vacuum"))] = "white"
    relative: NotNegative = 0.0
    quantum: NotNegative = 0.0
    seed: Seed = 0

    @property
    def present(self) -> bool:
        """Whether there is any."""
        return self.relative > 0 or self.quantum > 0

    @model_validator(mode="after")
    def _one_strength(self) -> NoiseTable:
        if self.kind == "white" and self.quantum > 0:
            raise ValueError("quantum is for kind = 'photon' or 'vacuum'; set kind")
        if self.kind != "white":
            if self.relative > 0:
                raise ValueError("relative is for kind = 'white'; set quantum instead")
            if self.quantum == 0:
                raise ValueError(
                    f"kind = '{self.kind}' needs quantum, the mass that one quantum has, above 0"
                )
        return self


class EnsembleTable(Table):
    """How many realisations, and what is kept of them."""

    size: Annotated[
        int,
        Field(
            ge=1,
            le=_MOST_REALISATIONS,
            description=f"a whole number from 1 to {_MOST_REALISATIONS}",
        ),
    ] = 1
    keep: Annotated[str, BeforeValidator(one_of("fields", "statistics"))] = "fields"

    @model_validator(mode="after")
    def _statistics_of_several(self) -> EnsembleTable:
        if self.keep == "statistics" and self.size < 2:
            raise ValueError("keep = 'statistics' needs size of at least 2")
        return self


class OutputTable(Table):
    """What is written; the folder is the command's ``-o``."""

    name: (
        Annotated[
            str,
            Field(
                pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
                description="1 to 64 letters, digits, '_', '-' or '.', not starting with a mark",
            ),
        ]
        | None
    ) = Field(default=None, description="1 to 64 letters, digits, '_', '-' or '.'")
    figures: Switch = True


class RunConfig(Table):
    """A whole run."""

    title: Text = ""
    grid: GridTable
    time: TimeTable
    initial: Initial
    noise: NoiseTable = NoiseTable()
    physics: PhysicsTable = PhysicsTable()
    solver: SolverTable = SolverTable()
    ensemble: EnsembleTable = EnsembleTable()
    output: OutputTable = OutputTable()

    @model_validator(mode="after")
    def _ensemble_differs(self) -> RunConfig:
        same = not self.noise.present and not isinstance(self.initial, FromFile)
        if self.ensemble.size > 1 and same:
            raise ValueError(
                f"ensemble.size = {self.ensemble.size} without noise would compute the same run "
                "again and again; set noise.relative, or noise.kind and noise.quantum"
            )
        return self
