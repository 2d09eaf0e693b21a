"""Compressing images with a circuit, beside the general-purpose and image coders.

    python benchmarks/pc_codec.py --data FOLDER [--models a.ffpc b.ffpc ...] [--only circuits|peers] [--quick]

FOLDER holds MNIST in IDX files; without it, the handwritten digits of scikit-learn. Without models, one
of 16 states is trained first. Every answer is checked before it is timed. The table goes to the screen
and to benchmarks/results/pc_codec.json.
"""

from __future__ import annotations

import argparse
import gzip
import io
import lzma
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from contest import ROOT, Results, ResultTable, machine, number, seconds, text

import fourfold
from fourfold import pc

Coder = tuple[str, Callable[[], list[bytes]], Callable[[list[bytes]], Any]]


def load(folder: Path | None) -> tuple[Any, Any]:
    """Training and test images."""
    if folder is None:
        from sklearn.datasets import load_digits

        images = load_digits().images.astype(np.uint8)
        return images[:1400], images[1400:]

    def idx(name: str) -> Any:
        with gzip.open(folder / name) as file:
            content = np.frombuffer(file.read(), dtype=np.uint8)
        return content[16:].reshape(-1, 28, 28)

    return idx("train-images-idx3-ubyte.gz"), idx("t10k-images-idx3-ubyte.gz")


def circuit_rows(models: list[Path], train: Any, test: Any, quick: bool) -> list[dict[str, Any]]:
    circuits = [(path.name, pc.load(path)) for path in models]
    if not circuits:
        circuits = [("16 states", pc.HCLT.fit(train, num_latents=16, epochs=3 if quick else 10))]
    rows = []
    for name, circuit in circuits:
        rows += _circuit_row(name, circuit, test)
    return rows


def _circuit_row(name: str, circuit: pc.Circuit, test: Any) -> list[dict[str, Any]]:
    nats = np.asarray(circuit.log_prob(test), dtype=np.float64)
    ideal = float(-nats.sum() / np.log(2))
    raw = test.size
    single = [len(pc.compress(circuit, image[None], block_items=1)) for image in test[:200]]
    empty = len(pc.compress(circuit, test[:0], block_items=1))
    # A block's 8 bytes, its 4 of the index, and the 4 of the checksum inside the payload.
    over = [
        8 * (size - empty - 12) - 32 + n / np.log(2)
        for size, n in zip(single, nats[:200], strict=True)
    ]
    rows = []
    for items in (100, None):
        blob = pc.compress(circuit, test, block_items=items)
        assert np.array_equal(pc.decompress(circuit, blob), test)
        encode = best(partial(pc.compress, circuit, test, block_items=items))
        decode = best(partial(pc.decompress, circuit, blob))
        label = f"fourfold, {name}, " + (f"blocks of {items}" if items else "default blocks")
        rows.append(
            {
                "coder": label,
                "bits per dimension": 8 * len(blob) / raw,
                "encode": encode,
                "decode": decode,
                "-log2 p": ideal / raw,
                "over -log2 p": f"{8 * len(blob) / ideal - 1:.3%}",
                "one image, bits over": f"{np.mean(over):.1f}, at most {max(over):.1f}",
            }
        )
    return rows


def best(run: Callable[[], object], turns: int = 3) -> float:
    """The shortest of some turns: a table of one machine that may be busy."""
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def peers(train: Any, test: Any, quick: bool) -> list[Coder]:
    """Name, encoder of all images, decoder of what it made."""
    raws = [image.tobytes() for image in test]
    solid = b"".join(raws)

    def per_item(encode: Callable[[bytes], bytes]) -> Callable[[], list[bytes]]:
        return lambda: [encode(raw) for raw in raws]

    def back(decode: Callable[[bytes], bytes]) -> Callable[[list[bytes]], Any]:
        return lambda blobs: np.frombuffer(b"".join(map(decode, blobs)), np.uint8)

    def xz(raw: bytes) -> bytes:
        return lzma.compress(raw, check=lzma.CHECK_NONE, preset=9 | lzma.PRESET_EXTREME)

    coders: list[Coder] = [
        ("zlib -9, per image", per_item(lambda raw: zlib.compress(raw, 9)), back(zlib.decompress)),
        (
            "xz -6e, per image",
            per_item(
                lambda raw: lzma.compress(
                    raw, check=lzma.CHECK_NONE, preset=6 | lzma.PRESET_EXTREME
                )
            ),
            back(lzma.decompress),
        ),
        ("xz -9e, solid", lambda: [xz(solid)], back(lzma.decompress)),
    ]
    coders += _zstd(train, per_item, back)
    coders += _brotli(solid, per_item, back, quick)
    coders += _image_coders(test)
    return coders


