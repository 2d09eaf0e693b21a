"""Writing a report: ``index.html`` for people and ``results.json`` for programs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from fourfold.reproduce.record import Check
from fourfold.reproduce.render import page
from fourfold.reproduce.runner import Experiment, Report

__all__ = ["FORMAT", "results", "write"]

# Raised when a reader of older files would misread a new one.
FORMAT = 1


def write(report: Report, folder: Path) -> None:
    """Write the two files of the report into ``folder``."""
    text = json.dumps(results(report), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    (folder / "results.json").write_text(text, encoding="utf-8")
    (folder / "index.html").write_text(page(report), encoding="utf-8")


def results(report: Report) -> dict[str, Any]:
    """Return the report as plain values; figures that are not finite become text."""
    passed, failed, crashed = report.count()
    return {
        "format": FORMAT,
        "passed": report.passed,
        "checks_passed": passed,
        "checks_failed": failed,
        "crashed": crashed,
        "effort": report.effort,
        "started": report.started,
        "seconds": report.seconds,
        "machine": dict(report.machine.rows),
        "families": {
            family.name: {
                "title": family.title,
                "passed": family.passed,
                "crash": family.crash,
                "experiments": [_experiment(experiment) for experiment in family.experiments],
            }
            for family in report.families
        },
    }


def _experiment(experiment: Experiment) -> dict[str, Any]:
    section = experiment.section
    return {
        "title": experiment.title,
        "passed": experiment.passed,
        "seconds": experiment.seconds,
        "crash": experiment.crash,
        "checks": [_check(check) for check in section.checks] if section else [],
        "tables": [
            {
                "caption": t.caption,
                "columns": list(t.columns),
                "rows": [list(r) for r in t.rows],
            }
            for t in (section.tables if section else [])
        ],
    }


def _check(check: Check) -> dict[str, Any]:
    value: float | str = float(check.measured)
    if not math.isfinite(check.measured):
        value = str(check.measured)
    return {
        "group": check.group,
        "name": check.name,
        "measured": value,
        "unit": check.unit,
        "reference": check.reference,
        "requirement": check.requirement,
        "passed": check.passed,
        "how": check.how,
    }
