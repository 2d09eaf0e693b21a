"""Every method against the dense matrix."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import fourfold
from fourfold import gp
from fourfold.gp import _kernel

from .reference import kron, matern52, spd

pytestmark = pytest.mark.isa

SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((5,), ()),
    ((1,), (4,)),
    ((3, 4), ()),
    ((4, 1, 6), (3,)),
    ((2, 3, 4, 2), (2, 1)),
    ((2, 3, 1, 2, 3), ()),
    ((2, 2, 2, 3, 1, 2), ()),
    ((33, 17), (5,)),
    ((130, 3), ()),
    ((3, 131, 2), (2,)),
]


def identity(case: Any) -> str:
    return "x".join(map(str, case[0])) + f"-{case[1]}"


@pytest.fixture(params=SHAPES, ids=identity)
def system(request: pytest.FixtureRequest) -> Any:
    sizes, batch = request.param
    rng = np.random.default_rng(sum(sizes))
    factors = [spd(rng, *batch, n) for n in sizes]
    return factors, kron(factors), rng.standard_normal((*batch, math.prod(sizes)))


def test_products(system: Any) -> None:
    factors, dense, y = system
    operator = gp.Kronecker(factors)
    assert operator.shape == dense.shape
    np.testing.assert_allclose(operator.to_dense(), dense, rtol=1e-13)
    np.testing.assert_allclose(operator.diagonal(), np.diagonal(dense, axis1=-2, axis2=-1))
    expected = np.einsum("...ij,...j->...i", dense, y)
    np.testing.assert_allclose(operator.matvec(y), expected, rtol=1e-11, atol=1e-12)
    several = np.stack([y, 2 * y, -y], axis=-1)
    np.testing.assert_allclose(operator @ several, dense @ several, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("noise", [None, 0.3])
def test_solve_and_logdet(system: Any, noise: float | None) -> None:
    factors, dense, y = system
    operator = gp.Kronecker(factors)
    matrix = dense + (noise or 0.0) * np.eye(dense.shape[-1])
    solution = np.linalg.solve(matrix, y[..., None])[..., 0]
    np.testing.assert_allclose(operator.solve(y, noise), solution, rtol=1e-9, atol=1e-10)
    logdet = np.linalg.slogdet(matrix)[1]
    np.testing.assert_allclose(operator.logdet(noise), logdet, rtol=1e-11, atol=1e-11)
    quad, also = operator.inv_quad_logdet(y, noise)
    np.testing.assert_allclose(also, logdet, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(quad, (y * solution).sum(-1), rtol=1e-10)


def test_kronecker_diagonal_noise(system: Any) -> None:
    factors, dense, y = system
    rng = np.random.default_rng(7)
    vectors = [rng.uniform(0.5, 2, f.shape[-1]) for f in factors]
    matrix = dense + np.diag(kron([v[:, None] for v in vectors])[:, 0])
    operator = gp.Kronecker(factors)
    solution = np.linalg.solve(matrix, y[..., None])[..., 0]
    np.testing.assert_allclose(operator.solve(y, vectors), solution, rtol=1e-9, atol=1e-10)
    quad, logdet = operator.inv_quad_logdet(y, vectors)
    np.testing.assert_allclose(logdet, np.linalg.slogdet(matrix)[1], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(quad, (y * solution).sum(-1), rtol=1e-10)


def test_decompositions(system: Any) -> None:
    factors, _, _ = system
    operator = gp.Kronecker(factors)
    for factor, (values, vectors) in zip(factors, operator.eigh(), strict=True):
        rebuilt = (vectors * values[..., None, :]) @ vectors.swapaxes(-1, -2)
        np.testing.assert_allclose(rebuilt, factor, rtol=1e-10, atol=1e-12)
    for factor, lower in zip(factors, operator.cholesky(), strict=True):
        np.testing.assert_allclose(lower @ lower.swapaxes(-1, -2), factor, rtol=1e-10, atol=1e-12)


def test_right_hand_sides_and_batches_broadcast() -> None:
    rng = np.random.default_rng(3)
    factors = [spd(rng, 4, 3), spd(rng, 1, 5)]  # the second one is shared
    dense = kron(factors)
    y = rng.standard_normal((2, 4, 15))
    noise = rng.uniform(0.1, 1, 4)
    matrix = dense + noise[:, None, None] * np.eye(15)
    solution = np.linalg.solve(matrix, y[..., None])[..., 0]
    operator = gp.Kronecker(factors)
    np.testing.assert_allclose(operator.solve(y, noise), solution, rtol=1e-9)
    quad, logdet = operator.inv_quad_logdet(y, noise)
    assert quad.shape == (2, 4)
    assert logdet.shape == (4,)
    np.testing.assert_allclose(quad, (y * solution).sum(-1), rtol=1e-10)
    one_vector = operator.solve(y[0, 0], noise)
    expected = np.linalg.solve(matrix, np.broadcast_to(y[0, 0], (4, 15))[..., None])[..., 0]
    np.testing.assert_allclose(one_vector, expected, rtol=1e-9)


def test_grid_shapes_come_back() -> None:
    rng = np.random.default_rng(4)
    operator = gp.Kronecker([spd(rng, 3), spd(rng, 4)])
    field = rng.standard_normal((2, 3, 4))
    solved = operator.solve(field, 0.1)
    assert solved.shape == (2, 3, 4)
    np.testing.assert_array_equal(solved.reshape(2, 12), operator.solve(field.reshape(2, 12), 0.1))
    assert operator.inv_quad_logdet(field, 0.1)[0].shape == (2,)


def test_rectangular_factors() -> None:
    rng = np.random.default_rng(5)
    # The middle result is larger than what goes in and what comes out.
    factors = [rng.standard_normal(s) for s in ((3, 4), (9, 5), (2, 6), (1, 2))]
    dense = kron(factors)
    operator = gp.Kronecker(factors)
    x = rng.standard_normal((240, 3))
    np.testing.assert_allclose(operator @ x, dense @ x, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(operator.T.to_dense(), dense.T)
    with pytest.raises(ValueError, match="square"):
        operator.solve(x[:, 0])


def test_kinds_and_inputs() -> None:
    rng = np.random.default_rng(6)
    factors = [spd(rng, 3), spd(rng, 4)]
    y = rng.standard_normal(12)
    before = [f.copy() for f in factors], y.copy()
    operator = gp.Kronecker(factors)
    result = operator.solve(y, 0.1)
    assert isinstance(result, np.ndarray)
    assert isinstance(operator.logdet(0.1), float)
    tensors = gp.Kronecker([torch.from_numpy(f) for f in factors])
    solved = tensors.solve(torch.from_numpy(y), 0.1)
    assert isinstance(solved, torch.Tensor)
    np.testing.assert_array_equal(solved.numpy(), result)
    odd = [f.astype(">f8") for f in factors]
    odd[1].flags.writeable = False
    np.testing.assert_array_equal(gp.Kronecker(odd).solve(y[::-1][::-1], 0.1), result)
    strided = np.zeros((6, 3))
    strided[::2] = factors[0]
    np.testing.assert_array_equal(gp.Kronecker([strided[::2], factors[1]]).solve(y, 0.1), result)
    for factor, copy in zip(factors, before[0], strict=True):
        np.testing.assert_array_equal(factor, copy)
    np.testing.assert_array_equal(y, before[1])


def test_conjugate_views_are_read_right() -> None:
    rng = np.random.default_rng(8)
    factor = torch.from_numpy(spd(rng, 4))
    z = torch.complex(torch.randn(4, dtype=torch.float64), torch.randn(4, dtype=torch.float64))
    negated = z.conj().imag  # a view of z whose memory has the other sign
    operator = gp.Kronecker([factor])
    torch.testing.assert_close(operator.solve(negated), operator.solve(negated.clone()))
    torch.testing.assert_close(operator.matvec(negated), factor @ negated.clone())


def test_a_changed_tensor_is_noticed() -> None:
    factor = torch.eye(3, dtype=torch.float64)
    operator = gp.Kronecker([factor])
    assert operator.logdet() == 0
    factor *= 2
    assert float(operator.logdet()) == pytest.approx(3 * math.log(2))


def test_float32() -> None:
    rng = np.random.default_rng(9)
    factors = [spd(rng, 2, n) for n in (5, 40)]
    y = rng.standard_normal((2, 200))
    double = gp.Kronecker(factors)
    single = gp.Kronecker([f.astype(np.float32) for f in factors])
    for noise in (None, 0.5):
        solved = single.solve(y.astype(np.float32), noise)
        assert solved.dtype == np.float32
        np.testing.assert_allclose(solved, double.solve(y, noise), rtol=1e-2, atol=2e-4)
        np.testing.assert_allclose(single.logdet(noise), double.logdet(noise), rtol=1e-4)


def test_threads_do_not_change_a_bit() -> None:
    rng = np.random.default_rng(10)
    factors = [torch.from_numpy(spd(rng, n)) for n in (60, 70, 9)]
    y = torch.from_numpy(rng.standard_normal(60 * 70 * 9))
    results = []
    for threads in (1, 2, 3):
        fourfold.set_num_threads(threads)
        leaves = [f.clone().requires_grad_() for f in factors]
        quad, logdet = gp.Kronecker(leaves).inv_quad_logdet(y, 0.2)
        (quad + logdet).backward()
        results.append([quad.detach(), logdet.detach(), *(f.grad for f in leaves)])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_eigenvalues_of_hard_matrices() -> None:
    rng = np.random.default_rng(11)
    graded = np.diag(10.0 ** -np.arange(20.0))
    graded[0, 1] = graded[1, 0] = 0.1
    hard = {
        "zero": np.zeros((6, 6)),
        "identity": np.eye(40),
        "huge": 1e300 * spd(rng, 7),
        "tiny": 1e-300 * spd(rng, 7),
        "graded": graded,
        "rank one": np.ones((30, 30)),
        "smooth": matern52(90, 2.0),
        "wilkinson": np.diag(np.abs(np.arange(-10.0, 11))) + np.eye(21, k=1) + np.eye(21, k=-1),
    }
    for name, matrix in hard.items():
        values, vectors = gp.Kronecker([matrix]).eigh()[0]
        scale = np.abs(matrix).max()
        exact = np.linalg.eigvalsh(matrix)
        assert np.abs(np.sort(values) - exact).max() <= 1e-13 * scale * len(exact), name
        assert np.abs(vectors.T @ vectors - np.eye(len(exact))).max() < 1e-13, name
        assert np.abs(matrix @ vectors - vectors * values).max() <= 1e-13 * scale * len(exact), name


def test_samples_have_the_covariance() -> None:
    rng = np.random.default_rng(12)
    factors = [spd(rng, 2), spd(rng, 3)]
    operator = gp.Kronecker(factors)
    draws = operator.sample(40000, 1)
    assert draws.shape == (40000, 6)
    covariance = draws.T @ draws / len(draws)
    expected = operator.to_dense()
    assert np.abs(covariance - expected).max() < 6 * np.abs(expected).max() / np.sqrt(len(draws))
    noisy = operator.sample(40000, np.random.default_rng(2), noise=3.0)
    covariance = noisy.T @ noisy / len(noisy)
    expected = expected + 3 * np.eye(6)
    assert np.abs(covariance - expected).max() < 6 * np.abs(expected).max() / np.sqrt(len(draws))
    np.testing.assert_array_equal(operator.sample(2, 5), operator.sample(2, 5))


def test_jitter_is_reported() -> None:
    factors = [2.0 * np.ones((3, 3)), np.eye(2)]
    with pytest.raises(gp.NotPositiveDefiniteError):
        gp.Kronecker(factors).logdet()
    operator = gp.Kronecker(factors, jitter=1e-3)
    assert operator.jitter == pytest.approx((2e-3, 1e-3))
    expected = kron([factors[0] + 2e-3 * np.eye(3), factors[1] + 1e-3 * np.eye(2)])
    np.testing.assert_allclose(operator.logdet(), np.linalg.slogdet(expected)[1], rtol=1e-12)


def test_errors_survive_pickling() -> None:
    with pytest.raises(gp.NotPositiveDefiniteError) as caught:
        gp.Kronecker([np.eye(2), np.array([[1.0, 2.0], [2.0, 1.0]])]).logdet()
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.factor, error.pivot, error.batch) == (1, 1, 0)
    assert error.smallest_eigenvalue == pytest.approx(-1)
    assert "factors[1]" in str(error)


def test_solves_of_many_shapes() -> None:
    rng = np.random.default_rng(17)
    for case in range(40):
        d = 1 + case % 4
        sizes = tuple(int(n) for n in rng.integers(1, [300, 34, 12, 7][d - 1], d))
        batch = (2,) if case % 3 == 0 else ()
        dtype = np.float32 if case % 5 == 4 else np.float64
        factors = [spd(rng, *batch, n).astype(dtype) for n in sizes]
        leading = (int(rng.integers(1, 30)), *batch)
        y = rng.standard_normal((*leading, int(np.prod(sizes)))).astype(dtype)
        dense: Any = kron(factors).astype(float)
        expected = np.linalg.solve(dense, np.asarray(y[..., None], dtype=float))[..., 0]
        found = gp.Kronecker(factors).solve(y)
        assert found.dtype == dtype
        tolerance = 1e-10 if dtype == np.float64 else 2e-3
        assert np.abs(found - expected).max() < tolerance * np.abs(expected).max(), sizes


@pytest.mark.parametrize("sizes", [(130, 3), (3, 131, 2), (2, 150)])
def test_torch_gives_what_our_own_kernels_give(
    sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    factors = [spd(rng, 2, n) for n in sizes]
    y = rng.standard_normal((3, 2, int(np.prod(sizes))))
    results = []
    for limit in (64, 512):
        monkeypatch.setattr(_kernel, "SMALL", limit)
        operator = gp.Kronecker(factors)
        values = operator.inv_quad_logdet(y, 0.2)
        results.append([operator.matvec(y), operator.solve(y), operator.solve(y, 0.2), *values])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)
