"""From a checked run to what `fourfold.nlse.solve` takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fourfold import nlse
from fourfold.cli.nlse.schema import (
    GaussianPotential,
    Harmonic,
    Lattice,
    NoiseTable,
    Potential,
    RunConfig,
)
from fourfold.cli.nlse.states import FromFile, Published

Fields = npt.NDArray[np.complex128] | npt.NDArray[np.complex64]


def times(config: RunConfig) -> npt.NDArray[np.float64]:
    """Return the saved times, float64 (saves,)."""
    table = config.time
    return np.linspace(table.start, table.end, table.saves)


def problem(config: RunConfig) -> nlse.Problem:
    """Return the equation on its grid."""
    physics = config.physics
    return nlse.Problem(
        nlse.Grid(n=config.grid.n, length=config.grid.length),
        dispersion={int(order): value for order, value in physics.dispersion.items()},
        nonlinearity=physics.nonlinearity,
        potential=_potential(physics.potential, config.grid.length),
        loss=physics.loss or None,
    )


def initial_fields(config: RunConfig, grid: nlse.Grid, folder: Path) -> Fields:
    """Return psi0, shape (n,) for one realisation and (size, n) for an ensemble.

    Raises
    ------
    ValueError
        If a file does not hold a finite complex or real array of that shape, or the grid does not
        suit the state.
    OSError
        If a file cannot be read.
    """
    state = config.initial
    size = config.ensemble.size
    shape: tuple[int, ...] = (grid.n,) if size == 1 else (size, grid.n)
    if isinstance(state, FromFile):
        start = _read(folder / state.path, state.array, shape)
    else:
        start = state.psi(grid, config.time.start)
    psi = np.empty(shape, np.complex128)
    psi[...] = start
    psi = _with_noise(psi, grid, config.noise)
    return psi.astype(np.complex64) if config.solver.precision == "single" else psi


def closed_form(config: RunConfig) -> Callable[[nlse.Grid, float], Fields] | None:
    """Return the solution in closed form, ``psi(grid, t)``, if the run has one; else None."""
    physics = config.physics
    plain = (
        dict(physics.dispersion) == {"2": 0.5}
        and physics.loss == 0
        and physics.potential.kind == "none"
        and not config.noise.present
    )
    state = config.initial
    if not plain:
        return None
    if isinstance(state, Published):
        case = nlse.cases.get(state.case)
        exact = case.exact
        here = nlse.Grid(n=config.grid.n, length=config.grid.length)
        fits = here == case.grid and config.time.start == case.t[0] and physics.nonlinearity == 1
        return (lambda grid, t: exact(t)) if exact is not None and fits else None
    return state.psi if state.exact_for and state.exact_for == physics.nonlinearity else None


def _with_noise(
    psi: npt.NDArray[np.complex128], grid: nlse.Grid, noise: NoiseTable
) -> npt.NDArray[np.complex128]:
    if not noise.present:
        return psi
    if noise.kind == "white":
        return nlse.add_noise(psi, relative=noise.relative, rng=noise.seed)
    add = nlse.add_photon_noise if noise.kind == "photon" else nlse.add_vacuum_noise
    return add(psi, grid, quantum=noise.quantum, rng=noise.seed)


def _potential(
    table: Potential, length: float
) -> Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]] | None:
    if isinstance(table, Harmonic):
        return lambda x: 0.5 * table.frequency**2 * (x - table.center) ** 2
    if isinstance(table, Lattice):
        periods = length / table.period
        if round(periods) < 1 or abs(periods - round(periods)) > 1e-9 * periods:
            raise ValueError(
                f"period = {table.period:g} must divide grid.length = {length:g}; "
                f"the nearest that does is {length / max(1, round(periods)):.17g}"
            )
        return lambda x: table.depth * np.sin(np.pi * x / table.period) ** 2
    if isinstance(table, GaussianPotential):
        return lambda x: table.height * np.exp(-(((x - table.center) / table.width) ** 2) / 2)
    return None


def _read(path: Path, array: str, shape: tuple[int, ...]) -> npt.NDArray[np.complex128]:
    with path.open("rb") as file:
        psi = _array_in(file, path, array)
    if psi.dtype.kind not in "fc":
        raise ValueError(
            f"{path} must hold real or complex floating-point numbers, got {psi.dtype}"
        )
    if psi.shape not in (shape, shape[-1:]):
        raise ValueError(f"{path} must hold an array of shape {shape}, got {psi.shape}")
    if not np.isfinite(psi).all():
        raise ValueError(f"{path} holds numbers that are not finite")
    return psi.astype(np.complex128)


def _array_in(file: BinaryIO, path: Path, array: str) -> npt.NDArray[Any]:
    names: list[str] | None = None
    loaded: Any = None
    try:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            names = loaded.files
            loaded = loaded[array] if array in names else None
    except Exception as error:  # noqa: BLE001 (NumPy raises many kinds; translated, not swallowed)
        raise ValueError(f"{path} is not a readable NumPy file: {error}") from None
    if names is None and array:
        raise ValueError(f"{path} holds a single array; remove initial.array")
    if names is not None and array not in names:
        raise ValueError(f"{path} holds the arrays {', '.join(names)}; set initial.array")
    return np.asarray(loaded)
