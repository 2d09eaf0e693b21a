"""Rational functions that stand for others: fits, their errors, and the shipped tables."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as f

from fourfold.kan._minimax import minimax, points
from fourfold.kan._signature import LARGEST_DEGREE, VARIANTS
from fourfold.kan.functional import Variant, rational

__all__ = ["FUNCTIONS", "RationalFit", "fit_rational"]

Tensor = torch.Tensor
Interval = tuple[float, float]

_TABLES = Path(__file__).with_name("rational_tables.json")

_DIGITS = 200  # of the powers of an interval's ends

_SOME = 7  # every so many points, fn is asked again

#: The functions that have a name here.
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "relu": torch.relu,
    "leaky_relu": f.leaky_relu,
    "gelu": f.gelu,
    "gelu_tanh": functools.partial(f.gelu, approximate="tanh"),
    "silu": f.silu,
    "mish": f.mish,
    "elu": f.elu,
    "selu": f.selu,
    "softplus": f.softplus,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


@dataclass(frozen=True)
class RationalFit:
    """A rational function that approximates another one.

    Attributes
    ----------
    name : str
        Of the function that was fitted.
    numerator, denominator : tuple of float
        As `fourfold.kan.rational` takes them, for one group.
    variant : str
        The form of the denominator.
    interval : tuple of float
        Where it was fitted.
    error : float
        The largest absolute difference on the interval, of the float64 kernel.
    asymptote : float or None
        The limit of F(x)/x at +infinity that was asked for.
    """

    name: str
    numerator: tuple[float, ...]
    denominator: tuple[float, ...]
    variant: Variant
    interval: Interval
    error: float
    asymptote: float | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """F(x), by the kernel."""
        compute = torch.float64 if x.dtype == torch.float64 else torch.float32
        a = torch.tensor([self.numerator], dtype=compute, device=x.device)
        b = torch.tensor([self.denominator], dtype=compute, device=x.device)
        return rational(x, a, b.reshape(1, -1), variant=self.variant)

    @property
    def degree(self) -> tuple[int, int]:
        """The degrees of numerator and denominator."""
        return len(self.numerator) - 1, len(self.denominator) - (self.variant == "C")

    @functools.cached_property
    def second_moment(self) -> float:
        """E[F(z)^2] for z ~ N(0, 1), by quadrature."""
        # On the CPU, whatever the default device: the result is a number.
        z = torch.linspace(-14, 14, 56001, dtype=torch.float64, device="cpu")
        weight = torch.exp(-(z**2) / 2) * ((z[1] - z[0]) / math.sqrt(2 * math.pi))
        return float((self(z) ** 2 * weight).sum())

    @property
    def gain(self) -> float:
        """1/E[F(z)^2]: what the weights' variance of the next layer needs to preserve variance."""
        return 1 / self.second_moment


def fit_rational(
    fn: str | Callable[[Tensor], Tensor],
    degree: tuple[int, int] = (5, 4),
    interval: Interval = (-8.0, 8.0),
    variant: Variant = "A",
    *,
    asymptote: float | None = None,
) -> RationalFit:
    """Fit the rational function whose largest error on an interval is smallest.

    Parameters
    ----------
    fn : str or callable
        A name of `FUNCTIONS`, or a function that takes a one-dimensional float64 ``torch.Tensor``
        and returns one of the same shape.
    degree : tuple of int
        Of numerator and denominator.
    interval : tuple of float
        Where to fit. Beyond it the function goes its own way: with a denominator of one degree less
        than the numerator, as a straight line of the same slope on both sides. A wide interval puts that
        off, and makes the error larger.
    variant : {"A", "B", "C", "N"}
        The form of the denominator, see `rational`. With B and C the polynomial inside the absolute
        value is kept positive on the interval; with N the denominator is, on one 4 times as wide.
    asymptote : float, optional
        Fit under the condition that F(x)/x tends to this at infinity, on both sides; needs a
        numerator of one degree more than the denominator. Without it the fits of relu, gelu and
        silu tend to 1/2, which is the odd part of these functions.

    Returns
    -------
    RationalFit
        With its coefficients, its error, and the interval. What has been fitted before, or is among
        the shipped tables, takes no time.

    Raises
    ------
    ValueError, TypeError
        An argument makes no sense, or the function is not finite on the interval.

    Notes
    -----
    Differential correction with an exchange of points, in float64, from a linear program and from AAA:
    the global optimum on a grid of 16,000 points for the given constraints (variant A: all
    ``b_j >= 0``). Errors below about 1e-8 may be some factor above the optimum.

    References
    ----------
    I. Barrodale, M. J. D. Powell and F. D. K. Roberts, *The differential correction algorithm for
    rational l-infinity approximation*, SIAM J. Numer. Anal. 9, 493 (1972).

    Y. Nakatsukasa, O. Sète and L. N. Trefethen, *The AAA algorithm for rational approximation*,
    SIAM J. Sci. Comput. 40, A1494 (2018).
    """
    low, high = _pair("interval", interval, Real)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"interval: expected two finite numbers in order, got {interval}")
    low, high = float(low), float(high)
    if variant not in VARIANTS:
        raise ValueError(f"variant: expected one of {', '.join(VARIANTS)}, got {variant!r}")
    m, n = (int(value) for value in _pair("degree", degree, Integral))
    if not (0 <= m <= LARGEST_DEGREE and 0 <= n <= LARGEST_DEGREE):
        raise ValueError(f"degree: expected two numbers from 0 to {LARGEST_DEGREE}, got {degree}")
    if abs(math.log10(max(-low, high))) * max(m, n) > _DIGITS:
        raise ValueError(f"interval: {interval} to the power of the degree, {max(m, n)}, overflows")
    if asymptote is not None and not isinstance(asymptote, Real):
        raise TypeError(f"asymptote: expected a number, got {asymptote!r}")
    if asymptote is not None and not math.isfinite(asymptote):
        raise ValueError(f"asymptote: expected a finite number, got {asymptote}")
    if asymptote is not None and m != n + 1:
        raise ValueError(
            "asymptote: needs a numerator of one degree more than the denominator, "
            f"got degree {degree}"
        )
    if isinstance(fn, str):
        if fn not in FUNCTIONS:
            raise ValueError(
                f"fn: expected a function or one of {', '.join(FUNCTIONS)}, got {fn!r}"
            )
        return _fit_named(fn, (m, n), (low, high), variant, asymptote)
    if not callable(fn):
        raise TypeError(f"fn: expected a name or a function, got {type(fn).__name__}")
    name = getattr(fn, "__name__", type(fn).__name__)
    return _fit(name, fn, (m, n), (low, high), variant, asymptote)


