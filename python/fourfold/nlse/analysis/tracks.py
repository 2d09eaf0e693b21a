"""Solitons followed from saved time to saved time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fourfold.nlse._members import Index, check_realisation, member
from fourfold.nlse.analysis._inputs import Float64, check_number
from fourfold.nlse.analysis.solitons import Solitons, check_threshold, peaks, wrapped
from fourfold.nlse.problem import Problem
from fourfold.nlse.solution import Solution

__all__ = ["Tracks", "track_solitons"]

# A peak may carry a track on if these together are not more than the limit: how far it lies from
# where it should be, in widths of the soliton, and how far amplitude and wavenumber are off, as
# shares of the amplitude.
_LIMIT = 2.0
_OF_AMPLITUDE, _OF_VELOCITY = 4.0, 1.0

# A peak counts as a soliton by itself if width and amplitude agree with its shape so far.
_FREE = 0.02


@dataclass(frozen=True, eq=False)
class Tracks:
    """Solitons over time: float64 arrays (T, s), NaN where a soliton was not seen.

    Attributes
    ----------
    t : float64 array (T,)
        The saved times.
    position : float64 array
        Continued across the ends of the box: it may lie beyond them.
    amplitude, velocity, inverse_width : float64 array
        As in `Solitons`.
    phase : float64 array
        Continued from time to time: the multiple of 2 pi is the one nearest to how the soliton
        turns by itself, ``(A^2 + v^2) / 2`` for the default equation. A potential is not counted.
    length : float
        Of the box.
    """

    t: Float64
    position: Float64
    amplitude: Float64
    velocity: Float64
    phase: Float64
    inverse_width: Float64
    length: float

    def __len__(self) -> int:
        return int(self.position.shape[1])


class _Law:
    """How solitons of a problem move and turn, and what shape they have."""

    def __init__(self, problem: Problem, flat: int | None) -> None:
        self._problem, self._flat = problem, flat or 0
        order = np.argsort(problem.grid.k)
        self._k, self._omega = problem.grid.k[order], problem.omega[order]
        self._group = np.gradient(self._omega, self._k)
        self._bend = np.gradient(self._group, self._k)
        self.g = math.nan

    def move_to(self, time: float) -> None:
        """Take the nonlinearity of this time."""
        problem = self._problem.at(time)
        g = np.asarray(problem.nonlinearity, dtype=np.float64)
        if g.ndim:
            g = np.broadcast_to(g, problem.batch_shape).reshape(-1)[self._flat]
        self.g = float(g)

    def speed(self, wavenumber: float) -> float:
        """The group velocity."""
        return float(np.interp(wavenumber, self._k, self._group))

    def turning(self, wavenumber: float, amplitude: float) -> float:
        """How fast the phase at the peak turns, without a potential."""
        omega = float(np.interp(wavenumber, self._k, self._omega))
        return wavenumber * self.speed(wavenumber) - omega + self.g * amplitude**2 / 2

    def is_free(self, found: Solitons, peak: int) -> bool:
        """Whether a peak has the width of a soliton of its amplitude."""
        bend = float(np.interp(found.velocity[peak], self._k, self._bend))
        if not self.g * bend > 0:
            return False
        expected = found.amplitude[peak] * np.sqrt(self.g / bend)
        return bool(abs(found.inverse_width[peak] / expected - 1) < _FREE)


class _Track:
    """One soliton while it is being followed.

    It is expected by what it was when it was last free of others: in a collision amplitude and
    velocity at a peak are no soliton's, and whoever followed them would leave with the other one.
    What has never been free, as a breather, is followed from time to time.
    """

    def __init__(
        self, law: _Law, rows: int, row: int, time: float, found: Solitons, i: int
    ) -> None:
        self.law = law
        self.values = np.full((5, rows), np.nan)
        self.free = law.is_free(found, i)
        self._remember(time, found, i, found.position[i], found.phase[i])
        self._write(row, found, i, found.position[i], found.phase[i])

    def _remember(
        self, time: float, found: Solitons, i: int, position: float, phase: float
    ) -> None:
        self.time, self.position, self.phase = time, float(position), float(phase)
        self.amplitude, self.wavenumber = float(found.amplitude[i]), float(found.velocity[i])

    def _write(self, row: int, found: Solitons, i: int, position: float, phase: float) -> None:
        self.values[:, row] = (
            position,
            found.amplitude[i],
            found.velocity[i],
            phase,
            found.inverse_width[i],
        )

    def times_seen(self) -> int:
        return int(np.isfinite(self.values[0]).sum())

    def _expected(self, time: float) -> float:
        return self.position + self.law.speed(self.wavenumber) * (time - self.time)

    def costs(self, time: float, found: Solitons, length: float) -> Float64:
        off = np.abs(wrapped(found.position - self._expected(time), length)) * self.amplitude
        amplitude = np.abs(found.amplitude - self.amplitude) / self.amplitude
        wavenumber = np.abs(found.velocity - self.wavenumber) / self.amplitude
        return np.asarray(off + _OF_AMPLITUDE * amplitude + _OF_VELOCITY * wavenumber)

    def follow(self, row: int, time: float, found: Solitons, i: int, length: float) -> None:
        at = self._expected(time)
        position = at + float(wrapped(found.position[i] - at, length))
        turning = self.law.turning(self.wavenumber, self.amplitude)
        turning += self.law.turning(float(found.velocity[i]), float(found.amplitude[i]))
        ahead = self.phase + turning / 2 * (time - self.time)
        phase = ahead + float(wrapped(found.phase[i] - ahead, 2 * np.pi))
        self._write(row, found, i, position, phase)
        free = self.law.is_free(found, i)
        if free or not self.free:
            self.free = free
            self._remember(time, found, i, position, phase)


def track_solitons(
    solution: Solution,
    *,
    threshold: float = 0.2,
    least: int | None = None,
    realisation: Index = None,
) -> Tracks:
    """Follow the bright solitons of a run.

    At each saved time the peaks are found as by `find_solitons` and given to the solitons seen
    before, each expected where its velocity takes it. In a collision amplitude and velocity at a
    peak are no soliton's own: a track has a gap there, and goes on with the soliton that comes out
    of it with the amplitude and velocity that went in, shifted as it is. Saved times should be
    close enough for a soliton that changes by itself (in a trap, with loss) to keep its amplitude
    and velocity from one to the next within a quarter or so.

    Parameters
    ----------
    solution : Solution
        The run, with its fields.
    threshold : float
        Peaks lower than this share of the highest of the run are left out.
    least : int, optional
        Tracks seen at fewer saved times are left out. Without it those are left out that never have
        the width of a soliton and are seen at fewer than a quarter of the saved times: the fleeting
        peaks of a collision.
    realisation : int or tuple of int, optional
        Which member of an ensemble.

    Returns
    -------
    Tracks
        Sorted by the first time they were seen, then by position.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above.
    """
    from scipy.optimize import linear_sum_assignment

    if not isinstance(solution, Solution):
        raise TypeError(f"solution must be a Solution, got {type(solution).__name__}")
    share = check_threshold(threshold)
    if least is not None:
        least = check_number("least", least, 1)
    fields = member(solution, realisation)
    law = _Law(solution.problem, check_realisation(solution, realisation))
    grid, t = solution.grid, solution.t
    highest = max(float(np.abs(field).max()) for field in fields)
    tracks: list[_Track] = []
    for row, field in enumerate(fields):
        found = peaks(grid, field.astype(np.complex128), least=share * highest)
        time = float(t[row])
        law.move_to(time)
        new = list(range(len(found)))
        # What was a soliton by itself comes first: the peaks of a collision are not to take it.
        for group in ([o for o in tracks if o.free], [o for o in tracks if not o.free]):
            if group and new:
                cost = np.array([track.costs(time, found, grid.length)[new] for track in group])
                # Beyond the limit no pair is better than another.
                pairs = zip(*linear_sum_assignment(np.minimum(cost, _LIMIT)), strict=True)
                taken = [(i, new[j]) for i, j in pairs if cost[i, j] < _LIMIT]
                for i, peak in taken:
                    group[i].follow(row, time, found, peak, grid.length)
                new = [peak for peak in new if peak not in {peak for _, peak in taken}]
        tracks += [_Track(law, len(t), row, time, found, peak) for peak in new]
    enough = len(t) / 4 if least is None else least
    kept = [
        track for track in tracks if track.times_seen() >= enough or (least is None and track.free)
    ]
    values = np.array([track.values for track in kept]).reshape(len(kept), 5, len(t))
    position, amplitude, velocity, phase, inverse_width = values.transpose(1, 2, 0)
    return Tracks(t.copy(), position, amplitude, velocity, phase, inverse_width, grid.length)
