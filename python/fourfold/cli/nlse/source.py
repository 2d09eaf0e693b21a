"""From the word on the command line to a checked run: a case that is shipped, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from fourfold.cli import runfile
from fourfold.cli.nlse.toml_text import toml_text
from fourfold.cli.outcome import Problem, Refusal
from fourfold.cli.runfile import RunFile
from fourfold.nlse.cases import CASES, Case

_FILES = files("fourfold.cli.nlse") / "cases"
TEMPLATE = "template"

# In the order of `fourfold nlse cases`.
PUBLISHED = tuple(CASES)
EXACT = (
    "two_soliton",
    "akhmediev",
    "peregrine",
    "kuznetsov_ma",
    "dark_collision",
    "plane_wave",
)


def case_text(name: str) -> str:
    """Return the run file of a case, or of the commented template; another name is a refusal."""
    known = (*PUBLISHED, *EXACT)
    if name not in (*known, TEMPLATE):
        close = get_close_matches(name, known, n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        message = f"no such case and no such file{hint}; cases: {', '.join(known)}"
        raise Refusal([Problem("CASE_OR_FILE", name, message)])
    if name in CASES:
        return toml_text(_published_keys(CASES[name]))
    return (_FILES / f"{name}.toml").read_text(encoding="utf-8")


def _published_keys(case: Case) -> dict[str, Any]:
    return {
        "title": case.title,
        "grid": {"n": case.grid.n, "length": case.grid.length},
        "time": {
            "start": float(case.t[0]),
            "end": float(case.t[-1]),
            "saves": len(case.t),
        },
        "initial": {"state": "published", "case": case.name},
        "solver": {"rtol": case.rtol, "atol": case.atol},
    }


def load_run(case_or_file: str, options: Sequence[str]) -> RunFile:
    """Return the keys of a case or a file with the ``key=value`` options applied.

    What ends in ``.toml``, holds a path separator or is the name of a file here is a file.
    """
    path = Path(case_or_file)
    if path.suffix == ".toml" or len(path.parts) > 1 or path.is_file():
        name, text, folder = case_or_file, runfile.read(path), path.parent
    else:
        name, text, folder = f"case '{case_or_file}'", case_text(case_or_file), Path()
    keys = runfile.parse(text, name)
    overridden = runfile.override(keys, options)
    return RunFile(name=name, keys=keys, overridden=overridden, folder=folder)


def default_name(case_or_file: str) -> str:
    """Return the name of the outputs where the run gives none: that of the case or file."""
    return Path(case_or_file).stem
