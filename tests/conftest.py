"""What every test has: the slow and GPU marks, and the number of threads."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

# Before anything imports torch: threads lose on matrices as small as those of the tests. Not torch.set_num_threads,
# after which torch's LU of a batch of matrices of 200 or more gives errors of DLASWP and hangs (torch 2.13 with MKL).
os.environ["OMP_NUM_THREADS"] = "1"

import fourfold

# Those of fourfold's kernels; the other number that is worth a run of the tests is 1.
_THREADS = int(os.environ.get("FOURFOLD_TEST_THREADS", "2"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that are marked slow, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    skip_slow = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(skip_slow)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    fourfold.set_num_threads(_THREADS)
    yield
    fourfold.set_num_threads(None)
