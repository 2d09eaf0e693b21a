"""The command tree of ``fourfold``: general commands here, one sub-application a family."""

from __future__ import annotations

from typing import Annotated

import typer

from fourfold.cli.nlse.commands import app as nlse_app
from fourfold.cli.pc.commands import app as pc_app
from fourfold.cli.reproduce import reproduce

app = typer.Typer(
    name="fourfold",
    help="Structured computation as fast, exact kernels.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)
app.add_typer(nlse_app, name="nlse")
app.add_typer(pc_app, name="pc")
app.command("reproduce")(reproduce)


def _print_version(wanted: bool) -> None:
    if wanted:
        import fourfold

        typer.echo(f"fourfold {fourfold.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Structured computation as fast, exact kernels."""


@app.command()
def config() -> None:
    """Print the version, the instruction sets built and in use, threads and library versions."""
    import fourfold

    fourfold.show_config()
