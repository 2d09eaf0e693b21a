"""Fit the rational functions that fourfold ships, and write python/fourfold/kan/rational_tables.json.

Usage: python tools/make_rational_tables.py [--check]

With --check nothing is written; the exit status is 1 if a fit is worse than the one in the file by more than 1 %.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from fourfold.kan import fitting
from fourfold.kan.fitting import FUNCTIONS, RationalFit, fit_rational

FILE = Path(__file__).resolve().parents[1] / "python" / "fourfold" / "kan" / "rational_tables.json"


def fits() -> list[RationalFit]:
    """Every fit of the file, in order."""
    made = [fit_rational(name) for name in FUNCTIONS]
    for name in ("relu", "gelu", "silu"):
        made += [fit_rational(name, interval=(-end, end)) for end in (3.0, 5.0)]
        made.append(fit_rational(name, asymptote=1.0))
    return made


def main() -> int:
    """Write the file, or compare with it."""
    before = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else []
    # Whatever the file holds, everything is fitted.
    fitting._shipped = dict  # type: ignore[assignment]
    made = fits()
    for fit in made:
        print(f"{fit.name:12} {fit.interval!s:14} asymptote {fit.asymptote!s:5} {fit.error:.3e}")
    if "--check" in sys.argv[1:]:
        return int(
            len(made) != len(before)
            or any(
                fit.error > 1.01 * old["error"] + 1e-12
                for fit, old in zip(made, before, strict=True)
            )
        )
    lines = ",\n".join(json.dumps(asdict(fit)) for fit in made)
    FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
