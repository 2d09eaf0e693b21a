"""The compiled parts of the functional Tucker model against dense linear algebra."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.linalg

import fourfold
from fourfold.gp.funbat import _kernel
from fourfold.gp.funbat._core_tensor import TuckerCore
from fourfold.gp.kernels import Matern

pytestmark = pytest.mark.isa

Array = np.ndarray


def packed(matrices: Array) -> Array:
    rows, columns = np.triu_indices(matrices.shape[-1])
    return np.ascontiguousarray(matrices[..., rows, columns])


def random_messages(
    rng: np.random.Generator, count: int, rank: int, size: float
) -> tuple[Array, Array]:
    """Precisions (T, R, R) of any rank, 0 included, and shifts in their range."""
    precision = np.zeros((count, rank, rank))
    shift = np.zeros((count, rank))
    for t in range(count):
        a = size * rng.normal(size=(rank, rng.integers(0, rank + 2)))
        precision[t] = a @ a.T
        shift[t] = precision[t] @ rng.normal(size=rank)
    return precision, shift


def dense_chain(
    nu: float,
    times: Array,
    lengthscale: float,
    variance: Array,
    precision: Array,
    shift: Array,
) -> tuple[float, Array, Array]:
    """Log-evidence, mean (T, R) and covariance (T, R, R) from the joint Gaussian of all T R numbers."""
    count, rank = shift.shape
    one = Matern(lengthscale, nu)(times)
    prior = np.kron(one, np.diag(variance))
    weight = scipy.linalg.block_diag(*precision)
    system = np.eye(count * rank) + prior @ weight
    covariance = np.linalg.solve(system, prior)
    pull = shift.reshape(-1)
    mean = covariance @ pull
    evidence = 0.5 * pull @ mean - 0.5 * np.linalg.slogdet(system)[1]
    blocks = covariance.reshape(count, rank, count, rank)
    at = np.arange(count)
    return evidence, mean.reshape(count, rank), blocks[at, :, at]


@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5])
@pytest.mark.parametrize(
    ("rank", "count"), [(1, 17), (3, 14), (5, 9), (2, 1), (4, 6), (6, 5), (7, 4)]
)
def test_smoother_equals_the_joint_gaussian(nu: float, rank: int, count: int) -> None:
    rng = np.random.default_rng([round(2 * nu), rank])
    times = np.sort(rng.uniform(0, 3, count))
    if count > 3:
        times[2] = times[1] + 1e-7
    variance = rng.uniform(0.3, 2, rank)
    precision, shift = random_messages(rng, count, rank, 2.0)
    observed = (np.trace(precision, axis1=1, axis2=2) > 0).astype(np.uint8)
    length = np.diff(times, prepend=times[:1])
    scale = 1.7
    chain = _kernel.Chain(
        round(nu + 0.5), length, observed, packed(precision), np.ascontiguousarray(shift), scale
    )
    rate = np.sqrt(2 * nu) / 0.6
    result = _kernel.smooth(chain, rate, variance)
    assert not isinstance(result, int)

    def dense(lengthscale: float, v: Array) -> tuple[float, Array, Array]:
        return dense_chain(nu, times, lengthscale, v, scale * precision, scale * shift)

    evidence, mean, covariance = dense(0.6, variance)
    assert result.log_evidence == pytest.approx(evidence, rel=1e-10, abs=1e-10)
    np.testing.assert_allclose(result.mean, mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(result.covariance, packed(covariance), rtol=0, atol=1e-9)
    second = covariance + mean[:, :, None] * mean[:, None, :]
    np.testing.assert_allclose(result.second, packed(second), rtol=0, atol=1e-9)
    # Slopes against central differences of the dense evidence.
    h = 1e-5
    by_length = (dense(0.6 * (1 + h), variance)[0] - dense(0.6 * (1 - h), variance)[0]) / (2 * h)
    assert -rate * result.by_rate == pytest.approx(by_length, rel=1e-5, abs=1e-6)
    for r in range(rank):
        step = np.zeros(rank)
        step[r] = h
        by_v = (dense(0.6, variance + step)[0] - dense(0.6, variance - step)[0]) / (2 * h)
        assert result.by_variance[r] == pytest.approx(by_v, rel=1e-5, abs=1e-6)


def test_rounding_does_not_grow_along_a_chain() -> None:
    """60 near times, strong messages to mixed directions: what rounds at one end stays small at the other."""
    rng = np.random.default_rng(1)
    times = np.linspace(0, 1, 60)
    a = rng.normal(size=(60, 3, 6)) * rng.uniform(1, 10, (60, 1, 6))
    precision = a @ a.transpose(0, 2, 1)
    shift = np.ascontiguousarray(np.einsum("tij,tj->ti", precision, rng.normal(size=(60, 3))))
    chain = _kernel.Chain(
        2, np.diff(times, prepend=0.0), np.ones(60, np.uint8), packed(precision), shift, 1.0
    )
    result = _kernel.smooth(chain, np.sqrt(3) / 0.3, np.ones(3))
    assert not isinstance(result, int)
    evidence, mean, covariance = dense_chain(1.5, times, 0.3, np.ones(3), precision, shift)
    assert result.log_evidence == pytest.approx(evidence, rel=1e-9)
    np.testing.assert_allclose(result.mean, mean, rtol=0, atol=1e-8)
    np.testing.assert_allclose(result.covariance, packed(covariance), rtol=0, atol=1e-11)


def test_strong_messages_keep_their_variance() -> None:
    """Signal to noise 1e10: what is left of the variance is not lost in the difference of two large numbers."""
    rng = np.random.default_rng(0)
    times = np.linspace(0, 1, 8)
    precision = np.stack([1e10 * np.array([[1.0, 0.3], [0.3, 2.0]])] * 8)
    truth = rng.normal(size=(8, 2))
    shift = np.ascontiguousarray(np.einsum("tij,tj->ti", precision, truth))
    chain = _kernel.Chain(
        2, np.diff(times, prepend=0.0), np.ones(8, np.uint8), packed(precision), shift, 1.0
    )
    result = _kernel.smooth(chain, 3.0, np.ones(2))
    assert not isinstance(result, int)
    np.testing.assert_allclose(result.mean, truth, rtol=0, atol=1e-6)
    exact = packed(np.linalg.inv(precision[0]))
    np.testing.assert_allclose(result.covariance, np.tile(exact, (8, 1)), rtol=1e-4)


def functions(rng: np.random.Generator, times: int, rank: int) -> tuple[Array, Array, Array]:
    """Means (T, R), covariances and second moments (T, R, R)."""
    mean = rng.normal(size=(times, rank))
    a = rng.normal(size=(times, rank, rank))
    covariance = a @ a.transpose(0, 2, 1)
    return mean, covariance, covariance + mean[:, :, None] * mean[:, None, :]


@pytest.mark.parametrize("tucker", [False, True])
@pytest.mark.parametrize("ranks", [(2,), (3, 3), (1, 1), (2, 2, 2)])
def test_sums_over_entries(tucker: bool, ranks: tuple[int, ...]) -> None:
    if tucker:
        ranks = tuple(r + k for k, r in enumerate(ranks))
    rng = np.random.default_rng(len(ranks) + tucker)
    counts = np.array([0, 5, 1, 0, 9])
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    total = int(start[-1])
    sizes = [4 + k for k in range(len(ranks))]
    moments = [functions(rng, t, r) for t, r in zip(sizes, ranks, strict=True)]
    places = np.stack([rng.integers(0, t, total) for t in sizes], axis=1).astype(np.int32)
    value = rng.normal(size=total)
    first, second = _kernel.sum_entries(
        start,
        places,
        value,
        [m for m, _, _ in moments],
        [packed(s) for _, _, s in moments],
        tucker=tucker,
    )
    for t in range(counts.size):
        one, two = np.zeros(first.shape[1]), np.zeros(second.shape[1])
        for n in range(start[t], start[t + 1]):
            means = [m[0][p] for m, p in zip(moments, places[n], strict=True)]
            pairs = [packed(m[2][p]) for m, p in zip(moments, places[n], strict=True)]
            if tucker:
                a, b = np.ones(1), np.ones(1)
                for m, p in zip(means, pairs, strict=True):
                    a, b = np.kron(a, m), np.kron(b, p)
            else:
                a, b = np.prod(means, axis=0), np.prod(pairs, axis=0)
            one, two = one + value[n] * a, two + b
        np.testing.assert_allclose(first[t], one, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(second[t], two, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ranks", [(2, 3), (1, 2, 3), (2, 2, 2, 2), (1, 1)])
def test_tucker_messages_and_points(ranks: tuple[int, ...]) -> None:
    """E[f^2] as a quadratic form of the whole core, three ways: points, messages, core update."""
    rng = np.random.default_rng(sum(ranks))
    modes, size = len(ranks), int(np.prod(ranks))
    moments = [functions(rng, 3, r) for r in ranks]
    core = TuckerCore(ranks, 1.3)
    a = rng.normal(size=(size, size))
    covariance = a @ a.T
    core.covariance, core.mean = covariance, rng.normal(size=size)
    whole = covariance + np.outer(core.mean, core.mean)
    points = np.array(list(itertools.product(range(3), repeat=modes)), dtype=np.int32)
    mean, variance = _kernel.evaluate_points(
        points,
        [m for m, _, _ in moments],
        [packed(v) for _, v, _ in moments],
        core.mean,
        core.covariance,
    )
    squares = np.empty(len(points))
    for n, point in enumerate(points):
        m, s = np.ones(1), np.ones((1, 1))
        for (one, _, two), p in zip(moments, point, strict=True):
            m, s = np.kron(m, one[p]), np.kron(s, two[p])
        squares[n] = np.sum(whole * s)
        assert mean[n] == pytest.approx(core.mean @ m)
        assert variance[n] == pytest.approx(squares[n] - (core.mean @ m) ** 2, rel=1e-9)
    for k in range(modes):
        order = np.argsort(points[:, k], kind="stable")
        others = [j for j in range(modes) if j != k]
        value = rng.normal(size=len(points))
        first, second = _kernel.sum_entries(
            np.arange(4) * 3 ** (modes - 1),
            np.ascontiguousarray(points[order][:, others]),
            value[order],
            [moments[j][0] for j in others],
            [packed(moments[j][2]) for j in others],
            tucker=True,
        )
        shift, precision = core.message(k, first, second)
        rows, columns = np.triu_indices(ranks[k])
        weights = np.where(rows == columns, 1.0, 2.0)
        for t in range(3):
            here = points[:, k] == t
            expected = np.sum(squares[here])
            assert np.sum(weights * precision[t] * packed(moments[k][2])[t]) == pytest.approx(
                expected
            )
            assert shift[t] @ moments[k][0][t] == pytest.approx(np.sum(value[here] * mean[here]))


def test_core_is_a_ridge_regression() -> None:
    rng = np.random.default_rng(3)
    ranks = (2, 3)
    u, v = rng.normal(size=(6, 2)), rng.normal(size=(4, 3))
    places = np.array(list(itertools.product(range(6), range(4))))
    value = rng.normal(size=24)
    design = np.stack([np.kron(u[i], v[j]) for i, j in places])
    first, second = _kernel.sum_entries(
        np.arange(7) * 4,
        np.ascontiguousarray(places[:, 1:].astype(np.int32)),
        value,
        [v],
        [packed(v[:, :, None] * v[:, None, :])],
        tucker=True,
    )
    core = TuckerCore(ranks, 0.7)
    along, squares = core.update(0, first, second, u, packed(u[:, :, None] * u[:, None, :]), 2.5)
    precision = 2.5 * design.T @ design + np.eye(6) / 0.7
    covariance = core.covariance
    assert covariance is not None
    np.testing.assert_allclose(covariance, np.linalg.inv(precision), rtol=1e-9)
    np.testing.assert_allclose(core.mean, np.linalg.solve(precision, 2.5 * design.T @ value))
    assert along == pytest.approx(value @ design @ core.mean)
    moment = covariance + np.outer(core.mean, core.mean)
    assert squares == pytest.approx(np.sum((design.T @ design) * moment))
    # The prior's variance is the one of smallest divergence, and that is the divergence.
    spread = float(np.trace(moment))

    def divergence(variance: float) -> float:
        logdet = np.linalg.slogdet(covariance)[1]
        return float(0.5 * (spread / variance - 6 + 6 * np.log(variance) - logdet))

    assert core.divergence == pytest.approx(divergence(core.variance))
    assert core.divergence < min(divergence(1.05 * core.variance), divergence(core.variance / 1.05))


def test_inverse_and_pivot() -> None:
    rng = np.random.default_rng(4)
    for n in (1, 2, 7, 33):
        a = rng.normal(size=(n, n + 2))
        matrix = a @ a.T
        found = _kernel.invert(matrix)
        assert not isinstance(found, int)
        np.testing.assert_allclose(found[0] @ matrix, np.eye(n), atol=1e-9 * np.linalg.cond(matrix))
        assert found[1] == pytest.approx(np.linalg.slogdet(matrix)[1])
    assert _kernel.invert(np.diag([1.0, 2.0, -1.0, 3.0])) == 2
    assert _kernel.invert(np.diag([1.0, np.nan])) == 1


def test_same_bits_on_any_number_of_threads() -> None:
    rng = np.random.default_rng(5)
    moments = [functions(rng, 50, 4), functions(rng, 60, 5)]
    start = np.arange(201, dtype=np.int64) * 20
    places = np.stack([rng.integers(0, 50, 4000), rng.integers(0, 60, 4000)], 1).astype(np.int32)
    found = []
    for threads in (1, 2, 5):
        fourfold.set_num_threads(threads)
        means, seconds = [m[0] for m in moments], [packed(m[2]) for m in moments]
        sums = _kernel.sum_entries(
            start, places, rng.normal(size=4000) * 0 + 1, means, seconds, tucker=True
        )
        products = _kernel.rows_times_rows(sums[1], sums[1][:30].copy())
        grams = _kernel.columns_times_columns(sums[0], sums[1])
        points = _kernel.evaluate_points(
            places, means, [packed(m[1]) for m in moments], np.ones(20), np.eye(20)
        )
        found.append([*sums, products, grams, *points])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(found[0][2], found[0][1] @ found[0][1][:30].T, rtol=1e-11)
    np.testing.assert_allclose(found[0][3], found[0][0].T @ found[0][1], rtol=1e-9, atol=1e-9)
