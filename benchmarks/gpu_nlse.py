"""Steps of an ensemble on a GPU beside the bound of its arithmetic and shared memory, and of other lengths beside a copy.

Usage: PYTHONPATH=benchmarks python benchmarks/gpu_nlse.py [--json FILE] [--seed N] [--clock GHZ]

Answers are checked against the CPU before anything is timed. A step is the difference of two runs of one launch each,
with many and with few steps, medians of CUDA events, divided by the difference of their numbers of steps. Adaptive steps
are those of one wave in all realisations, so that their number is known from the CPU.
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
OTHERS = [(1, 1 << 24), (1, 1 << 20), (1, 1000), (16384, 1000), (4096, 3000)]  # through torch.fft
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
    step = step_us(psi0, omega, 50, 250)
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


def step_us(psi0: Tensor, omega: Tensor, few: int, many: int) -> float:
    """Of a Strang step."""
    median_ms(psi0, omega, many, "strang", 2)
    difference = median_ms(psi0, omega, many, "strang") - median_ms(psi0, omega, few, "strang")
    return difference / (many - few) * 1e3


def measure_fields(shape: tuple[int, int], dtype: torch.dtype, bandwidth: float) -> dict[str, Any]:
    """A length that no block takes: eager, and its bytes at the bandwidth of a copy."""
    batch, n = shape
    psi0 = 0.3 * torch.randn(shape, dtype=dtype, device="cuda")
    omega = 0.5 * torch.from_numpy(nlse.Grid(n, 0.05 * n).k.copy()).cuda() ** 2
    few, many = (5, 25) if batch * n > 1 << 20 else (50, 250)
    step = step_us(psi0, omega, few, many)
    bound = (12 if n > 8192 else 8) * dtype.itemsize * batch * n / bandwidth * 1e6
    return {
        "shape": f"{batch}x{n}",
        "dtype": str(dtype).removeprefix("torch."),
        "step_us": step,
        "bytes_us": bound,
        "share": bound / step,
    }


def measure_adaptive(dtype: torch.dtype) -> dict[str, Any]:
    """A trial (two steps, and one of twice the size) of 16,384 realisations of 1024 points."""
    grid = nlse.Grid(1024, 50.0)
    wave = torch.from_numpy(nlse.soliton(grid, 1.3)).to(dtype)
    tolerances: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-7, "method": "rkn4_6b"}
    t = torch.tensor([0.0, 10.0], dtype=torch.float64)
    solution = nlse.solve(nlse.Problem(grid), wave, t=t.numpy(), **tolerances)
    trials = (solution.stats.steps + solution.stats.rejected) // 2
    omega = 0.5 * torch.from_numpy(grid.k.copy()).cuda() ** 2
    psi0 = wave.cuda().expand(16384, -1).contiguous()
    found = nlse.propagate(psi0, t, omega=omega, **tolerances)[1]
    off = float(torch.linalg.norm(found[-1].cpu() - solution.psi[-1]) / torch.linalg.norm(wave))
    if not off < (1e-9 if dtype == torch.complex128 else 1e-3):
        raise AssertionError(f"adaptive steps, {dtype}: off by {off:.1e}")
    times: list[float] = []
    for _ in range(7):
        begin, end = event(), event()
        begin.record()
        nlse.propagate(psi0, t, omega=omega, **tolerances)
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return {
        "dtype": str(dtype).removeprefix("torch."),
        "trials": trials,
        "trial_ms": statistics.median(times) / trials,
        "error": off,
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
        for shape in SHAPES:
            row = measure(shape, dtype, arguments.clock)
            rows.append(row)
            print(
                "{shape:>11} {dtype:>10}  Strang step {step_us:8.1f} us  bound {bound_us:7.1f} us (arithmetic "
                "{arithmetic_us:.1f}, shared {shared_us:.1f})  {share:6.1%}  error {error:.1e}".format(
                    **row
                )
            )
    fields, adaptive = [], []
    for dtype in DTYPES:
        for shape in OTHERS:
            fields.append(measure_fields(shape, dtype, bandwidth))
            print(
                "{shape:>11} {dtype:>10}  Strang step {step_us:8.1f} us  bytes {bytes_us:7.1f} us  {share:6.1%}".format(
                    **fields[-1]
                )
            )
        adaptive.append(measure_adaptive(dtype))
        print(
            " 16384x1024 {dtype:>10}  trial of rkn4_6b {trial_ms:.2f} ms ({trials} trials)  error {error:.1e}".format(
                **adaptive[-1]
            )
        )
    if arguments.json is not None:
        result: dict[str, Any] = {"device": torch.cuda.get_device_name(), "rows": rows}
        result |= {"fields": fields, "adaptive": adaptive}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
