"""Hands addresses of GPU memory to C++: of the codec and of log probabilities (`_cuda_em`: learning, sampling)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from fourfold import _core
from fourfold._gpu import cuda_kernels, current_stream, has_cuda_kernels, no_cuda_kernels
from fourfold.pc._codec_kernel import OK, check_cells
from fourfold.pc._kernel import tree_arguments

if TYPE_CHECKING:
    from fourfold.pc.circuit import Circuit

__all__ = [
    "CudaCodec",
    "CudaModel",
    "brought",
    "checked_device",
    "cuda_kernels",
    "current_stream",
    "model_on",
    "moved",
    "require_kernels",
]

Tensor = torch.Tensor

_IMAGES_TOGETHER = 1 << 16
"""Bounds the scratch of a circuit whose states do not fit into a multiprocessor's memory."""


def checked_device(device: Any) -> torch.device | None:
    """The GPU that is meant, with its index; None for the CPU.

    Raises
    ------
    NotImplementedError
        If it is neither, or if this installation has no CUDA kernels.
    ValueError
        If it is no device.
    RuntimeError
        If torch sees no such GPU.
    """
    try:
        meant = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device: expected cpu, cuda, cuda:0, or the index of a GPU, got {device!r}"
        ) from error
    if meant.type == "cpu":
        return None
    require_kernels("device", meant)
    count = _device_count()
    index = meant.index
    if index is None:
        index = torch.cuda.current_device() if count else 0
    if index >= count:
        raise RuntimeError(f"device: expected a GPU that is there, got {device}: there are {count}")
    return torch.device("cuda", index)


def require_kernels(name: str, device: torch.device) -> None:
    """Refuse a device for which there are no kernels."""
    if device.type != "cuda":
        raise NotImplementedError(
            f"{name}: fourfold.pc has kernels for the CPU and for CUDA, got the device {device}"
        )
    if not has_cuda_kernels():
        raise NotImplementedError(
            f"{name}: fourfold.pc has no kernels for the device {device}, only for the CPU: "
            f"{no_cuda_kernels()}"
        )


def _device_count() -> int:
    return torch.cuda.device_count()


