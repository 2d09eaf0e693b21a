"""The work-precision diagrams: a column for each case, fixed steps above, adaptive ones below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Point(Protocol):
    @property
    def case(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def adaptive(self) -> bool: ...
    @property
    def transforms(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def error(self) -> float: ...


STYLE = {
    "strang": ("#8c8c8c", "o"),
    "yoshida4": ("#c7a76c", "v"),
    "rkn4_6b": ("#0072b2", "s"),
    "rkn6_11b": ("#56b4e9", "^"),
    "rkn6_14a": ("#d55e00", "D"),
    "rk4ip": ("#009e73", "<"),
    "etdrk4": ("#cc79a7", ">"),
    "dop853": ("#000000", "P"),
    "published": ("#b00020", "x"),
}


def draw(points: Sequence[Point], folder: Path) -> tuple[Path, Path]:
    """Write the two figures: against transforms, and against seconds."""
    return (
        _diagram(points, "transforms", "FFTs", folder / "nlse_work_precision.svg"),
        _diagram(points, "seconds", "seconds", folder / "nlse_work_precision_time.svg"),
    )


def _diagram(points: Sequence[Point], work: str, label: str, path: Path) -> Path:
    from matplotlib.figure import Figure

    cases = list(dict.fromkeys(p.case for p in points))
    figure = Figure(figsize=(3.1 * len(cases), 6.4), layout="constrained")
    axes = figure.subplots(2, len(cases), sharex=True, sharey=True, squeeze=False)
    for row, adaptive in enumerate((False, True)):
        for column, case in enumerate(cases):
            panel = axes[row][column]
            for method, (color, marker) in STYLE.items():
                curve = [
                    p
                    for p in points
                    if (p.case, p.method, p.adaptive) == (case, method, adaptive) and p.error < 1
                ]
                curve.sort(key=lambda p: p.transforms)
                panel.loglog(
                    [getattr(p, work) for p in curve],
                    [p.error for p in curve],
                    color=color,
                    marker=marker,
                    markersize=3.5,
                    linewidth=1.1,
                    label=method,
                )
            panel.grid(alpha=0.3)
            if row == 0:
                panel.set_title(case, fontsize=10)
            else:
                panel.set_xlabel(label)
        axes[row][0].set_ylabel(f"error, {'adaptive' if adaptive else 'fixed'} steps")
    axes[0][0].set_ylim(3e-13, 1)
    handles, labels = axes[1][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(path)
    return path
