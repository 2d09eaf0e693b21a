"""Toeplitz factors against their dense matrices; the ways they are solved."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.linalg
import torch

from fourfold import gp

from .reference import kron, spd

pytestmark = pytest.mark.isa


def column(n: int, jitter: float, lengthscale: float = 5.0) -> np.ndarray:
    c = np.exp(-((np.arange(n) / lengthscale) ** 2) / 2)
    c[0] += jitter
    return c


@pytest.mark.parametrize("n", [1, 2, 3, 64, 65, 200, 601])
@pytest.mark.parametrize("noise", [None, 0.2])
def test_one_dimension(n: int, noise: float | None) -> None:
    c = column(n, 1e-2)
    dense = scipy.linalg.toeplitz(c)
    operator = gp.Kronecker([gp.Toeplitz(c)])
    np.testing.assert_array_equal(operator.to_dense(), dense)
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, 2))
    np.testing.assert_allclose(operator @ x, dense @ x, rtol=1e-10, atol=1e-12)
    matrix = dense + (noise or 0) * np.eye(n)
    y = rng.standard_normal((3, n))
    expected = np.linalg.solve(matrix, y.T).T
    np.testing.assert_allclose(operator.solve(y, noise), expected, rtol=1e-8, atol=1e-10)
    quad, logdet, info = operator.inv_quad_logdet(y, noise, return_info=True)
    np.testing.assert_allclose(logdet, np.linalg.slogdet(matrix)[1], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(quad, (y * expected).sum(-1), rtol=1e-9)
    if n >= 64:
        assert info.ways == ("levinson",)
        assert info.conditions[0] >= 0.3 * np.linalg.cond(matrix)


@pytest.mark.parametrize("noise", [None, 0.1])
def test_beside_dense_factors(noise: float | None) -> None:
    rng = np.random.default_rng(1)
    c, other = column(67, 1e-2), spd(rng, 3)
    operator = gp.Kronecker([other, gp.Toeplitz(c)])
    dense = kron([other, scipy.linalg.toeplitz(c)]) + (noise or 0) * np.eye(201)
    y = rng.standard_normal((2, 3, 67))
    expected = np.linalg.solve(dense, y.reshape(2, 201).T).T.reshape(2, 3, 67)
    solved, info = operator.solve(y, noise, return_info=True)
    np.testing.assert_allclose(solved, expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(operator.logdet(noise), np.linalg.slogdet(dense)[1], rtol=1e-11)
    assert info.ways == (("cholesky", "levinson") if noise is None else ("eigendecomposition",) * 2)


def test_batches_and_gradients_take_the_dense_way() -> None:
    c = np.stack([column(70, 0.1), column(70, 0.3)])
    operator = gp.Kronecker([gp.Toeplitz(c)])
    expected = [np.linalg.slogdet(scipy.linalg.toeplitz(row))[1] for row in c]
    np.testing.assert_allclose(operator.logdet(), expected, rtol=1e-11)
    leaf = torch.from_numpy(c[0]).requires_grad_()
    gp.Kronecker([gp.Toeplitz(leaf)]).logdet().backward()
    dense = torch.from_numpy(scipy.linalg.toeplitz(c[0]))
    inverse = torch.linalg.inv(dense)
    sums = [float(inverse.diagonal(k).sum()) * (1 if k == 0 else 2) for k in range(70)]
    np.testing.assert_allclose(leaf.grad.numpy(), sums, rtol=1e-7, atol=1e-9)  # type: ignore[union-attr]


def test_falls_back_by_its_estimate() -> None:
    c = column(64, 1e-11)
    with mpmath.workdps(30):
        exact = float(mpmath.log(mpmath.det(mpmath.matrix(scipy.linalg.toeplitz(c).tolist()))))
    logdet, info = gp.Kronecker([gp.Toeplitz(c)]).logdet(return_info=True)
    assert info.ways == ("centrosymmetric cholesky",)
    assert info.conditions[0] > 1e9
    condition = np.linalg.cond(scipy.linalg.toeplitz(c))
    assert abs(logdet - exact) < 64 * np.finfo(float).eps * condition
    x = np.random.default_rng(2).standard_normal(64)
    b = scipy.linalg.toeplitz(c) @ x
    solved = gp.Kronecker([gp.Toeplitz(c)]).solve(b)
    assert np.abs(scipy.linalg.toeplitz(c) @ solved - b).max() < 1e-12 * np.abs(solved).max()


def test_levinson_is_as_accurate_as_its_bound() -> None:
    for jitter in (1e-2, 1e-7):
        c = column(64, jitter)
        with mpmath.workdps(30):
            exact = float(mpmath.log(mpmath.det(mpmath.matrix(scipy.linalg.toeplitz(c).tolist()))))
        logdet, info = gp.Kronecker([gp.Toeplitz(c)]).logdet(return_info=True)
        assert abs(logdet - exact) <= 64 * np.finfo(float).eps * max(info.conditions[0], 1e3)


def test_not_positive_definite() -> None:
    c = np.ones(100)
    c[1:] = -0.5
    with pytest.raises(gp.NotPositiveDefiniteError, match=r"factors\[0\].*Toeplitz") as caught:
        gp.Kronecker([gp.Toeplitz(c)]).logdet()
    exact = np.linalg.eigvalsh(scipy.linalg.toeplitz(c))[0]
    assert caught.value.smallest_eigenvalue == pytest.approx(exact)
    c[3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        gp.Kronecker([gp.Toeplitz(c)]).logdet()


def test_circulant_samples() -> None:
    n = 600
    operator = gp.Kronecker([gp.Toeplitz(np.exp(-np.arange(n) / 20.0)), np.eye(2)])
    draws = operator.sample(4000, 3).reshape(4000, n, 2)
    for lag in (0, 1, 20, 300):
        products = (draws[:, : n - lag] * draws[:, lag:]).mean(axis=(1, 2))
        error = products.std() / np.sqrt(len(products))
        assert abs(products.mean() - np.exp(-lag / 20.0)) < 5 * error
    assert abs((draws[..., 0] * draws[..., 1]).mean()) < 0.02
    # A covariance whose circulant is not positive semidefinite is drawn by Cholesky.
    smooth = gp.Kronecker([gp.Toeplitz(column(600, 1e-6, 300.0))])
    draws = smooth.sample(2000, 4)
    assert abs((draws[:, 0] * draws[:, -1]).mean() - smooth.to_dense()[0, -1]) < 0.15