def _pair(name: str, values: Any, kind: type) -> tuple[Any, Any]:
    pair = tuple(values) if isinstance(values, Iterable) else ()
    if len(pair) != 2 or not all(isinstance(v, kind) and not isinstance(v, bool) for v in pair):
        what = "integers" if kind is Integral else "numbers"
        raise TypeError(f"{name}: expected two {what}, got {values!r}")
    return pair[0], pair[1]


def _real(found: Any) -> Tensor:
    try:
        values = torch.as_tensor(found)
    except (RuntimeError, TypeError, ValueError):
        raise TypeError(f"fn: expected tensors of results, got {type(found).__name__}") from None
    if values.is_complex():
        raise TypeError(f"fn: expected real results, got {values.dtype}")
    return values.to(torch.float64)


@functools.cache
def _shipped() -> dict[Any, RationalFit]:
    fits = {}
    entries: list[dict[str, Any]] = json.loads(_TABLES.read_text(encoding="utf-8"))
    for entry in entries:
        for key in ("numerator", "denominator", "interval"):
            entry[key] = tuple(entry[key])
        fit = RationalFit(**entry)
        fits[fit.name, fit.degree, fit.interval, fit.variant, fit.asymptote] = fit
    return fits


@functools.lru_cache(maxsize=256)
def _fit_named(
    name: str,
    degree: tuple[int, int],
    interval: Interval,
    variant: Variant,
    asymptote: float | None,
) -> RationalFit:
    shipped = _shipped().get((name, degree, interval, variant, asymptote))
    return shipped or _fit(name, FUNCTIONS[name], degree, interval, variant, asymptote)


def _fit(
    name: str,
    fn: Callable[[Tensor], Tensor],
    degree: tuple[int, int],
    interval: Interval,
    variant: Variant,
    asymptote: float | None,
) -> RationalFit:
    m, n = degree
    x = torch.from_numpy(points(interval))
    with torch.no_grad(), torch.device("cpu"):  # whatever the default device: the result is numbers
        try:
            values, some = _real(fn(x.clone())), _real(fn(x[::_SOME].clone()))
        except Exception as failure:
            failure.add_note(f"fn: was called with a float64 tensor of {len(x)} points")
            raise
    if values.shape != x.shape:
        raise ValueError(
            f"fn: expected a result of the shape of its argument, {tuple(x.shape)}, "
            f"got {tuple(values.shape)}"
        )
    if not bool(torch.isfinite(values).all()):
        at = int((~torch.isfinite(values)).nonzero()[0])
        raise ValueError(
            f"fn: expected finite values on {interval}, got {float(values[at])} at {float(x[at])}"
        )
    if some.shape != x[::_SOME].shape or not torch.allclose(some, values[::_SOME], 1e-6, 1e-9):
        raise ValueError(
            "fn: expected a function of every element by itself; without the others it gives "
            "another result"
        )
    if name == "identity" and m >= 1 and variant != "C" and asymptote in (None, 1.0):
        # Exactly, and with the denominator that does nothing.
        a, b = np.eye(m + 1)[1], np.zeros(n)
    else:
        a, b = minimax(x.numpy(), values.numpy(), m, n, variant, asymptote)
    fit = RationalFit(name, tuple(a.tolist()), tuple(b.tolist()), variant, interval, 0.0, asymptote)
    error = float((fit(x) - values).abs().max())
    return RationalFit(name, fit.numerator, fit.denominator, variant, interval, error, asymptote)
