"""``fourfold nlse``: cases, template, run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fourfold.cli.console import stdout
from fourfold.cli.outcome import exit_status, require

app = typer.Typer(
    help="Waves under the nonlinear Schrodinger equation.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command()
def cases() -> None:
    """List the cases that `fourfold nlse run` knows by name."""
    from rich.table import Table

    from fourfold.cli.nlse import source

    console = stdout()
    for heading, names in (
        ("published, simple-idealized-1d-nlse (arXiv 2509.05901)", source.PUBLISHED),
        ("in closed form", source.EXACT),
    ):
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold", min_width=23)
        table.add_column(min_width=26)
        table.add_column()
        for name in names:
            keys = source.load_run(name, ()).keys
            grid, time = keys["grid"], keys["time"]
            start = time.get("start", 0.0)
            size = f"n={grid['n']} L={grid['length']:.4g} t={start:.3g}..{time['end']:.3g}"
            table.add_row(name, size, keys["title"])
        console.print(heading, style="dim")
        console.print(table)


@app.command()
def template(
    case: Annotated[str, typer.Argument(help="A case, or none for all keys with comments.")] = "",
) -> None:
    """Print a run file to start from.

    [dim]fourfold nlse template > my_run.toml; fourfold nlse run my_run.toml[/]
    """
    from fourfold.cli.nlse import source

    with exit_status():
        typer.echo(source.case_text(case or source.TEMPLATE), nl=False)


@app.command()
def run(
    case_or_file: Annotated[
        str,
        typer.Argument(
            metavar="CASE_OR_FILE.toml",
            help="A case of `fourfold nlse cases`, or a run file.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write to.", show_default="its name, here"),
    ] = None,
    method: Annotated[str | None, typer.Option(help="Short for --set solver.method=...")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key, as in grid.n=1024."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the outputs of an earlier run.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Save the states as it runs; go on where an earlier --resume stopped."
        ),
    ] = False,
) -> None:
    """Run a case or a file, and write netCDF, figures and a summary."""
    from fourfold.cli.nlse import source

    with exit_status():
        options = list(settings or ())
        if method is not None:
            options.append(f'solver.method="{method}"')
        loaded = source.load_run(case_or_file, options)

        from fourfold.cli.nlse import execute
        from fourfold.cli.nlse.running import Running
        from fourfold.cli.nlse.schema import RunConfig
        from fourfold.cli.nlse.show import show_summary
        from fourfold.cli.staging import refuse_existing
        from fourfold.cli.validation import validate

        config = validate(RunConfig, loaded)
        require("fourfold nlse run", "io", *(["plot"] if config.output.figures else []))
        name = config.output.name or source.default_name(case_or_file)
        folder = output if output is not None else Path(name)
        refuse_existing(folder, execute.output_names(config, name), overwrite=overwrite)
        running = Running(config, loaded, name, folder) if resume else None

        outcome = execute.compute(config, loaded, running)
        summary = execute.write(config, loaded, name, folder, outcome)
        if running is not None:
            running.remove()
        show_summary(stdout(), summary, folder)
        if outcome.failure is not None:
            raise outcome.failure
