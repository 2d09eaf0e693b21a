"""The summary of a run on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def show_summary(console: Console, summary: dict[str, Any], folder: Path) -> None:
    """Print the summary that `fourfold.cli.nlse.execute.summarise` made."""
    solver = summary["solver"]
    change = summary["largest_change"]
    time = summary["time"]
    rows = [
        ("status", summary["status"]),
        ("time", f"{time['start']:g} ... {time['end']:g}"),
        ("size", f"{summary['realisations']} x {summary['points']} points"),
        ("method", f"{solver['method']}, order {solver['order']}"),
        ("steps", f"{solver['steps']} ({solver['rejected']} rejected)"),
        ("Fourier transforms", str(solver["transforms"])),
        ("wall time", f"{solver['wall_seconds']:.3g} s on {solver['threads']} threads"),
        ("change of mass", _number(change["mass"], "relative")),
        ("change of momentum", _number(change["momentum"], "relative to the mass")),
        ("change of energy", _number(change["energy"], "relative")),
    ]
    error = summary["error_against_closed_form"]
    if error is not None:
        rows.append(("against the closed form", f"max |psi - exact| = {error:.2e}"))
    rows += [("warning", text) for text in summary["warnings"]]
    rows.append(("written to", f"{folder}/"))
    rows += [("", name) for name in summary["files"]]

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for label, value in rows:
        table.add_row(label, Text(value))
    console.print(Text(summary["title"] or summary["name"], style="bold"))
    console.print(table)


def _number(value: float | None, kind: str) -> str:
    return "not defined" if value is None else f"{value:.2e} ({kind})"
