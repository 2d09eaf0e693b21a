"""Gradients against finite differences, and what torch asks of an operator."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fourfold import gp
from fourfold.gp import _kernel

from .reference import spd

FACTORS: dict[str, Callable[[np.random.Generator], list[Any]]] = {
    "random": lambda rng: [spd(rng, 3), spd(rng, 2), spd(rng, 4)],
    "identity": lambda rng: [np.eye(3), np.eye(2), np.eye(3)],
    "equal": lambda rng: [spd(np.random.default_rng(0), 3)] * 2,
    "one": lambda rng: [spd(rng, 5)],
    "batch": lambda rng: [spd(rng, 2, 3), spd(rng, 2)],
}


def leaves(arrays: list[Any]) -> list[Tensor]:
    return [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]


@pytest.mark.isa
@pytest.mark.parametrize("noisy", [True, False])
@pytest.mark.parametrize("name", FACTORS)
def test_gradcheck(name: str, noisy: bool) -> None:
    rng = np.random.default_rng(1)
    arrays = FACTORS[name](rng)
    total = int(np.prod([a.shape[-1] for a in arrays]))
    tensors = leaves([*arrays, rng.standard_normal((2, total)), 0.3])

    def both(*inputs: Tensor) -> Any:
        *factors, y, s = inputs
        return gp.Kronecker(factors).inv_quad_logdet(y, s if noisy else None)

    def solved(*inputs: Tensor) -> Any:
        *factors, y, s = inputs
        return gp.Kronecker(factors).solve(y, s if noisy else None)

    assert torch.autograd.gradcheck(both, tensors)
    assert torch.autograd.gradcheck(solved, tensors)


def test_gradcheck_of_everything_else() -> None:
    rng = np.random.default_rng(2)
    first, second = spd(rng, 3), spd(rng, 2)
    noise = [rng.uniform(0.5, 1, 3), rng.uniform(0.5, 1, 2)]
    tensors = leaves([first, second, *noise, rng.standard_normal(6)])
    assert torch.autograd.gradcheck(
        lambda a, b, s, t, y: gp.Kronecker([a, b]).inv_quad_logdet(y, [s, t]), tensors
    )
    column = leaves([np.exp(-np.arange(5.0))])
    y = torch.from_numpy(rng.standard_normal(10))
    other = torch.from_numpy(second)
    assert torch.autograd.gradcheck(
        lambda c: gp.Kronecker([gp.Toeplitz(c), other]).inv_quad_logdet(y, 0.1), column
    )
    assert torch.autograd.gradcheck(lambda a, b: gp.Kronecker([a, b]).to_dense(), tensors[:2])
    assert torch.autograd.gradcheck(
        lambda a, b, v: gp.Kronecker([a, b]).matvec(v), [*tensors[:2], tensors[4]]
    )
    assert torch.autograd.gradcheck(
        lambda a, b: gp.Kronecker([a, b], jitter=0.1).sample(2, 3), tensors[:2]
    )


@pytest.mark.parametrize("limit", [64, 512])
def test_large_factors_have_the_gradients_of_small_ones(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the size from which torch does the work.
    monkeypatch.setattr(_kernel, "SMALL", limit)
    rng = np.random.default_rng(9)
    arrays = [spd(rng, 2, 3), spd(rng, 2, 140), spd(rng, 2, 2)]
    y = torch.from_numpy(rng.standard_normal((2, 840)))
    for noise in (None, 0.3):
        inputs = leaves(arrays)
        quad, logdet = gp.Kronecker(inputs).inv_quad_logdet(y, noise)
        torch.autograd.backward(quad.sum() + logdet.sum())
        for b in range(2):
            dense_inputs = leaves([a[b] for a in arrays])
            dense = torch.kron(torch.kron(dense_inputs[0], dense_inputs[1]), dense_inputs[2])
            dense = dense + (noise or 0.0) * torch.eye(840, dtype=torch.float64)
            lower = torch.linalg.cholesky(dense)
            z = torch.linalg.solve_triangular(lower, y[b][:, None], upper=False)
            total = z.square().sum() + 2 * lower.diagonal().log().sum()
            torch.autograd.backward(total)
            for one, other in zip(inputs, dense_inputs, strict=True):
                assert one.grad is not None
                assert other.grad is not None
                torch.testing.assert_close(one.grad[b], other.grad, rtol=1e-7, atol=1e-8)


def test_masked_gradients() -> None:
    rng = np.random.default_rng(3)
    tensors = leaves([spd(rng, 3), spd(rng, 4), rng.standard_normal(12), 0.4])
    points = leaves([rng.uniform(0.5, 1, 12)])[0]
    mask = rng.uniform(size=12) < 0.7
    for method in ("dense", "exact"):
        assert torch.autograd.gradcheck(
            lambda a, b, y, s, method=method: gp.Kronecker([a, b]).inv_quad_logdet(
                y, s, mask=mask, method=method, tol=1e-13
            ),
            tensors,
        )
    assert torch.autograd.gradcheck(
        lambda a, b, y, s: gp.Kronecker([a, b]).inv_quad_logdet(y, s, mask=mask, tol=1e-13),
        [*tensors[:3], points],
    )


def test_stochastic_gradient_is_close() -> None:
    rng = np.random.default_rng(4)
    arrays = [spd(rng, 8), spd(rng, 9)]
    mask = rng.uniform(size=72) < 0.8
    gradients = []
    for method, probes in (("dense", 2), ("lanczos", 400)):
        a, b, s = leaves([*arrays, 0.5])
        gp.Kronecker([a, b]).logdet(s, mask=mask, method=method, probes=probes).backward()
        gradients.append([a.grad, b.grad, s.grad])
    for exact, estimate in zip(*gradients, strict=True):
        assert exact is not None
        assert estimate is not None
        assert float((exact - estimate).norm() / exact.norm()) < 0.1


def test_second_derivatives_are_refused() -> None:
    a = leaves([np.eye(3)])[0]
    quad, logdet = gp.Kronecker([a]).inv_quad_logdet(torch.ones(3, dtype=torch.float64), 0.1)
    with pytest.raises(NotImplementedError, match="first derivatives only"):
        torch.autograd.grad(quad + logdet, a, create_graph=True)
    y = torch.ones(1, 1, 3, dtype=torch.float64)
    quad, logdet, *_ = torch.ops.fourfold.gp_inv_quad_logdet([a[None]], None, y, [False])
    (first,) = torch.autograd.grad(quad.sum() + logdet.sum(), a, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        torch.autograd.backward(first.sum())


@pytest.mark.parametrize("noisy", [True, False])
@pytest.mark.parametrize("name", ["gp_inv_quad_logdet", "gp_solve"])
def test_opcheck(name: str, noisy: bool) -> None:
    rng = np.random.default_rng(5)
    factors = leaves([spd(rng, 2, 3), spd(rng, 1, 4)])
    noise = torch.tensor([0.2, 0.4], dtype=torch.float64) if noisy else None
    y = torch.from_numpy(rng.standard_normal((2, 5, 12))).requires_grad_()
    operator = getattr(torch.ops.fourfold, name).default
    torch.library.opcheck(operator, (factors, noise, y, [False, False]))


def test_operator_and_short_way_agree() -> None:
    rng = np.random.default_rng(6)
    arrays = [spd(rng, 2, 3), spd(rng, 2, 4)]
    y = torch.from_numpy(rng.standard_normal((2, 1, 12)))
    noise = torch.tensor([0.2, 0.4], dtype=torch.float64)
    through = leaves(arrays)
    quad, logdet, *_ = torch.ops.fourfold.gp_inv_quad_logdet(through, noise, y, [False] * 2)
    torch.autograd.backward(quad.sum() + logdet.sum())
    short = leaves(arrays)
    quads, logdets = gp.Kronecker(short).inv_quad_logdet(y[:, 0], noise)
    (quads.sum() + logdets.sum()).backward()
    for one, other in zip(through, short, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0)


def test_func_grad_and_vmap() -> None:
    rng = np.random.default_rng(7)
    a, y = torch.from_numpy(spd(rng, 3)), torch.from_numpy(rng.standard_normal(3))

    def loss(matrix: Tensor) -> Tensor:
        quad, logdet = gp.Kronecker([matrix]).inv_quad_logdet(y, 0.1)
        total: Tensor = quad + logdet
        return total

    leaf = a.clone().requires_grad_()
    torch.autograd.backward(loss(leaf))
    torch.testing.assert_close(torch.func.grad(loss)(a), leaf.grad)
    with pytest.raises(NotImplementedError, match="leading dimensions"):
        torch.func.vmap(loss)(torch.stack([a, a]))


def test_fake_tensors() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        factor = torch.empty(2, 5, 5, dtype=torch.float64)
        y = torch.empty(2, 5, dtype=torch.float64)
        quad, logdet = gp.Kronecker([factor]).inv_quad_logdet(y)
        assert quad.shape == (2,)
        assert logdet.shape == (2,)
        assert gp.Kronecker([factor]).solve(y).shape == (2, 5)


@pytest.mark.slow
def test_compile_full_graph() -> None:
    rng = np.random.default_rng(8)
    arrays = [spd(rng, 3), spd(rng, 4)]
    y = torch.from_numpy(rng.standard_normal(12))
    noise = torch.tensor(0.3, dtype=torch.float64)

    def loss(a: Tensor, b: Tensor) -> Tensor:
        quad, logdet = gp.Kronecker([a, b]).inv_quad_logdet(y, noise)
        total: Tensor = quad + logdet
        return total

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler's own
        compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
        one, other = leaves(arrays), leaves(arrays)
        torch.autograd.backward(compiled(*one))
    torch.autograd.backward(loss(*other))
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a.grad, b.grad)
