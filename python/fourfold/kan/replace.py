"""Rational functions in the place of a model's activations."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from fourfold.kan.activation import Rational
from fourfold.kan.fitting import Interval, RationalFit, fit_rational
from fourfold.kan.functional import Variant

__all__ = ["rationalize"]

Tensor = torch.Tensor


def rationalize(
    model: nn.Module,
    targets: type[nn.Module] | tuple[type[nn.Module], ...] = (nn.GELU, nn.SiLU, nn.ReLU),
    *,
    groups: int = 1,
    dim: int = -1,
    degree: tuple[int, int] = (5, 4),
    variant: Variant = "A",
    interval: Interval = (-8.0, 8.0),
) -> nn.Module:
    """Replace a model's activation modules by trainable rational functions of the same shape.

    Each activation becomes a `Rational` that begins as its best fit on the interval: as long as what
    enters an activation stays there, what leaves it changes by no more than the error of the fit, which
    ``module.fit.error`` says. Training goes on from there. Activations that are called as functions (``F.relu``)
    are not seen.

    Parameters
    ----------
    model : nn.Module
        Changed in place, parameters and all else as they were. A module that is used in several
        places is replaced by one `Rational` in all of them.
    targets : type, or tuple or list of type
        Classes of what to replace; any module without parameters that works element by element.
    groups : int
        How many stretches of channels have a denominator of their own. With 1 all elements share one
        function, and it does not matter which dimension has the channels.
    dim : int
        The dimension of the channels, if there are groups: -1 behind linear maps, 1 behind
        convolutions.
    degree, variant, interval
        Of the fit, see `fit_rational`.

    Returns
    -------
    nn.Module
        The model; if it is itself an activation, what replaces it.

    Raises
    ------
    ValueError
        The model has no such module, or one of them has parameters.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected a module, got {type(model).__name__}")
    targets = tuple(targets) if isinstance(targets, (tuple, list)) else (targets,)
    classes: tuple[Any, ...] = targets
    if not all(isinstance(kind, type) and issubclass(kind, nn.Module) for kind in classes):
        raise TypeError(f"targets: expected classes of modules, got {targets}")
    replaced: dict[nn.Module, Rational] = {}
    like = next((p for p in model.parameters() if p.is_floating_point()), None)

    def replacement(old: nn.Module) -> Rational:
        if old not in replaced:
            fit = _fit_of(old, degree, interval, variant)
            new = Rational(
                None,
                groups,
                degree,
                variant,
                fit,
                dim,
                device=None if like is None else like.device,
                dtype=None if like is None else like.dtype,
            )
            replaced[old] = new.train(old.training)
        return replaced[old]

    if isinstance(model, targets):
        return replacement(model)
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if isinstance(child, targets):
                parent._modules[name] = replacement(child)
    if not replaced:
        names = ", ".join(kind.__name__ for kind in targets)
        raise ValueError(
            f"model: expected at least one module of {names}, {type(model).__name__} has none; "
            "activations called as functions are not seen"
        )
    return model


def _fit_of(
    old: nn.Module, degree: tuple[int, int], interval: Interval, variant: Variant
) -> RationalFit:
    if next(old.parameters(), None) is not None:
        raise ValueError(
            f"targets: expected activations without parameters, {type(old).__name__} has some"
        )
    name = _name_of(old)
    if name is not None:
        return fit_rational(name, degree, interval, variant)
    return fit_rational(copy.deepcopy(old).cpu().eval(), degree, interval, variant)


def _name_of(old: nn.Module) -> str | None:
    """Of the function that is shipped, if it is one."""
    if type(old) is nn.GELU:
        return "gelu" if old.approximate == "none" else "gelu_tanh"
    names: dict[type[nn.Module], str] = {
        nn.ReLU: "relu",
        nn.SiLU: "silu",
        nn.Mish: "mish",
        nn.SELU: "selu",
        nn.Sigmoid: "sigmoid",
        nn.Tanh: "tanh",
    }
    return names.get(type(old))
