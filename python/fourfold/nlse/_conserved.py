"""Mass, momentum and energy at the saved times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse import diagnostics
from fourfold.nlse.problem import Problem

__all__ = ["Conserved"]

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Conserved:
    """Mass, momentum and energy of every realisation at every saved time, float64 (T, ...)."""

    mass: Float64
    momentum: Float64
    energy: Float64

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Conserved:
        """Room for quantities of this shape."""
        return cls(np.empty(shape), np.empty(shape), np.empty(shape))

    @classmethod
    def of_fields(cls, problem: Problem, psi: npt.NDArray[Any], t: Float64) -> Conserved:
        """Those of fields (T, ..., n) at the times (T,)."""
        return cls(
            mass=np.asarray(diagnostics.mass(problem.grid, psi)),
            momentum=np.asarray(diagnostics.momentum(problem.grid, psi)),
            energy=np.asarray(diagnostics.energy(problem, psi, t)),
        )
