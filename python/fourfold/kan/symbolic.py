"""Functions with names, and how well they fit the function of an edge."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import torch
from torch import Tensor, nn

from fourfold.kan._checks import is_name

__all__ = ["LIBRARY", "NamedFunction", "SymbolicEdge", "SymbolicFit", "fit_function", "suggest"]

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NamedFunction:
    """A function that an edge may turn out to be.

    Attributes
    ----------
    torch : callable
        Of a tensor.
    sympy : callable
        Of a sympy expression.
    complexity : int
        Of functions that fit equally well the one of least complexity is taken.
    """

    torch: Callable[[Tensor], Tensor]
    sympy: Callable[[Any], Any]
    complexity: int


def _sympy(name: str) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        import sympy

        return getattr(sympy, name)(x)

    return function


def _sympy_gaussian(x: Any) -> Any:
    import sympy

    return sympy.exp(-(x**2))


LIBRARY: dict[str, NamedFunction] = {
    "0": NamedFunction(torch.zeros_like, lambda x: 0 * x, 0),
    "x": NamedFunction(lambda x: x, lambda x: x, 1),
    "x^2": NamedFunction(torch.square, lambda x: x**2, 2),
    "x^3": NamedFunction(lambda x: x**3, lambda x: x**3, 3),
    "x^4": NamedFunction(lambda x: x**4, lambda x: x**4, 3),
    "1/x": NamedFunction(torch.reciprocal, lambda x: 1 / x, 3),
    "sqrt": NamedFunction(torch.sqrt, _sympy("sqrt"), 3),
    "exp": NamedFunction(torch.exp, _sympy("exp"), 3),
    "log": NamedFunction(torch.log, _sympy("log"), 3),
    "sin": NamedFunction(torch.sin, _sympy("sin"), 3),
    "abs": NamedFunction(torch.abs, _sympy("Abs"), 4),
    "tan": NamedFunction(torch.tan, _sympy("tan"), 4),
    "tanh": NamedFunction(torch.tanh, _sympy("tanh"), 4),
    "gaussian": NamedFunction(lambda x: torch.exp(-x.square()), _sympy_gaussian, 4),
}

# Where the search for (a, b) begins, in units of the data's standard deviation and mean.
_SLOPES = np.geomspace(0.05, 8.0, 24)
_SHIFTS = np.linspace(-8.0, 8.0, 49)
_POINTS = 200
_STARTS = 3
_LARGEST = 1e6
_LARGEST_EXPONENT = 300.0
_POWERS = {"x^2": 2, "x^3": 3, "x^4": 4, "1/x": -1}


@dataclass(frozen=True)
class SymbolicFit:
    """``c f(a x + b) + d`` and the share of the variance it explains.

    Attributes
    ----------
    name : str
        Key of `LIBRARY`.
    a, b, c, d : float
    r2 : float
        1 minus the residual's variance over the function's.
    """

    name: str
    a: float
    b: float
    c: float
    d: float
    r2: float


def fit_function(name: str, x: Float64, y: Float64) -> SymbolicFit:
    """Fit ``c f(a x + b) + d`` to samples of a function.

    For a grid of (a, b) the best (c, d) are known in closed form; the best of the grid are refined by
    nonlinear least squares.

    Parameters
    ----------
    name : str
        Key of `LIBRARY`.
    x, y : float64 arrays (n,)

    Returns
    -------
    SymbolicFit
        With ``r2 = -inf`` if f is finite on no tried image of the samples.

    Raises
    ------
    ValueError
        If no function has this name.
    """
    function = _lookup(name)
    mean, deviation = float(np.mean(y)), float(np.std(y))
    if name == "0" or deviation == 0:
        constant = 0.0 if name == "0" else mean
        return SymbolicFit(name, 1.0, 0.0, 0.0, constant, _r2(y, np.full_like(y, constant)))
    if name == "x":
        c, d = np.polyfit(x, y, 1)
        return SymbolicFit(name, 1.0, 0.0, float(c), float(d), _r2(y, c * x + d))
    centre, width = float(np.mean(x)), float(np.std(x)) or 1.0
    z = (x - centre) / width
    w = (y - mean) / deviation

    def values(a: Any, b: Any) -> Float64:
        with np.errstate(all="ignore"):
            return function.torch(torch.as_tensor(a * z + b)).numpy()

    slopes = np.concatenate([_SLOPES, -_SLOPES])
    some = slice(None, None, max(1, len(x) // _POINTS))
    images = values(slopes[:, None, None], _SHIFTS[None, :, None])[..., some]
    correlation = _correlation(images, w[some])
    order = np.argsort(correlation.ravel())[::-1][:_STARTS]
    best = SymbolicFit(name, 1.0, 0.0, 0.0, mean, -np.inf)
    for flat in order:
        i, j = np.unravel_index(flat, correlation.shape)
        if not correlation[i, j] > 0:
            continue
        fit = _refine(values, w, float(slopes[i]), float(_SHIFTS[j]))
        if fit is None:
            continue
        a, b, c, d = fit
        r2 = _r2(w, c * values(a, b) + d)
        if r2 > best.r2:
            best = SymbolicFit(
                name,
                float(a / width),
                float(b - a * centre / width),
                float(c * deviation),
                float(d * deviation + mean),
                float(r2),
            )
    return _in_standard_form(best)


def _in_standard_form(fit: SymbolicFit) -> SymbolicFit:
    """One of the (a, b, c, d) that mean the same: numbers near 1, from which training goes on well.

    ``c exp(a x + b)`` has b = 0, powers, roots and logarithms have a = 1 or -1, and a sine's slope is
    positive and its phase between -pi/2 and pi/2.
    """
    name, a, b, c, d = fit.name, fit.a, fit.b, fit.c, fit.d
    size = abs(a)
    if name == "exp" and abs(b) < _LARGEST_EXPONENT:
        b, c = 0.0, c * float(np.exp(b))
    elif name in _POWERS and size > 0:
        c *= a ** _POWERS[name]
        a, b = 1.0, b / a
    elif name in ("sqrt", "log") and size > 0:
        a, b = a / size, b / size
        c, d = (c * size**0.5, d) if name == "sqrt" else (c, d + c * float(np.log(size)))
    elif name == "sin":
        if a < 0:
            a, b, c = -a, -b, -c
        turns = round(b / np.pi)
        b, c = b - turns * np.pi, c * (-1) ** turns
    return SymbolicFit(name, a, b, c, d, fit.r2)


def suggest(
    x: Float64, y: Float64, names: Iterable[str] | None = None, tolerance: float = 10.0
) -> list[SymbolicFit]:
    """Fits to samples of a function, the one to take first.

    That is the least complex one whose residual is at most `tolerance` times the smallest, and of
    equally complex ones the best; the others follow by residual.

    Parameters
    ----------
    x, y : float64 arrays (n,)
    names : iterable of str, optional
        Keys of `LIBRARY` to try; all by default.
    tolerance : float
        At least 1.
    """
    if isinstance(names, str):
        raise TypeError(f"names: expected several names, got the string {names!r}")
    fits = [fit_function(name, x, y) for name in (LIBRARY if names is None else names)]
    if not fits:
        raise ValueError("names: expected at least one function")
    fits.sort(key=lambda fit: -fit.r2)
    # Residuals below this are the samples' own: they tell nothing.
    bound = tolerance * max(1 - fits[0].r2, 1e-9)
    good = [fit for fit in fits if 1 - fit.r2 <= bound]
    if not good:
        return fits
    chosen = min(good, key=lambda fit: (LIBRARY[fit.name].complexity, -fit.r2))
    return [chosen, *(fit for fit in fits if fit is not chosen)]


class SymbolicEdge(nn.Module):
    """``c f(a x + b) + d`` with trainable a, b, c and d.

    Parameters
    ----------
    fit : SymbolicFit
    like : Tensor
        Its dtype and device.
    """

    def __init__(self, fit: SymbolicFit, like: Tensor) -> None:
        super().__init__()
        self.name = fit.name
        _lookup(fit.name)
        values = torch.tensor([fit.a, fit.b, fit.c, fit.d], dtype=like.dtype, device=like.device)
        self.affine = nn.Parameter(values)

    def forward(self, x: Tensor) -> Tensor:
        """Of a tensor."""
        a, b, c, d = self.affine.unbind()
        return c * LIBRARY[self.name].torch(a * x + b) + d

    def expression(self, x: Any) -> Any:
        """The same of a sympy expression."""
        import sympy

        a, b, c, d = (sympy.Float(value, 17) for value in self.affine.tolist())
        return c * LIBRARY[self.name].sympy(a * x + b) + d

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{self.name!r}"


def _lookup(name: str) -> NamedFunction:
    if not is_name(name, LIBRARY):
        raise ValueError(f"name: expected one of {sorted(LIBRARY)}, got {name!r}")
    return LIBRARY[name]


def _r2(y: Float64, fitted: Float64) -> float:
    variance = float(np.var(y))
    residual = float(np.mean((y - fitted) ** 2))
    if not np.isfinite(residual):
        return -np.inf
    if variance == 0:
        return 1.0 if residual == 0 else -np.inf
    return 1 - residual / variance


def _correlation(images: Float64, w: Float64) -> Float64:
    """Squared correlation along the last axis; 0 where an image is constant or not finite."""
    with np.errstate(all="ignore"):
        centred = images - images.mean(axis=-1, keepdims=True)
        power = (centred**2).mean(axis=-1) * np.var(w)
        found = (centred * (w - w.mean())).mean(axis=-1) ** 2 / power
    return np.where(np.isfinite(found), found, 0.0)


def _refine(
    values: Callable[[Any, Any], Float64], w: Float64, a: float, b: float
) -> tuple[float, float, float, float] | None:
    """Least squares in (a, b), with the best (c, d) for each."""

    def usable(image: Float64) -> bool:
        # Near a pole the squares overflow, and nothing is learned.
        return bool(np.abs(image).max() < _LARGEST)

    def scale_and_shift(image: Float64) -> tuple[float, float]:
        centred = image - image.mean()
        power = float(centred @ centred)
        c = float(centred @ w) / power if power > 0 else 0.0
        return c, float(w.mean() - c * image.mean())

    def residual(at: Float64) -> Float64:
        image = values(at[0], at[1])
        if not usable(image):
            return np.full_like(w, 1e3)
        c, d = scale_and_shift(image)
        return c * image + d - w

    solution = scipy.optimize.least_squares(
        residual, [a, b], xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=60
    )
    image = values(*solution.x)
    if not usable(image):
        return None
    c, d = scale_and_shift(image)
    return float(solution.x[0]), float(solution.x[1]), c, d
