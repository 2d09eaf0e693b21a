"""How the time of `fourfold.pc` grows: with images, and with the square of the number of states.

    python benchmarks/pc_scaling.py DATA [--figures docs/figures]

DATA is a folder with the IDX files of MNIST. Times do not depend on what the tables have learnt, so that these are
those with which learning begins, on the tree of the training images.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from contest import ROOT, Results, ResultTable, machine, seconds, text
from numpy.typing import NDArray
from pc_codec import best
from pc_training import images

import fourfold
from fourfold import pc

BATCH = 512
WORK = ("encode", "decode", "epoch of EM")


def times(circuit: pc.Circuit, part: NDArray[np.uint8], turns: int) -> dict[str, Any]:
    """Seconds of each kind of work for some images."""
    blob = pc.compress(circuit, part, block_items=100)
    assert np.array_equal(pc.decompress(circuit, blob), part)
    epochs = [pc.fit(circuit, part, epochs=1, batch_size=BATCH) for _ in range(turns)]
    return {
        "encode": best(partial(pc.compress, circuit, part, block_items=100), turns),
        "decode": best(partial(pc.decompress, circuit, blob), turns),
        "epoch of EM": min(run.history[0].seconds for run in epochs),
    }


def table(key: str, title: str, first: str, rows: list[dict[str, Any]]) -> ResultTable:
    scaled = [name for name in rows[0] if name not in (first, *WORK)]
    columns = {first: text} | dict.fromkeys((*WORK, *scaled), seconds)
    return ResultTable(key=key, title=title, columns=columns, rows=rows)


def draw(by_images: list[dict[str, Any]], by_states: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, rows, name, power in ((left, by_images, "images", 1), (right, by_states, "M", 2)):
        size = np.array([row[name] for row in rows], dtype=float)
        for work, style in zip(WORK, ("o", "s", "^"), strict=True):
            took = np.array([row[work] for row in rows])
            (line,) = axes.loglog(size, took, style, markersize=4, label=work)
            axes.loglog(size, took[-1] * (size / size[-1]) ** power, lw=1, color=line.get_color())
        axes.set_xlabel("images, $M = 16$" if power == 1 else "states $M$, 1024 images")
        axes.set_ylabel("seconds")
        axes.set_xticks(size, [f"{int(s)}" for s in size])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(
            title="lines: linear" if power == 1 else "lines: $M^2$", frameon=False, fontsize=8
        )
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the IDX files of MNIST")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="fewer sizes")
    parser.add_argument(
        "--tree", type=Path, help="a circuit whose tree is taken instead of a new one"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/pc_scaling.json")
    parser.add_argument("--figures", type=Path, help="a folder to draw pc_scaling.svg into")
    arguments = parser.parse_args()
    fourfold.set_num_threads(arguments.threads)
    train = images(arguments.data, "train")
    if arguments.tree is None:
        tree = pc.HCLT.fit(train, num_latents=1, epochs=0).structure
    else:
        tree = pc.load(arguments.tree).structure
    results = Results("pc_scaling", 0, machine("numpy") | {"threads": arguments.threads})
    turns = 2 if arguments.quick else 3

    circuit = pc.fit(tree.with_states(16), train[:512], epochs=0)
    by_images = []
    for count in (512, 1024) if arguments.quick else (256, 512, 1024, 2048, 4096, 8192):
        took = times(circuit, train[:count], turns)
        each = {f"{work} of one image": took[work] / count for work in WORK}
        by_images.append({"images": count} | took | each)
    results.add(table("images", "Time against images, M = 16", "images", by_images))

    by_states = []
    for states in (8, 16) if arguments.quick else (8, 16, 32, 64, 128):
        circuit = pc.fit(tree.with_states(states), train[:512], epochs=0)
        took = times(circuit, train[:1024], turns)
        each = {f"{work} / M²": took[work] / states**2 for work in WORK}
        by_states.append({"M": states} | took | each)
    results.add(table("states", "Time of 1024 images against states", "M", by_states))

    if arguments.figures is not None:
        draw(by_images, by_states, arguments.figures / "pc_scaling.svg")
    results.write_json(arguments.output)


if __name__ == "__main__":
    main()
