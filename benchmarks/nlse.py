"""How fast `fourfold.nlse` is, beside the published solver, FFTW, and NumPy with scipy.fft.

    python benchmarks/nlse.py                       all of it, about ten minutes
    python benchmarks/nlse.py --quick               a minute, for a look
    python benchmarks/nlse.py --only step           one table: soliton, step, ensemble, scaling
    python benchmarks/nlse.py --markdown docs/performance.md --figures docs/figures

Every contestant runs in this process, in turns with the others, after its answer has been checked.
One thread on one CPU, unless a table says otherwise. Needs `pip install "fourfold[bench]"`.
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from contest import ROOT, Results, machine, one_cpu
from nlse_ensemble import ensemble
from nlse_scaling import scaling
from nlse_soliton import soliton
from nlse_step import step

import fourfold

TABLES: dict[str, Callable[..., None]] = {
    "soliton": soliton,
    "step": step,
    "ensemble": ensemble,
    "scaling": scaling,
}


def main() -> None:
    arguments = _arguments()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    facts = machine("numpy", "scipy", "pyfftw", "simple-idealized-1d-nlse") | {"seed": seed}
    results = Results("nlse", seed, facts)
    for key, value in facts.items():
        results.console.print(f"{key}: {value}", highlight=False)
    fourfold.set_num_threads(1)
    tables = dict(TABLES)
    tables["scaling"] = partial(scaling, figures=arguments.figures)
    with one_cpu():
        for name in arguments.only or tables:
            tables[name](results, np.random.default_rng(seed), arguments.quick)
    results.write_json(arguments.output)
    if arguments.markdown is not None:
        results.write_markdown(arguments.markdown)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer sizes and turns")
    parser.add_argument("--only", action="append", choices=list(TABLES), help="repeatable")
    parser.add_argument("--seed", type=int, help="of the inputs; default: a fresh one, printed")
    parser.add_argument(
        "-o", "--output", type=Path, default=ROOT / "benchmarks" / "results" / "nlse.json"
    )
    parser.add_argument("--markdown", type=Path, help="page to put the tables into")
    parser.add_argument("--figures", type=Path, help="folder for the figures")
    arguments = parser.parse_args()
    if arguments.markdown is not None and (arguments.only or arguments.figures is None):
        # A page with tables of several machines or days would tell nothing.
        parser.error("--markdown needs all tables (no --only) and --figures")
    return arguments


if __name__ == "__main__":
    main()
