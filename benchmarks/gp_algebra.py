"""Kronecker algebra beside linear_operator, plain torch, and SciPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg
import torch
from contest import Contestant, Results, ResultTable, number, race, seconds, text, times
from torch import Tensor

from fourfold import gp

THREADS = 2
NOISE = 0.1
# Of a turn, and before it: threads of torch's OpenMP go on spinning for some 20 ms after their work, those of SciPy's
# OpenBLAS for 150 ms.
SECONDS = 0.05
PAUSE = 0.2

# (sizes, batch, wanted ratio to linear_operator); then 0.7 and 1.5 times as large
BATCHES = [
    ((30, 30), 8, 8.0),
    ((16, 16, 16), 64, 8.0),
    ((100, 100), 8, 6.0),
    ((21, 21), 8, None),
    ((45, 45), 8, None),
    ((150, 150), 8, None),
]
SYSTEMS = [
    ((100, 100), 1, None),
    ((200, 200), 1, 2.0),
    ((400, 400), 1, 1.5),
    ((100, 100, 100), 1, 2.0),
    ((280, 280), 1, None),
    ((600, 600), 1, None),
]


def covariance(n: int, rng: np.random.Generator) -> Any:
    """Matern-5/2 on n random points of the unit interval, with lengthscale 0.1."""
    x = np.sort(rng.uniform(0, 1, n))
    d = np.sqrt(5) * np.abs(x[:, None] - x) / 0.1
    return (1 + d + d**2 / 3) * np.exp(-d)


def batches(results: Results, rng: np.random.Generator, quick: bool) -> None:
    """inv_quad_logdet of small systems, forward and backward."""
    _systems("batches", BATCHES[:3] if quick else BATCHES, results, rng)


def systems(results: Results, rng: np.random.Generator, quick: bool) -> None:
    """inv_quad_logdet of one system, forward and backward."""
    _systems("systems", SYSTEMS[:2] if quick else SYSTEMS, results, rng)


def _systems(
    key: str,
    which: Sequence[tuple[tuple[int, ...], int, float | None]],
    results: Results,
    rng: np.random.Generator,
) -> None:
    rows = []
    for sizes, batch, wanted in which:
        factors = [
            torch.from_numpy(np.stack([covariance(n, rng) for _ in range(batch)])) for n in sizes
        ]
        y = torch.from_numpy(rng.standard_normal((batch, math.prod(sizes))))
        contestants = {
            "fourfold": _step(_fourfold, factors, y),
            "linear_operator": _step(_linear_operator, factors, y),
            "torch": _step(_torch, factors, y),
        }
        _same(contestants)
        _slopes(contestants["fourfold"]()[1:], factors, y, rng)
        outcome = race(
            [Contestant(name, run) for name, run in contestants.items()],
            turns=11,
            seconds=SECONDS,
            threads=THREADS,
            pause=PAUSE,
        )
        rows.append(
            {
                "system": " x ".join(map(str, sizes)) + (f", batch {batch}" if batch > 1 else ""),
                **{name: outcome.time(name) for name in contestants},
                "beside linear_operator": outcome.ratio("linear_operator", "fourfold"),
                "wanted": wanted,
                "beside torch": outcome.ratio("torch", "fourfold"),
            }
        )
    results.add(
        ResultTable(
            key=key,
            title="inv_quad_logdet, forward and backward, float64, 2 threads",
            columns={
                "system": text,
                "fourfold": seconds,
                "linear_operator": seconds,
                "torch": seconds,
                "beside linear_operator": times,
                "wanted": times,
                "beside torch": times,
            },
            rows=rows,
            note="torch: eigh and matrix products. Gradients of all factors, the noise and y.",
        )
    )


def _step(
    loss: Callable[[Sequence[Tensor], Tensor, Tensor], Tensor], factors: Sequence[Tensor], y: Tensor
) -> Callable[[], list[Tensor]]:
    leaves = [f.clone().requires_grad_() for f in factors]
    data = y.clone().requires_grad_()
    noise = torch.tensor(NOISE, dtype=y.dtype, requires_grad=True)

    def run() -> list[Tensor]:
        inputs = [*leaves, data, noise]
        value = loss(leaves, data, noise)
        gradients = torch.autograd.grad(value, inputs)
        return [value.detach(), *gradients]

    return run


def _fourfold(factors: Sequence[Tensor], y: Tensor, noise: Tensor) -> Tensor:
    quad, logdet = gp.Kronecker(factors).inv_quad_logdet(y, noise)
    total: Tensor = quad.sum() + logdet.sum()
    return total


def _linear_operator(factors: Sequence[Tensor], y: Tensor, noise: Tensor) -> Tensor:
    from linear_operator import to_linear_operator
    from linear_operator.operators import (
        ConstantDiagLinearOperator,
        KroneckerProductAddedDiagLinearOperator,
        KroneckerProductLinearOperator,
    )

    product = KroneckerProductLinearOperator(*[to_linear_operator(f) for f in factors])
    diagonal = ConstantDiagLinearOperator(noise.expand(y.shape[0], 1), y.shape[-1])
    operator = KroneckerProductAddedDiagLinearOperator(product, diagonal)
    quad, logdet = operator.inv_quad_logdet(y.unsqueeze(-1), logdet=True)
    total: Tensor = quad.sum() + logdet.sum()
    return total


def _torch(factors: Sequence[Tensor], y: Tensor, noise: Tensor) -> Tensor:
    batch = y.shape[0]
    values = y.new_ones(batch, 1)
    z = y
    after = y.shape[-1]
    for factor in factors:
        n = factor.shape[-1]
        after //= n
        lam, q = torch.linalg.eigh(factor)
        values = (values.unsqueeze(-1) * lam.unsqueeze(-2)).flatten(-2)
        slabs = z.reshape(batch, -1, n, after)
        product = slabs.squeeze(-1) @ q if after == 1 else q.mT.unsqueeze(1) @ slabs
        z = product.reshape(batch, -1)
    d = values + noise
    total: Tensor = (z.square() / d).sum() + d.log().sum()
    return total


def _same(contestants: dict[str, Callable[[], list[Tensor]]]) -> None:
    """Values agree, and gradients with linear_operator's.

    Torch and linear_operator differentiate eigenvectors: between close eigenvalues their gradients with respect to the
    factors lose digits, up to 1e-3 on the grids above. `_slopes` has the truth.
    """
    ours = contestants["fourfold"]()
    for name, run in contestants.items():
        theirs = run()
        for a, b in list(zip(ours, theirs, strict=True))[: 1 if name == "torch" else None]:
            # Gradients of symmetric matrices: only their symmetric part is defined.
            symmetric = (b + b.mT) / 2 if b.ndim == 3 else b
            off = float((a - symmetric).norm() / a.norm())
            if not off < (1e-2 if b.ndim == 3 else 1e-6):
                raise AssertionError(f"{name} is off by {off:.1e}")


def _slopes(
    gradients: list[Tensor], factors: Sequence[Tensor], y: Tensor, rng: np.random.Generator
) -> None:
    """Our gradients with respect to the factors against differences of torch's values."""
    noise = torch.tensor(NOISE, dtype=y.dtype)
    for k, (factor, gradient) in enumerate(zip(factors, gradients, strict=False)):
        direction = torch.from_numpy(rng.standard_normal(factor.shape))
        direction = 1e-6 * (direction + direction.mT) / factor.shape[-1]
        ends = [
            float(_torch([*factors[:k], factor + s * direction, *factors[k + 1 :]], y, noise))
            for s in (-1.0, 1.0)
        ]
        slope, ours = (ends[1] - ends[0]) / 2, float((gradient * direction).sum())
        if not abs(slope - ours) < 1e-4 * float(gradient.norm() * direction.norm()):
            raise AssertionError(f"the gradient of factor {k} is off: {ours:.8e}, not {slope:.8e}")


