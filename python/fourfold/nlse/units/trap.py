"""Condensates in elongated harmonic traps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse._checks import finite, positive
from fourfold.nlse.grid import Grid
from fourfold.nlse.problem import Problem
from fourfold.nlse.units.constants import HBAR

__all__ = ["Trap"]


@dataclass(frozen=True)
class Trap:
    r"""Atoms in a harmonic trap that is tight in two directions, in SI units.

    With all atoms in the ground state across the trap, the wave function along it, normalised to the
    number of atoms N, obeys the one-dimensional Gross-Pitaevskii equation

    .. math:: i \hbar \partial_t \Psi = -\frac{\hbar^2}{2m} \partial_z^2 \Psi
              + \tfrac12 m \omega_z^2 z^2 \Psi + g_{1D} |\Psi|^2 \Psi, \qquad
              g_{1D} = 2 \hbar \omega_\perp a_s

    (Olshanii, Phys. Rev. Lett. 81 (1998) 938, far from the resonance that the confinement makes; Pitaevskii &
    Stringari, Bose-Einstein Condensation, ch. 17). In units of :math:`a_z = \sqrt{\hbar/(m \omega_z)}`,
    :math:`1/\omega_z` and :math:`\hbar \omega_z`, with :math:`\psi = \Psi \sqrt{a_z / N}` of mass 1, it is
    the equation of `fourfold.nlse` with ``{2: 0.5}``, :math:`V = x^2/2` and

    .. math:: g = -\frac{N g_{1D}}{\hbar \omega_z a_z}
                = -2 N \frac{\omega_\perp}{\omega_z} \frac{a_s}{a_z}

    negative, so defocusing, for atoms that repel each other.

    Parameters
    ----------
    omega_z, omega_perp : float
        Angular frequencies along and across the trap, in rad/s: 2 pi times those in Hz.
    scattering_length : float
        a_s in m, negative for attraction; in Bohr radii often, see `BOHR_RADIUS`.
    atoms : float
        N, positive.
    mass : float
        Of an atom in kg; see `ATOMIC_MASS`.

    Raises
    ------
    TypeError, ValueError
        An argument is not what is said above.

    Examples
    --------
    >>> import math
    >>> from fourfold import nlse
    >>> rubidium = nlse.units.Trap(
    ...     omega_z=2 * math.pi * 5.0,
    ...     omega_perp=2 * math.pi * 400.0,
    ...     scattering_length=100.4 * nlse.units.BOHR_RADIUS,
    ...     atoms=1000,
    ...     mass=86.909 * nlse.units.ATOMIC_MASS,
    ... )
    >>> round(1e6 * rubidium.length, 2)  # micrometres
    4.82
    """

    omega_z: float
    omega_perp: float
    scattering_length: float
    atoms: float
    mass: float

    def __post_init__(self) -> None:
        for name in ("omega_z", "omega_perp", "atoms", "mass"):
            object.__setattr__(self, name, positive(name, getattr(self, name)))
        length = finite("scattering_length", self.scattering_length)
        object.__setattr__(self, "scattering_length", length)

    @property
    def length(self) -> float:
        r""":math:`a_z = \sqrt{\hbar / (m \omega_z)}` in m, the unit of x."""
        return math.sqrt(HBAR / (self.mass * self.omega_z))

    @property
    def time(self) -> float:
        r""":math:`1 / \omega_z` in s, the unit of t."""
        return 1 / self.omega_z

    @property
    def energy(self) -> float:
        r""":math:`\hbar \omega_z` in J, the unit of energy."""
        return HBAR * self.omega_z

    @property
    def length_perp(self) -> float:
        r""":math:`a_\perp = \sqrt{\hbar / (m \omega_\perp)}` in m."""
        return math.sqrt(HBAR / (self.mass * self.omega_perp))

    @property
    def g1d(self) -> float:
        r""":math:`2 \hbar \omega_\perp a_s` in J m."""
        return 2 * HBAR * self.omega_perp * self.scattering_length

    @property
    def nonlinearity(self) -> float:
        """g of the dimensionless equation, for a field of mass 1; negative for repulsion."""
        return -self.atoms * self.g1d / (self.energy * self.length)

    @property
    def quantum(self) -> float:
        """The mass of one atom in a field of mass 1, for `fourfold.nlse.add_vacuum_noise`: 1/N."""
        return 1 / self.atoms

    @property
    def thomas_fermi_chemical_potential(self) -> float:
        r"""Without kinetic energy: :math:`\tfrac12 (3 |g| / 2)^{2/3}`, in units of `energy`.

        Raises
        ------
        ValueError
            If the atoms do not repel each other.
        """
        if self.scattering_length <= 0:
            raise ValueError(
                "the Thomas-Fermi limit is one of repulsion; scattering_length is "
                f"{self.scattering_length:g}"
            )
        return 0.5 * math.pow(1.5 * -self.nonlinearity, 2 / 3)

    @property
    def transverse_strength(self) -> float:
        r"""Largest interaction over the energy across the trap, :math:`2 |a_s| n`, dimensionless.

        n is the density of the Thomas-Fermi profile at the centre, or of the bright soliton for
        attraction. The equation in one dimension needs it to be well below 1; for attraction near 1 the
        cloud collapses.
        """
        g = self.nonlinearity
        # For attraction: of |psi|^2 = (a^2/g) sech(a x)^2, whose mass 2 a/g is 1.
        peak = self.thomas_fermi_chemical_potential / -g if g < 0 else g / 4
        return 2 * abs(self.scattering_length) * self.atoms * peak / self.length

    def problem(self, grid: Grid) -> Problem:
        """The dimensionless equation, for a field of mass 1, on a grid whose x is z / length."""
        return Problem(
            grid,
            dispersion={2: 0.5},
            nonlinearity=self.nonlinearity,
            potential=lambda x: 0.5 * x**2,
        )

    @classmethod
    def from_nonlinearity(
        cls,
        nonlinearity: float,
        *,
        omega_z: float,
        omega_perp: float,
        atoms: float,
        mass: float,
    ) -> Trap:
        """The trap whose dimensionless equation has this g; it tells the scattering length."""
        g = finite("nonlinearity", nonlinearity)
        empty = cls(omega_z, omega_perp, 0.0, atoms, mass)
        scattering = -g * empty.omega_z * empty.length / (2 * empty.atoms * empty.omega_perp)
        return cls(omega_z, omega_perp, scattering, atoms, mass)

    def to_position(self, x: ArrayLike) -> NDArray[np.float64]:
        """z in m from x."""
        return np.multiply(x, self.length)

    def from_position(self, z: ArrayLike) -> NDArray[np.float64]:
        """x from z in m."""
        return np.divide(z, self.length)

    def to_time(self, t: ArrayLike) -> NDArray[np.float64]:
        """Time in s from t."""
        return np.multiply(t, self.time)

    def from_time(self, time: ArrayLike) -> NDArray[np.float64]:
        """t from a time in s."""
        return np.divide(time, self.time)

    def to_energy(self, energy: ArrayLike) -> NDArray[np.float64]:
        """Energy (or chemical potential) per atom in J, from one per mass."""
        return np.multiply(energy, self.energy)

    def from_energy(self, energy: ArrayLike) -> NDArray[np.float64]:
        """Dimensionless energy per mass from one per atom in J."""
        return np.divide(energy, self.energy)

    def to_wave_function(self, psi: Any) -> Any:
        r""":math:`\Psi` in 1/sqrt(m), normalised to N, from psi of mass 1; an array or a tensor."""
        return psi * math.sqrt(self.atoms / self.length)

    def from_wave_function(self, wave_function: Any) -> Any:
        r"""psi of mass 1 from :math:`\Psi` in 1/sqrt(m) normalised to N."""
        return wave_function / math.sqrt(self.atoms / self.length)

    def to_density(self, psi: Any) -> Any:
        """Atoms per m from psi of mass 1."""
        return abs(psi) ** 2 * (self.atoms / self.length)
