"""add_noise: how much, of which spectrum, from which seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fourfold import nlse


def test_strength_follows_each_realisation() -> None:
    grid = nlse.Grid(1024, 50.0)
    quiet = nlse.soliton(grid, amplitude=1.5)
    psi = np.stack([quiet, 10 * quiet])[:, None].repeat(200, axis=1)
    noise = nlse.add_noise(psi, relative=0.05, rng=np.random.default_rng(7)) - psi
    rms = np.sqrt(np.mean(np.abs(psi) ** 2, axis=-1))
    measured = np.sqrt(np.mean(np.abs(noise) ** 2, axis=-1))
    # 1024 complex numbers: their rms is right to 1/sqrt(1024) = 3 %, the mean of 200 to 0.2 %.
    np.testing.assert_allclose((measured / rms).mean(axis=1), 0.05, rtol=0.01)
    assert np.abs(measured / rms / 0.05 - 1).max() < 0.15


def test_noise_is_white_and_circular() -> None:
    psi = np.ones((4000, 32), dtype=np.complex128)
    noise = nlse.add_noise(psi, relative=0.3, rng=11) - psi
    # Covariance of all points with all points: 0.09 times the unit matrix; pseudo-covariance 0.
    covariance = noise.conj().T @ noise / 4000
    np.testing.assert_allclose(covariance, 0.09 * np.eye(32), rtol=0, atol=0.09 * 0.09)
    np.testing.assert_allclose(noise.T @ noise / 4000, 0, rtol=0, atol=0.09 * 0.09)
    spectrum = np.mean(np.abs(np.fft.fft(noise)) ** 2, axis=0) / 32
    np.testing.assert_allclose(spectrum, 0.09, rtol=0.09)
    # Gaussian: the fourth moment of a complex normal number is twice the squared second.
    ratio = np.mean(np.abs(noise) ** 4) / np.mean(np.abs(noise) ** 2) ** 2
    assert ratio == pytest.approx(2.0, rel=0.03)


def test_seed_and_generator() -> None:
    psi = nlse.plane_wave(nlse.Grid(64, 10.0), amplitude=2.0)
    batch = np.tile(psi, (5, 1))
    once = nlse.add_noise(batch, relative=0.1, rng=3)
    assert np.array_equal(nlse.add_noise(batch, relative=0.1, rng=np.random.default_rng(3)), once)
    assert np.array_equal(nlse.add_noise(batch, relative=0.1, rng=np.int64(3)), once)
    assert not np.array_equal(nlse.add_noise(batch, relative=0.1, rng=4), once)
    # A smaller ensemble is the beginning of a larger one; and so it is in two pieces.
    np.testing.assert_array_equal(nlse.add_noise(batch[:2], relative=0.1, rng=3), once[:2])
    generator = np.random.default_rng(3)
    pieces = [nlse.add_noise(batch[i], relative=0.1, rng=generator) for i in range(5)]
    np.testing.assert_array_equal(np.stack(pieces), once)


def test_input_is_kept_and_zero_is_nothing() -> None:
    psi = nlse.soliton(nlse.Grid(64, 20.0))
    before = psi.copy()
    nlse.add_noise(psi, relative=1.0, rng=1)
    assert np.array_equal(psi, before)
    same = nlse.add_noise(psi, relative=0.0, rng=1)
    assert np.array_equal(same, psi)
    assert same is not psi


def test_layouts_and_precision() -> None:
    psi = np.tile(nlse.soliton(nlse.Grid(64, 20.0)), (6, 1))
    truth = nlse.add_noise(psi[::2], relative=0.1, rng=5)
    strided = np.asfortranarray(psi)[::2]
    np.testing.assert_array_equal(nlse.add_noise(strided, relative=0.1, rng=5), truth)
    single = nlse.add_noise(psi[::2].astype(np.complex64), relative=0.1, rng=5)
    assert single.dtype == np.complex64
    np.testing.assert_allclose(single, truth, rtol=0, atol=3e-7)
    swapped = nlse.add_noise(psi[::2].astype(">c16"), relative=0.1, rng=5)
    np.testing.assert_array_equal(swapped, truth)
    psi.flags.writeable = False
    np.testing.assert_array_equal(nlse.add_noise(psi[::2], relative=0.1, rng=5), truth)
    assert nlse.add_noise(psi[:0], relative=0.1, rng=5).shape == (0, 64)
    # 1e-30 squared is below what single precision can hold; the noise must not vanish.
    faint = np.full(64, 1e-30, dtype=np.complex64)
    assert np.all(nlse.add_noise(faint, relative=0.5, rng=5) != faint)


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    psi = np.tile(nlse.soliton(nlse.Grid(64, 20.0), velocity=2.0), (3, 1))
    truth = nlse.add_noise(psi, relative=0.1, rng=5)
    tensor = torch.from_numpy(psi)
    noisy = nlse.add_noise(tensor, relative=0.1, rng=5)
    assert isinstance(noisy, torch.Tensor)
    assert noisy.dtype == torch.complex128
    np.testing.assert_allclose(noisy.numpy(), truth, rtol=0, atol=1e-15)
    single = nlse.add_noise(tensor.to(torch.complex64), relative=0.1, rng=5)
    assert single.dtype == torch.complex64
    np.testing.assert_allclose(single.numpy(), truth, rtol=0, atol=3e-7)
    # A lazily conjugated tensor shares its memory with the original.
    conjugated = nlse.add_noise(tensor.conj(), relative=0.1, rng=5).resolve_conj().numpy()
    np.testing.assert_allclose(
        conjugated, nlse.add_noise(psi.conj(), relative=0.1, rng=5), rtol=0, atol=1e-15
    )
    with pytest.raises(TypeError, match=r"psi must be complex64 or complex128, got torch.float64"):
        nlse.add_noise(tensor.real, relative=0.1, rng=5)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"psi": [1j, 2j]}, TypeError, "psi must be a NumPy array or torch tensor, got list"),
        ({"psi": np.ones(8)}, TypeError, "psi must be complex64 or complex128, got float64"),
        ({"psi": np.array(1j)}, ValueError, r"psi must have shape \(..., n\)"),
        ({"psi": np.zeros((3, 0), complex)}, ValueError, r"psi must have .* got \(3, 0\)"),
        ({"relative": -0.1}, ValueError, "relative must be finite and not negative, got -0.1"),
        ({"relative": np.nan}, ValueError, "relative must be finite"),
        ({"relative": "1"}, TypeError, "relative must be a real number, got '1'"),
        ({"relative": True}, TypeError, "relative must be a real number, got True"),
        ({"rng": None}, TypeError, "rng must be a numpy.random.Generator or an integer seed"),
        ({"rng": np.random}, TypeError, "rng must be a numpy.random.Generator"),
        ({"rng": -1}, ValueError, "rng must not be negative"),
    ],
)
def test_refusals(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"psi": np.ones(8, dtype=complex), "relative": 0.1, "rng": 1}
    arguments |= changed
    with pytest.raises(error, match=message):
        nlse.add_noise(arguments.pop("psi"), **arguments)
