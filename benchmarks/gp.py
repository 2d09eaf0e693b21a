"""How fast `fourfold.gp` is, beside linear_operator, plain torch and SciPy.

    python benchmarks/gp.py                   all of it
    python benchmarks/gp.py --quick           a look
    python benchmarks/gp.py --only systems    one table: batches, systems, products, solves, regression, likelihood

Every contestant runs in this process with two threads, in turns with the others, after its answer has been checked.
Needs `pip install "fourfold[bench]" gpytorch scikit-learn`.
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from contest import ROOT, Results, machine
from gp_algebra import THREADS, batches, products, solves, systems
from gp_regression import likelihood, regression

import fourfold

TABLES: dict[str, Callable[..., None]] = {
    "batches": batches,
    "systems": systems,
    "products": products,
    "solves": solves,
    "regression": regression,
    "likelihood": likelihood,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmarks of fourfold.gp")
    parser.add_argument("--quick", action="store_true", help="fewer turns and sizes")
    parser.add_argument("--only", choices=TABLES, help="one table")
    parser.add_argument("--seed", type=int, default=None, help="by default a fresh one")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/results/gp.json")
    arguments = parser.parse_args()
    seed = secrets.randbelow(2**32) if arguments.seed is None else arguments.seed
    fourfold.set_num_threads(THREADS)
    torch.set_num_threads(THREADS)
    packages = ("numpy", "scipy", "torch", "linear_operator", "gpytorch", "scikit-learn")
    results = Results("gp", seed, machine(*packages))
    results.console.print(f"seed {seed}; {results.machine}")
    for name, table in TABLES.items():
        if arguments.only in (None, name):
            table(results, np.random.default_rng(seed), arguments.quick)
    results.write_json(arguments.json)


if __name__ == "__main__":
    main()
