"""What the tests of `solve` share: problems, fields, and steppers that do no work."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fourfold.nlse._kernel import StepFailure
from fourfold.nlse.grid import Grid
from fourfold.nlse.problem import Problem

GRID = Grid(n=128, length=40.0)
LINEAR = Problem(GRID, nonlinearity=0.0)
T = np.array([0.0, 0.1, 0.3, 0.35])


def pulse(*batch: int, dtype: Any = np.complex128) -> npt.NDArray[Any]:
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(*batch, 1))
    return np.asarray(np.exp(-((GRID.x - centers) ** 2) + 0.5j * GRID.x), dtype=dtype)


def linear_truth(psi0: npt.NDArray[Any], t: float) -> npt.NDArray[np.complex128]:
    """Without nonlinearity every Fourier coefficient turns at its own rate k^2/2."""
    wavenumbers = 2 * np.pi / 40.0 * np.r_[0:64, -64:0]
    turned = np.fft.fft(psi0.astype(np.complex128)) * np.exp(-0.5j * wavenumbers**2 * t)
    return np.asarray(np.fft.ifft(turned))


class NoStepper:
    """In the place of the stepper: whatever comes this far was not refused before the work."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise AssertionError("the work began")


class ScriptedStepper:
    """In the place of the stepper: writes down what it is asked for, fails when it is told to."""

    order = 4
    fail_at = np.inf
    arguments: ClassVar[dict[str, Any]]
    calls: ClassVar[list[tuple[float, float]]]
    failure: BaseException = StepFailure(kind="not_finite", time=0.0, realisation=0)

    def __init__(self, problem: Problem, **arguments: Any) -> None:
        type(self).arguments = arguments
        type(self).calls = []
        self.counters = self
        self.steps = self.rejected = self.transforms = 0
        self.last_step = 0.0

    def advance(self, psi: npt.NDArray[Any], t0: float, t1: float) -> None:
        assert psi.flags.c_contiguous
        assert psi.flags.aligned
        assert psi.flags.writeable
        assert psi.dtype.isnative
        self.calls.append((t0, t1))
        self.steps += 2
        self.transforms += 8
        self.last_step = (t1 - t0) / 2
        psi += 1
        if t1 > self.fail_at:
            raise self.failure