def _zstd(train: Any, per_item: Any, back: Any) -> list[Coder]:
    try:
        import zstandard
    except ImportError:
        return []
    plain = zstandard.ZstdCompressor(level=19)
    samples = [image.tobytes() for image in train[:20000]]
    size = min(112640, sum(map(len, samples)) // 10)
    trained = zstandard.train_dictionary(size, samples, level=19)
    taught = zstandard.ZstdCompressor(level=19, dict_data=trained)
    untaught = zstandard.ZstdDecompressor()
    reader = zstandard.ZstdDecompressor(dict_data=trained)
    return [
        ("zstd -19, per image", per_item(plain.compress), back(untaught.decompress)),
        ("zstd -19, trained dictionary", per_item(taught.compress), back(reader.decompress)),
    ]


def _brotli(solid: bytes, per_item: Any, back: Any, quick: bool) -> list[Coder]:
    try:
        import brotli
    except ImportError:
        return []
    coders: list[Coder] = [
        (
            "brotli -11, per image",
            per_item(lambda raw: brotli.compress(raw, quality=11)),
            back(brotli.decompress),
        )
    ]
    if not quick:
        coders.append(
            (
                "brotli -11, solid",
                lambda: [brotli.compress(solid, quality=11, lgwin=24)],
                back(brotli.decompress),
            )
        )
    return coders


def _image_coders(test: Any) -> list[Coder]:
    coders: list[Coder] = []
    try:
        from PIL import Image
    except ImportError:
        return []

    def save(image: Any, kind: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, kind, **options)
        return buffer.getvalue()

    def read(blobs: list[bytes]) -> Any:
        mode = "RGB" if test.ndim == 4 else "L"
        images = [np.asarray(Image.open(io.BytesIO(b)).convert(mode)) for b in blobs]
        return np.stack(images).reshape(-1)

    coders.append(("PNG", lambda: [save(i, "PNG", optimize=True) for i in test], read))
    webp = {"lossless": True, "quality": 100, "method": 6, "exact": True}
    coders.append(("WebP lossless", lambda: [save(i, "WEBP", **webp) for i in test], read))
    try:
        from imagecodecs import jpegxl_decode, jpegxl_encode
    except ImportError:
        return coders

    def jxl() -> list[bytes]:
        return [bytes(jpegxl_encode(i, lossless=True, effort=7)) for i in test]

    coders.append(
        ("JPEG-XL lossless", jxl, lambda b: np.stack([jpegxl_decode(x) for x in b]).reshape(-1))
    )
    return coders


def peer_rows(train: Any, test: Any, quick: bool) -> list[dict[str, Any]]:
    rows = []
    for name, encode, decode in peers(train, test, quick):
        # Processor seconds: they run once, some of them for minutes.
        start = time.process_time()
        blobs = encode()
        middle = time.process_time()
        back = decode(blobs)
        end = time.process_time()
        assert np.array_equal(back, test.reshape(-1)), name
        rows.append(
            {
                "coder": name,
                "bits per dimension": 8 * sum(map(len, blobs)) / test.size,
                "encode": middle - start,
                "decode": end - middle,
            }
        )
    return rows


def constriction_row(models: list[Path], test: Any) -> list[dict[str, Any]]:
    """An entropy-coding library with this model's own conditional probabilities, made beforehand."""
    try:
        import constriction
    except ImportError:
        return []
    circuit = pc.load(models[0])
    family = constriction.stream.model.Categorical(perfect=False)
    part = test[:20].reshape(min(len(test), 20), -1)
    start = time.process_time()
    tables = []
    for i in range(part.shape[1]):
        unknown = np.arange(part.shape[1]) >= i
        tables.append(circuit.conditional(part, [i], missing=unknown)[0])
    pmfs = np.stack(tables, axis=1).astype(np.float32).reshape(part.size, -1)
    made = time.process_time()
    symbols = part.reshape(-1).astype(np.int32)
    coder = constriction.stream.stack.AnsCoder()
    coder.encode_reverse(symbols, family, pmfs)
    size = 32 * len(coder.get_compressed())
    middle = time.process_time()
    decoded = coder.decode(family, pmfs)
    end = time.process_time()
    assert np.array_equal(decoded, symbols)
    scale = len(test) / len(part)
    print(f"constriction: the probabilities of {len(part)} images took {made - start:.1f} CPU s")
    return [
        {
            "coder": f"constriction, ready-made pmfs of {models[0].name} ({len(part)} images, scaled)",
            "bits per dimension": size / part.size,
            "encode": (middle - made) * scale,
            "decode": (end - middle) * scale,
            "-log2 p": float(-circuit.log_prob(part).sum() / np.log(2)) / part.size,
        }
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--models", type=Path, nargs="*", default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["circuits", "peers"])
    arguments = parser.parse_args()
    train, test = load(arguments.data)
    if arguments.quick:
        test = test[:1000]
    results = Results("pc_codec", 0, machine("zstandard", "brotli", "pillow", "imagecodecs"))
    rows = []
    if arguments.only != "peers":
        rows += circuit_rows(arguments.models, train, test, arguments.quick)
    if arguments.only != "circuits":
        rows += peer_rows(train, test, arguments.quick)
        if arguments.models:
            rows += constriction_row(arguments.models, test)
    results.add(
        ResultTable(
            key="images",
            title=f"{len(test)} images of {test[0].size} bytes, {fourfold.get_num_threads()} threads",
            columns={
                "coder": text,
                "bits per dimension": number,
                "encode": seconds,
                "decode": seconds,
                "-log2 p": number,
                "over -log2 p": text,
                "one image, bits over": text,
            },
            rows=rows,
            note="Seconds of the clock for fourfold, the best of three turns; of one processor for the others.",
        )
    )
    results.write_json(ROOT / "benchmarks" / "results" / "pc_codec.json")


if __name__ == "__main__":
    main()
