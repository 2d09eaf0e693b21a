"""The experiments of `fourfold.pc`: they run, and their checks can fail."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from fourfold import pc
from fourfold.reproduce.pc import digits, mnist, photographs, tools
from fourfold.reproduce.record import Context, Section

pytest.importorskip("sklearn")
pytest.importorskip("PIL")


def context(folder: Path, data: Path | None = None) -> Context:
    return Context("quick", folder, lambda line: None, data)


def test_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(digits._EPOCHS, "quick", 4)
    section = digits.run(context(tmp_path))
    assert all(check.passed is not False for check in section.checks)
    assert sum(check.passed is True for check in section.checks) == 3
    assert len(section.figures) == 2
    assert section.tables[0].rows[0][0] == "fourfold.pc"


@pytest.mark.slow
def test_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(photographs._EPOCHS, "quick", 1)
    monkeypatch.setitem(photographs._STATES, "quick", 2)
    monkeypatch.setitem(photographs._OFFSETS, "quick", 1)
    section = photographs.run(context(tmp_path))
    checks = {check.name: check for check in section.checks}
    assert checks["values that differ after decompression"].measured == 0
    assert checks["payload over -log2 p"].passed


def test_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--data" in mnist.run(context(tmp_path)).text
    rng = np.random.default_rng(0)
    images = (rng.random((30, 28, 28)) < 0.2).astype(np.uint8) * 255
    for name in mnist._NAMES:
        with gzip.open(tmp_path / name, "wb") as file:
            file.write(struct.pack(">IIII", 2051, *images.shape) + images.tobytes())
    monkeypatch.setitem(mnist._EPOCHS, "quick", 1)
    section = mnist.run(context(tmp_path, tmp_path))
    assert [row[0] for row in section.tables[0].rows] == [
        "fourfold, 16 states",
        "published, 16 states",
    ]


def test_a_wrong_answer_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(1).integers(0, 3, (50, 2, 2)).astype(np.uint8)
    model = pc.HCLT.fit(images, num_latents=2, cardinality=3, epochs=1)
    monkeypatch.setattr(pc, "decompress", lambda model, blob: images ^ 1)
    section = Section("")
    tools.compress_and_check(section, model, images, images)
    assert section.checks[0].passed is False
