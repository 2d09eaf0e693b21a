"""Coefficients of the equation that change in time: functions of time and modulated series."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fourfold.nlse._leaves import Leaf, plain
from fourfold.nlse.grid import Grid

__all__ = ["Factor", "FunctionInTime", "Modulated", "Series", "required_parameters"]

Float = NDArray[np.float64]

# Values of a function of time are kept, so that the realisations of a batch, which meet the same
# times one after the other, need not compute them again.
_CACHE_BYTES = 64 << 20


class Factor(NamedTuple):
    """One factor f(t) of a series: a function, or a piecewise cubic polynomial.

    On piece p, from ``knots[p]`` on, it is ``sum_q coefficients[p, q] (t - knots[p])^q``.
    """

    function: Callable[[float], Any] | None
    knots: Float
    coefficients: Float  # (pieces, 4)
    span: tuple[float, float]  # where it is defined
    samples: Leaf | None = None  # what the coefficients come from, if it wants gradients
    times: Float | None = None  # of the samples
    interpolation: str = ""

    def basis(self) -> Float:
        """The coefficients (pieces, 4, m) of each of the m samples alone, as they are linear in them."""
        if self.times is None:
            return np.eye(1, 4).reshape(1, 4, 1)
        return _pieces(self.times, np.eye(len(self.times)), self.interpolation)


class _Term(NamedTuple):
    profile: Any
    factor: Factor


class Modulated:
    """A coefficient ``f(t) profile(x)`` of a `Problem`, or a sum of such terms.

    For `potential`, `loss` and `nonlinearity` of `fourfold.nlse.Problem`. Objects of this class can
    be added to each other, and to what does not change in time: a number, an array, a function of
    x. A series whose factors are sampled is summed in compiled code; it costs a few per cent of a
    run. Functions are called from compiled code, once a stage of a step.

    Parameters
    ----------
    profile : float, array of shape (..., n), or function of x
        Leading dimensions give one profile to each realisation. For `nonlinearity`: a number, or an
        array of batch shape.
    factor : function of t, float, or array of shape (m,)
        f. A function gets a float and returns one.
    times : array of shape (m,), optional
        The times, strictly increasing, at which `factor` has the values given. A run must lie
        between the first and the last.
    interpolation : {"cubic", "linear"}
        Between the samples: the cubic spline with "not-a-knot" ends, whose second derivative is
        continuous, or straight lines. A method keeps its order while a step does not cross a knot;
        across one, the order is at most 3 with cubic and 1 with linear interpolation (for that
        step: 4 and 2 in the local error).

    Raises
    ------
    TypeError, ValueError
        An argument is not what is said above.

    Examples
    --------
    A lattice that is shaken in a trap:

    >>> import numpy as np
    >>> from fourfold import nlse
    >>> grid = nlse.Grid(n=128, length=20.0)
    >>> shaken = nlse.Modulated(np.cos(grid.k[3] * grid.x), np.sin) + 0.5 * grid.x**2
    >>> problem = nlse.Problem(grid, potential=shaken)
    >>> problem.time_dependent
    True
    """

    __array_ufunc__ = None  # array + Modulated is ours, not elementwise

    def __init__(
        self,
        profile: float | ArrayLike | Callable[[Float], ArrayLike],
        factor: float | ArrayLike | Callable[[float], float],
        times: ArrayLike | None = None,
        *,
        interpolation: str = "cubic",
    ) -> None:
        if interpolation not in ("cubic", "linear"):
            raise ValueError(f"interpolation must be 'cubic' or 'linear', got {interpolation!r}")
        if isinstance(profile, Modulated):
            raise TypeError("profile must not be a Modulated: multiply the factors instead")
        if callable(profile) and required_parameters("profile", profile, (1,)) != 1:
            raise TypeError("profile must be a function of x alone")
        self._terms: tuple[_Term, ...] = (_Term(profile, _factor(factor, times, interpolation)),)

    def __add__(self, other: Any) -> Modulated:
        """The sum with another series or with what does not change in time."""
        if not isinstance(other, Modulated):
            other = Modulated(other, 1.0)
        return Modulated.of_terms(self._terms + other._terms)

    __radd__ = __add__

    @classmethod
    def of_terms(cls, terms: Sequence[tuple[Any, Factor]]) -> Modulated:
        """The series with these pairs of profile and factor, as `terms` has them."""
        series = cls.__new__(cls)
        series._terms = tuple(_Term(profile, factor) for profile, factor in terms)
        return series

    def leaves(self, name: str) -> list[Leaf]:
        """The tensors that want gradients, as ``name[j].profile`` and ``name[j].factor``."""
        found = []
        for j, term in enumerate(self._terms):
            profile = plain(f"{name}[{j}].profile", term.profile)[1]
            if profile is not None:
                found.append(profile)
            if term.factor.samples is not None:
                found.append(term.factor.samples._replace(name=f"{name}[{j}].factor"))
        return found

    @property
    def terms(self) -> tuple[_Term, ...]:
        """Pairs of profile, as it was given, and factor."""
        return self._terms

    def __repr__(self) -> str:
        return f"Modulated(<{len(self._terms)} term{'s' * (len(self._terms) > 1)}>)"


class Series:
    """A `Modulated` on a grid: ``sum_j f_j(t) rows[j]``, rows of shape (terms, ..., n) or (terms, ...)."""

    def __init__(self, name: str, rows: Sequence[Float], factors: Sequence[Factor], tail: int):
        self.name = name
        try:
            batch = np.broadcast_shapes(*(row.shape[: row.ndim - tail] for row in rows))
        except ValueError:
            listed = ", ".join(str(row.shape) for row in rows)
            raise ValueError(f"{name}: the profiles do not fit together: {listed}") from None
        last = rows[0].shape[rows[0].ndim - tail :]
        self.rows = np.stack([np.broadcast_to(row, batch + last) for row in rows])
        self.rows.flags.writeable = False
        self.factors = tuple(factors)
        self.batch_shape = batch

    def check(self, t0: float, t1: float) -> None:
        """Refuse times at which a factor is not defined."""
        for j, factor in enumerate(self.factors):
            low, high = factor.span
            if t0 < low or t1 > high:
                which = f" of term {j}" if len(self.factors) > 1 else ""
                raise ValueError(
                    f"{self.name}: the factor{which} is given from t = {low:g} to {high:g}, "
                    f"but the run goes from {t0:g} to {t1:g}"
                )
        self.weights(t0)

    @property
    def sampled(self) -> bool:
        """Whether compiled code can evaluate all factors."""
        return all(factor.function is None for factor in self.factors)

    def weights(self, t: float) -> Float:
        """The factors at one time, float64 (terms,)."""
        return np.array([_value(self.name, factor, t) for factor in self.factors])

    def at(self, t: float) -> Float:
        """The coefficient at one time."""
        return np.tensordot(self.weights(t), self.rows, axes=1)


class FunctionInTime:
    """A coefficient given as a function ``f(x, t)``, or ``f(t)`` for the nonlinearity."""

    batch_shape: tuple[int, ...] = ()

    def __init__(self, name: str, function: Callable[..., Any], grid: Grid | None) -> None:
        self.name = name
        self._function = function
        self._grid = grid
        self._cache: OrderedDict[float, Float] = OrderedDict()
        self._room = max(1, _CACHE_BYTES // (8 * (grid.n if grid else 16)))

    def check(self, t0: float, t1: float) -> None:
        """Call it once: what is wrong with it shows before any work."""
        self.at(t0)

    def at(self, t: float) -> Float:
        """Values at one time, float64 (n,) or (); read-only."""
        found = self._cache.get(t)
        if found is None:
            found = self._evaluate(t)
            if len(self._cache) >= self._room:
                self._cache.popitem(last=False)
            self._cache[t] = found
        return found

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cache": OrderedDict()}

    def _evaluate(self, t: float) -> Float:
        grid = self._grid
        raw = np.asarray(self._function(t) if grid is None else self._function(grid.x, t))
        shape = () if grid is None else (grid.n,)
        if raw.dtype.kind not in "iuf":
            raise TypeError(f"{self.name} must be real at every time, got {raw.dtype} at t = {t:g}")
        if raw.shape not in ((), shape):
            raise ValueError(
                f"{self.name}: a function of time must return a number"
                + (f" or an array of shape {shape}" if grid is not None else "")
                + f", got shape {raw.shape} at t = {t:g}; Modulated gives each realisation its own"
            )
        values = np.empty(shape)
        values[...] = raw
        if not np.isfinite(values).all():
            raise ValueError(f"{self.name} must be finite, got {raw!r} at t = {t:g}")
        values.flags.writeable = False
        return values


def required_parameters(name: str, function: Callable[..., Any], allowed: tuple[int, ...]) -> int:
    """How many arguments a function must be given; the smallest allowed if nobody can tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions have no signature
        return allowed[0]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = sum(p.default is p.empty and p.kind in kinds for p in parameters)
    if required == 0 and any(p.kind in (*kinds, p.VAR_POSITIONAL) for p in parameters):
        return allowed[0]
    if required not in allowed:
        what = {(1,): "one argument", (1, 2): "x, or x and t"}[allowed]
        raise TypeError(f"{name}: a function must take {what}, this one takes {required} arguments")
    return required


