"""Computing a checked run and writing what came out."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import fourfold
from fourfold import nlse
from fourfold.cli.nlse import build
from fourfold.cli.nlse.schema import RunConfig
from fourfold.cli.nlse.states import FromFile
from fourfold.cli.nlse.toml_text import toml_text
from fourfold.cli.outcome import Problem, Refusal
from fourfold.cli.runfile import RunFile
from fourfold.cli.staging import staged
from fourfold.errors import BlowUpError, OrderWarning, ResumeWarning, StepSizeError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fourfold.cli.nlse.running import Running

FIGURES = ("map", "snapshots", "spectrum", "conservation")


def output_names(config: RunConfig, name: str) -> list[str]:
    """Return the names of all files that the run writes, in the order in which they appear."""
    figures = _figure_names(name) if config.output.figures else []
    return [f"{name}.nc", *figures, _run_file(name), "summary.json"]


def _run_file(name: str) -> str:
    # Not NAME.toml, which may be the very file that was run.
    return f"{name}_run.toml"


def _figure_names(name: str) -> list[str]:
    return [f"{name}_{figure}.png" for figure in FIGURES]


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes
    ----------
    solution : Solution
        The states saved.
    failure : BlowUpError, StepSizeError or None
        Why it broke off, where it did.
    warnings : list of str
        What `solve` warned of.
    """

    solution: nlse.Solution
    failure: Exception | None
    warnings: list[str]


def compute(config: RunConfig, run: RunFile, running: Running | None = None) -> Outcome:
    """Solve the run; or go on with it, where it is saved as it goes on and was before.

    Raises
    ------
    Refusal
        If the run does not fit together or does not fit into memory; nothing is computed then.
    BlowUpError, StepSizeError
        If it broke off before anything was saved.
    """
    _refuse_too_large(config, run)
    if running is not None and running.begun:
        running.refuse_another()
        return _outcome(lambda: nlse.resume(running.path, progress=True))
    problem = _refusing(run, "physics", lambda: build.problem(config))
    psi0 = _refusing(run, "initial", lambda: build.initial_fields(config, problem.grid, run.folder))
    save = None if running is None else running.begin()
    return _outcome(lambda: _refusing(run, "solver", lambda: _solve(config, problem, psi0, save)))


def _outcome(solve: Callable[[], nlse.Solution]) -> Outcome:
    failure = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OrderWarning)
        warnings.simplefilter("always", ResumeWarning)
        try:
            solution = solve()
        except (BlowUpError, StepSizeError) as error:
            if error.solution is None:
                raise
            solution, failure = error.solution, error
    return Outcome(solution, failure, [str(warning.message) for warning in caught])


def _solve(
    config: RunConfig, problem: nlse.Problem, psi0: build.Fields, save: Path | None
) -> nlse.Solution:
    table = config.solver
    return nlse.solve(
        problem,
        psi0,
        build.times(config),
        method=None if table.method == "default" else table.method,
        step=table.step,
        rtol=table.rtol,
        atol=table.atol,
        dealias=None if table.dealias == "none" else table.dealias,
        store=config.ensemble.keep,
        save=save,
        progress=True,
    )


def write(
    config: RunConfig, run: RunFile, name: str, folder: Path, outcome: Outcome
) -> dict[str, Any]:
    """Write netCDF, figures, the run as TOML and the summary; return the summary.

    The figures and the summary are made from the netCDF file read back.
    """
    names = output_names(config, name)
    stale = [figure for figure in _figure_names(name) if figure not in names]
    # A field about to blow up may be finite and its energy not; the summary then has no figure for it.
    overflow_is_fine = np.errstate(over="ignore", invalid="ignore")
    with staged(folder, names, stale=stale) as temporary, overflow_is_fine:
        data = temporary / f"{name}.nc"
        outcome.solution.save(data)
        solution = nlse.load(data)
        if config.output.figures:
            for figure, draw in _figures(solution):
                _save_figure(draw(solution), temporary / f"{name}_{figure}.png")
        text = toml_text(all_keys(config, run, name))
        (temporary / _run_file(name)).write_text(text, encoding="utf-8")
        summary = summarise(config, name, solution)
        if outcome.failure is not None:
            summary["status"] = f"broke off: {outcome.failure}"
        summary["warnings"] = outcome.warnings
        summary["files"] = names
        text = json.dumps(summary, indent=2, allow_nan=False) + "\n"
        (temporary / "summary.json").write_text(text, encoding="utf-8")
    return summary


def all_keys(config: RunConfig, run: RunFile, name: str) -> dict[str, Any]:
    """Return the run as a file that gives the same run, under the same name, from any folder."""
    keys = config.model_dump()
    keys["output"]["name"] = name
    if isinstance(config.initial, FromFile):
        keys["initial"]["path"] = str((run.folder / config.initial.path).resolve())
    return keys


def summarise(config: RunConfig, name: str, solution: nlse.Solution) -> dict[str, Any]:
    """Return what is worth knowing of a run as plain numbers and text."""
    return {
        "fourfold": fourfold.__version__,
        "name": name,
        "title": config.title,
        "status": "complete",
        "time": {"start": float(solution.t[0]), "end": float(solution.t[-1])},
        "points": solution.grid.n,
        "realisations": config.ensemble.size,
        "largest_change": {
            # Of the whole run, relative to the start (momentum: to the mass, as it may start at 0).
            "mass": _change(solution.mass, solution.mass[0]),
            "momentum": _change(solution.momentum, solution.mass[0]),
            "energy": _change(solution.energy, solution.energy[0]),
        },
        "error_against_closed_form": _error(config, solution),
        "solver": asdict(solution.stats),
        "configuration": config.model_dump(),
    }


def _change(values: Any, scale: Any) -> float | None:
    scale = np.abs(scale)
    if not np.all(scale > 0):
        return None
    change = float(np.max(np.abs(values - values[0]) / scale))
    return change if np.isfinite(change) else None


def _error(config: RunConfig, solution: nlse.Solution) -> float | None:
    exact = build.closed_form(config)
    if exact is None or not solution.has_fields:
        return None
    return max(
        float(np.max(np.abs(psi - exact(solution.grid, t))))
        for t, psi in zip(solution.t, solution.fields_as_numpy(), strict=True)
    )


def _figures(
    solution: nlse.Solution,
) -> list[tuple[str, Callable[[nlse.Solution], Figure]]]:
    from fourfold.nlse import plot

    drawers = (plot.space_time, plot.snapshots, plot.spectrum, plot.conservation)
    return list(zip(FIGURES, drawers, strict=True))


def _save_figure(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=150, bbox_inches="tight")


def _refusing(run: RunFile, key: str, action: Callable[[], Any]) -> Any:
    """Call ``action``; the errors by which the library refuses arguments become refusals."""
    try:
        return action()
    except ValueError as error:
        raise Refusal([Problem(run.source_of(key), key, str(error))]) from error
    except OSError as error:
        raise Refusal([Problem(run.name, key, f"{error.filename}: {error.strerror}")]) from None


def _refuse_too_large(config: RunConfig, run: RunFile) -> None:
    itemsize = 8 if config.solver.precision == "single" else 16
    field = config.ensemble.size * config.grid.n * itemsize
    kept = config.time.saves if config.ensemble.keep == "fields" else 1
    needed = field * (kept + 2)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        message = (
            f"{kept} saved times of {config.ensemble.size} x {config.grid.n} points need "
            f"{needed / 1e9:.1f} GB, this machine has {memory / 1e9:.1f} GB; take fewer "
            "time.saves, or ensemble.keep = 'statistics'"
        )
        raise Refusal([Problem(run.name, "(size)", message)])
