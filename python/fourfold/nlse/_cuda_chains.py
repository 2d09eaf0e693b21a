"""The flows of an interval on a GPU, taken again for gradients and taken back: in blocks of threads, or one by one.

Both hand addresses of tensors to C++. A part of the chain goes from before P_first to before P_last, or behind it where that
ends the chain (see `_cuda_fields`).
"""

from __future__ import annotations

from typing import Any

import torch

from fourfold.nlse import _cuda_fields
from fourfold.nlse._cuda_tables import address, twiddles

__all__ = ["Blocks", "Transforms"]

Tensor = torch.Tensor


class Blocks:
    """Of fields in shared memory.

    Attributes
    ----------
    kernels
        Makes the tables, and counts flows.
    sums_of_row : int
        How many numbers the sums for the nonlinearity have for each realisation.
    """

    def __init__(self, module: Any, what: dict[str, Any], like: Tensor, spectra: bool) -> None:
        self.kernels = module.Ensemble(**what)
        self.sums_of_row: int = what["n"] // module.points_of_thread
        self._twiddles = twiddles(what["n"], like)
        self._spectra = spectra
        self._given: dict[str, Any] = {}

    def begin(self, **given: Any) -> None:
        """An interval: step, steps, what acts, the queue."""
        self._given = given | {"twiddles": self._twiddles.data_ptr()}

    def records(self, length: int, like: Tensor) -> Any:
        """Room for those of so many flows."""
        spectra = like.new_empty((length, *like.shape)) if self._spectra else None
        return like.new_empty((length + 1, *like.shape)), spectra

    def take(
        self, first: int, last: int, psi: Tensor, out: Tensor | None, records: Any = None
    ) -> None:
        fields, spectra = (None, None) if records is None else records
        self.kernels.record(
            first=first,
            last=last,
            psi=psi.data_ptr(),
            fields=address(fields),
            spectra=address(spectra),
            out=address(out),
            **self._given,
        )

    def take_back(
        self, first: int, last: int, cotangent: Tensor, records: Any, **sums: int
    ) -> None:
        """Change ``cotangent``; ``sums`` are the addresses of the sums and of the slopes."""
        fields, spectra = records
        self.kernels.adjoint(
            first=first,
            last=last,
            cotangent=cotangent.data_ptr(),
            fields=fields.data_ptr(),
            spectra=address(spectra),
            **sums,
            **self._given,
        )


class Transforms:
    """The same of fields in device memory, through torch's transforms."""

    def __init__(self, module: Any, what: dict[str, Any], spectra: bool) -> None:
        self.kernels = module.Fields(**what)
        self.sums_of_row: int = self.kernels.sums_of_row()
        self._spectra = spectra
        self._flows = 0

    def begin(self, **given: Any) -> None:
        self._flows = self.kernels.begin(**given)

    def records(self, length: int, like: Tensor) -> Any:
        """None yet: they are the tensors that the flows leave behind."""
        return []

    def take(
        self, first: int, last: int, psi: Tensor, out: Tensor | None, records: Any = None
    ) -> None:
        _cuda_fields.take(self.kernels, self._flows, first, last, psi, out, records, self._spectra)

    def take_back(
        self, first: int, last: int, cotangent: Tensor, records: Any, **sums: int
    ) -> None:
        _cuda_fields.take_back(self.kernels, self._flows, first, last, cotangent, records, **sums)
