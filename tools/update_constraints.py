"""Write constraints/py3.X.txt anew: the newest versions of everything that fourfold's Makefile installs.

Usage: python tools/update_constraints.py [3.11 3.12 ...]

Resolves for Linux on x86-64 with pip (at least 23.2), from the package index alone, and installs nothing; any
interpreter can resolve for any version.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# torch is held at the version whose results the documentation quotes; raise it by hand.
HELD = ["torch==2.13.0"]
BUILD_TOOLS = ["cmake", "ninja"]
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]


def wanted() -> list[str]:
    """Everything that pyproject.toml names, extras and build requirements included."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = table["project"]
    lists = [table["build-system"]["requires"], project["dependencies"]]
    lists += project["optional-dependencies"].values()
    names = [name for names in lists for name in names if not name.startswith("fourfold[")]
    return sorted({*names, *HELD, *BUILD_TOOLS})


def resolve(python: str) -> dict[str, str]:
    """The versions that pip would install for that Python."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "--isolated", "install", "--quiet", "--dry-run"]
        command += ["--ignore-installed", "--report", str(report), "--target", folder]
        command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
        command += ["--abi", "cp" + python.replace(".", "")]
        command += [word for platform in PLATFORMS for word in ("--platform", platform)]
        subprocess.run(command + wanted(), check=True)
        installs = json.loads(report.read_text())["install"]
    return {canonical(item["metadata"]["name"]): item["metadata"]["version"] for item in installs}


def canonical(name: str) -> str:
    """The name as the package index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Resolve for the versions named on the command line, or for all."""
    for python in sys.argv[1:] or PYTHONS:
        pins = [f"{name}=={version}" for name, version in sorted(resolve(python).items())]
        head = f"# CPython {python}; written by tools/update_constraints.py\n"
        file = ROOT / "constraints" / f"py{python}.txt"
        file.write_text(head + "\n".join(pins) + "\n")
        print(f"{file.relative_to(ROOT)}: {len(pins)} packages")


if __name__ == "__main__":
    main()
