"""What the tests of runs in files share: problems, fields, and what it means to be the same."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from fourfold import nlse
from fourfold.nlse.methods import METHODS

GRID = nlse.Grid(n=48, length=20.0)
# Intervals that are equal but for rounding, and then one that is not.
TIMES = np.concatenate([0.1 + 0.1 * np.arange(7), [0.93, 1.0]])
FIXED = [name for name, method in METHODS.items() if method.fixed_step]

Broken = Callable[[int], contextlib.AbstractContextManager[None]]


def fields(*batch: int, dtype: Any = np.complex128) -> Any:
    rng = np.random.default_rng(len(batch))
    smooth = np.exp(-(GRID.x**2) / 4)
    start = rng.normal(size=(*batch, 1)) + 1j * rng.normal(size=(*batch, 1)) + 0.3
    return nlse.add_noise((start * smooth).astype(dtype), relative=1e-2, rng=rng)


def same(a: nlse.Solution, b: nlse.Solution) -> None:
    """The same states, counts and diagnostics, bit for bit."""
    np.testing.assert_array_equal(a.t, b.t)
    np.testing.assert_array_equal(a.final, b.final)
    for name in ("mass", "momentum", "energy"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("method", "order", "steps", "rejected", "transforms", "step", "adaptive"):
        assert getattr(a.stats, name) == getattr(b.stats, name), name
    assert a.has_fields == b.has_fields
    if a.has_fields:
        assert a.psi.dtype == b.psi.dtype
        np.testing.assert_array_equal(a.psi, b.psi)
    if a.statistics is not None:
        for name in ("count", "mean_field", "intensity_variance", "coherence", "spectrum"):
            found = getattr(a.statistics, name), getattr(b.statistics, name)
            np.testing.assert_array_equal(*found)


PROBLEMS = {
    "focusing": nlse.Problem(GRID),
    "all": nlse.Problem(
        GRID,
        dispersion={2: 0.5, 3: 0.02},
        nonlinearity=np.array([1.0, -0.5, 0.0]),
        potential=lambda x: 0.1 * x**2,
        loss=np.linspace(0, 0.1, 3)[:, None] * np.ones(48),
    ),
    "array": nlse.Problem(GRID, dispersion=np.cos(GRID.k), loss=0.1),
    "in time": nlse.Problem(
        GRID,
        nonlinearity=nlse.Modulated(np.array([1.0, 0.5]), [1.0, 0.5, 0.7], [0.0, 0.4, 2.0]),
        potential=nlse.Modulated(
            lambda x: np.cos(GRID.k[1] * x), np.sin(np.arange(5)), np.arange(5)
        )
        + 0.1 * GRID.x**2,
        loss=nlse.Modulated(0.1, [0.0, 1.0], [0.0, 9.0], interpolation="linear"),
    ),
}
