"""The field as a cloud of points in the plane of its real and imaginary part."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fourfold.nlse.analysis._inputs import Array, Float64, read_field

__all__ = ["PhaseSpaceStatistics", "phase_space_statistics"]

# Of the mutual information: what lies outside is left out, and so many bins to each axis.
_QUANTILES = (1.0, 99.0)
_BINS = ((100, 10), (1_000, 20), (10_000, 30))
_MOST_BINS = 50


@dataclass(frozen=True, eq=False)
class PhaseSpaceStatistics:
    """Statistics of the points ``(Re psi, Im psi)`` of each field, of the leading shape.

    All moments are plain means over the points. What is not defined is NaN: correlations and
    skewness where nothing varies.

    Attributes
    ----------
    pearson, spearman : float64
        Correlation of the real and the imaginary part, and that of their ranks.
    mutual_information : float64
        Mutual information of both parts over ``ln bins``, from a histogram of 10, 20, 30 or 50 x
        50 bins (below 100, 1000, 10000 points, and above) between the 1st and the 99th percentile.
    mean_phase, std_phase : float64
        Of ``arg psi`` in (-pi, pi], as if it were no angle.
    circular_mean, circular_std : float64
        The angle of the mean of ``exp(i arg psi)``, and ``sqrt(-2 ln R)`` with its length R.
    mean_amplitude, std_amplitude, median_amplitude, max_amplitude : float64
        Of ``|psi|``.
    rms_radius : float64
        Root of the mean of ``|psi|^2``.
    centroid : complex128
        The mean of psi.
    eccentricity : float64
        ``sqrt(1 - b/a)`` with the eigenvalues a >= b of the covariance: 0 round, 1 a line.
    skewness_real, skewness_imag : float64
        Third standardised moment of each part.
    kurtosis_amplitude : float64
        Fourth standardised moment of ``|psi|`` minus 3.
    """

    pearson: Any
    spearman: Any
    mutual_information: Any
    mean_phase: Any
    std_phase: Any
    circular_mean: Any
    circular_std: Any
    mean_amplitude: Any
    std_amplitude: Any
    median_amplitude: Any
    max_amplitude: Any
    rms_radius: Any
    centroid: Any
    eccentricity: Any
    skewness_real: Any
    skewness_imag: Any
    kurtosis_amplitude: Any


def phase_space_statistics(psi: Any) -> PhaseSpaceStatistics:
    """Statistics of a field in the plane of its real and imaginary part, as published.

    Parameters
    ----------
    psi : Solution, or array or tensor (..., n)
        The fields.

    Returns
    -------
    PhaseSpaceStatistics
        Each of the leading shape, (T, ...) for a Solution.

    Raises
    ------
    TypeError, ValueError
        If `psi` does not hold finite numbers.

    References
    ----------
    arXiv 2509.05901 and its scripts (phase_space.py), of which the mutual information adds 1e-10
    to each share.
    """
    fields, back = read_field(psi)
    rows = fields.reshape(-1, fields.shape[-1]).astype(np.complex128)
    found = [_of_one(row) for row in rows]
    shape = fields.shape[:-1]

    def gathered(name: str) -> Any:
        values = np.array([one[name] for one in found]).reshape(shape)
        return back(values[()])

    return PhaseSpaceStatistics(**{n: gathered(n) for n in PhaseSpaceStatistics.__annotations__})


def _of_one(psi: Array) -> dict[str, Any]:
    from scipy.stats import rankdata

    real, imag = psi.real, psi.imag
    amplitude, phase = np.abs(psi), np.angle(psi)
    direction = np.mean(np.exp(1j * phase))
    length = abs(direction)
    return {
        "pearson": _correlation(real, imag),
        "spearman": _correlation(rankdata(real), rankdata(imag)),
        "mutual_information": _mutual_information(real, imag),
        "mean_phase": phase.mean(),
        "std_phase": phase.std(),
        "circular_mean": np.angle(direction),
        # A length of 1 but for rounding has no deviation.
        "circular_std": math.sqrt(max(0.0, -2 * math.log(length))) if length > 0 else math.inf,
        "mean_amplitude": amplitude.mean(),
        "std_amplitude": amplitude.std(),
        "median_amplitude": np.median(amplitude),
        "max_amplitude": amplitude.max(),
        "rms_radius": math.sqrt(np.mean(amplitude**2)),
        "centroid": psi.mean(),
        "eccentricity": _eccentricity(real, imag),
        "skewness_real": _moment(real, 3),
        "skewness_imag": _moment(imag, 3),
        "kurtosis_amplitude": _moment(amplitude, 4) - 3,
    }


def _moment(values: Float64, order: int) -> float:
    """The standardised central moment; NaN if nothing varies."""
    off = values - values.mean()
    deviation = math.sqrt(np.mean(off**2))
    return float(np.mean((off / deviation) ** order)) if deviation > 0 else math.nan


def _correlation(a: Float64, b: Float64) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt((a @ a) * (b @ b))
    return float(a @ b) / size if size > 0 else math.nan


def _eccentricity(real: Float64, imag: Float64) -> float:
    """From half the sum and half the difference of the eigenvalues, which do not cancel."""
    a, b = real - real.mean(), imag - imag.mean()
    middle = (a @ a + b @ b) / 2
    half = math.hypot((a @ a - b @ b) / 2, float(a @ b))
    return math.sqrt(2 * half / (middle + half)) if middle > 0 else math.nan


def _mutual_information(real: Float64, imag: Float64) -> float:
    bins = next((count for points, count in _BINS if real.size < points), _MOST_BINS)
    ends = [np.percentile(part, _QUANTILES) for part in (real, imag)]
    if any(low >= high for low, high in ends):
        return math.nan
    counts, _, _ = np.histogram2d(real, imag, bins=bins, range=[tuple(e) for e in ends])
    if counts.sum() == 0:
        return math.nan
    joint = counts / counts.sum()
    apart = joint.sum(axis=1)[:, None] * joint.sum(axis=0)
    some = joint > 0
    return float(np.sum(joint[some] * np.log(joint[some] / apart[some]))) / math.log(bins)
