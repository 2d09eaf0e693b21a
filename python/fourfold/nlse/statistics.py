"""Averages over an ensemble, with which none of its fields need be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["EnsembleStatistics"]

Float64 = npt.NDArray[np.float64]
Complex128 = npt.NDArray[np.complex128]

# Realisations are taken in blocks of about this many bytes, so that scratch stays in cache and
# small beside the fields.
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class EnsembleStatistics:
    r"""Averages over the realisations of an ensemble, at each saved time.

    Every leading axis of the field counts as an axis of realisations. ``<.>`` is the plain mean
    over all ``count`` realisations; the Fourier coefficients are ``c_k = fft(psi)_k / n``, so that
    the mean of ``|psi|^2`` over ``x`` is the sum of ``|c_k|^2`` over ``k``. All arrays are double
    precision, whatever the precision of the fields.

    Attributes
    ----------
    count : int
        Number of realisations ``b``, at least 2.
    mean_field : complex128 array (T, n)
        ``<psi>``
    mean_coefficients : complex128 array (T, n)
        ``<c_k>``, in the order of ``grid.k``.
    intensity : float64 array (T, n)
        ``<|psi|^2>``
    intensity_variance : float64 array (T, n)
        ``<(|psi|^2 - <|psi|^2>)^2>``, from deviations and so exact also where the noise is faint.
    spectrum : float64 array (T, n)
        ``<|c_k|^2>``, in the order of ``grid.k``.

    Notes
    -----
    The first-order coherence compares every realisation with every other one (Dudley & Coen, Optics
    Letters 27, 1180 (2002), eq. 1, at equal times),

    .. math:: |g_{12}| = \frac{|\langle \psi_i^* \psi_j \rangle_{i \ne j}|}{\langle |\psi|^2
    \rangle}.

    Both sums follow from the means: with ``S`` the sum of all fields, the sum over ``i != j`` of
    ``psi_i^* psi_j`` is ``|S|^2 - sum |psi_i|^2``, hence ``|g12| = |b |<psi>|^2 / <|psi|^2> - 1| /
    (b - 1)``. It is 1 for equal fields and of the order of ``1/b`` for independent ones; where the
    intensity is zero it is not defined, and NaN. Where the spectrum is down at round-off it
    describes round-off.
    """

    count: int
    mean_field: Complex128
    mean_coefficients: Complex128
    intensity: Float64
    intensity_variance: Float64
    spectrum: Float64

    @classmethod
    def combined(cls, parts: Sequence[EnsembleStatistics]) -> EnsembleStatistics:
        """The statistics of several ensembles taken together.

        Thus an ensemble may be solved in parts that fit into memory, one after the other.

        Parameters
        ----------
        parts : sequence of EnsembleStatistics
            At the same times and on the same grid.

        Raises
        ------
        TypeError, ValueError
            If there are none, or they are not of the same shape.
        """
        parts = list(parts)
        for part in parts:
            if not isinstance(part, EnsembleStatistics):
                raise TypeError(f"parts must be EnsembleStatistics, got {type(part).__name__}")
        shapes = {part.intensity.shape for part in parts}
        if len(shapes) != 1:
            listed = ", ".join(str(shape) for shape in sorted(shapes))
            raise ValueError(
                f"parts must be at least one, all of one shape (T, n); got {listed or 'none'}"
            )
        count = sum(part.count for part in parts)
        weights = [part.count / count for part in parts]

        def mean(name: str) -> Any:
            return sum(w * getattr(part, name) for w, part in zip(weights, parts, strict=True))

        intensity = mean("intensity")
        # The spread within the parts and that of their means.
        variance = mean("intensity_variance") + sum(
            w * (part.intensity - intensity) ** 2 for w, part in zip(weights, parts, strict=True)
        )
        return cls(
            count=count,
            mean_field=mean("mean_field"),
            mean_coefficients=mean("mean_coefficients"),
            intensity=intensity,
            intensity_variance=variance,
            spectrum=mean("spectrum"),
        )

    @property
    def intensity_squared(self) -> Float64:
        """``<|psi|^4>``, float64 array (T, n)."""
        return self.intensity_variance + self.intensity**2

    @property
    def coherence(self) -> Float64:
        """First-order coherence ``|g12|`` in ``x``, float64 array (T, n), between 0 and 1."""
        return _coherence(self.count, self.mean_field, self.intensity)

    @property
    def spectral_coherence(self) -> Float64:
        """First-order coherence ``|g12|`` in ``k``, float64 (T, n), in the order of ``grid.k``."""
        return _coherence(self.count, self.mean_coefficients, self.spectrum)

    def __repr__(self) -> str:
        times, n = self.intensity.shape
        return f"EnsembleStatistics(count={self.count}, times={times}, n={n})"


def _coherence(count: int, mean: Complex128, intensity: Float64) -> Float64:
    ratio = np.full(intensity.shape, np.nan)
    np.divide(mean.real**2 + mean.imag**2, intensity, out=ratio, where=intensity > 0)
    coherence: Float64 = np.abs(count * ratio - 1) / (count - 1)
    return coherence
