"""Holes in the grid and noise that differs from point to point, against the dense matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fourfold import gp

from .reference import kron, matern52, spd


@pytest.fixture
def problem() -> Any:
    rng = np.random.default_rng(1)
    factors = [spd(rng, n) for n in (5, 7, 4)]
    mask = rng.uniform(size=(5, 7, 4)) < 0.8
    y = rng.standard_normal((5, 7, 4))
    y[~mask] = np.nan
    return factors, kron(factors), mask, y


def dense_truth(dense: Any, noise: Any, mask: Any, y: Any) -> tuple[Any, float, float]:
    seen = mask.reshape(-1)
    matrix = (dense + np.diag(np.broadcast_to(np.asarray(noise).reshape(-1), len(dense))))[seen][
        :, seen
    ]
    observed = y.reshape(-1)[seen]
    x = np.zeros(len(dense))
    x[seen] = np.linalg.solve(matrix, observed)
    return x.reshape(y.shape), float(observed @ x[seen]), float(np.linalg.slogdet(matrix)[1])


@pytest.mark.parametrize("noise", [0.3, None, "points", "vectors"])
def test_masked(problem: Any, noise: Any) -> None:
    factors, dense, mask, y = problem
    rng = np.random.default_rng(2)
    vectors = [rng.uniform(0.5, 1, n) for n in (5, 7, 4)]
    given = {"points": rng.uniform(0.1, 1, y.shape), "vectors": vectors}.get(str(noise), noise)
    full = {"vectors": kron([v[:, None] for v in vectors])}.get(str(noise), given)
    x, quad, logdet = dense_truth(dense, 0.0 if full is None else full, mask, y)
    operator = gp.Kronecker(factors)
    solved, info = operator.solve(y, given, mask=mask, return_info=True)
    np.testing.assert_allclose(solved, x, rtol=1e-7, atol=1e-8)
    assert info.residual <= 1e-10
    assert info.iterations > 0
    got_quad, got_logdet, info = operator.inv_quad_logdet(y, given, mask=mask, return_info=True)
    assert got_quad == pytest.approx(quad, rel=1e-9)
    assert got_logdet == pytest.approx(logdet, rel=1e-11)
    assert info.ways == ("conjugate gradients", "dense cholesky")


def test_low_rank_correction(problem: Any) -> None:
    factors, dense, mask, y = problem
    _, _, logdet = dense_truth(dense, 0.3, mask, y)
    operator = gp.Kronecker(factors)
    assert operator.logdet(0.3, mask=mask, method="exact") == pytest.approx(logdet, rel=1e-11)
    _, _, logdet = dense_truth(dense, 0.0, mask, y)
    assert operator.logdet(mask=mask, method="exact") == pytest.approx(logdet, rel=1e-10)
    everything = np.ones_like(mask)
    exact = operator.logdet(0.3)
    assert operator.logdet(0.3, mask=everything, method="exact") == pytest.approx(exact, rel=1e-13)


def test_automatic_choice() -> None:
    factors = [matern52(40, 0.3), matern52(30, 0.3)]
    operator = gp.Kronecker(factors)
    mask = np.ones(1200, dtype=bool)
    mask[:12] = False
    dense = kron(factors)
    truth = np.linalg.slogdet(dense[12:, 12:] + 0.1 * np.eye(1188))[1]
    logdet, info = operator.logdet(0.1, mask=mask, return_info=True)
    assert info.ways == ("low-rank correction",)
    assert logdet == pytest.approx(truth, rel=1e-11)
    mask[12] = False
    _, info = operator.logdet(0.1, mask=mask, return_info=True)
    assert info.ways == ("stochastic lanczos",)
    assert info.interval is not None


def covers(seed: int, pointwise: bool) -> tuple[bool, float]:
    rng = np.random.default_rng(seed)
    factors = [matern52(12, rng.uniform(0.1, 1)), matern52(10, rng.uniform(0.1, 1))]
    mask = rng.uniform(size=120) < rng.uniform(0.3, 0.95)
    noise = rng.uniform(0.01, 0.2, 120) if pointwise else np.full(120, rng.uniform(0.01, 0.2))
    matrix = (kron(factors) + np.diag(noise))[mask][:, mask]
    truth = np.linalg.slogdet(matrix)[1]
    logdet, info = gp.Kronecker(factors).logdet(
        noise if pointwise else float(noise[0]),
        mask=mask,
        method="lanczos",
        rng=seed,
        probes=16,
        return_info=True,
    )
    assert info.interval is not None
    low, high = info.interval
    assert low < logdet < high
    return low <= truth <= high, (high - low) / abs(truth)


@pytest.mark.parametrize("pointwise", [False, True])
def test_the_interval_covers_the_truth(pointwise: bool) -> None:
    masks = 40 if pointwise else 100
    hits, widths = zip(*(covers(seed, pointwise) for seed in range(masks)), strict=True)
    assert sum(hits) >= 0.9 * masks
    assert np.median(widths) < 0.1


def test_missing_values_are_not_looked_at(problem: Any) -> None:
    factors, _, mask, y = problem
    operator = gp.Kronecker(factors)
    other = y.copy()
    other[~mask] = 1e300
    one = operator.inv_quad_logdet(y, 0.3, mask=mask)
    assert operator.inv_quad_logdet(other, 0.3, mask=mask) == one
    tensor = gp.Kronecker([torch.from_numpy(f) for f in factors]).solve(
        torch.from_numpy(y), 0.3, mask=torch.from_numpy(mask)
    )
    np.testing.assert_allclose(tensor.numpy(), operator.solve(y, 0.3, mask=mask), rtol=1e-12)


def test_many_right_hand_sides(problem: Any) -> None:
    factors, dense, mask, _ = problem
    y = np.random.default_rng(5).standard_normal((3, 2, 140))
    y[1, 1] = 0
    solved = gp.Kronecker(factors).solve(y, 0.3, mask=mask)
    for index in np.ndindex(3, 2):
        x, _, _ = dense_truth(dense, 0.3, mask, y[index])
        np.testing.assert_allclose(solved[index], x, rtol=1e-7, atol=1e-9)


def test_refusals(problem: Any) -> None:
    factors, _, mask, y = problem
    operator = gp.Kronecker(factors)
    with pytest.raises(gp.ConvergenceError, match="residual") as caught:
        operator.solve(y, 1e-6, mask=mask, max_iter=2)
    assert caught.value.iterations == 2
    assert caught.value.residual > 1e-10
    with pytest.raises(ValueError, match="no point is observed"):
        operator.solve(y, 0.1, mask=np.zeros_like(mask))
    with pytest.raises(TypeError, match="mask: expected an array of bool"):
        operator.solve(y, 0.1, mask=mask.astype(float))
    with pytest.raises(ValueError, match="mask: expected shape"):
        operator.solve(y, 0.1, mask=mask[:-1])
    with pytest.raises(ValueError, match="entries are not finite"):
        operator.solve(y, 0.1)
    with pytest.raises(ValueError, match="needs noise > 0"):
        operator.logdet(mask=mask, method="lanczos")
    with pytest.raises(ValueError, match="one variance"):
        operator.logdet(np.ones(140), mask=mask, method="exact")
    with pytest.raises(ValueError, match="method: expected one of"):
        operator.logdet(0.1, mask=mask, method="magic")
    with pytest.raises(ValueError, match="without batch"):
        gp.Kronecker([np.stack([np.eye(2)] * 3)]).solve(
            np.ones(2), 0.1, mask=np.array([True, False])
        )
    with pytest.raises(ValueError, match="at the observed points"):
        operator.solve(y, -np.ones(140), mask=mask)
    with pytest.raises(TypeError, match="masked array"):
        operator.solve(np.ma.masked_invalid(y), 0.1)
