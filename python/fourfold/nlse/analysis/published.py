"""The measures of the published analysis, by its own formulas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fourfold.nlse.analysis._inputs import Float64, over_rows, read_field
from fourfold.nlse.analysis.entropies import (
    disequilibrium,
    histogram_entropy,
    renyi_entropy,
    shannon_entropy,
    tsallis_entropy,
)
from fourfold.nlse.analysis.ordinal import permutation_entropy
from fourfold.nlse.analysis.sample import published_sample_entropy
from fourfold.nlse.analysis.spectrum import active_modes, moments

__all__ = ["PublishedMeasures", "published_measures"]

_BINS = 50


@dataclass(frozen=True, eq=False)
class PublishedMeasures:
    """What the published analysis reports of each field, of the fields' leading shape.

    Attributes
    ----------
    shannon, spectral_shannon : float64
        `shannon_entropy` of the points and of the modes.
    renyi_0, renyi_2, renyi_inf : float64
        `renyi_entropy` of the points.
    tsallis_half, tsallis_2 : float64
        `tsallis_entropy` of the points, q = 1/2 and 2.
    permutation : float64
        `permutation_entropy` of ``|psi|`` along x, of order 3.
    sample : float64
        Sample entropy of ``|psi|`` along x, m = 2, tolerance 0.2 standard deviations. Unlike
        `sample_entropy` all templates of each length are counted, one more of the shorter, and
        each count is divided by the number of its pairs; 0 where nothing matches.
    normalized_shannon : float64
        ``shannon / ln n``
    disequilibrium : float64
        `disequilibrium`
    complexity : float64
        ``normalized_shannon * disequilibrium * n``: `statistical_complexity`.
    differential : float64
        `differential_entropy` of ``|psi|`` in 50 bins plus the logarithm of a bin's width, which
        stands in the published formula although the density has it already. A field of constant
        modulus gives ``-2 ln 50``, as there: its one bin is taken 1/50 wide.
    active_modes : int64
        `active_modes`
    bandwidth, mean_frequency : float64
        `bandwidth` and `mean_wavenumber` in cycles per point: times ``dx / (2 pi)``.
    """

    shannon: Any
    spectral_shannon: Any
    renyi_0: Any
    renyi_2: Any
    renyi_inf: Any
    tsallis_half: Any
    tsallis_2: Any
    permutation: Any
    sample: Any
    normalized_shannon: Any
    disequilibrium: Any
    complexity: Any
    differential: Any
    active_modes: Any
    bandwidth: Any
    mean_frequency: Any


def published_measures(psi: Any) -> PublishedMeasures:
    """All measures that the published analysis reports of a field, by its own formulas.

    Parameters
    ----------
    psi : Solution, or array or tensor (..., n)
        The fields, n at least 4.

    Returns
    -------
    PublishedMeasures
        Each of the leading shape, (T, ...) for a Solution.

    Raises
    ------
    TypeError, ValueError
        If `psi` does not hold finite numbers, or a field of it is zero everywhere.

    References
    ----------
    S. H. S. Herho et al., arXiv 2509.05901, and its scripts
    (github.com/sandyherho/suppl_1d_nlse_pseudo_spectral, entropy_analysis.py).
    """
    fields, back = read_field(psi)
    n = fields.shape[-1]
    if n < 4:
        raise ValueError(f"psi must have at least 4 points, got shape {fields.shape}")
    modulus = np.abs(fields).astype(np.float64)
    shannon = np.asarray(shannon_entropy(fields))
    off = np.asarray(disequilibrium(fields))
    frequency = np.fft.fftfreq(n).astype(np.float64, copy=False)
    measures = {
        "shannon": shannon,
        "spectral_shannon": shannon_entropy(fields, spectral=True),
        "renyi_0": renyi_entropy(fields, 0),
        "renyi_2": renyi_entropy(fields, 2),
        "renyi_inf": renyi_entropy(fields, math.inf),
        "tsallis_half": tsallis_entropy(fields, 0.5),
        "tsallis_2": tsallis_entropy(fields, 2),
        "permutation": permutation_entropy(modulus, 3),
        "sample": published_sample_entropy(np.ascontiguousarray(modulus)),
        "normalized_shannon": shannon / math.log(n),
        "disequilibrium": off,
        "complexity": shannon / math.log(n) * off * n,
        "differential": _differential(modulus),
        "active_modes": active_modes(fields),
        "bandwidth": over_rows(lambda block: moments(block, frequency)[1], fields),
        "mean_frequency": over_rows(lambda block: moments(block, frequency)[0], fields),
    }
    return PublishedMeasures(**{name: back(np.asarray(m)[()]) for name, m in measures.items()})


def _differential(modulus: Float64) -> Float64:
    entropy, width = (np.asarray(a) for a in histogram_entropy(modulus, _BINS))
    flat = np.isneginf(entropy)
    with_width = entropy + np.log(width, out=np.zeros(width.shape), where=~flat)
    return np.asarray(np.where(flat, -2 * math.log(_BINS), with_width))
