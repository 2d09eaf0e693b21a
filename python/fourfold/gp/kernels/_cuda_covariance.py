"""Kernels on a GPU: the place that hands their lags' addresses to the CUDA kernels.

Each CUDA kernel does one step of a `Program`; which follow one another is decided here. Work is queued on torch's current
stream of the lags' device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fourfold._gpu import cuda_kernels, current_stream
from fourfold.gp.kernels._covariance import PRODUCT, SUM, Program, check_phases

__all__ = ["Lags", "jet_there", "lags_there", "matrix_lags", "pull_back_there", "real_there"]

Array = npt.NDArray[np.float64]

# The jets of so many lags of a product stay in the second-level cache of a GPU.
_PIECE = 1 << 18


def real_there(name: str, value: Tensor) -> Tensor:
    """A contiguous tensor of float64 on a GPU, refused as `as_array` refuses what is on the CPU."""
    if value.requires_grad:
        raise TypeError(
            f"{name}: this tensor requires a gradient, which does not pass through; detach() it (pull_back gives that of "
            "the hyperparameters, orders those of the lag)"
        )
    if value.layout != torch.strided:
        raise TypeError(f"{name}: expected a dense tensor, got layout {value.layout}")
    if value.is_complex() or value.dtype == torch.bool:
        raise TypeError(f"{name}: expected real numbers, got {value.dtype}")
    return value.double().contiguous()


@dataclass(frozen=True)
class Lags:
    """The lags ``x[i]``, or ``x[i] - y[j]``, on a GPU.

    Attributes
    ----------
    x, y : Tensor
        Contiguous, float64; y is None for lags as they are, and both are vectors otherwise.
    shape : tuple of int
        Of the lags.
    device : int
        The GPU's number.
    """

    x: Tensor
    y: Tensor | None
    shape: tuple[int, ...]
    device: int

    @property
    def size(self) -> int:
        """How many lags."""
        return int(np.prod(self.shape, dtype=np.int64))

    def largest(self) -> float:
        """The largest magnitude; NaN if a number is. Waits for the device."""
        if self.size == 0:
            return 0.0
        if self.y is None:
            return float(self.x.abs().max())
        ends = torch.stack([self.x.min(), self.x.max(), self.y.min(), self.y.max()]).tolist()
        return float(np.maximum(ends[1] - ends[2], ends[3] - ends[0]))

    def pieces(self) -> Iterator[tuple[slice, Lags]]:
        """These lags in pieces that stay in a cache, and where each is."""
        columns = 1 if self.y is None else self.y.numel()
        rows = max(1, _PIECE // max(1, columns))
        x = self.x.reshape(-1)
        for begin in range(0, x.numel(), rows):
            part = x[begin : begin + rows]
            shape = tuple(part.shape) if self.y is None else (part.numel(), columns)
            at = slice(begin * columns, begin * columns + part.numel() * columns)
            yield at, Lags(part, self.y, shape, self.device)


def lags_there(lag: Tensor) -> Lags:
    """Lags of any shape."""
    x = real_there("lag", lag)
    return Lags(x, None, tuple(x.shape), lag.device.index)


def matrix_lags(x: Tensor, y: Tensor) -> Lags:
    """All ``x[i] - y[j]`` of two vectors."""
    a, b = real_there("x", x), real_there("y", y)
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(
            f"x, y: expected vectors, got shapes {tuple(a.shape)} and {tuple(b.shape)}"
        )
    return Lags(a, b, (a.numel(), b.numel()), x.device.index)


def jet_there(program: Program, lags: Lags, orders: Sequence[int]) -> Tensor:
    r"""As `program_jet`: (len(orders), \*lags.shape). Waits for the device, which looks for the largest lag."""
    _check(program, lags)
    out = lags.x.new_empty(len(orders), lags.size)
    if lags.size:
        tree = _Tree(program)
        for at, part in lags.pieces() if tree.has_product else [(slice(None), lags)]:
            _Queue(part).jet(tree.root, _addresses(out[:, at], orders), False)
    return out.reshape(len(orders), *lags.shape)


def pull_back_there(
    program: Program, lags: Lags, orders: Sequence[int], cotangent: Tensor
) -> list[Array]:
    """As `program_pull_back`. Waits for the device."""
    _check(program, lags)
    tree = _Tree(program)
    gradient = lags.x.new_zeros(1, tree.width)
    if lags.size:
        rows = cotangent.reshape(len(orders), -1)
        pieces = list(lags.pieces()) if tree.has_product else [(slice(None), lags)]
        gradient = lags.x.new_empty(len(pieces), tree.width)
        for k, (at, part) in enumerate(pieces):
            _Queue(part).pull_back(
                tree.root, _addresses(rows[:, at], orders), max(orders), gradient[k]
            )
    total = gradient.sum(0).cpu().numpy()
    ends = np.cumsum([leaf.size for leaf in program.leaves])[:-1]
    return [piece.reshape(3, -1) for piece in np.split(total, ends)]


def _check(program: Program, lags: Lags) -> None:
    largest = lags.largest()
    if not np.isfinite(largest):
        name = "lag" if lags.y is None else "x, y"
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    check_phases(program, largest)


def _addresses(rows: Tensor, orders: Sequence[int]) -> list[int]:
    addresses = [0] * 5
    for row, order in zip(rows, orders, strict=True):
        addresses[order] = row.data_ptr()
    return addresses


@dataclass(frozen=True)
class _Leaf:
    form: int
    parameters: Array  # (3, Q), C-contiguous
    offset: int  # of its gradient


@dataclass(frozen=True)
class _Pair:
    product: bool
    first: _Leaf | _Pair
    second: _Leaf | _Pair


class _Tree:
    """The tree that a program stands for."""

    def __init__(self, program: Program) -> None:
        stack: list[_Leaf | _Pair] = []
        leaves = iter(program.leaves)
        self.width = 0
        for step in program.steps:
            if step in (SUM, PRODUCT):
                second, first = stack.pop(), stack.pop()
                stack.append(_Pair(step == PRODUCT, first, second))
            else:
                parameters = np.ascontiguousarray(next(leaves))
                stack.append(_Leaf(int(step), parameters, self.width))
                self.width += parameters.size
        (self.root,) = stack
        self.has_product = PRODUCT in program.steps


class _Queue:
    """Queues the steps of a tree for some lags."""

    def __init__(self, lags: Lags) -> None:
        self.lags = lags
        self.kernels: Any = cuda_kernels().gp
        self.where = {"device": lags.device, "stream": current_stream(lags.device)}
        self.points: dict[str, Any] = {
            "points": [lags.x.data_ptr(), 0 if lags.y is None else lags.y.data_ptr()],
            "columns": 1 if lags.y is None else lags.y.numel(),
            "n": lags.size,
        }

    def jet(self, node: _Leaf | _Pair, out: list[int], add: bool) -> None:
        """Write the orders that ``out`` has an address for, or add them to what is there."""
        if isinstance(node, _Leaf):
            self.kernels.covariance_jet(
                form=node.form,
                components=node.parameters.shape[1],
                parameters=node.parameters.ctypes.data,
                **self.points,
                out=out,
                add=add,
                **self.where,
            )
        elif node.product:
            top = max(r for r, address in enumerate(out) if address)
            # Memory that is given back too early is given to work that is queued behind.
            first, a = self._whole(node.first, top)
            second, b = self._whole(node.second, top)
            self.kernels.covariance_product(
                a=a, b=b, n=self.lags.size, out=out, add=add, **self.where
            )
            del first, second
        else:
            self.jet(node.first, out, add)
            self.jet(node.second, out, True)

    def pull_back(
        self, node: _Leaf | _Pair, cotangent: list[int], top: int, gradient: Tensor
    ) -> None:
        """Write the gradient of the leaves below, given the cotangent's orders up to ``top``."""
        if isinstance(node, _Leaf):
            count = node.parameters.shape[1]
            parts = self.lags.x.new_empty(self.kernels.covariance_parts(count, self.lags.size))
            self.kernels.covariance_pull_back(
                form=node.form,
                components=count,
                parameters=node.parameters.ctypes.data,
                **self.points,
                cotangent=cotangent,
                gradient=gradient[node.offset :].data_ptr(),
                parts=parts.data_ptr(),
                **self.where,
            )
        elif node.product:
            for mine, other in ((node.first, node.second), (node.second, node.first)):
                jet, addresses = self._whole(other, top)
                by_mine = torch.empty_like(jet)
                orders = _addresses(by_mine, range(top + 1))
                self.kernels.covariance_product_pull_back(
                    b=addresses, cotangent=cotangent, n=self.lags.size, by_a=orders, **self.where
                )
                self.pull_back(mine, orders, top, gradient)
                del jet, by_mine
        else:
            self.pull_back(node.first, cotangent, top, gradient)
            self.pull_back(node.second, cotangent, top, gradient)

    def _whole(self, node: _Leaf | _Pair, top: int) -> tuple[Tensor, list[int]]:
        """All orders up to ``top`` of a node, which is another's factor, and their addresses."""
        jet = self.lags.x.new_empty(top + 1, self.lags.size)
        addresses = _addresses(jet, range(top + 1))
        self.jet(node, addresses, False)
        return jet, addresses
