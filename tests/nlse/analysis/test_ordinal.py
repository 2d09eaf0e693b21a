"""Ordinal patterns against sorting window by window; the H-C plane against its definition."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fourfold
from fourfold import nlse
from fourfold.nlse import analysis

pytestmark = pytest.mark.isa

# Of the wrong type; Any, so that the type checker lets it through.
FLOAT: Any = 3.0


def by_sorting(series: npt.NDArray[Any], order: int, delay: int) -> Counter[tuple[int, ...]]:
    """How often each ranking occurs: a stable sort of each window, one after the other."""
    found: Counter[tuple[int, ...]] = Counter()
    for i in range(len(series) - (order - 1) * delay):
        window = [series[i + j * delay] for j in range(order)]
        places = sorted(range(order), key=lambda j: (window[j], j))
        found[tuple(places.index(j) for j in range(order))] += 1
    return found


@settings(deadline=None, max_examples=60)
@given(
    st.integers(3, 7), st.integers(1, 5), st.integers(0, 90), st.integers(0, 2**32), st.booleans()
)
def test_counts_are_those_of_sorting(
    order: int, delay: int, more: int, seed: int, ties: bool
) -> None:
    rng = np.random.default_rng(seed)
    n = (order - 1) * delay + 1 + more
    series = rng.integers(0, 4, size=n).astype(float) if ties else rng.normal(size=n)
    counts = analysis.ordinal_counts(series, order, delay)
    ranks = analysis.ordinal_patterns(order)
    assert counts.shape == (math.factorial(order),)
    assert counts.sum() == more + 1
    found = {tuple(r): c for r, c in zip(ranks.tolist(), counts.tolist(), strict=True) if c}
    assert found == dict(by_sorting(series, order, delay))


@pytest.mark.parametrize("order", range(3, 8))
def test_every_pattern_has_its_own_index(order: int) -> None:
    ranks = analysis.ordinal_patterns(order)
    assert len({tuple(row) for row in ranks.tolist()}) == math.factorial(order)
    counts = analysis.ordinal_counts(ranks, order)
    np.testing.assert_array_equal(counts, np.eye(math.factorial(order), dtype=np.int64))


@pytest.mark.parametrize("order", [3, 6, 7])
def test_long_series_cross_the_blocks_of_the_kernel(order: int) -> None:
    rng = np.random.default_rng()
    series = rng.normal(size=5003)
    counts = analysis.ordinal_counts(series, order, 3)
    # The same windows in pieces that overlap by a window less one.
    cut, reach = 2717, (order - 1) * 3
    pieces = series[: cut + reach], series[cut:]
    np.testing.assert_array_equal(
        counts, sum(analysis.ordinal_counts(piece, order, 3) for piece in pieces)
    )
    assert counts.sum() == 5003 - reach


def test_the_example_of_bandt_and_pompe() -> None:
    series = np.array([4, 7, 9, 10, 6, 11, 3])
    bits = analysis.permutation_entropy(series, 3, normalize=False) / math.log(2)
    assert bits == pytest.approx(-2 * 2 / 5 * math.log2(2 / 5) - 1 / 5 * math.log2(1 / 5))
    assert round(float(bits), 3) == 1.522


def test_of_equal_values_the_earlier_is_the_smaller() -> None:
    flat = analysis.ordinal_counts(np.ones(20), 4)
    rising = analysis.ordinal_counts(np.arange(20), 4)
    np.testing.assert_array_equal(flat, rising)
    # -0 equals 0, and infinities have their places.
    series = [0.0, -0.0, np.inf, 1.0, -np.inf]
    with pytest.raises(ValueError, match="finite"):
        analysis.ordinal_counts(series, 3)
    np.testing.assert_array_equal(
        analysis.ordinal_counts([0.0, -0.0, 1.0], 3), analysis.ordinal_counts([0.0, 0.0, 1.0], 3)
    )


def shannon(p: list[float]) -> float:
    return -math.fsum(x * math.log(x) for x in p if x > 0)


def place(p: list[float]) -> tuple[float, float]:
    """H and C as Rosso et al. write them."""
    n = len(p)
    mixed = shannon([(x + 1 / n) / 2 for x in p])
    distance = mixed - shannon(p) / 2 - math.log(n) / 2
    q0 = -2 / ((n + 1) / n * math.log(n + 1) - 2 * math.log(2 * n) + math.log(n))
    h = shannon(p) / math.log(n)
    return h, q0 * distance * h


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 6), st.integers(1, 4), st.integers(0, 2**32), st.floats(0, 1))
def test_entropy_and_complexity_follow_the_definition(
    order: int, delay: int, seed: int, noise: float
) -> None:
    rng = np.random.default_rng(seed)
    series = np.sin(0.1 * np.arange(400)) + noise * rng.normal(size=400)
    counts = by_sorting(series, order, delay)
    p = [c / counts.total() for c in counts.values()]
    p += [0.0] * (math.factorial(order) - len(p))
    h, c = analysis.complexity_entropy(series, order, delay)
    assert (h, c) == pytest.approx(place(p), abs=1e-12)
    assert analysis.permutation_entropy(series, order, delay) == pytest.approx(h, abs=1e-15)
    assert analysis.jensen_shannon_complexity(p) == pytest.approx(c, abs=1e-12)


def test_order_and_noise_lie_at_the_ends_and_chaos_between() -> None:
    rng = np.random.default_rng(4)
    assert analysis.complexity_entropy(np.arange(50.0)) == (0, 0)
    h, c = analysis.complexity_entropy(rng.normal(size=200_000), 5)
    assert h > 0.999
    assert c < 2e-3
    chaos = np.empty(100_000)
    chaos[0] = 0.4
    for i in range(1, len(chaos)):
        chaos[i] = 4 * chaos[i - 1] * (1 - chaos[i - 1])
    h, c = analysis.complexity_entropy(chaos, 6)
    upper = analysis.plane_limits(6).upper
    assert 0.6 < h < 0.65
    assert 0.47 < c < 0.5
    assert c < np.interp(h, upper.entropy, upper.complexity)


@pytest.mark.parametrize("order", [3, 4, 5])
def test_no_probabilities_lie_outside_the_limits(order: int) -> None:
    rng = np.random.default_rng()
    n = math.factorial(order)
    lower, upper = analysis.plane_limits(order, points=4000)
    for sharpness in (0.02, 0.1, 0.3, 1, 3, 30):
        for p in rng.dirichlet(np.full(n, sharpness), size=50):
            h, c = place(p.tolist())
            # Linear interpolation of the curves is what the slack is for.
            assert np.interp(h, lower.entropy, lower.complexity) - 2e-6 <= c
            assert c <= np.interp(h, upper.entropy, upper.complexity) + 2e-6


def test_the_limits_are_reached() -> None:
    """Of three outcomes in six the plane's ends: found by searching, not by their formula."""
    rng = np.random.default_rng(2)
    lower, upper = analysis.plane_limits(3, points=4000)
    # Many probabilities of the shape (a, b, c, c, c, 0) and alike: sorted random ones.
    found = []
    for zeros in range(5):
        p = rng.dirichlet(np.ones(6 - zeros), size=4000)
        p = np.pad(p, ((0, 0), (0, zeros)))
        found += [place(row) for row in p.tolist()]
    h, c = np.array(found).T
    below = np.interp(h, lower.entropy, lower.complexity)
    above = np.interp(h, upper.entropy, upper.complexity)
    share = (c - below) / (above - below)
    share = share[(h > 0.3) & (h < 0.9)]
    assert share.min() > -1e-4
    assert share.max() < 1 + 1e-4
    assert share.min() < 0.05
    assert share.max() > 0.95


