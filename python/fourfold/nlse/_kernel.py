"""The one place of `fourfold.nlse` that hands addresses to C++."""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold import _core
from fourfold._threads import get_num_threads
from fourfold.nlse.grid import Grid
from fourfold.nlse.in_time import FunctionInTime, Series
from fourfold.nlse.problem import Problem

__all__ = [
    "Counters",
    "StepFailure",
    "Stepper",
    "fourier_filter",
    "matching_pairs",
    "ordinal_counts",
]

_KINDS = {1: "not_finite", 2: "step_floor", 4: "reconstruction"}


class StepFailure(Exception):
    """A realisation could not be advanced."""

    def __init__(self, kind: str, time: float, realisation: int, error: float = 0.0) -> None:
        super().__init__(f"{kind} at t = {time} in realisation {realisation}")
        self.kind = kind
        self.time = time
        self.realisation = realisation
        self.error = error


class Counters(NamedTuple):
    """Sums over the realisations; the last step is that of the last one."""

    steps: int
    rejected: int
    transforms: int
    last_step: float


def fourier_filter(grid: Grid, dealias: str | None) -> npt.NDArray[np.float64] | None:
    """The multiplier of the spectrum, in FFT order: float64 of shape (n,), or None.

    ``"two_thirds"`` is 1 up to two thirds of the largest wavenumber and 0 beyond (Orszag 1971);
    ``"exponential"`` is ``exp(-36 (|k|/k_c)^36)`` with ``k_c = 2 pi n/(3 L)``, the same wavenumber.
    """
    if dealias is None:
        return None
    relative = np.abs(grid.k) / (2 * np.pi * grid.n / (3 * grid.length))
    if dealias == "two_thirds":
        return (relative <= 1 + 1e-12).astype(np.float64)
    return np.asarray(np.exp(-36 * relative**36))


