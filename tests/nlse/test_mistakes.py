"""What no function of the family takes: each says so, with the argument's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fourfold import nlse
from fourfold.nlse import analysis

GRID = nlse.Grid(n=16, length=8.0)
MASKED: Any = np.ma.masked_array(np.ones(16), mask=np.arange(16) == 3)
FIELD = nlse.plane_wave(GRID)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("psi0", lambda field: nlse.solve(nlse.Problem(GRID), field, [0, 1])),
        ("psi0", lambda field: nlse.ground_state(nlse.Problem(GRID), norm=1.0, psi0=field)),
        ("psi", lambda field: nlse.add_noise(field, relative=0.1, rng=1)),
        ("psi", lambda field: nlse.add_vacuum_noise(field, GRID, quantum=0.1, rng=1)),
        ("psi", lambda field: nlse.diagnostics.mass(GRID, field)),
        ("psi", lambda field: nlse.diagnostics.energy(nlse.Problem(GRID), field)),
        ("psi", analysis.shannon_entropy),
        ("potential", lambda _: nlse.Problem(GRID, potential=MASKED)),
        ("loss", lambda _: nlse.Problem(GRID).replace(loss=MASKED)),
    ],
)
def test_masks_are_not_dropped(name: str, function: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match=f"^{name} is a masked array"):
        function(MASKED.astype(complex))


@pytest.mark.parametrize(
    "draw",
    [
        nlse.plot.space_time,
        nlse.plot.snapshots,
        nlse.plot.spectrum,
        nlse.plot.conservation,
        nlse.plot.coherence,
        nlse.plot.entropies,
        nlse.plot.phase_space,
        nlse.plot.trajectories,
    ],
)
@pytest.mark.parametrize("given", [None, FIELD])
def test_figures_are_of_solutions(draw: Callable[[Any], object], given: Any) -> None:
    with pytest.raises(TypeError, match=r"^solution must be a fourfold\.nlse\.Solution, got"):
        draw(given)


def test_times_of_figures_are_real() -> None:
    solution = nlse.solve(nlse.Problem(GRID), FIELD, [0, 1])
    mistakes: list[Any] = [FIELD, ["1"]]
    for times in mistakes:
        with pytest.raises(TypeError, match=r"^times must be real numbers, got dtype"):
            nlse.plot.snapshots(solution, times)


@pytest.mark.parametrize(
    "function",
    [
        lambda n: nlse.Grid(n=16, length=n),
        lambda n: nlse.soliton(GRID, amplitude=n),
        lambda n: nlse.solve(nlse.Problem(GRID), FIELD, [0, 1], step=n),
        lambda n: nlse.add_noise(FIELD, relative=n, rng=1),
        lambda n: analysis.tsallis_entropy(FIELD, n),
        lambda n: nlse.ground_state(nlse.Problem(GRID), norm=n),
    ],
)
def test_numbers_beyond_double_precision(function: Callable[[int], object]) -> None:
    with pytest.raises(ValueError, match=r"finite, got"):
        function(10**400)


@pytest.mark.parametrize(
    ("wavenumber", "error"), [(FIELD, TypeError), (None, TypeError), (np.inf, ValueError)]
)
def test_wavenumbers_are_real_and_finite(wavenumber: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^wavenumber must be"):
        nlse.modulation_gain(wavenumber)
