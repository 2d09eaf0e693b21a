"""The experiments of the gp report, as they run in `fourfold reproduce --quick`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fourfold.reproduce.gp import FAMILY, line, photograph
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
