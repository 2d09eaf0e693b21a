"""Group rational functions of tensors."""

from __future__ import annotations

from typing import Literal

import torch

from fourfold.kan import _kernel, _ops
from fourfold.kan._autograd import Rational, apply
from fourfold.kan._eager import in_forward_mode, is_plain
from fourfold.kan._signature import check
from fourfold.kan._twin import twin

__all__ = ["Implementation", "Variant", "rational"]

Tensor = torch.Tensor
Variant = Literal["A", "B", "C", "N"]
Implementation = Literal["kernel", "torch"]


def rational(
    x: Tensor,
    numerator: Tensor,
    denominator: Tensor,
    *,
    variant: Variant = "A",
    dim: int = -1,
    implementation: Implementation = "kernel",
) -> Tensor:
    r"""Apply a rational function to every element, with coefficients for each group of channels.

    ``F(x) = P(x)/Q(x)`` with ``P = sum_{i=0..m} a_i x^i`` and

    =======  =============================================
    variant  Q
    =======  =============================================
    ``"A"``  ``1 + sum_{j=1..n} |b_j| |x|^j``
    ``"B"``  ``1 + |sum_{j=1..n} b_j x^j|``
    ``"C"``  ``0.1 + |sum_{j=0..n} b_j x^j|``
    ``"N"``  ``1 + sum_{j=1..n} b_j x^j``, which may have zeros
    =======  =============================================

    The result is finite wherever F can be represented, and infinite where F overflows. The derivatives of
    ``|b|``, ``|x|`` and ``|sum|`` at 0 are taken as +1, so that a denominator that starts at zero learns.
    NaN in ``x`` stays in its own element.

    Parameters
    ----------
    x : torch.Tensor
        float64, float32, bfloat16 or float16, of any shape but a scalar, with any strides. (A tensor
        that does not fill a stretch of memory, such as an expanded one, is copied first.)
    numerator : torch.Tensor
        ``a_0, ..., a_m`` for each group, shape (groups, m + 1), or (1, m + 1) if all groups share
        them; m <= 12. Computed with in float64 if x is float64, else in float32; their gradients
        have their own dtype.
    denominator : torch.Tensor
        ``b_1, ..., b_n`` for each group, shape (groups, n) or (1, n); n <= 12. Variant C has ``b_0``
        in front.
    variant : {"A", "B", "C", "N"}
        The form of the denominator.
    dim : int
        The dimension of x that holds the channels. Group g has the g-th stretch of
        ``channels/groups`` of them.
    implementation : {"kernel", "torch"}
        The compiled kernel (also inside ``torch.compile``), or the formula in plain torch operations,
        for ``torch.export``, ONNX, and devices without a kernel. Forward-mode derivatives
        (``torch.func.jvp``) always take the latter.

    Returns
    -------
    torch.Tensor
        F(x), of the dtype, shape and device of x.

    Raises
    ------
    ValueError, TypeError
        The shapes, dtypes or devices do not fit together.
    NotImplementedError
        There is no kernel for the device of x.

    Notes
    -----
    Gradients of the coefficients are the same to the bit for any number of threads. Differentiable
    any number of times; the second derivative is computed by the formula in torch.

    References
    ----------
    X. Yang and X. Wang, *Kolmogorov-Arnold Transformer*, 2024, arXiv:2409.10594 (variant A).
    A. Molina, P. Schramowski and K. Kersting, *Padé Activation Units*, ICLR 2020 (A, B, C).

    Examples
    --------
    >>> import torch
    >>> from fourfold import kan
    >>> x = torch.tensor([[-1.0, 0.0, 2.0]])
    >>> kan.rational(x, torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5]]))  # x/(1 + |x|/2)
    tensor([[-0.6667,  0.0000,  1.0000]])
    """
    if is_plain(x, numerator, denominator) and implementation == "kernel":
        if torch.is_grad_enabled() and (
            x.requires_grad or numerator.requires_grad or denominator.requires_grad
        ):
            return apply(x, numerator, denominator, variant, dim)
        return _kernel.forward(x, numerator, denominator, variant, dim)
    for name, value in (("x", x), ("numerator", numerator), ("denominator", denominator)):
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"{name}: expected a torch.Tensor, got {type(value).__name__}")
    check(x, numerator, denominator, variant, dim)
    if implementation == "torch":
        return twin(x, numerator, denominator, variant, dim)
    if implementation != "kernel":
        raise ValueError(f"implementation: expected 'kernel' or 'torch', got {implementation!r}")
    if not _kernel.has_kernel_for(x.device):
        raise _kernel.no_kernel_for(x.device)
    if not torch.compiler.is_compiling():
        if in_forward_mode():
            return twin(x, numerator, denominator, variant, dim)
        # torch.func does not look into what torch.library registers for autograd.
        if torch._C._functorch.peek_interpreter_stack() is not None:
            if x.is_meta:
                raise _kernel.no_kernel_for(x.device)
            out: Tensor = Rational.apply(x, numerator, denominator, variant, dim)  # type: ignore[no-untyped-call]
            return out
    return _ops.rational(x, numerator, denominator, variant, dim)
