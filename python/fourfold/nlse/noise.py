"""Noise on initial states, for ensembles."""

from __future__ import annotations

import math
import sys
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    Field = TypeVar("Field", NDArray[np.complex64], NDArray[np.complex128], torch.Tensor)

__all__ = ["add_noise"]


def add_noise(
    psi: Field, *, relative: float, rng: np.random.Generator | int | np.integer[Any]
) -> Field:
    r"""Add complex white Gaussian noise to each realisation.

    .. math:: \psi_j + r \, \sqrt{\tfrac{1}{n} \textstyle\sum_i |\psi_i|^2} \;
              \frac{\xi_j + i \eta_j}{\sqrt 2}

    with independent standard normal xi, eta: at each point the noise has the standard deviation
    `relative` times the root mean square of that realisation's field, so it adds the fraction
    ``relative**2`` to the mass on average, spread evenly over all wavenumbers.

    Parameters
    ----------
    psi : complex64 or complex128 NumPy array or torch tensor, shape (..., n)
        The noiseless fields: one realisation a row. It is not changed.
    relative : float
        r, not negative.
    rng : numpy.random.Generator or int
        Where the noise comes from; an integer is a seed. Real and imaginary parts are drawn
        alternately, row by row: the first rows of a larger ensemble get the same noise as those of
        a smaller one from the same seed.

    Returns
    -------
    array or tensor like `psi`: same kind, shape, dtype and device

    Raises
    ------
    TypeError, ValueError
        An argument is not what is said above.

    Examples
    --------
    >>> import numpy as np
    >>> from fourfold import nlse
    >>> psi0 = nlse.plane_wave(nlse.Grid(n=256, length=50.0))
    >>> ensemble = nlse.add_noise(np.tile(psi0, (100, 1)), relative=1e-3, rng=1)
    """
    if isinstance(relative, (bool, np.bool_)) or not isinstance(relative, Real):
        raise TypeError(f"relative must be a real number, got {relative!r}")
    if not (math.isfinite(relative) and relative >= 0):
        raise ValueError(f"relative must be finite and not negative, got {relative}")
    generator = _generator(rng)

    torch = sys.modules.get("torch")  # psi is no tensor if torch has not been loaded
    if torch is not None and isinstance(psi, torch.Tensor):
        if psi.dtype not in (torch.complex64, torch.complex128):
            raise TypeError(f"psi must be complex64 or complex128, got {psi.dtype}")
        _check_shape(tuple(psi.shape))
        wide = psi.to(torch.complex128)
        size = wide.abs().square().mean(dim=-1, keepdim=True).sqrt()
        noise = torch.from_numpy(_unit_noise(generator, tuple(psi.shape))).to(psi.device)
        noisy: Field = (wide + (relative * size) * noise).to(psi.dtype)
        return noisy

    if not isinstance(psi, np.ndarray):
        raise TypeError(f"psi must be a NumPy array or torch tensor, got {type(psi).__name__}")
    if psi.dtype.type not in (np.complex64, np.complex128):
        raise TypeError(f"psi must be complex64 or complex128, got {psi.dtype}")
    _check_shape(psi.shape)
    field = psi.astype(np.complex128)
    rms = np.sqrt(np.mean(field.real**2 + field.imag**2, axis=-1, keepdims=True))
    field += (relative * rms) * _unit_noise(generator, psi.shape)
    return field.astype(psi.dtype)


def _generator(rng: np.random.Generator | int | np.integer[Any]) -> np.random.Generator:
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)):
        if isinstance(rng, bool):
            raise TypeError(f"rng must be a numpy.random.Generator or an integer seed, got {rng!r}")
        if rng < 0:
            raise ValueError(f"rng must not be negative when it is a seed, got {rng}")
        return np.random.default_rng(int(rng))
    raise TypeError(f"rng must be a numpy.random.Generator or an integer seed, got {rng!r}")


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) == 0 or shape[-1] == 0:
        raise ValueError(f"psi must have shape (..., n) with n > 0, got {shape}")


def _unit_noise(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Complex normal numbers with mean square modulus 1."""
    parts = generator.standard_normal((*shape, 2)) * math.sqrt(0.5)
    return parts.view(np.complex128)[..., 0]
