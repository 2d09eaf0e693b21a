"""What every test has: the slow and GPU marks, and threads back at their default afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fourfold


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that are marked slow, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    skip_slow = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(skip_slow)


@pytest.fixture(autouse=True)
def _default_threads() -> Iterator[None]:
    yield
    fourfold.set_num_threads(None)
