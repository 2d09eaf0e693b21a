"""Bad input is named before any work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fourfold import gp

I3 = np.eye(3)


@pytest.mark.parametrize(
    ("factors", "error", "message"),
    [
        (I3, TypeError, "one matrix alone is"),
        ([], ValueError, "at least one"),
        ([[[1.0]]], TypeError, r"factors\[0\]: expected a NumPy array"),
        ([np.eye(3, dtype=int)], TypeError, "float32 or float64, got int"),
        ([np.eye(3, dtype=complex)], TypeError, "got complex128"),
        ([torch.eye(3, dtype=torch.float16)], TypeError, "float16"),
        ([np.ones(3)], ValueError, r"shape \(..., n, n\)"),
        ([np.ones((0, 0))], ValueError, r"shape \(..., n, n\)"),
        ([I3, torch.eye(3, dtype=torch.float64)], TypeError, "got both"),
        ([I3, np.eye(2, dtype=np.float32)], TypeError, "one dtype"),
        ([np.ones((2, 3, 3)), np.ones((5, 3, 3))], ValueError, "do not broadcast"),
        ([np.ma.masked_equal(I3, 0)], TypeError, "masked array"),
        ([torch.eye(3, dtype=torch.float64).to_sparse()], TypeError, "dense tensor"),
        ([I3] * 33, ValueError, "at most 32"),
    ],
)
def test_factors(factors: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        gp.Kronecker(factors)


@pytest.mark.isa
def test_values() -> None:
    y = np.ones(3)
    for bad in (np.nan, np.inf):
        matrix = I3.copy()
        matrix[1, 2] = bad
        for noise in (None, 0.1):
            with pytest.raises(ValueError, match=r"factors\[0\] has entries that are not finite"):
                gp.Kronecker([matrix]).solve(y, noise)
        with pytest.raises(ValueError, match="y: 1 entries are not finite"):
            gp.Kronecker([I3]).solve(np.array([1.0, bad, 1.0]))
    skew = I3.copy()
    skew[0, 1] = 0.5
    with pytest.raises(ValueError, match=r"factors\[0\] is not symmetric"):
        gp.Kronecker([skew]).logdet()
    for noise in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="noise: expected finite variances"):
            gp.Kronecker([I3]).solve(y, noise)
    with pytest.raises(ValueError, match=r"noise\[0\]: expected positive"):
        gp.Kronecker([I3]).solve(y, [np.zeros(3)])
    with pytest.raises(ValueError, match="expected 1 vectors"):
        gp.Kronecker([I3]).solve(y, [np.ones(3)] * 2)
    with pytest.raises(ValueError, match=r"noise\[0\]: expected shape"):
        gp.Kronecker([I3]).solve(y, [np.ones(2)])
    with pytest.raises(ValueError, match="jitter"):
        gp.Kronecker([I3], jitter=-1)
    with pytest.raises(ValueError, match=r"column: expected shape"):
        gp.Toeplitz(np.array(1.0))


def test_shapes() -> None:
    operator = gp.Kronecker([I3, np.eye(2)])
    with pytest.raises(ValueError, match=r"expected shape \(..., 6\) or \(..., 3, 2\), got \(5,\)"):
        operator.solve(np.ones(5))
    with pytest.raises(ValueError, match=r"\(6,\) or \(..., 6, m\)"):
        operator @ np.ones((5, 2))
    with pytest.raises(TypeError, match=r"got torch\.float32"):
        operator.solve(np.ones(6, dtype=np.float32))
    with pytest.raises(TypeError):
        operator @ [1.0] * 6
    batched = gp.Kronecker([np.stack([I3, I3])])
    with pytest.raises(ValueError, match="do not broadcast with the batch"):
        batched.solve(np.ones((3, 3)))
    with pytest.raises(ValueError, match="noise: expected a number"):
        batched.logdet(np.ones(5))
    with pytest.raises(ValueError, match="count"):
        operator.sample(0)
    with pytest.raises(TypeError, match="rng"):
        operator.sample(1, "seed")


@pytest.mark.isa
def test_not_positive_definite() -> None:
    indefinite = np.diag([1.0, 2.0, -0.5])
    batch = np.stack([I3, indefinite])
    with pytest.raises(gp.NotPositiveDefiniteError) as caught:
        gp.Kronecker([np.eye(2), batch]).logdet()
    error = caught.value
    assert (error.factor, error.batch, error.pivot) == (1, 1, 2)
    assert error.smallest_eigenvalue == pytest.approx(-0.5)
    with pytest.raises(gp.NotPositiveDefiniteError, match="with its noise") as caught:
        gp.Kronecker([indefinite]).solve(np.ones(3), 0.25)
    assert caught.value.smallest_eigenvalue == pytest.approx(-0.25)
    assert caught.value.factor is None
    # Enough noise makes it positive definite.
    assert gp.Kronecker([indefinite]).logdet(1.0) == pytest.approx(np.log(2 * 3 * 0.5))
