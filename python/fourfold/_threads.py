"""How many threads fourfold's kernels use."""

from __future__ import annotations

import functools
import math
import operator
import os
import sys
from pathlib import Path, PurePosixPath

__all__ = ["get_num_threads", "set_num_threads"]

_chosen: int | None = None


def set_num_threads(n: int | None) -> None:
    """Set the number of threads that fourfold's kernels use in this process.

    Results do not depend on it: the kernels are bitwise equal for any number of threads.

    Parameters
    ----------
    n : int or None
        At least 1. None returns to the default, see `get_num_threads`.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is less than 1.
    """
    global _chosen
    if n is None:
        _chosen = None
        return
    try:
        count = operator.index(n)
    except TypeError:
        raise TypeError(f"n: expected an integer or None, got {type(n).__name__}") from None
    if count < 1:
        raise ValueError(f"n: expected at least 1 thread, got {count}")
    _chosen = count


def get_num_threads() -> int:
    """Return the number of threads that fourfold's kernels use.

    It is what `set_num_threads` was given; else ``torch.get_num_threads()`` if torch has been imported; else the
    number of CPUs that this process may use, by its affinity and its control group's quota.

    Returns
    -------
    int
        At least 1.
    """
    if _chosen is not None:
        return _chosen
    # torch may be in the middle of its own import, without the function.
    from_torch = getattr(sys.modules.get("torch"), "get_num_threads", None)
    if from_torch is not None:
        return int(from_torch())
    return _available_cpus()


def threads_source() -> str:
    """Say in words where the number that `get_num_threads` returns comes from."""
    if _chosen is not None:
        return "fourfold.set_num_threads"
    if hasattr(sys.modules.get("torch"), "get_num_threads"):
        return "torch.get_num_threads"
    return "CPU affinity and cgroup quota"


def _available_cpus() -> int:
    if sys.version_info >= (3, 13):
        cpus = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        cpus = len(os.sched_getaffinity(0))
    else:
        cpus = os.cpu_count() or 1
    return max(1, min(cpus, _quota_of_this_process()))


@functools.cache
def _quota_of_this_process() -> int:
    return cgroup_cpus(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))


def cgroup_cpus(membership: Path, root: Path) -> int:
    """Return how many CPUs the control groups of a process allow it, rounded up.

    Parameters
    ----------
    membership : Path
        The file that lists the groups, ``/proc/<pid>/cgroup``. It need not exist.
    root : Path
        Where the control-group file systems are mounted, ``/sys/fs/cgroup``.

    Returns
    -------
    int
        The smallest quota, of version 1 or 2, of the groups and their ancestors; ``sys.maxsize``
        if none sets one.
    """
    if not membership.is_file():
        return sys.maxsize
    cpus = sys.maxsize
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mounts, read = [root], _quota_v2
        elif "cpu" in controllers.split(","):
            mounts, read = [root / controllers, root / "cpu"], _quota_v1
        else:
            continue
        # Inside a container the path may be the host's, with nothing of it mounted but the end.
        group = PurePosixPath(path)
        for mount in mounts:
            for ancestor in (group, *group.parents):
                cpus = min(cpus, read(mount / ancestor.relative_to("/")))
    return cpus


def _quota_v2(group: Path) -> int:
    file = group / "cpu.max"
    if not file.is_file():
        return sys.maxsize
    quota, period = file.read_text().split()
    return sys.maxsize if quota == "max" else math.ceil(int(quota) / int(period))


def _quota_v1(group: Path) -> int:
    quota_file, period_file = group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us"
    if not (quota_file.is_file() and period_file.is_file()):
        return sys.maxsize
    quota = int(quota_file.read_text())
    return sys.maxsize if quota <= 0 else math.ceil(quota / int(period_file.read_text()))
