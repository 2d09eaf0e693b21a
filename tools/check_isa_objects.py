"""Check that the object files of one ISA level share nothing with those of another.

Usage: python tools/check_isa_objects.py BUILD_FOLDER

The linker keeps one copy of a weak symbol (an inline function, an instantiated template): code compiled for AVX-512
could then run on a CPU without it. So a kernel's object file may define no weak symbol, and no global one outside
the namespace of its level.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LEVELS = ("baseline", "v3", "v4")


def offences(file: Path, level: str) -> list[str]:
    """What is wrong with one object file."""
    command = ["nm", "--demangle", "--defined-only", str(file)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = []
    for line in output.splitlines():
        kind, symbol = line.split(maxsplit=2)[1:]
        if kind in "WwVvuC":
            found.append(f"{file}: weak symbol {symbol}")
        elif kind.isupper() and not re.search(rf"\bfourfold::(\w+::)*{level}::", symbol):
            found.append(f"{file}: global symbol outside ::{level}:: {symbol}")
    return found


def main() -> int:
    """Print every offence; the exit status is 1 if there is one, or if there is nothing to check."""
    files = {
        level: sorted(Path(sys.argv[1]).glob(f"CMakeFiles/*_{level}.dir/**/*.o"))
        for level in LEVELS
    }
    if not files["baseline"]:
        print(f"{sys.argv[1]}: no object file of the level baseline")
        return 1
    wrong = [
        offence for level in LEVELS for file in files[level] for offence in offences(file, level)
    ]
    print("\n".join(wrong) or f"{sum(map(len, files.values()))} object files, each level by itself")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
