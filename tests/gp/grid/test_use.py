"""Kinds of arrays, files, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from fourfold import gp
from fourfold.errors import (
    DamagedFileError,
    NotPositiveDefiniteError,
    NotSavableError,
)
from fourfold.gp.kernels import Kernel, Matern, Periodic, SpectralMixture, SquaredExponential
from fourfold.gp.priors import Gamma, LogNormal

X, T = np.linspace(0, 1, 6), np.array([0.0, 0.3, 0.4, 0.9, 1.6])
Y = np.random.default_rng(0).normal(size=(6, 5))


def test_the_kind_that_went_in_comes_out_and_nothing_is_changed() -> None:
    mask = np.random.default_rng(1).uniform(size=Y.shape) < 0.8
    given = [X.copy(), T.copy(), Y.copy(), mask.copy()]
    model = gp.GridGP(Matern(0.5), 0.1, mean="constant", max_iterations=0)
    model.fit([X, T], Y, mask)
    new = np.random.default_rng(2).uniform(size=(3, 2))
    ours = model.predict(new, return_std=True)
    for before, after in zip(given, [X, T, Y, mask], strict=True):
        np.testing.assert_array_equal(before, after)
    tensors = gp.GridGP(Matern(0.5), 0.1, mean="constant", max_iterations=0).fit(
        [torch.from_numpy(X), T.tolist()], torch.from_numpy(Y), torch.from_numpy(mask)
    )
    theirs = tensors.predict(torch.from_numpy(new), return_std=True)
    for one, other in zip(ours, theirs, strict=True):
        assert isinstance(one, np.ndarray)
        assert isinstance(other, torch.Tensor)
        np.testing.assert_array_equal(one, other.numpy())
    assert isinstance(tensors.predict_grid(), torch.Tensor)
    assert isinstance(tensors.sample(2, rng=torch.Generator().manual_seed(0)), torch.Tensor)
    assert isinstance(tensors.leave_one_out().std, torch.Tensor)
    assert isinstance(tensors.predict(new), np.ndarray)
    # Other layouts, precisions and byte orders of the same numbers.
    for other_y in (np.asfortranarray(Y), Y.astype(">f8"), np.repeat(Y, 2, axis=1)[:, ::2]):
        again = gp.GridGP(Matern(0.5), 0.1, max_iterations=0).fit([X, T], other_y)
        plain = gp.GridGP(Matern(0.5), 0.1, max_iterations=0).fit([X, T], Y)
        np.testing.assert_array_equal(again.predict(new), plain.predict(new))
    single = gp.GridGP(Matern(0.5), 0.1, max_iterations=0).fit([X, T], Y.astype(np.float32))
    assert single.predict(new).dtype == np.float64


def test_one_dimension_and_one_point() -> None:
    model = gp.GridGP(Matern(0.5), 0.1, max_iterations=0).fit([X], Y[:, 0])
    np.testing.assert_array_equal(model.predict([0.3, 0.4]), model.predict([[0.3], [0.4]]))
    assert model.predict(np.empty((0, 1)), return_std=True)[1].shape == (0,)
    one = gp.GridGP([Matern(0.5, variance=2.0)] * 2, 0.5, max_iterations=0)
    one.fit([[1.0], [2.0]], [[3.0]])
    mean, std = one.predict([[1.0, 2.0]], return_std=True)
    assert mean[0] == pytest.approx(3 * 4 / 4.5)
    assert std[0] ** 2 == pytest.approx(4 * 0.5 / 4.5)


def test_six_dimensions_learn() -> None:
    rng = np.random.default_rng(3)
    grids = [np.linspace(0, 1, n) for n in (3, 2, 4, 2, 3, 2)]
    y = rng.normal(size=(3, 2, 4, 2, 3, 2))
    kernels: list[Kernel] = [Matern(1.0), *[Matern(1.0, variance_bounds=None) for _ in range(5)]]
    model = gp.GridGP(kernels, 0.5).fit(grids, y)
    _, gradient = model.log_marginal_likelihood(model.theta_)
    assert len(model.kernels_) == 6
    low, high = np.array([k.theta_bounds for k in model.kernels_[1:]])[:, 0].T
    inside = (model.theta_[2:7] > low) & (model.theta_[2:7] < high)
    assert np.abs(gradient[2:7][inside]).max(initial=0) < 0.1


def test_variances_far_below_the_noise_s_reach_are_sums_of_squares() -> None:
    x = np.linspace(0, 1, 40)
    model = gp.GridGP(SquaredExponential(0.3), 1e-10, noise_bounds=None, max_iterations=0)
    model.fit([x], np.sin(6 * x))
    std, info = model.predict_grid(return_std=True, return_info=True)[1:]
    assert info.ways == ("sums of squares",)
    assert info.zeroed == 0
    # What n observations leave: at least noise k/(n k + noise), at most the noise.
    assert (std**2 >= 1e-10 / 41).all()
    assert (std**2 <= 1e-10).all()


def test_variances_within_rounding_are_counted() -> None:
    x = np.linspace(0, 1, 60)
    model = gp.GridGP(SquaredExponential(0.3), 1e-14, noise_bounds=None, max_iterations=0)
    model.fit([x], np.sin(6 * x))
    new = np.linspace(0.001, 0.99, 200)
    std, info = model.predict(new, return_std=True, return_info=True)[1:]
    assert info.ways == ("differences",)
    assert info.zeroed <= np.count_nonzero(std == 0)
    assert np.isfinite(std).all()
    assert std.max() < 1e-6


def test_variances_that_rounding_took_below_zero_are_zero_and_counted() -> None:
    x = np.linspace(0, 1, 7)
    model = gp.GridGP(Matern(0.5, 1.5), 1e-16, noise_bounds=None, max_iterations=0)
    model.fit([x, x[:5]], np.zeros((7, 5)))
    rng = np.random.default_rng(0)
    # A billionth beside the nodes: the truth is some 1e-16, far below what a difference of ones can tell.
    new = np.stack([rng.choice(x, 300) + 1e-9, rng.choice(x[:5], 300)], axis=1)
    _, std, info = model.predict(new, return_std=True, return_info=True)
    assert 0 < info.zeroed <= np.count_nonzero(std == 0)
    assert std.max() < 1e-7
    assert model.predict(new, return_info=True)[1].ways == ()


def test_a_file_holds_the_model(tmp_path: Path) -> None:
    mask = np.random.default_rng(4).uniform(size=(2, 6, 5)) < 0.8
    kernels: list[Kernel] = [
        Matern(0.5, 1.5) * Periodic(1.0) + SpectralMixture([1.0, 0.5], [0.2, 0.3], [0.0, 2.0]),
        Matern(0.7, variance_bounds=None),
    ]
    model = gp.GridGP(
        kernels,
        0.3,
        mean="linear",
        normalize_y=True,
        priors={"noise": Gamma(2.0, 1.0), "kernels[1].lengthscale": LogNormal(0.5, 1.0)},
        max_iterations=200,
    )
    model.fit([X, T], np.stack([Y, Y[::-1]]), mask)
    path = tmp_path / "a model"
    model.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a model"]
    again = gp.GridGP.load(path)
    new = np.random.default_rng(5).uniform(size=(3, 2))
    for one, other in (
        (model.predict(new, return_std=True), again.predict(new, return_std=True)),
        (model.sample(2, rng=1), again.sample(2, rng=1)),
        (model.log_marginal_likelihood(model.theta_), again.log_marginal_likelihood(model.theta_)),
    ):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert again.info_ == model.info_
    assert again.theta_names == model.theta_names
    assert repr(again.kernels_) == repr(model.kernels_)
    assert again.priors == model.priors
    assert repr(again.kernels) == repr(kernels)
    # Fitted again it finds what the first one found.
    data = np.stack([Y, Y[::-1]])
    assert again.fit([X, T], data, mask).log_marginal_likelihood_ == model.log_marginal_likelihood_


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    model = gp.GridGP(Matern(0.5), 0.1, max_iterations=0).fit([X, T], Y)
    model.save(tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    rng = np.random.default_rng(6)
    for k in range(30):
        changed = bytearray(content)
        if k % 2:
            changed = changed[: rng.integers(len(content))]
        else:
            changed[rng.integers(len(content))] ^= 0xFF
        (tmp_path / "damaged").write_bytes(changed)
        try:
            found = gp.GridGP.load(tmp_path / "damaged")
        except DamagedFileError:
            continue
        # A flipped byte of a zip archive that means nothing (a date, say).
        np.testing.assert_array_equal(found.predict_grid(), model.predict_grid())
    np.savez(tmp_path / "other.npz", a=np.arange(3))
    with pytest.raises(DamagedFileError, match="not a complete file"):
        gp.GridGP.load(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        gp.GridGP.load(tmp_path / "none")


def test_what_no_file_can_hold(tmp_path: Path) -> None:
    class Mine(Matern):
        pass

    for model in (
        gp.GridGP(Matern(), mean=[lambda x: x[:, 0]], max_iterations=0),
        gp.GridGP(Mine(), max_iterations=0),
    ):
        with pytest.raises(NotSavableError):
            model.fit([X, T], Y).save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def fit(y: Any = Y, mask: Any = None, grids: Any = (X, T), **options: Any) -> gp.GridGP:
    return gp.GridGP(Matern(0.5), 0.1, max_iterations=0, **options).fit(grids, y, mask)


def with_nan() -> Any:
    y = Y.copy()
    y[0, 0] = np.nan
    return y


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: gp.GridGP([]), TypeError, "kernels: expected a list of kernels"),
        (
            lambda: gp.GridGP(cast("Any", "Matern")),
            TypeError,
            "kernels: expected a list of kernels",
        ),
        (lambda: gp.GridGP(Matern(), -1.0), ValueError, "noise: expected a finite variance"),
        (lambda: gp.GridGP(Matern(), 0.0), ValueError, "noise: expected a positive number"),
        (lambda: gp.GridGP(Matern(), mean="cubic"), ValueError, "mean: expected 'constant'"),
        (lambda: gp.GridGP(Matern(), mean=None), TypeError, "mean: expected 'constant'"),
        (lambda: gp.GridGP(Matern(), mean=1.0, normalize_y=True), ValueError, "normalize_y: goes"),
        (lambda: gp.GridGP(Matern(), restarts=-1), ValueError, "restarts: expected an integer"),
        (
            lambda: gp.GridGP(Matern(), priors={"noise": 1.0}),  # type: ignore[dict-item]
            TypeError,
            r"priors\['noise'\]",
        ),
        (
            lambda: fit(priors={"noise": Gamma(1, 1), "lengthscale": Gamma(1, 1)}),
            ValueError,
            r"priors: 'lengthscale' is not a free hyperparameter; these are kernels\[0\]",
        ),
        (lambda: Gamma(-1, 1), ValueError, "shape: expected a positive number"),
        (lambda: fit(grids=X), TypeError, r"grids: expected a list of vectors.*in one dimension"),
        (lambda: fit(grids=[X]), ValueError, r"y: expected shape \(..., 6\) as the grids"),
        (lambda: fit(grids=[X, T[:4]]), ValueError, r"y: expected shape \(..., 6, 4\)"),
        (lambda: fit(grids=[X[::-1], T]), ValueError, r"grids\[0\].*decreases at entry 1"),
        (lambda: fit(grids=[X, T[[0, 1, 1, 3, 4]]]), ValueError, r"grids\[1\].*repeats entry 2"),
        (lambda: fit(grids=[X, T * np.nan]), ValueError, r"grids\[1\].*NaN or infinity"),
        (lambda: fit(grids=[X, []], y=Y[:, :0]), ValueError, r"grids\[1\]: expected a vector"),
        (lambda: fit(with_nan()), ValueError, r"y: 1 entries are NaN or infinite; give mask="),
        (lambda: fit(Y > 0), TypeError, "y: expected real numbers, got bool"),
        (lambda: fit(Y + 0j), TypeError, "y: expected real numbers, got complex128"),
        (lambda: fit(np.ma.masked_less(Y, 0)), TypeError, "y: this is a masked array"),
        (
            lambda: fit(torch.from_numpy(Y).requires_grad_()),
            TypeError,
            "y: this tensor requires a gradient",
        ),
        (lambda: fit(mask=Y), TypeError, "mask: expected bool"),
        (lambda: fit(mask=Y[0] > 0), ValueError, "mask: expected the shape of the grid"),
        (lambda: fit(mask=np.zeros(Y.shape, bool)), ValueError, "mask: no point is observed"),
        (
            lambda: gp.GridGP([Matern()] * 3).fit([X, T], Y),
            ValueError,
            "grids: expected 3 vectors as there are kernels, got 2",
        ),
        (
            lambda: gp.GridGP(Matern(), np.ones(3)).fit([X, T], Y),
            ValueError,
            "noise: expected a number or the shape of the grid",
        ),
        (
            lambda: fit(mean=[lambda x: x[:, 0], lambda x: 2 * x[:, 0]]),
            ValueError,
            "mean: its 2 functions are linearly dependent",
        ),
        (lambda: fit(mean=[lambda x: x]), ValueError, r"mean\[0\]: expected 30 finite numbers"),
        (
            lambda: fit(mean="linear", grids=[[0.0], [1.0]], y=[[1.0]]),
            ValueError,
            "mean: 3 functions need more observations than 1",
        ),
        (lambda: gp.GridGP(Matern()).predict([[0.0]]), ValueError, "predict: call fit first"),
        (lambda: fit().predict([0.0, 1.0]), ValueError, r"points: expected shape \(m, 2\)"),
        (lambda: fit().predict([[0.0, np.nan]]), ValueError, "points: expected finite numbers"),
        (
            lambda: fit().predict([[0.0, 1.0]], derivative=(1,)),
            ValueError,
            "derivative: expected 2",
        ),
        (
            lambda: fit(mean=[lambda x: x[:, 0]]).predict([[0.0, 1.0]], derivative=(1, 0)),
            ValueError,
            "derivative: those of the functions in mean are not known",
        ),
        (lambda: fit().predict_grid([X]), ValueError, "grids: expected 2 vectors, got 1"),
        (lambda: fit().sample(0), ValueError, "n: expected an integer of at least 1"),
        (lambda: fit().log_marginal_likelihood([0.0]), ValueError, "theta: expected shape"),
    ],
)
def test_bad_arguments(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_a_singular_covariance_has_a_name() -> None:
    x = np.linspace(0, 1, 30)
    model = gp.GridGP(SquaredExponential(5.0), 0.0, noise_bounds=None, max_iterations=0)
    with pytest.raises(NotPositiveDefiniteError, match=r"factors\[0\]"):
        model.fit([x], x)
    mask = np.ones(30, bool)
    mask[3] = False
    with pytest.raises(NotPositiveDefiniteError, match="observed points"):
        model.fit([x], x, mask)
