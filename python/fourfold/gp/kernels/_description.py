"""Kernels as plain dictionaries, for files."""

from __future__ import annotations

from typing import Any

from fourfold.errors import NotSavableError
from fourfold.gp.kernels._parametric import ParametricKernel
from fourfold.gp.kernels.base import Kernel
from fourfold.gp.kernels.compose import Product, Sum
from fourfold.gp.kernels.mixture import (
    Matern,
    SpectralMixture,
    SquaredExponential,
    StudentTMixture,
)
from fourfold.gp.kernels.periodic import Periodic
from fourfold.gp.kernels.rational_quadratic import RationalQuadratic

__all__ = ["describe", "kernel_of"]

_PAIRS: dict[str, Any] = {"Sum": Sum, "Product": Product}
_PARAMETRIC: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        Matern,
        Periodic,
        RationalQuadratic,
        SpectralMixture,
        SquaredExponential,
        StudentTMixture,
    )
}


def describe(kernel: Kernel) -> dict[str, Any]:
    """What `kernel_of` makes the kernel from: numbers, strings, lists and dictionaries.

    Raises
    ------
    NotSavableError
        For kernels that are not this package's.
    """
    name = type(kernel).__name__
    if isinstance(kernel, (Sum, Product)) and type(kernel) is _PAIRS.get(name):
        return {"kernel": name, "pair": [describe(kernel.first), describe(kernel.second)]}
    if not isinstance(kernel, ParametricKernel) or type(kernel) is not _PARAMETRIC.get(name):
        raise NotSavableError(f"kernels: {name} is not a kernel of fourfold, no file can hold it")
    arguments: dict[str, Any] = {"nu": kernel.nu} if isinstance(kernel, Matern) else {}
    for p in kernel.parameters:
        arguments[p.name] = p.value.tolist()
        arguments[f"{p.name}_bounds"] = p.bounds
    return {"kernel": name, "arguments": arguments}


def kernel_of(description: dict[str, Any]) -> Kernel:
    """The kernel that `describe` described."""
    name = description["kernel"]
    if name in _PAIRS:
        first, second = map(kernel_of, description["pair"])
        pair: Kernel = _PAIRS[name](first, second)
        return pair
    kernel: Kernel = _PARAMETRIC[name](**description["arguments"])
    return kernel
