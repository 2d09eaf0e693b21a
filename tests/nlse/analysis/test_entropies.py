"""Entropies against closed forms, against plain loops, and against the published figures."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold import nlse
from fourfold.nlse import analysis

# Of the wrong type; Any, so that the type checker lets them through.
SPECTRAL: Any = 2
ORDER: Any = "2"

DATA = Path(__file__).resolve().parents[2] / "data"

# The published report (stats/comprehensive_entropy_analysis.txt), at t = 0 and t = 20.
PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "single_soliton": {
        "shannon": (2.940, 2.940),
        "spectral_shannon": (3.623, 3.623),
        "renyi_0": (5.147, 6.236),
        "renyi_2": (2.732, 2.732),
        "renyi_inf": (2.332, 2.332),
        "tsallis_half": (8.053, 8.053),
        "tsallis_2": (0.935, 0.935),
        "permutation": (0.760, 0.972),
        "sample": (0.005, 0.005),
        "differential": (-5.853, -5.853),
        "complexity": (15.238, 15.238),
        "normalized_shannon": (0.471, 0.471),
        "disequilibrium": (0.063, 0.063),
        "active_modes": (61, 61),
        "bandwidth": (0.018, 0.018),
        "mean_frequency": (0.016, 0.016),
    },
    "two_solitons": {
        "shannon": (3.746, 3.746),
        "spectral_shannon": (4.080, 4.080),
        "renyi_0": (5.971, 6.238),
        "renyi_2": (3.499, 3.499),
        "renyi_inf": (2.892, 2.887),
        "tsallis_half": (13.199, 13.203),
        "tsallis_2": (0.970, 0.970),
        "permutation": (0.408, 0.930),
        "sample": (0.011, 0.011),
        "differential": (-5.256, -5.235),
        "complexity": (8.693, 8.693),
        "normalized_shannon": (0.601, 0.601),
        "disequilibrium": (0.028, 0.028),
        "active_modes": (84, 84),
        "bandwidth": (0.035, 0.035),
        "mean_frequency": (0.004, 0.004),
    },
    "breather": {
        "shannon": (3.384, 3.277),
        "spectral_shannon": (3.171, 4.067),
        "renyi_0": (5.759, 6.238),
        "renyi_2": (3.197, 2.522),
        "renyi_inf": (2.819, 1.981),
        "tsallis_half": (10.564, 18.907),
        "tsallis_2": (0.959, 0.920),
        "permutation": (0.394, 0.541),
        "sample": (0.005, 0.026),
        "differential": (-5.477, -3.903),
        "complexity": (10.813, 21.070),
        "normalized_shannon": (0.542, 0.525),
        "disequilibrium": (0.039, 0.078),
        "active_modes": (37, 91),
        "bandwidth": (0.011, 0.029),
        "mean_frequency": (0.008, 0.008),
    },
    "modulation_instability": {
        "shannon": (5.015, 4.902),
        "spectral_shannon": (1.548, 2.098),
        "renyi_0": (6.238, 6.238),
        "renyi_2": (4.858, 4.665),
        "renyi_inf": (4.474, 4.103),
        "tsallis_half": (25.455, 24.917),
        "tsallis_2": (0.992, 0.991),
        "permutation": (0.991, 0.984),
        "sample": (0.027, 0.025),
        "differential": (-4.955, -4.612),
        "complexity": (2.391, 3.003),
        "normalized_shannon": (0.804, 0.786),
        "disequilibrium": (0.006, 0.007),
        "active_modes": (7, 21),
        "bandwidth": (0.010, 0.011),
        "mean_frequency": (0.000, 0.000),
    },
}


@pytest.mark.isa
@pytest.mark.parametrize("case", PUBLISHED)
def test_the_published_figures_come_out_to_three_decimals(case: str) -> None:
    with np.load(DATA / f"published_{case}.npz") as golden:
        psi = golden["psi"][[0, 9]]
    found = analysis.published_measures(psi)
    for name, (first, last) in PUBLISHED[case].items():
        np.testing.assert_allclose(
            getattr(found, name), (first, last), atol=0.0005 * (1 + 1e-9), rtol=0, err_msg=name
        )


def test_the_published_cases_begin_with_the_published_entropies() -> None:
    for name, shannon in (
        ("single_soliton", 2.940),
        ("two_solitons", 3.746),
        ("breather", 3.384),
        ("modulation_instability", 5.015),
    ):
        assert round(float(analysis.shannon_entropy(nlse.cases.get(name).psi0())), 3) == shannon


def probabilities(psi: npt.NDArray[Any], floor: float = 1e-15) -> list[float]:
    """One point after the other, in Python's floats."""
    weights = [abs(complex(z)) ** 2 for z in psi]
    total = math.fsum(weights)
    return [w / total for w in weights if w / total > floor]


