"""Fixtures of the tests of `fourfold.nlse`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fourfold import errors
from fourfold.nlse import _plan
from fourfold.nlse._kernel import Stepper
from tests.nlse.running import TIMES, Broken
from tests.nlse.solving import NoStepper, ScriptedStepper


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> type[ScriptedStepper]:
    class Fresh(ScriptedStepper):
        pass

    monkeypatch.setattr(_plan, "Stepper", Fresh)
    return Fresh


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plan, "Stepper", NoStepper)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Broken:
    """Ctrl-C while the run goes towards saved time number ``index``."""
    advance = Stepper.advance

    @contextlib.contextmanager
    def breaking(index: int) -> Iterator[None]:
        def interrupted(self: Stepper, psi: Any, t0: float, t1: float) -> None:
            advance(self, psi, t0, t1)
            if t1 >= TIMES[index]:
                psi[...] = np.nan
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Stepper, "advance", interrupted)
            with pytest.raises(errors.RunInterrupted) as caught:
                yield
        assert len(caught.value.solution.t) == index
        assert caught.value.path is not None

    return breaking
