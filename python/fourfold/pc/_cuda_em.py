"""Learning and sampling on a GPU: hands addresses of its memory to C++."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fourfold import _core
from fourfold.pc import _cuda_kernel
from fourfold.pc._kernel import Rule, tree_arguments
from fourfold.pc.circuit import Circuit
from fourfold.pc.structure import Structure

__all__ = ["CudaSampler", "CudaTrainer", "sampler_on"]

Tensor = torch.Tensor
Array = npt.NDArray[Any]

_TILE = 64
"""Images that a block of threads has; memory is for a multiple of it. `kTile` in em_gpu_plan.hpp."""

_ROWS_TOGETHER = 512
"""Rows that pass the tree at once where no batch says how many."""


class _Placed:
    """The plan and the tables of a circuit in a GPU's memory."""

    def __init__(
        self, structure: Structure, offsets: Array, packed: Array, device: torch.device
    ) -> None:
        self.device = device
        self.structure = structure
        self.packed_shape = packed.shape
        self.on_host = _core.pc.EmPlan(**tree_arguments(structure, offsets))
        self.shape = self.on_host.shape()
        plan = np.zeros(self.on_host.bytes, dtype=np.uint8)
        self.on_host.write(plan.ctypes.data)
        self.plan = _cuda_kernel._sent(plan, device)
        self.tables = self.sent(packed)
        size = structure.cardinality.nbytes
        there = _cuda_kernel._sent(structure.cardinality, device)
        self.cardinality = there[:size].view(torch.int32)

    def sent(self, packed: Array) -> Tensor:
        """A buffer like the circuit's, in the layout of the passes."""
        assert packed.dtype == np.float32
        assert packed.shape == self.packed_shape
        assert packed.flags.c_contiguous
        tables = np.zeros(self.on_host.table_floats, dtype=np.float32)
        self.on_host.load(packed.ctypes.data, tables.ctypes.data)
        there = _cuda_kernel._sent(tables, self.device)
        return there[: tables.nbytes].view(torch.float32)

    def brought(self, tables: Tensor) -> npt.NDArray[np.float32]:
        """The way back."""
        here = np.ascontiguousarray(_cuda_kernel.brought(tables).numpy(), dtype=np.float32)
        assert here.shape == (self.on_host.table_floats,)
        packed = np.zeros(self.packed_shape, dtype=np.float32)
        self.on_host.store(here.ctypes.data, packed.ctypes.data)
        return packed


