"""How many threads there are, and that the pool survives what a Python process does to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fourfold
from fourfold import nlse
from fourfold._threads import cgroup_cpus

pytestmark = pytest.mark.isa

GRID = nlse.Grid(n=64, length=20.0)
PROBLEM = nlse.Problem(GRID)
PSI0 = np.stack([nlse.soliton(GRID, amplitude=1.0 + 0.1 * j) for j in range(16)])

forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def advance() -> np.ndarray:
    """Something that runs on every thread of the pool."""
    return np.asarray(nlse.solve(PROBLEM, PSI0, [0.0, 0.2], method="strang", step=0.01).psi)


def in_child(work: Callable[[], bool]) -> bool:
    """Whether `work` is true in a forked child; a child that hangs is killed."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        os._exit(0 if work() else 1)
    _, status = os.waitpid(child, 0)
    return status == 0


def test_set_and_get() -> None:
    for count in (1, 2, 3):
        fourfold.set_num_threads(count)
        assert fourfold.get_num_threads() == count
    fourfold.set_num_threads(None)
    assert fourfold.get_num_threads() >= 1


@pytest.mark.parametrize("wrong", [0, -1])
def test_too_few_threads(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"n: expected at least 1 thread, got {wrong}"):
        fourfold.set_num_threads(wrong)


@pytest.mark.parametrize("wrong", [1.5, "2"])
def test_not_a_number_of_threads(wrong: object) -> None:
    with pytest.raises(TypeError, match="n: expected an integer or None, got"):
        fourfold.set_num_threads(wrong)  # type: ignore[arg-type]


def in_fresh_process(code: str) -> str:
    command = [sys.executable, "-c", f"import os, fourfold\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs sched_setaffinity")
def test_default_follows_the_affinity() -> None:
    code = (
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(fourfold.get_num_threads())"
    )
    assert in_fresh_process(code) == "1"


def test_default_follows_torch_once_it_is_loaded() -> None:
    code = "import torch; torch.set_num_threads(5); print(fourfold.get_num_threads())"
    assert in_fresh_process(code) == "5"


def test_our_own_setting_goes_before_torch() -> None:
    code = "import torch; fourfold.set_num_threads(3); print(fourfold.get_num_threads())"
    assert in_fresh_process(code) == "3"


@pytest.mark.parametrize(
    ("membership", "files", "cpus"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, sys.maxsize),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ("0::/not/mounted\n", {"cpu.max": "50000 100000\n"}, 1),
        (
            "3:cpu:/x\n",
            {"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "9"},
            sys.maxsize,
        ),
        (
            "4:cpu,cpuacct:/docker/1\n2:memory:/docker/1\n0::/\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "400000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            4,
        ),
        ("0::/\n", {}, sys.maxsize),
    ],
)
def test_cgroup_quota(tmp_path: Path, membership: str, files: dict[str, str], cpus: int) -> None:
    for name, text in files.items():
        file = tmp_path / "fs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "cgroup").write_text(membership)
    assert cgroup_cpus(tmp_path / "cgroup", tmp_path / "fs") == cpus


def test_no_cgroups(tmp_path: Path) -> None:
    assert cgroup_cpus(tmp_path / "missing", tmp_path) == sys.maxsize


@forks
def test_parallel_work_after_fork() -> None:
    fourfold.set_num_threads(2)
    expected = advance()
    assert in_child(lambda: np.array_equal(advance(), expected))
    assert in_child(lambda: in_child(lambda: np.array_equal(advance(), expected)))
    assert np.array_equal(advance(), expected)


@forks
def test_fork_while_another_thread_computes() -> None:
    fourfold.set_num_threads(2)
    expected = advance()
    stop = threading.Event()
    wrong: list[bool] = []

    def keep_computing() -> None:
        while not stop.is_set():
            wrong.append(not np.array_equal(advance(), expected))

    other = threading.Thread(target=keep_computing)
    other.start()
    try:
        for _ in range(10):
            assert in_child(lambda: np.array_equal(advance(), expected))
    finally:
        stop.set()
        other.join()
    assert wrong
    assert not any(wrong)


def test_work_in_a_forked_data_loader() -> None:
    # In a process of its own: torch starts threads that other tests would fork with.
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
import warnings; warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
import numpy as np, torch
from tests.test_threads import advance
fourfold.set_num_threads(2)
expected = advance()

class Solutions(torch.utils.data.Dataset):
    def __len__(self):
        return 6
    def __getitem__(self, item):
        assert torch.utils.data.get_worker_info() is not None
        return torch.from_numpy(advance())

loader = torch.utils.data.DataLoader(
    Solutions(), batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=60
)
print(all(np.array_equal(batch.numpy(), expected) for batch in loader), len(loader))
"""
    assert in_fresh_process(code) == "True 6"


def test_exit_with_workers_and_a_busy_daemon_thread() -> None:
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
import threading
from tests.test_threads import advance
fourfold.set_num_threads(3)
advance()
def forever():
    while True: advance()
threading.Thread(target=forever, daemon=True).start()
print("done")
"""
    assert in_fresh_process(code) == "done"


@pytest.mark.skipif(
    getattr(sys, "_is_gil_enabled", lambda: True)(), reason="not a free-threaded interpreter"
)
def test_concurrent_calls_without_the_gil() -> None:
    fourfold.set_num_threads(2)
    expected = advance()
    results: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: results.extend(advance() for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 80
    assert all(np.array_equal(result, expected) for result in results)
