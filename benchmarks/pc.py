"""How fast `fourfold.pc` learns, beside the arithmetic and the memory of this machine.

    python benchmarks/pc.py DATA                  DATA: a folder with the IDX files of MNIST
    python benchmarks/pc.py DATA --only training

Bits per dimension against minutes are another script: pc_training.py.
"""

from __future__ import annotations

import argparse
import resource
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from contest import ROOT, Results, ResultTable, machine, seconds, text
from numpy.typing import NDArray
from pc_training import images

import fourfold
from fourfold import pc

BATCH = 512


def training(results: Results, rng: np.random.Generator, data: Path, quick: bool) -> None:
    """Seconds of an epoch over 60,000 images, from a part of them."""
    train = images(data, "train")
    tree = pc.HCLT.fit(train, num_latents=1, epochs=0).structure
    rows: list[dict[str, Any]] = []
    for states in (16, 32) if quick else (11, 16, 24, 32, 48, 64):
        for threads in (1, 2):
            part = train[rng.permutation(len(train))[: 4096 if quick else 8192]]
            rows.append(_row(tree.with_states(states), states, threads, part))
    results.add(
        ResultTable(
            key="training",
            title="One epoch of EM over 60,000 images of MNIST, batches of 512",
            columns={
                "M": text,
                "threads": text,
                "images": text,
                "epoch": seconds,
                "GFLOP/s": _one_digit,
                "log_prob of 60,000": seconds,
                "peak memory": _gigabytes,
            },
            rows=rows,
            note="GFLOP/s: of the three products of every edge. Peak memory: of the process so far. "
            "Wanted: 3.0 s at M = 16; less than 1.5 GB at M = 32.",
        )
    )


def _one_digit(value: Any) -> str:
    return f"{value:.1f}"


def _gigabytes(value: Any) -> str:
    return f"{value:.2f} GB"


def _row(
    structure: pc.Structure, states: int, threads: int, part: NDArray[np.uint8]
) -> dict[str, Any]:
    fourfold.set_num_threads(threads)
    start = pc.fit(structure, part, epochs=0)
    _check(start, part)
    scale = 60000 / len(part)
    epoch = min(
        pc.fit(start, part, epochs=1, batch_size=BATCH).history[0].seconds for _ in range(3)
    )
    query = np.inf
    for _ in range(3):
        began = time.perf_counter()
        start.log_prob(part)
        query = min(query, time.perf_counter() - began)
    return {
        "M": states,
        "threads": threads,
        "images": len(part),
        "epoch": epoch * scale,
        "GFLOP/s": 6 * (structure.num_nodes - 1) * states**2 * len(part) / epoch / 1e9,
        "log_prob of 60,000": query * scale,
        "peak memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def _check(circuit: pc.Circuit, part: NDArray[np.uint8]) -> None:
    """The answers before the times: messages in NumPy and double precision, of a few images."""
    structure = circuit.structure
    few = part[:8].reshape(8, -1)
    below = [np.ones((8, int(m))) for m in structure.states]
    exponent = np.zeros(8)
    for i, leaf in enumerate(circuit.leaves):
        below[structure.leaf_node[i]] *= leaf[:, few[:, i]].T.astype(np.float64)
    for v in range(structure.num_nodes - 1, 0, -1):
        scale = below[v].max(axis=1, keepdims=True)
        exponent += np.log(scale[:, 0])
        edge = circuit.edges[v]
        assert edge is not None
        below[structure.parent[v]] *= (below[v] / scale) @ edge.T.astype(np.float64)
    expected = exponent + np.log(below[0] @ circuit.root.astype(np.float64))
    off = float(np.abs(circuit.log_prob(part[:8]) - expected).max())
    if not off < 1e-3:
        raise AssertionError(f"log_prob is off NumPy by {off:.1e} nats")


TABLES: dict[str, Callable[..., None]] = {"training": training}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the IDX files of MNIST")
    parser.add_argument("--quick", action="store_true", help="fewer sizes and images")
    parser.add_argument("--only", action="append", choices=list(TABLES), help="repeatable")
    parser.add_argument(
        "--seed", type=int, help="of the images chosen; default: a fresh one, printed"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/pc.json")
    parser.add_argument("--markdown", type=Path, help="a page to put the tables into")
    arguments = parser.parse_args()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    results = Results("pc", seed, machine("numpy", "scipy") | {"seed": seed})
    for key, value in results.machine.items():
        results.console.print(f"{key}: {value}", highlight=False)
    for name in arguments.only or TABLES:
        TABLES[name](results, np.random.default_rng(seed), arguments.data, arguments.quick)
    results.write_json(arguments.output)
    if arguments.markdown is not None:
        results.write_markdown(arguments.markdown)


if __name__ == "__main__":
    main()
