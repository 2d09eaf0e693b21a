"""Handwritten digits: rational layers beside GELU, and what S-KAN selects."""

from __future__ import annotations

import gzip
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fourfold import kan
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.record import (
    Context,
    Figure,
    Section,
    Table,
    at_least,
    for_information,
)

__all__ = ["run"]

Tensor = torch.Tensor
Data = tuple[Tensor, Tensor, Tensor, Tensor]

_SEEDS = {"quick": 1, "default": 3, "full": 3}
_BATCH = 128
_TEXT = """
Networks 784-256-10 on MNIST (or 64-256-10 on scikit-learn's digits, without `--data`), AdamW with a cosine schedule,
batch 128: the two layers linear, between them GELU or a rational function of 8 groups, which begins as GELU; and
two KANLinear layers with B-splines, 64 nodes between them. On MNIST the latter is trained once and for half of the epochs,
being here for comparison alone.

Then S-KAN, with a LayerNorm between its two layers: every node mixes four bases. They are trained together, then each node goes on with its
best two, then with its best one, and the parameters of the others are removed.
"""


def run(context: Context) -> Section:
    """Train the networks, then the selectable one."""
    section = Section(_TEXT)
    data, name = _load(context.data)
    mnist = name == "MNIST"
    seeds = _SEEDS[context.effort]
    epochs = 10 if mnist else (10 if context.effort == "quick" else 40)
    # Seeds and epochs of each.
    plan = dict.fromkeys(("GELU", "rational", "B-spline"), (seeds, epochs))
    if mnist:
        plan["B-spline"] = (1, 5)
    # What torch imports at the first step is no part of the times.
    few = data[0][:_BATCH], data[1][:_BATCH], data[2], data[3]
    _train(_network("GELU", data[0].shape[1]), few, 1)
    accuracies: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    for seed in range(seeds):
        for kind, (runs, epochs) in plan.items():
            if seed >= runs:
                continue
            context.say(f"{name}, {kind}, seed {seed}")
            torch.manual_seed(seed)
            network = _network(kind, data[0].shape[1])
            clock = time.process_time()
            _train(network, data, epochs)
            seconds.setdefault(kind, []).append((time.process_time() - clock) / epochs)
            accuracies.setdefault(kind, []).append(_accuracy(network, data))
            if kind == "rational" and seed == 0:
                section.figures.append(_learned(network, data))
    means = {kind: float(np.mean(found)) for kind, found in accuracies.items()}
    hows = {
        kind: f"mean over {runs} seeds, {epochs} epochs of {name}"
        if runs > 1
        else f"one seed, {epochs} epochs of {name}"
        for kind, (runs, epochs) in plan.items()
    }
    how = hows["rational"]
    if mnist:
        section.checks.append(
            at_least("rational, accuracy (%)", means["rational"], 97.4, how, reference="97.53 KAT")
        )
    section.checks += [
        at_least(
            "rational minus GELU (points)",
            means["rational"] - means["GELU"],
            -0.1 if mnist else -1.0,
            how,
            reference="+0.07 KAT",
        ),
        for_information("GELU, accuracy (%)", means["GELU"], how, reference="97.46 KAT"),
        for_information("B-spline, accuracy (%)", means["B-spline"], hows["B-spline"]),
    ]
    if not mnist:
        section.checks.append(for_information("rational, accuracy (%)", means["rational"], how))
    section.tables.append(
        Table(
            "Training on this machine",
            ("network", "seeds", "epochs", "accuracy", "CPU seconds an epoch, median"),
            [
                (
                    kind,
                    str(runs),
                    str(epochs),
                    ", ".join(f"{value:.2f} %" for value in accuracies[kind]),
                    f"{np.median(seconds[kind]):.2f}",
                )
                for kind, (runs, epochs) in plan.items()
            ],
        )
    )
    _selection(context, section, data, name)
    return section


