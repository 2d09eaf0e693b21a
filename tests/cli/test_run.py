"""Runs end to end: what is written is read back and compared with closed forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fourfold import nlse
from fourfold.errors import BlowUpError

from .conftest import SMALL, Invoke

OUTPUTS = [
    "small.nc",
    "small_conservation.png",
    "small_map.png",
    "small_run.toml",
    "small_snapshots.png",
    "small_spectrum.png",
    "summary.json",
]


PLAIN = ("--set", "output.figures=false")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_writes_data_figures_and_summary(fourfold: Invoke, small: Path) -> None:
    status, out, _ = fourfold("nlse", "run", "small.toml")
    assert status == 0
    folder = small.parent / "small"
    assert names(folder) == OUTPUTS
    solution = nlse.load(folder / "small.nc")
    exact = nlse.soliton(solution.grid, t=solution.t)
    assert solution.psi.shape == (6, 128)
    error = np.max(np.abs(solution.psi - exact))
    assert error < 1e-6
    for name in OUTPUTS:
        if name.endswith(".png"):
            assert (folder / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "complete"
    assert summary["error_against_closed_form"] == pytest.approx(error, rel=1e-6)
    assert summary["largest_change"]["mass"] < 1e-12
    assert summary["files"] == [name for name in summary["files"] if (folder / name).exists()]
    assert "max |psi - exact|" in out


def test_the_written_run_file_gives_the_same_run(fourfold: Invoke, small: Path) -> None:
    folder = small.parent
    assert fourfold("nlse", "run", "small.toml", "--set", "initial.velocity=0.5", *PLAIN)[0] == 0
    assert fourfold("nlse", "run", "small/small_run.toml", "-o", "again", *PLAIN)[0] == 0
    first, second = (nlse.load(folder / name / "small.nc") for name in ("small", "again"))
    np.testing.assert_array_equal(first.psi, second.psi)


def test_method_and_set_reach_the_solver(fourfold: Invoke, small: Path) -> None:
    options = ["--method", "strang", "--set", "solver.step=0.01", *PLAIN]
    assert fourfold("nlse", "run", "small.toml", "-o", "out", *options)[0] == 0
    assert names(small.parent / "out") == ["small.nc", "small_run.toml", "summary.json"]
    stats = nlse.load(small.parent / "out" / "small.nc").stats
    assert (stats.method, stats.steps, stats.adaptive) == ("strang", 50, False)


def test_overwrite_replaces_an_earlier_run(fourfold: Invoke, small: Path) -> None:
    assert fourfold("nlse", "run", "small.toml")[0] == 0
    assert fourfold("nlse", "run", "small.toml")[0] == 2
    assert fourfold("nlse", "run", "small.toml", "--overwrite", "--set", "time.saves=3")[0] == 0
    assert len(nlse.load(small.parent / "small" / "small.nc").t) == 3
    assert names(small.parent / "small") == OUTPUTS
    # Figures of the earlier run would belie the new data.
    assert fourfold("nlse", "run", "small.toml", "--overwrite", *PLAIN)[0] == 0
    assert names(small.parent / "small") == [name for name in OUTPUTS if ".png" not in name]


def test_an_ensemble_keeps_statistics(fourfold: Invoke, folder: Path) -> None:
    text = SMALL + '[noise]\nrelative = 0.1\nseed = 3\n[ensemble]\nsize = 5\nkeep = "statistics"\n'
    (folder / "many.toml").write_text(text)
    status, _, _ = fourfold("nlse", "run", "many.toml", *PLAIN)
    assert status == 0
    solution = nlse.load(folder / "many" / "many.nc")
    assert not solution.has_fields
    assert solution.statistics is not None
    assert solution.statistics.count == 5
    psi0 = np.tile(nlse.soliton(solution.grid), (5, 1))
    psi0 = nlse.add_noise(psi0, relative=0.1, rng=3)
    np.testing.assert_allclose(solution.statistics.mean_field[0], psi0.mean(axis=0), atol=1e-14)


def energies_of_modes(psi: Any, grid: nlse.Grid) -> Any:
    """The mass in each mode, (realisations, n)."""
    return grid.length * np.abs(np.fft.fft(psi) / grid.n) ** 2


@pytest.mark.parametrize("kind", ["photon", "vacuum"])
def test_noise_of_quanta(fourfold: Invoke, folder: Path, kind: str) -> None:
    text = SMALL + f'[noise]\nkind = "{kind}"\nquantum = 1e-3\nseed = 4\n[ensemble]\nsize = 400\n'
    (folder / "seeded.toml").write_text(text)
    assert fourfold("nlse", "run", "seeded.toml", *PLAIN)[0] == 0
    solution = nlse.load(folder / "seeded" / "seeded.nc")
    noise = energies_of_modes(solution.psi[0] - nlse.soliton(solution.grid), solution.grid)
    if kind == "photon":  # one, in each
        np.testing.assert_allclose(noise, 1e-3, rtol=1e-9)
    else:  # half a one, exponentially distributed: the mean of 400 is within five of its sigmas
        np.testing.assert_allclose(noise.mean(axis=0), 0.5e-3, rtol=5 / np.sqrt(400))
        assert noise.std() == pytest.approx(0.5e-3, rel=0.02)
    summary = json.loads((folder / "seeded" / "summary.json").read_text())
    assert summary["error_against_closed_form"] is None
    # What is written runs again, and gives the same.
    again = ["run", "seeded/seeded_run.toml", "-o", "again", *PLAIN]
    assert fourfold("nlse", *again)[0] == 0
    repeated = nlse.load(folder / "again" / "seeded.nc")
    np.testing.assert_array_equal(repeated.psi, solution.psi)


def test_single_precision_potential_loss_and_dispersion(fourfold: Invoke, folder: Path) -> None:
    text = SMALL.replace('"soliton"', '"plane_wave"') + (
        '[solver]\nprecision = "single"\n'
        "[physics]\nloss = 0.5\ndispersion = { 2 = 0.5, 3 = 0.1 }\n"
        'potential = { kind = "lattice", depth = 0.0, period = 4.0 }\n'
    )
    (folder / "lossy.toml").write_text(text)
    assert fourfold("nlse", "run", "lossy.toml", *PLAIN)[0] == 0
    solution = nlse.load(folder / "lossy" / "lossy.nc")
    assert solution.psi.dtype == np.complex64
    # A homogeneous field under loss: |psi| = exp(-loss t), phase int |psi|^2.
    t = solution.t[:, None]
    exact = np.exp(-0.5 * t + 1j * (1 - np.exp(-t))) * np.ones(128)
    np.testing.assert_allclose(solution.psi, exact, atol=2e-4)


@pytest.mark.parametrize(
    ("potential", "truth"),
    [
        ('{ kind = "harmonic", frequency = 0.2, center = 1.0 }', lambda x: 0.02 * (x - 1) ** 2),
        (
            '{ kind = "lattice", depth = 2.0, period = 4.0 }',
            lambda x: 1 - np.cos(2 * np.pi * x / 4),
        ),
        (
            '{ kind = "gaussian", height = -1.0, width = 2.0 }',
            lambda x: -np.exp(-(x**2) / 8),
        ),
    ],
)
def test_potentials(fourfold: Invoke, folder: Path, potential: str, truth) -> None:  # type: ignore[no-untyped-def]
    (folder / "v.toml").write_text(SMALL + f"[physics]\npotential = {potential}\n")
    assert fourfold("nlse", "run", "v.toml", *PLAIN)[0] == 0
    solution = nlse.load(folder / "v" / "v.nc")
    assert solution.problem.potential is not None
    np.testing.assert_allclose(solution.problem.potential, truth(solution.x), atol=1e-13)
    summary = json.loads((folder / "v" / "summary.json").read_text())
    assert summary["error_against_closed_form"] is None


def test_initial_state_from_files(fourfold: Invoke, folder: Path) -> None:
    grid = nlse.Grid(n=128, length=40.0)
    psi0 = np.stack([nlse.soliton(grid), nlse.soliton(grid, velocity=1.0)])
    (folder / "deep").mkdir()
    np.savez(folder / "deep" / "psi.npz", start=psi0, other=psi0[0])
    text = SMALL.replace('state = "soliton"', 'state = "file"\npath = "psi.npz"\narray = "start"')
    (folder / "deep" / "pair.toml").write_text(text + "[ensemble]\nsize = 2\n")
    assert fourfold("nlse", "run", "deep/pair.toml", "-o", "out", *PLAIN)[0] == 0
    np.testing.assert_array_equal(nlse.load(folder / "out" / "pair.nc").psi[0], psi0)
    # The file that was written names the array by its full path.
    assert fourfold("nlse", "run", "out/pair_run.toml", "-o", "again", *PLAIN)[0] == 0


def test_a_method_that_loses_its_order_is_reported(fourfold: Invoke, small: Path) -> None:
    status, out, _ = fourfold(
        "nlse", "run", "small.toml", "--method", "rkn6_14a", "--set", "physics.loss=0.1", *PLAIN
    )
    assert status == 0
    assert "order 4" in out
    summary = json.loads((small.parent / "small" / "summary.json").read_text())
    assert "order 4 instead of 6" in summary["warnings"][0]


def test_a_blow_up_keeps_what_was_reached(fourfold: Invoke, folder: Path) -> None:
    text = SMALL.replace("end = 0.5", "end = 500.0") + (
        "[physics]\nloss = -2.0\nnonlinearity = 0.0\n[solver]\nstep = 0.5\n"
    )
    (folder / "gain.toml").write_text(text)
    status, _, err = fourfold("nlse", "run", "gain.toml", *PLAIN)
    assert status == 1
    assert "BlowUpError" in err
    solution = nlse.load(folder / "gain" / "gain.nc")
    assert 1 <= len(solution.t) < 6
    assert np.isfinite(solution.psi).all()
    summary = json.loads((folder / "gain" / "summary.json").read_text())
    assert summary["status"].startswith("broke off: ")


def test_ctrl_c_leaves_nothing_and_says_130(
    fourfold: Invoke, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(nlse, "solve", stop)
    status, _, err = fourfold("nlse", "run", "small.toml")
    assert status == 130
    assert "stopped" in err
    assert names(small.parent) == ["small.toml"]


def test_ctrl_c_while_writing_leaves_the_earlier_run(
    fourfold: Invoke, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fourfold("nlse", "run", "small.toml")[0] == 0
    folder = small.parent / "small"
    before = {name: (folder / name).read_bytes() for name in names(folder)}

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fourfold.nlse.plot.spectrum", stop)
    assert fourfold("nlse", "run", "small.toml", "--overwrite")[0] == 130
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before


def test_a_disk_that_fails_is_no_refusal(
    fourfold: Invoke, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nlse.Solution, "save", full)
    status, _, err = fourfold("nlse", "run", "small.toml")
    assert status == 1
    assert "No space left on device" in err
    assert names(small.parent) == ["small.toml"]


def test_the_error_carries_the_solution_the_command_relies_on() -> None:
    assert BlowUpError("", time=0.0).solution is None
