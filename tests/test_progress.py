"""Bars: on terminals only, not redrawn more often than anyone can read, the last state always."""

from __future__ import annotations

import io

import pytest
import rich.console

from fourfold._progress import terminal_bar
from fourfold.cli.progress import progress_line
from fourfold.pc._progress import progress_bar as learning_bar


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    written = io.StringIO()
    terminal = rich.console.Console(
        file=written, force_terminal=True, force_interactive=True, width=100
    )
    monkeypatch.setattr(rich.console, "Console", lambda **_: terminal)
    monkeypatch.setattr("fourfold.cli.console.Console", lambda **_: terminal)
    return written


def test_nothing_is_shown_where_nobody_looks(capfd: pytest.CaptureFixture[str]) -> None:
    with terminal_bar(True, "bar", total=1) as update:
        assert update is None
    with learning_bar(True, 3, 0) as report:
        assert report is None
    assert capfd.readouterr() == ("", "")


def test_nothing_is_shown_where_it_is_not_wanted(screen: io.StringIO) -> None:
    with terminal_bar(False, "bar", total=1) as update:
        assert update is None
    assert screen.getvalue() == ""


def test_updates_are_thinned_out_but_for_those_that_count(screen: io.StringIO) -> None:
    columns = ("{task.fields[name]} [bold]", "bar", "percent", "elapsed", "left")
    with terminal_bar(True, *columns, total=4, completed=1, name="first") as update:
        assert update is not None
        update(2, name="skipped")
        update(4, now=True, name="last")
    shown = screen.getvalue()
    assert "last [bold]" in shown
    assert "100%" in shown
    assert "skipped" not in shown


def test_learning_shows_epochs_and_bits(screen: io.StringIO) -> None:
    with learning_bar(True, 3, 1) as report:
        assert report is not None
        report(1.5, None, None)
        report(2, 1.25, 1.5)
        report(3, 1.125, None)
    shown = screen.getvalue()
    assert "epoch 2 / 3" in shown
    assert "1.1250 bits/dim" in shown
    assert "100%" in shown


def test_a_command_prints_lines_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_line() as say:
        say("one [x]", 0.0)
        say("one [x]", 0.2)
        say("two", 0.5)
    assert capfd.readouterr().err.splitlines() == ["  0%  one [x]", " 50%  two"]


def test_a_command_shows_a_bar_on_a_terminal(screen: io.StringIO) -> None:
    with progress_line() as say:
        say("one [x]", 0.0)
        say("two", 0.5)
    shown = screen.getvalue()
    assert "two" in shown
    assert "50%" in shown
