"""Denominators to begin with, by the AAA algorithm (Nakatsukasa, Sete and Trefethen 2018)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from numpy.polynomial import polynomial

__all__ = ["aaa_denominators"]

Array = npt.NDArray[np.float64]


def aaa_denominators(x: Array, f: Array, degree: int) -> Iterator[Array]:
    """Coefficients (k + 1,) of polynomials Q, k = 1 .. degree, such that some P/Q is near f.

    Only those without a zero among the points x, which lie in [-1, 1]; positive there. It ends where
    f is met exactly.
    """
    left = np.ones(len(x), dtype=bool)
    nodes: list[int] = []
    values = np.full_like(f, f.mean())
    for _ in range(degree + 1):
        off = np.abs(f - values)
        if off.max() == 0:
            return
        # The next node is where it is worst; the weights make the rest best, in the linear sense.
        worst = int(off.argmax())
        nodes.append(worst)
        left[worst] = False
        cauchy = 1 / (x[left, None] - x[nodes])
        weights = np.linalg.svd((f[left, None] - f[nodes]) * cauchy, full_matrices=False)[2][-1]
        below = cauchy @ weights
        if not below.all():
            return
        values = f.copy()
        values[left] = (cauchy @ (weights * f[nodes])) / below
        # Q is the barycentric denominator times the product of all (x - node).
        q = np.zeros(len(nodes))
        for j, weight in enumerate(weights):
            q += weight * polynomial.polyfromroots(x[nodes[:j] + nodes[j + 1 :]])
        on_points = polynomial.polyval(x, q)
        if len(nodes) > 1 and (np.all(on_points > 0) or np.all(on_points < 0)):
            yield q * np.sign(on_points[0])
