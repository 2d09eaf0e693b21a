"""The ensemble behind both stages of the modulation instability."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fourfold import nlse

__all__ = ["GRID", "POINTS", "REALISATIONS", "SEED", "noisy_waves"]

REALISATIONS = 256
POINTS = 1024
SEED = 20250911
# 32 modes lie in the unstable band 0 < K <= 2, the last of them exactly at its edge.
GRID = nlse.Grid(n=POINTS, length=32 * np.pi)


def noisy_waves(relative: float) -> npt.NDArray[np.complex128]:
    """Return plane waves of amplitude 1 with noise, complex128 (256, 1024)."""
    psi0 = np.tile(nlse.plane_wave(GRID), (REALISATIONS, 1))
    return nlse.add_noise(psi0, relative=relative, rng=np.random.default_rng(SEED))
