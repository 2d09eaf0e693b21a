"""Derivatives of a run with respect to its initial state and coefficients, on NumPy arrays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import ReconstructionError
from fourfold.nlse._kernel import StepFailure, Stepper
from fourfold.nlse.methods import DIFFERENTIABLE
from fourfold.nlse.problem import Problem

__all__ = ["Recipe", "check_differentiable", "default_tolerance", "differentiate"]


@dataclass(frozen=True)
class Recipe:
    """How a run was made: what it takes to walk it again."""

    problem: Problem
    method: str
    dtype: np.dtype[Any]
    batch_shape: tuple[int, ...]
    times: npt.NDArray[np.float64]
    step: float | None
    rtol: float
    atol: float
    dealias: str | None
    keep_loss: bool
    tolerance: float

    def stepper(self) -> Stepper:
        """One for this run, at its beginning."""
        return Stepper(
            self.problem,
            method=self.method,
            dtype=self.dtype,
            batch_shape=self.batch_shape,
            t_start=float(self.times[0]),
            t_end=float(self.times[-1]),
            step=self.step,
            rtol=self.rtol,
            atol=self.atol,
            dealias=self.dealias,
            keep_loss=self.keep_loss,
        )

    @property
    def reversible(self) -> bool:
        """Whether every flow of every step has an inverse that can be trusted."""
        lossy = self.problem.lossy or self.keep_loss
        return self.step is not None and self.dealias is None and not lossy


def default_tolerance(dtype: np.dtype[Any]) -> float:
    """Of the reconstruction of a state, relative in the 2-norm."""
    return 1e-3 if dtype == np.complex64 else 1e-7


def check_differentiable(method: str) -> None:
    """Refuse a method that has no discrete adjoint."""
    if method not in DIFFERENTIABLE:
        raise NotImplementedError(
            f"method {method!r} has no gradients; those that do are {', '.join(DIFFERENTIABLE)}"
        )


def differentiate(
    recipe: Recipe,
    psi: npt.NDArray[Any],
    first_steps: npt.NDArray[np.float64],
    cotangents: npt.NDArray[Any],
    wanted: Collection[str],
) -> tuple[npt.NDArray[Any], dict[str, npt.NDArray[np.float64]]]:
    """The derivatives of a real L, given those with respect to all saved states.

    Parameters
    ----------
    recipe : Recipe
        The run.
    psi : complex array (T, ..., n)
        Its states, C-contiguous.
    first_steps : float64 array (T - 1, ...)
        What `Stepper.steps_to_try` said at the beginning of each interval.
    cotangents : complex array (T, ..., n)
        ``dL/dRe psi + i dL/dIm psi``.
    wanted : collection of str
        As for `Stepper.sums`.

    Returns
    -------
    cotangent : complex array (..., n)
        That of the initial state.
    sums : dict of str to float64 array
        Derivatives with respect to the coefficients, one row a realisation.
    """
    stepper = recipe.stepper()
    durations = stepper.durations(recipe.times)
    sums = stepper.sums(wanted)
    times = recipe.times.tolist()
    cotangent = np.array(cotangents[-1], dtype=recipe.dtype, order="C")
    for i in range(len(times) - 2, -1, -1):
        try:
            stepper.backward(
                psi[i],
                psi[i + 1],
                cotangent,
                t0=times[i],
                duration=durations[i],
                first_steps=np.ascontiguousarray(first_steps[i]),
                reversible=recipe.reversible,
                tolerance=recipe.tolerance,
                sums=sums,
            )
        except StepFailure as failure:
            raise _error(recipe, failure, times[i + 1]) from None
        cotangent += cotangents[i]
    return cotangent, sums


def _error(recipe: Recipe, failure: StepFailure, after: float) -> ReconstructionError:
    where = f" of realisation {failure.realisation}" if recipe.batch_shape else ""
    if failure.kind == "reconstruction":
        what = (
            f"running the steps back from t = {after:.6g} misses the state{where} at "
            f"t = {failure.time:.6g} by {failure.error:.2g} of its norm, more than "
            f"{recipe.tolerance:g}. The problem amplifies rounding errors: save more times, each of "
            "which is a fresh start, or let adaptive steps (rtol) go by checkpoints."
        )
    else:
        what = f"the steps{where} from t = {failure.time:.6g} could not be taken again"
    return ReconstructionError(what, time=failure.time, realisation=failure.realisation)
