"""Derivatives of a run with respect to its initial state and coefficients, on NumPy arrays."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import ReconstructionError
from fourfold.nlse._kernel import StepFailure
from fourfold.nlse._leaves import Leaf
from fourfold.nlse._plan import Plan
from fourfold.nlse.methods import DIFFERENTIABLE
from fourfold.nlse.problem import Problem

__all__ = [
    "check_differentiable",
    "default_tolerance",
    "differentiate",
    "is_reversible",
    "wanted_leaves",
]


def wanted_leaves(problem: Problem, psi0: Any) -> dict[str, Leaf]:
    """The tensors with respect to which a solution has gradients, "psi0" among them; {}: none.

    Raises
    ------
    ValueError
        If a coefficient wants gradients and psi0 is no tensor, or it has changed.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.is_grad_enabled():
        return {}
    leaves = dict(problem.leaves)
    is_torch = isinstance(psi0, torch.Tensor)
    if leaves and not is_torch:
        raise ValueError(
            f"psi0 must be a torch tensor, because {', '.join(leaves)} requires gradients; "
            "or solve under torch.no_grad()"
        )
    for leaf in leaves.values():
        leaf.check()
    if is_torch and psi0.requires_grad:
        leaves["psi0"] = Leaf("psi0", psi0, psi0._version)
    return leaves


def check_differentiable(method: str, store: str = "fields", save: object = None) -> None:
    """Refuse what has no gradients."""
    if method not in DIFFERENTIABLE:
        raise NotImplementedError(
            f"method {method!r} has no gradients; those that do are {', '.join(DIFFERENTIABLE)}"
        )
    if store != "fields" or save is not None:
        raise ValueError(
            'gradients need store="fields" and no save; or solve under torch.no_grad()'
        )


def default_tolerance(dtype: np.dtype[Any]) -> float:
    """Of the reconstruction of a state, relative in the 2-norm."""
    return 1e-3 if dtype == np.complex64 else 1e-7


def is_reversible(plan: Plan) -> bool:
    """Whether every flow of every step has an inverse that can be trusted."""
    lossy = plan.problem.lossy or plan.keep_loss
    return plan.step is not None and plan.dealias is None and not lossy


def differentiate(
    plan: Plan,
    psi: npt.NDArray[Any],
    first_steps: Sequence[npt.NDArray[np.float64]] | npt.NDArray[np.float64],
    cotangents: npt.NDArray[Any],
    wanted: Collection[str],
    tolerance: float,
) -> tuple[npt.NDArray[Any], dict[str, npt.NDArray[np.float64]]]:
    """The derivatives of a real L, given those with respect to all saved states.

    Parameters
    ----------
    plan : Plan
        The run.
    psi : complex array (T, ..., n)
        Its states, C-contiguous.
    first_steps : float64 arrays (batch,), one an interval
        What `Stepper.control` said at the beginning of each.
    cotangents : complex array (T, ..., n)
        ``dL/dRe psi + i dL/dIm psi``.
    wanted : collection of str
        As for `Stepper.sums`.
    tolerance : float
        Of reconstructed states, relative in the 2-norm.

    Returns
    -------
    cotangent : complex array (..., n)
        That of the initial state.
    sums : dict of str to float64 array
        Derivatives with respect to the coefficients, one row a realisation.
    """
    stepper = plan.stepper()
    durations = stepper.durations(plan.times)
    sums = stepper.sums(wanted)
    times = plan.times.tolist()
    reversible = is_reversible(plan)
    cotangent = np.array(cotangents[-1], dtype=plan.dtype, order="C")
    for i in range(len(times) - 2, -1, -1):
        try:
            stepper.backward(
                psi[i],
                psi[i + 1],
                cotangent,
                t0=times[i],
                duration=durations[i],
                first_steps=np.ascontiguousarray(first_steps[i]),
                reversible=reversible,
                tolerance=tolerance,
                sums=sums,
            )
        except StepFailure as failure:
            raise _error(plan, failure, times[i + 1], tolerance) from None
        cotangent += cotangents[i]
    return cotangent, sums


def _error(plan: Plan, failure: StepFailure, after: float, tolerance: float) -> ReconstructionError:
    where = f" of realisation {failure.realisation}" if plan.count > 1 else ""
    if failure.kind == "reconstruction":
        goes, start, end = (
            ("running the steps back", after, failure.time)
            if is_reversible(plan)
            else ("taking the steps again", failure.time, after)
        )
        what = (
            f"{goes} from t = {start:.6g} misses the state{where} at t = {end:.6g} by "
            f"{failure.error:.2g} of its norm, more than {tolerance:g}. The problem amplifies rounding "
            "errors: save more times, each of which is a fresh start."
        )
    else:
        what = f"the steps{where} from t = {failure.time:.6g} could not be taken again"
    return ReconstructionError(what, time=failure.time, realisation=failure.realisation)
