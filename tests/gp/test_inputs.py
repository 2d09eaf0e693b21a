"""What strangers hand over: every public function of the models, every kind of array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from fourfold import gp
from fourfold.errors import ConvergenceError, NotPositiveDefiniteError
from fourfold.gp._variance import checked_variance
from fourfold.gp.kernels import Matern, SpectralMixture, SquaredExponential

Array = np.ndarray

RNG = np.random.default_rng(0)
# Eighths: the same numbers in float32.
X = np.arange(6) / 8
T = np.array([0.0, 0.25, 0.375, 1.0, 1.5])
Y = np.round(8 * RNG.normal(size=(6, 5))) / 8
NEW = np.round(8 * RNG.uniform(size=(4, 2))) / 8
INDICES = np.round(8 * RNG.uniform(0, 4, size=(40, 2))) / 8
VALUES = np.round(8 * np.cos(INDICES[:, 0]) * (1 + INDICES[:, 1])) / 8


def grid() -> gp.GridGP:
    return gp.GridGP(Matern(0.5), 0.1, max_iterations=0)


def series() -> gp.StateSpaceGP:
    return gp.StateSpaceGP(Matern(0.5), noise=0.1, max_iterations=0)


def tensor_model() -> gp.FunBaT:
    return gp.FunBaT(1, restarts=1, tolerance=1e-2)


FITTED: dict[str, Any] = {
    "grid": grid().fit([X, T], Y),
    "series": series().fit(T, Y[0]),
    "tensor": tensor_model().fit(INDICES, VALUES),
}


@dataclass(frozen=True)
class Entry:
    """An argument of a public function: its name in messages, a good value, and what the function makes of it."""

    name: str
    good: Array
    call: Callable[[Any], Any]
    answers_in_kind: bool = True


ENTRIES = {
    "kernel": Entry("x", X, lambda x: Matern(0.5)(x)),
    "kernel, second": Entry("y", X, lambda y: SquaredExponential(0.5)(T, y), False),
    "jet": Entry("lag", Y, lambda z: SpectralMixture([1.0], [0.5], [1.0]).jet(z, [0, 2])),
    "pull_back": Entry(
        "cotangent", Y[None], lambda c: Matern(0.5).pull_back(Y, [0], c), answers_in_kind=False
    ),
    "lengthscales": Entry(
        "lengthscales", X + 1, lambda v: SpectralMixture(X + 1, v, X)(T), answers_in_kind=False
    ),
    "grids": Entry("grids[0]", X, lambda x: grid().fit([x, T], Y).predict(NEW), False),
    "grid y": Entry("y", Y, lambda y: grid().fit([X, T], y).predict(NEW.tolist())),
    "grid noise": Entry(
        "noise",
        1 + Y**2,
        lambda s: gp.GridGP(Matern(0.5), s, max_iterations=0).fit([X, T], Y).predict(NEW),
        False,
    ),
    "grid points": Entry("points", NEW, lambda x: FITTED["grid"].predict(x)),
    "predict_grid": Entry(
        "grids[1]", T + 0.125, lambda t: FITTED["grid"].predict_grid([X, t]), False
    ),
    "series t": Entry("t", T, lambda t: series().fit(t, Y[0]).predict(X), False),
    "series y": Entry("y", Y, lambda y: series().fit(T, y).predict(X.tolist())),
    "series noise": Entry(
        "noise",
        T + 1,
        lambda s: gp.StateSpaceGP(Matern(0.5), noise=s).fit(T, Y[0]).predict(X),
        False,
    ),
    "series new": Entry("t", X, lambda t: FITTED["series"].predict(t, return_std=True)[1]),
    "indices": Entry(
        "indices", INDICES, lambda x: tensor_model().fit(x, VALUES).predict(NEW), False
    ),
    "values": Entry("values", VALUES, lambda y: tensor_model().fit(INDICES, y).predict(NEW), False),
    "tensor new": Entry("indices", NEW, lambda x: FITTED["tensor"].predict(x, return_std=True)[1]),
    "factors": Entry("t", X, lambda t: FITTED["tensor"].factors(1, t)),
}


def as_numpy(given: Any) -> Array:
    return given.resolve_neg().numpy() if isinstance(given, torch.Tensor) else np.asarray(given)


def read_only(array: Array) -> Array:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


KINDS: dict[str, Callable[[Array], Any]] = {
    "list": lambda a: a.tolist(),
    "float32": lambda a: a.astype(np.float32),
    "big-endian": lambda a: a.astype(">f8"),
    "read-only": read_only,
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards in memory": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "Fortran order": np.asfortranarray,
    "unaligned": lambda a: (
        np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(np.float64).reshape(a.shape)
    ),
    "tensor": torch.from_numpy,
    "float32 tensor": lambda a: torch.from_numpy(a.astype(np.float32)),
    "negated view": lambda a: torch._neg_view(torch.from_numpy(-a)),
    "transposed tensor": lambda a: torch.from_numpy(a.T.copy()).T if a.ndim == 2 else torch.from_numpy(a),
}  # fmt: skip

REFUSED: dict[str, tuple[Callable[[Array], Any], type[Exception] | tuple[type[Exception], ...], str]] = {
    "complex": (lambda a: a + 0j, TypeError, "expected real numbers, got complex128"),
    "complex tensor": (lambda a: torch.from_numpy(a) + 0j, TypeError, "expected real numbers"),
    "objects": (lambda a: a.astype(object), TypeError, "expected real numbers, got object"),
    "text": (lambda a: a.astype(str), TypeError, "expected real numbers, got <U"),
    "booleans": (lambda a: a > 0, TypeError, "expected real numbers, got bool"),
    "long double": (lambda a: a.astype(np.longdouble), TypeError, "expected at most 64 bits"),
    "masked": (np.ma.array, TypeError, "masked array"),
    "ragged": (lambda a: [[0.0], [1.0, 2.0]], ValueError, "expected an array of numbers"),
    "with a gradient": (lambda a: torch.from_numpy(a).requires_grad_(), TypeError, "requires a gradient"),
    "sparse": (lambda a: torch.from_numpy(a).to_sparse(), TypeError, "expected a dense tensor"),
    "elsewhere": (lambda a: torch.from_numpy(a).to("meta"), NotImplementedError, "no kernels for meta"),
    "None": (lambda a: None, TypeError, "expected real numbers, got object"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("entry", ENTRIES)
def test_the_same_numbers_in_any_form(entry: str, kind: str) -> None:
    one = ENTRIES[entry]
    expected = one.call(one.good.copy())
    given = KINDS[kind](one.good.copy())
    before = as_numpy(given).copy()
    found = one.call(given)
    assert isinstance(found, torch.Tensor) == (
        isinstance(given, torch.Tensor) and one.answers_in_kind
    )
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    assert np.asarray(found).dtype == np.float64
    np.testing.assert_array_equal(as_numpy(given), before)


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_no_array_of_real_numbers_is_refused_by_name(entry: str, kind: str) -> None:
    one = ENTRIES[entry]
    make, error, message = REFUSED[kind]
    if kind == "None" and entry == "kernel, second":
        pytest.skip("None stands for x there")
    with pytest.raises(error, match=message) as caught:
        one.call(make(one.good))
    assert str(caught.value).startswith(one.name)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("entry", ENTRIES)
def test_nan_and_infinity_are_refused_by_name(entry: str, bad: float) -> None:
    one = ENTRIES[entry]
    if entry == "pull_back":
        pytest.skip("a cotangent may be what it is")
    given = one.good.copy()
    given.flat[-1] = bad
    with pytest.raises(ValueError, match=r"NaN|finite|infin") as caught:
        one.call(given)
    assert str(caught.value).startswith(one.name)


def test_a_model_keeps_no_hold_on_the_caller_s_arrays() -> None:
    grids, y, mask = [X.copy(), T.copy()], Y.copy(), Y > -1
    noise = 0.1 + Y**2
    model = gp.GridGP(Matern(0.5), noise, max_iterations=0).fit(grids, y, mask)
    t, values = T.copy(), Y[0].copy()
    line = series().fit(t, values)
    x, entries = INDICES.copy(), VALUES.copy()
    product = tensor_model().fit(x, entries)
    before = model.predict(NEW), model.predict_grid(), line.predict(X), product.predict(NEW)
    for array in (*grids, y, noise, t, values, x, entries):
        array[...] = 7
    mask[...] = False
    after = model.predict(NEW), model.predict_grid(), line.predict(X), product.predict(NEW)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: series().fit(T, Y[0]).log_marginal_likelihood([0.0]), r"theta: expected shape \(3,\)"),
        (lambda: series().log_marginal_likelihood([0.0]), "log_marginal_likelihood: call fit first"),
        (lambda: gp.StateSpaceGP(Matern(), max_iterations=-1), "max_iterations: expected an integer"),
        (lambda: gp.StateSpaceGP(Matern(), max_iterations=2.5), "max_iterations: expected an integer"),  # type: ignore[arg-type]
        (lambda: gp.StateSpaceGP(Matern(), mean=np.nan), "mean: expected a finite number"),
        (lambda: gp.StateSpaceGP(Matern()).fit(T, Y[0], observed=np.zeros(5, bool)), "y: nothing to learn from"),
        (lambda: gp.StateSpaceGP(Matern()).fit([], []), "y: nothing to learn from"),
        (lambda: gp.StateSpaceGP(Matern(1e-7)).fit(T, Y[0]), "lengthscale: the search starts outside"),
        (lambda: gp.StateSpaceGP(Matern(), noise=1e-12).fit(T, Y[0]), "noise: the search starts outside"),
        (lambda: series().fit(0.0, 0.0), r"t: expected a vector of finite numbers, got shape \(\)"),
        (lambda: gp.GridGP(Matern(1e-7), 0.1).fit([X, T], Y), r"kernels\[0\].lengthscale: the search starts"),
        (lambda: gp.GridGP(Matern(), 1e-12).fit([X, T], Y), "noise: the search starts outside"),
        (lambda: gp.FunBaT(1, kernel=Matern(1e-7)).fit(INDICES, VALUES), r"kernel\[0\].lengthscale: the search"),
        (lambda: gp.FunBaT(1, restarts=2.5), "restarts: expected an integer"),  # type: ignore[arg-type]
        (lambda: gp.FunBaT(1, noise="0.1"), "noise: expected a positive number, got '0.1'"),  # type: ignore[arg-type]
        (lambda: gp.FunBaT(1, noise_prior=1.0), "noise_prior: expected two positive numbers, got 1.0"),  # type: ignore[arg-type]
        (lambda: FITTED["tensor"].factors(0.5, X), "mode: expected an integer"),
        (lambda: Matern(lengthscale_bounds="fixed"), "bounds of lengthscale: expected 0 < low < high"),  # type: ignore[arg-type]
        (lambda: Matern(lengthscale_bounds=(1.0, 2.0, 3.0)), "bounds of lengthscale: expected"),  # type: ignore[arg-type]
        (lambda: Matern()(X, derivative=1), "derivative: expected two orders, got 1"),  # type: ignore[call-overload]
        (lambda: Matern().jet(X, [0.5]), "orders: expected an integer"),  # type: ignore[list-item]
        (lambda: series().fit(T, Y[0], observed=[True]), r"observed: expected the shape of y, \(5,\)"),
        (lambda: gp.GridGP(Matern(), normalize_y="no"), "normalize_y: expected True or False, got 'no'"),  # type: ignore[arg-type]
        (lambda: grid().fit([X, T], 1e200 * Y), "y: entries of .*, whose squares overflow"),
        (lambda: series().fit(T, 1e200 * Y[0]), "y: entries of .*, whose squares overflow"),
        (lambda: gp.FunBaT(1).fit(INDICES, 1e200 * VALUES), "values: entries of .*, whose squares overflow"),
        (lambda: gp.FunBaT(1).fit(INDICES, 1e-200 * VALUES), "values: at most .*, whose squares vanish"),
        (lambda: FITTED["grid"].log_marginal_likelihood([1e4, 0.0, 0.0, 0.0, 0.0]), "lengthscale: expected finite"),
        (lambda: gp.priors.Gamma("a", 1), "shape: expected a positive number, got 'a'"),  # type: ignore[arg-type]
        (lambda: Matern().jet(X, 2), "orders: expected a list of orders, got 2"),  # type: ignore[call-overload]
    ],
)  # fmt: skip
def test_bad_arguments(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_masks_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"observed: expected bool, True where observed, got int"):
        series().fit(T, Y[0], observed=[1] * 5)
    with pytest.raises(NotImplementedError, match=r"mask: fourfold.gp has no kernels for meta"):
        grid().fit([X, T], Y, torch.ones(6, 5, dtype=torch.bool, device="meta"))
    mask = Y > -1
    for given in (mask.tolist(), torch.from_numpy(mask), np.asfortranarray(mask)):
        found = grid().fit([X, T], Y, given).predict(NEW)
        np.testing.assert_array_equal(found, grid().fit([X, T], Y, mask).predict(NEW))
    assert FITTED["grid"].predict(NEW, derivative=np.array([1, 0])).shape == (4,)


def test_before_a_fit_there_are_no_attributes() -> None:
    for name in ("log_marginal_likelihood_", "info_", "kernels_", "noise_"):
        assert not hasattr(grid(), name)
    assert gp.FunBaT(np.array([2, 3])).rank == (2, 3)  # type: ignore[arg-type]


def test_a_fit_that_fails_leaves_the_model_as_it_was() -> None:
    x = np.linspace(0, 1, 30)
    # Fits the first data; a matrix that is singular to rounding on the other grid.
    model = gp.GridGP(SquaredExponential(0.3), 0.0, noise_bounds=None, max_iterations=0)
    model.fit([X], Y[:, 0])
    before = model.predict([0.3]), model.log_marginal_likelihood_, model.theta_names
    with pytest.raises(NotPositiveDefiniteError):
        model.fit([x], x)
    after = model.predict([0.3]), model.log_marginal_likelihood_, model.theta_names
    assert before == after
    line = gp.StateSpaceGP(Matern(50.0), noise=0.1, max_iterations=0).fit(T, Y[0])
    mean = line.predict([0.3])
    line.max_iterations = 1
    with pytest.raises(ConvergenceError):
        line.fit(np.arange(30.0), RNG.normal(size=30))
    np.testing.assert_array_equal(line.predict([0.3]), mean)


def test_the_rule_for_variances() -> None:
    eps = np.finfo(np.float64).eps
    variance, zeroed = checked_variance(np.array([1.0, -99 * eps, 0.0, -eps, 3 * eps]), 1.0)
    np.testing.assert_array_equal(variance, [1.0, 0.0, 0.0, 0.0, 3 * eps])
    assert zeroed == 2
    for bad in (-101 * eps, np.nan):
        with pytest.raises(NotPositiveDefiniteError, match="a predicted variance is"):
            checked_variance(np.array([1.0, bad]), 1.0)
