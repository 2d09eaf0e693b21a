"""Every Python snippet of the README and the docs runs, every link leads somewhere, the examples work.

The snippets of one page share a namespace and run in the order in which they stand, in an empty folder,
with warnings as errors.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

_FENCE = re.compile(r"^```python[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _snippets(page: Path) -> list[tuple[int, str]]:
    """The Python blocks of a page, with the line on which each begins."""
    content = page.read_text(encoding="utf-8")
    return [(content.count("\n", 0, m.start(1)), m[1]) for m in _FENCE.finditer(content)]


@pytest.mark.parametrize("page", [p for p in PAGES if _snippets(p)], ids=_name)
def test_snippets_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    namespace: dict[str, object] = {"__name__": "__main__"}
    for line, code in _snippets(page):
        # Padded, so that a traceback points into the page.
        compiled = compile("\n" * line + code, str(page), "exec")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compiled, namespace)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    content = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in _LINK.findall(content):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            linked = (page.parent / path) if path else page
            assert linked.exists(), f"{_name(page)} links to {target}"
            if anchor:
                assert anchor in _anchors(linked), f"{_name(page)} links to {target}"


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("example", EXAMPLES, ids=_name)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = list(tmp_path.glob("*.png"))
    assert figures
    assert all(figure.stat().st_size > 10_000 for figure in figures)
