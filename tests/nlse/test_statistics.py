"""Ensemble statistics against direct formulas on the fields themselves."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fourfold
from fourfold.nlse._recorder import EnsembleRecorder
from fourfold.nlse.grid import Grid
from fourfold.nlse.problem import Problem
from fourfold.nlse.statistics import EnsembleStatistics

pytestmark = pytest.mark.isa


def random_fields(
    rng: np.random.Generator, count: int, n: int, noise: float = 1.0
) -> npt.NDArray[np.complex128]:
    common = rng.normal(size=n) + 1j * rng.normal(size=n)
    own = rng.normal(size=(count, n)) + 1j * rng.normal(size=(count, n))
    return np.asarray(common + noise * own, dtype=np.complex128)


def statistics_of(fields: npt.NDArray[Any]) -> EnsembleStatistics:
    """Statistics at one saved time of fields (..., n)."""
    problem = Problem(Grid(n=fields.shape[-1], length=10.0))
    recorder = EnsembleRecorder(problem, 1, fields.shape[:-1])
    recorder.record(0, fields)
    return recorder.statistics(1)


def coherence_by_pairs(fields: npt.NDArray[np.complex128]) -> npt.NDArray[np.float64]:
    """The definition: the mean over all ordered pairs of different realisations."""
    pairs = list(permutations(range(len(fields)), 2))
    correlation = sum(fields[i].conj() * fields[j] for i, j in pairs) / len(pairs)
    return np.asarray(np.abs(correlation) / np.mean(np.abs(fields) ** 2, axis=0))


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 9),
    n=st.sampled_from([2, 3, 8, 15]),
    noise=st.floats(1e-3, 10),
)
def test_coherence_is_the_mean_over_pairs(seed: int, count: int, n: int, noise: float) -> None:
    fields = random_fields(np.random.default_rng(seed), count, n, noise)
    found = statistics_of(fields)
    np.testing.assert_allclose(found.coherence[0], coherence_by_pairs(fields), atol=1e-13)
    coefficients = np.fft.fft(fields, axis=-1) / n
    np.testing.assert_allclose(
        found.spectral_coherence[0], coherence_by_pairs(coefficients), atol=1e-12
    )


def test_means_are_those_of_the_fields() -> None:
    fields = random_fields(np.random.default_rng(1), 7, 30)
    found = statistics_of(fields)
    intensity = np.abs(fields) ** 2
    coefficients = np.fft.fft(fields, axis=-1) / 30
    assert found.count == 7
    np.testing.assert_allclose(found.mean_field[0], fields.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.intensity[0], intensity.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.intensity_variance[0], intensity.var(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.intensity_squared[0], (intensity**2).mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.mean_coefficients[0], coefficients.mean(axis=0), atol=1e-15)
    spectrum = (np.abs(coefficients) ** 2).mean(axis=0)
    np.testing.assert_allclose(found.spectrum[0], spectrum, rtol=1e-12)
    # Parseval ties the two spaces together.
    assert found.spectrum.sum() == pytest.approx(found.intensity.mean(), rel=1e-13)


def test_blocks_of_realisations_add_up() -> None:
    # Far more than fit one block.
    fields = random_fields(np.random.default_rng(2), 300, 1024)
    found = statistics_of(fields)
    intensity = np.abs(fields) ** 2
    np.testing.assert_allclose(found.mean_field[0], fields.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(found.intensity_variance[0], intensity.var(axis=0), rtol=1e-12)
    total = np.abs(fields.sum(axis=0)) ** 2 - intensity.sum(axis=0)
    direct = np.abs(total / (300 * 299)) / intensity.mean(axis=0)
    np.testing.assert_allclose(found.coherence[0], direct, atol=1e-14)


def test_all_leading_axes_are_realisations() -> None:
    fields = random_fields(np.random.default_rng(3), 12, 16)
    flat, folded = statistics_of(fields), statistics_of(fields.reshape(3, 2, 2, 16))
    assert folded.count == 12
    np.testing.assert_array_equal(flat.coherence, folded.coherence)
    np.testing.assert_array_equal(flat.spectrum, folded.spectrum)


def test_equal_fields_are_coherent() -> None:
    one = random_fields(np.random.default_rng(4), 1, 32)
    found = statistics_of(np.repeat(one, 5, axis=0))
    np.testing.assert_allclose(found.coherence, 1, rtol=1e-14)
    np.testing.assert_allclose(found.spectral_coherence, 1, rtol=1e-14)
    np.testing.assert_allclose(found.intensity_variance, 0, atol=1e-28)


def test_independent_fields_are_incoherent() -> None:
    rng = np.random.default_rng(5)
    fields = rng.normal(size=(4000, 64)) + 1j * rng.normal(size=(4000, 64))
    found = statistics_of(fields)
    # The sum over pairs is (exponential - 1)/b: its mean modulus is 2/e/b.
    assert found.coherence.mean() == pytest.approx(2 / np.e / 4000, rel=0.3)
    # Gaussian fields have <I^2> = 2 <I>^2.
    np.testing.assert_allclose(found.intensity_squared / found.intensity**2, 2, rtol=0.2)


def test_phase_noise_gives_its_known_coherence() -> None:
    # Phases of variance s^2 leave <exp(i phi)> = exp(-s^2/2) of the mean, hence exp(-s^2) of |g12|.
    rng = np.random.default_rng(6)
    phases = rng.normal(scale=0.8, size=(20000, 4))
    found = statistics_of(np.exp(1j * phases))
    np.testing.assert_allclose(found.coherence, np.exp(-0.64), atol=0.015)
    np.testing.assert_allclose(found.intensity_variance, 0, atol=1e-28)


def test_variance_of_faint_noise_keeps_its_digits() -> None:
    rng = np.random.default_rng(7)
    fields = 1.0 + 1e-9 * rng.normal(size=(50, 4)) + 0j
    found = statistics_of(fields)
    with mpmath.workdps(50):
        for j in range(4):
            intensity = [mpmath.mpf(float(v)) ** 2 for v in fields[:, j].real]
            mean = mpmath.fsum(intensity) / 50
            exact = mpmath.fsum((value - mean) ** 2 for value in intensity) / 50
            # |psi|^2 itself is rounded to 1e-16, which is 1e-7 of the noise.
            assert found.intensity_variance[0, j] == pytest.approx(float(exact), rel=1e-6)


def test_single_precision_is_summed_in_double() -> None:
    fields = random_fields(np.random.default_rng(8), 200, 16).astype(np.complex64)
    found = statistics_of(fields)
    assert found.mean_field.dtype == np.complex128
    assert found.intensity.dtype == np.float64
    wide = fields.astype(np.complex128)
    np.testing.assert_allclose(found.mean_field[0], wide.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.intensity[0], (np.abs(wide) ** 2).mean(axis=0), rtol=1e-13)
    # Squares below the smallest single-precision number are not lost.
    assert statistics_of(np.full((2, 4), 1e-30, np.complex64)).intensity.min() > 9e-61


def test_coherence_without_intensity_is_not_defined() -> None:
    fields = np.zeros((3, 8), dtype=np.complex128)
    fields[:, 2] = [1, 1j, -1]
    found = statistics_of(fields)
    assert np.isnan(np.delete(found.coherence[0], 2)).all()
    # |sum|^2 = 1, sum of squares 3, six ordered pairs.
    assert found.coherence[0, 2] == pytest.approx(abs((1 - 3) / 6))


def test_saved_times_stay_apart() -> None:
    rng = np.random.default_rng(9)
    first, second = random_fields(rng, 4, 8), random_fields(rng, 4, 8)
    recorder = EnsembleRecorder(Problem(Grid(n=8, length=10.0)), 3, (4,))
    recorder.record(0, first)
    recorder.record(1, second)
    found = recorder.statistics(2)
    assert found.intensity.shape == (2, 8)
    np.testing.assert_array_equal(found.spectrum[0], statistics_of(first).spectrum[0])
    np.testing.assert_array_equal(found.spectrum[1], statistics_of(second).spectrum[0])
    assert repr(found) == "EnsembleStatistics(count=4, times=2, n=8)"


def test_threads_change_no_bit() -> None:
    fields = random_fields(np.random.default_rng(10), 300, 1024)
    found = []
    for threads in (1, 2, 5):
        fourfold.set_num_threads(threads)
        found.append(statistics_of(fields))
    for other in found[1:]:
        for name in ("mean_field", "mean_coefficients", "intensity_variance", "spectrum"):
            np.testing.assert_array_equal(getattr(found[0], name), getattr(other, name))


def test_conserved_quantities_are_those_of_each_member() -> None:
    # Everything that may differ between members does, in two leading dimensions.
    grid = Grid(n=24, length=10.0)
    rng = np.random.default_rng(11)
    g, potential = rng.normal(size=(2, 1)), rng.normal(size=(3, 24))
    problem = Problem(grid, dispersion={1: 0.3, 3: 0.1}, nonlinearity=g, potential=potential)
    fields = random_fields(rng, 6, 24).reshape(2, 3, 24)
    recorder = EnsembleRecorder(problem, 1, (2, 3))
    recorder.record(0, fields)
    found = recorder.conserved(1)

    # Derivatives by the dense matrix of the Fourier interpolant.
    modes = np.r_[0:12, -12:0] * 2 * np.pi / 10.0
    waves = np.exp(1j * np.outer(grid.x, modes)) / np.sqrt(24)
    derivative = waves @ np.diag(1j * modes) @ waves.conj().T
    symbol = waves @ np.diag(0.3 * modes + 0.1 * modes**3) @ waves.conj().T
    for i, j in np.ndindex(2, 3):
        psi = fields[i, j]
        intensity = np.abs(psi) ** 2
        mass = intensity.sum() * grid.dx
        momentum = (psi.conj() @ (derivative @ psi)).imag * grid.dx
        energy = (psi.conj() @ (symbol @ psi)).real - g[i, 0] / 2 * (intensity**2).sum()
        energy = (energy + (potential[j] * intensity).sum()) * grid.dx
        assert found.mass[0, i, j] == pytest.approx(mass, rel=1e-12)
        assert found.momentum[0, i, j] == pytest.approx(momentum, rel=1e-11)
        assert found.energy[0, i, j] == pytest.approx(energy, rel=1e-11)
