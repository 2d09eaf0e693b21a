"""The report as one HTML page that needs nothing but itself: styles and pictures are inside."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from itertools import groupby

from fourfold.reproduce.record import Check, Figure, Section, Table, measured
from fourfold.reproduce.runner import Experiment, FamilyResult, Report

__all__ = ["page"]

_COMMAND = {"quick": "fourfold reproduce --quick", "default": "fourfold reproduce"}
_CHECK_HEAD = (
    '<tr><th></th><th>quantity, and how it is measured</th><th class="figure">measured</th>'
    '<th class="line">true or published</th><th class="figure">required</th></tr>'
)


def page(report: Report) -> str:
    """Return the whole page."""
    css = (files("fourfold.reproduce") / "report.css").read_text(encoding="utf-8")
    body = "".join(_family(family) for family in report.families)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>fourfold report: {'passed' if report.passed else 'FAILED'}</title>\n"
        f"<style>\n{css}</style>\n</head>\n<body>\n{_head(report)}<main>\n{body}</main>\n"
        "</body>\n</html>\n"
    )


def _head(report: Report) -> str:
    command = _COMMAND.get(report.effort, f"fourfold reproduce --{report.effort}")
    facts = "".join(
        f"<tr><th>{escape(label)}</th><td>{escape(value)}</td></tr>\n"
        for label, value in report.machine.rows
    )
    links = "".join(
        f'<li><a href="#{_anchor(family, experiment)}">{escape(experiment.title)}</a> '
        f"{_mark(experiment.mark)}</li>\n"
        for family in report.families
        for experiment in family.experiments
    )
    return (
        "<header>\n<h1>fourfold, measured against the truth</h1>\n"
        f'<p class="quiet"><code>{command}</code>, {escape(report.started)}, '
        f"{_duration(report.seconds)}</p>\n"
        f"{_verdict(report)}"
        f'<div class="top"><nav><ol>\n{links}</ol></nav>\n'
        f'<table class="facts">\n{facts}</table></div>\n</header>\n'
    )


def _verdict(report: Report) -> str:
    passed, failed, crashed = report.count()
    if report.passed:
        return f'<div class="verdict good">✓ All {passed} checks passed.</div>\n'
    counts = [f"{failed} of {passed + failed} checks failed"] if failed else []
    counts += [f"{crashed} crashed"] if crashed else []
    items = []
    for family in report.families:
        if family.crash is not None:
            items.append(f'<li><a href="#{family.name}">{escape(family.title)}</a>: crashed</li>')
        for experiment in family.experiments:
            if not experiment.passed:
                what = "crashed" if experiment.section is None else _failures(experiment.section)
                link = f'<a href="#{_anchor(family, experiment)}">{escape(experiment.title)}</a>'
                items.append(f"<li>{link}: {escape(what)}</li>")
    return (
        f'<div class="verdict bad">✗ {", ".join(counts)}.\n<ul>\n'
        + "\n".join(items)
        + "\n</ul></div>\n"
    )


def _failures(section: Section) -> str:
    failed = [check for check in section.checks if check.passed is False]
    return "; ".join(f"{c.group}: {c.name}" if c.group else c.name for c in failed)


def _family(family: FamilyResult) -> str:
    crash = f"<pre>{escape(family.crash)}</pre>\n" if family.crash is not None else ""
    return (
        f'<section id="{family.name}">\n<h2>{escape(family.title)}{_mark(family.passed)}</h2>\n'
        f"{_paragraphs(family.text)}{crash}"
        + "".join(_experiment(family, experiment) for experiment in family.experiments)
        + "</section>\n"
    )


def _experiment(family: FamilyResult, experiment: Experiment) -> str:
    head = (
        f'<section id="{_anchor(family, experiment)}">\n<h3>{escape(experiment.title)}'
        f"{_mark(experiment.mark)}</h3>\n"
    )
    foot = f'<p class="quiet">This part took {_duration(experiment.seconds)}.</p>\n</section>\n'
    if experiment.section is None:
        return f"{head}<p>It crashed:</p>\n<pre>{escape(experiment.crash or '')}</pre>\n{foot}"
    section = experiment.section
    return (
        head
        + _paragraphs(section.text)
        + _checks(section.checks)
        + "".join(map(_table, section.tables))
        + f'<div class="figures">\n{"".join(map(_figure, section.figures))}</div>\n'
        + foot
    )


def _checks(checks: Iterable[Check]) -> str:
    rows = ""
    for group, members in groupby(checks, key=lambda check: check.group):
        if group:
            rows += f'<tr class="group"><th colspan="5">{_inline(group)}</th></tr>\n'
        rows += "".join(map(_check, members))
    if not rows:
        return ""
    return (
        f'<div class="scroll"><table>\n<thead>{_CHECK_HEAD}</thead>\n<tbody>\n{rows}</tbody>\n'
        "</table></div>\n"
    )


def _check(check: Check) -> str:
    return (
        f'<tr class="{_row_class(check)}"><td>{_mark(check.passed)}</td>'
        f'<td class="wide">{_inline(check.name)}<span class="how">{_inline(check.how)}</span></td>'
        f'<td class="figure">{_measured(check)}</td><td>{_inline(check.reference)}</td>'
        f'<td class="figure">{escape(check.requirement)}</td></tr>\n'
    )


def _row_class(check: Check) -> str:
    return "failed" if check.passed is False else ""


def _measured(check: Check) -> str:
    return escape(f"{measured(check.measured)} {check.unit}".strip())


def _table(table: Table) -> str:
    head = "".join(f"<th>{_inline(column)}</th>" for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>\n"
        for row in table.rows
    )
    return (
        f'<div class="scroll"><table class="data">\n<caption>{_inline(table.caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )


def _figure(figure: Figure) -> str:
    source = "data:image/png;base64," + base64.b64encode(figure.png).decode("ascii")
    width = "half" if figure.half_width else "full"
    return (
        f'<figure class="{width}"><img alt="{escape(figure.caption)}" src="{source}">\n'
        f"<figcaption>{_inline(figure.caption)}</figcaption></figure>\n"
    )


def _paragraphs(text: str) -> str:
    parts = [" ".join(part.split()) for part in text.split("\n\n")]
    return "".join(f"<p>{_inline(part)}</p>\n" for part in parts if part)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _mark(passed: bool | None) -> str:
    if passed is None:
        return '<span class="mark none" title="shown, not judged">·</span>'
    return (
        '<span class="mark good">✓ passed</span>'
        if passed
        else '<span class="mark bad">✗ failed</span>'
    )


def _anchor(family: FamilyResult, experiment: Experiment) -> str:
    return f"{family.name}-" + re.sub(r"[^a-z0-9]+", "-", experiment.title.lower()).strip("-")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.3g} s"
    return f"{int(seconds // 60)} min {seconds % 60:.0f} s"
