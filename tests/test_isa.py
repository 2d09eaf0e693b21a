"""Instruction-set levels: which one is taken, and how FOURFOLD_ISA forces one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from fourfold import _core

pytestmark = pytest.mark.isa

LEVELS = ["baseline", "v3", "v4"]
IN_USE = "from fourfold import _core; print(_core.isa_level())"


def forced(level: str | None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "FOURFOLD_ISA"}
    if level is not None:
        environment["FOURFOLD_ISA"] = level
    command = [sys.executable, "-c", IN_USE]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


one_level = pytest.mark.skipif(
    bool(_core.build_info()["sanitizers"]), reason="a sanitizer build holds one level"
)


@one_level
def test_built_levels() -> None:
    x86 = platform.machine() in ("x86_64", "AMD64")
    assert _core.isa_levels_built() == (LEVELS if x86 else ["baseline"])


@one_level
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/cpuinfo")
def test_supported_levels_are_what_the_kernel_says() -> None:
    with open("/proc/cpuinfo") as file:
        flags = next((set(line.split()) for line in file if line.startswith("flags")), set())
    # What the x86-64 psABI demands of each level; "abm" is the kernel's name for LZCNT.
    v3 = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}
    v4 = v3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
    expected = ["baseline"] + ["v3"] * (v3 <= flags) + ["v4"] * (v4 <= flags)
    assert _core.isa_levels_supported() == expected


@pytest.mark.parametrize("level", _core.isa_levels_supported())
def test_a_level_can_be_forced(level: str) -> None:
    assert forced(level).stdout.strip() == level


@pytest.mark.parametrize("unset", [None, ""])
def test_the_highest_supported_is_the_default(unset: str | None) -> None:
    assert forced(unset).stdout.strip() == _core.isa_levels_supported()[-1]


def test_an_unknown_level_is_refused() -> None:
    done = forced("avx2")
    assert done.returncode != 0
    assert "ValueError: FOURFOLD_ISA=avx2" in done.stderr
    assert "baseline" in done.stderr


@pytest.mark.skipif(
    _core.isa_levels_supported() == _core.isa_levels_built(),
    reason="this CPU runs every level built",
)
def test_a_level_that_this_cpu_lacks_is_refused() -> None:
    done = forced(_core.isa_levels_built()[-1])
    assert done.returncode != 0
    assert "this CPU cannot run that level" in done.stderr
