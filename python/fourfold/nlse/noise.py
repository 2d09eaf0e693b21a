"""Noise on initial states, for ensembles."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse._checks import check_grid, not_negative, refuse_masked
from fourfold.nlse._densities import abs2
from fourfold.nlse.grid import Grid

if TYPE_CHECKING:
    import torch

    Field = TypeVar("Field", NDArray[np.complex64], NDArray[np.complex128], torch.Tensor)

__all__ = ["add_noise", "add_photon_noise", "add_vacuum_noise", "wigner_occupation"]


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
    strength = not_negative("relative", relative)
    generator = _generator(rng)

    return _added(psi, lambda shape: _unit_noise(generator, shape), relative=strength)


def add_photon_noise(
    psi: Field,
    grid: Grid,
    *,
    quantum: float | ArrayLike,
    rng: np.random.Generator | int | np.integer[Any],
) -> Field:
    r"""Add one photon of random phase to each mode of each realisation.

    .. math:: c_k \to c_k + \sqrt{q_k / L} \, e^{i \theta_k}

    with independent phases, uniform over the circle; ``c = fft(psi)/n`` and :math:`L |c_k|^2` is the
    mass in the mode k, so that the mode gets the mass :math:`q_k` of one quantum by itself. This is the
    usual seed of supercontinuum studies (Dudley, Genty & Coen, Rev. Mod. Phys. 78 (2006) 1135, sec. III;
    one photon per spectral bin).

    Parameters
    ----------
    psi : complex64 or complex128 NumPy array or CPU tensor, shape (..., n)
        The noiseless fields: one realisation a row. It is not changed.
    grid : Grid
        Where the fields live; its modes are ``grid.k``.
    quantum : float or array (n,)
        q: the mass :math:`\int |\psi|^2 dx` that one quantum has, not negative; by mode, in the order of
        ``grid.k``, where quanta differ, as the energies of photons do. `fourfold.nlse.units` gives it for
        fibres and for traps.
    rng : numpy.random.Generator or int
        As in `add_noise`; drawn row by row.

    Returns
    -------
    array or tensor like `psi`: same kind, shape and dtype

    Raises
    ------
    TypeError, ValueError
        An argument is not what is said above.
    """
    amplitude = np.sqrt(_quantum(grid, quantum) / grid.length)
    generator = _generator(rng)

    def draw(shape: tuple[int, ...]) -> NDArray[np.complex128]:
        phases = 2 * np.pi * generator.random(shape)
        return np.fft.ifft(amplitude * np.exp(1j * phases), axis=-1, norm="forward")

    return _added(psi, draw, grid)


def add_vacuum_noise(
    psi: Field,
    grid: Grid,
    *,
    quantum: float | ArrayLike,
    rng: np.random.Generator | int | np.integer[Any],
) -> Field:
    r"""Add the fluctuations of the vacuum to each realisation: the truncated Wigner approximation.

    .. math:: c_k \to c_k + \sqrt{q_k / L} \, \frac{\xi_k + i \eta_k}{2}

    with independent standard normal xi, eta: half a quantum in each mode on average,
    :math:`L \langle |\delta c_k|^2 \rangle = q_k / 2`. The rows sample the Wigner function of coherent
    states with the amplitudes `psi`; averages over them are those of symmetrically ordered operators, and
    propagated by the equation they stay so as long as many quanta are in each mode that matters (Steel et
    al., Phys. Rev. A 58 (1998) 4824). `wigner_occupation` takes the half quantum off again. With one
    `quantum` for all modes the noise is white in x: :math:`\langle \delta\psi_i^* \delta\psi_j \rangle
    = \delta_{ij} \, q / (2 \, dx)`.

    Parameters
    ----------
    psi, grid, quantum, rng
        As in `add_photon_noise`. For atoms with a field of mass N the quantum is 1; with one of mass 1 it
        is 1/N.

    Returns
    -------
    array or tensor like `psi`: same kind, shape and dtype

    Raises
    ------
    TypeError, ValueError
        An argument is not what is said above.

    Examples
    --------
    >>> import numpy as np
    >>> from fourfold import nlse
    >>> grid = nlse.Grid(n=64, length=20.0)
    >>> atoms = nlse.add_vacuum_noise(np.zeros((1000, 64), complex), grid, quantum=1.0, rng=1)
    >>> round(float(nlse.diagnostics.mass(grid, atoms).mean()), 1)  # 64 modes, half an atom each
    32.0
    """
    amplitude = np.sqrt(_quantum(grid, quantum) / (2 * grid.length))
    generator = _generator(rng)

    def draw(shape: tuple[int, ...]) -> NDArray[np.complex128]:
        noise = amplitude * _unit_noise(generator, shape)
        return np.fft.ifft(noise, axis=-1, norm="forward")

    return _added(psi, draw, grid)


def wigner_occupation(
    spectrum: ArrayLike, grid: Grid, *, quantum: float | ArrayLike
) -> NDArray[np.float64]:
    r"""Mean number of quanta in each mode of a truncated Wigner ensemble.

    .. math:: \langle \hat a_k^\dagger \hat a_k \rangle = L \langle |c_k|^2 \rangle / q_k - 1/2

    Parameters
    ----------
    spectrum : real array (..., n)
        :math:`\langle |c_k|^2 \rangle`, as `EnsembleStatistics.spectrum` has it.
    grid, quantum
        As in `add_vacuum_noise`, here positive.

    Returns
    -------
    float64 array (..., n)

    Raises
    ------
    TypeError, ValueError
        An argument is not what is said above.
    """
    values = np.asarray(spectrum)
    if values.dtype.kind not in "iuf":
        raise TypeError(f"spectrum must be real numbers, got dtype {values.dtype}")
    mass = _quantum(grid, quantum)
    if values.ndim == 0 or values.shape[-1] != grid.n:
        raise ValueError(f"spectrum must have the shape (..., {grid.n}), got {values.shape}")
    if not np.all(mass > 0):
        raise ValueError("quantum must be positive in every mode whose quanta are counted")
    occupation: NDArray[np.float64] = grid.length * values / mass - 0.5
    return occupation


def _added(
    psi: Field,
    draw: Callable[[tuple[int, ...]], NDArray[np.complex128]],
    grid: Grid | None = None,
    *,
    relative: float | None = None,
) -> Field:
    """psi and what ``draw`` makes of its shape, times ``relative`` and the rms of each row if given."""
    torch = sys.modules.get("torch")  # psi is no tensor if torch has not been loaded
    if torch is not None and isinstance(psi, torch.Tensor):
        if psi.dtype not in (torch.complex64, torch.complex128):
            raise TypeError(f"psi must be complex64 or complex128, got {psi.dtype}")
        _check_shape(tuple(psi.shape), grid)
        wide = psi.to(torch.complex128)
        noise = torch.from_numpy(draw(tuple(psi.shape))).to(psi.device)
        if relative is not None:
            noise = (relative * wide.abs().square().mean(dim=-1, keepdim=True).sqrt()) * noise
        tensor: Field = (wide + noise).to(psi.dtype)
        return tensor
    if not isinstance(psi, np.ndarray):
        raise TypeError(f"psi must be a NumPy array or torch tensor, got {type(psi).__name__}")
    refuse_masked("psi", psi)
    if psi.dtype.type not in (np.complex64, np.complex128):
        raise TypeError(f"psi must be complex64 or complex128, got {psi.dtype}")
    _check_shape(psi.shape, grid)
    field = psi.astype(np.complex128)
    values = draw(psi.shape)
    if relative is not None:
        rms = np.sqrt(np.mean(abs2(field), axis=-1, keepdims=True))
        values = (relative * rms) * values
    return (field + values).astype(psi.dtype)


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


def _check_shape(shape: tuple[int, ...], grid: Grid | None) -> None:
    n = shape[-1] if shape else 0
    if n == 0 or (grid is not None and n != grid.n):
        wanted = "n) with n > 0" if grid is None else f"{grid.n}) of the grid"
        raise ValueError(f"psi must have shape (..., {wanted}, got {shape}")


def _quantum(grid: Grid, quantum: float | ArrayLike) -> NDArray[np.float64]:
    """The mass of a quantum in each mode, (n,)."""
    check_grid(grid)
    values = np.asarray(quantum)
    if values.dtype.kind not in "iuf":
        raise TypeError(f"quantum must be real numbers, got dtype {values.dtype}")
    if values.shape not in ((), (grid.n,)):
        raise ValueError(
            f"quantum must be a number or have the shape ({grid.n},) of the grid's "
            f"modes, got {values.shape}"
        )
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        raise ValueError(f"quantum must be finite and not negative, got {values[bad].flat[0]}")
    return np.broadcast_to(values.astype(np.float64), (grid.n,))


def _unit_noise(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Complex normal numbers with mean square modulus 1."""
    parts = generator.standard_normal((*shape, 2)) * math.sqrt(0.5)
    return parts.view(np.complex128)[..., 0]
