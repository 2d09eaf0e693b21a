"""Every refusal: exit status 2, and a line with the file, the key and what is allowed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from .conftest import SMALL, Invoke

# What is put in place of a line of the small run file, and what the message has to hold.
BAD = [
    ("n = 128", "n = 127", "grid.n", "the next good n is 128"),
    ("n = 128", "n = 1", "grid.n", "a whole number from 2"),
    ("n = 128", "n = 128.0", "grid.n", "a whole number from 2"),
    ("n = 128", 'n = "128"', "grid.n", "a whole number from 2"),
    ("n = 128", "n = true", "grid.n", "a whole number from 2"),
    ("n = 128", "", "grid.n", "missing"),
    ("n = 128", "n = 128\npoints = 3", "grid.points", "unknown key; allowed: n, length"),
    ("length = 40.0", "length = -1.0", "grid.length", "a number above 0"),
    ("length = 40.0", "length = inf", "grid.length", "a number above 0"),
    ("length = 40.0", "length = nan", "grid.length", "a number above 0"),
    ("length = 40.0", "lenght = 40.0", "grid.lenght", "did you mean 'length'?"),
    ("end = 0.5", "end = 0.0", "time", "must be after start"),
    ("end = 0.5", 'end = "late"', "time.end", "a number"),
    ("saves = 6", "saves = 1", "time.saves", "a whole number from 2"),
    ('state = "soliton"', 'state = "solitn"', "initial.state", "did you mean 'soliton'?"),
    ('state = "soliton"', 'state = "solitn"', "initial.state", "kuznetsov_ma"),
    ('state = "soliton"', "", "initial.state", "missing; allowed: soliton"),
    ('state = "soliton"', "state = 3", "initial.state", "allowed: soliton"),
    ('state = "soliton"', 'state = "soliton"\namplitude = 0.0', "initial.amplitude", "above 0"),
    ('state = "soliton"', 'state = "soliton"\nwidth = 1.0', "initial.width", "allowed: state, am"),
    ('state = "soliton"', 'state = "akhmediev"\na = 0.5', "initial.a", "between 0 and 0.5"),
    ('state = "soliton"', 'state = "akhmediev"', "initial", "the nearest good length is"),
    (
        'state = "soliton"',
        'state = "two_soliton"\ncenters = [1.0]',
        "initial.centers",
        "two numbers",
    ),
    (
        'state = "soliton"',
        'state = "two_soliton"\namplitudes = [1.0, -1.0]',
        "initial.amplitudes.1",
        "two numbers above 0",
    ),
    (
        'state = "soliton"',
        'state = "published"\ncase = "breathr"',
        "initial.case",
        "did you mean 'breather'?",
    ),
    (
        'state = "soliton"',
        'state = "file"\npath = "no.npy"',
        "initial",
        "no.npy: No such file",
    ),
    ("[initial]", "[initail]\n[initial]", "initail", "did you mean 'initial'?"),
    ("[grid]", "[physics]\nnonlinearity = inf\n[grid]", "physics.nonlinearity", "a number"),
    (
        "[grid]",
        "[physics]\ndispersion = { 0 = 1.0 }\n[grid]",
        "physics.dispersion",
        "orders from 1 to 12",
    ),
    ("[grid]", "[physics]\ndispersion = {}\n[grid]", "physics.dispersion", "a table of order"),
    (
        "[grid]",
        '[physics]\ndispersion = { 2 = "x" }\n[grid]',
        "physics.dispersion.2",
        "a table of order = coefficient",
    ),
    (
        "[grid]",
        '[physics]\npotential = { kind = "box" }\n[grid]',
        "physics.potential.kind",
        "allowed: none, harmonic, lattice, gaussian",
    ),
    (
        "[grid]",
        '[physics]\npotential = { kind = "harmonic" }\n[grid]',
        "physics.potential.frequency",
        "missing; allowed: a number above 0",
    ),
    (
        "[grid]",
        '[physics]\npotential = { kind = "lattice", depth = 1.0, period = 7.0 }\n[grid]',
        "physics",
        "the nearest that does is 6.66",
    ),
    ("[grid]", '[solver]\nmethod = "strnag"\n[grid]', "solver.method", "did you mean 'strang'?"),
    ("[grid]", "[solver]\nmethod = 3\n[grid]", "solver.method", "allowed: default, strang"),
    ("[grid]", "[solver]\nstep = 0.0\n[grid]", "solver.step", "a number above 0"),
    ("[grid]", "[solver]\nstep = 0.1\nrtol = 1e-6\n[grid]", "solver", "step excludes rtol"),
    ("[grid]", '[solver]\nmethod = "etdrk4"\n[grid]', "solver", "step must be given"),
    ("[grid]", "[solver]\nrtol = 1e-17\natol = 0.0\n[grid]", "solver", "rtol must be at least"),
    ("[grid]", '[solver]\ndealias = "yes"\n[grid]', "solver.dealias", "two_thirds"),
    ("[grid]", '[solver]\nprecision = "half"\n[grid]', "solver.precision", "single"),
    ("[grid]", "[noise]\nrelative = -1.0\n[grid]", "noise.relative", "0 or above"),
    ("[grid]", "[noise]\nseed = -1\n[grid]", "noise.seed", "a whole number from 0"),
    ("[grid]", '[noise]\nkind = "pink"\n[grid]', "noise.kind", "white, photon, vacuum"),
    ("[grid]", '[noise]\nkind = "photon"\n[grid]', "noise", "needs quantum, the mass"),
    ("[grid]", "[noise]\nquantum = 1.0\n[grid]", "noise", "is for kind = 'photon' or 'vacuum'"),
    (
        "[grid]",
        '[noise]\nkind = "vacuum"\nrelative = 1.0\n[grid]',
        "noise",
        "relative is for kind = 'white'",
    ),
    ("[grid]", "[ensemble]\nsize = 0\n[grid]", "ensemble.size", "a whole number from 1"),
    ("[grid]", "[ensemble]\nsize = 4\n[grid]", "the whole file", "set noise.relative"),
    ("[grid]", '[ensemble]\nkeep = "statistics"\n[grid]', "ensemble", "size of at least 2"),
    ("[grid]", '[output]\nname = "../up"\n[grid]', "output.name", "letters, digits"),
    ("[grid]", '[output]\nfigures = "no"\n[grid]', "output.figures", "true or false"),
    ("saves = 6", "saves = 6\nsaves = 7", "not valid TOML", "line 9"),
    (
        "saves = 6",
        "saves = 1000000\n[ensemble]\nsize = 1000000\n[noise]\nrelative = 1.0",
        "size",
        "GB",
    ),
]


@pytest.mark.parametrize(("line", "instead", "key", "allowed"), BAD)
def test_a_bad_file_is_refused(
    fourfold: Invoke, folder: Path, line: str, instead: str, key: str, allowed: str
) -> None:
    assert line in SMALL
    (folder / "bad.toml").write_text(SMALL.replace(line, instead, 1))
    status, out, err = fourfold("nlse", "run", "bad.toml")
    assert status == 2
    assert out == ""
    (message,) = [text for text in err.splitlines() if key in text and allowed in text]
    assert message.startswith("bad.toml: ")
    assert [path.name for path in folder.iterdir()] == ["bad.toml"]


def test_all_problems_are_named_at_once_a_line_each(fourfold: Invoke, folder: Path) -> None:
    (folder / "bad.toml").write_text('[grid]\nn = 7\nlenth = 1.0\n[initial]\nstate = "x"\n')
    status, _, err = fourfold("nlse", "run", "bad.toml")
    assert status == 2
    found = [line.split(": ")[1] for line in err.splitlines()]
    assert sorted(found) == ["grid.length", "grid.lenth", "grid.n", "initial.state", "time"]


def test_set_is_blamed_for_what_it_set(fourfold: Invoke, small: Path) -> None:
    status, _, err = fourfold("nlse", "run", "small.toml", "--set", "grid.n=7")
    assert status == 2
    assert err.startswith("--set: grid.n: ")


@pytest.mark.parametrize("option", ["grid.n", "=3", "grid..n=3", ".n=1"])
def test_set_without_key_or_value(fourfold: Invoke, small: Path, option: str) -> None:
    status, _, err = fourfold("nlse", "run", "small.toml", "--set", option)
    assert status == 2
    assert f"--set: {option}: expected key=value" in err


def test_unknown_method_on_the_command_line(fourfold: Invoke, small: Path) -> None:
    status, _, err = fourfold("nlse", "run", "small.toml", "--method", "stramg")
    assert status == 2
    assert "--set: solver.method: got 'stramg' (did you mean 'strang'?)" in err


def test_unknown_case(fourfold: Invoke) -> None:
    status, _, err = fourfold("nlse", "run", "single_solitn")
    assert status == 2
    assert "did you mean 'single_soliton'?" in err
    assert "modulation_instability" in err


def test_no_such_file(fourfold: Invoke) -> None:
    status, _, err = fourfold("nlse", "run", "there/is/none.toml")
    assert status == 2
    assert "there/is/none.toml: cannot be read: No such file" in err


def test_a_file_that_is_no_text(fourfold: Invoke, folder: Path) -> None:
    (folder / "bad.toml").write_bytes(b"\xff\xfe\x00")
    status, _, err = fourfold("nlse", "run", "bad.toml")
    assert status == 2
    assert "bad.toml: cannot be read: not a UTF-8 text file" in err


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(127, complex), "shape (128,), got (127,)"),
        (np.zeros((2, 128), complex), "shape (128,), got (2, 128)"),
        (np.zeros(128, int), "floating-point"),
        (np.full(128, np.nan), "not finite"),
    ],
)
def test_initial_state_from_a_file_that_does_not_fit(
    fourfold: Invoke, folder: Path, array: np.ndarray, message: str
) -> None:
    np.save(folder / "psi.npy", array)
    text = SMALL.replace('state = "soliton"', 'state = "file"\npath = "psi.npy"')
    (folder / "bad.toml").write_text(text)
    status, _, err = fourfold("nlse", "run", "bad.toml")
    assert status == 2
    assert message in err


def test_initial_state_from_an_archive(fourfold: Invoke, folder: Path) -> None:
    np.savez(folder / "psi.npz", first=np.ones(128), second=np.ones(128))
    text = SMALL.replace('state = "soliton"', 'state = "file"\npath = "psi.npz"')
    (folder / "bad.toml").write_text(text)
    status, _, err = fourfold("nlse", "run", "bad.toml")
    assert status == 2
    assert "bad.toml: initial: " in err
    assert "holds the arrays first, second; set initial.array" in err
    # A bit of a number: the archive opens, its member does not.
    damaged = bytearray((folder / "psi.npz").read_bytes())
    damaged[damaged.index(np.ones(3).tobytes()) + 40] ^= 1
    (folder / "psi.npz").write_bytes(damaged)
    status, _, err = fourfold("nlse", "run", "bad.toml", "--set", "initial.array=first")
    assert status == 2
    assert "is not a readable NumPy file" in err


@pytest.mark.parametrize("content", [b"", b"no numbers", b"PK\x03\x04broken", b"\x93NUMPY\x01"])
def test_initial_state_from_a_damaged_file(fourfold: Invoke, folder: Path, content: bytes) -> None:
    (folder / "psi.npy").write_bytes(content)
    text = SMALL.replace('state = "soliton"', 'state = "file"\npath = "psi.npy"')
    (folder / "bad.toml").write_text(text)
    status, _, err = fourfold("nlse", "run", "bad.toml")
    assert status == 2
    assert "is not a readable NumPy file" in err


@pytest.mark.parametrize(
    ("package", "line"),
    [
        (["xarray"], 'needs xarray, which is not installed: pip install "fourfold[io]"'),
        (["matplotlib"], 'needs matplotlib, which is not installed: pip install "fourfold[plot]"'),
        (["netCDF4", "matplotlib"], 'pip install "fourfold[io,plot]"'),
    ],
)
@pytest.mark.parametrize("command", [["nlse", "run", "small.toml"], ["reproduce", "--quick"]])
def test_a_missing_extra_prints_the_pip_line(
    fourfold: Invoke,
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    package: list[str],
    line: str,
) -> None:
    monkeypatch.setattr(
        "fourfold.cli.outcome.find_spec", lambda name: None if name in package else find_spec(name)
    )
    status, out, err = fourfold(*command)
    assert status == 2
    assert out == ""
    assert line in err


def test_outputs_that_exist_are_not_replaced(fourfold: Invoke, small: Path, folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "small.nc").write_text("precious")
    status, _, err = fourfold("nlse", "run", "small.toml", "-o", "out")
    assert status == 2
    assert "out: output exists: small.nc" in err
    assert (folder / "out" / "small.nc").read_text() == "precious"


def test_the_output_folder_is_a_file(fourfold: Invoke, small: Path, folder: Path) -> None:
    (folder / "out").write_text("")
    status, _, err = fourfold("nlse", "run", "small.toml", "-o", "out", "--overwrite")
    assert status == 2
    assert "out: output folder" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--quick", "--full"], "--quick: --full: exclude each other"),
        (["--family", "gp2"], "--family: gp2: no such family; allowed: nlse"),
        (["-o", "small.toml"], "--output: small.toml: is a file"),
    ],
)
def test_reproduce_refuses(fourfold: Invoke, small: Path, options: list[str], message: str) -> None:
    status, _, err = fourfold("reproduce", *options)
    assert status == 2
    assert message in err
