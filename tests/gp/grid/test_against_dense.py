"""`GridGP` against the same process by dense linear algebra."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fourfold import gp
from fourfold.gp.grid import _holed, _likelihood
from fourfold.gp.kernels import (
    Kernel,
    Matern,
    Periodic,
    RationalQuadratic,
    SpectralMixture,
    SquaredExponential,
)
from tests.gp.grid.dense import Array, Dense, points_of

KERNELS: list[Kernel] = [
    Matern(0.4, 2.5, 1.3),
    SquaredExponential(0.3) + Matern(1.0, 0.5, 0.1),
    SpectralMixture([0.7, 0.2], [0.6, 0.4], [0.0, 0.8]),
    RationalQuadratic(0.5, 1.2) * Periodic(0.9, 1.7),
    Matern(0.5, 1.5),
    SquaredExponential(0.8),
]


def case(sizes: tuple[int, ...], seed: int) -> tuple[list[Array], Array, np.random.Generator]:
    """Axes, every second one uneven, and data."""
    rng = np.random.default_rng(seed)
    grids = [
        np.linspace(-0.3, 1.1, n) if k % 2 == 0 else np.sort(rng.uniform(-0.3, 1.1, n))
        for k, n in enumerate(sizes)
    ]
    return grids, rng.normal(size=sizes), rng


def functions(mean: Any, points: Array) -> Array | None:
    if mean == "constant":
        return np.ones((1, len(points)))
    if mean == "linear":
        return np.vstack([np.ones(len(points)), points.T])
    if isinstance(mean, list):
        return np.stack([f(points) for f in mean])
    return None


BASIS = [lambda x: np.sin(3 * x[:, 0]), lambda x: x[:, -1] ** 2]

SIZES = [(9,), (1,), (6, 5), (3, 1, 6), (2, 3, 2, 4), (2, 1, 2, 1, 2, 3)]


@pytest.mark.parametrize(
    "mean",
    [0.0, 0.7, "constant", "linear", BASIS],
    ids=["zero", "number", "constant", "linear", "basis"],
)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("holes", [False, True])
def test_everything(sizes: tuple[int, ...], mean: Any, holes: bool) -> None:
    if (mean == "linear" and 1 in sizes) or (mean != 0 and sizes == (1,)):
        pytest.skip("the mean's functions are not independent on this grid")
    grids, y, rng = case(sizes, len(sizes))
    mask = None
    if holes:
        mask = rng.uniform(size=sizes) < 0.75
        mask.reshape(-1)[:1] = True
        y[~mask] = np.nan
    kernels = KERNELS[: len(sizes)]
    model = gp.GridGP(kernels, 0.05, mean=mean, max_iterations=0).fit(grids, y, mask)
    seen = np.ones(y.size, bool) if mask is None else mask.reshape(-1)
    points = points_of(grids)
    known = mean if mean == 0.7 else 0.0
    dense = Dense(
        kernels, points[seen], y.reshape(-1)[seen] - known, 0.05, functions(mean, points[seen])
    )
    assert model.log_marginal_likelihood_ == pytest.approx(dense.log_likelihood, rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(model.mean_coefficients_, dense.b, rtol=1e-6, atol=1e-7)
    new = rng.uniform(-0.5, 1.3, (7, len(sizes)))
    new[0] = points[0]
    for at, (found, std) in (
        (new, model.predict(new, return_std=True)),
        (points, [a.reshape(-1) for a in model.predict_grid(return_std=True)]),
    ):
        expected, both = dense.predict(at, functions(mean, at))
        np.testing.assert_allclose(found, expected + known, atol=1e-7)
        np.testing.assert_allclose(std**2, np.diag(both), atol=1e-8)
    others = [np.sort(rng.uniform(-0.5, 1.3, k + 1)) for k in range(len(sizes))]
    expected, both = dense.predict(points_of(others), functions(mean, points_of(others)))
    found, std = model.predict_grid(others, return_std=True)
    np.testing.assert_allclose(found.reshape(-1), expected + known, atol=1e-7)
    np.testing.assert_allclose(std.reshape(-1) ** 2, np.diag(both), atol=1e-8)


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("mean", [0.0, "linear"])
def test_derivatives(mean: Any, holes: bool) -> None:
    grids, y, rng = case((7, 6), 3)
    mask = rng.uniform(size=y.shape) < 0.8 if holes else None
    kernels = [Matern(0.6, 2.5, 1.3), SquaredExponential(0.5)]
    model = gp.GridGP(kernels, 0.02, mean=mean, max_iterations=0).fit(grids, y, mask)
    seen = np.ones(y.size, bool) if mask is None else mask.reshape(-1)
    points = points_of(grids)[seen]
    dense = Dense(kernels, points, y.reshape(-1)[seen], 0.02, functions(mean, points))
    new = rng.uniform(-0.3, 1.1, (5, 2))
    for orders in ((1, 0), (0, 2), (2, 1), (1, 1)):
        slopes = np.zeros((3, 5))
        if sum(orders) == 1:
            slopes[1 + orders.index(1)] = 1
        h = slopes if mean == "linear" else None
        expected, both = dense.predict(new, h, orders)
        found, std = model.predict(new, return_std=True, derivative=orders)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(std**2, np.diag(both), rtol=1e-7, atol=1e-7)
    # The mean's slope is the slope of the mean.
    step = np.array([1e-5, 0.0])
    slope = (model.predict(new + step) - model.predict(new - step)) / 2e-5
    np.testing.assert_allclose(model.predict(new, derivative=(1, 0)), slope, rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="derivatives at lag 0 up to order 4, got 6"):
        model.predict(new, return_std=True, derivative=(3, 0))


def test_outputs_of_a_batch_with_masks_of_their_own_and_units() -> None:
    grids, _, rng = case((6, 5), 4)
    y = 30 + 4 * rng.normal(size=(2, 2, 6, 5))
    mask = rng.uniform(size=y.shape) < 0.8
    mask[0, 1] = True
    mask[1, 1] = mask[0, 0]
    y[~mask] = np.nan
    model = gp.GridGP(KERNELS[:2], 0.05, normalize_y=True, mean="constant", max_iterations=0)
    model.fit(grids, y, mask)
    points = points_of(grids)
    new = rng.uniform(0, 1, (4, 2))
    mean, std = model.predict(new, return_std=True)
    loo = model.leave_one_out()
    assert mean.shape == std.shape == (2, 2, 4)
    assert loo.mean.shape == y.shape
    np.testing.assert_array_equal(np.isnan(loo.mean), ~mask)
    total = 0.0
    for i in np.ndindex(2, 2):
        seen = mask[i].reshape(-1)
        values = y[i].reshape(-1)[seen]
        centre, scale = values.mean(), values.std()
        dense = Dense(
            KERNELS[:2], points[seen], (values - centre) / scale, 0.05, np.ones((1, seen.sum()))
        )
        total += dense.log_likelihood
        expected, both = dense.predict(new, np.ones((1, 4)))
        np.testing.assert_allclose(mean[i], centre + scale * expected, rtol=1e-8)
        np.testing.assert_allclose(std[i], scale * np.sqrt(np.diag(both)), rtol=1e-8)
    assert model.log_marginal_likelihood_ == pytest.approx(total, rel=1e-10)


def test_noise_for_every_point() -> None:
    grids, y, rng = case((5, 6), 5)
    noise = rng.uniform(0.01, 0.2, (5, 6))
    noise[0, 0] = np.nan  # not looked at
    mask = np.ones((5, 6), bool)
    mask[0, 0] = False
    model = gp.GridGP(KERNELS[:2], noise, max_iterations=0).fit(grids, y, mask)
    seen = mask.reshape(-1)
    points = points_of(grids)
    dense = Dense(KERNELS[:2], points[seen], y.reshape(-1)[seen], noise.reshape(-1)[seen])
    assert model.log_marginal_likelihood_ == pytest.approx(dense.log_likelihood, rel=1e-10)
    expected, both = dense.predict(points)
    mean, std = model.predict_grid(return_std=True)
    np.testing.assert_allclose(mean.reshape(-1), expected, atol=1e-9)
    np.testing.assert_allclose(std.reshape(-1) ** 2, np.diag(both), atol=1e-9)


def test_without_noise_it_interpolates() -> None:
    grids, y, rng = case((6, 5), 6)
    kernels = [Matern(0.4, 1.5), Matern(0.5, 0.5)]
    model = gp.GridGP(kernels, 0.0, noise_bounds=None, max_iterations=0).fit(grids, y)
    mean, std = model.predict_grid(return_std=True)
    np.testing.assert_allclose(mean, y, atol=1e-11)
    np.testing.assert_array_equal(std, 0)
    dense = Dense(kernels, points_of(grids), y.reshape(-1), 0.0)
    assert model.log_marginal_likelihood_ == pytest.approx(dense.log_likelihood, rel=1e-11)
    new = rng.uniform(-0.5, 1.3, (9, 2))
    new[:4, 0] = grids[0][:4]
    new[3, 1] = grids[1][2]
    expected, both = dense.predict(new)
    mean, std = model.predict(new, return_std=True)
    np.testing.assert_allclose(mean, expected, atol=1e-10)
    np.testing.assert_allclose(std**2, np.diag(both), atol=1e-10)
    # Also very near to an observation, where the difference of dense algebra is rounding alone.
    near = model.predict([[grids[0][0] + 1e-9, grids[1][0]]], return_std=True)[1]
    assert near[0] ** 2 == pytest.approx(3 / 0.4**2 * 1e-18, rel=0.5, abs=3e-15)


def test_conjugate_gradients_agree_with_the_dense_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    grids, y, rng = case((12, 11), 7)
    mask = rng.uniform(size=y.shape) < 0.6
    new = rng.uniform(0, 1, (5, 2))
    results = []
    for limit in (4000, 0):
        monkeypatch.setattr(_likelihood, "DENSE", limit)
        monkeypatch.setattr(_holed, "_CHUNK", 500)
        model = gp.GridGP(KERNELS[:2], 0.05, mean="constant", max_iterations=0).fit(grids, y, mask)
        mean, std, info = model.predict(new, return_std=True, return_info=True)
        loo = model.leave_one_out()
        results.append((mean, std, loo.mean, loo.std))
        assert info.ways == (("conjugate gradients",) if limit == 0 else ("dense cholesky",))
    assert 1 < info.iterations < 60
    assert 0 < info.residual <= 1e-10
    for first, second in zip(*results, strict=True):
        np.testing.assert_allclose(second, first, rtol=1e-7)
