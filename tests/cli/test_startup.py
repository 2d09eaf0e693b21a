"""The command starts without loading what it does not need."""

from __future__ import annotations

import subprocess
import sys

import fourfold

HEAVY = ("torch", "matplotlib", "xarray", "netCDF4", "pydantic", "scipy")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from fourfold.cli.app import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        f"print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "reproduce" in done.stdout
    assert "LOADED []" in done.stdout


def test_version() -> None:
    command = [sys.executable, "-m", "fourfold.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"fourfold {fourfold.__version__}\n"


def test_config() -> None:
    command = [sys.executable, "-m", "fourfold.cli", "config"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert fourfold.__version__ in done.stdout
