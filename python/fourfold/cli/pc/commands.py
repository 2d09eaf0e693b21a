"""``fourfold pc``: train, compress, decompress, info, sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fourfold.cli.console import stdout
from fourfold.cli.outcome import exit_status

app = typer.Typer(
    help="Probabilistic circuits: learning and lossless compression.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_DATA = "DATA"
_DATA_HELP = ".npy, .npz with one array, IDX (also .gz), .csv, .parquet, or a folder of PNGs."
Data = Annotated[Path, typer.Argument(metavar=_DATA, help=_DATA_HELP, show_default=False)]
Model = Annotated[Path, typer.Option("--model", "-m", help="A model that `pc train` wrote.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")]


@app.command()
def train(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="The model, MODEL.ffpc.")],
    latents: Annotated[int, typer.Option(help="States of each latent variable.", min=1)] = 16,
    epochs: Annotated[int, typer.Option(help="Passes over the data.", min=1)] = 20,
    seed: Annotated[int, typer.Option(help="Of all that is random.", min=0)] = 0,
    patch: Annotated[
        int, typer.Option(help="Cut images into patches of so many pixels a side.", min=0)
    ] = 0,
    levels: Annotated[
        int, typer.Option(help="How often to halve the resolution, with --patch.", min=0)
    ] = 2,
    max_values: Annotated[
        int, typer.Option(help="Most values of a table's column; the rarest are escaped.", min=1)
    ] = 4096,
    smooth: Annotated[
        bool, typer.Option("--smooth", help="Values are ordered: smooth what was learnt of them.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Learn a hidden Chow-Liu tree from data.

    [dim]fourfold pc train train-images-idx3-ubyte.gz -o digits.ffpc --latents 32[/]
    """
    with exit_status():
        from fourfold.cli.pc import execute

        execute.train(
            data, output, latents, epochs, seed, patch, levels, max_values, smooth, overwrite
        )


@app.command()
def compress(
    data: Data,
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="The stream, OUT.ffz.")],
    block_items: Annotated[
        int, typer.Option(help="Items a block; 0: what fits 128 KiB.", min=0)
    ] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Compress data without loss."""
    with exit_status():
        from fourfold.cli.pc import execute

        execute.compress(data, model, output, block_items, overwrite)


@app.command()
def decompress(
    stream: Annotated[Path, typer.Argument(metavar="STREAM.ffz", show_default=False)],
    model: Model,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help=".npy or .npz, a folder for PNGs; .csv or .parquet if it is a table.",
        ),
    ],
    overwrite: Overwrite = False,
) -> None:
    """Give back what was compressed.

    Arrays come back byte for byte, images and tables value for value.
    """
    with exit_status():
        from fourfold.cli.pc import execute

        execute.decompress(stream, model, output, overwrite)


@app.command()
def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .ffz stream or a .ffpc model.")],
) -> None:
    """Say what a stream or a model holds."""
    with exit_status():
        from fourfold.cli.pc.show import show

        show(stdout(), file)


@app.command()
def sample(
    model: Model,
    output: Annotated[
        Path, typer.Option("--output", "-o", help=".npy; a folder of PNGs; .csv, .parquet.")
    ],
    count: Annotated[int, typer.Option("--count", "-n", help="How many.", min=1)] = 16,
    seed: Annotated[int, typer.Option(help="Of the generator.", min=0)] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Draw from a model."""
    with exit_status():
        from fourfold.cli.pc import execute

        execute.sample(model, output, count, seed, overwrite)
