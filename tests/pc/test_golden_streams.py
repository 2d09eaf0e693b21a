"""Streams that are committed decode to the same data, at every level, and are written the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fourfold
from fourfold import _core, pc

from . import golden

pytestmark = pytest.mark.isa


def read(name: str) -> bytes:
    return (golden.FOLDER / name).read_bytes()


def check_array() -> None:
    model, rows = golden.array_case()
    back = pc.decompress(model, read("pc_v1_array.ffz"))
    assert back.dtype == rows.dtype
    assert np.array_equal(back, rows)
    assert pc.compress(model, rows, block_items=64) == read("pc_v1_array.ffz")


def check_table() -> None:
    model, schema, columns = golden.table_case()
    back = pc.decompress(model, read("pc_v1_table.ffz"))
    assert list(back) == list(columns)
    assert back["age"].dtype == np.int16
    assert np.array_equal(back["age"].mask, columns["age"].mask)
    assert np.array_equal(back["age"].filled(0), columns["age"].filled(0))
    assert back["city"].tolist() == columns["city"].tolist()
    assert np.array_equal(back["paid"], columns["paid"])
    stream = pc.compress(model, columns, schema=schema, block_items=128)
    assert stream == read("pc_v1_table.ffz")


def check_images() -> None:
    model, front, images = golden.images_case()
    assert np.array_equal(pc.decompress(model, read("pc_v1_images.ffz")), images)
    stream = pc.compress(model, images, front_end=front, block_items=2)
    assert stream == read("pc_v1_images.ffz")


@pytest.mark.parametrize("threads", [1, 2])
def test_golden_streams(threads: int) -> None:
    fourfold.set_num_threads(threads)
    check_array()
    check_table()
    check_images()


@pytest.mark.parametrize("level", _core.isa_levels_supported())
def test_golden_streams_at_every_level(level: str) -> None:
    script = "from tests.pc import test_golden_streams as t\n"
    subprocess.run(
        [sys.executable, "-c", script + "t.check_array(), t.check_table(), t.check_images()"],
        env={**os.environ, "FOURFOLD_ISA": level},
        cwd=Path(__file__).parents[2],
        check=True,
    )