def _factor(factor: Any, times: Any, interpolation: str) -> Factor:
    everywhere = (-np.inf, np.inf)
    factor, leaf = plain("factor", factor)
    if callable(factor):
        if times is not None:
            raise ValueError("times must not be given where factor is a function of t")
        required_parameters("factor", factor, (1,))
        return Factor(factor, np.zeros(0), np.zeros((0, 4)), everywhere)
    values = _real_vector("factor", factor)
    if times is None:
        if values.ndim:
            raise ValueError("times must be given where factor is an array of samples")
        constant = np.array([[float(values), 0.0, 0.0, 0.0]])
        return Factor(None, np.zeros(1), constant, everywhere, leaf)
    knots = _real_vector("times", times)
    if knots.ndim != 1 or knots.shape != values.shape or knots.size < 2:
        raise ValueError(
            "factor and times must be one-dimensional, of the same length and of at least two "
            f"entries, got shapes {values.shape} and {knots.shape}"
        )
    if not np.all(np.diff(knots) > 0):
        raise ValueError("times must increase strictly")
    return Factor(
        None,
        knots[:-1].copy(),
        _pieces(knots, values, interpolation),
        (float(knots[0]), float(knots[-1])),
        leaf,
        knots,
        interpolation,
    )


def _pieces(knots: Float, values: Float, interpolation: str) -> Float:
    """Coefficients (pieces, 4), the lowest power first; of each column, if there are some."""
    coefficients = np.zeros((len(knots) - 1, 4, *values.shape[1:]))
    if interpolation == "linear":
        widths = np.diff(knots).reshape(-1, *(1,) * (values.ndim - 1))
        coefficients[:, 0] = values[:-1]
        coefficients[:, 1] = np.diff(values, axis=0) / widths
    else:
        from scipy.interpolate import CubicSpline  # slow to import, and few need it

        coefficients[...] = np.moveaxis(CubicSpline(knots, values).c[::-1], 0, 1)
    return coefficients


def _value(name: str, factor: Factor, t: float) -> float:
    if factor.function is None:
        piece = max(0, int(np.searchsorted(factor.knots, t, side="right")) - 1)
        s = t - factor.knots[piece]
        c = factor.coefficients[piece]
        return float(c[0] + s * (c[1] + s * (c[2] + s * c[3])))
    raw = np.asarray(factor.function(t))
    if raw.dtype.kind not in "iuf" or raw.ndim != 0:
        raise TypeError(f"{name}: a factor must return a real number, got {raw!r} at t = {t:g}")
    if not np.isfinite(raw):
        raise ValueError(f"{name}: a factor must be finite, got {raw!r} at t = {t:g}")
    return float(raw)


def _real_vector(name: str, value: Any) -> Float:
    raw = np.asarray(value)
    if raw.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be real numbers or a function, got dtype {raw.dtype}")
    array = np.array(raw, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)].flat[0]}")
    return array
