"""Waves under the nonlinear Schrodinger equation, in one periodic dimension, many at a time.

The equation, its default being the focusing one, ``i psi_t + 1/2 psi_xx + |psi|^2 psi = 0``::

    i psi_t = omega(-i d/dx) psi - g |psi|^2 psi + V(x) psi - i gamma(x) psi

`Grid` and `Problem` say what is solved, `solve` solves it and returns a `Solution`; `exact` holds
closed forms to start from and to compare with, `cases` the published cases, `diagnostics` what the
equation conserves, `analysis` what a run says, `plot` the figures.
"""

from typing import TYPE_CHECKING, Any

from fourfold.nlse import analysis, cases, diagnostics, exact, methods, plot, units
from fourfold.nlse._resume import resume
from fourfold.nlse._scan import scan
from fourfold.nlse.exact import (
    akhmediev,
    akhmediev_length,
    dark_soliton,
    dark_soliton_collision,
    dark_soliton_pair,
    kuznetsov_ma,
    modulation_gain,
    peregrine,
    plane_wave,
    soliton,
    two_soliton,
)
from fourfold.nlse.grid import Grid
from fourfold.nlse.ground import GroundState, ground_state
from fourfold.nlse.in_time import Modulated
from fourfold.nlse.io import load
from fourfold.nlse.noise import (
    add_noise,
    add_photon_noise,
    add_vacuum_noise,
    wigner_occupation,
)
from fourfold.nlse.problem import Problem
from fourfold.nlse.solution import Solution, SolveStats
from fourfold.nlse.solver import solve
from fourfold.nlse.statistics import EnsembleStatistics

if TYPE_CHECKING:
    from fourfold.nlse._operator import propagate

__all__ = [
    "EnsembleStatistics",
    "Grid",
    "GroundState",
    "Modulated",
    "Problem",
    "Solution",
    "SolveStats",
    "add_noise",
    "add_photon_noise",
    "add_vacuum_noise",
    "akhmediev",
    "akhmediev_length",
    "analysis",
    "cases",
    "dark_soliton",
    "dark_soliton_collision",
    "dark_soliton_pair",
    "diagnostics",
    "exact",
    "ground_state",
    "kuznetsov_ma",
    "load",
    "methods",
    "modulation_gain",
    "peregrine",
    "plane_wave",
    "plot",
    "propagate",
    "resume",
    "scan",
    "soliton",
    "solve",
    "two_soliton",
    "units",
    "wigner_occupation",
]


def __getattr__(name: str) -> Any:
    # The operator needs torch, which takes seconds to import and which arrays do without.
    if name == "propagate":
        from fourfold.nlse._operator import propagate

        return propagate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
