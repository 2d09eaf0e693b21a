"""The experiments of `fourfold.kan`."""

from fourfold.reproduce.kan import digits, fits, formula, variance
from fourfold.reproduce.record import Family

_TEXT = """
A Kolmogorov-Arnold layer adds up functions of its inputs, y_o = Σ_d φ_do(x_d), that training shapes. Here they are
rational functions shared by groups of inputs, or sums over a basis: B-splines, Gaussians, Chebyshev polynomials,
Fourier series, wavelets, squared ReLUs, and the activations of AF-KAN.
"""

FAMILY = Family(
    title="kan: Kolmogorov-Arnold layers",
    text=_TEXT,
    experiments=(
        ("Rational functions in the place of activations", fits.run),
        ("Variance through 12 blocks", variance.run),
        ("exp(sin πx + y²): accuracy and formula", formula.run),
        ("Digits, and what S-KAN selects", digits.run),
    ),
)
