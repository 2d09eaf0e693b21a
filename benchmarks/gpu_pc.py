"""The CUDA kernels of circuits beside the CPU's, and beside what the card can do at most.

Usage: PYTHONPATH=benchmarks python benchmarks/gpu_pc.py [--models a.ffpc ...] [--json FILE] [--seed N]

Without models: 784 variables of 256 values on a random tree over 28 x 28 pixels, with 32 and with 128 states. Images are
drawn from the circuit. Answers are checked before anything is timed: streams byte by byte, probabilities, tables after a
step of EM and draws to single precision. Times of the codec are of the whole call, images and payloads going to the card
and back; of an epoch of EM, of all its steps with what Python does between them.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fourfold import pc
from fourfold._gpu import has_cuda_kernels, no_cuda_kernels
from fourfold.pc import _cuda_em, _cuda_kernel
from fourfold.pc._codec_kernel import row_codec
from fourfold.pc._kernel import Rule, Trainer

SIDE, VALUES = 28, 256
IMAGES_TO_JUDGE, IMAGES_TO_CODE = 60_000, 10_000
IMAGES_TO_LEARN, BATCH = 60_000, 512
DRAWS = 10_000
PYJUICE = (2.6, 0.8), (40.0, 2.6)
"""Millions of edges, and seconds an epoch of MNIST, as published, on a card of about 1.0 TB/s."""
PYJUICE_TBS = 1.0


def a_circuit(states: int, rng: np.random.Generator) -> pc.Circuit:
    """A tree whose nodes hang on a neighbour, with smooth random leaves."""
    parent = [-1]
    for v in range(1, SIDE * SIDE):
        row, column = divmod(v, SIDE)
        choices = [v - SIDE] * (row > 0) + [v - 1] * (column > 0)
        parent.append(int(rng.choice(choices)))
    size = SIDE * SIDE
    structure = pc.Structure(parent, [states] * size, list(range(size)), [VALUES] * size)
    grey = np.arange(VALUES)

    def leaf() -> Any:
        centre, width = rng.uniform(0, VALUES, (states, 1)), rng.uniform(1, 40, (states, 1))
        table = np.exp(-0.5 * ((grey - centre) / width) ** 2) + 1e-5
        return table / table.sum(axis=1, keepdims=True)

    def edge(*shape: int) -> Any:
        table = rng.gamma(0.3, size=shape) + 1e-4
        return table / table.sum(axis=-1, keepdims=True)

    edges = [None, *(edge(states, states) for _ in range(size - 1))]
    return pc.Circuit(structure, edge(states), edges, [leaf() for _ in range(size)])


def device_ms(call: Callable[[], object], repeats: int = 10) -> float:
    """Median of CUDA events around a call, after two that do not count."""
    times: list[float] = []
    for turn in range(repeats + 2):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        call()
        end.record()
        end.synchronize()
        if turn >= 2:
            times.append(begin.elapsed_time(end))
    return statistics.median(times)


def wall_ms(call: Callable[[], object], repeats: int = 5) -> float:
    """Median of the clock around a call that waits for its answer, after one that does not count."""
    times: list[float] = []
    for turn in range(repeats + 1):
        begin = time.perf_counter()
        call()
        if turn >= 1:
            times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times)


def limits() -> dict[str, float]:
    """What the card copies and multiplies."""
    x = torch.empty(1 << 28, device="cuda")
    y = torch.empty_like(x)
    copy = 2 * 4 * x.numel() / device_ms(partial(y.copy_, x)) / 1e9
    del x, y
    torch.backends.cuda.matmul.allow_tf32 = False
    a = torch.randn(8192, 8192, device="cuda")
    return {
        "copy_TBs": copy,
        "float32_TFLOPs": 2 * 8192**3 / device_ms(partial(torch.matmul, a, a)) / 1e9,
    }


def likelihoods(circuit: pc.Circuit, images: Any) -> dict[str, float]:
    """Of so many images, and how much arithmetic that is a second."""
    there = torch.from_numpy(images).cuda()
    got = circuit.log_prob(there[:512]).cpu().numpy()
    off = float(np.abs(got - circuit.log_prob(images[:512])).max())
    if not off < 0.01:
        raise AssertionError(f"log_prob is off by {off}")
    many = there.repeat(-(-IMAGES_TO_JUDGE // len(there)), 1)[:IMAGES_TO_JUDGE].contiguous()
    model = _cuda_kernel.model_on(circuit, torch.device("cuda", torch.cuda.current_device()))
    ms = device_ms(lambda: model.log_prob(many))
    states = circuit.structure.states.astype(float)
    work = 2 * float((states[1:] * states[circuit.structure.parent[1:]]).sum()) * IMAGES_TO_JUDGE
    return {"log_prob_ms": ms, "log_prob_TFLOPs": work / ms / 1e9, "log_prob_off": off}


def codec(circuit: pc.Circuit, images: Any, per_block: int) -> dict[str, float]:
    """Encoding and decoding of all images in blocks of so many."""
    here = row_codec(circuit)
    there = here.on(torch.device("cuda", torch.cuda.current_device()))
    rows = [len(images[at : at + per_block]) for at in range(0, len(images), per_block)]
    rooms = [n * images.shape[1] for n in rows]
    payloads = here.encode(images, rows, rooms)
    if there.encode(images, rows, rooms) != payloads:
        raise AssertionError("the GPU's streams are others than the CPU's")
    known = [payload for payload in payloads if payload is not None]
    counts = [n for n, payload in zip(rows, payloads, strict=True) if payload is not None]
    cells = np.empty((sum(counts), images.shape[1]), np.uint8)
    if any(there.decode(known, counts, cells)):
        raise AssertionError("the GPU calls a payload damaged")
    return {
        "images_a_block": per_block,
        "streams": sum(here.streams(n) for n in rows),
        "encode_ms": wall_ms(lambda: there.encode(images, rows, rooms)),
        "decode_ms": wall_ms(lambda: there.decode(known, counts, cells)),
        "cpu_encode_ms": wall_ms(lambda: here.encode(images, rows, rooms), 1),
        "cpu_decode_ms": wall_ms(lambda: here.decode(known, counts, cells), 1),
    }


def learning(circuit: pc.Circuit, images: Any, copy_tbs: float) -> dict[str, float]:
    """An epoch of EM, batches of 512, and what bounds it."""
    rule = Rule(rescaled=True, step=0.1, pseudocount=0.1)
    arguments: Any = (circuit.structure, circuit.offsets, circuit.packed)
    kept: dict[str, Any] = {"capacity": BATCH, "keep_average": False, "keep_totals": False}
    here = Trainer(*arguments, **kept)
    device = torch.device("cuda", torch.cuda.current_device())
    there = _cuda_em.CudaTrainer(*arguments, device=device, **kept)
    codes = there.taken(np.resize(images, (IMAGES_TO_LEARN, images.shape[1])))
    order = np.arange(BATCH)
    here.step(images[:BATCH], order, rule)
    there.step(codes, order, rule)
    off = float(np.abs(there.tables - here.tables).max())
    if not off < 1e-4:
        raise AssertionError(f"tables after a step are off by {off}")
    batches = np.array_split(np.arange(IMAGES_TO_LEARN), -(-IMAGES_TO_LEARN // BATCH))

    def epoch() -> float:
        answers = [there.step(codes, rows, rule) for rows in batches]
        return float(torch.cat(answers).sum())

    kept_codes, told = there._batch(codes, batches[0])
    step_ms = device_ms(
        lambda: there._space.kernels.step(**told, **rule._asdict(), **there._space.queue)
    )
    del kept_codes
    epoch_ms = wall_ms(epoch, 3)
    structure = circuit.structure
    states, values = structure.states.astype(float), structure.cardinality.astype(float)
    pairs = float((states[1:] * states[structure.parent[1:]]).sum())
    parameters = pairs + float((states[structure.leaf_node] * values).sum())
    rows = float(states.sum() + states[structure.parent[1:]].sum()) / 2
    moved = 9 * 4 * rows * IMAGES_TO_LEARN + 16 * parameters * len(batches)
    work = 6 * pairs * IMAGES_TO_LEARN
    return {
        "em_epoch_ms": epoch_ms,
        "em_step_ms": step_ms,
        "em_kernels_of_epoch_ms": step_ms * len(batches),
        "em_TFLOPs": work / epoch_ms / 1e9,
        "em_memory_bound_ms": moved / copy_tbs / 1e9,
        "pyjuice_scaled_ms": 1e3 * pyjuice_seconds(parameters / 1e6) * PYJUICE_TBS / copy_tbs,
        "em_tables_off": off,
    }


def pyjuice_seconds(millions: float) -> float:
    """The published figures, on a line between and beyond them."""
    (a, seconds_a), (b, seconds_b) = PYJUICE
    return seconds_a + (seconds_b - seconds_a) * (millions - a) / (b - a)


def draws(circuit: pc.Circuit) -> dict[str, float]:
    """So many draws, with random numbers from the CPU and from the GPU."""
    there = torch.zeros((1, circuit.structure.num_variables), dtype=torch.uint8).cuda()
    missing = torch.ones(there.shape, dtype=torch.bool)
    ask = partial(circuit.sample, evidence=there, missing=missing)
    here = circuit.sample(200, evidence=there.cpu(), missing=missing, generator=1)
    others = float((ask(200, generator=1).cpu() != here).flatten(1).any(dim=1).double().mean())
    if not others < 0.05:
        raise AssertionError(f"of the GPU's draws {others} are others than the CPU's")
    chance = torch.Generator(device="cuda")
    return {
        "draws_ms": device_ms(lambda: ask(DRAWS, generator=chance), 5),
        "draws_numpy_ms": wall_ms(lambda: ask(DRAWS, generator=1).cpu(), 3),
        "draws_that_differ": others,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    arguments = parser.parse_args()
    if not torch.cuda.is_available() or not has_cuda_kernels():
        why = no_cuda_kernels() if torch.cuda.is_available() else "no CUDA device"
        print(f"nothing to measure: {why}")
        return 1
    rng = np.random.default_rng(arguments.seed)
    print(torch.cuda.get_device_name(), "torch", torch.__version__, "seed", arguments.seed)
    result: dict[str, Any] = {"device": torch.cuda.get_device_name(), "limits": limits()}
    print(result["limits"])
    circuits = [(path.name, pc.load(path)) for path in arguments.models] or [
        (f"{states} states", a_circuit(states, rng)) for states in (32, 128)
    ]
    for name, circuit in circuits:
        drawn = circuit.sample(1000, generator=rng).reshape(1000, -1)
        images = np.ascontiguousarray(np.resize(drawn, (IMAGES_TO_CODE, drawn.shape[1])))
        rows = [likelihoods(circuit, images)]
        rows.append(learning(circuit, images, result["limits"]["copy_TBs"]))
        rows.append(draws(circuit))
        rows += [codec(circuit, images, per_block) for per_block in (1, 100, 167)]
        for row in rows:
            print(name, {key: round(value, 3) for key, value in row.items()})
        result[name] = rows
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
