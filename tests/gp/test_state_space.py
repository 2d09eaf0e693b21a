"""State-space models against dense Gaussian processes."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import scipy.linalg

import fourfold
from fourfold.errors import ConvergenceError, NotPositiveDefiniteError
from fourfold.gp.kernels import Kernel, Matern, Periodic
from fourfold.gp.series import StateSpaceGP

pytestmark = pytest.mark.isa

KERNELS: dict[str, Kernel] = {
    "1/2": Matern(0.7, 0.5, 1.3),
    "3/2": Matern(0.9, 1.5, 0.8),
    "5/2": Matern(1.1, 2.5, 2.0),
    "1/2 + 5/2": Matern(0.3, 0.5, 0.2) + Matern(2.0, 2.5, 1.5),
    "3/2 + 5/2 + 3/2": Matern(0.3, 1.5, 0.2) + (Matern(2.0, 2.5) + Matern(0.1, 1.5, 0.1)),
}


def irregular_times(rng: np.random.Generator, count: int) -> np.ndarray:
    """Not sorted, with clusters a billionth apart and repeated times."""
    t = rng.uniform(0, 12, count)
    t[1] = t[0]
    t[3] = t[2] + 1e-9
    t[5] = t[4] = t[6]
    t[7] = t[8] + 1e-4
    return t


def dense(
    kernel: Kernel, t: np.ndarray, y: np.ndarray, noise: np.ndarray, new: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log-likelihood, mean and variance by Cholesky."""
    factor = scipy.linalg.cho_factor(kernel(t) + np.diag(noise), lower=True)
    alpha = scipy.linalg.cho_solve(factor, y)
    logdet = 2 * np.log(np.diag(factor[0])).sum()
    likelihood = -0.5 * (y @ alpha + logdet + t.size * np.log(2 * np.pi))
    cross = kernel(new, t)
    reduction = np.einsum("ij,ji->i", cross, scipy.linalg.cho_solve(factor, cross.T))
    return likelihood, cross @ alpha, kernel.variance_at_zero - reduction