class Stepper:
    """Advances a batch of realisations from saved time to saved time."""

    def __init__(
        self,
        problem: Problem,
        *,
        method: str,
        dtype: np.dtype[Any],
        batch_shape: tuple[int, ...],
        t_start: float,
        t_end: float,
        step: float | None,
        rtol: float,
        atol: float,
        dealias: str | None,
        keep_loss: bool = False,
    ) -> None:
        n = problem.grid.n
        self.order = problem.order(method)
        self._problem = problem
        self._shape = (*batch_shape, n)
        self._dtype = dtype
        self._batch = batch = math.prod(batch_shape)
        omega = np.ascontiguousarray(problem.omega)
        multiplier = fourier_filter(
            problem.grid, "exponential" if method == "published" else dealias
        )
        in_time = problem.in_time
        for part in in_time.values():
            part.check(t_start, t_end)
        g = 0.0 if "nonlinearity" in in_time else problem.nonlinearity
        v = None if "potential" in in_time else problem.potential
        # A loss of zero is left out, except where its derivative is wanted.
        left_out = "loss" in in_time or not (problem.lossy or keep_loss)
        gamma = None if left_out else problem.loss
        nonlinearity = _per_realisation(np.asarray(g), batch_shape, ())
        potential = _per_realisation(v, batch_shape, (n,))
        loss = _per_realisation(gamma, batch_shape, (n,))
        kind = (
            _core.nlse.IntegratorComplex64
            if dtype == np.complex64
            else _core.nlse.IntegratorComplex128
        )
        # The integrator copies what it needs; nothing here has to outlive this call.
        self._integrator = kind(
            n=n,
            batch=batch,
            method=method,
            order=self.order,
            step=0.0 if step is None else step,
            rtol=rtol,
            atol=atol,
            t_start=t_start,
            t_end=t_end,
            omega=_address(omega),
            filter=_address(multiplier),
            nonlinearity=_address(nonlinearity),
            shared_nonlinearity=nonlinearity is not None and nonlinearity.size == 1,
            potential=_address(potential),
            shared_potential=potential is not None and potential.size == n,
            loss=_address(loss),
            shared_loss=loss is not None and loss.size == n,
        )
        for name, part in in_time.items():
            self._vary(name, part, batch_shape, () if name == "nonlinearity" else (n,))

    def _vary(
        self,
        name: str,
        part: Series | FunctionInTime,
        batch_shape: tuple[int, ...],
        tail: tuple[int, ...],
    ) -> None:
        if isinstance(part, FunctionInTime):
            self._integrator.vary(part=name, terms=0, shared=True, function=part.at)
            return
        terms = len(part.factors)
        shared = part.batch_shape == ()
        rows = part.rows
        if not shared:  # each row padded on the left to the rank of the batch
            rows = rows.reshape(
                terms, *(1,) * (len(batch_shape) - len(part.batch_shape)), *part.rows.shape[1:]
            )
        rows = np.ascontiguousarray(
            np.broadcast_to(rows, (terms, *(() if shared else batch_shape), *tail))
        )
        pieces = np.array([len(factor.knots) for factor in part.factors], dtype=np.int64)
        knots = np.concatenate([factor.knots for factor in part.factors])
        coefficients = np.concatenate([factor.coefficients for factor in part.factors])
        self._integrator.vary(
            part=name,
            terms=terms,
            rows=rows.ctypes.data,
            shared=shared,
            pieces=pieces.ctypes.data if part.sampled else 0,
            knots=knots.ctypes.data,
            coefficients=coefficients.ctypes.data,
            function=None if part.sampled else part.weights,
        )

    def advance(self, psi: npt.NDArray[Any], t0: float, t1: float) -> None:
        """Change ``psi``, C-contiguous of the batch's shape and dtype, from time t0 to t1.

        Raises
        ------
        StepFailure
            A realisation stopped; ``psi`` then holds no state of one time.
        KeyboardInterrupt
            And whatever else a signal's handler raises.
        """
        if psi.shape != self._shape or psi.dtype != self._dtype or not psi.flags.carray:
            raise ValueError(
                f"psi: expected a writable C-contiguous {self._dtype} array of shape {self._shape}, "
                f"got {psi.dtype} of shape {psi.shape}"
            )
        if psi.size == 0:
            return
        status, realisation, time = self._integrator.advance(
            psi.ctypes.data, t0, t1, get_num_threads()
        )
        if status != 0:
            raise StepFailure(_KINDS[status], time, realisation)

    def durations(self, times: npt.NDArray[np.float64]) -> list[float]:
        """The lengths of the intervals between the saved times, as `advance` takes them."""
        clock: list[float] = times.tolist()
        return [self._integrator.duration(*ends) for ends in pairwise(clock)]

    def sums(self, wanted: Collection[str]) -> dict[str, npt.NDArray[np.float64]]:
        """Zeroed arrays for `backward`, one row a realisation in front.

        ``wanted``: "nonlinearity", "potential", "loss", "omega". What is a series in time gets
        ``<name>_rows`` (..., terms, n) and, if it is sampled, ``<name>_coefficients``
        (..., pieces of all terms, 4) instead.
        """
        batch, n = self._shape[:-1], self._shape[-1]
        found = {}
        for name in wanted:
            part = self._problem.in_time.get(name)
            tail = () if name == "nonlinearity" else (n,)
            if part is None:
                found[name] = np.zeros((*batch, *tail))
            elif isinstance(part, Series):
                found[f"{name}_rows"] = np.zeros((*batch, len(part.factors), *tail))
                if part.sampled:
                    pieces = sum(len(factor.knots) for factor in part.factors)
                    found[f"{name}_coefficients"] = np.zeros((*batch, pieces, 4))
        return found

    def backward(
        self,
        psi_start: npt.NDArray[Any],
        psi_end: npt.NDArray[Any],
        cotangent: npt.NDArray[Any],
        *,
        t0: float,
        duration: float,
        first_steps: npt.NDArray[np.float64],
        reversible: bool,
        tolerance: float,
        sums: dict[str, npt.NDArray[np.float64]],
    ) -> None:
        """Change ``cotangent`` from the end of an interval to its beginning; add to ``sums``.

        Raises
        ------
        StepFailure
            Of the kind "reconstruction", where the way back misses ``psi_start`` by more than the
            tolerance, relative in the 2-norm.
        """
        for field in (psi_start, psi_end, cotangent):
            if field.shape != self._shape or field.dtype != self._dtype or not field.flags.carray:
                raise ValueError(f"expected C-contiguous {self._dtype} of shape {self._shape}")
        if psi_start.size == 0:
            return
        status, realisation, time, error = self._integrator.backward(
            psi_start=psi_start.ctypes.data,
            psi_end=psi_end.ctypes.data,
            cotangent=cotangent.ctypes.data,
            t0=t0,
            duration=duration,
            first_steps=first_steps.ctypes.data,
            reversible=reversible,
            tolerance=tolerance,
            sums={name: array.ctypes.data for name, array in sums.items()},
            threads=get_num_threads(),
        )
        if status != 0:
            raise StepFailure(_KINDS[status], time, realisation, error)

    def control(self) -> tuple[float, npt.NDArray[np.float64]]:
        """What decides the steps to come: the last interval's duration, each next step (batch,)."""
        next_steps = np.empty(self._batch)
        return self._integrator.control(next_steps.ctypes.data), next_steps

    def restore_control(self, duration: float, next_steps: npt.NDArray[np.float64]) -> None:
        """Go on as the stepper of the same run would whose `control` gave this."""
        if next_steps.shape != (self._batch,) or next_steps.dtype != np.float64:
            raise ValueError(
                f"next_steps: expected a float64 array of shape ({self._batch},), "
                f"got {next_steps.dtype} of shape {next_steps.shape}"
            )
        contiguous = np.ascontiguousarray(next_steps)
        self._integrator.restore_control(duration, contiguous.ctypes.data)

    @property
    def counters(self) -> Counters:
        """What has been done so far."""
        return Counters(*self._integrator.counters())


