"""The bases of Kolmogorov-Arnold layers, one file each."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fourfold.kan.bases._basis import Basis
from fourfold.kan.bases.af import AF
from fourfold.kan.bases.bspline import BSpline
from fourfold.kan.bases.chebyshev import Chebyshev
from fourfold.kan.bases.fourier import Fourier
from fourfold.kan.bases.rational import RationalBasis
from fourfold.kan.bases.rbf import RBF
from fourfold.kan.bases.relu import ReLU
from fourfold.kan.bases.wavelet import Wavelet

__all__ = [
    "AF",
    "BASES",
    "RBF",
    "BSpline",
    "Basis",
    "Chebyshev",
    "Fourier",
    "RationalBasis",
    "ReLU",
    "Wavelet",
    "make_basis",
]

# Name -> class. A new basis is one file and one line here.
BASES: dict[str, Callable[..., Basis]] = {
    "bspline": BSpline,
    "rbf": RBF,
    "chebyshev": Chebyshev,
    "fourier": Fourier,
    "wavelet": Wavelet,
    "relu": ReLU,
    "rational": RationalBasis,
    "af": AF,
}


def make_basis(basis: str | Basis, in_features: int, options: dict[str, Any]) -> Basis:
    """Return the named basis with its options, or the given one if it fits.

    Raises
    ------
    ValueError
        No such basis, or a given one for another number of features.
    TypeError
        Neither a name nor a `Basis`, or an option that the basis does not have.
    """
    if isinstance(basis, Basis):
        if options:
            raise TypeError(f"options {sorted(options)} belong to the basis that was given")
        if basis.in_features != in_features:
            raise ValueError(
                f"basis: expected one for {in_features} features, got one for {basis.in_features}"
            )
        return basis
    if not isinstance(basis, str):
        raise TypeError(f"basis: expected a name or a Basis, got {type(basis).__name__}")
    if basis not in BASES:
        raise ValueError(f"basis: expected one of {sorted(BASES)}, got {basis!r}")
    known = list(inspect.signature(BASES[basis]).parameters)[1:]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"options: {basis} has {', '.join(known)}, got {', '.join(unknown)}")
    return BASES[basis](in_features, **options)
