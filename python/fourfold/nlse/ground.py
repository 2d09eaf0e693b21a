"""Ground states: the field of a given mass whose energy is lowest."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import ConvergenceError
from fourfold.nlse import diagnostics
from fourfold.nlse._checks import positive, refuse_masked
from fourfold.nlse._densities import abs2
from fourfold.nlse.problem import Problem

__all__ = ["GroundState", "ground_state"]

Float = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

# The residual that rounding leaves, in units of eps times the root mean square of omega; measured 0.2 to
# 0.5 from n = 64 to 4096.
_ROUNDINGS = 4.0


@dataclass(frozen=True, eq=False)
class GroundState:
    r"""A ground state, and how well it is one.

    Attributes
    ----------
    psi : complex128 array (n,)
        The field. With the equation's :math:`\psi(x, t) = \psi(x) e^{-i \mu t}` it is at rest.
    chemical_potential : float
        :math:`\mu = \langle \psi, H \psi \rangle / N` with :math:`H = \omega + V - g |\psi|^2`.
    energy : float
        As `fourfold.nlse.diagnostics.energy`.
    norm : float
        N, the mass :math:`\int |\psi|^2 dx`.
    residual : float
        :math:`\|H \psi - \mu \psi\| / \|\psi\|`, in the units of the energy.
    iterations : int
        Steps of the search.
    problem : Problem
        What was asked.
    """

    psi: Complex
    chemical_potential: float
    energy: float
    norm: float
    residual: float
    iterations: int
    problem: Problem

    def __repr__(self) -> str:
        return (
            f"GroundState(chemical_potential={self.chemical_potential:.12g}, "
            f"energy={self.energy:.12g}, norm={self.norm:g}, residual={self.residual:.2g}, "
            f"iterations={self.iterations})"
        )


def ground_state(
    problem: Problem,
    *,
    norm: float,
    psi0: npt.NDArray[Any] | None = None,
    tol: float = 1e-10,
    max_iterations: int = 10_000,
) -> GroundState:
    r"""The field of mass `norm` that has the lowest energy.

    .. math:: E(\psi) = \int \psi^* \omega(-i \partial_x) \psi + V |\psi|^2
              - \tfrac{g}{2} |\psi|^4 \, dx, \qquad \int |\psi|^2 dx = N

    The flow of the energy's gradient, which is the equation in imaginary time, is followed with two
    changes that make it fast: the gradient is preconditioned by the kinetic energy on both sides of
    which the potential energy stands, and successive directions are made conjugate; each step goes to
    the minimum of the energy on a great circle of the sphere of that mass, which is known in closed
    form (Antoine, Levitt & Tang, J. Comput. Phys. 343 (2017) 92, with the exact line search that the
    cubic nonlinearity allows).

    Parameters
    ----------
    problem : Problem
        Without loss, with one value of each coefficient, constant in time. Its omega must have its
        minimum well inside the wavenumbers of the grid.
    norm : float
        N, positive.
    psi0 : real or complex array (n,), optional
        Where to start; its mass does not matter. Without it: the one of lowest energy among Gaussians
        at the minimum of the potential and nearly constant fields. What is found is a minimum of the energy
        that the start leads to: with a focusing nonlinearity there may be others, so start where it is
        to lie.
    tol : float
        Residual allowed, relative to the mean of kinetic, potential and interaction energy per mass.
    max_iterations : int
        Steps allowed.

    Returns
    -------
    GroundState

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is said above; before any work.
    ConvergenceError
        If the residual stays above what is allowed, or the field is not resolved by the grid. It
        carries the residual and, as ``state``, what was reached.

    Examples
    --------
    >>> from fourfold import nlse
    >>> grid = nlse.Grid(n=128, length=20.0)
    >>> trap = nlse.Problem(grid, nonlinearity=0.0, potential=lambda x: 0.5 * x**2)
    >>> round(nlse.ground_state(trap, norm=1.0).chemical_potential, 9)
    0.5
    """
    functional = _check_problem(problem)
    mass = positive("norm", norm)
    allowed = positive("tol", tol)
    if isinstance(max_iterations, bool) or not isinstance(max_iterations, (int, np.integer)):
        raise TypeError(f"max_iterations must be an integer, got {max_iterations!r}")
    if max_iterations < 1:
        raise ValueError(f"max_iterations must be at least 1, got {max_iterations}")
    start = None if psi0 is None else _given_start(problem, psi0)
    try:
        with np.errstate(all="raise", under="ignore"):
            psi = (
                _best_start(functional, mass) if start is None else functional.of_mass(start, mass)
            )
            found = _search_twice(functional, psi, mass, allowed, int(max_iterations))
    except FloatingPointError as error:
        raise ValueError(
            f"norm = {mass:g} with these coefficients leaves the range of double precision: {error}"
        ) from None
    psi, iterations, residual, limit = found
    state = GroundState(
        psi=psi,
        chemical_potential=functional.chemical_potential(psi, mass),
        energy=float(diagnostics.energy(problem, psi)),
        norm=mass,
        residual=residual,
        iterations=iterations,
        problem=problem,
    )
    if residual > limit:
        raise ConvergenceError(
            f"the residual is {residual:.3g} after {iterations} iterations, not {limit:.3g}; allow "
            "more iterations or a larger tol, or start nearer with psi0",
            residual=residual,
            state=state,
        )
    edge = functional.weight_at_the_edge(psi)
    if edge > 1e-6:
        raise ConvergenceError(
            f"the grid does not resolve the ground state: {edge:.1e} of its mass is in the highest "
            "eighth of the wavenumbers; take a finer grid",
            residual=residual,
            state=state,
        )
    return state


class _Functional:
    """The energy and its derivatives; omega and V counted from their minima."""

    def __init__(self, problem: Problem) -> None:
        self.grid = problem.grid
        potential = problem.potential
        v = np.zeros(self.grid.n) if potential is None else potential
        self.lowest = float(problem.omega.min() + v.min())
        self.omega = problem.omega - problem.omega.min()
        self.v = v - v.min()
        self.g = float(problem.nonlinearity)
        self.wavenumber = float(self.grid.k[np.argmin(problem.omega)])
        self.carrier = np.exp(1j * self.wavenumber * self.grid.x)

    def dot(self, a: Complex, b: Complex) -> float:
        """Re int a* b dx."""
        return float(np.vdot(a, b).real) * self.grid.dx

    def of_mass(self, psi: Complex, mass: float) -> Complex:
        result: Complex = psi * math.sqrt(mass / self.dot(psi, psi))
        return result

    def quartic(self, a: Float, b: Float) -> float:
        """int a b dx of two densities."""
        return float(np.sum(a * b)) * self.grid.dx

    def linear(self, psi: Complex) -> Complex:
        """(omega + V) psi."""
        result: Complex = np.fft.ifft(self.omega * np.fft.fft(psi)) + self.v * psi
        return result

    def energy(self, psi: Complex) -> float:
        density = abs2(psi)
        return self.dot(psi, self.linear(psi)) - 0.5 * self.g * self.quartic(density, density)

    def chemical_potential(self, psi: Complex, mass: float) -> float:
        h_psi = self.linear(psi) - self.g * abs2(psi) * psi
        return self.dot(psi, h_psi) / mass + self.lowest

    def preconditioned(self, vector: Complex, psi: Complex, scale: float) -> Complex:
        """P_V^(1/2) P_omega P_V^(1/2), inverses of the parts of the energy with ``scale`` added."""
        half = 1 / np.sqrt(1 + (self.v + abs(self.g) * abs2(psi)) / scale)
        result: Complex = half * np.fft.ifft(np.fft.fft(half * vector) / (1 + self.omega / scale))
        return result

    def weight_at_the_edge(self, psi: Complex) -> float:
        """Share of the mass in the highest eighth of the wavenumbers."""
        spectrum = abs2(np.fft.fft(psi))
        high = np.abs(self.grid.k) > 0.875 * np.abs(self.grid.k).max()
        return float(spectrum[high].sum() / spectrum.sum())


def _search(
    f: _Functional, psi: Complex, mass: float, tol: float, most: int
) -> tuple[Complex, int, float, float]:
    """The field, the iterations, its residual and the residual that is allowed."""
    # What the rounding of the transforms leaves of omega psi.
    rounding = _ROUNDINGS * float(np.finfo(float).eps * np.sqrt(np.mean(f.omega**2)))
    direction = np.zeros_like(psi)
    before, gamma_before = direction, 1.0
    iteration = 0
    while True:
        linear = f.linear(psi)
        density = abs2(psi)
        h_psi = linear - f.g * density * psi
        residual = h_psi - (f.dot(psi, h_psi) / mass) * psi
        size = math.sqrt(f.dot(residual, residual) / mass)
        # Kinetic plus potential plus interaction energy per mass.
        scale = (f.dot(psi, linear) + abs(f.g) * f.quartic(density, density)) / mass
        limit = max(tol * scale, rounding)
        if size <= limit or iteration == most:
            return psi, iteration, size, limit
        steep = _tangent(f, psi, f.preconditioned(residual, psi, scale), mass)
        gamma = f.dot(residual, steep)
        # Polak and Ribiere's choice, not below 0.
        beta = max(0.0, (gamma - f.dot(before, steep)) / gamma_before) if iteration else 0.0
        direction = beta * _tangent(f, psi, direction, mass) - steep
        if f.dot(direction, residual) >= 0:
            direction = -steep
        before, gamma_before = residual, gamma
        unit = direction * math.sqrt(mass / f.dot(direction, direction))
        tangent = _lowest(f, psi, linear, unit, f.dot(unit, residual))
        psi = f.of_mass(psi + tangent * unit, mass)
        iteration += 1


def _search_twice(
    f: _Functional, psi: Complex, mass: float, tol: float, most: int
) -> tuple[Complex, int, float, float]:
    """As `_search`, and again from the field without its nodes, if it has any.

    Two lobes of opposite sign, in two wells with repulsion say, are the lowest state of all that are
    real and near them. Without nodes the energy is no higher where omega is k^2.
    """
    first = _search(f, psi, mass, tol, most)
    found = first[0]
    plain = f.of_mass(np.abs(found) * f.carrier, mass)
    if abs(np.vdot(plain, found)) * f.grid.dx > (1 - 1e-6) * mass or first[1] == most:
        return first
    second = _search(f, plain, mass, tol, most - first[1])
    best = second if f.energy(second[0]) < f.energy(found) else first
    return best[0], first[1] + second[1], best[2], best[3]


def _tangent(f: _Functional, psi: Complex, vector: Complex, mass: float) -> Complex:
    """The part of a vector that does not change the mass."""
    return vector - (f.dot(psi, vector) / mass) * psi


def _lowest(f: _Functional, psi: Complex, linear: Complex, unit: Complex, slope: float) -> float:
    """The s for which ``(psi + s unit) / sqrt(1 + s^2)`` has the lowest energy.

    That energy is ``p(s) / (1 + s^2)^2`` with a polynomial p of degree 4, and ``slope`` is half its
    derivative at 0, which is given because it is a small difference near the minimum.
    """
    a, b, c = abs2(psi), abs2(unit), (psi.conj() * unit).real
    kinetic = f.dot(psi, linear)
    kinetic_unit = f.dot(unit, f.linear(unit))
    cross = f.dot(unit, linear)
    q = -0.5 * f.g
    p0 = kinetic + q * f.quartic(a, a)
    p1 = 2 * slope
    p2 = kinetic + kinetic_unit + q * (2 * f.quartic(a, b) + 4 * f.quartic(c, c))
    p3 = 2 * cross + q * 4 * f.quartic(b, c)
    p4 = kinetic_unit + q * f.quartic(b, b)
    # p' (1 + s^2) - 4 s p, whose terms of degree 5 cancel.
    stationary = np.array([-p3, 4 * p4 - 2 * p2, 3 * (p3 - p1), 2 * p2 - 4 * p0, p1])
    roots = np.roots(stationary)
    real = roots.real[np.abs(roots.imag) <= 1e-9 * np.abs(roots)]
    energies = np.polyval([p4, p3, p2, p1, p0], real) / (1 + real**2) ** 2
    s = float(real[np.argmin(energies)])
    # A small root comes with the rounding of the large ones: one step of Newton's takes it away.
    return s - float(np.polyval(stationary, s) / np.polyval(np.polyder(stationary), s))


def _best_start(f: _Functional, mass: float) -> Complex:
    """Of Gaussians and nearly constant fields, with the phase of the lowest omega, the lowest."""
    grid = f.grid
    deep = f.v <= 1e-9 * f.v.max()
    center = grid.x[deep][np.argmin(np.abs(grid.x[deep]))]
    away = (grid.x - center + grid.length / 2) % grid.length - grid.length / 2
    # The constant field is at rest where V is flat, also where it is not the lowest: then one with a
    # bump is lower.
    bump = np.cos(2 * np.pi / grid.length * away)
    shapes = [1 + amplitude * bump for amplitude in (0.0, 0.01, 0.1, 0.5, 1.0)]
    with np.errstate(under="ignore"):
        shapes += [np.exp(-0.5 * (away / width) ** 2) for width in _widths(grid.length, grid.dx)]
    candidates = [f.of_mass(shape * f.carrier, mass) for shape in shapes]
    return min(candidates, key=f.energy)


def _widths(length: float, dx: float) -> list[float]:
    widths = [0.3 * length]
    while widths[-1] > 2 * dx:
        widths.append(widths[-1] / 1.5)
    return widths


def _given_start(problem: Problem, psi0: Any) -> Complex:
    refuse_masked("psi0", psi0)
    start = np.asarray(psi0)
    n = problem.grid.n
    if start.dtype.kind not in "iufc":
        raise TypeError(f"psi0 must be an array of real or complex numbers, got {start.dtype}")
    if start.shape != (n,):
        raise ValueError(f"psi0 must have the shape ({n},) of the grid, got {start.shape}")
    if not np.isfinite(start).all():
        raise ValueError("psi0 must be finite")
    if not np.any(start):
        raise ValueError("psi0 must not be zero everywhere")
    # Scaled first: squares of very large or small numbers leave the range of double precision.
    field: Complex = start.astype(np.complex128) / np.abs(start).max()
    return field


def _check_problem(problem: Problem) -> _Functional:
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a Problem, got {type(problem).__name__}")
    if problem.time_dependent:
        raise ValueError("problem must not depend on time; take problem.at(t)")
    torch = sys.modules.get("torch")
    if torch is not None and problem.leaves and torch.is_grad_enabled():
        raise ValueError(
            f"problem has tensors that require gradients ({', '.join(problem.leaves)}), but "
            "ground_state does not differentiate; call it under torch.no_grad()"
        )
    if problem.batch_shape != ():
        raise ValueError(
            "problem must have one value of each coefficient, got coefficients for realisations of "
            f"batch shape {problem.batch_shape}; ask for the ground state of each by itself"
        )
    if problem.lossy:
        raise ValueError("problem must be without loss: nothing is at rest with loss or gain")
    functional = _Functional(problem)
    highest = float(np.abs(problem.grid.k).max())
    if abs(functional.wavenumber) > highest / 2:
        raise ValueError(
            "problem has no ground state: its dispersion is lowest at the wavenumber "
            f"{functional.wavenumber:.4g}, near the highest of the grid, {highest:.4g}"
        )
    return functional
