"""What an experiment hands back: checks, tables and figures, gathered in sections."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

__all__ = [
    "Check",
    "Context",
    "Effort",
    "Family",
    "Figure",
    "Section",
    "Table",
    "at_least",
    "at_most",
    "close_to",
    "for_information",
]

Effort = Literal["quick", "default", "full"]


@dataclass(frozen=True)
class Check:
    """One measured figure beside what it should be.

    Attributes
    ----------
    name : str
        What was measured.
    measured : float
        The figure.
    reference : str
        The true, published or claimed value it stands beside, with its origin; may be empty.
    requirement : str
        What makes it pass, as text; empty if it is shown for information only.
    passed : bool or None
        None: for information only.
    how : str
        How the figure was measured.
    unit : str
        Unit of the figure, empty for a pure number.
    group : str
        Heading under which it stands with its neighbours; may be empty.
    """

    name: str
    measured: float
    reference: str
    requirement: str
    passed: bool | None
    how: str
    unit: str = ""
    group: str = ""


def at_most(
    name: str,
    value: float,
    bound: float,
    how: str,
    *,
    reference: str = "",
    unit: str = "",
) -> Check:
    """Check that a figure is at most ``bound``; a NaN fails."""
    text = f"≤ {number(bound)}"
    return Check(name, value, reference, text, bool(value <= bound), how, unit)


def at_least(
    name: str,
    value: float,
    bound: float,
    how: str,
    *,
    reference: str = "",
    unit: str = "",
) -> Check:
    """Check that a figure is at least ``bound``; a NaN fails."""
    text = f"≥ {number(bound)}"
    return Check(name, value, reference, text, bool(value >= bound), how, unit)


def close_to(
    name: str,
    value: float,
    truth: float,
    tolerance: float,
    how: str,
    *,
    origin: str = "",
    unit: str = "",
) -> Check:
    """Check that a figure is within ``tolerance`` (absolute) of ``truth``; a NaN fails."""
    reference = f"{measured(truth)} {origin}".strip()
    passed = bool(abs(value - truth) <= tolerance)
    return Check(name, value, reference, f"within {number(tolerance)}", passed, how, unit)


def for_information(
    name: str, value: float, how: str, *, reference: str = "", unit: str = ""
) -> Check:
    """Show a figure without judging it."""
    return Check(name, value, reference, "", None, how, unit)


def number(value: float) -> str:
    """Return a bound or a rounded figure without idle digits: ``1e-11``, ``0.02``, ``46700``."""
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        text = f"{value:.4g}"
        return f"{value:.0f}" if "e" in text else text
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def measured(value: float) -> str:
    """Return a measured figure with all its digits, three or four: ``2.940``, ``7.80e-7``."""
    if not math.isfinite(value) or float(value).is_integer():
        return number(value)
    if 1e-3 <= abs(value) < 1e3:
        return f"{value:#.4g}"
    if 1e3 <= abs(value) < 1e5:
        return f"{value:.0f}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(exponent)}"


@dataclass(frozen=True)
class Figure:
    """A picture (PNG bytes) with its caption; two of half width stand side by side."""

    png: bytes
    caption: str
    half_width: bool = False


@dataclass(frozen=True)
class Table:
    """A table for reading; what is judged stands in checks."""

    caption: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass
class Section:
    """What one experiment found.

    ``text`` holds paragraphs parted by empty lines; words in backticks are set as code.
    """

    text: str
    checks: list[Check] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    def add(self, group: str, *checks: Check) -> None:
        """Append checks under a heading."""
        self.checks += [replace(check, group=group) for check in checks]


@dataclass(frozen=True)
class Context:
    """What an experiment may know and do.

    Attributes
    ----------
    effort : {"quick", "default", "full"}
        How long it may take.
    folder : Path
        Where it may write files that the report keeps, in a folder of its family.
    say : callable
        Takes a line for the progress display.
    data : Path or None
        A folder of the user's with data that no package ships.
    """

    effort: Effort
    folder: Path
    say: Callable[[str], None]
    data: Path | None = None


@dataclass(frozen=True)
class Family:
    """A family of experiments.

    Attributes
    ----------
    title : str
        Heading in the report.
    text : str
        What the family computes, as `Section.text`.
    experiments : tuple of (str, callable)
        Heading and function of each experiment, in the order of the report.
    """

    title: str
    text: str
    experiments: tuple[tuple[str, Callable[[Context], Section]], ...]
