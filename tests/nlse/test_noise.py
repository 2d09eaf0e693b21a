"""Noise: how much, of which spectrum, from which seed."""

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
        ({"relative": -0.1}, ValueError, "relative must not be negative, got -0.1"),
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


# --- quanta

GRID = nlse.Grid(n=40, length=13.0)


def coefficients(psi: Any) -> Any:
    return np.fft.fft(psi, axis=-1) / GRID.n


def test_one_photon_is_in_each_mode() -> None:
    quantum = np.linspace(0.0, 2.0, 40)
    start = np.tile(nlse.soliton(GRID), (3000, 1))
    noise = nlse.add_photon_noise(start, GRID, quantum=quantum, rng=1) - start
    c = coefficients(noise)
    # The mass of a field that has nothing in the other modes: one quantum, in every realisation.
    for mode in (0, 7, 39):
        alone = np.exp(1j * GRID.k[mode] * GRID.x) * c[:5, mode, None]
        np.testing.assert_allclose(
            nlse.diagnostics.mass(GRID, alone), quantum[mode], rtol=1e-9, atol=1e-15
        )
    np.testing.assert_allclose(
        np.abs(c) ** 2 * GRID.length, np.tile(quantum, (3000, 1)), atol=1e-12
    )
    # The phases are uniform and have nothing to do with each other: their moments are those of chance.
    turn = c[:, 1:] / np.abs(c[:, 1:])
    for power in (1, 2, 3):
        assert np.abs(np.mean(turn**power, axis=0)).max() < 5 / np.sqrt(3000)
    cross = turn.conj().T @ turn / 3000 - np.eye(39)
    assert np.abs(cross).max() < 5 / np.sqrt(3000)


def test_vacuum_noise_has_half_a_quantum_in_each_mode() -> None:
    quantum = np.linspace(0.5, 2.0, 40)
    start = np.tile(nlse.soliton(GRID), (20000, 1))
    noise = nlse.add_vacuum_noise(start, GRID, quantum=quantum, rng=2) - start
    alpha = coefficients(noise) * np.sqrt(GRID.length / quantum)
    numbers = np.abs(alpha) ** 2
    # Of the vacuum's Wigner function: <|a|^2> = 1/2, <|a|^4> = 1/2, all modes apart, circular.
    np.testing.assert_allclose(numbers.mean(axis=0), 0.5, atol=5 * 0.5 / np.sqrt(20000))
    np.testing.assert_allclose((numbers**2).mean(axis=0), 0.5, atol=0.06)
    covariance = alpha.conj().T @ alpha / 20000
    np.testing.assert_allclose(covariance, 0.5 * np.eye(40), atol=0.02)
    np.testing.assert_allclose(alpha.T @ alpha / 20000, 0, atol=0.02)
    np.testing.assert_allclose(alpha.mean(axis=0), 0, atol=0.02)


def test_vacuum_noise_of_equal_quanta_is_white_in_x() -> None:
    noise = nlse.add_vacuum_noise(np.zeros((20000, 40), complex), GRID, quantum=0.3, rng=3)
    covariance = noise.conj().T @ noise / 20000
    expected = 0.3 / (2 * GRID.dx)
    np.testing.assert_allclose(covariance, expected * np.eye(40), atol=0.05 * expected)


def test_symmetric_ordering_of_a_coherent_state() -> None:
    """Of a coherent state of n photons: <n> = n, and var(n) = n with the Wigner correction 1/4."""
    photons, quantum = 25.0, 0.02
    start = nlse.plane_wave(GRID, amplitude=np.sqrt(photons * quantum / GRID.length), mode=3)
    rows = nlse.add_vacuum_noise(np.tile(start, (40000, 1)), GRID, quantum=quantum, rng=4)
    spectrum = np.mean(np.abs(coefficients(rows)) ** 2, axis=0)
    occupation = nlse.wigner_occupation(spectrum, GRID, quantum=quantum)
    expected = np.zeros(40)
    expected[3] = photons
    np.testing.assert_allclose(occupation, expected, atol=0.15)
    numbers = np.abs(coefficients(rows)[:, 3]) ** 2 * GRID.length / quantum
    assert np.var(numbers) - 0.25 == pytest.approx(photons, rel=0.03)


def test_linear_propagation_keeps_the_vacuum() -> None:
    rows = nlse.add_vacuum_noise(np.zeros((2000, 40), complex), GRID, quantum=1.0, rng=5)
    trap = nlse.Problem(GRID, nonlinearity=0.0, potential=lambda x: 0.1 * x**2)
    sol = nlse.solve(trap, rows, [0.0, 2.0], store="statistics")
    assert sol.statistics is not None
    occupation = nlse.wigner_occupation(sol.statistics.spectrum, GRID, quantum=1.0)
    np.testing.assert_allclose(occupation, 0, atol=5 * 0.5 / np.sqrt(2000))


@pytest.mark.parametrize("add", [nlse.add_photon_noise, nlse.add_vacuum_noise])
def test_quanta_of_tensors_seeds_and_shapes(add: Any) -> None:
    torch = pytest.importorskip("torch")
    psi = np.tile(nlse.soliton(GRID, velocity=1.0), (4, 1))
    truth = add(psi, GRID, quantum=0.1, rng=6)
    np.testing.assert_array_equal(add(psi[:2], GRID, quantum=0.1, rng=6), truth[:2])
    np.testing.assert_array_equal(add(psi[::-1], GRID, quantum=0.0, rng=6), psi[::-1])
    tensor = torch.from_numpy(psi).requires_grad_()
    noisy = add(tensor, GRID, quantum=0.1, rng=6)
    np.testing.assert_allclose(noisy.detach().numpy(), truth, rtol=0, atol=1e-15)
    assert noisy.requires_grad
    assert add(psi.astype(np.complex64), GRID, quantum=0.1, rng=6).dtype == np.complex64


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"psi": np.ones(8, complex)}, ValueError, r"shape \(..., 40\) of the grid, got \(8,\)"),
        ({"grid": 40}, TypeError, r"grid must be a fourfold.nlse.Grid, got int"),
        ({"quantum": -1.0}, ValueError, "quantum must be finite and not negative, got -1.0"),
        ({"quantum": np.nan}, ValueError, "quantum must be finite"),
        ({"quantum": np.ones(5)}, ValueError, r"have the shape \(40,\) of the grid's modes"),
        ({"quantum": 1j}, TypeError, "quantum must be real numbers"),
        ({"rng": None}, TypeError, r"rng must be a numpy.random.Generator"),
    ],
)
@pytest.mark.parametrize("add", [nlse.add_photon_noise, nlse.add_vacuum_noise])
def test_refusals_of_quanta(
    add: Any, changed: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments = {"psi": np.ones(40, complex), "grid": GRID, "quantum": 1.0, "rng": 1} | changed
    with pytest.raises(error, match=message):
        add(**arguments)


def test_occupation_refuses_what_it_cannot_count() -> None:
    with pytest.raises(ValueError, match="positive in every mode"):
        nlse.wigner_occupation(np.ones(40), GRID, quantum=0.0)
    with pytest.raises(ValueError, match=r"shape \(..., 40\)"):
        nlse.wigner_occupation(np.ones(4), GRID, quantum=1.0)
    with pytest.raises(TypeError, match="real numbers"):
        nlse.wigner_occupation(np.ones(40, complex), GRID, quantum=1.0)
