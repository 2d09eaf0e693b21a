"""The experiments of `fourfold.pc`."""

from __future__ import annotations

from fourfold.reproduce.pc import digits, mnist, photographs
from fourfold.reproduce.record import Family

__all__ = ["FAMILY"]

_TEXT = """
A probabilistic circuit is learnt from images; then other images are compressed with it, without loss,
decompressed, and compared byte for byte. A stream can be no shorter than -log2 p(x) bits on average; how
near it comes is measured beside the sizes of general-purpose coders.
"""

FAMILY = Family(
    title="pc: probabilistic circuits",
    text=_TEXT,
    experiments=(
        ("Handwritten digits: compression, samples, inpainting", digits.run),
        ("Photographs behind a reversible front end", photographs.run),
        ("MNIST beside the published figures", mnist.run),
    ),
)
