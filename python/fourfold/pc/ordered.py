"""Leaves of ordered values: mixtures of discretised distributions of a few parameters.

A row of a leaf's table, p(x | z = m) for x = 0 .. K - 1, is::

    p(x) = (1 - b) sum_c w_c [F((x + 1/2 - mu_c) / s_c) - F((x - 1/2 - mu_c) / s_c)] + b / K

with F the logistic or the normal distribution function, minus infinity and infinity in place of the
outermost edges, and the background b = 1e-4, which keeps every value possible. Learning moves the tables
as it does those of any leaf and then puts each row at the member of the family that is nearest to it;
the tables are what a circuit holds and saves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["KINDS", "Family", "check_leaves"]

Float = npt.NDArray[np.float64]

KINDS = ("categorical", "logistic", "gaussian_mixture")

BACKGROUND = 1e-4

_GAUSSIAN_COMPONENTS = 4

_LEAST_SCALE = 0.1
"""In units of the distance of neighbouring values, where a distribution is all at one of them."""

_HALVINGS = 4
"""Of a step that is too long, before it is given up until the next change of the tables."""


def check_leaves(leaves: Any, variables: int) -> dict[int, str]:
    """The kind of each variable that is not categorical."""
    given = leaves
    if isinstance(leaves, str):
        given = dict.fromkeys(range(variables), leaves)
    if not isinstance(given, Mapping):
        raise TypeError(
            f"leaves: expected one of {', '.join(KINDS)}, or a mapping from variables to them, "
            f"got {type(leaves).__name__}"
        )
    kinds = {}
    for variable, kind in given.items():
        if kind not in KINDS:
            raise ValueError(f"leaves: expected one of {', '.join(KINDS)}, got {kind!r}")
        if isinstance(variable, bool) or not isinstance(variable, (int, np.integer)):
            raise TypeError(f"leaves: expected indices of variables, got {variable!r}")
        if not 0 <= variable < variables:
            raise ValueError(
                f"leaves: expected variables 0 to {variables - 1}, got {int(variable)}"
            )
        if kind != "categorical":
            kinds[int(variable)] = kind
    return dict(sorted(kinds.items()))


class Parameters(NamedTuple):
    """Of the rows of one table, each (rows, components)."""

    weight: Float
    location: Float
    log_scale: Float


class Family:
    """One kind of distribution over 0 .. values - 1."""

    def __init__(self, kind: str, values: int) -> None:
        self.kind = kind
        self.values = values
        self.components = _GAUSSIAN_COMPONENTS if kind == "gaussian_mixture" else 1

    def start(self, table: Float, rng: np.random.Generator | None) -> Parameters:
        """Components at quantiles of each row: random ones, or evenly spaced ones without ``rng``."""
        rows = len(table)
        shape = (rows, self.components)
        cumulative = np.cumsum(table, axis=1)
        even = np.broadcast_to((np.arange(self.components) + 0.5) / self.components, shape)
        quantile = even if rng is None else rng.random(shape)
        location = (cumulative[:, None, :] < quantile[:, :, None] * cumulative[:, -1:, None]).sum(
            -1
        )
        x = np.arange(self.values)
        mean = table @ x
        spread = np.sqrt(np.maximum(table @ x**2 - mean**2, 0)) / self.components
        # A logistic distribution of scale 1 has the standard deviation pi / sqrt(3).
        scale = spread / 1.8 if self.kind == "logistic" else spread
        log_scale = np.log(np.maximum(scale, 2 * _LEAST_SCALE))[:, None]
        return Parameters(
            np.full(shape, 1 / self.components),
            location.astype(np.float64),
            np.broadcast_to(log_scale, shape).copy(),
        )

    def table(self, parameters: Parameters) -> Float:
        """The rows: (rows, values)."""
        each, _, _ = self._components(parameters)
        mixed = np.einsum("rc,rck->rk", parameters.weight, each)
        return np.asarray((1 - BACKGROUND) * mixed + BACKGROUND / self.values)

    def improved(self, target: Float, parameters: Parameters) -> Parameters:
        """Parameters whose cross entropy to ``target`` is lower, or not higher.

        Generalised EM: the components' shares of the target, then for each component a step of
        Fisher scoring in location and log scale, halved until the cross entropy does not rise.
        """
        each, by_location, by_scale = self._components(parameters)
        mixed = np.einsum("rc,rck->rk", parameters.weight, each)
        whole = (1 - BACKGROUND) * mixed + BACKGROUND / self.values
        share = (1 - BACKGROUND) * parameters.weight[:, :, None] * each * (target / whole)[:, None]
        mass = share.sum(axis=-1)
        total = mass.sum(axis=-1, keepdims=True)
        weight = np.where(total > 0, mass / np.where(total > 0, total, 1), parameters.weight)
        step = _scoring_step(share, mass, each, by_location, by_scale)
        return self._line_search(target, parameters, weight, *step)

    def _line_search(
        self, target: Float, old: Parameters, weight: Float, location: Float, log_scale: Float
    ) -> Parameters:
        """The weights alone, which cannot be worse, or with as much of the step as is no worse."""
        best = Parameters(weight, old.location, old.log_scale)
        score = self._score(target, best)
        open_rows = np.ones(len(target), dtype=bool)
        size = 1.0
        least = np.log(_LEAST_SCALE)
        for _ in range(_HALVINGS):
            tried = Parameters(
                weight,
                np.clip(old.location + size * location, -0.5, self.values - 0.5),
                np.clip(old.log_scale + size * log_scale, least, np.log(4.0 * self.values)),
            )
            better = (self._score(target, tried) >= score) & open_rows
            best = Parameters(
                weight,
                np.where(better[:, None], tried.location, best.location),
                np.where(better[:, None], tried.log_scale, best.log_scale),
            )
            open_rows &= ~better
            if not open_rows.any():
                break
            size /= 2
        return best

    def _score(self, target: Float, parameters: Parameters) -> Float:
        return np.asarray((target * np.log(self.table(parameters))).sum(axis=-1))

    def _components(self, parameters: Parameters) -> tuple[Float, Float, Float]:
        """p_c(x) and its derivatives by location and log scale, each (rows, components, values)."""
        scale = np.exp(parameters.log_scale)[:, :, None]
        edges = np.arange(1, self.values) - 0.5
        t = (edges - parameters.location[:, :, None]) / scale
        below, density = _distribution(self.kind, t)
        ends = np.zeros((*t.shape[:2], 1))
        cumulative = np.concatenate([ends, below, ends + 1], axis=-1)
        slope = np.concatenate([ends, density, ends], axis=-1)
        stretch = np.concatenate([ends, t * density, ends], axis=-1)
        each = np.maximum(np.diff(cumulative, axis=-1), 0)
        return each, -np.diff(slope, axis=-1) / scale, -np.diff(stretch, axis=-1)


def _distribution(kind: str, t: Float) -> tuple[Float, Float]:
    """Distribution function and density."""
    from scipy.special import expit, ndtr

    if kind == "logistic":
        below = expit(t)
        return below, below * expit(-t)
    return ndtr(t), np.exp(-0.5 * t * t) / np.sqrt(2 * np.pi)


def _scoring_step(
    share: Float, mass: Float, each: Float, by_location: Float, by_scale: Float
) -> tuple[Float, Float]:
    """Fisher scoring for every component: the information matrix is 2 x 2."""
    safe = np.where(each > 1e-12, each, 1.0)
    held = np.where(each > 1e-12, 1 / safe, 0.0)
    gradient_l = (share * by_location * held).sum(-1)
    gradient_s = (share * by_scale * held).sum(-1)
    ll = mass * (by_location**2 * held).sum(-1)
    ss = mass * (by_scale**2 * held).sum(-1)
    ls = mass * (by_location * by_scale * held).sum(-1)
    determinant = ll * ss - ls**2
    solvable = determinant > 1e-9 * ll * ss
    divisor = np.where(solvable, determinant, 1.0)
    location = np.where(solvable, (ss * gradient_l - ls * gradient_s) / divisor, 0.0)
    log_scale = np.where(solvable, (ll * gradient_s - ls * gradient_l) / divisor, 0.0)
    # No step may leave the range in which the information is about right.
    return location, np.clip(log_scale, -1.0, 1.0)
