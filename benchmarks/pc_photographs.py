"""Small photographs: bits per dimension behind the reversible front end, beside image coders.

    python benchmarks/pc_photographs.py DATA [--states 16 32 64] [--epochs 4 4 4] [--model out.ffpc]

DATA is an .npz file, or a folder with one, that holds `train_images` and `test_images`, (n, height, width, 3)
uint8, for instance a part of CIFAR-10. The circuit learns the patches of the training images and of their
mirror images, with the first number of states for its epochs, then grown to the next one. The test images are
compressed, decompressed and compared. The table goes to the screen and to benchmarks/results/pc_photographs.json.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from contest import ROOT, Results, ResultTable, machine, number, seconds, text
from numpy.typing import NDArray
from pc_codec import best, peer_rows

import fourfold
from fourfold import pc

HELD_OUT = 250
"""Training images that each stage is judged by, so that the test images choose nothing."""


def load(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Training and test images."""
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    if len(files) != 1:
        raise SystemExit(f"{path}: expected one .npz file, found {len(files)}")
    with np.load(files[0]) as arrays:
        return arrays["train_images"], arrays["test_images"]


def learn(
    train: NDArray[np.uint8], front: pc.FrontEnd, states: list[int], epochs: list[int]
) -> tuple[pc.Circuit, list[dict[str, Any]]]:
    """The circuit of the last number of states, and what each stage cost and reached."""
    held_out = front.forward(train[-HELD_OUT:])
    train = train[:-HELD_OUT]
    codes = np.concatenate([front.forward(train), front.forward(train[:, :, ::-1])])
    wall, cpu = time.perf_counter(), time.process_time()
    model: pc.Circuit | None = None
    rows = []
    for count, passes in zip(states, epochs, strict=True):
        if model is None:
            cardinality = front.cardinality(train.shape[-1]).reshape(-1)
            model = pc.HCLT.fit(codes, num_latents=count, cardinality=cardinality, epochs=passes)
        else:
            # What has been learnt is not to be forgotten in large steps.
            model = pc.fit(
                pc.grow(model, count), codes, epochs=passes, step=lambda done: 0.2 - 0.18 * done
            )
        rows.append(
            {
                "M": count,
                "epochs": passes,
                "parameters": model.num_parameters,
                "minutes so far": (time.perf_counter() - wall) / 60,
                "CPU minutes so far": (time.process_time() - cpu) / 60,
                "bits, training": model.history[-1].bits_per_dim,
                "bits, held out": model.bits_per_dim(held_out),
            }
        )
        print(rows[-1], flush=True)
    assert model is not None
    return model, rows


def coded(model: pc.Circuit, front: pc.FrontEnd, test: NDArray[np.uint8]) -> dict[str, Any]:
    """The row of the circuit; what comes back is compared before anything is timed."""
    blob = pc.compress(model, test, front_end=front)
    assert np.array_equal(pc.decompress(model, blob), test)
    patches = front.forward(test)
    ideal = -np.asarray(model.log_prob(patches)).sum() / np.log(2) / test.size
    return {
        "coder": f"fourfold, M = {int(model.structure.states.max())}",
        "bits per dimension": 8 * len(blob) / test.size,
        "encode": best(partial(pc.compress, model, test, front_end=front)),
        "decode": best(partial(pc.decompress, model, blob)),
        "-log2 p": ideal,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--states", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--epochs", type=int, nargs="+", default=[4, 4, 4])
    parser.add_argument("--transform", choices=["interpolation", "haar"], default="interpolation")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a fifth of the images, M = 8")
    parser.add_argument("--model", type=Path, help="write the circuit to this file")
    parser.add_argument("--reuse", type=Path, help="a circuit from --model instead of learning")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/pc_photographs.json"
    )
    arguments = parser.parse_args()
    if len(arguments.states) != len(arguments.epochs):
        parser.error("--epochs: give one number for each of --states")
    fourfold.set_num_threads(arguments.threads)
    train, test = load(arguments.data)
    states, epochs = arguments.states, arguments.epochs
    if arguments.quick:
        train, test, states, epochs = train[:1000], test[:200], [8], [2]
    front = pc.FrontEnd((8, 8), "ycocg_r", 3, arguments.transform)
    packages = ("zstandard", "brotli", "pillow", "imagecodecs")
    results = Results("pc_photographs", 0, machine(*packages))
    if arguments.reuse is None:
        model, rows = learn(train, front, states, epochs)
        results.add(
            ResultTable(
                key="learning",
                title=f"Learning from {len(train) - HELD_OUT} photographs, {arguments.threads} threads",
                columns={
                    "M": text,
                    "epochs": text,
                    "parameters": text,
                    "minutes so far": number,
                    "CPU minutes so far": number,
                    "bits, training": number,
                    "bits, held out": number,
                },
                rows=rows,
                note=f"Held out: {HELD_OUT} more photographs.",
            )
        )
    else:
        model = pc.load(arguments.reuse)
    if arguments.model is not None:
        model.save(arguments.model)
    results.add(
        ResultTable(
            key="photographs",
            title=f"{len(test)} photographs of {'x'.join(map(str, test.shape[1:]))}",
            columns={
                "coder": text,
                "bits per dimension": number,
                "encode": seconds,
                "decode": seconds,
                "-log2 p": number,
            },
            rows=[coded(model, front, test), *peer_rows(train, test, arguments.quick)],
            note="Seconds of the clock for fourfold, the best of three turns; of one processor for the others.",
        )
    )
    results.write_json(arguments.output)


if __name__ == "__main__":
    main()