class _Workspace:
    """Memory for so many images, and the kernels that use it."""

    def __init__(
        self,
        placed: _Placed,
        capacity: int,
        *,
        learns: bool = False,
        keep_average: bool = False,
        keep_totals: bool = False,
    ) -> None:
        self.placed = placed
        self.capacity = capacity
        stride = -(-capacity // _TILE) * _TILE
        plan = placed.on_host
        floats, nodes = plan.table_floats, placed.structure.num_nodes

        def empty(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return _cuda_kernel._empty(count, dtype, placed.device)

        self.flow = empty(floats) if learns else None
        self.average = empty(floats).zero_() if keep_average else None
        self.totals = empty(floats, torch.float64).zero_() if keep_totals else None
        self.log_prob = empty(stride, torch.float64)
        self._kept = {
            "likelihood": empty(plan.row * stride),
            "message": empty(plan.message_row * stride),
            "posterior": empty(plan.row * stride),
            "expected": empty(plan.row),
            "exponent": empty(nodes * stride, torch.int32),
        }
        self.kernels = _cuda_kernel.cuda_kernels().pc.Em(
            plan=placed.plan.data_ptr(),
            tables=placed.tables.data_ptr(),
            flow=_cuda_kernel._address(self.flow),
            average=_cuda_kernel._address(self.average),
            totals=_cuda_kernel._address(self.totals),
            log_prob=self.log_prob.data_ptr(),
            stride=stride,
            **{name: buffer.data_ptr() for name, buffer in self._kept.items()},
            **placed.shape,
        )

    @property
    def queue(self) -> dict[str, int]:
        index = int(self.placed.device.index)
        return {"device": index, "stream": _cuda_kernel.current_stream(index)}

    def images(self, codes: Tensor) -> tuple[Tensor, dict[str, int]]:
        """Rows of codes with neighbouring images in neighbouring places, and what C++ is told."""
        assert codes.dtype in (torch.uint8, torch.int32)
        assert codes.shape[1:] == (self.placed.structure.num_variables,)
        assert 0 < len(codes) <= self.capacity
        turned = codes.t().contiguous()
        told = {
            "codes": turned.data_ptr(),
            "size": turned.element_size(),
            "images": len(codes),
        }
        return turned, told

    def pass_up(self, codes: Tensor) -> tuple[Tensor, dict[str, int]]:
        """Fill likelihoods and log probabilities."""
        turned, told = self.images(codes)
        self.kernels.log_prob(**told, **self.queue)
        return turned, told


class CudaTrainer:
    """`Trainer` on a GPU: the same calls, codes and log probabilities being tensors there."""

    waits = False
    """Answers are there when the GPU has computed them: look at them late."""

    def __init__(
        self,
        structure: Structure,
        offsets: Array,
        packed: Array,
        *,
        device: torch.device,
        capacity: int,
        keep_average: bool,
        keep_totals: bool,
    ) -> None:
        self._placed = _Placed(structure, offsets, packed, device)
        self._space = _Workspace(
            self._placed,
            capacity,
            learns=True,
            keep_average=keep_average,
            keep_totals=keep_totals,
        )

    def taken(self, codes: Array) -> Tensor:
        """Codes, (n, D), as `step` and `accumulate` take them: on the GPU."""
        narrow = codes.dtype == np.uint8
        dtype, kind = (np.uint8, torch.uint8) if narrow else (np.int32, torch.int32)
        array = np.ascontiguousarray(codes, dtype=dtype)
        there = _cuda_kernel._sent(array, self._placed.device)
        return there[: array.nbytes].view(kind).reshape(array.shape)

    def _batch(self, codes: Tensor, order: Array) -> tuple[tuple[Tensor, ...], dict[str, int]]:
        there = _cuda_kernel.moved(torch.from_numpy(order), self._placed.device)
        turned, told = self._space.images(codes.index_select(0, there))
        ordered, images = torch.sort(turned, dim=1, stable=True)
        assert ordered.is_contiguous()
        assert images.is_contiguous()
        told |= {"sorted": ordered.data_ptr(), "order": images.data_ptr()}
        # What torch gives back to its allocator, later work on the same stream may have.
        return (turned, ordered, images), told

    def step(self, codes: Tensor, order: Array, rule: Rule) -> Tensor:
        """Update by the expected counts of these rows; their log probabilities before it."""
        kept, told = self._batch(codes, order)
        self._space.kernels.step(**told, **rule._asdict(), **self._space.queue)
        del kept
        return self._space.log_prob[: len(order)].clone()

    def accumulate(self, codes: Tensor, order: Array) -> Tensor:
        """Add the expected counts of these rows to those that `finish` uses."""
        kept, told = self._batch(codes, order)
        self._space.kernels.accumulate(**told, **self._space.queue)
        del kept
        return self._space.log_prob[: len(order)].clone()

    def finish(self, count: int, rule: Rule) -> None:
        """Update by the counts of the ``count`` rows accumulated since the last time."""
        self._space.kernels.finish(count=float(count), **rule._asdict(), **self._space.queue)

    def log_prob(self, codes: Array) -> npt.NDArray[np.float64]:
        """Logarithm of the probability of what is observed, by the tables as they are: (n,)."""
        there = self.taken(codes)
        answers = [np.empty(0)]
        for begin in range(0, len(there), self._space.capacity):
            part = there[begin : begin + self._space.capacity]
            kept, _ = self._space.pass_up(part)
            answers.append(_cuda_kernel.brought(self._space.log_prob[: len(part)]).numpy().copy())
            del kept
        return np.concatenate(answers)

    def load(self, packed: Array) -> None:
        """Replace the tables."""
        self._placed.tables.copy_(self._placed.sent(packed))

    def load_average(self, packed: Array) -> None:
        """Replace the moving averages of the counts."""
        assert self._space.average is not None
        # Rows of ones stand there where the tables have them; nothing reads these of the averages.
        self._space.average.copy_(self._placed.sent(packed))

    @property
    def tables(self) -> npt.NDArray[np.float32]:
        """A copy of the tables as they are."""
        return self._placed.brought(self._placed.tables)

    @property
    def average(self) -> npt.NDArray[np.float32]:
        """A copy of the moving averages of the counts."""
        assert self._space.average is not None
        return self._placed.brought(self._space.average)

    @property
    def totals(self) -> npt.NDArray[np.float32]:
        """A copy of the counts accumulated since the last `finish`."""
        assert self._space.totals is not None
        return self._placed.brought(self._space.totals)


class CudaSampler:
    """`Model.sample` on a GPU."""

    def __init__(self, circuit: Circuit, device: torch.device) -> None:
        self._placed = _Placed(circuit.structure, circuit.offsets, circuit.packed, device)
        self.cardinality = self._placed.cardinality

    def sample(self, codes: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """Draws of what is missing, (n, repeats, D), by ``uniforms`` of shape (n, repeats, V + D).

        And the log probability of what is not, (n,); where it is -inf, draws mean nothing.
        """
        structure = self._placed.structure
        n, repeats, columns = uniforms.shape
        assert columns == structure.num_nodes + structure.num_variables
        assert uniforms.dtype == torch.float64
        assert len(codes) == n
        space = _Workspace(self._placed, min(n, _ROWS_TOGETHER))
        values, log_probs = [], []
        for begin in range(0, n, space.capacity):
            part = slice(begin, begin + space.capacity)
            kept, told = space.pass_up(codes[part])
            draws = told["images"] * repeats
            turned = uniforms[part].reshape(draws, columns).t().contiguous()
            states, drawn = (
                _cuda_kernel._empty(count * draws, torch.int32, self._placed.device)
                for count in (structure.num_nodes, structure.num_variables)
            )
            space.kernels.draw(
                **told,
                repeats=repeats,
                uniforms=turned.data_ptr(),
                states=states.data_ptr(),
                values=drawn.data_ptr(),
                **space.queue,
            )
            del kept
            shape = (told["images"], repeats, structure.num_variables)
            values.append(drawn.reshape(-1, draws).t().reshape(shape))
            log_probs.append(space.log_prob[: told["images"]].clone())
        return torch.cat(values), torch.cat(log_probs)


def sampler_on(circuit: Circuit, device: torch.device) -> CudaSampler:
    """The tables of a circuit on a GPU, copied at the first call and kept as long as the circuit."""
    sampler = circuit._samplers.get(device.index)
    if sampler is None:
        sampler = circuit._samplers.setdefault(device.index, CudaSampler(circuit, device))
    return sampler
