"""Pulses in optical fibres."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse._checks import finite, positive
from fourfold.nlse.grid import Grid
from fourfold.nlse.problem import Problem
from fourfold.nlse.units.constants import HBAR, SPEED_OF_LIGHT

__all__ = ["Fibre"]


@dataclass(frozen=True)
class Fibre:
    r"""A fibre and the pulse by which its units are chosen, in SI units.

    The envelope A(z, T), with :math:`|A|^2` the power in W, obeys

    .. math:: \partial_z A = -\tfrac{\alpha}{2} A
              + \sum_n \frac{i^{n+1}}{n!} \beta_n \partial_T^n A + i \gamma |A|^2 A

    (Agrawal, Nonlinear Fiber Optics, eqs. 2.3.27 and 3.3.1, with all orders of dispersion). With
    :math:`x = T / T_0`, :math:`t = z / L` and :math:`\psi = A / \sqrt{P_0}` it is the equation of
    `fourfold.nlse` with

    .. math:: c_n = (-1)^{n+1} \frac{\beta_n L}{n! \, T_0^n}, \quad g = \gamma P_0 L, \quad
              \text{loss} = \tfrac{\alpha L}{2}

    The length L is the dispersion length :math:`T_0^2 / |\beta_2|`, unless another is given: then
    anomalous dispersion is ``{2: 0.5}``, normal dispersion ``{2: -0.5}``, and g is the square of the
    soliton number.

    Parameters
    ----------
    beta : mapping of int to float
        ``{n: beta_n}`` in s^n/m, n at least 2: ``{2: -20 * PS2_PER_KM}``.
    gamma : float
        Nonlinear coefficient in 1/(W m), positive.
    duration : float
        :math:`T_0` in s; for a sech pulse the full width at half maximum is 1.763 T_0.
    power : float
        :math:`P_0` in W, the peak power.
    alpha : float, optional
        Loss of the power in 1/m; see `loss_from_decibels`.
    wavelength : float, optional
        Of the carrier in vacuum, in m: for photons, and for nothing else.
    length : float, optional
        L in m. It must be given where beta_2 is 0.

    Raises
    ------
    TypeError, ValueError
        An argument is not what is said above.

    Examples
    --------
    >>> from fourfold import nlse
    >>> fibre = nlse.units.Fibre(
    ...     beta={2: -20 * nlse.units.PS2_PER_KM},
    ...     gamma=2 * nlse.units.PER_W_KM,
    ...     duration=1e-12,
    ...     power=10.0,
    ... )
    >>> round(fibre.dispersion_length, 9), round(fibre.soliton_number, 9)
    (50.0, 1.0)
    """

    beta: Mapping[int, float]
    gamma: float
    duration: float
    power: float
    alpha: float = 0.0
    wavelength: float | None = None
    length: float = field(default=0.0)

    def __post_init__(self) -> None:
        if not isinstance(self.beta, Mapping):
            raise TypeError(f"beta must be a mapping {{n: beta_n}}, got {type(self.beta).__name__}")
        beta: dict[int, float] = {}
        for order, value in sorted(self.beta.items()):
            if isinstance(order, bool) or not hasattr(order, "__index__") or order < 2:
                raise ValueError(f"beta: orders must be integers, at least 2, got {order!r}")
            beta[int(order)] = finite(f"beta[{order}]", value)
        object.__setattr__(self, "beta", beta)
        for name in ("gamma", "duration", "power"):
            object.__setattr__(self, name, positive(name, getattr(self, name)))
        object.__setattr__(self, "alpha", finite("alpha", self.alpha))
        if self.wavelength is not None:
            object.__setattr__(self, "wavelength", positive("wavelength", self.wavelength))
        if self.length:
            object.__setattr__(self, "length", positive("length", self.length))
        elif beta.get(2, 0.0) == 0.0:
            raise ValueError(
                "length must be given where beta[2] is 0: there is no dispersion length to take; "
                "1 / (gamma * power) is the nonlinear length"
            )
        else:
            object.__setattr__(self, "length", self.dispersion_length)

    @property
    def dispersion_length(self) -> float:
        r""":math:`L_D = T_0^2 / |\beta_2|` in m; infinite where beta_2 is 0."""
        beta2 = abs(self.beta.get(2, 0.0))
        return self.duration**2 / beta2 if beta2 else math.inf

    @property
    def nonlinear_length(self) -> float:
        r""":math:`L_{NL} = 1 / (\gamma P_0)` in m."""
        return 1 / (self.gamma * self.power)

    @property
    def soliton_number(self) -> float:
        r""":math:`N = \sqrt{L_D / L_{NL}} = \sqrt{\gamma P_0 T_0^2 / |\beta_2|}`."""
        return math.sqrt(self.dispersion_length / self.nonlinear_length)

    @property
    def soliton_period(self) -> float:
        r""":math:`z_0 = \pi L_D / 2` in m."""
        return math.pi / 2 * self.dispersion_length

    @property
    def fission_length(self) -> float:
        r""":math:`L_D / N` in m, where a soliton of high order breaks up."""
        return self.dispersion_length / self.soliton_number

    @property
    def modulation_frequency(self) -> float:
        r"""Angular frequency of greatest modulation gain, :math:`\sqrt{2 \gamma P_0 / |\beta_2|}`.

        In rad/s, for light of the constant power P_0; the gain of the power there is
        :math:`2 \gamma P_0`.

        Raises
        ------
        ValueError
            If the dispersion is not anomalous (beta_2 < 0): then there is none.
        """
        beta2 = self.beta.get(2, 0.0)
        if beta2 >= 0:
            raise ValueError(f"beta[2] = {beta2:g} is not anomalous: there is no modulation gain")
        return math.sqrt(2 * self.gamma * self.power / -beta2)

    def problem(self, grid: Grid) -> Problem:
        """The dimensionless equation on a grid whose x is T / duration."""
        return Problem(
            grid,
            dispersion=self.dispersion,
            nonlinearity=self.gamma * self.power * self.length,
            loss=self.alpha * self.length / 2 if self.alpha else None,
        )

    @property
    def dispersion(self) -> dict[int, float]:
        """The coefficients ``{n: c_n}`` of a `fourfold.nlse.Problem`."""
        return {
            n: (-1) ** (n + 1) * beta * self.length / (math.factorial(n) * self.duration**n)
            for n, beta in self.beta.items()
        }

    @classmethod
    def from_problem(
        cls,
        problem: Problem,
        *,
        duration: float,
        power: float,
        length: float,
        wavelength: float | None = None,
    ) -> Fibre:
        """The fibre whose equation, in these units, is that of ``problem``.

        Parameters
        ----------
        problem : Problem
            With coefficients of dispersion of order 2 or more, a single positive nonlinearity, a loss
            that is the same everywhere and no potential.
        duration, power, length, wavelength
            As of `Fibre`.

        Raises
        ------
        TypeError, ValueError
            If the problem is no fibre's, or another argument is not what is said above.
        """
        if not isinstance(problem, Problem):
            raise TypeError(f"problem must be a Problem, got {type(problem).__name__}")
        unit = positive("length", length)
        time = positive("duration", duration)
        dispersion, g, loss = problem.dispersion, problem.nonlinearity, problem.loss
        if not isinstance(dispersion, Mapping):
            raise ValueError("problem must have its dispersion as coefficients, not as an array")
        if not isinstance(g, float):
            raise ValueError("problem must have one nonlinearity, not one for each realisation")
        if problem.potential is not None and np.any(problem.potential):
            raise ValueError("problem must be without a potential: a fibre has none")
        if loss is not None and np.ptp(loss) > 0:
            raise ValueError("problem must have a loss that is the same everywhere")
        return cls(
            beta={
                n: (-1) ** (n + 1) * c * math.factorial(n) * time**n / unit
                for n, c in dispersion.items()
            },
            gamma=g / (positive("power", power) * unit),
            duration=duration,
            power=power,
            alpha=0.0 if loss is None else 2 * float(loss.flat[0]) / unit,
            wavelength=wavelength,
            length=length,
        )

    def to_time(self, x: ArrayLike) -> NDArray[np.float64]:
        """T in s from x."""
        return np.multiply(x, self.duration)

    def from_time(self, time: ArrayLike) -> NDArray[np.float64]:
        """x from T in s."""
        return np.divide(time, self.duration)

    def to_distance(self, t: ArrayLike) -> NDArray[np.float64]:
        """z in m from t."""
        return np.multiply(t, self.length)

    def from_distance(self, z: ArrayLike) -> NDArray[np.float64]:
        """t from z in m."""
        return np.divide(z, self.length)

    def to_envelope(self, psi: Any) -> Any:
        """A in sqrt(W) from psi, an array or a tensor."""
        return psi * math.sqrt(self.power)

    def from_envelope(self, envelope: Any) -> Any:
        """psi from A in sqrt(W), an array or a tensor."""
        return envelope / math.sqrt(self.power)

    def to_energy(self, mass: ArrayLike) -> NDArray[np.float64]:
        """Energy of the pulse in J from the mass, the integral of |psi|^2 over x."""
        return np.multiply(mass, self.power * self.duration)

    def from_energy(self, energy: ArrayLike) -> NDArray[np.float64]:
        """Mass from the energy of the pulse in J."""
        return np.divide(energy, self.power * self.duration)

    def to_frequency(self, k: ArrayLike) -> NDArray[np.float64]:
        """Angular frequency from the carrier's, in rad/s, from k: ``-k / duration``.

        Optics writes waves as exp(-i omega T), the equation has exp(i k x): blue is at negative k.
        """
        return np.negative(np.divide(k, self.duration))

    def from_frequency(self, frequency: ArrayLike) -> NDArray[np.float64]:
        """k from the angular frequency counted from the carrier's, in rad/s."""
        return np.negative(np.multiply(frequency, self.duration))

    def quantum(self, grid: Grid) -> NDArray[np.float64]:
        r"""The mass of one photon in each mode, for `fourfold.nlse.add_photon_noise`.

        .. math:: \hbar (\omega_0 - k / T_0) / (P_0 T_0)

        and 0 in modes that would have a negative frequency.

        Parameters
        ----------
        grid : Grid

        Returns
        -------
        float64 array (n,), in the order of ``grid.k``

        Raises
        ------
        ValueError
            If the fibre has no `wavelength`.
        """
        if self.wavelength is None:
            raise ValueError("wavelength must be given to know the energy of a photon")
        frequency = 2 * np.pi * SPEED_OF_LIGHT / self.wavelength + self.to_frequency(grid.k)
        quantum: NDArray[np.float64] = (
            HBAR * np.maximum(frequency, 0.0) / (self.power * self.duration)
        )
        return quantum