@pytest.mark.parametrize("order", range(3, 8))
def test_limits_run_from_order_to_noise(order: int) -> None:
    for curve in analysis.plane_limits(order, points=500):
        assert (np.diff(curve.entropy) > 0).all()
        assert (curve.entropy[0], curve.complexity[0]) == pytest.approx((0, 0), abs=1e-12)
        assert (curve.entropy[-1], curve.complexity[-1]) == pytest.approx((1, 0), abs=1e-12)
        assert len(curve.entropy) <= 500 + math.factorial(order)
    assert np.max(analysis.plane_limits(order).upper.complexity) < 0.57


@pytest.mark.parametrize("order", range(3, 8))
def test_slow_periods_keep_to_their_limits(order: int) -> None:
    low, high = analysis.periodic_limits(order)
    for period in (40.0 * math.e, 61.7, 200.3):
        series = np.sin(2 * math.pi * np.arange(20_000) / period)
        for delay in (1, 3):
            if (order - 1) * delay < period / 2:
                assert low < analysis.permutation_entropy(series, order, delay) <= high
    triangle = np.abs((np.arange(100_000) % 10_000) - 5000)
    assert analysis.permutation_entropy(triangle, order) == pytest.approx(low, abs=0.02)


def test_the_natural_period_is_that_of_a_sine() -> None:
    t = np.arange(3000)
    periods = np.array([17.3, 60.0, 251.9])
    series = 2 + np.sin(2 * math.pi * t / periods[:, None] + 0.3)
    np.testing.assert_allclose(analysis.natural_period(series), periods, rtol=3e-3)
    assert np.isnan(analysis.natural_period(np.arange(10.0)))
    # Touching the mean is no crossing; lying on it is one.
    assert np.isnan(analysis.natural_period([1.0, 0.0, 1.0, -2.0]))
    assert analysis.natural_period([1.0, 0.0, -1.0, 0.0, 1.0, 0.0, -1.0]) == 4.0