@pytest.mark.parametrize("name", list(KERNELS))
@pytest.mark.parametrize("noise_size", [1e-3, 0.3])
def test_equal_to_the_dense_process(name: str, noise_size: float) -> None:
    rng = np.random.default_rng(len(name))
    kernel = KERNELS[name]
    t = irregular_times(rng, 61)
    y = rng.normal(size=61)
    noise = noise_size * rng.uniform(0.5, 2, 61)
    new = np.concatenate([rng.uniform(-3, 15, 20), t[:5]])
    model = StateSpaceGP(kernel, noise=noise, max_iterations=0).fit(t, y)
    likelihood, mean, variance = dense(kernel, t, y, noise, new)
    assert model.log_marginal_likelihood_ == pytest.approx(likelihood, rel=1e-9)
    ours, std = model.predict(new, return_std=True)
    np.testing.assert_allclose(ours, mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(std**2, variance, rtol=0, atol=1e-9)


def test_missing_observations_and_batches() -> None:
    rng = np.random.default_rng(2)
    kernel = KERNELS["3/2 + 5/2 + 3/2"]
    t = np.sort(irregular_times(rng, 40))
    y = rng.normal(size=(3, 40))
    observed = rng.uniform(size=(3, 40)) < 0.7
    observed[1] = False
    y[~observed] = np.nan
    model = StateSpaceGP(kernel, noise=0.1, noise_bounds=None, max_iterations=0, mean=0.5)
    model.fit(t, y, observed=observed)
    new = np.linspace(-1, 13, 17)
    means, stds = model.predict(new, return_std=True)
    total = 0.0
    for row in range(3):
        seen = observed[row]
        likelihood, mean, variance = dense(
            kernel, t[seen], y[row, seen] - 0.5, np.full(seen.sum(), 0.1), new
        )
        total += likelihood
        np.testing.assert_allclose(means[row], mean + 0.5, atol=1e-10)
        np.testing.assert_allclose(stds[row] ** 2, variance, atol=1e-10)
    assert model.log_marginal_likelihood_ == pytest.approx(total, rel=1e-11)


@pytest.mark.parametrize("name", list(KERNELS))
def test_gradient_against_differences_of_the_dense_likelihood(name: str) -> None:
    rng = np.random.default_rng(4)
    t = irregular_times(rng, 30)
    y = rng.normal(size=30)
    model = StateSpaceGP(KERNELS[name], noise=0.2, max_iterations=0).fit(t, y)
    theta = np.append(KERNELS[name].theta, np.log(0.2))
    value, gradient = model.log_marginal_likelihood(theta)
    new = np.zeros(1)

    def of(at: np.ndarray) -> float:
        kernel = KERNELS[name].with_theta(at[:-1])
        return dense(kernel, t, y, np.full(30, np.exp(at[-1])), new)[0]

    assert value == pytest.approx(of(theta), rel=1e-11)
    h = 1e-4
    for i in range(theta.size):
        e = np.zeros(theta.size)
        e[i] = h
        central = (8 * (of(theta + e) - of(theta - e)) - of(theta + 2 * e) + of(theta - 2 * e)) / (
            12 * h
        )
        assert gradient[i] == pytest.approx(central, rel=1e-7, abs=1e-7)


def test_short_steps_keep_their_noise() -> None:
    """100 observations a millionth of a length-scale apart, against 50 digits."""
    rng = np.random.default_rng(5)
    t = np.cumsum(rng.uniform(0.5, 1.5, 40)) * 1e-6
    y = rng.normal(size=40)
    kernel = Matern(1.0, 1.5)
    model = StateSpaceGP(kernel, noise=0.01, noise_bounds=None, max_iterations=0).fit(t, y)
    with mpmath.workdps(50):
        root = mpmath.sqrt(3)
        matrix = mpmath.matrix(40, 40)
        for i in range(40):
            for j in range(40):
                d = root * abs(mpmath.mpf(t[i]) - mpmath.mpf(t[j]))
                matrix[i, j] = (1 + d) * mpmath.exp(-d) + (mpmath.mpf(0.01) if i == j else 0)
        factor = mpmath.cholesky(matrix)
        alpha = mpmath.lu_solve(matrix, mpmath.matrix(y.tolist()))
        logdet = 2 * mpmath.fsum(mpmath.log(factor[i, i]) for i in range(40))
        quadratic = mpmath.fdot(mpmath.matrix(y.tolist()), alpha)
        exact = float(-(quadratic + logdet + 40 * mpmath.log(2 * mpmath.pi)) / 2)
    assert model.log_marginal_likelihood_ == pytest.approx(exact, rel=1e-12)


def test_learns_what_drew_the_data() -> None:
    rng = np.random.default_rng(6)
    t = np.sort(rng.uniform(0, 60, 400))
    true = Matern(1.7, 1.5, 2.0)
    y = np.linalg.cholesky(true(t) + 0.05 * np.eye(400)) @ rng.normal(size=400)
    model = StateSpaceGP(Matern(0.3, 1.5), noise=1.0).fit(t, y)
    theta = np.append(model.kernel_.theta, np.log(model.noise_))
    value, gradient = model.log_marginal_likelihood(theta)
    assert value == model.log_marginal_likelihood_
    assert np.abs(gradient).max() < 0.05
    truth = StateSpaceGP(true, noise=0.05, max_iterations=0).fit(t, y)
    # Twice the gain of three parameters over the truth is chi-square(3): 16.3 is its 99.9 % quantile.
    assert 0 <= 2 * (value - truth.log_marginal_likelihood_) < 16.3
    assert float(model.kernel_.parameters[0].value) == pytest.approx(1.7, rel=0.5)
    assert float(model.noise_) == pytest.approx(0.05, rel=0.5)


def test_same_bits_on_any_number_of_threads_and_inputs_unharmed() -> None:
    rng = np.random.default_rng(7)
    t, y = irregular_times(rng, 50), rng.normal(size=(5, 50))
    before = t.copy(), y.copy()
    found = []
    for threads in (1, 2):
        fourfold.set_num_threads(threads)
        model = StateSpaceGP(KERNELS["5/2"], noise=0.1).fit(t, y)
        found.append(np.stack(model.predict(np.linspace(0, 12, 9), return_std=True)))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(t, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_no_observation_gives_the_prior() -> None:
    model = StateSpaceGP(Matern(1.0, 2.5, 3.0), max_iterations=0).fit([], [])
    assert model.log_marginal_likelihood_ == 0
    mean, std = model.predict([0.0, 100.0], return_std=True)
    np.testing.assert_array_equal(mean, 0)
    np.testing.assert_allclose(std, np.sqrt(3))


def test_largest_state_and_padding() -> None:
    rng = np.random.default_rng(8)
    t, y = np.sort(rng.uniform(0, 5, 20)), rng.normal(size=20)
    for parts in ([2.5, 2.5, 2.5, 2.5], [2.5, 2.5, 0.5], [1.5, 1.5, 0.5]):
        kernel: Kernel = Matern(0.5, parts[0])
        for i, nu in enumerate(parts[1:]):
            kernel = kernel + Matern(1.0 + i, nu, 0.5)
        model = StateSpaceGP(kernel, noise=0.1, max_iterations=0).fit(t, y)
        exact = dense(kernel, t, y, np.full(20, 0.1), t)[0]
        assert model.log_marginal_likelihood_ == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: StateSpaceGP(Periodic()), "kernel: expected a Matern kernel or a sum"),
        (lambda: StateSpaceGP(Matern() * Matern()), "kernel: expected a Matern kernel or a sum"),
        (
            lambda: StateSpaceGP(Matern() + Matern() + Matern() + Matern() + Matern(nu=0.5)),
            "its state has 13 components",
        ),
        (lambda: StateSpaceGP(Matern(), noise=-1.0), "noise: expected"),
        (lambda: StateSpaceGP(Matern(), noise=0.0), "noise: expected a positive number"),
        (lambda: StateSpaceGP(Matern()).fit([0, np.nan], [0, 1]), "t: expected a vector of finite"),
        (lambda: StateSpaceGP(Matern()).fit([0, 1], [0, np.nan]), "y: 1 observed entries are NaN"),
        (lambda: StateSpaceGP(Matern()).fit([0, 1], [0, 1, 2]), r"y: expected shape \(2,\)"),
        (
            lambda: StateSpaceGP(Matern(), noise=[0.1]).fit([0, 1], [0, 1]),
            r"noise: expected a number or shape \(2,\)",
        ),
        (
            lambda: StateSpaceGP(Matern()).fit([0, 1], [0, 1], observed=[True]),
            r"observed: expected the shape of y, \(2,\), got \(1,\)",
        ),
        (lambda: StateSpaceGP(Matern()).predict([0.0]), "predict: call fit first"),
    ],
)
def test_bad_arguments(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_failures_have_names() -> None:
    model = StateSpaceGP(Matern(), noise=0.0, noise_bounds=None, max_iterations=0)
    with pytest.raises(NotPositiveDefiniteError, match=r"observation 2 \(t = 1\)") as caught:
        model.fit([0.0, 1.0, 1.0], [0.0, 1.0, 1.0])
    assert caught.value.pivot == 2
    rng = np.random.default_rng(9)
    with pytest.raises(ConvergenceError, match="after 1 iterations"):
        StateSpaceGP(Matern(50.0), max_iterations=1).fit(np.arange(30.0), rng.normal(size=30))
