"""The two photographs that ship with scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from fourfold import pc
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.pc.tools import add_comparison, compress_and_check
from fourfold.reproduce.record import Context, Section

__all__ = ["run"]

_PATCH, _TILE = 8, 64

_TEXT = f"""
Two photographs of 427 × 640 pixels in 24-bit colour (`sklearn.datasets.load_sample_images`). Colours become
luma and two differences (YCoCg-R), pixels become what they differ from a cubic interpolation of coarser ones
(three levels), both without loss; a circuit models patches of {_PATCH} × {_PATCH} coefficients. It learns from the
left halves, cut at many offsets, and codes the right ones as tiles of {_TILE} × {_TILE} pixels. With two
photographs to learn from this shows that it works, not how well it can: docs/pc/performance.md has figures for
thousands of photographs. WebP, which needs no learning, is the measure here.
"""

_STATES = {"quick": 4, "default": 8, "full": 16}
_EPOCHS = {"quick": 3, "default": 8, "full": 20}
_OFFSETS = {"quick": 2, "default": 4, "full": 8}


def run(context: Context) -> Section:
    """Learn from the left, compress the right."""
    from sklearn.datasets import load_sample_images

    section = Section(_TEXT)
    photos = np.stack(load_sample_images().images).astype(np.uint8)
    front = pc.FrontEnd((_PATCH, _PATCH), "ycocg_r", 3, "interpolation")
    half = photos.shape[2] // 2
    step = _PATCH // _OFFSETS[context.effort]
    train = np.concatenate(
        [
            front.forward(_whole_patches(photos[:, y:, x:half]))
            for y in range(0, _PATCH, step)
            for x in range(0, _PATCH, step)
        ]
    )
    test = _tiles(photos[:, :, half:])
    context.say("learning")
    model = pc.HCLT.fit(
        train,
        num_latents=_STATES[context.effort],
        cardinality=front.cardinality(3).reshape(-1),
        epochs=_EPOCHS[context.effort],
        seed=0,
    )
    context.say("compressing")
    outcome = compress_and_check(section, model, test, front.forward(test), front_end=front)
    add_comparison(section, test, outcome.size, f"{len(test)} tiles of {_TILE} × {_TILE} pixels")
    section.figures.append(picture(_spread(front, test), _CAPTION))
    return section


_CAPTION = (
    "How often each value occurs, pixels (red, green, blue) and coefficients behind the front end: "
    "narrow distributions take few bits."
)


def _whole_patches(photos: Any) -> Any:
    height, width = (side // _PATCH * _PATCH for side in photos.shape[1:3])
    return np.ascontiguousarray(photos[:, :height, :width])


def _tiles(photos: Any) -> Any:
    rows, columns = photos.shape[1] // _TILE, photos.shape[2] // _TILE
    cut = photos[:, : rows * _TILE, : columns * _TILE]
    cut = cut.reshape(-1, rows, _TILE, columns, _TILE, 3).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(cut.reshape(-1, _TILE, _TILE, 3))


def _spread(front: pc.FrontEnd, test: Any) -> Any:
    figure, (left, right) = axes(1, 2, height=3.2)
    for channel, colour in enumerate((COLOURS[1], COLOURS[2], COLOURS[0])):
        counts = np.bincount(test[..., channel].reshape(-1), minlength=256)
        left.plot(counts / counts.sum(), color=colour, linewidth=1)
    left.set_xlabel("value of a pixel")
    left.set_ylabel("share")
    zero = front.cardinality(3) // 2
    detail = (front.forward(test) - zero)[:, 1::2, 1::2]
    for channel, name in enumerate(("Y", "Co", "Cg")):
        values = detail[..., channel].reshape(-1)
        counts = np.bincount(values[np.abs(values) <= 60] + 60, minlength=121)
        right.plot(
            np.arange(-60, 61),
            counts / values.size,
            color=COLOURS[channel],
            linewidth=1,
            label=name,
        )
    right.set_xlabel("finest diagonal coefficient")
    right.legend(frameon=False, fontsize=8)
    return figure
