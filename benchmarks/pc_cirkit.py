"""Learning a hidden Chow-Liu tree: expectation maximisation here, Adam in cirkit, on the same images and threads.

    python benchmarks/pc_cirkit.py DATA [--states 16] [--images 4096] [--steps 8]

DATA is a folder with the IDX files of MNIST. cirkit (PyPI: libcirkit) wants an older SciPy than fourfold; in an
environment that has fourfold's packages, `pip install --no-deps libcirkit einops opt_einsum graphviz` is enough.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contest import ROOT, Results, ResultTable, machine, number, seconds, text
from numpy.typing import NDArray
from pc_training import images

import fourfold
from fourfold import pc

BATCH = 512


def with_cirkit(
    train: NDArray[np.uint8], states: int, steps: int
) -> tuple[float, float, int, list[float]]:
    """Seconds of a step, of the build, number of parameters, and the loss in bits per dimension."""
    from cirkit.backend.torch import semiring
    from cirkit.pipeline import PipelineContext
    from cirkit.templates import data_modalities, utils

    # Logarithms of probabilities below that of the smallest double, -708, are raised to it in cirkit 0.3: an image
    # of MNIST begins at -4500, with a gradient of zero.
    semiring.LOG_CLAMP_MIN = -1e30
    torch.manual_seed(0)
    x = torch.from_numpy(train.reshape(-1, 784).astype(np.int64))
    began = time.perf_counter()
    symbolic = data_modalities.image_data(
        (1, 28, 28),
        region_graph="chow-liu-tree",
        input_layer="categorical",
        num_input_units=states,
        sum_product_layer="cp",
        num_sum_units=states,
        sum_weight_param=utils.Parameterization(activation="softmax", initialization="normal"),
        data=x,
        num_bins=8,  # its mutual information takes the square of 784 times this in memory
    )
    context = PipelineContext(backend="torch", semiring="lse-sum", fold=True, optimize=True)
    circuit: Any = context.compile(symbolic)
    build = time.perf_counter() - began
    optimizer = torch.optim.Adam(circuit.parameters(), lr=0.05)
    bits, times = [], []
    for step in range(steps):
        rows = x[torch.randint(len(x), (BATCH,))]
        began = time.perf_counter()
        loss = -circuit(rows).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - began)
        bits.append(float(loss.detach()) / np.log(2) / 784)
        # Random tables: about 8 bits for one of 256 values.
        if step == 0 and not 7 < bits[0] < 9:
            raise AssertionError(f"cirkit begins at {bits[0]} bits per dimension")
        print(f"cirkit, step {step + 1}: {times[-1]:.2f} s, {bits[-1]:.3f} bits", flush=True)
    parameters = sum(p.numel() for p in circuit.parameters())
    return min(times), build, parameters, bits


def with_fourfold(
    train: NDArray[np.uint8], states: int, steps: int
) -> tuple[float, float, int, list[float]]:
    """The same of EM."""
    began = time.perf_counter()
    start = pc.HCLT.fit(train, num_latents=states, epochs=0)
    build = time.perf_counter() - began
    part = train[: BATCH * steps]
    runs = [pc.fit(start, part, epochs=1, batch_size=BATCH) for _ in range(3)]
    best = min(run.history[0].seconds for run in runs)
    return best / steps, build, start.num_parameters, [runs[0].history[0].bits_per_dim]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--states", type=int, default=16)
    parser.add_argument("--images", type=int, default=4096, help="to learn the tree from")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/pc_cirkit.json")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    fourfold.set_num_threads(arguments.threads)
    train = images(arguments.data, "train")[: max(arguments.images, BATCH * arguments.steps)]
    rows = []
    for name, learn in (("fourfold, EM", with_fourfold), ("cirkit, Adam", with_cirkit)):
        step, build, parameters, bits = learn(train, arguments.states, arguments.steps)
        rows.append(
            {
                "learner": name,
                "tree and tables": build,
                "one step": step,
                "images a second": BATCH / step,
                "parameters": parameters,
                "bits, mean of the first epoch or last step": bits[-1],
            }
        )
    results = Results("pc_cirkit", 0, machine("libcirkit", "torch"))
    results.add(
        ResultTable(
            key="learning",
            title=f"Learning, M = {arguments.states}, batches of {BATCH}, {arguments.threads} threads",
            columns={
                "learner": text,
                "tree and tables": seconds,
                "one step": seconds,
                "images a second": number,
                "parameters": text,
                "bits, mean of the first epoch or last step": number,
            },
            rows=rows,
            note="The best step.",
        )
    )
    results.write_json(arguments.output)


if __name__ == "__main__":
    main()
