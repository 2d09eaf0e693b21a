"""Small Kronecker systems on a GPU: inv_quad_logdet and its gradient beside torch alone on the same card.

Usage: PYTHONPATH=benchmarks python benchmarks/gpu_gp.py [--json FILE] [--seed N]

Answers are checked before anything is timed. "eager": medians of the time until the device is done, launches and Python
included, as a training loop meets them. "graph": of CUDA graph replays, which is the kernels alone; torch's
eigendecomposition cannot be recorded in one. "kernels": forward and backward by themselves, without autograd.
"""

from __future__ import annotations

import argparse
import json
import math
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fourfold import gp
from fourfold._gpu import has_cuda_kernels, no_cuda_kernels

SYSTEMS = [
    ((16, 16, 16), 64),
    ((30, 30), 8),
    ((11, 11, 11), 45),
    ((24, 24, 24), 64),
    ((45, 45), 12),
    ((64, 64), 8),
    ((200, 200), 1),
    ((400, 400), 1),
    ((100, 100, 100), 1),
]


def baseline(factors: Sequence[Tensor], noise: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """What one writes in torch: eigh with its own gradient, and mode products by matmul."""
    batch = y.shape[0]
    sizes = [f.shape[-1] for f in factors]
    pairs = [torch.linalg.eigh(f) for f in factors]
    spectrum = torch.ones(batch, 1, dtype=y.dtype, device=y.device)
    x = y
    before = 1
    for k, (values, vectors) in enumerate(pairs):
        after = math.prod(sizes[k + 1 :])
        spectrum = (spectrum.unsqueeze(-1) * values.unsqueeze(-2)).flatten(-2)
        x = vectors.mT.unsqueeze(1) @ x.reshape(batch, before, sizes[k], after)
        before *= sizes[k]
    spectrum = spectrum + noise.unsqueeze(-1)
    return (x.reshape(batch, -1).square() / spectrum).sum(-1), spectrum.log().sum(-1)


def ours(factors: Sequence[Tensor], noise: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The same in fourfold."""
    quad, logdet = gp.Kronecker(list(factors)).inv_quad_logdet(y, noise)
    return quad, logdet


def step(way: Callable[..., tuple[Tensor, Tensor]], given: Sequence[Tensor]) -> list[Tensor]:
    """Value and gradients."""
    *factors, noise, y = given
    quad, logdet = way(factors, noise, y)
    loss = quad.sum() + logdet.sum()
    return [quad.detach(), logdet.detach(), *torch.autograd.grad(loss, given)]


def draw(sizes: Sequence[int], batch: int, dtype: torch.dtype) -> list[Tensor]:
    """Matern-5/2 covariances of random points, noise and data."""
    shape = (batch,) if batch > 1 else ()
    given = []
    for n in sizes:
        points = torch.rand(*(shape or (1,)), n, dtype=torch.float64, device="cuda")
        t = 5**0.5 * (points.unsqueeze(-1) - points.unsqueeze(-2)).abs() / 0.2
        given.append(((1 + t + t * t / 3) * torch.exp(-t)).to(dtype))
    given.append(torch.full((batch,), 0.1, dtype=dtype, device="cuda"))
    given.append(torch.randn(batch, math.prod(sizes), dtype=dtype, device="cuda"))
    return [g.requires_grad_() for g in given]


def check(given: Sequence[Tensor]) -> float:
    """How far both are apart, gradients of repeated eigenvalues excepted (there are none here)."""
    worst = 0.0
    limit = 1e-8 if given[0].dtype == torch.float64 else 2e-2
    for one, other in zip(step(ours, given), step(baseline, given), strict=True):
        if one.ndim == 3:
            one, other = (one + one.mT) / 2, (other + other.mT) / 2
        off = float((one - other).double().norm() / other.double().norm())
        worst = max(worst, off)
    if not worst < limit:
        raise AssertionError(f"{given[0].dtype}: off by {worst:.1e}")
    return worst


def eager_ms(call: Callable[[], object], turns: int = 40) -> float:
    """Median time until the device is done."""
    for _ in range(5):
        call()
    times = []
    for _ in range(turns):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e3


def graph_ms(call: Callable[[], object], turns: int = 40) -> float:
    """Median of replays, ten calls each."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(10):
            call()
    return eager_ms(graph.replay, turns) / 10


def row_of(sizes: tuple[int, ...], batch: int, dtype: torch.dtype) -> dict[str, Any]:
    """One line of the table."""
    given = draw(sizes, batch, dtype)
    error = check(given)
    small = max(sizes) <= 64 and len(sizes) <= 8
    fits = small and gp._cuda_kernel.system_fits(
        given[-1].detach().unsqueeze(1), sizes, [batch] * len(sizes)
    )
    row: dict[str, Any] = {
        "sizes": "x".join(map(str, sizes)),
        "batch": batch,
        "dtype": str(dtype)[6:],
        "kernels": fits,
        "error": error,
        "ours_ms": eager_ms(lambda: step(ours, given)),
        "torch_ms": eager_ms(lambda: step(baseline, given)),
        "graph_ms": graph_ms(lambda: step(ours, given)) if fits else None,
    }
    return row | {"ratio": row["torch_ms"] / row["ours_ms"]}


def floors() -> dict[str, float]:
    """Copy bandwidth and rate of matrix products on this card, and the time of an empty launch."""
    x = torch.empty(1 << 28, dtype=torch.float32, device="cuda")
    z = torch.empty_like(x)
    m = torch.randn(4096, 4096, dtype=torch.float64, device="cuda")
    tiny = torch.zeros(1, device="cuda")
    return {
        "copy_TBs": 2 * x.numel() * 4 / eager_ms(lambda: z.copy_(x)) / 1e9,
        "gemm_float64_TFs": 2 * 4096**3 / eager_ms(lambda: m @ m) / 1e9,
        "launch_us": graph_ms(lambda: tiny.add_(1)) * 1e3,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    arguments = parser.parse_args()
    if not torch.cuda.is_available() or not has_cuda_kernels():
        why = no_cuda_kernels() if torch.cuda.is_available() else "no CUDA device"
        print(f"nothing to measure: {why}")
        return 1
    torch.manual_seed(arguments.seed)
    print(torch.cuda.get_device_name(), "torch", torch.__version__, "seed", arguments.seed)
    found: dict[str, Any] = {"device": torch.cuda.get_device_name(), "floors": floors()}
    print({k: round(v, 3) for k, v in found["floors"].items()})
    rows = []
    for dtype in (torch.float64, torch.float32):
        for sizes, batch in SYSTEMS:
            row = row_of(sizes, batch, dtype)
            rows.append(row)
            graph = "-" if row["graph_ms"] is None else f"{row['graph_ms']:.3f}"
            print(
                f"{row['sizes']:>12} x {batch:<3} {row['dtype']}  torch {row['torch_ms']:8.3f} ms  "
                f"ours {row['ours_ms']:8.3f} ms  {row['ratio']:5.1f} x  graph {graph} ms  "
                f"apart {row['error']:.1e}"
            )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found | {"rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
