"""Which points were observed, and with what noise: where a system goes another way than the Kronecker one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from fourfold.gp._decomposition import check_data
from fourfold.gp._info import SolveInfo
from fourfold.gp._missing import DENSE, MaskedSystem
from fourfold.gp._noise import noise_scalar
from fourfold.gp._system import System
from fourfold.gp._tensors import as_tensor, is_array

if TYPE_CHECKING:
    from fourfold.gp.kronecker import Kronecker

__all__ = ["count_of", "masked_logdet", "masked_system", "observed_only", "tolerance"]


def masked_system(kronecker: Kronecker, noise: Any, mask: Any) -> MaskedSystem | None:
    """The system of the observed points; None if there are no holes and the noise is one number or Kronecker."""
    kronecker._require_square("this")
    points = None
    if is_array(noise):
        variances = as_tensor("noise", noise, kronecker._tensors[0])
        if tuple(variances.shape) != kronecker.batch_shape and variances.ndim > 0:
            try:
                points, _ = kronecker._flat("noise", variances)
            except ValueError:
                points = None  # a batch of variances, which System checks
            if points is not None and points.ndim > 1:
                raise ValueError(
                    f"noise: one variance for every point has no batch, got shape {tuple(variances.shape)}"
                )
    if mask is None and points is None:
        return None
    if kronecker.batch_shape != ():
        raise ValueError(
            "mask= and noise for every point need a Kronecker without batch; this one has the batch "
            f"{kronecker.batch_shape}: make one for each"
        )
    total = math.prod(kronecker.sizes)
    observed = torch.ones(total, dtype=torch.bool, device=kronecker.device)
    if mask is not None:
        given = torch.from_numpy(np.array(mask)) if isinstance(mask, np.ndarray) else mask
        if not isinstance(given, Tensor) or given.dtype != torch.bool:
            kind = given.dtype if isinstance(given, Tensor) else type(mask).__name__
            raise TypeError(f"mask: expected an array of bool, True where observed, got {kind}")
        if given.device != kronecker.device:
            raise ValueError(
                f"mask: expected a tensor on {kronecker.device} as the factors, got one on {given.device}"
            )
        observed, _ = kronecker._flat("mask", given)
        if observed.ndim > 1:
            raise ValueError(f"mask: expected no batch, got shape {tuple(given.shape)}")
    if not bool(observed.any()):
        raise ValueError("mask: no point is observed")
    if isinstance(noise, (list, tuple)):
        system = System(kronecker, noise, ())
        points = system.scales[0]
        for vector in system.scales[1:]:
            points = (points.unsqueeze(-1) * vector.unsqueeze(-2)).flatten(-2)
        if points.ndim > 1:
            raise ValueError("noise: vectors with a batch do not go with mask=")
    if points is None:
        points = noise_scalar(0.0 if noise is None else noise, kronecker._tensors[0])
        if points.ndim > 0:
            raise ValueError(f"noise: expected one number, got shape {tuple(points.shape)}")
    else:
        seen = points.detach()[observed]
        if not bool(torch.isfinite(seen).all() and (seen >= 0).all()):
            raise ValueError("noise: expected finite variances >= 0 at the observed points")
        # Whatever stands at the missing points is not looked at.
        points = torch.where(observed, points, points.new_zeros(()))
    return MaskedSystem(kronecker, points, observed)


def observed_only(rows: Tensor, masked: MaskedSystem) -> Tensor:
    """Zeros at the missing points, whatever stands there; what was observed has to be finite."""
    rows = torch.where(masked.observed, rows, rows.new_zeros(()))
    check_data(rows.detach().resolve_neg().contiguous())
    return rows


def masked_logdet(
    masked: MaskedSystem,
    method: str,
    probes: int,
    steps: int,
    rng: Any,
    tol: float | None,
    max_iter: int,
) -> tuple[Tensor, SolveInfo]:
    """The log-determinant by the way that is asked for, or that suits; see `Kronecker.logdet`."""
    kronecker = masked.kronecker
    methods = ("auto", "exact", "dense", "lanczos")
    if method not in methods:
        raise ValueError(f"method: expected one of {', '.join(methods)}, got {method!r}")
    missing = masked.observed.shape[0] - masked.count
    if method == "auto":
        if masked.count <= DENSE:
            method = "dense"
        elif masked.noise.ndim == 0 and missing <= min(masked.observed.shape[0] // 100, 2000):
            method = "exact"
        else:
            method = "lanczos"
    if method == "exact":
        if masked.noise.ndim > 0:
            raise ValueError("method='exact' needs one variance; noise has one for every point")
        return masked.low_rank_logdet(), SolveInfo(
            ("low-rank correction",), jitter=kronecker.jitter
        )
    if method == "dense":
        return masked.dense_logdet(), SolveInfo(("dense cholesky",), jitter=kronecker.jitter)
    if not masked.lowest > 0:
        raise ValueError(
            f"method='lanczos' needs noise > 0 at every observed point, got {masked.lowest}"
        )
    wants = torch.is_grad_enabled() and any(
        t.requires_grad for t in [masked.noise, *kronecker._tensors]
    )
    value, interval, used = masked.lanczos_logdet(
        count_of("probes", probes, 2),
        rng,
        count_of("steps", steps),
        tolerance(tol, kronecker.dtype),
        max_iter,
        wants,
    )
    info = SolveInfo(
        ("stochastic lanczos",), jitter=kronecker.jitter, iterations=used, interval=interval
    )
    return value, info


def tolerance(tol: float | None, dtype: torch.dtype) -> float:
    """The relative residual to reach."""
    if tol is None:
        return 1e-10 if dtype == torch.float64 else 1e-5
    given: Any = tol
    if not isinstance(given, (int, float)) or not 0 < given < 1:
        raise ValueError(f"tol: expected a number between 0 and 1, got {tol!r}")
    return float(tol)


def count_of(name: str, value: Any, least: int = 1) -> int:
    """A number of something, checked."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}: expected an integer >= {least}, got {value!r}")
    return int(value)
