"""The vector that the search for hyperparameters moves: the kernels' parameters, then the noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels import Kernel
from fourfold.gp.kernels._parameters import Bounds, Parameter, positive_parameter
from fourfold.gp.priors import Prior

__all__ = ["Hyperparameters"]

Array = npt.NDArray[np.float64]


class Hyperparameters:
    """Start, bounds, names and priors of theta.

    Parameters
    ----------
    kernels : sequence of Kernel
    noise : float, or ndarray of shape (N,)
    noise_bounds : (float, float) or None
        None: fixed. An array is.
    priors : mapping of names to `Prior`
    spans : sequence of float
        Lengths of the axes, which scale the steps of restarts in frequencies.
    """

    def __init__(
        self,
        kernels: Sequence[Kernel],
        noise: float | Array,
        noise_bounds: Bounds,
        priors: Mapping[str, Prior],
        spans: Sequence[float],
    ) -> None:
        self.kernels, self.noise = list(kernels), noise
        self._named: list[tuple[str, Parameter]] = [
            (f"kernels[{k}].{p.name}", p)
            for k, kernel in enumerate(kernels)
            for p in kernel.parameters
            if p.free
        ]
        self._learns_noise = isinstance(noise, float) and noise_bounds is not None
        if self._learns_noise:
            assert isinstance(noise, float)
            self._named.append(("noise", positive_parameter("noise", noise, noise_bounds)))
        names = [name for name, _ in self._named]
        for name in priors:
            if name not in names:
                raise ValueError(
                    f"priors: {name!r} is not a free hyperparameter; these are {', '.join(names) or 'none'}"
                )
        self._priors = dict(priors)
        pieces = [p for _, p in self._named]
        self.start = np.concatenate([np.empty(0), *(p.theta for p in pieces)])
        self.bounds = np.concatenate([np.empty((0, 2)), *(p.theta_bounds for p in pieces)])
        widths = [np.empty(0)]
        for name, p in self._named:
            if p.log:
                widths.append(np.full(p.value.size, 1.5))
            else:
                axis = int(name.split("[")[1].split("]")[0])
                widths.append(np.maximum(np.abs(p.theta) / 2, 2 / (spans[axis] or 1.0)))
        self._widths = np.concatenate(widths)

    @property
    def names(self) -> list[str]:
        """Name of each entry of theta; those of a vector end in [0], [1], ..."""
        return [
            name if p.value.ndim == 0 else f"{name}[{i}]"
            for name, p in self._named
            for i in range(p.value.size)
        ]

    def drawn(self, rng: np.random.Generator) -> Array:
        """Another start: normal around the first one (a factor of 4.5 in positive parameters) within the bounds."""
        theta = self.start + self._widths * rng.standard_normal(self.start.size)
        return np.clip(theta, self.bounds[:, 0], self.bounds[:, 1])

    def unpack(self, theta: Array) -> tuple[list[Kernel], float | Array]:
        """Kernels and noise."""
        found, at = [], 0
        for kernel in self.kernels:
            size = kernel.theta.size
            found.append(kernel.with_theta(theta[at : at + size]))
            at += size
        return found, float(np.exp(theta[at])) if self._learns_noise else self.noise

    def gradient(self, by_kernels: Sequence[Array], noise: float | Array, by_noise: float) -> Array:
        """With respect to theta, from those with respect to the kernels' own thetas and the noise."""
        last = [by_noise * noise] if self._learns_noise else []
        return np.concatenate([*by_kernels, last])

    def log_prior(self, theta: Array) -> tuple[float, Array]:
        """Sum of the log densities of the values, and its gradient with respect to theta."""
        total, gradient, at = 0.0, np.zeros_like(theta), 0
        for name, p in self._named:
            some = slice(at, at + p.value.size)
            at = some.stop
            if name in self._priors:
                value = p.to_value(theta[some]).reshape(-1)
                density, slope = self._priors[name].log_density(value)
                total += float(np.sum(density))
                gradient[some] = slope * value if p.log else slope
        return total, gradient

    def at_bounds(self, theta: Array) -> tuple[str, ...]:
        """Names of the entries that ended at a bound."""
        low, high = self.bounds.T
        return tuple(
            name
            for name, at in zip(self.names, (theta <= low) | (theta >= high), strict=True)
            if at
        )


def checked_priors(priors: Any) -> dict[str, Prior]:
    """A mapping of names to `Prior`."""
    if priors is None:
        return {}
    if not isinstance(priors, Mapping):
        raise TypeError(
            f"priors: expected a mapping of names to priors, got {type(priors).__name__}"
        )
    for name, prior in priors.items():
        if not isinstance(prior, Prior):
            raise TypeError(f"priors[{name!r}]: expected a gp.priors.Prior, got {prior!r}")
    return dict(priors)
