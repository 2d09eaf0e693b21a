"""The CUDA kernels of rational functions and of bases beside a copy on the same card, and a training step beside a ViT's.

Usage: PYTHONPATH=benchmarks python benchmarks/gpu_kan.py [--json FILE] [--seed N]

Answers are checked before anything is timed. Times are medians of CUDA events around graph replays, so that launches do
not count; inputs take turns, so that no cache holds them.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fourfold import kan
from fourfold._gpu import has_cuda_kernels, no_cuda_kernels
from fourfold.kan import _basis_formulas as formulas
from fourfold.kan import _basis_kernel, _kernel
from fourfold.kan.bases import BSpline

Tensor = torch.Tensor

SHAPES = [(1024, 197, 768), (717, 197, 768), (1024, 197, 192), (256, 197, 3072)]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
SETS = 3


def event() -> Any:
    """A point in a stream, with the time at which it was reached."""
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def median_ms(calls: Sequence[Callable[[], object]], replays: int = 30) -> float:
    """Of one call, in turns through `calls`."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for call in calls:
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    times: list[float] = []
    for _ in range(replays):
        begin, end = event(), event()
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / len(calls))
    return statistics.median(times)


def check(x: Tensor, g: Tensor, a: Tensor, b: Tensor) -> float:
    """How far the kernels are from the formula in float64, on the first rows; raises if too far."""
    rows = slice(0, 8)
    wide = [z.double().requires_grad_() for z in (x[rows], a, b)]
    truth = kan.rational(*wide, implementation="torch")
    slopes = torch.autograd.grad(truth, wide, g[rows].double())
    out = _kernel.forward(x[rows], a, b, "A", -1)
    got = (out, *_kernel.backward(g[rows], x[rows], a, b, "A", -1))
    eps = torch.finfo(x.dtype).eps
    worst = 0.0
    for part, whole in zip(got, (truth, *slopes), strict=True):
        off = float((part.double() - whole).abs().max() / whole.abs().max())
        worst = max(worst, off)
        if not off < 50 * max(eps if part.dtype == x.dtype else 1e-6, 1e-6):
            raise AssertionError(f"{x.dtype}: off by {off:.1e}")
    return worst


def kernels(shape: tuple[int, ...], dtype: torch.dtype) -> dict[str, Any]:
    """One row of the table."""
    layer = kan.Rational(shape[-1], 8).cuda()
    a, b = (p.detach() for p in layer.parameters())
    b = b + torch.rand_like(b) * 0.01
    xs, gs = ([torch.randn(shape, device="cuda").to(dtype) for _ in range(SETS)] for _ in range(2))
    off = check(xs[0], gs[0], a, b)
    size = xs[0].numel() * xs[0].element_size()
    outs = [torch.empty_like(x) for x in xs]
    copy = median_ms([partial(y.copy_, x) for x, y in zip(xs, outs, strict=True)])
    bandwidth = 2 * size / copy
    del outs
    forward = median_ms([partial(_kernel.forward, x, a, b, "A", -1) for x in xs])
    backward = median_ms(
        [partial(_kernel.backward, g, x, a, b, "A", -1) for x, g in zip(xs, gs, strict=True)]
    )
    gelu = median_ms([partial(nn.functional.gelu, x) for x in xs])
    return {
        "shape": "x".join(map(str, shape)),
        "dtype": str(dtype).removeprefix("torch."),
        "copy_TBs": bandwidth / 1e9,
        "forward_us": forward * 1e3,
        "forward_share": 2 * size / forward / bandwidth,
        "backward_us": backward * 1e3,
        "backward_share": 3 * size / backward / bandwidth,
        "gelu_us": gelu * 1e3,
        "error": off,
    }


# Functions of a basis, features; rows are as many as make a large tensor.
FUNCTIONS, FEATURES = 8, 784
BASES = [
    "gaussian",
    "mexican_hat",
    "bump",
    "chebyshev",
    "fourier",
    "quad1 of silu",
    "cubic1 of gelu",
]


def matmul_rate(rows: int, outputs: int) -> float:
    """Operations a second of the product behind a basis, in float32."""
    a = torch.randn(rows, FUNCTIONS * FEATURES, device="cuda")
    w = torch.randn(FUNCTIONS * FEATURES, outputs, device="cuda")
    return 2 * a.numel() * outputs / median_ms([partial(torch.matmul, a, w)]) * 1e3


