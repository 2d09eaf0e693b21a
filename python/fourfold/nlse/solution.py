"""What `solve` returns: the saved states, what follows from them, and how they came about."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse._conserved import Conserved
from fourfold.nlse._recorder import EnsembleRecorder
from fourfold.nlse._stored import StoredFields
from fourfold.nlse.grid import Grid
from fourfold.nlse.problem import Problem
from fourfold.nlse.statistics import EnsembleStatistics

if TYPE_CHECKING:
    import xarray

__all__ = ["Solution", "SolveStats"]

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SolveStats:
    """How a solution came about. Counts are summed over all realisations.

    Attributes
    ----------
    method : str
        Time-stepping method.
    order : int
        Order of convergence that the method has on this problem.
    steps : int
        Steps taken.
    rejected : int
        Steps that the adaptive control tried and threw away; they are not among `steps`.
    transforms : int
        Fourier transforms, forward and inverse alike.
    wall_seconds : float
        Time that the call took, from the end of the checks.
    step : float or None
        The last step size; None if no step was taken.
    adaptive : bool
        Whether tolerances chose the steps.
    threads : int
        Threads that the realisations could be spread over.
    """

    method: str
    order: int
    steps: int
    rejected: int
    transforms: int
    wall_seconds: float
    step: float | None
    adaptive: bool
    threads: int


class Solution:
    """The states of a field at the saved times.

    Made by `fourfold.nlse.solve` and `fourfold.nlse.load`; there is no need to make one by hand.

    Parameters
    ----------
    problem : Problem
        What was solved.
    t : float64 array (T,)
        Saved times.
    stats : SolveStats
        How the solution came about.
    psi : complex array or tensor (T, ..., n), optional
        The fields, NumPy or torch as `solve` was given them; or those in the file of a run.
    final : complex array or tensor (..., n), optional
        The field at ``t[-1]``, where `psi` is not kept.
    statistics : EnsembleStatistics, optional
        Those of the run, where `psi` is not kept.
    conserved : Conserved, optional
        Mass, momentum and energy, where `psi` is not kept or they are known.
    """

    def __init__(
        self,
        problem: Problem,
        t: Float64,
        stats: SolveStats,
        *,
        psi: Any = None,
        final: Any = None,
        statistics: EnsembleStatistics | None = None,
        conserved: Conserved | None = None,
    ) -> None:
        if psi is None and (statistics is None or conserved is None):
            raise ValueError("psi must be given, or statistics and conserved")
        self._problem = problem
        self._t = t
        self._stats = stats
        self._psi = psi
        self._final = final
        self._given_statistics = statistics
        self._given_conserved = conserved

    @property
    def problem(self) -> Problem:
        """What was solved."""
        return self._problem

    @property
    def grid(self) -> Grid:
        """Grid of the fields."""
        return self._problem.grid

    @property
    def stats(self) -> SolveStats:
        """How the solution came about."""
        return self._stats

    @property
    def t(self) -> Float64:
        """Saved times, float64 (T,)."""
        return self._t

    @property
    def x(self) -> Float64:
        """Positions, float64 (n,)."""
        return self.grid.x

    @property
    def has_fields(self) -> bool:
        """Whether the field at every saved time is kept (``store="fields"``)."""
        return self._psi is not None

    @property
    def psi(self) -> Any:
        """The field at the saved times, complex (T, ..., n), NumPy or torch as `solve` was given.

        Where `solve` saved them to a file, they are read at the first use.

        Raises
        ------
        AttributeError
            If only the statistics were stored.
        """
        if self._psi is None:
            raise AttributeError(
                'the fields were not stored; solve with store="fields", or use statistics and final'
            )
        if isinstance(self._psi, StoredFields):
            self._psi = self._psi.read()
        return self._psi

    @property
    def final(self) -> Any:
        """The field at ``t[-1]``, complex (..., n): where a later run can go on.

        Raises
        ------
        AttributeError
            If only the statistics were stored and the run broke off: the last field is then lost.
        """
        if isinstance(self._psi, StoredFields):
            return self._psi.read_last()
        if self._psi is not None:
            return self._psi[-1]
        if self._final is None:
            raise AttributeError(
                "the run broke off, and without stored fields its last field is lost"
            )
        return self._final

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading dimensions of the field: () for a single one."""
        if self._given_conserved is not None:
            return self._given_conserved.mass.shape[1:]
        return tuple(self._psi.shape[1:-1])

    @property
    def mass(self) -> Float64:
        """``sum |psi|^2 dx``, float64 (T, ...)."""
        return self._conserved.mass

    @property
    def momentum(self) -> Float64:
        """``int Im(psi* psi_x) dx`` with the spectral derivative, float64 (T, ...)."""
        return self._conserved.momentum

    @property
    def energy(self) -> Float64:
        """The Hamiltonian, see `fourfold.nlse.diagnostics.energy`, float64 (T, ...)."""
        return self._conserved.energy

    @cached_property
    def statistics(self) -> EnsembleStatistics | None:
        """Averages over the realisations, or None where there are fewer than two.

        Gathered while the run went on for ``store="statistics"``, else computed from `psi` at the
        first use.
        """
        if self._given_statistics is not None:
            return self._given_statistics
        count = math.prod(self.batch_shape)
        if count < 2:
            return None
        recorder = EnsembleRecorder(self.problem, len(self.t), self.batch_shape)
        fields = self.fields_as_numpy()
        for i in range(len(self.t)):
            recorder.record(i, fields[i], float(self.t[i]))
        return recorder.statistics(len(self.t))

    @cached_property
    def _conserved(self) -> Conserved:
        if self._given_conserved is not None:
            return self._given_conserved
        return Conserved.of_fields(self.problem, self.fields_as_numpy(), self.t)

    def fields_as_numpy(self) -> npt.NDArray[Any]:
        """`psi` as a NumPy array (T, ..., n) over the same memory."""
        return as_numpy(self.psi)

    def to_xarray(self) -> xarray.Dataset:
        """The solution as an `xarray.Dataset`, with named dimensions, units and descriptions.

        ``psi`` is complex over (time, realisation, x), or the statistics take its place over (time,
        x) and (time, k); mass, momentum and energy are over (time, realisation). Several leading
        dimensions become ``realisation_0``, ``realisation_1`` and so on.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        from fourfold.nlse._dataset import to_xarray

        return to_xarray(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a netCDF4 file, from which `fourfold.nlse.load` makes the solution bit for bit.

        The file appears under its name when it is complete; what had this name before is replaced.

        Parameters
        ----------
        path : str or path-like
            Where to write, usually with the ending ``.nc``.

        Raises
        ------
        MissingExtraError
            If xarray or netCDF4 is not installed.
        OSError
            If the file cannot be written.
        NotSavableError
            If the problem holds functions of time.
        """
        from fourfold.nlse.io import save

        save(self, path)

    def animate(
        self,
        path: str | os.PathLike[str],
        *,
        fps: float = 20,
        realisation: int | tuple[int, ...] | None = None,
        progress: bool = False,
    ) -> None:
        """Write a film of the intensity and the spectrum, a frame for each saved time.

        The file appears under its name when it is complete; what had this name before is replaced.

        Parameters
        ----------
        path : str or path-like
            With the ending ``.gif``, or ``.mp4``, for which the program ffmpeg must be installed.
        fps : float
            Frames per second, at most 50 for a GIF, which counts in hundredths of a second.
        realisation : int or tuple of int, optional
            Which member of an ensemble; without it the averages over the ensemble are shown.
        progress : bool
            Show a bar on terminals.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        MissingProgramError
            If ffmpeg is not found for an ``.mp4``.
        TypeError, ValueError
            If an argument is not what is said above.
        OSError
            If the file cannot be written.
        """
        from fourfold.nlse._animation import animate

        animate(self, path, fps=fps, realisation=realisation, progress=progress)

    def __repr__(self) -> str:
        shape = (len(self.t), *self.batch_shape, self.grid.n)
        count = math.prod(self.batch_shape)
        kept = f"psi {shape}" if self.has_fields else f"statistics of {count} realisations"
        span = f"t = {self.t[0]:g} ... {self.t[-1]:g}" if len(self.t) > 1 else f"t = {self.t[0]:g}"
        return f"Solution({kept}, {span}, method={self.stats.method!r}, steps={self.stats.steps})"


def as_numpy(field: Any) -> npt.NDArray[Any]:
    """An array or a plain CPU tensor as a NumPy array over the same memory."""
    if isinstance(field, np.ndarray):
        return field
    array: npt.NDArray[Any] = field.detach().numpy()
    return array
