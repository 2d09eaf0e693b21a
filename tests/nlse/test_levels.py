"""The same answers on every ISA level, for any number of threads, after a fork, from several threads."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourfold
from fourfold import _core, nlse
from fourfold.nlse.methods import METHODS

pytestmark = pytest.mark.isa

SetThreads = Callable[[int | None], None]
FIXED = [name for name, method in METHODS.items() if method.fixed_step]

GRID = nlse.Grid(n=192, length=20.0)


def ensemble(batch: int, dtype: str = "complex128") -> np.ndarray:
    background = np.ones((batch, GRID.n), dtype=dtype)
    return np.asarray(nlse.add_noise(background, relative=0.1, rng=11))


def run(psi0: np.ndarray, method: str, **options: Any) -> np.ndarray:
    problem = nlse.Problem(GRID, potential=0.1 * np.cos(2 * np.pi * GRID.x / 20))
    return np.asarray(nlse.solve(problem, psi0, [0.0, 0.3, 0.7], method=method, **options).psi)


@pytest.fixture
def threads() -> Iterator[SetThreads]:
    yield fourfold.set_num_threads
    fourfold.set_num_threads(None)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("method", FIXED)
def test_bits_do_not_depend_on_threads_or_batch(
    method: str, dtype: str, threads: SetThreads
) -> None:
    psi0 = ensemble(7, dtype)
    options: list[dict[str, float]] = [{"step": 0.01}]
    if METHODS[method].adaptive:
        options.append({"rtol": 1e-4, "atol": 1e-6})
    for option in options:
        threads(1)
        one = run(psi0, method, **option)
        threads(2)
        assert np.array_equal(one, run(psi0, method, **option))
        threads(3)
        assert np.array_equal(one, run(psi0, method, **option))
        assert np.array_equal(one[:, 2], run(psi0[2], method, **option))
        assert np.array_equal(one[:, 3:5], run(psi0[3:5], method, **option))


SCRIPT = """
import sys
import numpy as np
from fourfold import _core
from tests.nlse.test_levels import FIXED, ensemble, run
out = {name: run(ensemble(3), name, step=0.01) for name in FIXED}
out |= {name + "_float": run(ensemble(3, "complex64"), name, step=0.01) for name in FIXED}
out["rkn6_14a_adaptive"] = run(ensemble(3), "rkn6_14a", rtol=1e-7, atol=0.0)
np.savez(sys.argv[1], level=_core.isa_level(), **out)
"""


def test_levels_agree(tmp_path: Path) -> None:
    results = {}
    root = Path(__file__).parents[2]
    for level in _core.isa_levels_supported():
        file = tmp_path / f"{level}.npz"
        environment = {**os.environ, "FOURFOLD_ISA": level}
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(file)],
            env=environment,
            cwd=root,
            check=True,
        )
        results[level] = np.load(file)
        assert results[level]["level"] == level
    reference = results["baseline"]
    for level, result in results.items():
        for name in reference.files:
            if name == "level":
                continue
            tolerance = 1e-3 if name.endswith("_float") else 1e-11
            assert np.abs(result[name] - reference[name]).max() < tolerance, (
                level,
                name,
            )


def _child(connection: Connection) -> None:
    connection.send_bytes(run(ensemble(8), "strang", step=0.01).tobytes())
    connection.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_solves(threads: SetThreads) -> None:
    threads(2)
    here = run(ensemble(8), "strang", step=0.01)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sender,))
    child.start()
    assert receiver.poll(60), "the forked child hangs"
    assert receiver.recv_bytes() == here.tobytes()
    child.join(60)
    assert child.exitcode == 0


def test_several_python_threads_solve_at_once(threads: SetThreads) -> None:
    threads(2)
    psi0 = ensemble(6)
    expected = run(psi0, "rkn4_6b", step=0.005)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: run(psi0, "rkn4_6b", step=0.005), range(12)))
    assert all(np.array_equal(result, expected) for result in results)


def test_denormal_tails_change_no_digit() -> None:
    """In single precision they count as zero; double precision tells what should come out."""
    grid = nlse.Grid(n=256, length=400.0)  # sech(200) is 3e-87
    psi0 = nlse.soliton(grid)
    options: dict[str, Any] = {"method": "strang", "step": 0.01}
    single = nlse.solve(nlse.Problem(grid), psi0.astype(np.complex64), [0.0, 0.5], **options)
    double = nlse.solve(nlse.Problem(grid), psi0, [0.0, 0.5], **options)
    assert np.abs(single.final - double.final).max() < 1e-5
    assert single.mass[-1] == pytest.approx(double.mass[-1], rel=1e-6)
    # The smallest normal numbers pass through a linear equation.
    free = nlse.Problem(grid, nonlinearity=0.0)
    tiny = np.full(grid.n, 2.0**-120, np.complex64)
    assert np.array_equal(nlse.solve(free, tiny, [0.0, 0.5], **options).final, tiny)
