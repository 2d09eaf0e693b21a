"""Steps of an ensemble on a GPU beside the bound of its arithmetic and shared memory.

Usage: PYTHONPATH=benchmarks python benchmarks/gpu_nlse.py [--json FILE] [--seed N] [--clock GHZ]

Answers are checked against the CPU before anything is timed. A step is the difference of two runs of one launch each,
with many and with few steps, medians of CUDA events, divided by the difference of their numbers of steps.
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

from fourfold import nlse
from fourfold._gpu import has_cuda_kernels, no_cuda_kernels

Tensor = torch.Tensor

SHAPES = [(16384, 1024), (11469, 1024), (65536, 256), (32768, 512), (4096, 4096), (2048, 8192)]
DTYPES = [torch.complex128, torch.complex64]
STEP = 1e-3


def event() -> Any:
    """A point in a stream, with the time at which it was reached."""
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def run(psi0: Tensor, omega: Tensor, steps: int, method: str) -> Tensor:
    """One interval."""
    t = torch.tensor([0.0, steps * STEP], dtype=torch.float64)
    return nlse.propagate(psi0, t, omega=omega, method=method, step=STEP)[1]


def median_ms(psi0: Tensor, omega: Tensor, steps: int, method: str, repeats: int = 7) -> float:
    """Of a run."""
    times: list[float] = []
    for _ in range(repeats):
        begin, end = event(), event()
        begin.record()
        run(psi0, omega, steps, method)
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def copy_bandwidth() -> float:
    """Bytes a second, read and written."""
    x = torch.empty(1 << 28, dtype=torch.uint8, device="cuda")
    y = torch.empty_like(x)
    times: list[float] = []
    for _ in range(10):
        begin, end = event(), event()
        begin.record()
        y.copy_(x)
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return 2 * x.numel() / statistics.median(times) * 1e3


def bound_us(shape: tuple[int, int], dtype: torch.dtype, clock: float) -> dict[str, float]:
    """Of a Strang step: arithmetic; shared memory and L1. See docs/internals/nlse.md."""
    batch, n = shape
    single = dtype == torch.complex64
    inner, outer = 0, n
    while outer > 16:
        inner, outer = inner + 1, outer // 16
    butterflies = {2: 2.0, 4: 4.0, 8: 7.5, 16: 11.5}[outer] + 11.5 * inner
    twiddles = (outer - 1) / outer + (inner - 1) * 15 / 16  # numbers read, there or back
    instructions = 2 * butterflies + 2 * 4 * twiddles + 6 + (28 if single else 34)
    numbers = 2 * 2 * inner + 2 * twiddles + 1
    lanes = 128 if single else 64
    processors = torch.cuda.get_device_properties(0).multi_processor_count
    points = batch * n / processors
    return {
        "arithmetic_us": points * instructions / lanes / clock / 1e3,
        "shared_us": points * numbers * dtype.itemsize / 128 / clock / 1e3,
    }


def check(n: int, dtype: torch.dtype) -> float:
    """How far 100 steps on the GPU are from those on the CPU; raises if too far."""
    grid = nlse.Grid(n, 50.0)
    amplitudes = torch.rand(4).tolist()
    psi0 = torch.stack([torch.from_numpy(nlse.soliton(grid, 0.5 + a)) for a in amplitudes])
    psi0 = psi0.to(dtype)
    omega = 0.5 * torch.from_numpy(grid.k.copy()) ** 2
    expected = run(psi0, omega, 100, "rkn4_6b")
    found = run(psi0.cuda(), omega.cuda(), 100, "rkn4_6b").cpu()
    off = float(torch.linalg.norm(found - expected) / torch.linalg.norm(expected))
    if not off < (1e-13 if dtype == torch.complex128 else 1e-4):
        raise AssertionError(f"n = {n}, {dtype}: off by {off:.1e}")
    return off


def measure(shape: tuple[int, int], dtype: torch.dtype, clock: float) -> dict[str, Any]:
    """One row of the table."""
    batch, n = shape
    off = check(n, dtype)
    psi0 = 0.3 * torch.randn(shape, dtype=dtype, device="cuda")
    omega = 0.5 * torch.from_numpy(nlse.Grid(n, 50.0).k.copy()).cuda() ** 2
    few, many = 50, 250
    median_ms(psi0, omega, many, "strang", 2)
    step = (
        (median_ms(psi0, omega, many, "strang") - median_ms(psi0, omega, few, "strang"))
        / (many - few)
        * 1e3
    )
    bounds = bound_us(shape, dtype, clock)
    bound = max(bounds.values())
    return {
        "shape": f"{batch}x{n}",
        "dtype": str(dtype).removeprefix("torch."),
        "step_us": step,
        "bound_us": bound,
        "share": bound / step,
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
    print(f"copy {copy_bandwidth() / 1e12:.2f} TB/s; bounds at {arguments.clock} GHz")
    rows = []
    for dtype in DTYPES:
        for shape in SHAPES:
            row = measure(shape, dtype, arguments.clock)
            rows.append(row)
            print(
                "{shape:>11} {dtype:>10}  Strang step {step_us:8.1f} us  bound {bound_us:7.1f} us (arithmetic "
                "{arithmetic_us:.1f}, shared {shared_us:.1f})  {share:6.1%}  error {error:.1e}".format(
                    **row
                )
            )
    if arguments.json is not None:
        result = {"device": torch.cuda.get_device_name(), "rows": rows}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
