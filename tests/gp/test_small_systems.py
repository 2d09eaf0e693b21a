"""Small and batched systems: eigenproblems in SIMD lanes, and both ways of `inv_quad_logdet` in one call."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import fourfold
from fourfold import gp

from .reference import Array, kron, matern52, spd

pytestmark = pytest.mark.isa


def peculiar(n: int, rng: np.random.Generator) -> Array:
    """Symmetric matrices that iterations trip over, and as many ordinary ones."""
    v = rng.standard_normal(n)
    scales = 10.0 ** rng.uniform(-150, 150, n)
    wide = rng.standard_normal((n, n))
    coupled = np.diag(rng.standard_normal(n)) + 1e-12 * np.eye(n, k=1) + 1e-12 * np.eye(n, k=-1)
    symmetric = rng.standard_normal((4, n, n))
    return np.stack(
        [
            np.zeros((n, n)),
            np.eye(n),
            np.ones((n, n)),
            np.outer(v, v),
            np.diag(scales),
            1e150 * (wide + wide.T),
            1e-150 * (wide + wide.T),
            np.eye(n, k=1) + np.eye(n, k=-1),
            coupled,
            matern52(n, 2.0),
            *(symmetric + symmetric.swapaxes(-1, -2)),
        ]
    )


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 16, 21, 36, 37, 50, 65])
def test_eigenproblems_in_lanes(n: int) -> None:
    matrices = peculiar(n, np.random.default_rng(n))
    [(values, vectors)] = gp.Kronecker([matrices]).eigh()
    for matrix, lam, q in zip(matrices, values, vectors, strict=True):
        size = max(np.abs(matrix).max(), 1e-300) * n
        np.testing.assert_allclose(q.T @ q, np.eye(n), atol=2e-14)
        np.testing.assert_allclose((q * (lam / size)) @ q.T, matrix / size, atol=2e-14)
        expected = np.linalg.eigvalsh(matrix / size)
        np.testing.assert_allclose(np.sort(lam / size), expected, atol=2e-14)


@pytest.mark.parametrize("n", [5, 30, 45])
def test_lanes_do_not_touch_each_other(n: int) -> None:
    rng = np.random.default_rng(3)
    matrices = spd(rng, 8, n)
    others = peculiar(n, rng)[:8]
    others[5] = matrices[5]
    [(values, vectors)] = gp.Kronecker([matrices]).eigh()
    [(beside, turned)] = gp.Kronecker([others]).eigh()
    np.testing.assert_array_equal(values[5], beside[5])
    np.testing.assert_array_equal(vectors[5], turned[5])


SYSTEMS: dict[str, tuple[tuple[int, ...], tuple[tuple[int, ...], ...], tuple[int, ...]]] = {
    # sizes; batch of every factor; leading dimensions of y
    "one": ((6,), ((9,),), (9,)),
    "pair": ((5, 4), ((8,), (8,)), (8,)),
    "shared": ((5, 4), ((6,), ()), (3, 6)),
    "all shared": ((3, 4), ((), ()), (5,)),
    "deep": ((2, 3, 1, 2, 3), ((4,), (), (4,), (), (4,)), (2, 4)),
    "two axes": ((3, 3), ((2, 3), (3,)), (2, 3)),
    "long": ((40, 3), ((5,), (5,)), (5,)),
    "beyond the lanes": ((200, 2), ((5,), (5,)), (5,)),
}


def draw(name: str, rng: np.random.Generator) -> tuple[list[Array], Array, Array]:
    sizes, batches, leading = SYSTEMS[name]
    factors = [spd(rng, *batch, n) for n, batch in zip(sizes, batches, strict=True)]
    batch = np.broadcast_shapes(*batches)
    return factors, rng.standard_normal((*leading, math.prod(sizes))), rng.uniform(0.1, 1, batch)


def dense_loss(factors: list[Tensor], y: Tensor, noise: Tensor) -> Tensor:
    matrix = factors[0]
    for factor in factors[1:]:
        product = matrix[..., :, None, :, None] * factor[..., None, :, None, :]
        matrix = product.flatten(-4, -3).flatten(-2, -1)
    n = matrix.shape[-1]
    matrix = matrix + noise[..., None, None] * torch.eye(n, dtype=matrix.dtype)
    solved = torch.linalg.solve(matrix, y.unsqueeze(-1)).squeeze(-1)
    quad = (y * solved).sum(-1)
    total: Tensor = (quad * weights(y)).sum() + 0.7 * torch.logdet(matrix).sum()
    return total


def weights(y: Tensor) -> Tensor:
    count = math.prod(y.shape[:-1])
    return torch.linspace(0.5, 2, count, dtype=torch.float64).reshape(y.shape[:-1]).to(y.dtype)


def loss(factors: list[Tensor], y: Tensor, noise: Tensor) -> Tensor:
    quad, logdet = gp.Kronecker(factors).inv_quad_logdet(y, noise)
    total: Tensor = (quad * weights(y)).sum() + 0.7 * logdet.sum()
    return total


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", SYSTEMS)
def test_value_and_gradients(name: str, dtype: torch.dtype) -> None:
    factors, y, noise = draw(name, np.random.default_rng(7))
    inputs = [torch.tensor(a, requires_grad=True) for a in (*factors, y, noise)]
    expected = dense_loss(inputs[:-2], inputs[-2], inputs[-1])
    slopes = torch.autograd.grad(expected, inputs)
    ours = [t.detach().to(dtype).requires_grad_() for t in inputs]
    value = loss(ours[:-2], ours[-2], ours[-1])
    gradients = torch.autograd.grad(value, ours)
    tolerance = 1e-11 if dtype == torch.float64 else 1e-4
    scale = 1 + float(expected.detach().abs())
    assert abs(float(value.detach()) - float(expected.detach())) < tolerance * scale
    for found, wanted in zip(gradients, slopes, strict=True):
        assert found.dtype == dtype
        symmetric = wanted
        if wanted.ndim >= 2 and wanted.shape[-1] == wanted.shape[-2] and wanted is not slopes[-2]:
            symmetric = (wanted + wanted.mT) / 2
        off = (found.double() - symmetric).abs().max() / (1 + symmetric.abs().max())
        assert float(off) < tolerance * 10


def test_only_what_wants_a_gradient_gets_one() -> None:
    factors, y, noise = draw("pair", np.random.default_rng(2))
    tensors = [torch.from_numpy(f) for f in factors]
    tensors[1].requires_grad_()
    value = loss(tensors, torch.from_numpy(y), torch.from_numpy(noise))
    [both] = torch.autograd.grad(value, [tensors[1]])
    assert both.shape == (8, 4, 4)
    # Of one of the two results alone.
    other = tensors[1].detach().requires_grad_()
    _, logdet = gp.Kronecker([tensors[0], other]).inv_quad_logdet(
        torch.from_numpy(y), torch.from_numpy(noise)
    )
    [alone] = torch.autograd.grad(logdet.sum(), other)
    dense = kron([factors[0], factors[1]])
    a = torch.from_numpy(dense + noise[:, None, None] * np.eye(20))
    inverse = torch.linalg.inv(a).reshape(8, 5, 4, 5, 4)
    expected = torch.einsum("bikjl,bji->bkl", inverse, tensors[0])
    torch.testing.assert_close(alone, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["pair", "shared", "long"])
def test_same_bits_for_any_number_of_threads(name: str) -> None:
    factors, y, noise = draw(name, np.random.default_rng(9))
    results: list[list[Any]] = []
    for threads in (1, 2, 3):
        fourfold.set_num_threads(threads)
        inputs = [torch.tensor(a, requires_grad=True) for a in (*factors, y, noise)]
        value = loss(inputs[:-2], inputs[-2], inputs[-1])
        results.append([value.detach(), *torch.autograd.grad(value, inputs)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)


def test_what_is_wrong_is_named() -> None:
    rng = np.random.default_rng(4)
    factors = spd(rng, 6, 5)
    y = rng.standard_normal((6, 5))
    spoiled = factors.copy()
    spoiled[4, 1, 2] += 1
    with pytest.raises(ValueError, match=r"factors\[0\] is not symmetric"):
        gp.Kronecker([torch.from_numpy(spoiled)]).inv_quad_logdet(torch.from_numpy(y), 0.1)
    spoiled[4, 1, 2] = math.inf
    with pytest.raises(ValueError, match=r"factors\[0\] has entries that are not finite"):
        gp.Kronecker([torch.from_numpy(spoiled)]).inv_quad_logdet(torch.from_numpy(y), 0.1)
    indefinite = factors.copy()
    indefinite[3] -= 10 * np.eye(5)
    with pytest.raises(gp.NotPositiveDefiniteError, match="batch item 3") as info:
        gp.Kronecker([torch.from_numpy(indefinite)]).inv_quad_logdet(torch.from_numpy(y), 0.1)
    assert info.value.batch == 3
    bad = y.copy()
    bad[5, 0] = math.nan
    with pytest.raises(ValueError, match="y: 1 entries are not finite"):
        gp.Kronecker([torch.from_numpy(factors)]).inv_quad_logdet(torch.from_numpy(bad), 0.1)
