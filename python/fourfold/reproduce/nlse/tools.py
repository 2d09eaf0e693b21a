"""What several experiments measure alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["relative_change"]


def relative_change(values: npt.NDArray[np.float64], scale: npt.NDArray[np.float64]) -> float:
    """Return the largest change from the start over time and realisations, divided by |scale|."""
    return float(np.max(np.abs(values - values[0]) / np.abs(scale)))
