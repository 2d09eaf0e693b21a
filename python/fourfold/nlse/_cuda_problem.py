"""A problem whose tensors are on a GPU, as the kernels take it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from fourfold import _gpu
from fourfold.nlse._cuda_tables import REAL, address, filter_of, per_realisation

__all__ = ["Problem"]

Tensor = torch.Tensor


@dataclass(frozen=True)
class Problem:
    """Keeps the tensors alive whose addresses it hands over.

    Attributes
    ----------
    what : dict
        Arguments of the kernels' constructors.
    omega : Tensor
        ``(n,)``, float64, in the FFT's order.
    nonlinearity, potential, loss : Tensor
        In the field's precision; a row for all realisations, or one for each.
    """

    kernels: Any
    like: Tensor
    what: dict[str, Any]
    omega: Tensor
    nonlinearity: Tensor
    potential: Tensor | None
    loss: Tensor | None
    filter: Tensor | None
    queue: dict[str, int]

    @classmethod
    def of(
        cls,
        psi0: Tensor,
        omega: Tensor,
        nonlinearity: Tensor,
        potential: Tensor | None,
        loss: Tensor | None,
        method: str,
        dealias: str | None,
    ) -> Problem:
        """Of tensors that are checked. Raises NotImplementedError without the CUDA kernels."""
        n, batch_shape = psi0.shape[-1], psi0.shape[:-1]
        real, device = REAL[psi0.dtype], psi0.device.index
        v, gamma = (
            None if values is None else per_realisation(values, batch_shape, (n,), real)
            for values in (potential, loss)
        )
        return cls(
            kernels=_gpu.cuda_kernels().nlse,
            like=psi0,
            what={
                "n": n,
                "batch": math.prod(batch_shape),
                "method": method,
                "single": real == torch.float32,
                "shared_nonlinearity": nonlinearity.ndim == 0,
                "shared_potential": potential is not None and potential.ndim == 1,
                "shared_loss": loss is not None and loss.ndim == 1,
                "lossy": loss is not None,
            },
            omega=omega.to(torch.float64).resolve_neg().contiguous(),
            nonlinearity=per_realisation(nonlinearity, batch_shape, (), real),
            potential=v,
            loss=gamma,
            filter=filter_of(n, dealias, psi0),
            queue={"device": device, "stream": _gpu.current_stream(device)},
        )

    @property
    def n(self) -> int:
        return int(self.what["n"])

    @property
    def batch(self) -> int:
        return int(self.what["batch"])

    def medium(self) -> dict[str, int]:
        """Arguments of all that advances a field."""
        return {
            "nonlinearity": self.nonlinearity.data_ptr(),
            "potential": address(self.potential),
            **self.queue,
        }
