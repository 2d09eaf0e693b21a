"""What is solved: the coefficients of the nonlinear Schrodinger equation on a grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse._coefficients import (
    Medium,
    brief,
    common_batch_shape,
    dispersion_coefficients,
    fixed,
    medium_over,
    nonlinearity_of,
    polynomial,
    real_array,
)
from fourfold.nlse._leaves import Leaf, plain
from fourfold.nlse.grid import Grid
from fourfold.nlse.in_time import FunctionInTime, Modulated, Series
from fourfold.nlse.methods import get_method

__all__ = ["COEFFICIENTS", "QUADRATIC_TOLERANCE", "Medium", "Problem"]

COEFFICIENTS = ("dispersion", "nonlinearity", "potential", "loss")
"""The names of what a `Problem` is made of, beside its grid."""

# Where a problem keeps each of them.
_KEPT = {
    "dispersion": ("_dispersion", "_omega"),
    "nonlinearity": ("_g",),
    "potential": ("_potential",),
    "loss": ("_loss",),
}

# A parabola through rounded values of omega misses them by a few ulp of the largest one.
QUADRATIC_TOLERANCE = 1e-13


class Problem:
    """The nonlinear Schrodinger equation on a periodic grid.

    ::

        i psi_t = omega(-i d/dx) psi - g |psi|^2 psi + V(x) psi - i gamma(x) psi

    with ``omega(k) = sum_n c_n k^n``; g, V and gamma may depend on time, too. The default is the focusing equation
    ``i psi_t + 1/2 psi_xx + |psi|^2 psi = 0``. A problem does not change once it is made.

    Parameters
    ----------
    grid : Grid
        Where the fields live.
    dispersion : mapping of int to float, or array of shape (n,)
        Coefficients ``{order: c_order}``, orders at least 1, even and odd alike, ``{2: 0.5}`` if
        left out; or the real values of omega at ``grid.k``.
    nonlinearity : float, array of batch shape, function of t, or Modulated
        g: positive focuses, negative defocuses. An array gives one value to each realisation.
    potential : None, float, array of shape (..., n), function of x or of (x, t), or Modulated
        V. Leading dimensions give one potential to each realisation. A function that takes one
        argument is called once, with ``grid.x``. One that takes two is called with ``grid.x`` and a
        time, at every time that the method asks for, and returns a number or shape (n,) for all
        realisations alike; `Modulated` series are faster.
    loss : None, float, array of shape (..., n), function of x or of (x, t), or Modulated
        gamma, as `potential`. Positive values damp the field like ``exp(-gamma t)``, negative
        ones amplify it.

    Notes
    -----
    Coefficients may be torch tensors, also those in a mapping or a series. Their values are copied;
    `solve` gives gradients with respect to those that require them (docs/nlse/gradients.md).

    Raises
    ------
    TypeError, ValueError
        An argument is not what is said above; the message names it and what came.

    Examples
    --------
    >>> from fourfold import nlse
    >>> grid = nlse.Grid(n=64, length=20.0)
    >>> trapped = nlse.Problem(grid, nonlinearity=-1.0, potential=lambda x: 0.5 * x**2)
    >>> trapped.potential.shape
    (64,)
    >>> nlse.Problem(grid, dispersion={2: 0.5, 3: 0.1}).order("rkn6_14a")
    4
    """

    def __init__(
        self,
        grid: Grid,
        *,
        dispersion: Mapping[int, Any] | ArrayLike | None = None,
        nonlinearity: float | ArrayLike | Callable[[float], float] | Modulated = 1.0,
        potential: Medium | None = None,
        loss: Medium | None = None,
    ) -> None:
        if not isinstance(grid, Grid):
            raise TypeError(f"grid must be a fourfold.nlse.Grid, got {type(grid).__name__}")
        self._grid = grid
        self._leaves: dict[str, Leaf] = {}
        self._dispersion: Mapping[int, float] | NDArray[np.float64]
        if dispersion is None:
            dispersion = {2: 0.5}
        if isinstance(dispersion, Mapping):
            dispersion = {
                order: self._plain(f"dispersion[{order}]", c) for order, c in dispersion.items()
            }
            self._dispersion = dispersion_coefficients(dispersion)
            self._omega = polynomial(self._dispersion, grid.k)
        else:
            self._omega = real_array("dispersion", self._plain("dispersion", dispersion))
            if self._omega.shape != (grid.n,):
                raise ValueError(
                    "dispersion must be a mapping {order: coefficient} or an array of shape "
                    f"({grid.n},), got shape {self._omega.shape}"
                )
            self._dispersion = self._omega
        self._g = nonlinearity_of(self._plain("nonlinearity", nonlinearity))
        self._potential = medium_over(grid, "potential", self._plain("potential", potential))
        self._loss = medium_over(grid, "loss", self._plain("loss", loss))
        self._batch_shape = common_batch_shape(self._g, self._potential, self._loss)

    def _plain(self, name: str, value: Any) -> Any:
        """The value; what wants gradients is remembered."""
        if isinstance(value, Modulated):
            for leaf in value.leaves(name):
                self._leaves[leaf.name] = leaf
            return value
        kept, found = plain(name, value)
        if found is not None:
            self._leaves[name] = found
        return kept

    @property
    def leaves(self) -> Mapping[str, Leaf]:
        """The torch tensors among the coefficients that want gradients, by name."""
        return self._leaves

    @property
    def grid(self) -> Grid:
        """Where the fields live."""
        return self._grid

    @property
    def dispersion(self) -> Mapping[int, float] | NDArray[np.float64]:
        """The coefficients ``{order: c_order}``, or omega on ``grid.k``, as they were given."""
        if isinstance(self._dispersion, Mapping):
            return dict(self._dispersion)  # a copy: omega would not follow a change
        return self._dispersion

    @property
    def omega(self) -> NDArray[np.float64]:
        """omega at ``grid.k``: float64, shape ``(n,)``, in the order of the FFT, read-only."""
        return self._omega

    @property
    def nonlinearity(self) -> float | NDArray[np.float64]:
        """g: a float, or a read-only float64 array of batch shape.

        Raises
        ------
        ValueError
            If it depends on time, as for `potential` and `loss`: then `at` has its values.
        """
        g = fixed("nonlinearity", self._g)
        assert g is not None
        return g if g.ndim else float(g)

    @property
    def potential(self) -> NDArray[np.float64] | None:
        """V at ``grid.x``: read-only float64, shape ``(..., n)``; None if none was given."""
        return fixed("potential", self._potential)

    @property
    def loss(self) -> NDArray[np.float64] | None:
        """gamma at ``grid.x``: read-only float64, shape ``(..., n)``; None if none was given."""
        return fixed("loss", self._loss)

    @property
    def in_time(self) -> dict[str, Series | FunctionInTime]:
        """What depends on time, by name: "nonlinearity", "potential", "loss"."""
        parts = {"nonlinearity": self._g, "potential": self._potential, "loss": self._loss}
        return {
            name: part for name, part in parts.items() if isinstance(part, (Series, FunctionInTime))
        }

    @property
    def time_dependent(self) -> bool:
        """Whether any coefficient depends on time."""
        return bool(self.in_time)

    def at(self, t: float) -> Problem:
        """The problem with its coefficients frozen at the time ``t``: it depends on time no longer."""
        return self.replace(**{name: part.at(float(t)) for name, part in self.in_time.items()})

    def replace(self, **coefficients: Any) -> Problem:
        """The problem with other coefficients.

        Parameters
        ----------
        dispersion, nonlinearity, potential, loss
            As in the constructor. What is not given stays as it is.

        Raises
        ------
        TypeError, ValueError
            As the constructor, or there is no such coefficient.

        Examples
        --------
        >>> from fourfold import nlse
        >>> trapped = nlse.Problem(nlse.Grid(n=64, length=20.0), potential=lambda x: 0.5 * x**2)
        >>> trapped.replace(nonlinearity=-1.0)
        Problem(Grid(n=64, length=20.0), dispersion={2: 0.5}, nonlinearity=-1.0, potential=<array (64,)>)
        """
        for name in coefficients:
            if name not in COEFFICIENTS:
                raise TypeError(
                    f"a Problem has no coefficient {name!r}; it has {', '.join(COEFFICIENTS)}"
                )
        if not coefficients:
            return self
        other = Problem(self._grid, **coefficients)
        for name in COEFFICIENTS:
            if name not in coefficients:
                for attribute in _KEPT[name]:
                    setattr(other, attribute, getattr(self, attribute))
        other._batch_shape = common_batch_shape(other._g, other._potential, other._loss)
        # Leaves are called "potential" or, inside of one, "potential[0].profile".
        kept = {k: v for k, v in self._leaves.items() if k.partition("[")[0] not in coefficients}
        other._leaves = kept | other._leaves
        return other

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The leading shape that the coefficients have: ``()`` if all realisations share them.

        It must broadcast to the leading shape of every field that is solved for.
        """
        return self._batch_shape

    @cached_property
    def quadratic(self) -> bool:
        """Whether omega is a polynomial of degree 2 at most, within rounding.

        This is what Runge-Kutta-Nystrom splittings need. (A term linear in k does no harm: its
        commutator with the potential flow is a pure phase too, as that of k^2 is at second order.)
        """
        if isinstance(self._dispersion, Mapping):
            return all(order <= 2 or c == 0 for order, c in self._dispersion.items())
        scaled = self._grid.k * (self._grid.dx / np.pi)
        columns = np.vander(scaled, min(3, self._grid.n), increasing=True)
        fitted = columns @ np.linalg.lstsq(columns, self._omega)[0]
        miss = np.abs(self._omega - fitted).max()
        return bool(miss <= QUADRATIC_TOLERANCE * np.abs(self._omega).max())

    @cached_property
    def lossy(self) -> bool:
        """Whether there is loss or gain anywhere."""
        if isinstance(self._loss, (Series, FunctionInTime)):
            return True
        return self._loss is not None and bool(np.any(self._loss))

    def order(self, method: str) -> int:
        """Order of convergence in the time step that a method has on this problem.

        The splittings of Runge-Kutta-Nystrom type of order 6 rely on ``[B, [B, [B, A]]] = 0`` (A
        the kinetic, B the potential flow; Blanes & Moan, J. Comput. Appl. Math. 142 (2002) 313).
        That holds when omega is quadratic in k and B is a pure phase; otherwise they keep order 4.
        Coefficients that are smooth functions of time change nothing: time advances with A and
        stands still during B, and the phases of two times commute.

        Raises
        ------
        ValueError
            There is no such method.
        """
        row = get_method(method)
        return row.order if self.quadratic and not self.lossy else row.general_order

    def __repr__(self) -> str:
        parts = [repr(self._grid)]
        parts.append(f"dispersion={brief(self._dispersion)}")
        parts.append(f"nonlinearity={brief(self._g)}")
        if self._potential is not None:
            parts.append(f"potential={brief(self._potential)}")
        if self._loss is not None:
            parts.append(f"loss={brief(self._loss)}")
        return f"Problem({', '.join(parts)})"