def products(results: Results, rng: np.random.Generator, quick: bool) -> None:
    """Mode products beside the machine's rate for matrix products."""
    square = torch.from_numpy(rng.standard_normal((1500, 1500)))
    rows = []
    for sizes in [(100, 100, 100), (200, 200), (400, 400), (140, 140, 140)][: 1 if quick else 4]:
        factors = [rng.standard_normal((n, n)) for n in sizes]
        operator = gp.Kronecker(factors)
        x = rng.standard_normal(sizes)
        expected = x
        for k, factor in enumerate(factors):
            expected = np.moveaxis(np.tensordot(factor, expected, (1, k)), 0, k)
        np.testing.assert_allclose(operator.matvec(x), expected, rtol=1e-9, atol=1e-7)
        flops = 2.0 * x.size * sum(sizes)
        outcome = race(
            [
                Contestant("fourfold", partial(operator.matvec, x), flops),
                Contestant("matrix product", lambda: square @ square, 2.0 * 1500**3),
            ],
            turns=11,
            seconds=SECONDS,
            threads=THREADS,
            pause=PAUSE,
        )
        rows.append(
            {
                "grid": " x ".join(map(str, sizes)),
                "fourfold, GFLOP/s": 1e-9 / outcome.time("fourfold"),
                "matrix product, GFLOP/s": 1e-9 / outcome.time("matrix product"),
                "share, %": 100 * outcome.ratio("matrix product", "fourfold"),
            }
        )
    results.add(
        ResultTable(
            key="products",
            title="K y, float64, 2 threads",
            columns={
                "grid": text,
                "fourfold, GFLOP/s": number,
                "matrix product, GFLOP/s": number,
                "share, %": number,
            },
            rows=rows,
            note="Matrix product: torch (MKL), 1500 x 1500. Wanted: 60 %.",
        )
    )


