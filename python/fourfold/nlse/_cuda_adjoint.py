"""Which part of a run on a GPU goes back when, and what the derivatives add up to."""

from __future__ import annotations

import math

import numpy as np
import torch

from fourfold.nlse._backward import default_tolerance
from fourfold.nlse._cuda_blocks import in_blocks
from fourfold.nlse._cuda_chains import Blocks, Transforms
from fourfold.nlse._cuda_problem import Problem
from fourfold.nlse._cuda_segments import segment_length
from fourfold.nlse._cuda_tables import (
    address,
    places,
    scratch,
)

__all__ = ["NAMES", "Part", "Run"]

Tensor = torch.Tensor

NAMES = ("omega", "nonlinearity", "potential", "loss")


class Run:
    """What all realisations have in common."""

    def __init__(self, problem: Problem, tolerance: float | None, names: list[str]) -> None:
        self.problem = problem
        self.names = names
        self.like = like = problem.like
        self.n = problem.n
        self.batch_shape = like.shape[:-1]
        if tolerance is None:
            tolerance = default_tolerance(np.dtype("c8" if problem.what["single"] else "c16"))
        self.tolerance = tolerance
        self.field_bytes = self.n * like.dtype.itemsize
        self.record_bytes = self.field_bytes * (2 if "omega" in names else 1)
        self.one = problem.kernels.Ensemble(**problem.what | {"batch": 1})
        self.in_blocks = in_blocks(problem.kernels, self.one, problem.batch, like)
        coefficients = {
            "nonlinearity": problem.nonlinearity,
            "potential": problem.potential,
            "loss": problem.loss,
        }
        self.rows = {
            name: rows if self.shares(name) else rows.view(-1, *self.tail(name))
            for name, rows in coefficients.items()
            if rows is not None
        }

    def chain(self, batch: int) -> Blocks | Transforms:
        what, spectra = self.problem.what | {"batch": batch}, "omega" in self.names
        if self.in_blocks:
            return Blocks(self.problem.kernels, what, self.like, spectra)
        return Transforms(self.problem.kernels, what, spectra)

    def tail(self, name: str) -> tuple[int, ...]:
        return () if name == "nonlinearity" else (self.n,)

    def shares(self, name: str) -> bool:
        """Whether all realisations have one such coefficient."""
        return name == "omega" or bool(self.problem.what[f"shared_{name}"])

    def zeros(self, name: str, count: int) -> Tensor:
        shape = self.tail(name) if self.shares(name) else (count, *self.tail(name))
        return self.like.new_zeros(shape, dtype=torch.float64)

    def add(self, total: Tensor, name: str, begin: int, rows: Tensor) -> None:
        """To what `zeros` made, the sums of the realisations from ``begin`` on."""
        if name == "nonlinearity":
            rows = rows.sum(-1)
        if self.shares(name):
            total += rows.sum(0)
        else:
            total[begin : begin + len(rows)] = rows

    def of_coefficient(self, name: str, total: Tensor, like: Tensor) -> Tensor:
        if name == "omega":
            total = total[places(self.n, self.like)] if self.in_blocks else total
        elif not self.shares(name):
            total = total.view(*self.batch_shape, *self.tail(name))
        return total.sum_to_size(like.shape).to(like.dtype)


class Part:
    """Realisations that go back together."""

    def __init__(self, run: Run, begin: int, end: int) -> None:
        self._run = run
        self._size = end - begin
        self._chain = run.chain(self._size)
        self._rows = {
            name: rows if run.shares(name) else rows[begin:end] for name, rows in run.rows.items()
        }
        self._step = 0.0
        self._tables = scratch(self._chain.kernels.tables_size(), run.like)
        self._slopes: Tensor | None = None
        if "loss" in run.names:
            self._slopes = scratch(self._chain.kernels.slopes_size(), run.like)
        self._sums = {
            name: run.like.new_zeros(
                (self._size, self._chain.sums_of_row if name == "nonlinearity" else run.n),
                dtype=torch.float64,
            )
            for name in run.names
        }

    def back(
        self,
        cotangent: Tensor,
        states: Tensor,
        gradients: Tensor,
        intervals: list[tuple[float, int]],
    ) -> dict[str, Tensor]:
        """Change ``cotangent`` from that of the last state to that of the first; the sums."""
        for i in range(len(intervals) - 1, -1, -1):
            step, steps = intervals[i]
            self._build_tables(step)
            self._interval(cotangent, states[i], states[i + 1], steps)
            cotangent += gradients[i]
        return self._sums

    def _build_tables(self, step: float) -> None:
        if step == self._step:
            return
        self._step = step
        run = self._run
        loss = address(self._rows.get("loss"))
        self._chain.kernels.build_tables(
            step=step,
            omega=run.problem.omega.data_ptr(),
            filter=address(run.problem.filter),
            loss=loss,
            tables=self._tables.data_ptr(),
            **run.problem.queue,
        )
        if self._slopes is not None:
            self._chain.kernels.build_slopes(
                step=step, loss=loss, slopes=self._slopes.data_ptr(), **run.problem.queue
            )

    def _interval(self, cotangent: Tensor, start: Tensor, end: Tensor, steps: int) -> None:
        run, chain = self._run, self._chain
        chain.begin(
            step=self._step,
            steps=steps,
            nonlinearity=self._rows["nonlinearity"].data_ptr(),
            potential=address(self._rows.get("potential")),
            tables=self._tables.data_ptr(),
            **run.problem.queue,
        )
        flows = chain.kernels.flows(steps)
        length = segment_length(flows, self._size, run.field_bytes, run.record_bytes)
        firsts = range(0, flows, length)
        begins = [start]
        checkpoints = start.new_empty((len(firsts) - 1, *start.shape))
        for first, checkpoint in zip(firsts[:-1], checkpoints, strict=True):
            chain.take(first, first + length, begins[-1], checkpoint)
            begins.append(checkpoint)
        records = chain.records(length, start)
        sums = {f"sum_{name}": address(self._sums.get(name)) for name in NAMES}
        for first, begin in zip(reversed(firsts), reversed(begins), strict=True):
            last = min(first + length, flows)
            again = torch.empty_like(end) if last == flows else None
            chain.take(first, last, begin, again, records)
            if again is not None:
                self._spoil_missed(cotangent, again, end)
            chain.take_back(first, last, cotangent, records, slopes=address(self._slopes), **sums)

    def _spoil_missed(self, cotangent: Tensor, again: Tensor, end: Tensor) -> None:
        """NaN where the steps taken again end elsewhere, by the CPU's measure."""
        off = torch.linalg.vector_norm(again - end, dim=-1)
        missed = ~(off <= self._run.tolerance * torch.linalg.vector_norm(end, dim=-1))
        cotangent.masked_fill_(missed[:, None], complex(math.nan, math.nan))
