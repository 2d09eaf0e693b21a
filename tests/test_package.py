"""The package as a whole: what importing it does, its version, its configuration, its errors."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

import fourfold
from fourfold import _core, errors
from fourfold._compiled import check_version

ROOT = Path(__file__).resolve().parent.parent


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout.strip()


def test_import_loads_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys, fourfold; print(*{'torch', 'matplotlib', 'numpy', 'scipy'} & set(sys.modules))"
    )
    assert python(code) == ""


def test_import_is_fast() -> None:
    # Processor time, so that other processes do not count.
    code = "import time; t = time.process_time(); import fourfold; print(time.process_time() - t)"
    assert min(float(python(code)) for _ in range(3)) < 0.3


def test_families_load_when_they_are_used() -> None:
    code = "import sys, fourfold; n = len(sys.modules); fourfold.nlse.Grid; print(len(sys.modules) > n)"
    assert python(code) == "True"
    assert "nlse" in dir(fourfold)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        fourfold.nonsense  # noqa: B018


def test_public_names_exist() -> None:
    for name in fourfold.__all__:
        assert getattr(fourfold, name) is not None


# The control register of the floating-point unit: rounding, denormals, exceptions. glibc stores it
# at the end of fenv_t on x86-64.
MXCSR = """
import ctypes
libm = ctypes.CDLL("libm.so.6")
def mxcsr():
    environment = (ctypes.c_uint32 * 8)()
    assert libm.fegetenv(environment) == 0
    return environment[7] & ~0x3f  # without the sticky exception flags
before = mxcsr()
assert before == 0x1f80, hex(before)
"""


@pytest.mark.skipif(
    os.uname().machine != "x86_64" or sys.platform != "linux", reason="MXCSR is read through glibc"
)
@pytest.mark.parametrize(
    "code",
    [
        "import fourfold",
        """
import numpy as np
from fourfold import nlse
grid = nlse.Grid(n=64, length=10.0)
nlse.solve(nlse.Problem(grid), np.stack([nlse.soliton(grid)] * 4), [0.0, 0.1])
""",
        """
import numpy as np
from fourfold import nlse
grid = nlse.Grid(n=64, length=10.0)
field = np.stack([nlse.soliton(grid)] * 4).astype(np.complex64)
nlse.solve(nlse.Problem(grid), field, [0.0, 0.1])
seen = []
shaken = nlse.Problem(grid, potential=lambda x, t: seen.append(mxcsr()) or 0 * x)
nlse.solve(shaken, field, [0.0, 0.1], method="strang", step=0.05)
assert set(seen) == {before}, seen
""",
    ],
    ids=["import", "solve", "solve in single precision"],
)
def test_floating_point_environment_is_left_alone(code: str) -> None:
    assert python(f"{MXCSR}\n{code}\nprint(mxcsr() == before, 5e-324 * 1.0 > 0)") == "True True"


def test_no_unsafe_math_flags() -> None:
    forbidden = re.compile(r"-ffast-math|-Ofast|-funsafe-math-optimizations")
    for file in [ROOT / "CMakeLists.txt", *(ROOT / "cmake").glob("*.cmake")]:
        for line in file.read_text().splitlines():
            refuses = line.lstrip().startswith(("if(flags MATCHES", "message(FATAL_ERROR"))
            assert refuses or not forbidden.search(line), f"{file}: {line}"


def test_one_version() -> None:
    assert _core.__version__ == fourfold.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|(a|b|rc)\d+)?", fourfold.__version__)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
    assert f"version: {fourfold.__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {fourfold.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_another_version_of_the_extension_is_refused() -> None:
    with pytest.raises(
        ImportError, match=r"version 0\.2\.0.*version 0\.1\.9; rebuild it: `make build`"
    ):
        check_version(SimpleNamespace(__version__="0.1.9"), "0.2.0")


def test_mismatch_stops_the_import() -> None:
    code = (
        "import fourfold._version as v\n"
        "import sys; [sys.modules.pop(m) for m in list(sys.modules) if m.startswith('fourfold')]\n"
        "v.__version__ = '99.0.0'; sys.modules['fourfold._version'] = v\n"
        "try: import fourfold\n"
        "except ImportError as error: print(error)"
    )
    assert "rebuild it: `make build`" in python(code)


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    config = fourfold.show_config()
    printed = capsys.readouterr().out
    assert config["fourfold"]["version"] == fourfold.__version__
    assert config["isa"]["in_use"] in config["isa"]["supported"]
    assert set(config["isa"]["supported"]) <= set(config["isa"]["built"])
    assert config["threads"]["in_use"] == fourfold.get_num_threads()
    assert isinstance(config["cuda"]["built"], bool)
    assert config["packages"]["numpy"]
    for section in config:
        assert section in printed
    assert config["isa"]["in_use"] in printed


def test_show_config_does_not_import_torch() -> None:
    code = "import sys, fourfold; c = fourfold.show_config(); print('torch' in sys.modules)"
    assert python(code).endswith("False")


@pytest.mark.parametrize("kind", [errors.BlowUpError, errors.StepSizeError])
def test_errors_of_a_run_say_where(kind: type[errors.BlowUpError]) -> None:
    error = kind("psi is not finite", time=1.5, realisation=3, solution=[1, 2])
    assert isinstance(error, errors.FourfoldError)
    assert isinstance(error, ArithmeticError)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), again.time, again.realisation, again.solution) == (
        "psi is not finite",
        1.5,
        3,
        [1, 2],
    )


def test_missing_extra_names_the_pip_line() -> None:
    error = errors.MissingExtraError("io", "netCDF4", "Solution.save")
    assert isinstance(error, ImportError)
    assert 'pip install "fourfold[io]"' in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_damaged_file_is_an_os_error() -> None:
    assert issubclass(errors.DamagedFileError, OSError)
    assert issubclass(errors.DamagedFileError, errors.FourfoldError)


def test_constraints_hold_torch_for_every_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    prefix = "Programming Language :: Python :: 3."
    minors = [
        name.removeprefix(prefix) for name in project["classifiers"] if name.startswith(prefix)
    ]
    assert minors == ["11", "12", "13", "14"]
    for minor in minors:
        pins = (ROOT / "constraints" / f"py3.{minor}.txt").read_text().splitlines()
        assert "torch==2.13.0" in pins
