"""Ill-conditioned matrices against published figures and mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from fourfold import gp

from .reference import matern52


@pytest.mark.isa
@pytest.mark.parametrize(("lengthscale", "true"), [(0.3, -3649.8234), (1.0, -7181.660098660)])
def test_published_logdet(lengthscale: float, true: float) -> None:
    factor = matern52(20, lengthscale) + 1e-6 * np.eye(20)
    with mpmath.workdps(60):
        exact = float(2 * 20 * mpmath.log(mpmath.det(mpmath.matrix(factor.tolist()))))
    assert exact == pytest.approx(true, rel=2e-8)
    operator = gp.Kronecker([factor, factor])
    assert operator.logdet() == pytest.approx(exact, rel=1e-10)
    assert operator.logdet(0.0) == pytest.approx(exact, rel=1e-9)  # by eigenvalues


def _condition_1e13(n: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    matrix = (q * 10.0 ** np.linspace(0, -13, n)) @ q.T
    return np.asarray((matrix + matrix.T) / 2)


@pytest.mark.isa
def test_condition_1e13_within_the_stated_bound() -> None:
    n = 24
    factor = _condition_1e13(n)
    rng = np.random.default_rng(2)
    known = rng.standard_normal((n, 2))
    with mpmath.workdps(60):
        exact_matrix = mpmath.matrix(factor.tolist())
        logdet = float(mpmath.log(mpmath.det(exact_matrix)))
        inverse = exact_matrix**-1
        b = factor @ known[:, 0]
        x = np.array([float(v) for v in inverse * mpmath.matrix(b.tolist())])
        norm = float(mpmath.mnorm(inverse, "f")) * np.linalg.norm(factor)
    operator = gp.Kronecker([factor, np.eye(2)])
    eps = np.finfo(float).eps
    # docs/gp/kronecker.md, "Accuracy"
    assert abs(operator.logdet() / 2 - logdet) <= n * eps * norm
    solved = operator.solve(np.stack([b, np.zeros(n)], axis=-1).reshape(-1)).reshape(n, 2)
    assert np.linalg.norm(solved[:, 0] - x) <= n * eps * norm * np.linalg.norm(x)
    assert np.abs(solved[:, 1]).max() == 0
    # The residual is small whatever the condition.
    residual = np.linalg.norm(factor @ solved[:, 0] - b)
    assert residual <= 100 * eps * np.linalg.norm(factor) * np.linalg.norm(solved[:, 0])


@pytest.mark.isa
@pytest.mark.parametrize("n", [30, 173])
def test_solves_are_backward_stable_whatever_the_condition(n: int) -> None:
    factor = _condition_1e13(n)
    operator = gp.Kronecker([factor, factor])
    rng = np.random.default_rng(3)
    # Of ordinary size, and dominated by the smallest eigenvectors.
    for b in (rng.standard_normal((n, n)), factor @ rng.standard_normal((n, n)) @ factor):
        x = operator.solve(b)
        half = x @ factor
        eps, norm = np.finfo(float).eps, np.linalg.norm(factor)
        # Residuals of the two solves one after the other, each relative to its own solution.
        assert np.linalg.norm(factor @ half - b) <= 20 * eps * norm * np.linalg.norm(x) * norm
        assert np.isfinite(x).all()
