"""Circuits in files: ``.ffpc``, plain arrays under a checksum.

All numbers are little-endian.

=========================  ====================================================================
bytes                      content
=========================  ====================================================================
8                          the magic ``89 46 46 50 43 0D 0A 1A`` (``)
4                          uint32, version of the format: 1
4, 4, 4, 4                 uint32: V latent nodes, D variables, E axes of an observation, L bytes
                           of metadata
4 E                        uint32, the shape of an observation
4 V, 4 V                   int32, parent and number of states of each latent node
4 D, 4 D                   int32, latent node and cardinality of each variable
4 per entry                float32, the tables: root, edges 1 to V - 1, leaves 0 to D - 1, each
                           row-major, without gaps
L                          metadata, a JSON object in UTF-8
32                         BLAKE2b of all before it, 32 bytes long
=========================  ====================================================================
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from fourfold.errors import DamagedFileError
from fourfold.pc._sealed import unsealed, write_sealed
from fourfold.pc.circuit import Circuit, table_shapes
from fourfold.pc.structure import Structure

__all__ = ["load", "save"]

_MAGIC = b"\x89FFPC\r\n\x1a"
_VERSION = 1
_HEADER = struct.Struct("<8s5I")


def save(circuit: Circuit, path: str | os.PathLike[str]) -> None:
    """Write a circuit to a file, see `Circuit.save`."""
    structure = circuit.structure
    metadata = json.dumps(circuit.metadata, ensure_ascii=False, sort_keys=True).encode()
    sizes = (
        structure.num_nodes,
        structure.num_variables,
        len(circuit.event_shape),
        len(metadata),
    )
    parts: list[Any] = [
        _HEADER.pack(_MAGIC, _VERSION, *sizes),
        np.array(circuit.event_shape, dtype="<u4"),
    ]
    parts += [
        array.astype("<i4")
        for array in (
            structure.parent,
            structure.states,
            structure.leaf_node,
            structure.cardinality,
        )
    ]
    parts += [table.astype("<f4") for table in circuit.tables]
    parts.append(metadata)
    write_sealed(path, (part if isinstance(part, bytes) else part.tobytes() for part in parts))


def load(path: str | os.PathLike[str]) -> Circuit:
    """Read a circuit that `Circuit.save` wrote.

    Returns
    -------
    Circuit
        Equal to the one that was saved, bit for bit.

    Raises
    ------
    DamagedFileError
        If the file is no such file, is cut off, was changed, or has a version that is not known.
    OSError
        If it cannot be read.
    """
    content = Path(path).read_bytes()
    if not content.startswith(_MAGIC):
        raise DamagedFileError(f"{path}: not a circuit file: it does not begin with {_MAGIC!r}")
    if len(content) < _HEADER.size:
        raise DamagedFileError(f"{path}: cut off inside the header, after {len(content)} bytes")
    _, version, *sizes = _HEADER.unpack_from(content)
    if version != _VERSION:
        raise DamagedFileError(
            f"{path}: version {version} of the format; this fourfold reads version {_VERSION}"
        )
    body = unsealed(path, content)
    try:
        return _parse(body[_HEADER.size :], *sizes)
    except (ValueError, TypeError) as error:
        raise DamagedFileError(f"{path}: {error}") from error


def _parse(body: memoryview, nodes: int, variables: int, axes: int, metadata: int) -> Circuit:
    at = 0

    def take(count: int, dtype: str) -> Any:
        nonlocal at
        if count * 4 > len(body) - at:
            raise ValueError("the header promises more than the file holds")
        array = np.frombuffer(body, dtype=dtype, count=count, offset=at)
        at += 4 * count
        return array.astype(array.dtype.newbyteorder("="))

    event_shape = take(axes, "<u4").tolist()
    parent, states = take(nodes, "<i4"), take(nodes, "<i4")
    leaf_node, cardinality = take(variables, "<i4"), take(variables, "<i4")
    structure = Structure(parent, states, leaf_node, cardinality)
    tables = [
        take(int(np.prod(shape, dtype=np.int64)), "<f4").reshape(shape)
        for _, shape in table_shapes(structure)
    ]
    if len(body) - at != metadata:
        raise ValueError(f"expected {metadata} bytes of metadata, found {len(body) - at}")
    return Circuit(
        structure,
        tables[0],
        [None, *tables[1:nodes]],
        tables[nodes:],
        event_shape=event_shape,
        metadata=json.loads(bytes(body[at:])),
    )