def _empty(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    # An empty tensor has no address.
    return torch.empty(max(count, 1), dtype=dtype, device=device)


def _sent(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """The bytes of a contiguous array in the GPU's memory."""
    # torch warns of memory that cannot be written to.
    flat = np.require(array.reshape(-1).view(np.uint8), requirements=["W"])
    there = _empty(flat.size, torch.uint8, device)
    there[: flat.size].copy_(torch.from_numpy(flat))
    return there


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor in the GPU's memory."""
    return tensor.to(device)


def brought(tensor: Tensor) -> Tensor:
    """A tensor in the CPU's memory."""
    return tensor.detach().cpu()


def _address(scratch: Tensor | None) -> int:
    return 0 if scratch is None else scratch.data_ptr()


class _Program:
    """Operations and tables of a circuit in the GPU's memory, and where they are."""

    def __init__(self, sizes: dict[str, int], write: Any, device: torch.device) -> None:
        operations = np.zeros(sizes.pop("operation_bytes"), dtype=np.uint8)
        tables = np.zeros(sizes.pop("table_floats"), dtype=np.float32)
        write(operations=operations.ctypes.data, tables=tables.ctypes.data)
        self._kept = _sent(operations, device), _sent(tables, device)
        self.arguments = {
            "operations": self._kept[0].data_ptr(),
            "tables": self._kept[1].data_ptr(),
            **sizes,
        }


class CudaCodec:
    """`RowCodec` on a GPU: the same blocks, the same payloads to the byte.

    Parameters
    ----------
    codec : _core.pc.Codec
        Whose operations and tables are copied.
    variables : int
        D.
    device : torch.device
        A GPU, with its index.
    """

    def __init__(self, codec: _core.pc.Codec, variables: int, device: torch.device) -> None:
        self.variables = variables
        self._streams = codec.streams
        self._device = device
        self._program = _Program(codec.gpu_program(), codec.write_gpu_program, device)
        self._codec = cuda_kernels().pc.Codec(**self._program.arguments)

    def encode(
        self, cells: npt.NDArray[Any], rows: Sequence[int], capacities: Sequence[int]
    ) -> list[bytes | None]:
        """Encode blocks; see `RowCodec.encode`."""
        check_cells(cells, rows, self.variables)
        if not rows:
            return []
        start = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(capacities, out=start[1:])
        blocks = _sent(self._places(rows, start), self._device)
        there = _sent(cells, self._device)
        intervals = self._empty(len(cells) * self.variables, torch.int64)
        bad = self._empty(len(cells), torch.int32)
        out = self._empty(int(start[-1]), torch.uint8)
        length = self._empty(len(rows), torch.int64)
        status = self._empty(len(rows), torch.int32)
        scratch = self._scratch(self._codec.encode_scratch(rows=len(cells), device=self._index))
        self._codec.encode(
            cells=there.data_ptr(),
            size=cells.itemsize,
            rows=len(cells),
            blocks=blocks.data_ptr(),
            count=len(rows),
            intervals=intervals.data_ptr(),
            bad=bad.data_ptr(),
            scratch=_address(scratch),
            out=out.data_ptr(),
            length=length.data_ptr(),
            status=status.data_ptr(),
            device=self._index,
            stream=current_stream(self._index),
        )
        payloads, lengths, told = out.cpu().numpy(), length.tolist(), status.tolist()
        return [
            payloads[start[b + 1] - lengths[b] : start[b + 1]].tobytes() if told[b] == OK else None
            for b in range(len(rows))
        ]

    def decode(
        self, payloads: Sequence[bytes | memoryview], rows: Sequence[int], cells: npt.NDArray[Any]
    ) -> list[int]:
        """Decode blocks; see `RowCodec.decode`."""
        check_cells(cells, rows, self.variables)
        if not rows:
            return []
        start = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(payload) for payload in payloads], out=start[1:])
        places = self._places(rows, start)
        streams = int(places[:, 2].max())
        blocks = _sent(places, self._device)
        source = _sent(np.frombuffer(b"".join(payloads), dtype=np.uint8), self._device)
        there = _sent(cells, self._device)
        status = self._empty(len(rows), torch.int32)
        scratch = self._scratch(
            self._codec.decode_scratch(blocks=len(rows), streams=streams, device=self._index)
        )
        self._codec.decode(
            input=source.data_ptr(),
            blocks=blocks.data_ptr(),
            count=len(rows),
            streams=streams,
            cells=there.data_ptr(),
            size=cells.itemsize,
            scratch=_address(scratch),
            status=status.data_ptr(),
            device=self._index,
            stream=current_stream(self._index),
        )
        cells[...] = there.cpu().numpy()[: cells.nbytes].view(cells.dtype).reshape(cells.shape)
        return [int(s) for s in status.tolist()]

    def _places(self, rows: Sequence[int], start: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """First row, rows, streams, and the bytes of each block: (blocks, 5)."""
        count = np.asarray(rows, dtype=np.int64)
        streams = {n: self._streams(n) for n in set(rows)}
        return np.stack(
            [np.cumsum(count) - count, count, [streams[n] for n in rows], start[:-1], start[1:]],
            axis=1,
        )

    @property
    def _index(self) -> int:
        return int(self._device.index)

    def _empty(self, count: int, dtype: torch.dtype) -> Tensor:
        return _empty(count, dtype, self._device)

    def _scratch(self, floats: int) -> Tensor | None:
        return self._empty(floats, torch.float32) if floats else None


class CudaModel:
    """`Model` on a GPU, for the queries that have a kernel there."""

    def __init__(self, circuit: Circuit, device: torch.device) -> None:
        structure = circuit.structure
        self._device = device
        self._variables = structure.num_variables
        # Read while the program is written, then no more.
        tree = tree_arguments(structure, circuit.offsets)
        tree["packed"] = circuit.packed.ctypes.data
        sizes = _core.pc.up_program(**tree, operations=0, tables=0)
        self._program = _Program(
            sizes, lambda **places: _core.pc.up_program(**tree, **places), device
        )
        self._likelihood = cuda_kernels().pc.Likelihood(**self._program.arguments)
        size = structure.cardinality.nbytes
        self.cardinality = _sent(structure.cardinality, device)[:size].view(torch.int32)

    def log_prob(self, codes: Tensor) -> Tensor:
        """Logarithm of the probability of what is observed: (n,) float64.

        Codes are (n, D) uint8 or int32, contiguous and in range; K_i where a value is missing.
        """
        assert codes.is_contiguous()
        assert codes.dtype in (torch.uint8, torch.int32)
        assert codes.shape[1:] == (self._variables,)
        index = int(self._device.index)
        out = _empty(len(codes), torch.float64, self._device)[: len(codes)]
        for begin in range(0, len(codes), _IMAGES_TOGETHER):
            part = codes[begin : begin + _IMAGES_TOGETHER]
            floats = self._likelihood.scratch(images=len(part), device=index)
            scratch = _empty(floats, torch.float32, self._device) if floats else None
            self._likelihood.log_prob(
                codes=part.data_ptr(),
                size=part.element_size(),
                images=len(part),
                scratch=_address(scratch),
                out=out[begin:].data_ptr(),
                device=index,
                stream=current_stream(index),
            )
        return out


def model_on(circuit: Circuit, device: torch.device) -> CudaModel:
    """The tables of a circuit on a GPU, copied at the first call and kept as long as the circuit."""
    model = circuit._on_gpus.get(device.index)
    if model is None:
        model = circuit._on_gpus.setdefault(device.index, CudaModel(circuit, device))
    return model
