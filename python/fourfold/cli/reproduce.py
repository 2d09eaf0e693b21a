"""``fourfold reproduce``: run the experiments and write the report."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fourfold.cli.console import stderr, stdout
from fourfold.cli.outcome import FAILED, Problem, Refusal, exit_status, require

if TYPE_CHECKING:
    from fourfold.reproduce.record import Effort
    from fourfold.reproduce.runner import Report


def reproduce(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder of the report; an older one is replaced."),
    ] = Path("report"),
    quick: Annotated[
        bool, typer.Option("--quick", help="About a minute: smaller and fewer.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Longer: finer and more.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Folder with MNIST's .gz files, for what no package ships.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option("--family", help="Only this family; may be repeated."),
    ] = None,
) -> None:
    """Run every family against its truth and write a report: index.html and results.json.

    The exit status is 1 if anything failed or crashed; the report is written all the same.
    """
    with exit_status():
        wanted = ["data"] if family is None or "pc" in family else []
        require("fourfold reproduce", "io", "plot", *wanted)
        # Read by torch's OpenMP when it is loaded: threads that wait by spinning hold CPUs that others want, and on a
        # busy machine small networks learn many times slower.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        # The same for OpenBLAS, read when NumPy and SciPy are loaded: 2^4 clock ticks.
        os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

        from fourfold.cli.progress import progress_line
        from fourfold.cli.staging import staged
        from fourfold.reproduce.runner import FAMILIES, run
        from fourfold.reproduce.write import write

        _refuse(
            output,
            quick and full,
            [n for n in family or () if n not in FAMILIES],
            FAMILIES,
        )
        names = list(dict.fromkeys(family or FAMILIES))
        effort: Effort = "quick" if quick else "full" if full else "default"
        files: list[str] = []
        with staged(output, files) as temporary:
            with progress_line() as say:
                report = run(names, effort, temporary / "data", say, data)
            write(report, temporary)
            # The page last: it is complete when it is there.
            found = sorted(temporary.rglob("*"), key=lambda path: path.name == "index.html")
            files += [str(path.relative_to(temporary)) for path in found if path.is_file()]
        _print_outcome(report)
        stdout().print(f"report: {output / 'index.html'}", soft_wrap=True)
        if not report.passed:
            raise typer.Exit(FAILED)


def _refuse(output: Path, both: bool, unknown: list[str], known: Iterable[str]) -> None:
    problems = [
        Problem("--family", name, f"no such family; allowed: {', '.join(known)}")
        for name in unknown
    ]
    if both:
        problems.append(Problem("--quick", "--full", "exclude each other"))
    if output.exists() and not output.is_dir():
        problems.append(Problem("--output", str(output), "is a file; allowed: a folder"))
    if problems:
        raise Refusal(problems)


def _print_outcome(report: Report) -> None:
    passed, failed, crashed = report.count()
    for result in report.families:
        if result.crash is not None:
            stdout().print(f"[red]FAILED[/]  {result.name}: could not be loaded")
            stderr().print(result.crash, markup=False)
        for experiment in result.experiments:
            word = "[green]passed[/]" if experiment.passed else "[red]FAILED[/]"
            stdout().print(
                f"{word}  {result.name}: {experiment.title} ({experiment.seconds:.1f} s)",
                soft_wrap=True,
            )
            if experiment.section is None:
                stderr().print(experiment.crash, markup=False)
                continue
            for check in experiment.section.checks:
                if check.passed is False:
                    name = f"{check.group}: {check.name}" if check.group else check.name
                    line = f"{name}: {check.measured:.3g}, required {check.requirement}"
                    stdout().print(f"          {line}", markup=False, soft_wrap=True)
    stdout().print(f"{passed} checks passed, {failed} failed, {crashed} crashed")
