"""The one place where the codec of `fourfold.pc` hands addresses to C++."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourfold import _core
from fourfold._threads import get_num_threads
from fourfold.pc.circuit import Circuit

if TYPE_CHECKING:
    import torch

    from fourfold.pc._cuda_kernel import CudaCodec

__all__ = ["RowCodec", "check_cells", "codec_on", "pack_missing", "row_codec", "unpack_missing"]

_CELLS = {1: np.uint8, 2: np.uint16, 4: np.int32}

OK = 0
NO_GAIN = 1
OUT_OF_RANGE = 2
DAMAGE = {
    3: "its words end too early",
    4: "it begins with a state that no encoder leaves",
    5: "it holds words that nothing reads",
    6: "what it decodes to does not have the recorded checksum",
}


class RowCodec:
    """Codes blocks of rows of D values with a circuit.

    Parameters
    ----------
    circuit : Circuit
        Its tables are copied into the codec's own: a cumulative table for each leaf.
    """

    def __init__(self, circuit: Circuit) -> None:
        structure = circuit.structure
        self.variables = structure.num_variables
        self._on: dict[int, CudaCodec] = {}
        self._on_lock = threading.Lock()
        # Kept alive until the constructor, which copies, has returned.
        parent, states = _int32(structure.parent), _int32(structure.states)
        leaf_node, cardinality = _int32(structure.leaf_node), _int32(structure.cardinality)
        packed = np.ascontiguousarray(circuit.packed, dtype=np.float32)
        offsets = np.ascontiguousarray(circuit.offsets, dtype=np.int64)
        self._codec = _core.pc.Codec(
            nodes=structure.num_nodes,
            variables=structure.num_variables,
            parent=parent.ctypes.data,
            states=states.ctypes.data,
            leaf_node=leaf_node.ctypes.data,
            cardinality=cardinality.ctypes.data,
            packed=packed.ctypes.data,
            offsets=offsets.ctypes.data,
            threads=get_num_threads(),
        )

    @property
    def order(self) -> list[int]:
        """The variables in the order in which they are coded."""
        return self._codec.order

    @property
    def table_bytes(self) -> int:
        """Size of the codec's tables."""
        return 4 * self._codec.table_floats

    def streams(self, rows: int) -> int:
        """How many streams a block of that many rows has."""
        return self._codec.streams(rows)

    def encode(
        self, cells: npt.NDArray[Any], rows: Sequence[int], capacities: Sequence[int]
    ) -> list[bytes | None]:
        """Encode blocks.

        Parameters
        ----------
        cells : (n, D) uint8, uint16 or int32, C-contiguous
            The rows of all blocks, one block after the other. -1 is a value that is missing.
        rows : sequence of int
            How many rows each block has; they sum to n.
        capacities : sequence of int
            How many bytes each block may take.

        Returns
        -------
        list of bytes or None
            The payload of each block; None where it would not be smaller than its capacity, or
            where a value is not below its variable's cardinality.
        """
        check_cells(cells, rows, self.variables)
        start = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(capacities, out=start[1:])
        out = np.empty(int(start[-1]), dtype=np.uint8)
        length = np.zeros(len(rows), dtype=np.int64)
        status = np.zeros(len(rows), dtype=np.int32)
        self._codec.encode(
            cells.ctypes.data,
            cells.itemsize,
            list(rows),
            start.ctypes.data,
            out.ctypes.data,
            length.ctypes.data,
            status.ctypes.data,
            get_num_threads(),
        )
        return [
            out[start[b] : start[b] + length[b]].tobytes() if status[b] == OK else None
            for b in range(len(rows))
        ]

    def decode(
        self, payloads: Sequence[bytes | memoryview], rows: Sequence[int], cells: npt.NDArray[Any]
    ) -> list[int]:
        """Decode blocks into ``cells``, of the layout of `encode`.

        Values of int32 cells that are missing must hold -1 beforehand, and all others something else.
        Returns the status of each block: 0, or a key of `DAMAGE`. Any bytes are safe to decode.
        """
        check_cells(cells, rows, self.variables)
        if not cells.flags.writeable:
            raise ValueError("cells: expected an array that can be written to")
        length = np.array([len(payload) for payload in payloads], dtype=np.int64)
        start = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(length, out=start[1:])
        joined = np.frombuffer(b"".join(payloads), dtype=np.uint8)
        status = np.zeros(len(rows), dtype=np.int32)
        self._codec.decode(
            joined.ctypes.data,
            start.ctypes.data,
            length.ctypes.data,
            list(rows),
            cells.ctypes.data,
            cells.itemsize,
            status.ctypes.data,
            get_num_threads(),
        )
        return [int(s) for s in status]

    def on(self, device: torch.device) -> CudaCodec:
        """The same on a GPU, made at the first call."""
        from fourfold.pc._cuda_kernel import CudaCodec

        with self._on_lock:
            if device.index not in self._on:
                self._on[device.index] = CudaCodec(self._codec, self.variables, device)
            return self._on[device.index]


def check_cells(cells: npt.NDArray[Any], rows: Sequence[int], variables: int) -> None:
    """Refuse what is not the rows of blocks as `RowCodec.encode` takes them."""
    if _CELLS.get(cells.itemsize) != cells.dtype or not (
        cells.flags.c_contiguous and cells.flags.aligned
    ):
        raise ValueError(f"cells: expected C-contiguous uint8, uint16 or int32, got {cells.dtype}")
    if cells.shape != (sum(rows), variables) or min(rows, default=1) < 1:
        raise ValueError(f"cells: expected the shape ({sum(rows)}, {variables}), got {cells.shape}")


_codecs: weakref.WeakValueDictionary[int, RowCodec] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def row_codec(circuit: Circuit) -> RowCodec:
    """The codec of a circuit, made at the first call and kept as long as the circuit."""
    with _lock:
        codec = _codecs.get(id(circuit))
        if codec is None:
            codec = RowCodec(circuit)
            _codecs[id(circuit)] = codec
            # The finalizer's argument is what keeps the codec.
            weakref.finalize(circuit, _forget, id(circuit), codec).atexit = False
        return codec


def codec_on(circuit: Circuit, device: Any) -> RowCodec | CudaCodec:
    """The codec of a circuit on a device; None is the CPU."""
    if device is None or device == "cpu":
        return row_codec(circuit)
    from fourfold.pc._cuda_kernel import checked_device

    where = checked_device(device)
    return row_codec(circuit) if where is None else row_codec(circuit).on(where)


def _forget(key: int, codec: RowCodec) -> None:
    if _codecs.get(key) is codec:
        del _codecs[key]


def pack_missing(missing: npt.NDArray[np.bool_]) -> bytes:
    """Code which values of a block are missing: a boolean array (rows, columns)."""
    cells = np.ascontiguousarray(missing, dtype=np.bool_)
    rows, columns = cells.shape
    return _core.pc.encode_missing(cells.ctypes.data, rows, columns)


def unpack_missing(packed: bytes, rows: int, columns: int) -> npt.NDArray[np.bool_]:
    """Give back what `pack_missing` coded; any bytes give some answer."""
    cells = np.empty((rows, columns), dtype=np.bool_)
    source = np.frombuffer(packed, dtype=np.uint8)
    _core.pc.decode_missing(source.ctypes.data, len(source), cells.ctypes.data, rows, columns)
    return cells


def _int32(values: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    return np.ascontiguousarray(values, dtype=np.int32)
