"""What ``fourfold pc info`` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fourfold import pc
from fourfold.cli.pc.models import load_model, naming
from fourfold.pc.reader import StreamLayout

__all__ = ["show"]


def show(console: Console, path: Path) -> None:
    """Print what a stream or a model holds."""
    with naming(path), path.open("rb") as file:
        # The suffix says what it should be, the contents what it is.
        is_model = path.suffix == ".ffpc"
        rows = _model_rows(load_model(path)) if is_model else _stream_rows(StreamLayout(file))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, str(value))
    console.print(table, markup=False)


def _model_rows(model: pc.Circuit) -> list[tuple[str, Any]]:
    return [
        ("kind", "circuit"),
        ("structure", repr(model.structure)),
        ("parameters", model.num_parameters),
        ("an observation", model.event_shape),
        ("metadata", ", ".join(model.metadata) or "none"),
        ("digest", model.digest.hex()),
    ]


def _stream_rows(layout: StreamLayout) -> list[tuple[str, Any]]:
    header = layout.header
    raw = layout.raw_bytes
    rows: list[tuple[str, Any]] = [("kind", "compressed stream")]
    if header.schema is not None:
        rows += [("table", f"{layout.items} rows of {len(header.schema.columns)} columns")]
        rows += [(f"  {c.name}", f"{c.kind}, {c.cardinality} codes") for c in header.schema.columns]
    else:
        shape = header.item_shape if header.single else (layout.items, *header.item_shape)
        rows += [("array", f"{header.dtype} of shape {shape}")]
    if header.front_end is not None:
        rows += [("front end", header.front_end)]
    rows += [
        ("blocks", f"{len(layout.words)} of {header.block_items} items"),
        ("stored raw", sum(bool(word & 1 << 28) for word in layout.words)),
        ("size", f"{layout.size} bytes, {layout.size / max(1, raw):.1%} of {raw} raw"),
        ("metadata", header.metadata if len(header.metadata) < 200 else "yes"),
        ("model", header.digest.hex()),
    ]
    return rows