def random_field(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.complex128]:
    return np.asarray(rng.normal(size=shape) + 1j * rng.normal(size=shape))


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(0, 2**32), st.floats(0.05, 8))
def test_entropies_are_those_of_a_plain_loop(n: int, seed: int, order: float) -> None:
    psi = random_field(np.random.default_rng(seed), n)
    for field, spectral in ((psi, False), (np.fft.fft(psi), True)):
        p = probabilities(field)
        shannon = -math.fsum(x * math.log(x) for x in p)
        power = math.fsum(x**order for x in p)
        given_ = {"spectral": spectral}
        assert analysis.shannon_entropy(psi, **given_) == pytest.approx(shannon, rel=1e-12)
        if abs(order - 1) > 1e-3:
            renyi, tsallis = math.log(power) / (1 - order), (1 - power) / (order - 1)
            found = analysis.renyi_entropy(psi, order, **given_)
            assert found == pytest.approx(renyi, rel=1e-9, abs=1e-10)
            found = analysis.tsallis_entropy(psi, order, **given_)
            assert found == pytest.approx(tsallis, rel=1e-9, abs=1e-10)
        assert analysis.renyi_entropy(psi, math.inf, **given_) == pytest.approx(-math.log(max(p)))
        assert analysis.renyi_entropy(psi, 0, **given_) == pytest.approx(math.log(len(p)))
        assert analysis.renyi_entropy(psi, 1, **given_) == pytest.approx(shannon)
        assert analysis.tsallis_entropy(psi, 1, **given_) == pytest.approx(shannon)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 60), st.integers(0, 2**32))
def test_renyi_falls_with_its_order_and_stays_within_its_bounds(n: int, seed: int) -> None:
    psi = random_field(np.random.default_rng(seed), n)
    orders = (0, 0.5, 1, 1.5, 2, 5, math.inf)
    values = [float(analysis.renyi_entropy(psi, order)) for order in orders]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(values))
    assert values[0] <= math.log(n) + 1e-12
    assert values[-1] >= 0


def test_soliton_in_closed_form() -> None:
    grid = nlse.Grid(1024, 60.0)
    amplitude = 1.3
    psi = nlse.soliton(grid, amplitude=amplitude, velocity=0.4)
    # The density A/2 sech^2(A x): entropy 2 - ln 2A, sum of squares A/3, greatest value A/2.
    expected = 2 - math.log(2 * amplitude * grid.dx)
    assert analysis.shannon_entropy(psi) == pytest.approx(expected, abs=1e-12)
    expected = -math.log(amplitude * grid.dx / 3)
    assert analysis.renyi_entropy(psi, 2) == pytest.approx(expected, abs=1e-12)
    assert analysis.tsallis_entropy(psi, 2) == pytest.approx(1 - amplitude * grid.dx / 3)
    # Its half power: the integral of sqrt(A/2) sech(A x) is pi / sqrt(2 A).
    half = (math.pi / math.sqrt(2 * amplitude) / math.sqrt(grid.dx) - 1) * 2
    assert analysis.tsallis_entropy(psi, 0.5, floor=0) == pytest.approx(half, rel=1e-6)
    assert analysis.disequilibrium(psi) == pytest.approx(amplitude * grid.dx / 3 - 1 / 1024)
    # The spectrum is sech^2(pi k / 2A): rms width A / sqrt 3 about the velocity.
    assert analysis.mean_wavenumber(grid, psi) == pytest.approx(0.4, abs=1e-10)
    assert analysis.bandwidth(grid, psi) == pytest.approx(amplitude / math.sqrt(3), abs=1e-10)
    above = np.abs(grid.k - 0.4) < 2 * amplitude / math.pi * math.acosh(10)
    assert analysis.active_modes(psi) == np.count_nonzero(above)


