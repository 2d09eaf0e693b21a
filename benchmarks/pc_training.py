"""Bits per dimension against minutes: hidden Chow-Liu trees on MNIST.

    python benchmarks/pc_training.py DATA --states 16 32 64 --minutes 4 12 60

DATA is a folder with the IDX files of MNIST. For each number of states one model is learnt within its
minutes; the number of epochs follows from the time of the first steps. Test bits per dimension are those of
the probabilities; nothing is coded here. Each run writes a checkpoint after every epoch and goes on from it
when the command is given again; models and curves go to --out. With --grown, each model but the first begins
as the one before it, grown to its number of states, and its minutes come on top of those before. With
--pruned, the last model is then pruned to each of those numbers of states and learns on from there. Every
model is judged as it is and after `pc.smooth`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fourfold
from fourfold import pc

HEADER = {"images": 16, "labels": 8}


def images(folder: Path, part: str) -> NDArray[np.uint8]:
    path = folder / f"{part}-images-idx3-ubyte.gz"
    content = gzip.decompress(path.read_bytes())
    pixels = np.frombuffer(content, dtype=np.uint8, offset=HEADER["images"])
    return pixels.reshape(-1, 28, 28)


def falling(done: float) -> float:
    """Steps for what begins with tables that are learnt already: they are not to be forgotten."""
    return 0.2 + (0.02 - 0.2) * done


def judged(model: pc.Circuit, test: NDArray[np.uint8], train_rows: int) -> dict[str, Any]:
    """Its size and its bits per dimension."""
    smoothed = pc.smooth(model, train_rows)
    return {
        "parameters": model.num_parameters,
        "minutes": model.history[-1].seconds / 60,
        "epochs": len(model.history),
        "train_bits_per_dim": model.history[-1].bits_per_dim,
        "test_bits_per_dim": model.bits_per_dim(test),
        "test_bits_per_dim_smoothed": smoothed.bits_per_dim(test),
        "threads": fourfold.get_num_threads(),
        "curve": [[record.seconds / 60, record.bits_per_dim] for record in model.history],
    }


def write(outcome: dict[str, Any], path: Path) -> None:
    """To the file and the screen."""
    path.write_text(json.dumps(outcome, indent=1) + "\n")
    print(
        f"{path.stem}: test {outcome['test_bits_per_dim']:.4f} bits/dim, smoothed "
        f"{outcome['test_bits_per_dim_smoothed']:.4f}, after {outcome['minutes']:.1f} min, "
        f"{outcome['epochs']} epochs",
        flush=True,
    )


def seconds_of_an_epoch(structure: pc.Structure, train: NDArray[np.uint8], rows: int) -> float:
    """From ``rows`` images, twice, the better of the two."""
    best = np.inf
    for _ in range(2):
        learnt = pc.fit(structure, train[:rows], epochs=1, batch_size=512)
        best = min(best, learnt.history[0].seconds)
    return best * len(train) / rows


def learn(
    states: int,
    minutes: float,
    train: NDArray[np.uint8],
    test: NDArray[np.uint8],
    out: Path,
    smaller: pc.Circuit | None,
) -> tuple[pc.Circuit, dict[str, Any]]:
    began = time.perf_counter()
    tree_file = out / "tree.ffpc"
    if tree_file.exists():
        tree = pc.load(tree_file).structure
    else:
        pc.HCLT.fit(train, num_latents=1, epochs=0).save(tree_file)
        tree = pc.load(tree_file).structure
    tree_seconds = time.perf_counter() - began
    structure = tree.with_states(states)
    plan = out / f"plan_{states}.json"
    if not plan.exists():
        epoch = seconds_of_an_epoch(structure, train, 8192)
        epochs = max(1, int(minutes * 60 / epoch))
        plan.write_text(json.dumps({"seconds_of_an_epoch": epoch, "epochs": epochs}))
    planned = json.loads(plan.read_text())

    def show(record: pc.Epoch) -> None:
        print(
            f"M={states} epoch {record.epoch}/{planned['epochs']}: {record.bits_per_dim:.4f} bits/dim "
            f"in training, {record.seconds / 60:.2f} min",
            flush=True,
        )

    model = pc.fit(
        structure if smaller is None else pc.grow(smaller, states),
        train,
        epochs=planned["epochs"],
        batch_size=512,
        step=None if smaller is None else falling,
        checkpoint=out / f"state_{states}.ckpt",
        callback=show,
    )
    model.save(out / f"mnist_{states}.ffpc")
    return model, {
        "states": states,
        "grown": smaller is not None,
        "tree_seconds": tree_seconds,
        **judged(model, test, len(train)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--states", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--minutes", type=float, nargs="+", default=[4.0, 12.0])
    parser.add_argument("--grown", action="store_true", help="begin with the model before, grown")
    parser.add_argument("--pruned", type=int, nargs="*", default=[], help="numbers of states")
    parser.add_argument("--pruned-epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/pc_training"))
    arguments = parser.parse_args()
    if len(arguments.states) != len(arguments.minutes):
        parser.error("--minutes: give one number for each of --states")
    fourfold.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    train, test = images(arguments.data, "train"), images(arguments.data, "t10k")
    model = None
    for states, minutes in zip(arguments.states, arguments.minutes, strict=True):
        smaller = model if arguments.grown else None
        model, outcome = learn(states, minutes, train, test, arguments.out, smaller)
        write(outcome, arguments.out / f"outcome_{states}.json")
    for states in arguments.pruned:
        assert model is not None
        pruned = pc.fit(
            pc.prune(model, states),
            train,
            epochs=arguments.pruned_epochs,
            batch_size=512,
            step=falling,
        )
        name = f"{states}_of_{arguments.states[-1]}"
        pruned.save(arguments.out / f"mnist_{name}.ffpc")
        write(judged(pruned, test, len(train)), arguments.out / f"outcome_{name}.json")


if __name__ == "__main__":
    main()
