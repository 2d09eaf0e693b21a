"""What every basis is: functions of one input feature, evaluated side by side."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from fourfold._gpu import has_cuda_kernels
from fourfold.kan._checks import check_positive, check_tensor

__all__ = ["Basis", "Implementation"]

Implementation = Literal["auto", "compiled", "torch"]
_LOW_PRECISION = (torch.float16, torch.bfloat16)
# Where there are kernels: known when this is imported, so that torch.compile need not look for them.
_WITH_KERNELS = ("cpu", "meta", "cuda") if has_cuda_kernels() else ("cpu", "meta")


class Basis(nn.Module):
    """A set of functions ``b_1 .. b_K``, applied to every input feature.

    To make one of your own, derive from this class, set `functions` and write `formula`; `KANLinear`,
    `KANConv2d`, `SelectableKANLinear` and `KAN` take an instance wherever they take a name.

    Parameters
    ----------
    in_features : int
        Number of input features D.
    functions : int
        Number of functions K.
    implementation : {"auto", "compiled", "torch"}
        ``"auto"`` runs the compiled kernel where there is one (on the CPU, and on a GPU if this
        installation has CUDA kernels) and the formula elsewhere, and inside ``torch.compile`` also
        where that makes faster code of the formula (`fuses`).

    Attributes
    ----------
    default_base : str or None
        Activation of the residual branch that goes with this basis in the field; see `KANLinear`.
    separable : bool
        Whether a function's value depends on its own feature alone.
    fuses : bool
        Whether ``torch.compile`` of the formula is faster than the kernel.
    """

    default_base: ClassVar[str | None] = None
    fuses: ClassVar[bool] = False
    separable: bool = True

    def __init__(
        self, in_features: int, functions: int, *, implementation: Implementation = "auto"
    ) -> None:
        super().__init__()
        check_positive("in_features", in_features)
        check_positive("functions", functions)
        if implementation not in ("auto", "compiled", "torch"):
            raise ValueError(
                f"implementation: expected 'auto', 'compiled' or 'torch', got {implementation!r}"
            )
        if implementation == "compiled" and type(self).compiled is Basis.compiled:
            raise NotImplementedError(
                f"implementation: {type(self).__name__} has no compiled kernel, use 'auto' or "
                "'torch'"
            )
        self.in_features = in_features
        self.functions = functions
        self.implementation = implementation

    def formula(self, x: Tensor) -> Tensor:
        """The functions at ``x`` (..., D), as (..., K, D): in plain torch."""
        raise NotImplementedError(f"{type(self).__name__} does not define formula")

    def compiled(self, x: Tensor) -> Tensor:
        """As `formula`, by the compiled kernel: float32 and float64."""
        return self.formula(x)

    def forward(self, x: Tensor) -> Tensor:
        """The functions at every feature.

        Parameters
        ----------
        x : Tensor
            (..., D), floating. float16 and bfloat16 are computed in float32.

        Returns
        -------
        Tensor
            (..., K, D), in the dtype of x.
        """
        self.check(x)
        wide = x.float() if x.dtype in _LOW_PRECISION else x
        values = self.compiled(wide) if self.compiles(x) else self.formula(wide)
        result: Tensor = values.to(x.dtype)
        return result

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """``sum over j, d of b_j(x[..., d]) weight[j, d, o]``, (..., O) of weight (K, D, O)."""
        product: Tensor = self(x).flatten(-2) @ weight.flatten(0, 1)
        return product

    def check(self, x: Tensor) -> None:
        """Refuse what is no floating tensor (..., D)."""
        check_tensor("x", x)
        if not x.is_floating_point():
            raise TypeError(f"x: expected a floating dtype, got {x.dtype}")
        if x.dim() == 0 or x.shape[-1] != self.in_features:
            raise ValueError(
                f"x: expected {self.in_features} features in its last dimension, "
                f"got shape {tuple(x.shape)}"
            )

    def compiles(self, x: Tensor) -> bool:
        """Whether `forward` runs the compiled kernel on such a tensor."""
        if self.implementation == "auto":
            fused = self.fuses and torch.compiler.is_compiling()
            return x.device.type in _WITH_KERNELS and not fused
        return self.implementation == "compiled"

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{self.in_features}, functions={self.functions}"
