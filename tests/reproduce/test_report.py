"""The report: a family that passes, one that fails, one that crashes, one that cannot be loaded."""

from __future__ import annotations

import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner, Result

from fourfold.cli.app import app
from fourfold.reproduce import runner
from fourfold.reproduce.record import (
    Context,
    Family,
    Figure,
    Section,
    Table,
    at_most,
    close_to,
    for_information,
)

# The smallest PNG there is: one transparent point.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc33000000"
    "0049454e44ae426082"
)


def good(context: Context) -> Section:
    (context.folder / "kept.txt").write_text("data")
    context.say("half way")
    return Section(
        "A paragraph with `code` & <angles>.\n\nAnother.",
        checks=[
            at_most("an <error>", 1e-9, 1e-8, "how & why"),
            for_information("a time", 1.5, "by the clock", reference="2 s elsewhere", unit="s"),
        ],
        tables=[Table("a table", ("a", "b"), [("1", "2 < 3")])],
        figures=[Figure(PNG, "a picture")],
    )


def bad(_: Context) -> Section:
    return Section(
        "Wrong.",
        checks=[
            close_to("the answer", 41.0, 42.0, 0.5, "asked"),
            at_most("not a number", float("nan"), 1.0, "divided by zero"),
            at_most("fine", 0.0, 1.0, "measured"),
        ],
    )


def crash(_: Context) -> Section:
    raise RuntimeError("it fell over <here>")


def families(monkeypatch: pytest.MonkeyPatch, **members: tuple[tuple[str, object], ...]) -> None:
    table = {}
    for name, experiments in members.items():
        module = ModuleType(f"fake_{name}")
        module.FAMILY = Family(f"Family {name}", "About it.", experiments)  # type: ignore[attr-defined, arg-type]
        monkeypatch.setitem(sys.modules, f"fake_{name}", module)
        table[name] = f"fake_{name}"
    monkeypatch.setattr(runner, "FAMILIES", table)


def reproduce(folder: Path, *options: str) -> tuple[Result, str, dict[str, object]]:
    result = CliRunner().invoke(app, ["reproduce", "-o", str(folder), *options])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    page = (folder / "index.html").read_text(encoding="utf-8")
    return result, page, json.loads((folder / "results.json").read_text(encoding="utf-8"))


class Page(HTMLParser):
    """Checks that tags nest, and collects what a browser would load."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "link", "iframe", "object", "embed"}
        if tag not in self.VOID:
            self.open.append(tag)
        given = dict(attrs)
        if "id" in given:
            self.ids.append(given["id"] or "")
        for key in ("src", "srcset", "poster", "data", "background"):
            if given.get(key):
                self.loads.append(given[key] or "")
        if given.get("href"):
            self.links.append(given["href"] or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def checked(page: str) -> Page:
    parsed = Page(page)
    assert all(source.startswith("data:image/png;base64,") for source in parsed.loads)
    assert "url(" not in page
    assert "@import" not in page
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert all(link.startswith("#") and link[1:] in parsed.ids for link in parsed.links)
    return parsed


def test_all_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    families(monkeypatch, one=(("Good things", good),))
    result, page, results = reproduce(tmp_path / "report")
    assert result.exit_code == 0
    parsed = checked(page)
    text = " ".join("".join(parsed.text).split())
    assert "All 1 checks passed" in text
    assert "A paragraph with code & <angles>." in text
    assert "✗" not in text
    assert len(parsed.loads) == 1
    assert results["passed"] is True
    assert (tmp_path / "report" / "data" / "one" / "kept.txt").read_text() == "data"


def test_a_failed_check_is_red_and_the_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    families(monkeypatch, one=(("Good things", good),), two=(("Bad things", bad),))
    result, page, results = reproduce(tmp_path)
    assert result.exit_code == 1
    parsed = checked(page)
    text = " ".join("".join(parsed.text).split())
    assert "2 of 4 checks failed" in text
    assert page.count('<tr class="failed">') == 2
    assert "<title>fourfold report: FAILED</title>" in page
    assert "the answer: 41, required within 0.5" in result.stdout
    two = results["families"]["two"]  # type: ignore[index]
    assert two["passed"] is False
    checks = two["experiments"][0]["checks"]
    assert [check["passed"] for check in checks] == [False, False, True]
    assert checks[1]["measured"] == "nan"
    assert results["families"]["one"]["passed"] is True  # type: ignore[index]


def test_a_crash_shows_its_traceback_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    families(monkeypatch, one=(("Falls", crash), ("Stands", good)))
    result, page, results = reproduce(tmp_path)
    assert result.exit_code == 1
    text = "".join(checked(page).text)
    assert "RuntimeError: it fell over <here>" in text
    assert "def crash" not in text
    assert "1 crashed" in text
    falls, stands = results["families"]["one"]["experiments"]  # type: ignore[index]
    assert "RuntimeError" in falls["crash"]
    assert stands["passed"] is True
    assert "RuntimeError: it fell over <here>" in result.stderr


def test_a_family_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FAMILIES", {"gone": "fourfold.reproduce.gone"})
    result, page, results = reproduce(tmp_path)
    assert result.exit_code == 1
    assert "ModuleNotFoundError" in "".join(checked(page).text)
    assert results["crashed"] == 1


def test_only_the_named_family_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    families(monkeypatch, one=(("Good things", good),), two=(("Bad things", bad),))
    result, _, results = reproduce(tmp_path, "--family", "one")
    assert result.exit_code == 0
    assert list(results["families"]) == ["one"]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("option", "effort"), [((), "default"), (("--quick",), "quick"), (("--full",), "full")]
)
def test_effort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...], effort: str
) -> None:
    families(monkeypatch, one=(("Good things", good),))
    _, page, results = reproduce(tmp_path, *option)
    assert results["effort"] == effort
    assert f"fourfold reproduce {' '.join(option)}".strip() in page


def test_an_older_report_is_replaced_and_nothing_half_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    families(monkeypatch, two=(("Bad things", bad),))
    reproduce(tmp_path)
    families(monkeypatch, one=(("Good things", good),))
    result, page, _ = reproduce(tmp_path)
    assert result.exit_code == 0
    assert "Bad things" not in page
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "data",
        "index.html",
        "results.json",
    ]


def test_ctrl_c_keeps_the_older_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    families(monkeypatch, one=(("Good things", good),))
    _, before, _ = reproduce(tmp_path)

    def stop(_: Context) -> Section:
        raise KeyboardInterrupt

    families(monkeypatch, one=(("Good things", good), ("Stops", stop)))
    (tmp_path / "data" / "one" / "kept.txt").write_text("of the older report")
    result = CliRunner().invoke(app, ["reproduce", "-o", str(tmp_path)])
    assert result.exit_code == 130
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == before
    assert (tmp_path / "data" / "one" / "kept.txt").read_text() == "of the older report"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "data",
        "index.html",
        "results.json",
    ]


def test_other_files_in_the_folder_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious.txt").write_text("mine")
    families(monkeypatch, one=(("Good things", good),))
    reproduce(tmp_path)
    assert (tmp_path / "data" / "precious.txt").read_text() == "mine"
