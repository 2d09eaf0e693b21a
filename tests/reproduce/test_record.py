"""Checks and how figures are written."""

from __future__ import annotations

import math

import pytest

from fourfold.reproduce.record import at_least, at_most, close_to, measured, number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (7.812e-7, "7.81e-7"),
        (1e-11, "1e-11"),
        (2.9404, "2.94"),
        (8.0, "8"),
        (0.0132, "0.0132"),
        (12345.6, "12346"),
        (46700.0, "46700"),
        (1.2e6, "1.2e6"),
        (-3e-9, "-3e-9"),
        (math.nan, "nan"),
        (math.inf, "inf"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.9404, "2.940"),
        (7.8e-7, "7.80e-7"),
        (0.0, "0"),
        (4.0, "4"),
        (0.99996, "1.000"),
        (31415.9, "31416"),
        (math.nan, "nan"),
    ],
)
def test_measured(value: float, text: str) -> None:
    assert measured(value) == text


def test_bounds_are_inclusive_and_nan_fails() -> None:
    assert at_most("", 1.0, 1.0, "").passed is True
    assert at_most("", 1.0000001, 1.0, "").passed is False
    assert at_most("", math.nan, 1.0, "").passed is False
    assert at_least("", 1.0, 1.0, "").passed is True
    assert at_least("", math.nan, 1.0, "").passed is False
    assert close_to("", 1.5, 1.0, 0.5, "").passed is True
    assert close_to("", math.nan, 1.0, 0.5, "").passed is False


def test_requirements_say_what_they_ask() -> None:
    assert at_most("", 1.0, 2.0, "").requirement == "≤ 2"
    check = close_to("", 1.0, 7.8e-7, 5e-9, "", origin="published")
    assert check.reference == "7.80e-7 published"
    assert check.requirement == "within 5e-9"
