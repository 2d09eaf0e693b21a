"""Gradients of propagation on a GPU: a step back beside the bound of its arithmetic, shared memory and device memory.

Usage: PYTHONPATH=benchmarks python benchmarks/gpu_nlse_gradients.py [--json FILE] [--seed N] [--clock GHZ]

Answers are checked against the CPU before anything is timed. A Strang step back is the difference of two backward
passes of one interval each, with respect to psi0 and a potential, with many and with few steps, medians of CUDA events,
divided by the difference of their numbers of steps: once where intervals are recorded whole, once from checkpoints.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import sys
from pathlib import Path
from typing import Any

import torch
from gpu_nlse import STEP, bound_us, copy_bandwidth, event

from fourfold import nlse
from fourfold._gpu import has_cuda_kernels, no_cuda_kernels

Tensor = torch.Tensor

SHAPES = [(16384, 1024), (65536, 256), (4096, 4096), (2048, 8192)]
OTHERS = [(16384, 1000), (4096, 3000)]  # through torch.fft
DTYPES = [torch.complex128, torch.complex64]
# Few and many steps. Up to 60 flows of 16 MiB of fields are recorded whole.
WAYS = {"whole": (10, 50), "checkpoints": (200, 600)}


def forward(psi0: Tensor, omega: Tensor, potential: Tensor, steps: int) -> Tensor:
    """One interval."""
    t = torch.tensor([0.0, steps * STEP], dtype=torch.float64)
    return nlse.propagate(
        psi0, t, omega=omega, potential=potential, method="strang", step=STEP, tolerance=1e-2
    )[1]


def median_ms(
    psi0: Tensor, omega: Tensor, potential: Tensor, steps: int, repeats: int = 5
) -> float:
    """Of the backward pass."""
    times: list[float] = []
    weight = torch.ones_like(psi0)
    for _ in range(repeats):
        out = forward(psi0, omega, potential, steps)
        begin, end = event(), event()
        begin.record()
        torch.autograd.grad(out, [psi0, potential], weight)
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def check(n: int, dtype: torch.dtype) -> float:
    """How far gradients of 100 steps on the GPU are from those on the CPU; raises if too far."""
    grid = nlse.Grid(n, 50.0)
    waves = [torch.from_numpy(nlse.soliton(grid, 0.5 + a)) for a in torch.rand(4).tolist()]
    omega = 0.5 * torch.from_numpy(grid.k.copy()) ** 2
    found = []
    for device in ("cpu", "cuda"):
        psi0 = torch.stack(waves).to(dtype).to(device).requires_grad_()
        potential = torch.zeros(n, dtype=torch.float64, device=device, requires_grad=True)
        out = forward(psi0, omega.to(device), potential, 100)
        weight = out.detach().conj().resolve_conj()
        found.append([g.cpu() for g in torch.autograd.grad(out, [psi0, potential], weight)])
    off = max(
        float(torch.linalg.norm(ours - exact) / torch.linalg.norm(exact))
        for exact, ours in zip(*found, strict=True)
    )
    if not off < (1e-11 if dtype == torch.complex128 else 1e-3):
        raise AssertionError(f"n = {n}, {dtype}: gradients off by {off:.1e}")
    return off


def bounds_us(
    shape: tuple[int, int], dtype: torch.dtype, clock: float, bandwidth: float, way: str
) -> dict[str, float]:
    """Of a Strang step back, see docs/internals/nlse.md: two or three forward steps and what is more."""
    runs = 2 if way == "whole" else 3
    points = shape[0] * shape[1]
    if shape in OTHERS:  # numbers read and written, and the potential's sum
        size = (8 * runs + 1) * dtype.itemsize + 16
        passes = size * points / bandwidth * 1e6
        return {"arithmetic_us": 0.0, "shared_us": 0.0, "memory_us": passes}
    step = bound_us(shape, dtype, clock)
    processors = torch.cuda.get_device_properties(0).multi_processor_count
    lanes = 128 if dtype == torch.complex64 else 64
    cycles = points / processors / clock / 1e3  # of one cycle a point
    return {
        "arithmetic_us": runs * step["arithmetic_us"] + 8 / lanes * cycles,
        "shared_us": runs * step["shared_us"] + 5 * dtype.itemsize / 128 * cycles,
        "memory_us": 2 * dtype.itemsize * points / bandwidth * 1e6,
    }


def measure(
    shape: tuple[int, int], dtype: torch.dtype, way: str, clock: float, bandwidth: float
) -> dict[str, Any]:
    """One row of the table."""
    batch, n = shape
    off = check(n, dtype)
    psi0 = (0.3 * torch.randn(batch, n, dtype=dtype, device="cuda")).requires_grad_()
    omega = 0.5 * torch.from_numpy(nlse.Grid(n, 50.0).k.copy()).cuda() ** 2
    potential = torch.zeros(n, dtype=torch.float64, device="cuda", requires_grad=True)
    few, many = WAYS[way]
    median_ms(psi0, omega, potential, few, 2)
    both = [median_ms(psi0, omega, potential, steps) for steps in (few, many)]
    step = (both[1] - both[0]) / (many - few) * 1e3
    bounds = bounds_us(shape, dtype, clock, bandwidth, way)
    return {
        "shape": f"{batch}x{n}",
        "dtype": str(dtype).removeprefix("torch."),
        "way": way,
        "step_us": step,
        "share": max(bounds.values()) / step,
        "error": off,
        **bounds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--clock", type=float, default=1.755, help="GHz of the multiprocessors")
    arguments = parser.parse_args()
    if not torch.cuda.is_available() or not has_cuda_kernels():
        why = no_cuda_kernels() if torch.cuda.is_available() else "no CUDA device"
        print(f"nothing to measure: {why}")
        return 1
    torch.manual_seed(arguments.seed)
    print(torch.cuda.get_device_name(), "torch", torch.__version__, "seed", arguments.seed)
    bandwidth = copy_bandwidth()
    print(f"copy {bandwidth / 1e12:.2f} TB/s; bounds at {arguments.clock} GHz")
    rows = []
    for dtype in DTYPES:
        for shape in SHAPES + OTHERS:
            for way in WAYS:
                row = measure(shape, dtype, way, arguments.clock, bandwidth)
                rows.append(row)
                print(
                    "{shape:>11} {dtype:>10} {way:>11}  Strang step back {step_us:8.1f} us  (arithmetic "
                    "{arithmetic_us:.1f}, shared {shared_us:.1f}, memory {memory_us:.1f})  {share:6.1%}  "
                    "error {error:.1e}".format(**row)
                )
    if arguments.json is not None:
        result = {"device": torch.cuda.get_device_name(), "rows": rows}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
