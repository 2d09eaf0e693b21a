"""Gradients of `fourfold.nlse.propagate` on a GPU: which part of a run goes back when.

The second place, beside `_cuda_kernel`, that hands addresses of CUDA tensors to C++. What is computed, and why in these
parts, is in docs/internals/nlse.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from fourfold._gpu import cuda_kernels, current_stream, has_cuda_kernels, no_cuda_kernels
from fourfold.nlse import _cuda_kernel as forward
from fourfold.nlse._backward import check_differentiable, default_tolerance
from fourfold.nlse._cuda_segments import realisations_at_once, segment_length

__all__ = ["backward"]

Tensor = torch.Tensor

_NAMES = ("omega", "nonlinearity", "potential", "loss")


def backward(
    gradient: Tensor,
    psi: Tensor,
    t: Tensor,
    omega: Tensor,
    nonlinearity: Tensor,
    potential: Tensor | None,
    loss: Tensor | None,
    method: str,
    step: float | None,
    rtol: float | None,
    atol: float | None,
    dealias: str | None,
    tolerance: float | None,
    wanted: Sequence[bool],
) -> tuple[Tensor, ...]:
    """What ``torch.ops.fourfold.nlse_propagate_backward`` returns, for tensors on a GPU.

    Work is queued on the current stream of psi's device, and nothing waits for it. So where the CPU
    raises ReconstructionError, a realisation's gradient is NaN, and that of what it shares.

    Raises
    ------
    NotImplementedError
        Without the CUDA kernels, and for what they cannot do: methods that are no splittings,
        adaptive steps, fields that no block of threads holds, more than 2^26 steps an interval.
    """
    check_differentiable(method)
    if step is None:
        raise NotImplementedError(
            "the gradients of adaptive steps (rtol, atol) have no CUDA kernel; give a fixed step, or "
            "tensors on the CPU"
        )
    coefficients = dict(zip(_NAMES, (omega, nonlinearity, potential, loss), strict=True))
    times = forward._check(psi[0], t, omega, nonlinearity, potential, loss, dealias)
    if not has_cuda_kernels():
        raise NotImplementedError(no_cuda_kernels())
    kernels = cuda_kernels().nlse
    names = [name for name, asked in zip(_NAMES, wanted[1:], strict=True) if asked]
    n, batch_shape = psi.shape[-1], psi.shape[1:-1]
    count = math.prod(batch_shape)
    what = {
        "n": n,
        "method": method,
        "single": psi.dtype == torch.complex64,
        "shared_nonlinearity": nonlinearity.ndim == 0,
        "shared_potential": potential is not None and potential.ndim == 1,
        "shared_loss": loss is not None and loss.ndim == 1,
        "lossy": loss is not None,
    }
    run = _Run(kernels, what, psi, coefficients, dealias, tolerance, names)
    if why := forward._no_block(kernels, run.ensemble(count), n, psi):
        raise NotImplementedError(
            f"the gradients of fields of this length have no CUDA kernel: {why}"
        )
    intervals = _intervals(run.ensemble(1), times.tolist(), step, kernels.most_adjoint_steps)

    states = psi.resolve_conj().resolve_neg().contiguous().view(len(times), count, n)
    gradients = gradient.resolve_conj().resolve_neg().reshape(len(times), count, n)
    cotangent = psi.new_empty((count, n))
    cotangent.copy_(gradients[-1])
    totals = {name: run.zeros(name, count) for name in names}
    at_once = count
    if intervals and count > 0:
        most = max(run.ensemble(1).flows(steps) for _, steps in intervals)
        at_once = realisations_at_once(most, count, run.field_bytes, run.record_bytes)
    for begin in range(0, count, max(at_once, 1)):
        end = min(begin + at_once, count)
        sums = _Part(run, begin, end).back(
            cotangent[begin:end], states[:, begin:end], gradients[:, begin:end], intervals
        )
        for name, rows in sums.items():
            run.add(totals[name], name, begin, rows)

    found = [cotangent.view(psi.shape[1:]) if wanted[0] else psi.new_empty(0, dtype=torch.float32)]
    for name in _NAMES:
        like = coefficients[name]
        if name in names and like is not None:
            found.append(run.of_coefficient(name, totals[name], like))
        else:
            found.append(psi.new_empty(0, dtype=torch.float32))
    return tuple(found)


def _intervals(
    ensemble: Any, times: list[float], step: float, most_steps: int
) -> list[tuple[float, int]]:
    """The step and the number of steps of each, as the forward run took them."""
    found = []
    for start, end in pairwise(times):
        duration, steps = ensemble.interval(start, end, step)
        if steps > most_steps:
            raise NotImplementedError(
                f"{steps} steps from t = {start:.6g} to t = {end:.6g} are more than the {most_steps} "
                "that gradients on a GPU can go back at once; save more times"
            )
        found.append((duration / steps, steps))
    return found


class _Run:
    """What all realisations have in common."""

    def __init__(
        self,
        kernels: Any,
        what: dict[str, Any],
        psi: Tensor,
        coefficients: dict[str, Tensor | None],
        dealias: str | None,
        tolerance: float | None,
        names: list[str],
    ) -> None:
        self.kernels = kernels
        self.what = what
        self.names = names
        self.like = psi
        self.n: int = psi.shape[-1]
        self.batch_shape = psi.shape[1:-1]
        if tolerance is None:
            tolerance = default_tolerance(np.dtype("c8" if what["single"] else "c16"))
        self.tolerance = tolerance
        self.field_bytes = self.n * psi.dtype.itemsize
        self.record_bytes = self.field_bytes * (2 if "omega" in names else 1)
        device: int = psi.device.index
        self.queue = {"device": device, "stream": current_stream(device)}
        real = forward._REAL[psi.dtype]
        omega = coefficients["omega"]
        assert omega is not None
        self.omega = omega.to(torch.float64).resolve_neg().contiguous()
        self.filter = None if dealias is None else forward._filter(self.n, dealias, psi)
        self.twiddles = forward._twiddles(self.n, psi)
        self.rows: dict[str, Tensor] = {}
        for name, value in coefficients.items():
            if value is not None and name != "omega":
                rows = forward._per_realisation(value, self.batch_shape, self.tail(name), real)
                self.rows[name] = rows if self.shares(name) else rows.view(-1, *self.tail(name))

    def ensemble(self, batch: int) -> Any:
        return self.kernels.Ensemble(batch=batch, **self.what)

    def tail(self, name: str) -> tuple[int, ...]:
        return () if name == "nonlinearity" else (self.n,)

    def shares(self, name: str) -> bool:
        """Whether all realisations have one such coefficient."""
        return name == "omega" or bool(self.what[f"shared_{name}"])

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
            total = total[forward._places(self.n, self.like)]
        elif not self.shares(name):
            total = total.view(*self.batch_shape, *self.tail(name))
        return total.sum_to_size(like.shape).to(like.dtype)


class _Part:
    """Realisations that go back together."""

    def __init__(self, run: _Run, begin: int, end: int) -> None:
        self._run = run
        self._size = end - begin
        self._ensemble = run.ensemble(self._size)
        self._rows = {
            name: rows if run.shares(name) else rows[begin:end] for name, rows in run.rows.items()
        }
        self._step = 0.0
        self._tables = forward._scratch(self._ensemble.tables_size(), run.like)
        self._slopes: Tensor | None = None
        if "loss" in run.names:
            self._slopes = forward._scratch(self._ensemble.slopes_size(), run.like)
        threads = run.n // run.kernels.points_of_thread
        self._sums = {
            name: run.like.new_zeros(
                (self._size, threads if name == "nonlinearity" else run.n), dtype=torch.float64
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
        loss = forward._address(self._rows.get("loss"))
        self._ensemble.build_tables(
            step=step,
            omega=run.omega.data_ptr(),
            filter=forward._address(run.filter),
            loss=loss,
            tables=self._tables.data_ptr(),
            **run.queue,
        )
        if self._slopes is not None:
            self._ensemble.build_slopes(
                step=step, loss=loss, slopes=self._slopes.data_ptr(), **run.queue
            )

    def _interval(self, cotangent: Tensor, start: Tensor, end: Tensor, steps: int) -> None:
        run = self._run
        flows = self._ensemble.flows(steps)
        length = segment_length(flows, self._size, run.field_bytes, run.record_bytes)
        firsts = range(0, flows, length)
        begins = [start]
        checkpoints = start.new_empty((len(firsts) - 1, *start.shape))
        for first, checkpoint in zip(firsts[:-1], checkpoints, strict=True):
            self._record(steps, first, first + length, begins[-1], out=checkpoint)
            begins.append(checkpoint)
        fields = start.new_empty((length + 1, *start.shape))
        spectra = start.new_empty((length, *start.shape)) if "omega" in run.names else None
        for first, begin in zip(reversed(firsts), reversed(begins), strict=True):
            last = min(first + length, flows)
            again = torch.empty_like(end) if last == flows else None
            self._record(steps, first, last, begin, again, fields, spectra)
            if again is not None:
                self._spoil_missed(cotangent, again, end)
            self._adjoint(steps, first, last, cotangent, fields, spectra)

    def _record(
        self,
        steps: int,
        first: int,
        last: int,
        psi: Tensor,
        out: Tensor | None,
        fields: Tensor | None = None,
        spectra: Tensor | None = None,
    ) -> None:
        self._ensemble.record(
            first=first,
            last=last,
            psi=psi.data_ptr(),
            fields=forward._address(fields),
            spectra=forward._address(spectra),
            out=forward._address(out),
            **self._given(steps),
        )

    def _spoil_missed(self, cotangent: Tensor, again: Tensor, end: Tensor) -> None:
        """NaN where the steps taken again end elsewhere, by the CPU's measure."""
        off = torch.linalg.vector_norm(again - end, dim=-1)
        missed = ~(off <= self._run.tolerance * torch.linalg.vector_norm(end, dim=-1))
        cotangent.masked_fill_(missed[:, None], complex(math.nan, math.nan))

    def _adjoint(
        self,
        steps: int,
        first: int,
        last: int,
        cotangent: Tensor,
        fields: Tensor,
        spectra: Tensor | None,
    ) -> None:
        self._ensemble.adjoint(
            first=first,
            last=last,
            cotangent=cotangent.data_ptr(),
            fields=fields.data_ptr(),
            spectra=forward._address(spectra),
            slopes=forward._address(self._slopes),
            **{f"sum_{name}": forward._address(self._sums.get(name)) for name in _NAMES},
            **self._given(steps),
        )

    def _given(self, steps: int) -> dict[str, Any]:
        run = self._run
        return {
            "step": self._step,
            "steps": steps,
            "nonlinearity": self._rows["nonlinearity"].data_ptr(),
            "potential": forward._address(self._rows.get("potential")),
            "twiddles": run.twiddles.data_ptr(),
            "tables": self._tables.data_ptr(),
            **run.queue,
        }
