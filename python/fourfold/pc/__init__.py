"""Probabilistic circuits: learning, exact queries, lossless compression.

A `Circuit` is a `Structure` (a tree of latent variables with the observed ones at its nodes) and its
probability tables. `HCLT.fit` learns both from data, `fit` learns the tables of a given structure.
"""

from fourfold.errors import CorruptStreamError, ModelMismatchError
from fourfold.pc import plot
from fourfold.pc.circuit import Circuit
from fourfold.pc.compression import compress, decode_stream, decompress, encode_stream
from fourfold.pc.files import load
from fourfold.pc.front_end import FrontEnd
from fourfold.pc.growing import grow, prune
from fourfold.pc.learning import HCLT, Epoch, fit
from fourfold.pc.moments import EntropyEstimate
from fourfold.pc.queries import MostProbable
from fourfold.pc.reader import CompressedReader
from fourfold.pc.smoothing import smooth
from fourfold.pc.structure import Structure
from fourfold.pc.table import TableSchema

__all__ = [
    "HCLT",
    "Circuit",
    "CompressedReader",
    "CorruptStreamError",
    "EntropyEstimate",
    "Epoch",
    "FrontEnd",
    "ModelMismatchError",
    "MostProbable",
    "Structure",
    "TableSchema",
    "compress",
    "decode_stream",
    "decompress",
    "encode_stream",
    "fit",
    "grow",
    "load",
    "plot",
    "prune",
    "smooth",
]
