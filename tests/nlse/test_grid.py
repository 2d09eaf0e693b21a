"""Grid: points, wavenumbers, and what it refuses."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourfold import nlse


def smooth(n: int) -> bool:
    """Whether n divides a high power of 30, so has no prime factor but 2, 3, 5."""
    return pow(30, 64, n) == 0


def test_points_of_the_published_grid() -> None:
    grid = nlse.Grid(n=512, length=50.0)
    assert grid.dx == 50.0 / 512
    assert grid.x.dtype == grid.k.dtype == np.float64
    assert np.array_equal(grid.x, np.linspace(-25, 25, 512, endpoint=False))
    assert grid.x[0] == -25.0
    assert grid.x[256] == 0.0


@pytest.mark.parametrize("n", [2, 3, 8, 15])
def test_wavenumbers_are_those_of_the_fft(n: int) -> None:
    grid = nlse.Grid(n, 7.0)
    for m in range(n):
        wave = np.exp(1j * grid.k[m] * grid.x)
        spectrum = np.abs(np.fft.fft(wave)) / n
        expected = np.zeros(n)
        expected[m] = 1
        np.testing.assert_allclose(spectrum, expected, atol=1e-14)
    assert np.all(np.abs(grid.k) <= np.pi / grid.dx * (1 + 1e-15))
    if n % 2 == 0:
        assert grid.k[n // 2] < 0


def test_arrays_are_cached_and_read_only() -> None:
    grid = nlse.Grid(16, 2.0)
    assert grid.x is grid.x
    assert grid.k is grid.k
    with pytest.raises(ValueError, match="read-only"):
        grid.x[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        grid.k[0] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        grid.n = 8  # type: ignore[misc]


def test_equality_hash_and_pickle() -> None:
    grid = nlse.Grid(16, 2.0)
    assert len(grid.x) == 16  # a cached array must not enter the comparison
    assert grid == nlse.Grid(np.int64(16), np.float32(2.0))  # type: ignore[arg-type]
    assert hash(grid) == hash(nlse.Grid(16, 2.0))
    assert grid != nlse.Grid(16, 2.5)
    assert pickle.loads(pickle.dumps(grid)) == grid


@given(st.integers(min_value=2, max_value=20_000))
def test_only_factors_2_3_5(n: int) -> None:
    if smooth(n):
        assert nlse.Grid(n, 1.0).n == n
        return
    good = next(m for m in range(n, 2 * n) if smooth(m))
    with pytest.raises(ValueError, match=rf"got {n}; the next good n is {good}$"):
        nlse.Grid(n, 1.0)


@pytest.mark.parametrize("n", [512.0, "512", None, True, 1 + 0j])
def test_n_of_another_type(n: object) -> None:
    with pytest.raises(TypeError, match="n must be an integer, got"):
        nlse.Grid(n, 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1, 0, -8])
def test_n_too_small(n: int) -> None:
    with pytest.raises(ValueError, match=f"n must be at least 2, got {n}"):
        nlse.Grid(n, 1.0)


@pytest.mark.parametrize("length", ["50", None, True, 1j, [50.0]])
def test_length_of_another_type(length: object) -> None:
    with pytest.raises(TypeError, match="length must be a real number, got"):
        nlse.Grid(8, length)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [0.0, -1.0, np.inf, np.nan])
def test_length_out_of_range(length: float) -> None:
    with pytest.raises(ValueError, match="length must be positive and finite, got"):
        nlse.Grid(8, length)
