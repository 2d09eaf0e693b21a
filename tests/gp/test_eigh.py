"""Eigenproblems of single matrices: reduction in blocks, division, reflectors in blocks."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import fourfold
from fourfold import gp

from .reference import Array, matern52

pytestmark = pytest.mark.isa


def orthogonal(n: int, rng: np.random.Generator) -> Array:
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return np.asarray(q * np.sign(np.diag(r)), dtype=float)


def with_spectrum(values: Array, rng: np.random.Generator) -> Array:
    q = orthogonal(len(values), rng)
    matrix = (q * values) @ q.T
    return np.asarray((matrix + matrix.T) / 2)


def glued(n: int, glue: float) -> Array:
    """Wilkinson's matrices, of pairs of eigenvalues that agree to many digits, joined by small entries."""
    diagonal = np.abs(np.arange(n) % 21 - 10.0)
    off = np.where(np.arange(1, n) % 21 == 0, glue, 1.0)
    return np.asarray(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))


def peculiar(n: int, rng: np.random.Generator) -> dict[str, Array]:
    v = rng.standard_normal(n)
    wide = rng.standard_normal((n, n))
    steps = np.diag(np.full(n, 2.0)) - np.eye(n, k=1) - np.eye(n, k=-1)
    graded = 10.0 ** -np.linspace(0, 30, n)
    blocks = np.zeros((n, n))
    blocks[: n // 3, : n // 3] = 1
    blocks[n // 3 :, n // 3 :] = matern52(n - n // 3, 0.5)
    return {
        "zero": np.zeros((n, n)),
        "identity": np.eye(n),
        "ones": np.ones((n, n)),
        "rank one": np.outer(v, v),
        "diagonal": np.diag(10.0 ** rng.uniform(-150, 150, n)),
        "large": 1e150 * (wide + wide.T),
        "tiny": 1e-150 * (wide + wide.T),
        "second differences": steps,
        "weakly coupled": np.diag(v) + 1e-12 * (np.eye(n, k=1) + np.eye(n, k=-1)),
        "glued": glued(n, 1e-8),
        "glued exactly": glued(n, 0.0),
        "negative couplings": -glued(n, 1e-3),
        "smooth": matern52(n, 2.0),
        "rough": matern52(n, 0.01),
        "two eigenvalues": with_spectrum(np.where(np.arange(n) % 3 == 0, 1.0, -2.0), rng),
        "clusters": with_spectrum(np.round(4 * rng.uniform(size=n)) + 1e-13 * v, rng),
        "graded": with_spectrum(graded, rng),
        "graded rows": wide * wide.T * np.sqrt(graded[:, None] * graded),
        "blocks": blocks,
        "random": wide + wide.T,
    }


@pytest.mark.parametrize("n", [33, 63, 64, 65, 71, 96, 129, 200])
def test_peculiar_matrices(n: int) -> None:
    rng = np.random.default_rng(n)
    for name, matrix in peculiar(n, rng).items():
        [(values, vectors)] = gp.Kronecker([matrix]).eigh()
        size = max(np.abs(matrix).max(), 1e-300) * n
        small = matrix / size
        assert np.abs(vectors.T @ vectors - np.eye(n)).max() < 1e-14, name
        assert np.abs((vectors * (values / size)) @ vectors.T - small).max() < 1e-14, name
        assert np.abs(np.sort(values / size) - np.linalg.eigvalsh(small)).max() < 1e-14, name


def test_random_sizes() -> None:
    rng = np.random.default_rng(5)
    for n in rng.integers(64, 330, 6):
        matrix = with_spectrum(rng.standard_normal(n) ** 3, rng)
        [(values, vectors)] = gp.Kronecker([matrix]).eigh()
        assert np.abs(vectors.T @ vectors - np.eye(n)).max() < 2e-14
        assert np.abs(matrix @ vectors - vectors * values).max() < 1e-14 * np.abs(values).max() * 5


def test_eigenvalues_of_second_differences() -> None:
    n = 300
    matrix = np.diag(np.full(n, 2.0)) - np.eye(n, k=1) - np.eye(n, k=-1)
    [(values, _)] = gp.Kronecker([matrix]).eigh()
    with mpmath.workdps(30):
        exact = [float(4 * mpmath.sin(j * mpmath.pi / (2 * n + 2)) ** 2) for j in range(1, n + 1)]
    np.testing.assert_allclose(np.sort(values), exact, atol=4e-15, rtol=0)


def test_same_bits_for_any_number_of_threads() -> None:
    rng = np.random.default_rng(2)
    factors = [matern52(n, 0.1) for n in (150, 70, 201)]
    rng.shuffle(factors)
    results = []
    for threads in (1, 2, 3):
        fourfold.set_num_threads(threads)
        results.append(gp.Kronecker(factors).eigh())
    for other in results[1:]:
        for (values, vectors), (same, too) in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(values, same)
            np.testing.assert_array_equal(vectors, too)
