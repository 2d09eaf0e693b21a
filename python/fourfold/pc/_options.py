"""The checks of the options of learning."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Options", "check_integer", "check_options", "check_real"]

ALGORITHMS = ("anemone", "minibatch", "full")

_FIRST_STEP, _LAST_STEP = 0.4, 0.02

_BATCHES, _SMALLEST_BATCH, _LARGEST_BATCH = 100, 32, 512


@dataclass(frozen=True)
class Options:
    """What `fourfold.pc.fit` was asked for, checked."""

    epochs: int
    algorithm: str
    batch_size_given: int | None
    step_given: Any
    momentum: float
    pseudocount: float
    patience: int | None
    seed: int

    def rng(self, purpose: str, number: int = 0) -> np.random.Generator:
        """Chance of its own for every purpose, so that none depends on how much another used."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode()), number])

    def batch_size(self, rows: int) -> int:
        """Rows of a batch when there are so many to learn from."""
        if self.batch_size_given is not None:
            return self.batch_size_given
        return max(_SMALLEST_BATCH, min(_LARGEST_BATCH, rows // _BATCHES))

    def step(self, done: float) -> float:
        """The step size when this share of the run is done."""
        if self.step_given is None:
            if self.algorithm == "full":
                return 1.0
            return float(_FIRST_STEP + (_LAST_STEP - _FIRST_STEP) * done)
        if callable(self.step_given):
            return _check_step("step(...)", self.step_given(done))
        return float(self.step_given)


def check_options(
    *,
    epochs: Any,
    algorithm: Any,
    batch_size: Any,
    step: float | Callable[[float], float] | None,
    momentum: Any,
    pseudocount: Any,
    patience: Any,
    seed: Any,
    has_validation: bool,
) -> Options:
    """Refuse what makes no sense, by name."""
    check_integer("epochs", epochs, 0)
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm: expected one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    if batch_size is not None:
        check_integer("batch_size", batch_size, 1)
    if step is not None and not callable(step):
        _check_step("step", step)
    check_real("momentum", momentum)
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum: expected at least 0 and less than 1, got {momentum}")
    if momentum > 0 and algorithm == "full":
        raise ValueError("momentum: expected 0 with algorithm='full', which has one batch an epoch")
    check_real("pseudocount", pseudocount)
    if not 0 <= pseudocount < np.inf:
        raise ValueError(f"pseudocount: expected at least 0 and finite, got {pseudocount}")
    if patience is not None:
        check_integer("patience", patience, 1)
        if not has_validation:
            raise ValueError("patience: expected None without validation data to lose it over")
    check_integer("seed", seed, 0)
    return Options(
        epochs=int(epochs),
        algorithm=algorithm,
        batch_size_given=None if batch_size is None else int(batch_size),
        step_given=step,
        momentum=float(momentum),
        pseudocount=float(pseudocount),
        patience=None if patience is None else int(patience),
        seed=int(seed),
    )


def check_integer(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")


def check_real(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a real number, got {type(value).__name__}")


def _check_step(name: str, value: Any) -> float:
    check_real(name, value)
    if not 0 < value <= 1:
        raise ValueError(f"{name}: expected more than 0 and at most 1, got {value}")
    return float(value)
