"""How fast the bases of `fourfold.kan` are: torch, torch.compile and the compiled kernels, and a B-spline layer.

    python benchmarks/kan_bases.py                       all of it, about two minutes
    python benchmarks/kan_bases.py --only layer          one table: bases, layer
    python benchmarks/kan_bases.py --markdown docs/internals/kan-bases.md

Every contestant runs in this process on one CPU, in turns with the others, after its answer and its
gradients have been checked. `efficient-kan` is its published formulation, written here in torch.
"""

from __future__ import annotations

import argparse
import secrets
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from contest import (
    ROOT,
    Contestant,
    Results,
    ResultTable,
    machine,
    one_cpu,
    race,
    seconds,
    text,
    times,
)

import fourfold
from fourfold import kan
from fourfold.kan.bases import BASES

ROWS, FEATURES = 256, 784
BASIS_NAMES = ("bspline", "rbf", "chebyshev", "fourier", "wavelet", "relu", "rational", "af")


def nanoseconds(value: float | None) -> str:
    return "" if value is None else f"{value * 1e9:.2f}"


def bases(results: Results, turns: int) -> None:
    """Forward and backward of each basis, per element of its output."""
    rows = []
    for name in BASIS_NAMES:
        x = torch.randn(ROWS, FEATURES, requires_grad=True)
        basis = BASES[name](FEATURES)
        size = ROWS * FEATURES * basis.functions
        grad = torch.randn(ROWS, basis.functions, FEATURES)
        torch._dynamo.reset()
        formula = torch.compile(basis.formula, dynamic=False)
        ways: dict[str, Callable[[Any], Any]] = {
            "torch": basis.formula,
            "compile": formula,
            "C++": basis,
        }
        want = _gradients(basis.formula, basis, x, grad)
        contestants = []
        for way, function in ways.items():
            for ours, theirs in zip(_gradients(function, basis, x, grad), want, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
            contestants.append(Contestant(way, _forward_backward(function, basis, x, grad), size))
        outcome = race(contestants, turns=turns)
        row: dict[str, Any] = {"basis": name, "functions": basis.functions}
        for way in ways:
            row[way] = outcome.time(way)
        row["torch / C++"] = outcome.ratio("torch", "C++")
        row["compile / C++"] = outcome.ratio("compile", "C++")
        rows.append(row)
    results.add(
        ResultTable(
            key="bases",
            title="Basis functions, forward and backward, ns per value, one thread",
            columns={
                "basis": text,
                "functions": text,
                "torch": nanoseconds,
                "compile": nanoseconds,
                "C++": nanoseconds,
                "torch / C++": times,
                "compile / C++": times,
            },
            rows=rows,
            note=f"float32, {ROWS} x {FEATURES} inputs, gradients of the input and of the basis's "
            "parameters. A value is one function at one input.",
        )
    )


def layer(results: Results, turns: int) -> None:
    """The B-spline layer 784-64, batch 256, and 0.7 x and 1.5 x of both widths."""
    rows = []
    for inputs, outputs in ((549, 45), (784, 64), (1176, 96)):
        ours = kan.KANLinear(inputs, outputs, bias=False)
        x = torch.randn(ROWS, inputs)
        grad = torch.randn(ROWS, outputs)
        theirs = EfficientKAN(ours)
        torch._dynamo.reset()
        compiled = torch.compile(theirs, dynamic=False)
        pairs: dict[str, Callable[[Any], Any]] = {
            "fourfold": ours,
            "efficient-kan": theirs,
            "compiled": compiled,
        }
        for name in ("efficient-kan", "compiled"):
            _check_layer(ours, pairs[name], x, grad)
        contestants = [
            Contestant(name, partial(_layer_gradients, module, x, grad))
            for name, module in pairs.items()
        ]
        outcome = race(contestants, turns=turns)
        rows.append(
            {
                "layer": f"{inputs}-{outputs}",
                "fourfold": outcome.time("fourfold"),
                "efficient-kan": outcome.time("efficient-kan"),
                "efficient-kan, torch.compile": outcome.time("compiled"),
                "faster than efficient-kan": outcome.ratio("efficient-kan", "fourfold"),
                "than it compiled": outcome.ratio("compiled", "fourfold"),
            }
        )
    results.add(
        ResultTable(
            key="layer",
            title="KANLinear with B-splines, forward and backward, one thread",
            columns={
                "layer": text,
                "fourfold": seconds,
                "efficient-kan": seconds,
                "efficient-kan, torch.compile": seconds,
                "faster than efficient-kan": times,
                "than it compiled": times,
            },
            rows=rows,
            note=f"float32, batch {ROWS}, grid_size 5, degree 3, with the silu branch; gradients of "
            "the input and all weights.",
        )
    )


class EfficientKAN(torch.nn.Module):
    """The formulation of efficient-kan: Cox and de Boor's recursion on all functions at once."""

    def __init__(self, like: kan.KANLinear) -> None:
        super().__init__()
        spline = like.basis
        assert isinstance(spline, kan.BSpline)
        assert like.base_weight is not None
        self.degree = spline.degree
        self.register_buffer("grid", spline.knots.T.expand(like.in_features, -1).contiguous())
        self.base_weight = torch.nn.Parameter(like.base_weight.detach().clone())
        weight = like.weight.detach().permute(2, 1, 0).contiguous()  # (out, in, functions)
        self.spline_weight = torch.nn.Parameter(weight)

    def bases(self, x: torch.Tensor) -> torch.Tensor:
        grid: Any = self.grid
        x = x.unsqueeze(-1)
        values = ((x >= grid[:, :-1]) & (x < grid[:, 1:])).to(x.dtype)
        for k in range(1, self.degree + 1):
            left = (x - grid[:, : -(k + 1)]) / (grid[:, k:-1] - grid[:, : -(k + 1)])
            right = (grid[:, k + 1 :] - x) / (grid[:, k + 1 :] - grid[:, 1:-k])
            values = left * values[:, :, :-1] + right * values[:, :, 1:]
        result: torch.Tensor = values.contiguous()
        return result

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        base = F.linear(F.silu(x), self.base_weight)
        spline = F.linear(self.bases(x).flatten(1), self.spline_weight.flatten(1))
        total: torch.Tensor = base + spline
        return total


def _gradients(
    function: Callable[[Any], Any], basis: torch.nn.Module, x: torch.Tensor, grad: torch.Tensor
) -> list[torch.Tensor]:
    parameters = [p for p in basis.parameters() if p.requires_grad]
    values = function(x)
    return [values.detach(), *torch.autograd.grad(values, [x, *parameters], grad)]


def _forward_backward(
    function: Callable[[Any], Any], basis: torch.nn.Module, x: torch.Tensor, grad: torch.Tensor
) -> Callable[[], object]:
    return lambda: _gradients(function, basis, x, grad)


def _layer_gradients(module: Any, x: torch.Tensor, grad: torch.Tensor) -> list[torch.Tensor]:
    """The result, and the gradients of x and of the parameters in the module's own order."""
    at = x.detach().requires_grad_()
    y = module(at)
    gradients = torch.autograd.grad(y, [at, *module.parameters()], grad)
    return [y.detach(), *gradients]


def _check_layer(ours: kan.KANLinear, theirs: Callable[[Any], Any], x: Any, grad: Any) -> None:
    """Compare the result and every element of every gradient."""

    def named(module: Any) -> dict[str, torch.Tensor]:
        y, dx, *gradients = _layer_gradients(module, x, grad)
        names = [name.rpartition(".")[2] for name, _ in module.named_parameters()]
        return {"y": y, "x": dx, **dict(zip(names, gradients, strict=True))}

    want, got = named(ours), named(theirs)
    got["weight"] = got.pop("spline_weight").permute(2, 1, 0)  # (functions, in, out), as ours
    if want.keys() != got.keys():
        raise AssertionError(f"gradients of {sorted(want)} and {sorted(got)}")
    for name, value in want.items():
        scale = float(value.abs().max())
        torch.testing.assert_close(
            got[name], value, rtol=1e-4, atol=1e-5 * scale, msg=partial("{}: {}".format, name)
        )


TABLES: dict[str, Callable[[Results, int], None]] = {"layer": layer, "bases": bases}


def main() -> None:
    arguments = _arguments()
    warnings.simplefilter("ignore")  # torch.compile speaks of what it does
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    torch.manual_seed(seed)
    facts = machine("torch", "numpy") | {"seed": seed}
    results = Results("kan_bases", seed, facts)
    for key, value in facts.items():
        results.console.print(f"{key}: {value}", highlight=False)
    fourfold.set_num_threads(1)
    torch.set_num_threads(1)
    with one_cpu():
        for name in arguments.only or TABLES:
            TABLES[name](results, 5 if arguments.quick else 11)
    results.write_json(arguments.output)
    if arguments.markdown is not None:
        results.write_markdown(arguments.markdown)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    parser.add_argument("--only", action="append", choices=list(TABLES), help="repeatable")
    parser.add_argument("--seed", type=int, help="of the inputs; default: a fresh one, printed")
    parser.add_argument(
        "-o", "--output", type=Path, default=ROOT / "benchmarks" / "results" / "kan_bases.json"
    )
    parser.add_argument("--markdown", type=Path, help="page to put the tables into")
    arguments = parser.parse_args()
    if arguments.markdown is not None and arguments.only:
        parser.error("--markdown needs all tables (no --only)")
    return arguments


if __name__ == "__main__":
    main()
