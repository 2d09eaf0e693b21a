"""Regression on a grid beside the exact Gaussian processes of scikit-learn and GPyTorch.

python benchmarks/gp.py --only regression    what the peers can do in a minute
python benchmarks/gp.py --only likelihood    one likelihood with its gradient, also where only structure gets

The same model in all three: a product of two squared exponentials, one variance, one noise, maximum marginal likelihood
by L-BFGS-B from the same start; then mean and standard deviation at 500 points off the grid. scikit-learn and GPyTorch
(Cholesky, its iterative ways switched off) see the grid as scattered points. GPyTorch's `GridKernel` knows of the grid, but
has one length-scale for all dimensions.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import torch
from contest import Contestant, Results, ResultTable, number, race, seconds, text, times

from fourfold import gp
from fourfold.gp.kernels import SquaredExponential

THREADS = 2
TRUE = (0.25, 0.4, 1.5, 0.01)  # length-scales, variance, noise
START = (1.0, 1.0, 1.0, 0.1)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """What a contestant found."""

    log_likelihood: float
    mean: Array
    std: Array


def regression(results: Results, rng: np.random.Generator, quick: bool) -> None:
    """Learn hyperparameters, predict."""
    rows = []
    _fit_all(10, rng)  # warm
    for n in (20,) if quick else (20, 30):
        took = _fit_all(n, rng)
        rows.append(
            {
                "grid": f"{n} x {n}",
                **took,
                "beside GPyTorch": took["GPyTorch"] / took["fourfold"],
                "beside scikit-learn": took["scikit-learn"] / took["fourfold"],
            }
        )
    results.add(
        ResultTable(
            key="regression",
            title="Fit and predict at 500 points, 2 threads",
            columns={
                "grid": text,
                "fourfold": seconds,
                "GPyTorch": seconds,
                "scikit-learn": seconds,
                "beside GPyTorch": times,
                "beside scikit-learn": times,
            },
            rows=rows,
            note="The same log marginal likelihood, means and standard deviations from all, checked first.",
        )
    )


def _fit_all(n: int, rng: np.random.Generator) -> dict[str, float]:
    """Seconds of each; once, for the peers take long."""
    grids, y = _data((n, n), rng)
    new = rng.uniform(-0.05, 1.05, (500, 2))
    took, answers = {}, {}
    for name, run in (("fourfold", _fourfold), ("GPyTorch", _gpytorch), ("scikit-learn", _sklearn)):
        began = time.perf_counter()
        answers[name] = run(grids, y, new)
        took[name] = time.perf_counter() - began
    for name, answer in answers.items():
        _compare(name, answer, answers["fourfold"])
    return took


def likelihood(results: Results, rng: np.random.Generator, quick: bool) -> None:
    """Log marginal likelihood and gradient."""
    rows = []
    for n in (20, 30) if quick else (20, 40, 100, 200):
        grids, y = _data((n, n), rng)
        contestants = {
            "fourfold": _fourfold_likelihood(grids, y),
            "GPyTorch, GridKernel": _grid_kernel_likelihood(grids, y),
        }
        if n <= 40:
            contestants["GPyTorch, dense"] = _dense_likelihood(grids, y)
        value, slope = contestants["fourfold"]()
        for name, run in contestants.items():
            theirs = run()
            if not np.allclose(theirs, (value, slope), rtol=1e-6, atol=1e-6 * n * n):
                raise AssertionError(f"{name}: {theirs} instead of {(value, slope)}")
        outcome = race(
            [Contestant(name, run) for name, run in contestants.items()],
            turns=5,
            seconds=0.2,
            threads=THREADS,
        )
        rows.append(
            {
                "grid": f"{n} x {n}",
                **{name: outcome.time(name) for name in contestants},
                "beside GridKernel": outcome.ratio("GPyTorch, GridKernel", "fourfold"),
                "points per second": n * n / outcome.time("fourfold"),
            }
        )
    results.add(
        ResultTable(
            key="likelihood",
            title="Log marginal likelihood and its gradient, 2 threads",
            columns={
                "grid": text,
                "fourfold": seconds,
                "GPyTorch, GridKernel": seconds,
                "GPyTorch, dense": seconds,
                "beside GridKernel": times,
                "points per second": number,
            },
            rows=rows,
            note="Fixed variance, one noise; fourfold with a length-scale for each dimension.",
        )
    )


def _data(sizes: tuple[int, int], rng: np.random.Generator) -> tuple[list[Array], Array]:
    grids = [np.linspace(0, 1, n) for n in sizes]
    first, second, variance, noise = TRUE
    f = gp.Kronecker([SquaredExponential(first)(grids[0]), SquaredExponential(second)(grids[1])])
    values, vectors = zip(*f.eigh(), strict=True)
    roots = [v * np.sqrt(np.maximum(w, 0)) for w, v in zip(values, vectors, strict=True)]
    draw = roots[0] @ rng.standard_normal(sizes) @ roots[1].T
    return grids, math.sqrt(variance) * draw + math.sqrt(noise) * rng.standard_normal(sizes)


def _points(grids: list[Array]) -> Array:
    return np.stack([m.ravel() for m in np.meshgrid(*grids, indexing="ij")], axis=1)


def _fourfold(grids: list[Array], y: Array, new: Array) -> Answer:
    first, second, variance, noise = START
    kernels = [
        SquaredExponential(first, variance),
        SquaredExponential(second, variance_bounds=None),
    ]
    model = gp.GridGP(kernels, noise).fit(grids, y)
    mean, std = model.predict(new, return_std=True)
    return Answer(model.log_marginal_likelihood_, mean, std)


def _sklearn(grids: list[Array], y: Array, new: Array) -> Answer:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    kernel = ConstantKernel(START[2]) * RBF(START[:2]) + WhiteKernel(START[3], (1e-10, 1e6))
    model = GaussianProcessRegressor(kernel).fit(_points(grids), y.ravel())
    mean, std = model.predict(new, return_std=True)
    noise = model.kernel_.k2.noise_level
    return Answer(model.log_marginal_likelihood_value_, mean, np.sqrt(std**2 - noise))


def _gpytorch_model(x: torch.Tensor, y: torch.Tensor, covariance: Any) -> Any:
    import gpytorch

    class Exact(gpytorch.models.ExactGP):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(x, y, gpytorch.likelihoods.GaussianLikelihood())
            self.mean_module = gpytorch.means.ZeroMean()
            self.covar_module = covariance

        def forward(self, at: torch.Tensor) -> Any:
            return gpytorch.distributions.MultivariateNormal(
                self.mean_module(at), self.covar_module(at)
            )

    model = Exact().double()
    model.likelihood.noise = START[3]
    return model


def _exactly() -> Any:
    import gpytorch

    return gpytorch.settings.fast_computations(
        covar_root_decomposition=False, log_prob=False, solves=False
    )


def _gpytorch(grids: list[Array], y: Array, new: Array) -> Answer:
    import gpytorch

    rbf = gpytorch.kernels.RBFKernel(ard_num_dims=2)
    rbf.lengthscale = torch.tensor([START[:2]])
    covariance = gpytorch.kernels.ScaleKernel(rbf)
    covariance.outputscale = START[2]
    x, data = torch.from_numpy(_points(grids)), torch.from_numpy(y.ravel())
    model = _gpytorch_model(x, data, covariance)
    mll = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
    parameters = list(model.parameters())

    def negative(theta: Array) -> tuple[float, Array]:
        torch.nn.utils.vector_to_parameters(torch.from_numpy(theta), parameters)
        loss = -mll(model(x), data)
        slopes = torch.autograd.grad(loss, parameters)
        return float(loss.detach()), torch.cat([s.reshape(-1) for s in slopes]).numpy()

    with _exactly():
        model.train()
        start = torch.nn.utils.parameters_to_vector(parameters).detach().numpy()
        found = scipy.optimize.minimize(
            negative, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-13, "gtol": 1e-8}
        )
        torch.nn.utils.vector_to_parameters(torch.from_numpy(found.x), parameters)
        model.eval()
        with torch.no_grad():
            at = model(torch.from_numpy(new))
            return Answer(-found.fun * y.size, at.mean.numpy(), at.variance.sqrt().numpy())


def _compare(name: str, theirs: Answer, ours: Answer) -> None:
    """Maxima are flat: what is found for the same maximum agrees to a millionth, predictions to the root of that."""
    np.testing.assert_allclose(
        theirs.log_likelihood, ours.log_likelihood, rtol=1e-5, err_msg=f"likelihood of {name}"
    )
    np.testing.assert_allclose(theirs.mean, ours.mean, atol=2e-3, err_msg=f"mean of {name}")
    np.testing.assert_allclose(theirs.std, ours.std, rtol=2e-2, err_msg=f"deviation of {name}")


def _fourfold_likelihood(grids: list[Array], y: Array) -> Callable[[], tuple[float, float]]:
    kernels = [SquaredExponential(0.3, variance_bounds=None) for _ in grids]
    model = gp.GridGP(kernels, START[3], max_iterations=0).fit(grids, y)

    def run() -> tuple[float, float]:
        value, gradient = model.log_marginal_likelihood(model.theta_)
        return value, float(gradient[:2].sum())

    return run


def _dense_likelihood(grids: list[Array], y: Array) -> Callable[[], tuple[float, float]]:
    import gpytorch

    return _likelihood_of(grids, y, gpytorch.kernels.RBFKernel(), lambda kernel: kernel, _exactly)


def _grid_kernel_likelihood(grids: list[Array], y: Array) -> Callable[[], tuple[float, float]]:
    import gpytorch

    def on_grid(kernel: Any) -> Any:
        return gpytorch.kernels.GridKernel(kernel, [torch.from_numpy(g) for g in grids])

    # Its "fast" way is the exact one here: eigendecompositions of the factors.
    return _likelihood_of(
        grids, y, gpytorch.kernels.RBFKernel(), on_grid, gpytorch.settings.fast_computations
    )


def _likelihood_of(
    grids: list[Array],
    y: Array,
    rbf: Any,
    wrapped: Callable[[Any], Any],
    settings: Callable[[], Any],
) -> Callable[[], tuple[float, float]]:
    import gpytorch
    from gpytorch.utils.grid import create_data_from_grid

    rbf.double().lengthscale = 0.3
    x = create_data_from_grid([torch.from_numpy(g) for g in grids])
    # GPyTorch's grid runs in the order of its own points.
    at = [np.searchsorted(g, x[:, k].numpy()) for k, g in enumerate(grids)]
    data = torch.from_numpy(y[tuple(at)])
    model = _gpytorch_model(x, data, wrapped(rbf))
    mll = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
    model.train()
    raw = [model.likelihood.noise_covar.raw_noise, rbf.raw_lengthscale]

    def run() -> tuple[float, float]:
        with settings(), warnings.catch_warnings(), gpytorch.settings.use_toeplitz(False):
            warnings.simplefilter("ignore", DeprecationWarning)
            value = mll(model(x), data) * y.size
            slope = torch.autograd.grad(value, raw)[1]
        # By the logarithm of the length-scale, which is softplus(raw).
        rate = rbf.lengthscale.detach() / torch.sigmoid(rbf.raw_lengthscale.detach())
        return float(value.detach()), float(slope * rate)

    return run