def _address(array: npt.NDArray[np.float64] | None) -> int:
    return 0 if array is None else int(array.ctypes.data)


def _per_realisation(
    values: npt.NDArray[np.float64] | None, batch_shape: tuple[int, ...], tail: tuple[int, ...]
) -> npt.NDArray[np.float64] | None:
    """One row for all realisations if they share it, else one row each."""
    if values is None:
        return None
    shared = values.ndim == len(tail)
    shape = tail if shared else batch_shape + tail
    return np.ascontiguousarray(np.broadcast_to(values, shape), dtype=np.float64)


def ordinal_counts(
    series: npt.NDArray[np.float64], order: int, delay: int
) -> npt.NDArray[np.int64]:
    """Counts (..., order!) of the ordinal patterns of C-contiguous series (..., n).

    Raises
    ------
    ValueError
        A value is NaN.
    """
    n = _rows("series", series)
    counts = np.empty((*series.shape[:-1], math.factorial(order)), dtype=np.int64)
    batch = series.size // n
    first = _core.nlse.ordinal_counts(
        series.ctypes.data, batch, n, order, delay, counts.ctypes.data, get_num_threads()
    )
    if first < batch:
        raise ValueError(f"series must be finite, got NaN in series {first}")
    return counts


def matching_pairs(
    series: npt.NDArray[np.float64], m: int, tolerances: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Pairs (..., 3) of templates of length m that match, of C-contiguous series (..., n).

    See ``match`` in csrc/nlse/ordinal.hpp for the three kinds; `tolerances` has the leading shape.

    Raises
    ------
    KeyboardInterrupt
        And whatever else a signal's handler raises.
    """
    n = _rows("series", series)
    if tolerances.shape != series.shape[:-1] or not tolerances.flags.c_contiguous:
        raise ValueError(
            f"tolerances: expected a C-contiguous array of shape {series.shape[:-1]}, "
            f"got {tolerances.shape}"
        )
    pairs = np.empty((*series.shape[:-1], 3), dtype=np.int64)
    _core.nlse.matching_pairs(
        series.ctypes.data,
        series.size // n,
        n,
        m,
        tolerances.ctypes.data,
        pairs.ctypes.data,
        get_num_threads(),
    )
    return pairs


def _rows(name: str, array: npt.NDArray[np.float64]) -> int:
    if array.dtype != np.float64 or array.ndim == 0 or not array.flags.c_contiguous:
        raise ValueError(
            f"{name}: expected a C-contiguous float64 array with at least one axis, got "
            f"{array.dtype} of shape {array.shape}"
        )
    return int(array.shape[-1])
