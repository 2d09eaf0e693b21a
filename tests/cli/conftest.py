"""A runner for the command line, in an empty folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fourfold.cli.app import app

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fourfold(folder: Path) -> Invoke:
    """Call the command; gives exit status, standard output and standard error."""

    def invoke(*arguments: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return invoke


SMALL = """
[grid]
n = 128
length = 40.0

[time]
end = 0.5
saves = 6

[initial]
state = "soliton"
"""


@pytest.fixture
def small(folder: Path) -> Path:
    """A run file that takes no time."""
    path = folder / "small.toml"
    path.write_text(SMALL)
    return path
