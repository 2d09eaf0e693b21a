"""Gradients, the search for hyperparameters, priors, leave-one-out and draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from fourfold import gp
from fourfold.errors import ConvergenceError
from fourfold.gp.grid import _likelihood
from fourfold.gp.kernels import Matern, SpectralMixture, SquaredExponential
from fourfold.gp.priors import Gamma, LogNormal, Normal
from tests.gp.grid.dense import Array, Dense, points_of

X, T = np.linspace(0, 1, 9), np.sort(np.random.default_rng(1).uniform(0, 2, 8))


def data(seed: int, *batch: int) -> Array:
    return np.random.default_rng(seed).normal(size=(*batch, X.size, T.size))


@pytest.mark.parametrize("mean", [0.0, "constant", "linear"])
@pytest.mark.parametrize("holes", ["none", "one mask", "own masks", "noise"])
def test_gradient_against_differences_of_the_dense_likelihood(mean: Any, holes: str) -> None:
    rng = np.random.default_rng(2)
    y = data(3, 2)
    kernels = [
        SpectralMixture([0.8, 0.3], [0.3, 0.5], [0.4, 1.0]),
        Matern(0.6, 1.5, variance_bounds=None),
    ]
    mask = {
        "one mask": rng.uniform(size=y.shape[1:]) < 0.7,
        "own masks": rng.uniform(size=y.shape) < 0.7,
    }
    noise: Any = rng.uniform(0.1, 0.3, y.shape[1:]) if holes == "noise" else 0.1
    model = gp.GridGP(kernels, noise, mean=mean, max_iterations=0)
    model.fit([X, T], y, mask.get(holes))
    seen = np.broadcast_to(mask.get(holes, np.ones(y.shape, bool)), y.shape).reshape(2, -1)
    points = points_of([X, T])
    h = {0.0: np.zeros((0, len(points))), "constant": np.ones((1, len(points)))}.get(
        mean, np.vstack([np.ones(len(points)), points.T])
    )

    def of(theta: Array) -> float:
        changed = [kernels[0].with_theta(theta[:6]), kernels[1].with_theta(theta[6:7])]
        variance = (
            noise.reshape(-1) if holes == "noise" else np.full(len(points), np.exp(theta[-1]))
        )
        return sum(
            Dense(changed, points[s], row[s], variance[s], h[:, s]).log_likelihood
            for s, row in zip(seen, y.reshape(2, -1), strict=True)
        )

    theta = model.theta_
    assert model.theta_names[:2] == ["kernels[0].weights[0]", "kernels[0].weights[1]"]
    assert model.theta_names[-1] == ("kernels[1].lengthscale" if holes == "noise" else "noise")
    value, gradient = model.log_marginal_likelihood(theta)
    assert value == pytest.approx(of(theta), rel=1e-10)
    step = 1e-4
    for i, e in enumerate(step * np.eye(theta.size)):
        far, near = of(theta + 2 * e) - of(theta - 2 * e), of(theta + e) - of(theta - e)
        assert gradient[i] == pytest.approx((8 * near - far) / (12 * step), rel=1e-6, abs=1e-6)


def test_learns_what_drew_the_data() -> None:
    rng = np.random.default_rng(4)
    x, t = np.linspace(0, 4, 20), np.sort(rng.uniform(0, 5, 18))
    true = [Matern(0.7, 2.5, 2.0), SquaredExponential(0.5, variance_bounds=None)]
    dense = np.kron(true[0](x), true[1](t)) + 0.04 * np.eye(360)
    y = 3 + (np.linalg.cholesky(dense) @ rng.normal(size=360)).reshape(20, 18)
    start = [Matern(0.2), SquaredExponential(2.0, variance_bounds=None)]
    model = gp.GridGP(start, 1.0, mean="constant", restarts=1).fit([x, t], y)
    known = gp.GridGP(true, 0.04, mean="constant", max_iterations=0).fit([x, t], y)
    _, gradient = model.log_marginal_likelihood(model.theta_)
    assert np.abs(gradient).max() < 0.05
    # Twice the gain of four parameters over the truth is chi-square(4): 18.5 is its 99.9 % quantile.
    assert 0 <= 2 * (model.log_marginal_likelihood_ - known.log_marginal_likelihood_) < 18.5
    assert model.kernels_[1].lengthscale == pytest.approx(0.5, rel=0.2)  # type: ignore[attr-defined]
    assert model.noise_ == pytest.approx(0.04, rel=0.3)
    info = model.info_
    assert len(info.starts) == 2
    assert max(info.starts) == pytest.approx(model.log_marginal_likelihood_)
    assert info.interval == 0
    assert info.ways == ("eigendecomposition",)
    assert info.at_bounds == ()
    # Holes: the same, of what is left.
    mask = rng.uniform(size=y.shape) < 0.8
    holed = gp.GridGP(start, 1.0, mean="constant").fit([x, t], y, mask)
    assert holed.info_.ways == ("dense cholesky",)
    assert holed.noise_ == pytest.approx(0.04, rel=0.4)
    new = np.where(mask, np.nan, (holed.predict_grid() - y) ** 2)
    assert np.nanmean(new) < 0.12


@pytest.mark.parametrize("learn", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_stochastic_likelihood_says_so(learn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_likelihood, "DENSE", 0)
    rng = np.random.default_rng(5)
    x, t = np.linspace(0, 6, 36), np.linspace(0, 6, 33)
    kernels = [Matern(0.8, 1.5), Matern(0.8, 1.5, variance_bounds=None)]
    f = gp.GridGP(kernels, 1.0, max_iterations=0).fit([[0.0], [0.0]], [[0.0]])
    y = f.sample(1, [x, t], rng)[0] + 0.3 * rng.normal(size=(36, 33))
    mask = rng.uniform(size=y.shape) < 0.9
    assert mask.sum() > 1000
    model = gp.GridGP(kernels, 0.1, max_iterations=50 * learn).fit([x, t], y, mask)
    assert model.info_.ways == ("stochastic lanczos",)
    assert 0 < model.info_.interval < 20
    seen = mask.reshape(-1)
    points = points_of([x, t])[seen]
    exact = Dense(model.kernels_, points, y.reshape(-1)[seen], float(model.noise_)).log_likelihood
    assert abs(model.log_marginal_likelihood_ - exact) < 3 * model.info_.interval
    if learn:
        full = gp.GridGP(kernels, 0.1).fit([x, t], y)
        assert model.noise_ == pytest.approx(full.noise_, rel=0.2)
        # Fixed probes: the same value to the last bit.
        assert model.log_marginal_likelihood(model.theta_)[0] == model.log_marginal_likelihood_


def test_priors_move_the_maximum_and_are_densities() -> None:
    y = data(6)
    x = np.linspace(0.05, 6, 50)
    for prior, known in (
        (Normal(1.0, 0.7), stats.norm(1.0, 0.7)),
        (LogNormal(1.5, 0.4), stats.lognorm(0.4, scale=1.5)),
        (Gamma(2.5, 3.0), stats.gamma(2.5, scale=1 / 3.0)),
    ):
        density, slope = prior.log_density(x)
        np.testing.assert_allclose(density, known.logpdf(x), rtol=1e-12, atol=1e-12)
        h = 1e-5
        central = (known.logpdf(x + h) - known.logpdf(x - h)) / (2 * h)
        np.testing.assert_allclose(slope, central, rtol=1e-6, atol=1e-6)
    kernels = [Matern(0.3), Matern(0.3, variance_bounds=None)]
    tight = {"kernels[0].lengthscale": LogNormal(0.25, 1e-3), "noise": LogNormal(0.5, 1e-3)}
    model = gp.GridGP(kernels, 0.3, priors=tight).fit([X, T], y)
    assert model.kernels_[0].lengthscale == pytest.approx(0.25, rel=1e-2)  # type: ignore[attr-defined]
    assert model.noise_ == pytest.approx(0.5, rel=1e-2)
    value, gradient = model.log_marginal_likelihood(model.theta_)
    assert value == pytest.approx(model.log_marginal_likelihood_)
    # There likelihood and prior hold the balance.
    assert abs(gradient[model.theta_names.index("noise")]) > 1e-3
    assert model.info_.starts[0] == pytest.approx(value + model.info_.log_prior)


@pytest.mark.parametrize("mean", [0.0, "linear"])
@pytest.mark.parametrize("holes", [False, True])
def test_leave_one_out_against_leaving_out(mean: Any, holes: bool) -> None:
    rng = np.random.default_rng(7)
    x, t = X[:5], T[:4]
    y = rng.normal(size=(5, 4))
    mask = rng.uniform(size=y.shape) < 0.8 if holes else np.ones((5, 4), bool)
    kernels = [Matern(0.4, 1.5), SquaredExponential(0.7)]
    model = gp.GridGP(kernels, 0.1, mean=mean, max_iterations=0)
    loo = model.fit([x, t], y, mask if holes else None).leave_one_out()
    for i in zip(*np.nonzero(mask), strict=True):
        without = mask.copy()
        without[i] = False
        fitted = gp.GridGP(kernels, 0.1, mean=mean, max_iterations=0).fit([x, t], y, without)
        m, s = fitted.predict([[x[i[0]], t[i[1]]]], return_std=True)
        total = np.sqrt(s[0] ** 2 + 0.1)
        assert loo.mean[i] == pytest.approx(m[0], abs=1e-9)
        assert loo.std[i] == pytest.approx(total, rel=1e-9)
        assert loo.log_density[i] == pytest.approx(stats.norm(m[0], total).logpdf(y[i]), rel=1e-8)
    np.testing.assert_array_equal(np.isnan(loo.std), ~mask)


@pytest.mark.parametrize("holes", [False, True])
def test_draws_have_the_posterior_s_moments(holes: bool) -> None:
    rng = np.random.default_rng(8)
    x, t = X[:5], T[:4]
    y = rng.normal(size=(2, 5, 4))
    mask = rng.uniform(size=y.shape) < 0.7 if holes else np.ones(y.shape, bool)
    kernels = [Matern(0.4, 2.5), SquaredExponential(0.7)]
    model = gp.GridGP(kernels, 0.1, mean="constant", max_iterations=0)
    model.fit([x, t], y, mask if holes else None)
    grids = [np.array([0.05, 0.25]), np.array([-0.1, t[1], 2.5])]
    draws = model.sample(20_000, grids, 3)
    assert draws.shape == (20_000, 2, 2, 3)
    new = points_of(grids)
    for b in range(2):
        seen = mask[b].reshape(-1)
        points = points_of([x, t])[seen]
        dense = Dense(kernels, points, y[b].reshape(-1)[seen], 0.1, np.ones((1, len(points))))
        expected, both = dense.predict(new, np.ones((1, 6)))
        found = draws[:, b].reshape(20_000, 6)
        errors = np.sqrt(np.diag(both) / 20_000)
        assert (np.abs(found.mean(axis=0) - expected) < 5 * errors).all()
        scale = np.sqrt(np.outer(np.diag(both), np.diag(both)))
        assert (np.abs(np.cov(found.T) - both) < 5 * np.sqrt(2 / 20_000) * scale).all()
    again = model.sample(2, rng=5)
    assert again.shape == (2, 2, 5, 4)
    np.testing.assert_array_equal(again, model.sample(2, rng=5))


def test_too_few_iterations_are_an_error() -> None:
    with pytest.raises(ConvergenceError, match="after 1 iterations"):
        gp.GridGP(Matern(50.0), max_iterations=1).fit([X, T], data(9))


def test_restarts_leave_a_local_optimum() -> None:
    rng = np.random.default_rng(10)
    x = np.linspace(0, 10, 60)
    y = np.sin(3 * x) + 0.1 * rng.normal(size=60)
    # From so long a length-scale everything is noise, and uphill is to stay so.
    start = SquaredExponential(30.0)
    once = gp.GridGP(start, 1.0).fit([x], y)
    often = gp.GridGP(start, 1.0, restarts=8).fit([x], y)
    assert once.noise_ > 0.3
    assert often.noise_ == pytest.approx(0.01, rel=0.5)
    assert often.log_marginal_likelihood_ > once.log_marginal_likelihood_ + 30
    assert often.info_.starts[0] == pytest.approx(once.log_marginal_likelihood_)
    assert len(often.info_.starts) == 9
    again = gp.GridGP(start, 1.0, restarts=8).fit([x], y)
    assert again.log_marginal_likelihood_ == often.log_marginal_likelihood_


def test_bounds_hold_and_are_reported() -> None:
    y = np.sin(6 * X)[:, None] * np.cos(T) + 0.01 * data(11)
    kernels = [
        SquaredExponential(0.05, lengthscale_bounds=(0.01, 0.1)),
        SquaredExponential(0.5, lengthscale_bounds=None, variance_bounds=None),
    ]
    model = gp.GridGP(kernels, 0.1, noise_bounds=(0.05, 1.0)).fit([X, T], y)
    first, second = model.kernels_
    assert first.lengthscale == pytest.approx(0.1, rel=1e-12)  # type: ignore[attr-defined]
    assert second.lengthscale == 0.5  # type: ignore[attr-defined]
    assert model.noise_ == pytest.approx(0.05, rel=1e-12)
    assert model.info_.at_bounds == ("kernels[0].lengthscale", "noise")
    # What was found may be where another search begins, bounds and all.
    again = gp.GridGP(model.kernels_, model.noise_, noise_bounds=(0.05, 1.0)).fit([X, T], y)
    assert again.log_marginal_likelihood_ == pytest.approx(model.log_marginal_likelihood_)
