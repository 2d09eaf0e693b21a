"""Probabilistic circuits: learning, exact queries, lossless compression.

A `Circuit` is a `Structure` (a tree of latent variables with the observed ones at its nodes) and its
probability tables.
"""

from fourfold.errors import CorruptStreamError, ModelMismatchError
from fourfold.pc.circuit import Circuit
from fourfold.pc.compression import compress, decode_stream, decompress, encode_stream
from fourfold.pc.front_end import FrontEnd
from fourfold.pc.reader import CompressedReader
from fourfold.pc.structure import Structure
from fourfold.pc.table import TableSchema

__all__ = [
    "Circuit",
    "CompressedReader",
    "CorruptStreamError",
    "FrontEnd",
    "ModelMismatchError",
    "Structure",
    "TableSchema",
    "compress",
    "decode_stream",
    "decompress",
    "encode_stream",
]
