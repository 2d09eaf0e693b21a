"""Takes the fields of an ensemble, time by time, and keeps averages and conserved quantities."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold._threads import get_num_threads
from fourfold.nlse._conserved import Conserved
from fourfold.nlse._densities import abs2, coefficients_of
from fourfold.nlse.problem import Problem
from fourfold.nlse.statistics import EnsembleStatistics

__all__ = ["EnsembleRecorder"]

Float64 = npt.NDArray[np.float64]
Complex128 = npt.NDArray[np.complex128]

# Realisations are taken in blocks of about this many bytes in double precision, so that the scratch
# of a block stays in cache. The size does not depend on the number of threads: nor do the sums.
_BLOCK_BYTES = 512 << 10


class _BlockSums(NamedTuple):
    """Sums over the realisations of a block, and what each of them has by itself."""

    members: int
    field: Complex128
    coefficients: Complex128
    intensity: Float64
    intensity_deviations: Float64  # squares, from the mean of the block
    spectrum: Float64


class EnsembleRecorder:
    """Collects `EnsembleStatistics` and `Conserved` time by time.

    Parameters
    ----------
    problem : Problem
        What the fields solve.
    times : int
        How many saved times to make room for.
    batch_shape : tuple of int
        Leading dimensions of the fields; at least 2 realisations in all.
    """

    def __init__(self, problem: Problem, times: int, batch_shape: tuple[int, ...]) -> None:
        n = problem.grid.n
        self._problem = problem
        self._batch_shape = batch_shape
        self._count = math.prod(batch_shape)
        self._rows = max(1, _BLOCK_BYTES // (n * 16))
        self._mean_field = np.empty((times, n), dtype=np.complex128)
        self._mean_coefficients = np.empty((times, n), dtype=np.complex128)
        self._intensity = np.empty((times, n))
        self._variance = np.empty((times, n))
        self._spectrum = np.empty((times, n))
        # One row a realisation while recording.
        self._conserved = Conserved.empty((times, self._count))

    def record(self, index: int, psi: npt.NDArray[Any], t: float) -> None:
        """Take the fields ``psi``, complex (..., n), as those at saved time ``index``, which is t."""
        self._now = self._problem.at(t)
        self._nonlinearity = np.broadcast_to(self._now.nonlinearity, self._batch_shape).reshape(-1)
        fields = psi.reshape(self._count, -1)
        blocks = [
            slice(start, min(start + self._rows, self._count))
            for start in range(0, self._count, self._rows)
        ]
        with _mapper(len(blocks)) as each:
            sums = list(each(lambda rows: self._take(index, rows, fields[rows]), blocks))

        count = self._count
        intensity = sum(block.intensity for block in sums) / count
        # Deviations from the means of the blocks, and of those from the mean of all (Chan, Golub
        # & LeVeque 1983): <I^2> - <I>^2 would lose every digit of faint noise.
        deviations = np.zeros_like(intensity)
        for block in sums:
            apart = block.intensity / block.members - intensity
            deviations += block.intensity_deviations + block.members * apart**2
        self._mean_field[index] = sum(block.field for block in sums) / count
        self._mean_coefficients[index] = sum(block.coefficients for block in sums) / count
        self._intensity[index] = intensity
        self._variance[index] = deviations / count
        self._spectrum[index] = sum(block.spectrum for block in sums) / count

    def _take(self, index: int, rows: slice, block: npt.NDArray[Any]) -> _BlockSums:
        fields = block.astype(np.complex128, copy=False)
        coefficients = coefficients_of(fields)
        intensity, spectrum = abs2(fields), abs2(coefficients)
        self._take_conserved(index, rows, intensity, spectrum)
        total = intensity.sum(axis=0)
        apart = intensity - total / len(fields)
        return _BlockSums(
            members=len(fields),
            field=fields.sum(axis=0),
            coefficients=coefficients.sum(axis=0),
            intensity=total,
            intensity_deviations=np.einsum("ij,ij->j", apart, apart),
            spectrum=spectrum.sum(axis=0),
        )

    def _take_conserved(
        self, index: int, rows: slice, intensity: Float64, spectrum: Float64
    ) -> None:
        """As in `fourfold.nlse.diagnostics`, from densities that are at hand here."""
        grid, omega = self._problem.grid, self._problem.omega
        quartic = np.einsum("ij,ij->i", intensity, intensity)
        energy = grid.length * np.einsum("ij,j->i", spectrum, omega)
        energy -= 0.5 * grid.dx * self._nonlinearity[rows] * quartic
        potential = self._now.potential
        if potential is not None:
            if potential.ndim > 1:
                whole = np.broadcast_to(potential, (*self._batch_shape, grid.n))
                members = np.unravel_index(np.arange(rows.start, rows.stop), self._batch_shape)
                energy += grid.dx * np.einsum("ij,ij->i", intensity, whole[members])
            else:
                energy += grid.dx * np.einsum("ij,j->i", intensity, potential)
        self._conserved.mass[index, rows] = grid.dx * intensity.sum(axis=1)
        self._conserved.momentum[index, rows] = grid.length * np.einsum("ij,j->i", spectrum, grid.k)
        self._conserved.energy[index, rows] = energy

    def restore(self, statistics: EnsembleStatistics, conserved: Conserved) -> None:
        """Take what another recorder had for the first saved times."""
        times = len(statistics.intensity)
        self._mean_field[:times] = statistics.mean_field
        self._mean_coefficients[:times] = statistics.mean_coefficients
        self._intensity[:times] = statistics.intensity
        self._variance[:times] = statistics.intensity_variance
        self._spectrum[:times] = statistics.spectrum
        shape = (times, self._count)
        self._conserved.mass[:times] = conserved.mass.reshape(shape)
        self._conserved.momentum[:times] = conserved.momentum.reshape(shape)
        self._conserved.energy[:times] = conserved.energy.reshape(shape)

    def row(self, index: int) -> dict[str, npt.NDArray[Any]]:
        """What was recorded at saved time ``index``, by the names of the attributes."""
        shape = self._batch_shape
        return {
            "mean_field": self._mean_field[index],
            "mean_coefficients": self._mean_coefficients[index],
            "intensity": self._intensity[index],
            "intensity_variance": self._variance[index],
            "spectrum": self._spectrum[index],
            "mass": self._conserved.mass[index].reshape(shape),
            "momentum": self._conserved.momentum[index].reshape(shape),
            "energy": self._conserved.energy[index].reshape(shape),
        }

    def statistics(self, times: int) -> EnsembleStatistics:
        """The statistics of the first ``times`` saved times."""
        return EnsembleStatistics(
            count=self._count,
            mean_field=self._mean_field[:times],
            mean_coefficients=self._mean_coefficients[:times],
            intensity=self._intensity[:times],
            intensity_variance=self._variance[:times],
            spectrum=self._spectrum[:times],
        )

    def conserved(self, times: int) -> Conserved:
        """The conserved quantities at the first ``times`` saved times."""
        shape = (times, *self._batch_shape)
        kept = self._conserved
        return Conserved(
            mass=kept.mass[:times].reshape(shape),
            momentum=kept.momentum[:times].reshape(shape),
            energy=kept.energy[:times].reshape(shape),
        )


@contextmanager
def _mapper(tasks: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """The function `map`, on as many threads as there are to use. Results keep their order."""
    threads = min(tasks, get_num_threads())
    if threads < 2:
        yield map
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        yield pool.map
