"""Reading run files (TOML) and ``--set`` options into one nested mapping."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.cli.outcome import Problem, Refusal

SET = "--set"


@dataclass(frozen=True)
class RunFile:
    """The keys of a run, and where each came from.

    Attributes
    ----------
    name : str
        What to call the source in messages: a path, or ``case 'single_soliton'``.
    keys : dict
        The nested mapping, with the ``--set`` options applied.
    overridden : tuple of str
        The dotted keys that came from the command line.
    folder : Path
        The folder that relative paths inside the file start from.
    """

    name: str
    keys: dict[str, Any]
    overridden: tuple[str, ...]
    folder: Path

    def source_of(self, key: str) -> str:
        """Return the name to blame for a dotted key: the command line or the file."""
        for option in self.overridden:
            if key == option or key.startswith(option + ".") or option.startswith(key + "."):
                return SET
        return self.name


def parse(text: str, name: str) -> dict[str, Any]:
    """Parse TOML text; a syntax error is a refusal that names the file and the place."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Refusal([Problem(name, "not valid TOML", str(error))]) from None


def read(path: Path) -> str:
    """Return the text of a run file; what cannot be read is a refusal that names it."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Refusal(
            [Problem(str(path), "cannot be read", error.strerror or str(error))]
        ) from None
    except UnicodeDecodeError:
        raise Refusal([Problem(str(path), "cannot be read", "not a UTF-8 text file")]) from None


def override(keys: dict[str, Any], options: Sequence[str]) -> tuple[str, ...]:
    """Apply ``key=value`` options to the nested mapping in place; return the dotted keys.

    The value is read as TOML (``1e-9``, ``true``, ``[1.0, 2.0]``, ``{2 = 0.5}``, ``"text"``); what
    is not TOML is taken as text, so that ``solver.method=strang`` needs no quotes.
    """
    problems = []
    changed = []
    for option in options:
        key, equals, value = option.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not equals or not all(parts):
            problems.append(
                Problem(
                    SET,
                    option,
                    "expected key=value with a dotted key, as in solver.rtol=1e-9",
                )
            )
            continue
        table = keys
        for part in parts[:-1]:
            inner = table.setdefault(part, {})
            if not isinstance(inner, dict):
                inner = table[part] = {}
            table = inner
        table[parts[-1]] = _value(value.strip())
        changed.append(".".join(parts))
    if problems:
        raise Refusal(problems)
    return tuple(changed)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
