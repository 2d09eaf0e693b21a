"""How much of a run's way back on a GPU is recorded at once. Sizes are in bytes; see docs/internals/nlse.md."""

from __future__ import annotations

import math

__all__ = ["realisations_at_once", "segment_length"]

# What records and checkpoints may take where that is enough to fill a GPU.
_SCRATCH = 1 << 30

# The fields of one time that are.
_FIELDS_AT_ONCE = 1 << 24


def realisations_at_once(flows: int, count: int, field: int, record: int) -> int:
    """Of ``count``, in parts of about the same size; ``flows`` of the longest interval."""
    enough = min(count, max(1, _FIELDS_AT_ONCE // field))
    length = segment_length(flows, enough, field, record)
    most = min(count, max(enough, _SCRATCH // _needed(flows, length, field, record)))
    return math.ceil(count / math.ceil(count / most))


def segment_length(flows: int, count: int, field: int, record: int) -> int:
    """Flows of which ``count`` realisations leave records at once: all, or as many as cost least."""
    if count * _needed(flows, flows, field, record) <= _SCRATCH:
        return flows
    return min(flows, math.ceil(math.sqrt(flows * field / record)))


def _needed(flows: int, length: int, field: int, record: int) -> int:
    """Of a realisation: records of a segment, checkpoints, the end."""
    return (length + 1) * record + math.ceil(flows / length) * field
