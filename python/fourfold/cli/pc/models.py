"""Models on disk, with what belongs to their data: a table's schema, an image's front end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fourfold import pc
from fourfold.cli.outcome import Problem, Refusal
from fourfold.errors import CorruptStreamError, DamagedFileError, ModelMismatchError

__all__ = ["front_end_of", "load_model", "naming", "schema_of", "with_notes"]


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have errors about a stream begin with its path; refuse one that cannot be read."""
    try:
        yield
    except (CorruptStreamError, ModelMismatchError) as error:
        raise type(error)(f"{path}: {error}") from None
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        if error.filename is None or Path(error.filename) != path:
            raise
        raise Refusal(
            [Problem(str(path), "cannot be read", error.strerror or str(error))]
        ) from None


def load_model(path: Path) -> pc.Circuit:
    """Read a model; what is none is a refusal."""
    try:
        return pc.load(path)
    except DamagedFileError as error:
        raise Refusal([Problem(str(path), "model", str(error))]) from None
    except OSError as error:
        raise Refusal([Problem(str(path), "model", error.strerror or str(error))]) from None


def with_notes(
    model: pc.Circuit, front_end: pc.FrontEnd | None, schema: pc.TableSchema | None
) -> pc.Circuit:
    """The model with front end and schema in its metadata, where they are saved."""
    notes: dict[str, Any] = dict(model.metadata)
    if front_end is not None:
        notes["front_end"] = front_end.to_bytes().hex()
    if schema is not None:
        notes["schema"] = schema.to_json()
    return pc.Circuit(
        model.structure,
        model.root,
        model.edges,
        model.leaves,
        event_shape=model.event_shape,
        metadata=notes,
    )


def front_end_of(model: pc.Circuit) -> pc.FrontEnd | None:
    """The front end that the model was trained behind."""
    noted = model.metadata.get("front_end")
    try:
        return None if noted is None else pc.FrontEnd.from_bytes(bytes.fromhex(noted))
    except (CorruptStreamError, ValueError, TypeError):
        raise Refusal([Problem("--model", "metadata", "a front end that cannot be read")]) from None


def schema_of(model: pc.Circuit) -> pc.TableSchema | None:
    """The schema of the tables that the model was trained on."""
    noted = model.metadata.get("schema")
    try:
        return None if noted is None else pc.TableSchema.from_json(noted)
    except CorruptStreamError:
        raise Refusal([Problem("--model", "metadata", "a schema that cannot be read")]) from None