@torch.no_grad()
def _learned(network: nn.Module, data: Data) -> Figure:
    """The functions of the groups, where their inputs are."""
    linear, rational = network[0], network[1]  # type: ignore[index]
    inputs = linear(data[2])
    groups = inputs.unflatten(1, (rational.groups, -1)).transpose(0, 1).flatten(1)
    figure, panels = axes(2, rational.groups // 2, height=4.4)
    low, high = (float(torch.quantile(inputs.flatten()[:1_000_000], q)) for q in (0.001, 0.999))
    x = torch.linspace(low, high, 400)
    values = rational(x[:, None].expand(-1, rational.channels)).unflatten(1, (rational.groups, -1))
    for group, panel in enumerate(panels):
        behind = panel.twinx()
        counts, edges = np.histogram(groups[group].numpy(), bins=60, range=(low, high))
        behind.stairs(counts, edges, fill=True, color="#DCE3EA")
        behind.set_ylim(0, 2 * float(counts.max()))
        behind.set_axis_off()
        panel.set_zorder(behind.get_zorder() + 1)
        panel.patch.set_visible(False)
        panel.plot(x, nn.functional.gelu(x), color="black", linewidth=2.2, alpha=0.35)
        panel.plot(x, values[:, group, 0], color=COLOURS[0], linewidth=1.3)
        panel.set_xlim(low, high)
        panel.set_title(f"group {group + 1}", fontsize=9)
    return picture(
        figure,
        "What the rational functions of seed 0 have learnt (colour), and the GELU they began as (grey), over the density of "
        "what enters them on the test images.",
    )


def _selection(context: Context, section: Section, data: Data, name: str) -> None:
    torch.manual_seed(0)
    features = data[0].shape[1]
    # Without the norm the nodes' values, sums of hundreds of functions, soon leave what the bases cover.
    network = nn.Sequential(
        kan.SelectableKANLinear(features, 32), nn.LayerNorm(32), kan.SelectableKANLinear(32, 10)
    )
    epochs = 2 if name == "MNIST" else (4 if context.effort == "quick" else 12)
    rows: list[tuple[str, ...]] = []
    pictures = []
    for stage, keep in (("full", 4), ("two of four", 2), ("one of four", 1)):
        context.say(f"S-KAN, {stage}")
        kan.select(network, keep)
        _train(network, data, epochs)
        count = sum(p.numel() for p in network.parameters())
        rows.append((stage, f"{_accuracy(network, data):.2f} %", f"{count:,}"))
        buffer = io.BytesIO()
        kan.plot.selection(network).savefig(buffer, format="png", facecolor="white")
        pictures.append(buffer.getvalue())
    before = network(data[2][:200]).detach()
    kan.prune(network)
    change = float((network(data[2][:200]).detach() - before).abs().max())
    count = sum(p.numel() for p in network.parameters())
    rows.append(("pruned", f"{_accuracy(network, data):.2f} %", f"{count:,}"))
    section.tables.append(
        Table(
            f"S-KAN on {name}, {epochs} epochs a stage",
            ("stage", "accuracy", "parameters"),
            rows,
        )
    )
    section.add(
        "S-KAN",
        for_information("change of the output by pruning", change, "largest absolute, 200 images"),
    )
    section.figures += [
        Figure(pictures[0], "Weights of the bases after full training.", True),
        Figure(pictures[1], "After training with the best two of each node.", True),
    ]


def _network(kind: str, features: int) -> nn.Module:
    if kind == "B-spline":
        return nn.Sequential(kan.KANLinear(features, 64), kan.KANLinear(64, 10))
    activation = nn.GELU() if kind == "GELU" else kan.Rational(256, init="gelu")
    return nn.Sequential(nn.Linear(features, 256), activation, nn.Linear(256, 10))


def _train(network: nn.Module, data: Data, epochs: int) -> None:
    images, labels = data[:2]
    # The scores of S-KAN decide between bases: they have to move faster than the weights.
    groups: list[dict[str, Any]] = [{"params": []}, {"params": [], "lr": 5e-2, "weight_decay": 0.0}]
    for name, parameter in network.named_parameters():
        groups[name.endswith("scores")]["params"].append(parameter)
    used = [g for g in groups if g["params"]]
    # Fused: otherwise the optimiser takes a third of the time.
    optimiser = torch.optim.AdamW(used, lr=2e-3, weight_decay=1e-4, fused=True)
    steps = epochs * -(-len(images) // _BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(_BATCH):  # type: ignore[no-untyped-call]
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()


@torch.no_grad()
def _accuracy(network: nn.Module, data: Data) -> float:
    return 100 * float((network(data[2]).argmax(dim=1) == data[3]).float().mean())


def _load(folder: Path | None) -> tuple[Data, str]:
    """Training and test images and labels; MNIST from its files, else scikit-learn's digits."""
    if folder is not None:
        found = [_idx(folder, f"{part}-{kind}") for part in ("train", "t10k") for kind in _KINDS]
        images = [torch.from_numpy(a.reshape(len(a), -1) / 255.0).float() for a in found[::2]]
        labels = [torch.from_numpy(a.astype(np.int64)) for a in found[1::2]]
        scaled = [(a - 0.1307) / 0.3081 for a in images]
        return (scaled[0], labels[0], scaled[1], labels[1]), "MNIST"
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=torch.Generator().manual_seed(0))
    x = torch.from_numpy(digits.data).float()[order] / 8 - 1
    y = torch.from_numpy(digits.target).long()[order]
    return (x[:1400], y[:1400], x[1400:], y[1400:]), "scikit-learn's digits"


_KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")


def _idx(folder: Path, name: str) -> np.ndarray:
    content = gzip.decompress((folder / f"{name}.gz").read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
