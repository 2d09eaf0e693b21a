"""Small Kronecker systems on a GPU: inv_quad_logdet and its gradient beside torch alone on the same card.

Then matrices of covariances beside torch's formula, and batches of series beside the CPU and the bytes that they move.

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
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
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


def torch_matern52(x: Tensor) -> Tensor:
    """What one writes in torch; its second derivative at lag 0 by autograd would be wrong."""
    t = 5**0.5 * (x.unsqueeze(-1) - x).abs() / 0.3
    return (1 + t + t * t / 3) * torch.exp(-t)


def covariance_rows() -> list[dict[str, Any]]:
    """Matrices and derivatives of kernels, and their pull-back."""
    matern = gp.kernels.Matern(0.3, 2.5)
    product = gp.kernels.SquaredExponential(0.5) * gp.kernels.Periodic(0.9, 0.7)
    rows = []
    for n in (1000, 4096, 8192):
        x = torch.rand(n, dtype=torch.float64, device="cuda")
        torch.testing.assert_close(matern(x), torch_matern52(x), rtol=0, atol=1e-13)
        lag = x.unsqueeze(-1) - x
        cotangent = torch.randn(3, n, n, dtype=torch.float64, device="cuda")
        calls: dict[str, tuple[Callable[[], object], int]] = {
            "torch matern52": (partial(torch_matern52, x), 1),
            "matern52": (partial(matern, x), 1),
            "matern52 orders 0, 2, 4": (partial(matern.jet, lag, [0, 2, 4]), 4),
            "matern52 pull-back 0": (partial(matern.pull_back, lag, [0], cotangent[:1]), 2),
            "matern52 pull-back 0, 2, 4": (
                partial(matern.pull_back, lag, [0, 2, 4], cotangent),
                4,
            ),
            "se x periodic": (partial(product, x), 1),
            "se x periodic pull-back": (partial(product.pull_back, lag, [0], cotangent[:1]), 2),
        }
        for name, (call, numbers) in calls.items():
            rows.append(
                {"what": name, "n": n, "ms": eager_ms(call, 20), "bytes": 8 * numbers * n * n}
            )
    return rows


def series_rows() -> list[dict[str, Any]]:
    """Likelihood with its gradient, and prediction at as many times, of batches of series."""
    rows = []
    for nu in (0.5, 1.5, 2.5):
        for series, count in ((100, 1000), (10_000, 1000), (50_000, 1000), (1000, 10_000)):
            rng = np.random.default_rng(0)
            t = np.sort(rng.uniform(0, 100, count))
            y = torch.randn(series, count, dtype=torch.float64, device="cuda")
            model = gp.StateSpaceGP(gp.kernels.Matern(1.0, nu), noise=0.1, max_iterations=0)
            model.fit(t, y)
            theta = np.log([0.9, 1.1, 0.2])
            few = slice(min(series, 20))
            here = gp.StateSpaceGP(gp.kernels.Matern(1.0, nu), noise=0.1, max_iterations=0)
            begin = time.perf_counter()
            here.fit(t, y[few].cpu())
            on_cpu = (time.perf_counter() - begin) * 1e3 * series / few.stop
            there = model.fit(t, y[few]).log_marginal_likelihood_
            assert abs(there - here.log_marginal_likelihood_) < 1e-8 * abs(there)
            model.fit(t, y)
            rows.append(
                {
                    "nu": nu,
                    "series": series,
                    "count": count,
                    "likelihood_ms": eager_ms(partial(model.log_marginal_likelihood, theta), 10),
                    "predict_ms": eager_ms(partial(model.predict, t[::10]), 10),
                    "cpu_ms": on_cpu,
                    "bytes": 27 * series * count,
                }
            )
    return rows


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
    found |= {"rows": rows, "covariances": covariance_rows(), "series": series_rows()}
    bandwidth = found["floors"]["copy_TBs"] * 1e9  # bytes a millisecond
    for row in found["covariances"]:
        print(
            f"{row['what']:>28} {row['n']:>5}²  {row['ms']:8.3f} ms  floor {row['bytes'] / bandwidth:8.3f} ms"
        )
    for row in found["series"]:
        print(
            f"Matern-{2 * row['nu']:.0f}/2 {row['series']:>6} x {row['count']:<6} "
            f"likelihood {row['likelihood_ms']:8.3f} ms  predict {row['predict_ms']:8.3f} ms  "
            f"CPU {row['cpu_ms']:8.1f} ms  floor {row['bytes'] / bandwidth:8.3f} ms"
        )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