def solves(results: Results, rng: np.random.Generator, quick: bool) -> None:
    """Noise-free solves beside SciPy's, and Toeplitz beside dense Cholesky."""
    n = 400
    factors = [covariance(n, rng) + 1e-3 * np.eye(n) for _ in range(2)]
    operator = gp.Kronecker(factors)
    y = rng.standard_normal((n, n))
    lowers = [scipy.linalg.cho_factor(f, lower=True) for f in factors]

    def scipy_solve() -> Any:
        first = scipy.linalg.cho_solve(lowers[0], y)
        return scipy.linalg.cho_solve(lowers[1], first.T).T

    np.testing.assert_allclose(operator.solve(y), scipy_solve(), rtol=1e-6, atol=1e-6)
    outcome = race(
        [Contestant("fourfold", lambda: operator.solve(y)), Contestant("peer", scipy_solve)],
        turns=9,
        seconds=SECONDS,
        threads=THREADS,
        pause=PAUSE,
    )
    rows = [
        {
            "what": "solve without noise, 400 x 400, decomposed before",
            "fourfold": outcome.time("fourfold"),
            "peer": outcome.time("peer"),
            "beside": outcome.ratio("peer", "fourfold"),
            "wanted": 3.0,
        }
    ]
    for size in [1024] if quick else [4096, 2867]:
        column = np.exp(-np.arange(size) * 0.01)
        column[0] += 0.01
        b = rng.standard_normal(size)

        def toeplitz(column: Any = column, b: Any = b) -> Any:
            series = gp.Kronecker([gp.Toeplitz(column)])
            return series.logdet(), series.solve(b)

        def dense(column: Any = column, b: Any = b) -> Any:
            lower = scipy.linalg.cho_factor(
                scipy.linalg.toeplitz(column), lower=True, overwrite_a=True, check_finite=False
            )
            logdet = 2 * np.log(np.diag(lower[0])).sum()
            return logdet, scipy.linalg.cho_solve(lower, b, check_finite=False)

        for one, other in zip(toeplitz(), dense(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)
        outcome = race(
            [Contestant("fourfold", toeplitz), Contestant("peer", dense)],
            turns=3,
            threads=THREADS,
            pause=PAUSE,
        )
        rows.append(
            {
                "what": f"Toeplitz log-determinant and solve, n = {size}",
                "fourfold": outcome.time("fourfold"),
                "peer": outcome.time("peer"),
                "beside": outcome.ratio("peer", "fourfold"),
                "wanted": 20.0,
            }
        )
    results.add(
        ResultTable(
            key="solves",
            title="Solves, float64, 2 threads",
            columns={
                "what": text,
                "fourfold": seconds,
                "peer": seconds,
                "beside": times,
                "wanted": times,
            },
            rows=rows,
            note="Peer: SciPy's cho_solve twice; SciPy's dense Cholesky decomposition and solve.",
        )
    )
