"""The rational kernel beside the limits of memory, beside torch's GELU, and beside the same formula in torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from contest import Contestant, Results, ResultTable, error, one_cpu, race, seconds, text, times

import fourfold
from fourfold import kan

Tensor = torch.Tensor
Function = Callable[[Tensor, Tensor, Tensor], Tensor]

GROUPS = 8
SHAPES = [(64, 196, 768), (32, 197, 3072)]


def rational(results: Results, rng: np.random.Generator, quick: bool) -> None:
    """Forward and backward beside a copy, and beside a pass that reads two tensors and writes one."""
    shapes = SHAPES if quick else [_scaled(s, by) for s in SHAPES for by in (1.0, 0.7, 1.5)]
    rows = [
        _limits_row(shape, dtype, threads, rng, turns=5 if quick else 9)
        for threads in (1, 2)
        for shape in shapes
        for dtype in (torch.float32, torch.bfloat16)
        if dtype == torch.float32 or shape in SHAPES
    ]
    results.add(
        ResultTable(
            key="rational",
            title="Rational functions of degree (5, 4), 8 groups: ns per element",
            columns={
                "shape": text,
                "dtype": text,
                "threads": text,
                "copy": _ns,
                "forward": _ns,
                "forward / copy": times,
                "2 reads 1 write": _ns,
                "backward": _ns,
                "backward / pass": times,
                "GELU forward + backward": _ns,
                "forward + backward": _ns,
                "GELU / ours": times,
            },
            rows=rows,
            note="Copy: Tensor.copy_ into a tensor that exists, of the same dtype. Pass: torch.add(x, g, out=y). Wanted in "
            "float32: forward at most 1.15 copies, backward (all three gradients) at most 1.6 passes.",
        )
    )


def peers(results: Results, rng: np.random.Generator, quick: bool) -> None:
    """Forward and backward of the same function in torch."""
    shapes = SHAPES[:1] if quick else [_scaled(SHAPES[0], by) for by in (1.0, 0.7, 1.5)]
    rows = []
    compiled = torch.compile(_horner, dynamic=False)
    for threads in (1, 2):
        for shape in shapes:
            rows.append(_peers_row(shape, threads, rng, compiled, turns=4 if quick else 5))
            torch._dynamo.reset()
    results.add(
        ResultTable(
            key="peers",
            title="Forward + backward, float32: ns per element",
            columns={
                "shape": text,
                "threads": text,
                "ours": _ns,
                "KAT in torch": _ns,
                "KAT / ours": times,
                "powers in torch": _ns,
                "powers / ours": times,
                "Horner in torch": _ns,
                "Horner / ours": times,
                "Horner compiled": _ns,
                "compiled / ours": times,
                "copy + pass": _ns,
                "compiled / (copy + pass)": times,
                "ours / (copy + pass)": times,
                "largest difference": error,
            },
            rows=rows,
            note="KAT: as its own torch code goes about it, groups first, the powers of x stacked, a batched product for P and "
            "one for Q (which is right for x >= 0 only, and checked there). Powers: the same sums, one power after the other. "
            "Compiled: torch.compile. Wanted: KAT, Horner and Horner compiled 40, 10 and 4 times as long as ours. Copy + pass: of x, and of x and its gradient, as in the first table: "
            "what memory asks of forward and backward. The difference is that of all gradients, relative to float64.",
        )
    )


def small(results: Results, rng: np.random.Generator, quick: bool) -> None:
    """What a call costs on 16 elements."""
    x, a, b, g = _inputs((2, 8), torch.float32, rng)
    with _threads(1), one_cpu():
        leaves = [z.requires_grad_() for z in (x.clone(), a.clone(), b.clone())]

        def both(function: Callable[..., Tensor]) -> Callable[[], object]:
            return lambda: torch.autograd.grad(function(*leaves), leaves, g)

        contestants = {
            "kan.rational, no gradients": lambda: kan.rational(x, a, b),
            "torch.relu, no gradients": lambda: torch.relu(x),
            "kan.rational, forward + backward": both(kan.rational),
            "empty Function, forward + backward": both(_Empty.apply),
            "empty Function of the old style": both(_EmptyOldStyle.apply),
        }
        outcome = race([Contestant(k, v) for k, v in contestants.items()], turns=9 if quick else 31)
    rows: list[dict[str, Any]] = [{"call": k, "time": outcome.time(k)} for k in contestants]
    rows[2]["times the empty one"] = outcome.ratio(rows[2]["call"], rows[3]["call"])
    results.add(
        ResultTable(
            key="small",
            title="16 elements, 8 groups, one thread",
            columns={"call": text, "time": seconds, "times the empty one": times},
            rows=rows,
            note="Empty: an autograd.Function (with setup_context; old style: without) that saves the three tensors and "
            "returns uninitialised results. Wanted: 6 us forward, and 1.15 times the empty one.",
        )
    )


class _Empty(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return torch.empty_like(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(z) for z in ctx.saved_tensors)


class _EmptyOldStyle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(x, a, b)
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(z) for z in ctx.saved_tensors)


def _grouped(x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x.reshape(*x.shape[:-1], GROUPS, -1), a.T[:, :, None], b.T[:, :, None]


def _powers(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    t, a, b = _grouped(x, a, b)
    power, p, q = t, a[0] + a[1] * t, 1 + (b[0] * t).abs()
    for k in range(2, 6):
        power = power * t
        p = p + a[k] * power
        if k < 5:
            q = q + (b[k - 1] * power).abs()
    return (p / q).flatten(-2)


def _stacked(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The steps of KAT's torch path. It takes x^j where |x|^j is meant."""
    z = x.reshape(-1, GROUPS, x.shape[-1] // GROUPS).transpose(0, 1).reshape(GROUPS, -1)
    powers = [torch.ones_like(z), z]
    for _ in range(4):
        powers.append(powers[-1] * z)
    table = torch.stack(powers, dim=1)
    one, zero = torch.ones(GROUPS, 1), torch.zeros(GROUPS, 1)
    of_q = torch.cat([one.to(b), b.abs(), zero.to(b)], dim=1)
    p, q = (torch.bmm(c[:, None], table)[:, 0] for c in (a.repeat(GROUPS, 1), of_q))
    return (p / q).view(GROUPS, -1, x.shape[-1] // GROUPS).transpose(0, 1).reshape(x.shape)


def _horner(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    t, a, b = _grouped(x, a, b)
    s, c = t.abs(), b.abs()
    p = ((((a[5] * t + a[4]) * t + a[3]) * t + a[2]) * t + a[1]) * t + a[0]
    q = (((c[3] * s + c[2]) * s + c[1]) * s + c[0]) * s + 1
    return (p / q).flatten(-2)


def _limits_row(
    shape: tuple[int, ...], dtype: torch.dtype, threads: int, rng: np.random.Generator, turns: int
) -> dict[str, Any]:
    x, a, b, g = _inputs(shape, dtype, rng)
    y = torch.empty_like(x)
    leaves = [z.requires_grad_() for z in (x.clone(), a, b)]
    contestants: dict[str, Callable[[], object]] = {
        "copy": lambda: y.copy_(x),
        "forward": lambda: kan.rational(x, a.detach(), b.detach()),
        "2 reads 1 write": lambda: torch.add(x, g, out=y),
        "GELU": lambda: torch.autograd.grad(torch.nn.functional.gelu(leaves[0]), leaves[:1], g),
        "both": lambda: torch.autograd.grad(kan.rational(*leaves), leaves, g),
    }
    with _threads(threads), one_cpu() if threads == 1 else nullcontext():
        out = kan.rational(*leaves)
        contestants["backward"] = lambda: torch.autograd.grad(out, leaves, g, retain_graph=True)
        if dtype == torch.float32:
            _check(kan.rational, x, a, b, g)
        outcome = race([Contestant(k, v, x.numel()) for k, v in contestants.items()], turns=turns)
    return {
        "shape": "x".join(map(str, shape)),
        "dtype": str(dtype).removeprefix("torch."),
        "threads": threads,
        "copy": outcome.time("copy"),
        "forward": outcome.time("forward"),
        "forward / copy": outcome.ratio("forward", "copy"),
        "2 reads 1 write": outcome.time("2 reads 1 write"),
        "backward": outcome.time("backward"),
        "backward / pass": outcome.ratio("backward", "2 reads 1 write"),
        "GELU forward + backward": outcome.time("GELU"),
        "forward + backward": outcome.time("both"),
        "GELU / ours": outcome.ratio("GELU", "both"),
    }


def _peers_row(
    shape: tuple[int, ...], threads: int, rng: np.random.Generator, compiled: Function, turns: int
) -> dict[str, Any]:
    x, a, b, g = _inputs(shape, torch.float32, rng)
    functions: dict[str, Function] = {
        "ours": kan.rational,
        "KAT in torch": _stacked,
        "powers in torch": _powers,
        "Horner in torch": _horner,
        "Horner compiled": compiled,
    }
    leaves = [z.requires_grad_() for z in (x.clone(), a, b)]

    def both(function: Function) -> Callable[[], object]:
        return lambda: torch.autograd.grad(function(*leaves), leaves, g)

    y = torch.empty_like(x)

    def memory() -> None:
        y.copy_(x)
        torch.add(x, g, out=y)

    calls: dict[str, Callable[[], object]] = {k: both(v) for k, v in functions.items()}
    calls["copy + pass"] = memory
    with _threads(threads), one_cpu() if threads == 1 else nullcontext():
        off = max(
            _check(function, x.abs() if function is _stacked else x, a, b, g)
            for function in functions.values()
        )
        outcome = race([Contestant(k, v, x.numel()) for k, v in calls.items()], turns=turns)
    return {
        "shape": "x".join(map(str, shape)),
        "threads": threads,
        **{name: outcome.time(name) for name in calls},
        "KAT / ours": outcome.ratio("KAT in torch", "ours"),
        "powers / ours": outcome.ratio("powers in torch", "ours"),
        "Horner / ours": outcome.ratio("Horner in torch", "ours"),
        "compiled / ours": outcome.ratio("Horner compiled", "ours"),
        "compiled / (copy + pass)": outcome.ratio("Horner compiled", "copy + pass"),
        "ours / (copy + pass)": outcome.ratio("ours", "copy + pass"),
        "largest difference": off,
    }


def _inputs(
    shape: tuple[int, ...], dtype: torch.dtype, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, the coefficients of SiLU's fit moved a little (in float32), and a gradient."""
    x, g = (
        torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(dtype) for _ in range(2)
    )
    layer = kan.Rational(shape[-1], GROUPS)
    a, b = (p.detach().clone() for p in layer.parameters())
    b += torch.from_numpy(rng.uniform(0.01, 0.02, b.shape)).float()
    return x, a, b, g


def _check(function: Function, x: Tensor, a: Tensor, b: Tensor, g: Tensor) -> float:
    """How far results and gradients are from Horner's form in float64, on the first rows."""
    rows = slice(0, 2)

    def all_of(run: Function, *given: Tensor) -> list[Tensor]:
        leaves = [z.detach().clone().requires_grad_() for z in given[:3]]
        out = run(*leaves)
        return [out.detach(), *torch.autograd.grad(out, leaves, given[3])]

    got = all_of(function, x[rows], a, b, g[rows])
    truth = all_of(_horner, *(z.double() for z in (x[rows], a, b, g[rows])))
    off = max(
        float((p.double() - q).abs().max() / q.abs().max()) for p, q in zip(got, truth, strict=True)
    )
    if not off < 1e-4:
        raise AssertionError(f"{function} is off by {off:.1e}")
    return off


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    fourfold.set_num_threads(count)
    yield
    torch.set_num_threads(before)
    fourfold.set_num_threads(None)


def _scaled(shape: tuple[int, ...], by: float) -> tuple[int, ...]:
    return (round(shape[0] * by), *shape[1:])


def _ns(value: float | None) -> str:
    return "" if value is None else f"{value * 1e9:.3g}"
