"""A run as a film."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from fourfold._progress import terminal_bar
from fourfold.errors import MissingProgramError
from fourfold.nlse._checks import real
from fourfold.nlse._densities import abs2, power
from fourfold.nlse._drawing import BLUE, GREY, NORMAL, SMALL, decibels, new_figure
from fourfold.nlse._members import Index, caption, check_realisation, member

if TYPE_CHECKING:
    from fourfold.nlse.solution import Solution

__all__ = ["animate"]

_DEPTH = 160.0
_RESOLUTION = 100  # dots per inch: 640 x 480 pixels
_COLOURS = 64

# Players take a GIF's shorter delays for a mistake, and show it slowly.
_FASTEST_GIF = 50.0


def animate(
    solution: Solution,
    path: str | os.PathLike[str],
    *,
    fps: float = 20,
    realisation: Index = None,
    progress: bool = False,
) -> None:
    """See `Solution.animate`, which this is."""
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in (".gif", ".mp4"):
        raise ValueError(f"path must end in .gif or .mp4, got {os.fspath(path)!r}")
    rate = _rate(fps, _FASTEST_GIF if kind == ".gif" else 1000.0)
    stage = _Stage(solution, realisation)
    ffmpeg = _ffmpeg() if kind == ".mp4" else ""
    # Beside the target, so that the rename stays within one file system.
    folder = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
    try:
        partial = folder / f"film{kind}"
        frames = (stage.frame(row) for row in _counted(len(solution.t), target.name, progress))
        if kind == ".gif":
            _write_gif(partial, frames, rate)
        else:
            _write_mp4(partial, frames, rate, ffmpeg)
        os.replace(partial, target)
    finally:
        shutil.rmtree(folder)


class _Stage:
    """The figure, of which all that stays is drawn once."""

    def __init__(self, solution: Solution, realisation: Index) -> None:
        if (
            check_realisation(solution, realisation) is None
            and (statistics := solution.statistics) is not None
        ):
            self.intensity, spectrum = statistics.intensity, statistics.spectrum
            symbols = r"$\langle|\psi|^2\rangle$", r"$\langle|c_k|^2\rangle$ (dB)"
        else:
            field = member(solution, realisation)
            self.intensity = abs2(field)
            spectrum = power(field)
            symbols = r"$|\psi|^2$", r"$|c_k|^2$ (dB)"
        order = np.argsort(solution.grid.k)
        k = solution.grid.k[order]
        self.levels = decibels(spectrum[:, order])
        self.t = solution.t

        figure, (top, bottom) = new_figure("animate", 2, 1, height=4.8)
        figure.set_dpi(_RESOLUTION)
        (first,) = bottom.plot(k, self.levels[0], color=GREY, linewidth=0.8)
        bottom.legend([first], [f"$t = {self.t[0]:.4g}$"], frameon=False, fontsize=SMALL)
        (self.wave,) = top.plot(solution.x, self.intensity[0], color=BLUE, animated=True)
        (self.band,) = bottom.plot(k, self.levels[0], color=BLUE, animated=True)
        highest = max(float(self.intensity.max()), np.finfo(float).tiny)
        top.set_ylim(0, 1.08 * highest)
        bottom.set_ylim(max(-_DEPTH, float(np.nanmin(self.levels, initial=-1.0))) - 3, 3)
        for ax in (top, bottom):
            ax.margins(x=0)
        top.set_xlabel("position $x$")
        bottom.set_xlabel("wavenumber $k$")
        top.set_ylabel(symbols[0])
        bottom.set_ylabel(symbols[1])
        # Never empty: the layout leaves room for it, and so for the clock.
        top.set_title(caption(solution, realisation) or " ", loc="left", fontsize=NORMAL)
        self.clock = top.set_title("", loc="right", fontsize=NORMAL, animated=True)
        # matplotlib is there: the figure has been made.
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        # matplotlib has no types for its canvas.
        self.canvas = cast(Any, FigureCanvasAgg(figure))
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(figure.bbox)

    def frame(self, row: int) -> npt.NDArray[np.uint8]:
        """The picture of a saved time, (height, width, 4)."""
        self.canvas.restore_region(self.still)
        self.wave.set_ydata(self.intensity[row])
        self.band.set_ydata(self.levels[row])
        self.clock.set_text(f"$t = {self.t[row]:.2f}$")
        for artist in (self.wave, self.band, self.clock):
            artist.axes.draw_artist(artist)  # type: ignore[union-attr]  # all are on axes
        return np.asarray(self.canvas.buffer_rgba()).copy()


def _write_gif(path: Path, frames: Iterator[npt.NDArray[np.uint8]], rate: float) -> None:
    from PIL import Image

    def images() -> Iterator[Image.Image]:
        for frame in frames:
            whole = Image.fromarray(frame).convert("RGB")
            yield whole.quantize(_COLOURS, dither=Image.Dither.NONE)

    rest = images()
    first = next(rest)
    options = {"duration": 10 * round(100 / rate), "loop": 0}
    with path.open("wb") as file:
        first.save(file, format="GIF", save_all=True, append_images=rest, **options)


def _write_mp4(
    path: Path, frames: Iterator[npt.NDArray[np.uint8]], rate: float, ffmpeg: str
) -> None:
    first = next(frames)
    height, width, _ = first.shape
    command = [ffmpeg, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgba"]
    command += ["-s", f"{width}x{height}", "-r", f"{rate:g}", "-i", "-", "-an"]
    # What every player shows: H.264 with colours at half the resolution.
    command += ["-c:v", "libx264", "-pix_fmt", "yuv420p", str(path)]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=complaints)
        assert process.stdin is not None
        try:
            process.stdin.write(first.tobytes())
            for frame in frames:
                process.stdin.write(frame.tobytes())
            process.stdin.close()
        except BrokenPipeError:  # it has ended, and says why below
            with suppress(BrokenPipeError):
                process.stdin.close()
        except BaseException:
            process.kill()
            with suppress(BrokenPipeError):  # what was still on its way
                process.stdin.close()
            process.wait()
            raise
        if process.wait() != 0:
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip()
            raise OSError(f"ffmpeg ended with status {process.returncode}: {said}")


def _ffmpeg() -> str:
    found = shutil.which("ffmpeg")
    if found is None:
        raise MissingProgramError(
            "ffmpeg",
            "animating to an .mp4",
            "install it, for example with the system's package manager, or write a .gif",
        )
    return found


def _rate(fps: Any, most: float) -> float:
    rate = real("fps", fps)
    if not 0 < rate <= most:
        raise ValueError(f"fps must be more than 0 and at most {most:g}, got {rate:g}")
    return rate


def _counted(count: int, name: str, progress: bool) -> Iterator[int]:
    """0 ... count - 1, with a bar on terminals."""
    columns = ("{task.fields[name]}", "bar", "percent", "left")
    with terminal_bar(progress, *columns, total=count, name=name) as update:
        for number in range(count):
            yield number
            if update is not None:
                update(number + 1, now=number + 1 == count)