def test_two_points_by_hand() -> None:
    psi = np.array([1.0, math.sqrt(3)])  # p = 1/4, 3/4
    assert analysis.shannon_entropy(psi) == pytest.approx(
        0.25 * math.log(4) + 0.75 * math.log(4 / 3)
    )
    assert analysis.renyi_entropy(psi, 2) == pytest.approx(-math.log(10 / 16))
    assert analysis.renyi_entropy(psi, math.inf) == pytest.approx(math.log(4 / 3))
    assert analysis.tsallis_entropy(psi, 2) == pytest.approx(6 / 16)
    assert analysis.tsallis_entropy(psi, 0.5) == pytest.approx(((1 + math.sqrt(3)) / 2 - 1) / 0.5)
    # What is below the floor is left out.
    assert analysis.renyi_entropy(np.array([1.0, 1e-9]), 0) == 0
    assert analysis.renyi_entropy(np.array([1.0, 1e-9]), 0, floor=1e-20) == pytest.approx(
        math.log(2)
    )


def test_one_point_and_constant_modulus() -> None:
    point = np.zeros(50, dtype=complex)
    point[7] = 3j
    wave = nlse.plane_wave(nlse.Grid(50, 10.0), mode=3)
    for order in (0, 0.5, 1, 2, math.inf):
        assert analysis.renyi_entropy(point, order) == 0
        assert analysis.renyi_entropy(wave, order) == pytest.approx(math.log(50))
        # In the spectrum it is the other way round.
        assert analysis.renyi_entropy(wave, order, spectral=True) == pytest.approx(0, abs=1e-12)
        assert analysis.renyi_entropy(point, order, spectral=True) == pytest.approx(math.log(50))
    assert analysis.statistical_complexity(point) == 0
    assert analysis.statistical_complexity(wave) == pytest.approx(0, abs=1e-12)
    assert math.copysign(1, analysis.shannon_entropy(point)) == 1  # 0 and not -0


def test_faint_and_strong_fields_have_the_same_entropy() -> None:
    psi = random_field(np.random.default_rng(), 64)
    for scale in (1e-200, 1e200):
        assert analysis.shannon_entropy(scale * psi) == pytest.approx(analysis.shannon_entropy(psi))
        found = analysis.shannon_entropy(scale * psi, spectral=True)
        assert found == pytest.approx(analysis.shannon_entropy(psi, spectral=True))


def test_differential_entropy_of_known_densities() -> None:
    rng = np.random.default_rng(8)
    uniform = rng.uniform(-1, 3, size=(2, 200_000))
    np.testing.assert_allclose(analysis.differential_entropy(uniform), math.log(4), atol=1e-3)
    normal = rng.normal(scale=0.3, size=200_000)
    expected = 0.5 * math.log(2 * math.pi * math.e * 0.09)
    assert analysis.differential_entropy(normal, bins=100) == pytest.approx(expected, abs=5e-3)
    along = analysis.differential_entropy(uniform.T, axis=0)
    np.testing.assert_array_equal(along, analysis.differential_entropy(uniform))
    assert analysis.differential_entropy(np.ones(5)) == -math.inf
    # In another unit it is another number, and rounding is a unit like any other.
    for scale in (1e-300, 1e-16, 1e250):
        shifted = analysis.differential_entropy(scale * normal)
        assert shifted == pytest.approx(analysis.differential_entropy(normal) + math.log(scale))
    steps = 1 + np.finfo(float).eps * np.arange(8)
    expected = math.log(7 * np.finfo(float).eps)
    assert analysis.differential_entropy(steps, bins=7) == pytest.approx(expected, abs=0.2)


def test_a_plane_wave_has_published_measures() -> None:
    # Its modulus is constant but for rounding, or exactly.
    psi = np.stack([nlse.plane_wave(nlse.Grid(64, 10.0), mode=m) for m in (0, 1, 3)])
    found = analysis.published_measures(psi)
    assert found.differential[0] == pytest.approx(-2 * math.log(50))
    assert (found.differential[1:] < -30).all()
    np.testing.assert_allclose(found.complexity, 0, atol=1e-12)
    np.testing.assert_allclose(found.mean_frequency, np.array([0, 1, 3]) / 64, atol=1e-12)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,)])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, np.float64])