@pytest.mark.parametrize("order", [3, 5, 7])
def test_the_ideal_delay_spans_two_fifths_of_the_period(order: int) -> None:
    series = np.sin(2 * math.pi * np.arange(5000) / 120)
    delay = analysis.ideal_delay(series, order)
    assert delay == round(0.4 * 120 / (order - 1))
    both = analysis.ideal_delay(np.stack([series, np.sin(np.arange(5000) * 0.01)]), order)
    assert both.shape == (2,)
    assert both[0] == delay < both[1]
    with pytest.raises(ValueError, match="sampled more finely"):
        analysis.ideal_delay(series[::30], 5)
    with pytest.raises(ValueError, match="at least twice"):
        analysis.ideal_delay(np.arange(50.0), order)


def test_the_most_complex_delay_is_where_the_curve_is_highest() -> None:
    rng = np.random.default_rng(3)
    series = np.sin(2 * math.pi * np.arange(4000) / 77.7) + 0.05 * rng.normal(size=4000)
    h, c = analysis.delay_curve(series, range(1, 41), 4)
    for delay in (1, 7, 40):
        expected = analysis.complexity_entropy(series, 4, delay)
        assert (h[delay - 1], c[delay - 1]) == expected
    best = analysis.ideal_delay(series, 4, rule="complexity", most=40)
    assert best == 1 + int(np.argmax(c))
    # Left alone it stops where order! windows are left.
    assert analysis.ideal_delay(series[:130], 5, rule="complexity") in (1, 2)


def test_axes_strides_and_kinds() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng()
    series = rng.normal(size=(4, 50, 3))
    expected = analysis.ordinal_counts(series.transpose(0, 2, 1).copy(), 4, 2)
    assert expected.shape == (4, 3, 24)
    np.testing.assert_array_equal(analysis.ordinal_counts(series, 4, 2, axis=1), expected)
    np.testing.assert_array_equal(analysis.ordinal_counts(series, 4, 2, axis=-2), expected)
    swapped = series.astype(">f8")
    np.testing.assert_array_equal(analysis.ordinal_counts(swapped, 4, 2, axis=1), expected)
    series.flags.writeable = False
    tensor = torch.from_numpy(series.copy())
    found = analysis.ordinal_counts(tensor, 4, 2, axis=1)
    assert isinstance(found, torch.Tensor)
    np.testing.assert_array_equal(found.numpy(), expected)
    single = series.astype(np.float32)
    widened = analysis.ordinal_counts(single.astype(np.float64), 4, 2, axis=1)
    np.testing.assert_array_equal(analysis.ordinal_counts(single, 4, 2, axis=1), widened)
    assert analysis.ordinal_counts(np.empty((0, 9)), 3).shape == (0, 6)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_do_not_depend_on_threads(threads: int) -> None:
    rng = np.random.default_rng(1)
    series = rng.normal(size=(13, 700))
    fourfold.set_num_threads(threads)
    counts, entropy = analysis.ordinal_counts(series, 6), analysis.sample_entropy(series)
    for i, row in enumerate(series):
        np.testing.assert_array_equal(counts[i], analysis.ordinal_counts(row, 6))
        assert entropy[i] == analysis.sample_entropy(row)


def sample_entropy_by_pairs(series: npt.NDArray[Any], m: int, tolerance: float) -> tuple[int, int]:
    """Pairs of templates that match, and that still match one value later."""
    n = len(series)
    short = longer = 0
    for i in range(n - m):
        for j in range(i + 1, n - m):
            if all(abs(series[i + s] - series[j + s]) <= tolerance for s in range(m)):
                short += 1
                longer += abs(series[i + m] - series[j + m]) <= tolerance
    return short, longer


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.integers(0, 40), st.integers(0, 2**32), st.booleans())
def test_sample_entropy_counts_pairs(m: int, more: int, seed: int, coarse: bool) -> None:
    rng = np.random.default_rng(seed)
    series = np.cumsum(rng.normal(size=m + 2 + more))
    if coarse:  # distances that equal the tolerance
        series = np.round(series)
    tolerance = 1.0 if coarse else 0.5
    short, longer = sample_entropy_by_pairs(series, m, tolerance)
    found = analysis.sample_entropy(series, m, tolerance=tolerance)
    if short == 0:
        assert math.isnan(found)
    elif longer == 0:
        assert found == math.inf
    else:
        assert found == pytest.approx(-math.log(longer / short), abs=1e-13)


