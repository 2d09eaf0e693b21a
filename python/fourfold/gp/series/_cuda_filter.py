"""Series on a GPU: the place that hands their addresses to the CUDA kernels.

Layouts are those of csrc/gp/state_space_call.hpp. Work is queued on torch's current stream of the series' device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fourfold._gpu import cuda_kernels, current_stream
from fourfold.gp._variance import checked_variance_there
from fourfold.gp.kernels import Matern
from fourfold.gp.series._filter import not_positive
from fourfold.gp.series._series import Likelihood, merged, rate

__all__ = ["SeriesThere"]

Array = npt.NDArray[np.float64]

_LARGEST_STATE = 4


@dataclass(frozen=True)
class SeriesThere:
    """As `Series`, but ``value`` and ``observed`` are (T, B) on a GPU, one series beside the other.

    Attributes
    ----------
    device : int
        The GPU's number.
    """

    time: Array
    value: Tensor
    observed: Tensor
    noise: Array | None
    single: bool
    device: int

    @property
    def size(self) -> int:
        """Entries of y."""
        return self.value.numel()

    @property
    def count(self) -> int:
        """How many of them were observed."""
        return int(self.observed.sum())

    def likelihood(self, parts: list[Matern], noise: float | Array) -> Likelihood:
        """As `Series.likelihood`. Waits for the device."""
        call = _Call(self, parts, self.time, noise, self.value, self.observed)
        rows = 2 + 2 * call.size
        out = self.value.new_empty(rows, self.value.shape[1])
        by_rate, by_log_variance = out[2 : 2 + call.size], out[2 + call.size :]
        call.run(
            "likelihood",
            log_likelihood=out[:1].data_ptr(),
            by_noise=out[1:2].data_ptr(),
            by_rate=by_rate.data_ptr(),
            by_log_variance=by_log_variance.data_ptr(),
        )
        sums = out.sum(1).cpu().numpy()
        if not np.isfinite(sums[0]):
            call.refuse_unfinished()
        begin = np.cumsum([0, *call.order[:-1]])
        return Likelihood(
            float(sums[0]),
            np.add.reduceat(sums[2 : 2 + call.size], begin),
            np.add.reduceat(sums[2 + call.size :], begin) / [part.variance for part in parts],
            float(sums[1]) * float(noise) if isinstance(noise, float) else np.nan,
        )

    def posterior(
        self, parts: list[Matern], noise: float | Array, new: Array, prior: float
    ) -> tuple[Tensor, Tensor, int]:
        """As `Series.posterior`. Waits for the device."""
        both = merged(self.time, noise, new)
        order = torch.from_numpy(both.order).to(self.value.device)
        shape = (new.size, self.value.shape[1])
        value = torch.cat([self.value, self.value.new_zeros(shape)])[order]
        observed = torch.cat([self.observed, self.observed.new_zeros(shape)])[order]
        place = np.where(both.order < self.time.size, -1, both.order - self.time.size)
        there = torch.from_numpy(place.astype(np.int32)).to(self.value.device)
        mean, variance = self.value.new_empty(2, *shape).unbind()
        call = _Call(self, parts, both.time, both.noise, value, observed)
        if both.order.size:
            call.run(
                "posterior",
                place=there.data_ptr(),
                mean=mean.data_ptr(),
                variance=variance.data_ptr(),
            )
            call.refuse_unfinished()
        variance, zeroed = checked_variance_there(variance, prior)
        return mean.mT.contiguous(), variance.mT.sqrt().contiguous(), zeroed

    def in_kind(self, result: Any, t: Any) -> Any:
        """A result is a tensor on the GPU, whatever t is."""
        del t
        return result


class _Call:
    """A model and its data for the CUDA kernels."""

    def __init__(
        self,
        data: SeriesThere,
        parts: Sequence[Matern],
        time: Array,
        noise: float | Array,
        value: Tensor,
        observed: Tensor,
    ) -> None:
        self.order = [round(part.nu + 0.5) for part in parts]
        self.size = sum(self.order)
        if self.size > _LARGEST_STATE:
            raise NotImplementedError(
                f"kernel: its state has {self.size} components (1, 2, 3 for each Matern-1/2, 3/2, 5/2), the CUDA kernels "
                f"take up to {_LARGEST_STATE}; move y to the CPU (y.cpu())"
            )
        count, series = value.shape
        self.kernel = cuda_kernels().gp.StateSpace(
            order=self.order,
            rate=[rate(part) for part in parts],
            variance=[part.variance for part in parts],
            series=series,
            count=count,
        )
        self.device = data.device
        self.time = time
        noise_row = np.array(np.broadcast_to(noise, time.shape), dtype=np.float64)
        # Kept until the work is queued.
        self.data = [
            torch.from_numpy(np.ascontiguousarray(time)).to(value.device),
            value,
            torch.from_numpy(noise_row).to(value.device),
            observed,
        ]
        self.reached = value.new_empty(series, dtype=torch.int32)
        self.predicted = value.new_empty(series)
        self.scratch = value.new_empty(self.kernel.scratch_count())

    def run(self, name: str, **results: int) -> None:
        """Queue ``likelihood`` or ``posterior``."""
        getattr(self.kernel, name)(
            data=[tensor.data_ptr() for tensor in self.data],
            reached=self.reached.data_ptr(),
            predicted=self.predicted.data_ptr(),
            scratch=self.scratch.data_ptr(),
            device=self.device,
            stream=current_stream(self.device),
            **results,
        )

    def refuse_unfinished(self) -> None:
        """Raise `NotPositiveDefiniteError` for the first series that did not reach the end."""
        short = (self.reached < self.time.size).nonzero()
        if short.numel():
            row = int(short[0, 0])
            raise not_positive(row, int(self.reached[row]), self.time, float(self.predicted[row]))
