"""What is solved: the coefficients of the nonlinear Schrodinger equation on a grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from numbers import Real
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse._leaves import Leaf, plain
from fourfold.nlse.grid import Grid
from fourfold.nlse.in_time import FunctionInTime, Modulated, Series, required_parameters
from fourfold.nlse.methods import get_method

__all__ = ["Medium", "Problem"]

Medium = float | ArrayLike | Callable[..., ArrayLike] | Modulated
"""What `potential` and `loss` may be: a number, an array over x, a function of x or of x and t, or
a modulated series."""

# A parabola through rounded values of omega misses them by a few ulp of the largest one.
_QUADRATIC_TOLERANCE = 1e-13


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
            self._dispersion = _coefficients(dispersion)
            self._omega = _polynomial(self._dispersion, grid.k)
        else:
            self._omega = _real_array("dispersion", self._plain("dispersion", dispersion))
            if self._omega.shape != (grid.n,):
                raise ValueError(
                    "dispersion must be a mapping {order: coefficient} or an array of shape "
                    f"({grid.n},), got shape {self._omega.shape}"
                )
            self._dispersion = self._omega
        self._g = _strength("nonlinearity", self._plain("nonlinearity", nonlinearity))
        self._potential = _medium("potential", self._plain("potential", potential), grid)
        self._loss = _medium("loss", self._plain("loss", loss), grid)
        self._batch_shape = _common_batch_shape(self._g, self._potential, self._loss)

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
        g = _fixed("nonlinearity", self._g)
        assert g is not None
        return g if g.ndim else float(g)

    @property
    def potential(self) -> NDArray[np.float64] | None:
        """V at ``grid.x``: read-only float64, shape ``(..., n)``; None if none was given."""
        return _fixed("potential", self._potential)

    @property
    def loss(self) -> NDArray[np.float64] | None:
        """gamma at ``grid.x``: read-only float64, shape ``(..., n)``; None if none was given."""
        return _fixed("loss", self._loss)

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
        if not self.time_dependent:
            return self
        now: dict[str, Any] = {name: part.at(float(t)) for name, part in self.in_time.items()}
        fixed: dict[str, Any] = {
            "nonlinearity": self._g,
            "potential": self._potential,
            "loss": self._loss,
        }
        return Problem(self._grid, dispersion=self._dispersion, **(fixed | now))

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
        return bool(miss <= _QUADRATIC_TOLERANCE * np.abs(self._omega).max())

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
        parts.append(f"dispersion={_brief(self._dispersion)}")
        parts.append(f"nonlinearity={_brief(self._g)}")
        if self._potential is not None:
            parts.append(f"potential={_brief(self._potential)}")
        if self._loss is not None:
            parts.append(f"loss={_brief(self._loss)}")
        return f"Problem({', '.join(parts)})"


def _coefficients(dispersion: Mapping[int, float]) -> dict[int, float]:
    result: dict[int, float] = {}
    for key, value in dispersion.items():
        try:
            order = index(key)
        except TypeError:
            raise TypeError(f"dispersion: orders must be integers, got {key!r}") from None
        if isinstance(key, (bool, np.bool_)) or order < 1:
            raise ValueError(f"dispersion: orders must be at least 1, got {key!r}")
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
            raise TypeError(f"dispersion[{order}] must be a real number, got {value!r}")
        if not np.isfinite(value):
            raise ValueError(f"dispersion[{order}] must be finite, got {value!r}")
        result[order] = float(value)
    return dict(sorted(result.items()))


def _polynomial(coefficients: Mapping[int, float], k: NDArray[np.float64]) -> NDArray[np.float64]:
    omega = np.zeros_like(k)
    with np.errstate(over="ignore", invalid="ignore"):
        for order, coefficient in coefficients.items():
            omega += coefficient * k**order
    if not np.all(np.isfinite(omega)):
        raise ValueError(
            f"dispersion {dict(coefficients)} overflows at the grid's largest wavenumber, "
            f"{np.abs(k).max():.6g}"
        )
    omega.flags.writeable = False
    return omega


_InTime = Series | FunctionInTime


def _fixed(name: str, part: NDArray[np.float64] | _InTime | None) -> NDArray[np.float64] | None:
    if isinstance(part, (Series, FunctionInTime)):
        raise ValueError(f"{name} depends on time; problem.at(t).{name} is its value at a time")
    return part


def _strength(
    name: str, value: float | ArrayLike | Callable[[float], float] | Modulated
) -> NDArray[np.float64] | _InTime:
    if isinstance(value, Modulated):
        rows = [
            _real_array(f"{name} (profile)", plain(name, term.profile)[0]) for term in value.terms
        ]
        return Series(name, rows, [term.factor for term in value.terms], tail=0)
    if callable(value):
        required_parameters(name, value, (1,))
        return FunctionInTime(name, value, None)
    return _real_array(name, value)


def _medium(name: str, medium: Medium | None, grid: Grid) -> NDArray[np.float64] | _InTime | None:
    if medium is None:
        return None
    if isinstance(medium, Modulated):
        rows = [
            _over_x(f"{name} (profile)", plain(name, term.profile)[0], grid)
            for term in medium.terms
        ]
        return Series(name, rows, [term.factor for term in medium.terms], tail=1)
    if callable(medium) and required_parameters(name, medium, (1, 2)) == 2:
        return FunctionInTime(name, medium, grid)
    return _over_x(name, medium, grid)


def _over_x(name: str, medium: Any, grid: Grid) -> NDArray[np.float64]:
    called = callable(medium)
    values = _real_array(name, medium(grid.x) if called else medium)
    if values.ndim == 0:
        values = np.full(grid.n, float(values))
        values.flags.writeable = False
    if values.shape[-1] != grid.n:
        what = "return" if called else "be"
        raise ValueError(
            f"{name} must {what} a number or an array whose last dimension is n = {grid.n}, "
            f"got shape {values.shape}"
        )
    return values


def _real_array(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """A checked, read-only float64 copy."""
    try:
        raw = np.asarray(value)
    except ValueError as error:  # a ragged list
        raise ValueError(f"{name} is not an array: {error}") from None
    if raw.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be real numbers, got dtype {raw.dtype}")
    array = np.array(raw, dtype=np.float64, order="C")
    if not np.all(np.isfinite(array)):
        bad = array[~np.isfinite(array)].flat[0]
        raise ValueError(f"{name} must be finite, got {bad}")
    array.flags.writeable = False
    return array


def _common_batch_shape(
    g: NDArray[np.float64] | _InTime,
    potential: NDArray[np.float64] | _InTime | None,
    loss: NDArray[np.float64] | _InTime | None,
) -> tuple[int, ...]:
    shapes = {"nonlinearity": g.shape if isinstance(g, np.ndarray) else g.batch_shape}
    for name, part in (("potential", potential), ("loss", loss)):
        if isinstance(part, np.ndarray):
            shapes[name] = part.shape[:-1]
        elif part is not None:
            shapes[name] = part.batch_shape
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"batch shapes do not fit together: {listed}") from None


def _brief(value: object) -> str:
    if isinstance(value, (Series, FunctionInTime)):
        return "<depends on time>"
    if isinstance(value, np.ndarray):
        return f"<array {value.shape}>" if value.ndim else repr(float(value))
    return repr(value)
