"""How fast `fourfold.kan` is, beside torch's GELU, the same formulas in torch, and what memory allows.

    python benchmarks/kan.py                             all of it
    python benchmarks/kan.py --quick                     fewer sizes and turns
    python benchmarks/kan.py --only rational             one table; repeatable
    python benchmarks/kan.py --markdown docs/kan/performance.md

Every contestant runs in this process, in turns with the others, after its answers and gradients have been
checked. The process is started again with settings that are the same for all: glibc keeps freed memory
(else the page faults of fresh outputs are most of what is measured), and the threads of torch's OpenMP
sleep when they are idle (else they stand in the way of whoever comes next). Needs `pip install "fourfold[bench]"`.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

SETTINGS = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "1073741824",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def main() -> None:
    if any(os.environ.get(name) != value for name, value in SETTINGS.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **SETTINGS})

    import numpy as np
    from contest import ROOT, Results, machine
    from kan_rational import peers, rational, small

    tables: dict[str, Callable[..., None]] = {
        "rational": rational,
        "peers": peers,
        "small": small,
    }
    arguments = _arguments(list(tables), ROOT / "benchmarks" / "results" / "kan.json")
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    settings = " ".join(f"{name}={value}" for name, value in SETTINGS.items())
    facts = machine("torch") | {"settings": settings, "seed": seed}
    results = Results("kan", seed, facts)
    for key, value in facts.items():
        results.console.print(f"{key}: {value}", highlight=False)
    for name in arguments.only or tables:
        tables[name](results, np.random.default_rng(seed), arguments.quick)
    results.write_json(arguments.output)
    if arguments.markdown is not None:
        results.write_markdown(arguments.markdown)


def _arguments(tables: list[str], output: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer sizes and turns")
    parser.add_argument("--only", action="append", choices=tables, help="repeatable")
    parser.add_argument("--seed", type=int, help="of the inputs; default: a fresh one, printed")
    parser.add_argument("-o", "--output", type=Path, default=output)
    parser.add_argument("--markdown", type=Path, help="page to put the tables into")
    return parser.parse_args()


if __name__ == "__main__":
    main()
