"""MNIST, if the user has it: the table of the paper."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any

import numpy as np

from fourfold import pc
from fourfold.reproduce.charts import picture
from fourfold.reproduce.pc.digits import bits_per_pixel, show_digits
from fourfold.reproduce.pc.tools import compress_and_check
from fourfold.reproduce.record import Context, Section, Table, for_information, measured

__all__ = ["run"]

_NAMES = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
# Liu, Mandt, Van den Broeck, "Lossless Compression with Probabilistic Circuits" (ICLR 2022): bits per
# dimension by theory and in the stream, seconds to encode and to decode 10,000 images on a GPU.
_PUBLISHED = {16: (1.26, 1.30, 9, 44), 24: (1.22, 1.26, 15, 86), 32: (1.20, 1.24, 26, 142)}
_EPOCHS = {"quick": 2, "default": 12, "full": 60}
_STATES: dict[str, tuple[int, ...]] = {"quick": (16,), "default": (16,), "full": (16, 24, 32)}

_TEXT = """
The 10,000 test digits of MNIST, coded with hidden Chow-Liu trees learnt from the 60,000 training digits, beside
the figures of Liu, Mandt and Van den Broeck (ICLR 2022), which were measured on a GPU.
"""
_ABSENT = """
Not run: MNIST does not ship with any package. `fourfold reproduce --data FOLDER`, with the files
`train-images-idx3-ubyte.gz` and `t10k-images-idx3-ubyte.gz` in the folder, runs it.
"""


def run(context: Context) -> Section:
    """Learn and compress, if there is a folder with the files."""
    if context.data is None:
        return Section(_ABSENT)
    train, test = (_images(context.data / name) for name in _NAMES)
    section = Section(_TEXT)
    rows = []
    model = None
    for states in _STATES[context.effort]:
        context.say(f"learning {states} states")
        start = time.perf_counter()
        model = pc.HCLT.fit(train, num_latents=states, epochs=_EPOCHS[context.effort], seed=0)
        learning = time.perf_counter() - start
        context.say(f"compressing with {states} states")
        outcome = compress_and_check(section, model, test, test)
        ideal = model.bits_per_dim(test)
        section.add(
            f"{states} states",
            for_information(
                "-log2 p of the test digits",
                ideal,
                f"{_EPOCHS[context.effort]} epochs, {learning:.0f} s",
                reference=f"{_PUBLISHED[states][0]} published",
                unit="bits/dimension",
            ),
        )
        ours = (
            measured(ideal),
            measured(8 * outcome.size / test.size),
            f"{outcome.encode:.2f}",
            f"{outcome.decode:.2f}",
        )
        theirs = tuple(map(str, _PUBLISHED[states]))
        rows += [
            (f"fourfold, {states} states", *ours, f"{learning:.0f}"),
            (f"published, {states} states", *theirs, ""),
        ]
    columns = (
        "model",
        "-log2 p, bits per dimension",
        "stream, bits per dimension",
        "encode, s",
        "decode, s",
        "learning, s",
    )
    section.tables.append(Table("10,000 test images", columns, rows))
    assert model is not None
    section.figures += [
        picture(
            show_digits(model, test, 255),
            "From above: test digits; their lower halves hidden; the hidden halves drawn given the "
            "upper ones; draws from the model.",
        ),
        picture(
            bits_per_pixel(model, test), "Left: mean bits spent on each pixel. Right: the tree."
        ),
    ]
    return section


def _images(path: Path) -> Any:
    with gzip.open(path) as file:
        content = np.frombuffer(file.read(), dtype=np.uint8)
    return content[16:].reshape(-1, 28, 28)
