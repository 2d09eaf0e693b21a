"""The rules that all models share: when a search has converged, and what a variance below zero means."""

from __future__ import annotations

import numpy as np
import pytest

from fourfold.errors import ConvergenceError, NotPositiveDefiniteError
from fourfold.gp._maximise import maximise
from fourfold.gp._variance import checked_variance
from fourfold.gp.kernels import Matern, Periodic, RationalQuadratic

EPS = float(np.finfo(float).eps)
BOUNDS = np.array([[-5.0, 5.0], [-5.0, 5.0]])


def bowl(at: np.ndarray) -> tuple[float, np.ndarray]:
    centre = np.array([1.0, -2.0])
    return -float(np.sum((at - centre) ** 2)), -2 * (at - centre)


def test_the_maximum_is_found_and_counted() -> None:
    told: list[int] = []
    found = maximise(
        bowl,
        np.zeros(2),
        BOUNDS,
        count=3,
        max_iterations=50,
        report=lambda iteration, _: told.append(iteration),
    )
    np.testing.assert_allclose(found.theta, [1, -2], atol=1e-7)
    assert found.value == pytest.approx(0, abs=1e-12)
    assert told == list(range(1, found.iterations + 1))
    assert found.refused == 0


def test_a_wall_is_walked_around() -> None:
    def walled(at: np.ndarray) -> tuple[float, np.ndarray]:
        if at[0] > 1.5:
            raise NotPositiveDefiniteError("there", smallest_eigenvalue=-1.0)
        value, gradient = bowl(at)
        return 100 * value, 100 * gradient

    found = maximise(walled, np.array([-4.0, 4.0]), BOUNDS, count=1, max_iterations=50)
    np.testing.assert_allclose(found.theta, [1, -2], atol=1e-5)
    with pytest.raises(NotPositiveDefiniteError):
        maximise(walled, np.array([2.0, 0.0]), BOUNDS, count=1, max_iterations=50)


def test_a_failed_line_search_is_no_convergence() -> None:
    def wrong(at: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = bowl(at)
        return value, -gradient

    with pytest.raises(ConvergenceError, match="line search failed") as caught:
        maximise(wrong, np.zeros(2), BOUNDS, count=1, max_iterations=50)
    assert caught.value.residual > 1
    # It is, where values are estimates that cannot tell.
    found = maximise(wrong, np.zeros(2), BOUNDS, count=1, max_iterations=50, resolution=lambda: 1e3)
    assert found.gain > 1


def test_variances_within_rounding_are_zeroed_and_counted() -> None:
    given = np.array([1.0, -50 * EPS, 0.0, -1e-17])
    variance, zeroed = checked_variance(given, 1.0)
    np.testing.assert_array_equal(variance, [1, 0, 0, 0])
    assert zeroed == 2
    assert given[1] < 0
    for bad in (-300 * EPS, np.nan):
        with pytest.raises(NotPositiveDefiniteError, match="too little noise"):
            checked_variance(np.array([1.0, bad]), 1.0)


def test_parameters_have_names_and_other_values_are_checked() -> None:
    assert Periodic(2.0, 3.0, 4.0).period == 3
    assert RationalQuadratic(2.0, 3.0, 4.0).alpha == 3
    assert repr(Matern(2.0, 0.5)) == "Matern(lengthscale=2, nu=0.5, variance=1)"
    kernel = Matern(2.0, 0.5, lengthscale_bounds=(1e-3, 1e3))
    other = kernel.with_theta([0.0, 1.0])
    assert (other.lengthscale, other.nu, kernel.lengthscale) == (1, 0.5, 2)
    np.testing.assert_array_equal(other.theta_bounds, kernel.theta_bounds)
    with pytest.raises(ValueError, match="lengthscale: expected"):
        kernel.with_theta([-1e4, 0.0])
