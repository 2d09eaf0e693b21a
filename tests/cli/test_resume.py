"""`fourfold nlse run --resume`: saved as it runs, and gone on with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fourfold import nlse
from fourfold.nlse._kernel import Stepper

from .conftest import Invoke

RUN = ("nlse", "run", "small.toml", "-o", "out", "--set", "output.figures=false")
NOISE = ("--set", "noise.relative=0.1", "--set", "ensemble.size=3")


@pytest.fixture
def stopped(fourfold: Invoke, small: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A noisy run that Ctrl-C stopped half-way; what it said."""
    advance = Stepper.advance

    def interrupted(self: Stepper, psi: Any, t0: float, t1: float) -> None:
        if t1 > 0.35:
            raise KeyboardInterrupt
        advance(self, psi, t0, t1)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "advance", interrupted)
        status, _, err = fourfold(*RUN, *NOISE, "--resume")
    assert status == 130
    return err


def test_the_same_command_goes_on(fourfold: Invoke, small: Path, stopped: str) -> None:
    assert "4 times are in" in stopped
    assert "small_running.nc; the same command goes on" in stopped.replace("\n", "")
    assert sorted(os.listdir("out")) == ["small_running.nc", "small_running.toml"]
    assert len(nlse.load("out/small_running.nc").t) == 4
    assert fourfold(*RUN, *NOISE, "--resume")[0] == 0
    assert sorted(os.listdir("out")) == ["small.nc", "small_run.toml", "summary.json"]
    assert fourfold(*RUN[:3], "-o", "whole", *RUN[5:], *NOISE)[0] == 0
    resumed, whole = nlse.load("out/small.nc"), nlse.load("whole/small.nc")
    np.testing.assert_array_equal(resumed.psi, whole.psi)
    assert resumed.stats.steps == whole.stats.steps


def test_another_run_does_not_go_on(fourfold: Invoke, small: Path, stopped: str) -> None:
    status, _, err = fourfold(*RUN, *NOISE, "--set", "noise.seed=7", "--resume")
    assert status == 2
    assert "small_running.nc: --resume: it was begun with another noise.seed; run it with" in err
    assert len(nlse.load("out/small_running.nc").t) == 4
    Path("out/small_running.toml").unlink()
    status, _, err = fourfold(*RUN, *NOISE, "--resume")
    assert status == 2
    assert "which run it is cannot be read" in err


def test_an_undisturbed_run_is_the_same_with_and_without(fourfold: Invoke, small: Path) -> None:
    assert fourfold(*RUN, "--resume")[0] == 0
    assert fourfold(*RUN[:3], "-o", "plain", *RUN[5:])[0] == 0
    np.testing.assert_array_equal(nlse.load("out/small.nc").psi, nlse.load("plain/small.nc").psi)
    assert sorted(os.listdir("out")) == sorted(os.listdir("plain"))
    status, _, err = fourfold(*RUN, "--resume")
    assert status == 2
    assert "output exists" in err


def test_without_it_ctrl_c_leaves_nothing(
    fourfold: Invoke, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Stepper, "advance", interrupted)
    status, _, err = fourfold(*RUN)
    assert (status, err.strip()) == (130, "stopped")
    assert not Path("out").exists()
