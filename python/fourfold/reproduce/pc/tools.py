"""What the experiments share: compressing, checking, and the coders to compare with."""

from __future__ import annotations

import bz2
import io
import lzma
import time
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from fourfold import pc
from fourfold.reproduce.record import Section, Table, at_most, close_to, for_information, measured

__all__ = ["Outcome", "add_comparison", "compress_and_check"]


@dataclass(frozen=True)
class Outcome:
    """A stream that was made and read back."""

    size: int
    encode: float
    decode: float


def compress_and_check(
    section: Section,
    model: pc.Circuit,
    images: Any,
    codes: Any,
    *,
    front_end: pc.FrontEnd | None = None,
) -> Outcome:
    """Compress images; check that they come back and that the stream is as short as it can be.

    ``codes`` are the rows that the circuit sees, for ``-log2 p``.
    """
    start = time.perf_counter()
    blob = pc.compress(model, images, front_end=front_end, block_items=100)
    middle = time.perf_counter()
    back = pc.decompress(model, blob)
    end = time.perf_counter()
    empty = len(pc.compress(model, images[:0], front_end=front_end, block_items=100))
    framing = empty + 12 * -(-len(images) // 100)
    ideal = float(-np.asarray(model.log_prob(codes), dtype=np.float64).sum() / np.log(2))
    dimensions = images.size
    section.add(
        "the stream",
        close_to(
            "values that differ after decompression",
            float(np.count_nonzero(back != images)),
            0.0,
            0.0,
            f"of {dimensions}; dtype and shape are compared as well"
            + ("" if back.dtype == images.dtype and back.shape == images.shape else ": DIFFERENT"),
        ),
        at_most(
            "payload over -log2 p",
            8 * (len(blob) - framing) / ideal - 1,
            0.01,
            f"blocks of 100 images; header, index and block heads, {framing} bytes, left out; the "
            "checksums inside the payload are counted",
            reference="0 is the limit",
        ),
        for_information("-log2 p", ideal / dimensions, "of the circuit", unit="bits/dimension"),
        for_information(
            "compression",
            dimensions / (middle - start) / 1e6,
            f"{len(images)} images, codec's tables included",
            unit="million values/s",
        ),
        for_information(
            "decompression",
            dimensions / (end - middle) / 1e6,
            f"{len(images)} images",
            unit="million values/s",
        ),
    )
    return Outcome(len(blob), middle - start, end - middle)


def add_comparison(section: Section, images: Any, ours: int, caption: str) -> None:
    """Compare with other coders, and check that ours is the shortest but perhaps for WebP's."""
    solid = images.tobytes()
    webp = "WebP lossless, per image"
    sizes = {
        "zlib -9, per image": sum(len(zlib.compress(image.tobytes(), 9)) for image in images),
        "zlib -9, all images together": len(zlib.compress(solid, 9)),
        "bz2 -9, all images together": len(bz2.compress(solid, 9)),
        "xz -9e, all images together": len(
            lzma.compress(solid, preset=9 | lzma.PRESET_EXTREME, format=lzma.FORMAT_XZ)
        ),
        "PNG, per image": sum(_pillow(image, "PNG", optimize=True) for image in images),
        webp: sum(_pillow(image, "WEBP", lossless=True, quality=100, method=6) for image in images),
    }
    best = min(sizes.keys() - {webp}, key=lambda name: sizes[name])
    section.add(
        "beside other coders",
        at_most(
            f"our size over that of the best of them ({best})",
            ours / sizes[best],
            1.0,
            "all bytes of the stream, the model not counted",
        ),
        for_information(
            "our size over that of WebP lossless",
            ours / sizes[webp],
            "WebP is a coder for photographs, each image by itself",
        ),
    )
    rows: list[tuple[str, ...]] = [("fourfold.pc", f"{ours}", measured(8 * ours / images.size))]
    rows += [
        (name, f"{size}", measured(8 * size / images.size))
        for name, size in sorted(sizes.items(), key=lambda entry: entry[1])
    ]
    section.tables.append(Table(caption, ("coder", "bytes", "bits per dimension"), rows))


def _pillow(image: Any, kind: str, **options: Any) -> int:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return len(buffer.getvalue())
