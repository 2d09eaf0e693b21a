"""Films: every frame there, the right one, and nothing half-written."""

from __future__ import annotations

import builtins
import os
import pickle
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from fourfold import errors, nlse
from fourfold.nlse import _animation
from tests.nlse.test_plot import EVEN, gathered, made

# Stands in for ffmpeg: checks what it is asked for, and keeps the pixels that it is sent.
FFMPEG = f"""#!{sys.executable}
import os, sys
arguments = sys.argv[1:]
assert arguments[arguments.index("-i") + 1] == "-"
width, height = map(int, arguments[arguments.index("-s") + 1].split("x"))
assert width % 2 == 0 and height % 2 == 0, "H.264 wants even sizes"
data = sys.stdin.buffer.read()
assert len(data) % (4 * width * height) == 0
if os.environ.get("FFMPEG_FAILS"):
    sys.exit("Unknown encoder 'libx264'")
with open(arguments[-1], "wb") as file:
    file.write(len(data).to_bytes(8, "little") + data[-4 * width * height :])
"""


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "ffmpeg"
    program.write_text(FFMPEG)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return program


def moving() -> nlse.Solution:
    """A peak that is at x = -8, -6, ... 8 at the saved times."""
    grid = nlse.Grid(160, 20.0)  # the peak is on a point each time
    t = np.linspace(0, 2, 9)
    psi = np.stack([nlse.soliton(grid, amplitude=3.0, center=-8 + 8 * time) for time in t])
    return nlse.Solution(nlse.Problem(grid), t, made(EVEN).stats, psi=psi)


def bluest(pixels: Any) -> float:
    """Where the highest point of the curve in the upper panel is, as a share of the width."""
    rgb = np.asarray(pixels, dtype=float)[:, :, :3]
    upper = rgb[: rgb.shape[0] // 2]
    blue = np.abs(upper - [0, 114, 178]).sum(axis=-1) < 60
    rows, columns = np.nonzero(blue)
    return float(columns[rows == rows.min()].mean() / rgb.shape[1])


def test_a_gif_has_a_frame_for_each_saved_time(tmp_path: Path) -> None:
    moving().animate(tmp_path / "a.gif", fps=12.5)
    with Image.open(tmp_path / "a.gif") as film:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(film)]
        assert len(frames) == 9
        assert film.info["duration"] == 80
        assert film.info["loop"] == 0
        assert film.size == (640, 480)
    places = [bluest(frame) for frame in frames]
    # The peak moves on by the same share of the panel each time.
    np.testing.assert_allclose(np.diff(places), np.diff(places).mean(), atol=4e-3)
    assert places[4] == pytest.approx((places[0] + places[-1]) / 2, abs=4e-3)
    assert 8 * np.diff(places).mean() == pytest.approx(16 / 20 * 0.9, abs=0.05)
    # Nothing of an earlier frame is left, and nothing else is left behind.
    assert os.listdir(tmp_path) == ["a.gif"]


def test_an_mp4_is_piped_through_ffmpeg(tmp_path: Path, ffmpeg: Path) -> None:
    sol = moving()
    sol.animate(tmp_path / "a.MP4")
    written = (tmp_path / "a.MP4").read_bytes()
    assert int.from_bytes(written[:8], "little") == 9 * 640 * 480 * 4
    last = np.frombuffer(written[8:], dtype=np.uint8).reshape(480, 640, 4)
    stage = _animation._Stage(sol, None)
    np.testing.assert_array_equal(last, stage.frame(8))
    # A frame is the same whichever was before it.
    np.testing.assert_array_equal(stage.frame(0), _animation._Stage(sol, None).frame(0))


def test_what_ffmpeg_says_is_passed_on(
    tmp_path: Path, ffmpeg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FFMPEG_FAILS", "1")
    with pytest.raises(OSError, match="status 1: Unknown encoder 'libx264'"):
        moving().animate(tmp_path / "a.mp4")
    assert os.listdir(tmp_path) == ["bin"]


def test_without_ffmpeg_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.MissingProgramError, match=r"needs ffmpeg.*write a \.gif") as caught:
        moving().animate(tmp_path / "a.mp4")
    assert os.listdir(tmp_path) == []
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.program, str(again)) == ("ffmpeg", str(caught.value))


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_film_that_breaks_off_leaves_what_was_there(
    kind: str, tmp_path: Path, ffmpeg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / f"a.{kind}"
    target.write_text("of old")
    frame = _animation._Stage.frame

    def interrupted(self: Any, row: int) -> Any:
        if row == 5:
            raise KeyboardInterrupt
        return frame(self, row)

    monkeypatch.setattr(_animation._Stage, "frame", interrupted)
    with pytest.raises(KeyboardInterrupt):
        moving().animate(target)
    assert target.read_text() == "of old"
    assert sorted(os.listdir(tmp_path)) == [f"a.{kind}", "bin"]


def test_ensembles_statistics_and_members(tmp_path: Path) -> None:
    sol = made(EVEN[:2], 3)
    statistics = sol.statistics
    assert statistics is not None
    mean = _animation._Stage(sol, None)
    np.testing.assert_array_equal(mean.intensity, statistics.intensity)
    one = _animation._Stage(sol, 2)
    np.testing.assert_allclose(one.intensity, np.abs(sol.psi[:, 2]) ** 2)
    gathered().animate(tmp_path / "a.gif", progress=True)
    with Image.open(tmp_path / "a.gif") as film:
        assert getattr(film, "n_frames", 1) == 11
    with pytest.raises(ValueError, match="only the statistics were stored"):
        gathered().animate(tmp_path / "b.gif", realisation=0)


def test_darkness_is_a_film_too(tmp_path: Path) -> None:
    psi = np.zeros((2, 64), dtype=np.complex128)
    made_dark = nlse.Solution(nlse.Problem(nlse.Grid(64, 1.0)), EVEN[:2], made(EVEN).stats, psi=psi)
    made_dark.animate(tmp_path / "a.gif")
    assert (tmp_path / "a.gif").stat().st_size > 1000


@pytest.mark.parametrize(
    ("name", "fps", "kind", "message"),
    [
        ("a.avi", 20, ValueError, r"must end in \.gif or \.mp4, got 'a\.avi'"),
        ("a", 20, ValueError, r"must end in \.gif or \.mp4"),
        ("a.gif", 0, ValueError, "more than 0 and at most 50, got 0"),
        ("a.gif", 60, ValueError, "at most 50, got 60"),
        ("a.gif", "20", TypeError, "fps must be a real number"),
        ("no/such/folder/a.gif", 20, FileNotFoundError, "no/such/folder"),
    ],
)
def test_mistakes_are_named(
    name: str,
    fps: Any,
    kind: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=message):
        made(EVEN[:2]).animate(name, fps=fps)
    assert os.listdir(tmp_path) == []


def test_missing_matplotlib_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(errors.MissingExtraError, match=r"Solution\.animate needs matplotlib"):
        made(EVEN).animate(tmp_path / "a.gif")


def test_pyplot_is_not_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    imported = builtins.__import__

    def without_pyplot(name: str, *rest: Any, **options: Any) -> Any:
        assert name != "matplotlib.pyplot"
        return imported(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without_pyplot)
    made(EVEN[:2]).animate(tmp_path / "a.gif")
