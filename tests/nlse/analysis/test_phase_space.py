"""Statistics in the plane of psi, against the published figures, SciPy and closed forms."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fourfold.nlse import analysis

DATA = Path(__file__).resolve().parents[2] / "data"

# The published report (stats/phase_space.txt), at t = 10.101.
PUBLISHED: dict[str, dict[str, complex]] = {
    "single_soliton": {
        "pearson": -0.584,
        "spearman": 0.005,
        "mutual_information": 0.050,
        "mean_phase": 0.014,
        "std_phase": 1.842,
        "circular_mean": 2.301,
        "circular_std": 2.661,
        "mean_amplitude": 0.063,
        "std_amplitude": 0.276,
        "median_amplitude": 0.000,
        "max_amplitude": 2.000,
        "rms_radius": 0.283,
        "centroid": -0.043 + 0.021j,
        "eccentricity": 0.897,
        "skewness_real": -5.957,
        "skewness_imag": 5.480,
        "kurtosis_amplitude": 28.743,
    },
    "breather": {
        "pearson": 0.800,
        "spearman": 0.301,
        "mutual_information": 0.150,
        "mean_phase": 0.130,
        "std_phase": 1.765,
        "circular_mean": 1.374,
        "circular_std": 2.151,
        "mean_amplitude": 0.170,
        "std_amplitude": 0.344,
        "median_amplitude": 0.073,
        "max_amplitude": 2.866,
        "rms_radius": 0.384,
        "centroid": -0.038 - 0.028j,
        "eccentricity": 0.947,
        "skewness_real": -4.442,
        "skewness_imag": -5.040,
        "kurtosis_amplitude": 32.778,
    },
}
NAMES = list(PUBLISHED["breather"])


@pytest.mark.parametrize("case", PUBLISHED)
def test_the_published_figures_come_out_to_three_decimals(case: str) -> None:
    with np.load(DATA / "published_phase_space.npz") as golden:
        found = analysis.phase_space_statistics(golden[case])
    for name, value in PUBLISHED[case].items():
        off = getattr(found, name) - value
        assert max(abs(off.real), abs(off.imag)) <= 0.0005 * (1 + 1e-9), name


def test_moments_are_those_of_scipy() -> None:
    rng = np.random.default_rng()
    psi = rng.gamma(2, size=400) + 1j * (rng.normal(size=400) + rng.gamma(1, size=400))
    found = analysis.phase_space_statistics(psi)
    assert found.pearson == pytest.approx(stats.pearsonr(psi.real, psi.imag)[0])
    assert found.spearman == pytest.approx(stats.spearmanr(psi.real, psi.imag)[0])
    assert found.skewness_real == pytest.approx(stats.skew(psi.real))
    assert found.skewness_imag == pytest.approx(stats.skew(psi.imag))
    assert found.kurtosis_amplitude == pytest.approx(stats.kurtosis(np.abs(psi)))
    assert found.circular_std == pytest.approx(stats.circstd(np.angle(psi)))
    mean = stats.circmean(np.angle(psi), high=math.pi, low=-math.pi)
    assert found.circular_mean == pytest.approx(mean)
    values = np.linalg.eigvalsh(np.cov(psi.real, psi.imag))
    assert found.eccentricity == pytest.approx(math.sqrt(1 - values[0] / values[1]))


def test_a_circle_and_a_line() -> None:
    circle = 2 * np.exp(2j * np.pi * np.arange(600) / 600)
    found = analysis.phase_space_statistics(circle)
    assert found.eccentricity == pytest.approx(0, abs=1e-6)
    assert found.pearson == pytest.approx(0, abs=1e-12)
    assert found.circular_std > 5
    assert abs(found.centroid) < 1e-12
    assert found.rms_radius == pytest.approx(2)
    assert found.std_amplitude == pytest.approx(0, abs=1e-12)

    line = np.linspace(0.1, 1, 500) * np.exp(0.7j)
    found = analysis.phase_space_statistics(line)
    assert found.eccentricity == pytest.approx(1)
    assert found.pearson == pytest.approx(1)
    assert found.spearman == pytest.approx(1)
    assert found.circular_mean == pytest.approx(0.7)
    assert found.circular_std == pytest.approx(0, abs=1e-6)
    # One part gives the other away: the information is the entropy of 20 nearly equal bins.
    assert found.mutual_information == pytest.approx(1, abs=1e-3)


def test_independent_parts_share_little_information() -> None:
    rng = np.random.default_rng(2)
    psi = rng.random(60_000) + 1j * rng.random(60_000)
    # What is left is the bias (bins - 1)^2 / 2N of a histogram.
    expected = 49**2 / 2 / (60_000 * 0.98**2) / math.log(50)
    found = analysis.phase_space_statistics(psi).mutual_information
    assert found == pytest.approx(expected, rel=0.1)


def test_what_does_not_vary_is_not_defined() -> None:
    found = analysis.phase_space_statistics(np.ones(20, dtype=complex))
    for name in ("pearson", "spearman", "skewness_real", "kurtosis_amplitude", "eccentricity"):
        assert math.isnan(getattr(found, name)), name
    assert found.circular_std == 0
    assert found.mean_amplitude == 1


def test_leading_axes_are_kept() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng()
    psi: Any = rng.normal(size=(2, 3, 40)) + 1j * rng.normal(size=(2, 3, 40))
    found = analysis.phase_space_statistics(psi)
    again = analysis.phase_space_statistics(torch.from_numpy(psi))
    one = analysis.phase_space_statistics(psi[1, 2])
    for name in NAMES:
        values = getattr(found, name)
        assert values.shape == (2, 3)
        assert values[1, 2] == getattr(one, name)
        np.testing.assert_array_equal(getattr(again, name).numpy(), values)
    assert set(vars(found)) == set(NAMES)
