"""The experiments of the gp report, as they run in `fourfold reproduce --quick`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fourfold.reproduce.gp import FAMILY, line, photograph, tensors
from fourfold.reproduce.record import Context, Section


def test_frequencies_that_cannot_be_told_apart_count_once() -> None:
    found = line.distinct(np.array([106.0, 106.04, 93.97, 94.03, 3.0]), 0.5)
    np.testing.assert_array_equal(found, [106.0, 93.97, 3.0])


def test_a_picture_is_filled_in_where_it_is_smooth() -> None:
    rows, columns = np.meshgrid(np.arange(60.0), np.arange(50.0), indexing="ij")
    smooth = 0.5 + 0.3 * np.sin(rows / 8) * np.cos(columns / 6)
    seen = np.random.default_rng(0).uniform(size=smooth.shape) < 0.5
    model = photograph.learn(smooth, seen)
    mean, std, _ = photograph.fill(model, smooth, seen, draws=4)
    assert np.abs(mean - smooth).max() < 0.02
    assert std.shape == smooth.shape
    assert photograph.figure(smooth, seen, mean, std).png.startswith(b"\x89PNG")


def test_tensors_are_found_better_than_the_best_linear_prediction() -> None:
    case = tensors.Case("small", 2, 1, train=150, test=100)
    data = tensors.draw(case, 0)
    # The entries are what they are said to be: products of functions with the kernel's covariance.
    np.testing.assert_array_equal(data.exact, data.functions[0][:, 0] * data.functions[1][:, 0])
    np.testing.assert_array_equal(data.y, tensors.draw(case, 0).y)
    assert np.std(data.y - data.exact) == pytest.approx(0.1, rel=0.2)
    outcome = tensors.compare(case, data)
    assert outcome.dense < 0.5 * np.std(data.exact)
    assert outcome.ratio < 1.1
    assert 0.8 < outcome.inside <= 1
    assert tensors.figure(case, data, outcome.model).png.startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize(("title", "function"), FAMILY.experiments)
def test_every_experiment_passes(
    tmp_path: Path, title: str, function: Callable[[Context], Section]
) -> None:
    if "photograph" in title:
        pytest.importorskip("sklearn", reason="scikit-learn brings the photograph")
    section = function(Context("quick", tmp_path, lambda _: None))
    assert [check for check in section.checks if check.passed is False] == []
    assert section.text.strip()
