"""The transform of the kernels against scipy.fft."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold import _core
from fourfold.nlse import Grid

pytestmark = pytest.mark.isa


def smooth_lengths(limit: int) -> list[int]:
    return sorted(
        2**a * 3**b * 5**c
        for a in range(13)
        for b in range(8)
        for c in range(6)
        if 2 <= 2**a * 3**b * 5**c <= limit
    )


def transform(z: np.ndarray, inverse: bool) -> np.ndarray:
    function = _core.nlse.fft_complex64 if z.dtype == np.complex64 else _core.nlse.fft_complex128
    out = np.full_like(z, np.nan)
    n = z.shape[-1]
    function(z.ctypes.data, out.ctypes.data, n, z.size // n, inverse)
    return out


def noise(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("inverse", [False, True])
def test_every_smooth_length(dtype: str, inverse: bool) -> None:
    tolerance = 20 * np.finfo(dtype).eps
    for n in smooth_lengths(4096):
        z = noise((2, n), dtype, n)
        wide = z.astype(np.complex128)
        truth = scipy.fft.ifft(wide, norm="forward") if inverse else scipy.fft.fft(wide)
        error = np.linalg.norm(transform(z, inverse) - truth) / np.linalg.norm(truth)
        assert error < tolerance, n


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(smooth_lengths(1 << 17)), st.integers(0, 2**32 - 1))
def test_random_lengths_and_fields(n: int, seed: int) -> None:
    z = noise((n,), "complex128", seed)
    truth = scipy.fft.fft(z)
    assert np.linalg.norm(transform(z, False) - truth) < 1e-14 * np.linalg.norm(truth)


def test_large_length() -> None:
    z = noise((1 << 20,), "complex128", 3)
    truth = scipy.fft.fft(z)
    assert np.linalg.norm(transform(z, False) - truth) < 1e-14 * np.linalg.norm(truth)


def test_a_single_wave_lands_in_its_bin() -> None:
    for n in (2, 3, 64, 120, 1000, 1024):
        grid = Grid(n, 2 * np.pi)
        for m in (0, 1, n // 3, n - 1):
            wave = np.exp(1j * grid.k[m] * np.arange(n) * grid.dx)
            spectrum = transform(wave, False)
            expected = np.zeros(n)
            expected[m] = n
            assert np.abs(spectrum - expected).max() < 1e-12 * n
