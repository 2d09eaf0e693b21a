"""Kinds of values in a run file. Each description completes the sentence "allowed: ..."."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Beyond it a number is surely a slip of the hand; it also keeps the arithmetic far from overflow.
_HUGE = 1e12

Real = Annotated[float, Field(ge=-_HUGE, le=_HUGE, description="a number")]
Positive = Annotated[float, Field(gt=0, le=_HUGE, description="a number above 0")]
NotNegative = Annotated[float, Field(ge=0, le=_HUGE, description="a number, 0 or above")]
Mode = Annotated[int, Field(ge=-(2**31), lt=2**31, description="a whole number")]
Seed = Annotated[int, Field(ge=0, lt=2**32, description="a whole number from 0 to 4294967295")]
Switch = Annotated[bool, Field(description="true or false")]
Text = Annotated[str, Field(max_length=200, description="text of at most 200 characters")]

RealPair = Annotated[
    list[Real],
    Field(min_length=2, max_length=2, description="two numbers, as in [-10.0, 10.0]"),
]
PositivePair = Annotated[
    list[Positive],
    Field(min_length=2, max_length=2, description="two numbers above 0, as in [2.0, 1.5]"),
]


class Table(BaseModel):
    """A table of a run file: unknown keys and values of another type are refused, not converted."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )
