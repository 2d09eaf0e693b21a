"""The experiments of the kan report, as they run in `fourfold reproduce --quick`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fourfold.reproduce.kan import FAMILY, variance
from fourfold.reproduce.record import Context, Section


def run(function: Callable[[Context], Section], folder: Path) -> Section:
    section = function(Context("quick", folder, lambda _: None))
    assert [check for check in section.checks if check.passed is False] == []
    return section


def test_the_fast_one(tmp_path: Path) -> None:
    section = run(variance.run, tmp_path)
    assert [check.passed for check in section.checks] == [True, True, None]
    assert section.figures[0].png.startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize(("title", "function"), FAMILY.experiments)
def test_every_experiment_passes(
    tmp_path: Path, title: str, function: Callable[[Context], Section]
) -> None:
    if "Digits" in title:
        pytest.importorskip("sklearn", reason="scikit-learn brings the digits")
    assert run(function, tmp_path).text.strip()
