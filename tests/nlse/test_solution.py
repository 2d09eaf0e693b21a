"""`Solution`: what can be asked of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fourfold.nlse.grid import Grid
from fourfold.nlse.problem import Problem
from fourfold.nlse.solution import Solution, SolveStats
from fourfold.nlse.solver import solve

GRID = Grid(n=256, length=40.0)
STATS = SolveStats(
    method="strang",
    order=2,
    steps=40,
    rejected=0,
    transforms=80,
    wall_seconds=0.1,
    step=0.05,
    adaptive=False,
    threads=1,
)
T = np.array([0.0, 0.5, 2.0])


def soliton(amplitude: float, velocity: float, t: float) -> npt.NDArray[np.complex128]:
    phase = velocity * GRID.x + (amplitude**2 - velocity**2) * t / 2
    place = amplitude * (GRID.x - velocity * t)
    return np.asarray(amplitude / np.cosh(place) * np.exp(1j * phase))


def solitons(*parameters: tuple[float, float]) -> npt.NDArray[np.complex128]:
    return np.array([[soliton(a, v, t) for a, v in parameters] for t in T])


def test_diagnostics_of_solitons_are_their_closed_forms() -> None:
    parameters = [(1.0, 0.0), (1.5, 1.0), (2.0, -0.5)]
    sol = Solution(Problem(GRID), T, STATS, psi=solitons(*parameters))
    a, v = np.array(parameters).T
    expected = {"mass": 2 * a, "momentum": 2 * a * v, "energy": a * v**2 - a**3 / 3}
    for name, per_realisation in expected.items():
        found = getattr(sol, name)
        assert found.shape == (3, 3)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, np.tile(per_realisation, (3, 1)), atol=1e-7)
        assert getattr(sol, name) is found  # computed once


def test_parts_are_those_given() -> None:
    problem, psi = Problem(GRID), solitons((1.0, 0.0))
    sol = Solution(problem, T, STATS, psi=psi)
    assert sol.problem is problem
    assert sol.grid is GRID
    assert sol.stats is STATS
    assert sol.psi is psi
    assert sol.t is T
    np.testing.assert_array_equal(sol.x, GRID.x)
    np.testing.assert_array_equal(sol.final, psi[-1])
    assert sol.batch_shape == (1,)
    assert sol.has_fields
    with pytest.raises(dataclasses.FrozenInstanceError):
        sol.stats.steps = 3  # type: ignore[misc]
    with pytest.raises(AttributeError):
        sol.psi = psi  # type: ignore[misc]


def test_statistics_of_stored_fields_are_computed_on_demand() -> None:
    psi = solitons((1.0, 0.0), (1.5, 1.0))
    statistics = Solution(Problem(GRID), T, STATS, psi=psi).statistics
    assert statistics is not None
    np.testing.assert_allclose(statistics.intensity, (np.abs(psi) ** 2).mean(axis=1), atol=1e-14)


@pytest.mark.parametrize("psi", [solitons((1.0, 0.0))[:, 0], solitons((1.0, 0.0))])
def test_one_realisation_has_no_statistics(psi: Any) -> None:
    assert Solution(Problem(GRID), T, STATS, psi=psi).statistics is None


def test_tensors_are_kept_and_computed_with() -> None:
    torch = pytest.importorskip("torch")
    psi = torch.from_numpy(solitons((1.0, 0.0), (1.5, 1.0)))
    sol = Solution(Problem(GRID), T, STATS, psi=psi)
    assert sol.psi is psi
    assert torch.equal(sol.final, psi[-1])
    assert sol.batch_shape == (2,)
    np.testing.assert_allclose(sol.mass[-1], [2, 3], atol=1e-12)
    assert np.shares_memory(sol.fields_as_numpy(), psi.numpy())


def test_fields_that_were_not_stored_are_missed_with_advice() -> None:
    psi0 = solitons((1.0, 0.0), (1.5, 1.0))[0]
    sol = solve(Problem(GRID), psi0, T, method="strang", step=0.1, store="statistics")
    assert not sol.has_fields
    assert not hasattr(sol, "psi")
    with pytest.raises(AttributeError, match='store="fields", or use statistics and final'):
        _ = sol.psi
    assert sol.final.shape == (2, 256)


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(ValueError, match="psi must be given, or statistics and conserved"):
        Solution(Problem(GRID), T, STATS)


def test_repr_says_what_there_is() -> None:
    psi = solitons((1.0, 0.0), (1.5, 1.0))
    sol = Solution(Problem(GRID), T, STATS, psi=psi)
    assert repr(sol) == "Solution(psi (3, 2, 256), t = 0 ... 2, method='strang', steps=40)"
    first = Solution(Problem(GRID), T[:1], STATS, psi=psi[:1])
    assert repr(first) == "Solution(psi (1, 2, 256), t = 0, method='strang', steps=40)"
    gathered = solve(Problem(GRID), psi[0], T, method="strang", step=0.1, store="statistics")
    expected = "Solution(statistics of 2 realisations, t = 0 ... 2, method='strang'"
    assert repr(gathered).startswith(expected)