def test_sample_entropy_crosses_the_chunks_of_the_kernel() -> None:
    rng = np.random.default_rng()
    series = rng.normal(size=5001)
    # By a matrix of distances, in pieces.
    m, tolerance, n = 2, 0.2 * series.std(), 5001
    templates = np.stack([series[s : n - m + s] for s in range(m + 1)])
    short = longer = 0
    for i in range(0, n - m, 500):
        near = np.abs(templates[:, i : i + 500, None] - templates[:, None, :]) <= tolerance
        later = np.arange(n - m) > np.arange(i, min(i + 500, n - m))[:, None]
        both = near[0] & near[1] & later
        short += int(np.count_nonzero(both))
        longer += int(np.count_nonzero(both & near[2]))
    assert analysis.sample_entropy(series, m) == pytest.approx(-math.log(longer / short))


def test_sample_entropy_of_what_repeats_is_zero() -> None:
    assert analysis.sample_entropy(np.ones(30)) == 0
    assert analysis.sample_entropy(np.tile([1.0, 2.0, 5.0], 40), tolerance=0.1) == 0
    batch = np.random.default_rng(0).normal(size=(2, 3, 80))
    found = analysis.sample_entropy(batch, tolerance=np.full((2, 3), 0.3))
    assert found.shape == (2, 3)
    assert found[1, 2] == analysis.sample_entropy(batch[1, 2], tolerance=0.3)


def test_sample_entropy_stops_on_a_signal() -> None:
    class Stop(Exception):
        pass

    def handler(*_: object) -> None:
        raise Stop

    series = np.random.default_rng(0).normal(size=400_000)  # a minute and more
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        main = threading.main_thread().ident
        assert main is not None
        timer = threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGUSR1))
        timer.start()
        start = time.monotonic()
        with pytest.raises(Stop):
            analysis.sample_entropy(series)
        assert time.monotonic() - start < 5
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: analysis.ordinal_counts(x, 2), ValueError, "order must be from 3 to 7, got 2"),
        (lambda x: analysis.ordinal_counts(x, 8), ValueError, "order must be from 3 to 7, got 8"),
        (lambda x: analysis.ordinal_counts(x, FLOAT), TypeError, "order must be an integer"),
        (lambda x: analysis.ordinal_counts(x, 3, 0), ValueError, "delay must be at least 1"),
        (lambda x: analysis.ordinal_counts(x, 5, 3), ValueError, "at least 13 values"),
        (lambda x: analysis.ordinal_counts(x, 3, axis=1), ValueError, "axis must be from -1 to 0"),
        (lambda x: analysis.ordinal_counts(x * 1j, 3), TypeError, "series must be real"),
        (lambda x: analysis.ordinal_counts(x * np.nan, 3), ValueError, "finite, got nan"),
        (lambda x: analysis.ordinal_counts([], 3), ValueError, "not empty"),
        (lambda x: analysis.permutation_entropy(x, normalize=FLOAT), TypeError, "normalize"),
        (lambda x: analysis.ideal_delay(x, rule="best"), ValueError, "'period' or 'complexity'"),
        (lambda x: analysis.ideal_delay(x, most=3), ValueError, "only"),
        (lambda x: analysis.delay_curve(x, []), ValueError, "delays must not be empty"),
        (lambda x: analysis.plane_limits(3, 1), ValueError, "points must be at least 2"),
        (lambda x: analysis.jensen_shannon_complexity([0.5, 0.6]), ValueError, "sum 1"),
        (lambda x: analysis.sample_entropy(x, 0), ValueError, "m must be from 1"),
        (lambda x: analysis.sample_entropy(x, 9), ValueError, "at least 11 values for m = 9"),
        (lambda x: analysis.sample_entropy(x, tolerance=-1), ValueError, "not negative"),
        (lambda x: analysis.sample_entropy(x, tolerance=[1, 2]), ValueError, "leading shape"),
    ],
)
def test_mistakes_are_named(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call(np.linspace(0, 1, 10) ** 2)


def test_a_solution_is_no_series() -> None:
    grid = nlse.Grid(16, 4.0)
    sol = nlse.solve(nlse.Problem(grid), nlse.plane_wave(grid), [0.0, 1.0])
    with pytest.raises(TypeError, match=r"abs\(solution\.psi\)"):
        analysis.permutation_entropy(sol)