def test_leading_axes_are_kept(shape: tuple[int, ...], dtype: Any) -> None:
    rng = np.random.default_rng(5)
    psi = rng.normal(size=(*shape, 30)).astype(dtype)
    grid = nlse.Grid(30, 5.0)
    for function in (
        analysis.shannon_entropy,
        analysis.disequilibrium,
        analysis.statistical_complexity,
        analysis.active_modes,
        lambda field: analysis.renyi_entropy(field, 2),
        lambda field: analysis.bandwidth(grid, field),
        lambda field: analysis.mean_wavenumber(grid, field),
    ):
        whole = function(psi)
        assert np.shape(whole) == shape
        for index in np.ndindex(shape):
            assert np.asarray(whole)[index] == function(psi[index])


def test_long_runs_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    psi = random_field(np.random.default_rng(), 7, 3, 20)
    whole = analysis.shannon_entropy(psi)
    monkeypatch.setattr("fourfold.nlse.analysis._inputs._BLOCK_POINTS", 50)
    np.testing.assert_array_equal(analysis.shannon_entropy(psi), whole)


def test_a_solution_and_a_tensor_are_taken() -> None:
    torch = pytest.importorskip("torch")
    grid = nlse.Grid(64, 20.0)
    psi0 = nlse.soliton(grid)
    sol = nlse.solve(nlse.Problem(grid), psi0, [0.0, 0.5, 1.0])
    assert analysis.shannon_entropy(sol).shape == (3,)
    np.testing.assert_array_equal(analysis.bandwidth(grid, sol), analysis.bandwidth(grid, sol.psi))
    tensor = torch.from_numpy(sol.psi)
    found = analysis.shannon_entropy(tensor)
    assert isinstance(found, torch.Tensor)
    assert found.dtype == torch.float64
    np.testing.assert_array_equal(found.numpy(), analysis.shannon_entropy(sol))
    # A conjugate that is not yet computed is still read as one.
    np.testing.assert_allclose(
        analysis.mean_wavenumber(grid, (tensor * 1j).conj()).numpy(),
        analysis.mean_wavenumber(grid, (sol.psi * 1j).conj()),
        atol=1e-12,
    )
    measures = analysis.published_measures(tensor)
    assert isinstance(measures.permutation, torch.Tensor)
    assert measures.active_modes.dtype == torch.int64


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: analysis.shannon_entropy(np.zeros(4)), ValueError, "zero everywhere"),
        (
            lambda: analysis.shannon_entropy([1, np.nan]),
            ValueError,
            r"finite, got nan at index \(1,",
        ),
        (lambda: analysis.shannon_entropy(["a"]), TypeError, "psi must hold numbers"),
        (lambda: analysis.shannon_entropy(1j), ValueError, "at least one axis"),
        (lambda: analysis.shannon_entropy(np.ma.ones(3) * 1j), TypeError, "masked"),
        (lambda: analysis.shannon_entropy(np.ones(3) * 1j, floor=1), ValueError, "less than 1"),
        (
            lambda: analysis.shannon_entropy(np.ones(3) * 1j, spectral=SPECTRAL),
            TypeError,
            "spectral",
        ),
        (lambda: analysis.renyi_entropy(np.ones(3) * 1j, -1), ValueError, "not be negative"),
        (lambda: analysis.renyi_entropy(np.ones(3) * 1j, math.nan), ValueError, "order"),
        (lambda: analysis.renyi_entropy(np.ones(3) * 1j, ORDER), TypeError, "order must be a real"),
        (lambda: analysis.tsallis_entropy(np.ones(3) * 1j, math.inf), ValueError, "finite"),
        (lambda: analysis.statistical_complexity([1.0]), ValueError, "at least 2 points"),
        (lambda: analysis.differential_entropy(np.ones(3), bins=0), ValueError, "bins"),
        (lambda: analysis.differential_entropy(np.ones(3) * 1j), TypeError, "must be real"),
        (lambda: analysis.active_modes(np.ones(3), threshold=1), ValueError, "threshold"),
        (lambda: analysis.bandwidth(nlse.Grid(4, 1.0), np.ones(3)), ValueError, r"\(\.\.\., 4\)"),
        (lambda: analysis.published_measures(np.ones(3)), ValueError, "at least 4 points"),
    ],
)
def test_mistakes_are_named(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