def base(name: str, rows: int) -> dict[str, Any]:
    """One row of the table of bases: expansion and its backward, beside torch's formula and a copy."""
    x = torch.randn(rows, FEATURES, device="cuda").tanh()
    g = torch.randn(rows, FUNCTIONS, FEATURES, device="cuda")
    contract: Callable[[], object]
    if name == "bspline":
        spline = BSpline(FEATURES).cuda()
        tables = spline._working_knots, spline._table
        expand = partial(_basis_kernel.spline, x, *tables, 0)
        contract = partial(_basis_kernel.spline_backward, g, x, *tables, 1)
        formula = partial(formulas.spline, x, *tables)
    else:
        series = name in _basis_kernel.SERIES
        size = (0,) if series else (FUNCTIONS, FEATURES)
        c, s = torch.randn(size, device="cuda"), torch.rand(size, device="cuda") + 0.5
        expand = partial(_basis_kernel.basis, x, c, s, name, FUNCTIONS)
        contract = partial(_basis_kernel.basis_backward, g, x, c, s, name, not series)
        formula = partial(formulas.basis, x, c, s, name, FUNCTIONS)
    off = float((expand() - formula()).abs().max() / formula().abs().max())
    if not off < 1e-4:
        raise AssertionError(f"{name}: off by {off:.1e}")
    out = torch.empty_like(g)
    copy = 2 * g.nbytes / median_ms([partial(out.copy_, g)])
    times = {"expand": median_ms([expand]), "contract": median_ms([contract])}
    moved = {"expand": x.nbytes + g.nbytes, "contract": 2 * x.nbytes + g.nbytes}
    row: dict[str, Any] = {"basis": name, "rows": rows, "error": off, "copy_TBs": copy / 1e9}
    for what, ms in times.items():
        row[f"{what}_us"] = ms * 1e3
        row[f"{what}_share"] = moved[what] / ms / copy
    return row | {"torch_us": median_ms([formula]) * 1e3}


class Block(nn.Module):
    """A transformer block of ViT-B; with rational activations it is that of KAT-B."""

    def __init__(self, width: int, heads: int, rational: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        parts: list[nn.Module] = [nn.Linear(width, 4 * width), nn.Linear(4 * width, width)]
        if rational:
            parts = [
                kan.Rational(width, 8, init="identity"),
                parts[0],
                kan.Rational(4 * width, 8, init="silu"),
                parts[1],
            ]
        else:
            parts.insert(1, nn.GELU())
        self.mlp = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of x."""
        y = self.norms[0](x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        out: Tensor = x + self.mlp(self.norms[1](x))
        return out


def training_rate(rational: bool, batch: int) -> float:
    """Images a second of twelve blocks, bfloat16 autocast, forward and backward and AdamW."""
    model = nn.Sequential(*(Block(768, 12, rational) for _ in range(12))).cuda()
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)
    x = torch.randn(batch, 197, 768, device="cuda")
    times: list[float] = []
    for turn in range(11):
        begin, end = event(), event()
        begin.record()
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = model(x).square().mean()
        loss.backward()
        optimiser.step()
        end.record()
        end.synchronize()
        if turn >= 3:
            times.append(begin.elapsed_time(end))
    return batch / statistics.median(times) * 1e3


def training_step(batch: int) -> dict[str, float]:
    """Of both networks, and their ratio."""
    rates = {"ViT-B": training_rate(False, batch), "KAT-B": training_rate(True, batch)}
    return rates | {"KAT-B / ViT-B": rates["KAT-B"] / rates["ViT-B"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--batch", type=int, default=128)
    arguments = parser.parse_args()
    if not torch.cuda.is_available() or not has_cuda_kernels():
        why = no_cuda_kernels() if torch.cuda.is_available() else "no CUDA device"
        print(f"nothing to measure: {why}")
        return 1
    torch.manual_seed(arguments.seed)
    print(torch.cuda.get_device_name(), "torch", torch.__version__, "seed", arguments.seed)
    rows = []
    for dtype in DTYPES:
        for shape in SHAPES:
            row = kernels(shape, dtype)
            rows.append(row)
            print(
                "{shape:>14} {dtype:>8}  copy {copy_TBs:.2f} TB/s  forward {forward_us:7.1f} us "
                "{forward_share:6.1%}  backward {backward_us:7.1f} us {backward_share:6.1%}  "
                "GELU {gelu_us:7.1f} us  error {error:.1e}".format(**row)
            )
    of_bases = []
    for rows_of_x in (16384, 11469, 24576):
        for name in ["bspline", *BASES]:
            row = base(name, rows_of_x)
            of_bases.append(row)
            print(
                "{basis:>16} {rows:6d} x 784 x 8  expand {expand_us:7.1f} us {expand_share:6.1%}  backward "
                "{contract_us:7.1f} us {contract_share:6.1%}  torch's formula {torch_us:7.1f} us".format(
                    **row
                )
            )
    product = matmul_rate(16384, 64)
    print(f"product behind a basis, 64 outputs: {product / 1e12:.1f} TFLOP/s")
    rates = training_step(arguments.batch)
    print("training step, images/s:", {k: round(v, 3) for k, v in rates.items()})
    if arguments.json is not None:
        result = {
            "device": torch.cuda.get_device_name(),
            "kernels": rows,
            "bases": of_bases,
            "product_flops": product,
            "training": rates,
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
