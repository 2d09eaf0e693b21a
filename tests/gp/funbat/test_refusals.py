"""Bad arguments are named before any work."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fourfold import gp
from fourfold.gp.kernels import Matern, SquaredExponential

X = np.random.default_rng(0).uniform(size=(20, 2))
Y = X[:, 0] * X[:, 1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gp.FunBaT(0), ValueError, "rank: expected integers from 1 to 32, got 0"),
        (lambda: gp.FunBaT((2, 33)), ValueError, "rank: expected integers"),
        (lambda: gp.FunBaT((2,)), ValueError, "rank: expected one number or 2 to 12"),
        (lambda: gp.FunBaT((9, 9, 9)), ValueError, "core tensor of 729 entries; at most 512"),
        (lambda: gp.FunBaT((2.5, 2)), ValueError, "rank: expected integers"),  # type: ignore[arg-type]
        (lambda: gp.FunBaT(1, kernel=SquaredExponential()), ValueError, "kernel: expected a Matern"),  # type: ignore[arg-type]
        (lambda: gp.FunBaT(1, kernel=[]), ValueError, "kernel: expected .* got none"),
        (lambda: gp.FunBaT(1, noise=0.0), ValueError, "noise: expected a positive number"),
        (lambda: gp.FunBaT(1, noise_prior=(1, -1)), ValueError, "noise_prior: expected two"),
        (lambda: gp.FunBaT(1, noise=1.0, noise_prior=(1, 1)), ValueError, "noise_prior: expected None"),
        (lambda: gp.FunBaT(1, restarts=0), ValueError, "restarts: expected an integer of at least 1, got 0"),
        (lambda: gp.FunBaT(1, max_sweeps=0), ValueError, "max_sweeps: expected an integer of at least 1"),
        (lambda: gp.FunBaT(1, tolerance=float("nan")), ValueError, "tolerance: expected"),
        (lambda: gp.FunBaT(1, mean=np.inf), ValueError, "mean: expected a finite number"),
        (lambda: gp.FunBaT(1).fit(X[:, 0], Y), ValueError, r"indices: expected shape \(N, K\), got \(20,\)"),
        (lambda: gp.FunBaT(1).fit(X[:, :1], Y), ValueError, "indices: expected 2 to 12 columns"),
        (lambda: gp.FunBaT((1, 2, 1)).fit(X, Y), ValueError, r"indices: expected shape \(N, 3\)"),
        (lambda: gp.FunBaT(1).fit(X, Y[:-1]), ValueError, r"values: expected shape \(20,\)"),
        (lambda: gp.FunBaT(1).fit(np.where(X > 0.9, np.nan, X), Y), ValueError, "rows are NaN or infinite"),
        (lambda: gp.FunBaT(1).fit(X, np.where(Y > 0.1, np.nan, Y)), ValueError, "values: .* NaN or infinite"),
        (lambda: gp.FunBaT(1).fit(1e200 * X, Y), ValueError, "indices: .* whose squares overflow"),
        (lambda: gp.FunBaT(1).fit(X.astype(complex), Y), TypeError, "indices: expected real numbers"),
        (lambda: gp.FunBaT(1, mean=2.0).fit(X, np.full(20, 2.0)), ValueError, "all of them equal mean = 2"),
        (lambda: gp.FunBaT(1).fit(X[:0], Y[:0]), ValueError, "values: .* got none"),
        (lambda: gp.FunBaT(1, kernel=[Matern()] * 3).fit(X, Y), ValueError, "expected one or 2 kernels, got 3"),
        (lambda: gp.FunBaT(1).predict(X), ValueError, "predict: call fit first"),
        (lambda: gp.FunBaT(1).noise_, AttributeError, "noise_: call fit first"),
        (lambda: gp.FunBaT(1, restarts=1).fit(X, Y + 1).predict(X[:, :1]), ValueError, r"shape \(N, 2\)"),
        (lambda: gp.FunBaT(1, restarts=1).fit(X, Y + 1).factors(2, [0.0]), ValueError, "mode: expected 0 to 1"),
        (lambda: gp.FunBaT(1, restarts=1).fit(X, Y + 1).factors(0, [np.nan]), ValueError, "t: expected"),
    ],
)  # fmt: skip
def test_bad_arguments(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
