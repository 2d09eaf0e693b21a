"""What a solve on a large grid takes beyond its data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import numpy as np
from fourfold import gp

def factor(n):
    d = np.abs(np.subtract.outer(np.linspace(0, 1, n), np.linspace(0, 1, n))) / 0.1
    return (1 + d) * np.exp(-d) + 1e-3 * np.eye(n)

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))

rng = np.random.default_rng(0)
small, large = (gp.Kronecker([factor(n)] * 3) for n in (20, 100))
y = rng.standard_normal((100, 100, 100))
for noise in (None, 0.1):
    small.solve(rng.standard_normal(8000), noise)
    open("/proc/self/clear_refs", "w").write("5")
    before = peak()
    x = large.solve(y, noise)
    print((peak() - before) / y.nbytes)
    del x
"""


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="needs the peak of memory that Linux keeps"
)
def test_a_solve_adds_at_most_three_copies_of_the_data() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    plain, noisy = map(float, done.stdout.split())
    # The result itself is one.
    assert 0.9 < plain < 3
    assert 0.9 < noisy < 3
