"""The measurements behind the nlse report, against brute force and independent mathematics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from fourfold.reproduce.nlse import instability, ladder


@pytest.mark.parametrize("k", [0.25, 1.0, np.sqrt(2), 1.9])
def test_linear_growth_from_white_noise(k: float) -> None:
    # u' = (k^2/2) v, v' = (2 - k^2/2) u, integrated for two independent starts of equal variance.
    matrix = np.array([[0, k**2 / 2], [2 - k**2 / 2, 0]])
    ends = [
        solve_ivp(lambda _, y: matrix @ y, (0, 5), start, rtol=1e-11, atol=1e-12).y[0, -1]
        for start in ([1.0, 0.0], [0.0, 1.0])
    ]
    gain = np.array([k / 2 * np.sqrt(4 - k**2)])
    growth = instability._growth(np.array([k]), gain, 5.0)
    assert growth[0] == pytest.approx(ends[0] ** 2 + ends[1] ** 2, rel=1e-8)


def test_jackknife_matches_the_definition() -> None:
    rng = np.random.default_rng(0)
    early = rng.exponential(size=(40, 3))
    late = early * rng.exponential(5.0, size=(40, 3))
    slope, error = instability._jackknife_slope(early, late, 2.0)
    np.testing.assert_allclose(slope, np.log(late.mean(0) / early.mean(0)) / 4)
    without = np.array(
        [
            np.log(np.delete(late, i, 0).mean(0) / np.delete(early, i, 0).mean(0)) / 4
            for i in range(40)
        ]
    )
    expected = np.sqrt(39 / 40 * np.sum((without - without.mean(0)) ** 2, axis=0))
    np.testing.assert_allclose(error, expected)


def test_the_fitted_order_of_a_power_law_with_a_floor() -> None:
    steps = 0.1 / np.sqrt(2) ** np.arange(20)
    runs = ladder.Ladder(steps, 3.0 * steps**4 + 1e-13, 100 / steps)
    assert runs.order() == pytest.approx(4, abs=0.1)
    # error = 3 h^4 at 100/h transforms.
    assert runs.transforms_for(1e-6) == pytest.approx(100 * (3e6) ** 0.25, rel=0.02)
    assert np.isnan(runs.transforms_for(1e-14))


def test_an_order_needs_three_points() -> None:
    runs = ladder.Ladder(np.array([0.1, 0.05]), np.array([1e-5, 1e-6]), np.array([1.0, 2.0]))
    assert np.isnan(runs.order())
