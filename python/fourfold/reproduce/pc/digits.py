"""The handwritten digits that ship with scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fourfold import pc
from fourfold.reproduce.charts import picture
from fourfold.reproduce.pc.tools import add_comparison, compress_and_check
from fourfold.reproduce.record import Context, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bits_per_pixel", "run", "show_digits"]

_TEXT = """
1,797 digits of 8 × 8 pixels with 17 grey levels (Alpaydin and Kaynak; `sklearn.datasets.load_digits`). A
hidden Chow-Liu tree is learnt from the first 1,297 of them and codes the other 500. Then the model is
asked: for new digits, and for the lower halves of digits whose upper halves it is shown.
"""

_EPOCHS = {"quick": 15, "default": 40, "full": 120}
_STATES = {"quick": 8, "default": 16, "full": 32}


def run(context: Context) -> Section:
    """Learn, compress, check, draw."""
    from sklearn.datasets import load_digits

    section = Section(_TEXT)
    images = load_digits().images.astype(np.uint8)
    train, test = images[:1297], images[1297:]
    context.say("learning")
    model = pc.HCLT.fit(
        train,
        num_latents=_STATES[context.effort],
        cardinality=17,
        epochs=_EPOCHS[context.effort],
        validation=0.1,
        seed=0,
    )
    context.say("compressing")
    outcome = compress_and_check(section, model, test, test)
    add_comparison(section, test, outcome.size, "500 digits of 64 values")
    context.say("drawing")
    section.figures += [
        picture(
            show_digits(model, test, 16),
            "From above: digits of the test set; the same with the lower half hidden; the hidden "
            "half drawn from the model given the upper one; draws from the model.",
        ),
        picture(
            bits_per_pixel(model, test),
            "Left: bits spent on each pixel, mean over the test digits. Right: the learned tree; "
            "lines join pixels whose latent variables are neighbours, the ring is the root.",
        ),
    ]
    return section


def show_digits(model: pc.Circuit, test: Any, top: int) -> Figure:
    """Digits, half digits, completed digits and new ones."""
    from matplotlib.figure import Figure

    count = 10
    originals = test[:count]
    hidden = np.zeros(originals.shape, dtype=bool)
    hidden[:, originals.shape[1] // 2 :] = True
    masked = np.ma.MaskedArray(originals, mask=hidden)
    completed = model.sample(1, evidence=masked, generator=0)[0]
    drawn = model.sample(count, generator=1)
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    grid = figure.subplots(4, count)
    for row, pictures in enumerate((originals, masked, completed, drawn)):
        for axis, image in zip(grid[row], pictures, strict=True):
            axis.imshow(image, cmap="gray_r", vmin=0, vmax=top)
            axis.set_facecolor("#cfe3f3")
            axis.set_xticks([])
            axis.set_yticks([])
    return figure


def bits_per_pixel(model: pc.Circuit, test: Any) -> Figure:
    """Where the bits go, and the tree."""
    from matplotlib.figure import Figure

    from fourfold.pc._codec_kernel import row_codec

    height, width = test.shape[1:]
    some = test[:200].reshape(-1, height * width)
    order = row_codec(model).order
    # By the chain rule: what is known before a pixel and with it.
    hidden = np.ones(some.shape, dtype=bool)
    before = np.zeros(len(some))
    bits = np.zeros(height * width)
    for variable in order:
        hidden[:, variable] = False
        now = np.asarray(model.log_prob(some, missing=hidden))
        bits[variable] = float(np.mean(before - now)) / np.log(2)
        before = now
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    shown = left.imshow(bits.reshape(height, width), cmap="magma", vmin=0)
    figure.colorbar(shown, ax=left, label="bits")
    left.set_xticks([])
    left.set_yticks([])
    variable_of = {int(v): i for i, v in enumerate(model.structure.leaf_node)}
    for v, above in enumerate(model.structure.parent.tolist()):
        y, x = divmod(variable_of[v], width)
        if above < 0:
            right.plot([x], [y], "o", markersize=9, fillstyle="none", color="#D55E00")
            continue
        y0, x0 = divmod(variable_of[above], width)
        right.plot([x0, x], [y0, y], color="#0072B2", linewidth=1)
    right.set_aspect("equal")
    right.set_ylim(height - 0.5, -0.5)
    right.set_xlim(-0.5, width - 0.5)
    right.set_xticks([])
    right.set_yticks([])
    return figure
