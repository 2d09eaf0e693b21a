"""What a run says: conserved quantities, entropies, complexity, gain, solitons.

Fields are a `Solution`, NumPy arrays or torch tensors of shape (..., n), a time axis first; results
have the leading shape and are of the kind that came in. Series for the ordinal measures are arrays
of real numbers along any axis.
"""

from fourfold.nlse.analysis.delays import delay_curve, ideal_delay, natural_period
from fourfold.nlse.analysis.entropies import (
    differential_entropy,
    disequilibrium,
    renyi_entropy,
    shannon_entropy,
    statistical_complexity,
    tsallis_entropy,
)
from fourfold.nlse.analysis.growth import GrowthRates, growth_rates
from fourfold.nlse.analysis.ordinal import (
    EntropyComplexity,
    complexity_entropy,
    jensen_shannon_complexity,
    ordinal_counts,
    ordinal_patterns,
    permutation_entropy,
)
from fourfold.nlse.analysis.phase_space import PhaseSpaceStatistics, phase_space_statistics
from fourfold.nlse.analysis.plane import PlaneLimits, periodic_limits, plane_limits
from fourfold.nlse.analysis.published import PublishedMeasures, published_measures
from fourfold.nlse.analysis.sample import sample_entropy
from fourfold.nlse.analysis.solitons import Solitons, find_solitons
from fourfold.nlse.analysis.spectrum import active_modes, bandwidth, mean_wavenumber
from fourfold.nlse.analysis.tracks import Tracks, track_solitons
from fourfold.nlse.diagnostics import energy, mass, momentum

__all__ = [
    "EntropyComplexity",
    "GrowthRates",
    "PhaseSpaceStatistics",
    "PlaneLimits",
    "PublishedMeasures",
    "Solitons",
    "Tracks",
    "active_modes",
    "bandwidth",
    "complexity_entropy",
    "delay_curve",
    "differential_entropy",
    "disequilibrium",
    "energy",
    "find_solitons",
    "growth_rates",
    "ideal_delay",
    "jensen_shannon_complexity",
    "mass",
    "mean_wavenumber",
    "momentum",
    "natural_period",
    "ordinal_counts",
    "ordinal_patterns",
    "periodic_limits",
    "permutation_entropy",
    "phase_space_statistics",
    "plane_limits",
    "published_measures",
    "renyi_entropy",
    "sample_entropy",
    "shannon_entropy",
    "statistical_complexity",
    "track_solitons",
    "tsallis_entropy",
]
