"""What the commands of ``fourfold pc`` do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fourfold import pc
from fourfold.cli.console import stdout
from fourfold.cli.outcome import Problem, Refusal, require
from fourfold.cli.pc.models import front_end_of, load_model, naming, schema_of, with_notes
from fourfold.cli.pc.sources import Loaded, load
from fourfold.cli.pc.targets import refuse_target, replaced, write_back
from fourfold.cli.progress import progress_line

__all__ = ["compress", "decompress", "sample", "train"]

_BATCH_BYTES = 16 << 20


def train(
    data: Path,
    output: Path,
    latents: int,
    epochs: int,
    seed: int,
    patch: int,
    levels: int,
    max_values: int,
    smooth: bool,
    overwrite: bool,
) -> None:
    """Learn a model and save it."""
    refuse_target(output, overwrite)
    loaded = load(data)
    if smooth and loaded.is_table:
        raise Refusal([Problem("--smooth", str(data), "a table's values are not all ordered")])
    values, cardinality, front, schema = _observations(loaded, data, patch, levels, max_values)
    with progress_line() as say:

        def tell(epoch: pc.Epoch) -> None:
            line = f"epoch {epoch.epoch} of {epochs}: {epoch.bits_per_dim:.4f} bits per dimension"
            say(line, epoch.epoch / epochs)

        say("tree", 0.0)
        model = _refusing(
            str(data),
            lambda: pc.HCLT.fit(
                values,
                num_latents=latents,
                cardinality=cardinality,
                epochs=epochs,
                seed=seed,
                callback=tell,
            ),
        )
    if smooth:
        model = pc.smooth(model, len(values))
    with_notes(model, front, schema).save(output)
    stdout().print(f"{output}: {model!r}", markup=False, soft_wrap=True)


def _observations(
    loaded: Loaded, path: Path, patch: int, levels: int, max_values: int
) -> tuple[Any, Any, pc.FrontEnd | None, pc.TableSchema | None]:
    """What a model learns from, and what it needs to know of it later."""
    if loaded.is_table:
        if patch:
            raise Refusal([Problem("--patch", str(patch), "a table has no patches")])
        schema = _refusing(
            str(path), lambda: pc.TableSchema.fit(loaded.data, max_values=max_values)
        )
        return schema.codes(loaded.data), schema.cardinality, None, schema
    if not patch:
        return np.asarray(loaded.data), None, None, None
    shape = loaded.data.shape[1:]
    channels = shape[2] if len(shape) == 3 else None
    front = _refusing(
        "--patch",
        lambda: pc.FrontEnd(
            (patch, patch), "ycocg_r" if channels == 3 else "none", levels, "interpolation"
        ),
    )
    codes = _refusing(str(path), lambda: front.forward(loaded.data))
    return codes, front.cardinality(channels).reshape(-1), front, None


def compress(data: Path, model_path: Path, output: Path, block_items: int, overwrite: bool) -> None:
    """Write a stream."""
    refuse_target(output, overwrite)
    model = load_model(model_path)
    loaded = load(data)
    schema = schema_of(model)
    if loaded.is_table != (schema is not None):
        learnt = "arrays" if schema is None else "tables"
        raise Refusal([Problem(str(data), "data", f"the model was trained on {learnt}")])
    size = 0
    with progress_line() as say, replaced(output) as temporary:
        stream = pc.encode_stream(
            model,
            _batches(loaded, say),
            block_items=block_items or None,
            front_end=front_end_of(model),
            schema=schema,
            metadata=loaded.notes,
        )
        with temporary.open("wb") as file:
            for piece in _pieces(str(data), stream):
                size += file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    raw = _raw_bytes(loaded)
    text = f"{output}: {size} bytes, {size / max(1, raw):.1%} of {raw} bytes raw"
    stdout().print(text, markup=False, soft_wrap=True)


def _batches(loaded: Loaded, say: Callable[[str, float], None]) -> Iterator[Any]:
    total = len(loaded)
    count = max(1, _BATCH_BYTES * total // max(1, _raw_bytes(loaded)))
    # One batch, though empty, says dtype and shape.
    for at in range(0, max(1, total), count):
        say(f"{at} of {total}", at / max(1, total))
        yield _part(loaded.data, at, at + count)
    say(f"{total} of {total}", 1.0)


def _pieces(where: str, stream: Iterator[bytes]) -> Iterator[bytes]:
    while (piece := _refusing(where, lambda: next(stream, None))) is not None:
        yield piece


def _part(data: Any, start: int, stop: int) -> Any:
    if isinstance(data, dict):
        return {name: column[start:stop] for name, column in data.items()}
    return np.asarray(data[start:stop])


def _raw_bytes(loaded: Loaded) -> int:
    """Of a table: its text as UTF-8, its numbers as they are."""
    if not loaded.is_table:
        return int(loaded.data.nbytes)
    return sum(
        sum(len(str(value).encode("utf-8", "surrogatepass")) for value in column if value)
        if column.dtype.kind == "O"
        else column.nbytes
        for column in loaded.data.values()
    )


def decompress(stream: Path, model_path: Path, output: Path, overwrite: bool) -> None:
    """Write what a stream holds."""
    refuse_target(output, overwrite)
    model = load_model(model_path)
    with (
        naming(stream),
        pc.CompressedReader(stream, model) as reader,
        progress_line() as say,
    ):
        write_back(reader, output, overwrite, say)
        shape, what = reader.shape, "table" if reader.schema is not None else str(reader.dtype)
    stdout().print(f"{output}: {what} of shape {shape}", markup=False, soft_wrap=True)


def sample(model_path: Path, output: Path, count: int, seed: int, overwrite: bool) -> None:
    """Write draws from a model, by way of a stream: what can be compressed can be written."""
    refuse_target(output, overwrite)
    model = load_model(model_path)
    draws = model.sample(count, generator=np.random.default_rng(seed))
    schema, front = schema_of(model), front_end_of(model)
    if schema is not None:
        if output.suffix not in (".csv", ".parquet"):
            raise Refusal([Problem(str(output), "output", "a table; allowed: .csv or .parquet")])
        codes = draws.astype(np.int32)
        # The escape stands for values that the schema does not know: drawn, it is a missing one.
        escapes = np.array([-2 if c.escape is None else c.escape for c in schema.columns])
        codes[codes == escapes] = -1
        data: Any = schema.decode(codes, [])
    elif front is not None:
        channels = model.event_shape[2:]
        data = front.inverse(draws, (*front.patch, *channels))
    else:
        data = draws
    blob = pc.compress(model, data, schema=schema, front_end=front)
    require("fourfold pc sample", *(["table"] if schema is not None else []))
    with pc.CompressedReader(blob, model) as reader:
        write_back(reader, output, overwrite, lambda line, share: None)
    stdout().print(f"{output}: {count} draws", markup=False, soft_wrap=True)


def _refusing(where: str, action: Any) -> Any:
    """Call ``action``; the errors by which the library refuses arguments become refusals."""
    try:
        return action()
    except (TypeError, ValueError) as error:
        raise Refusal([Problem(where, "data", str(error))]) from error
