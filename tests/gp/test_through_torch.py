"""The way of tensors on a GPU through torch, taken by tensors of the CPU, beside the CPU's kernels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fourfold import gp
from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp import _algebra, _decomposition, _kernel

from .reference import kron, spd

# Sizes, whether a factor has the batch (else all items share it), batch, right-hand sides.
SYSTEMS = [
    ([6], [False], (), ()),
    ([5, 7], [False, False], (), (3,)),
    ([4, 3, 5], [False] * 3, (), ()),
    ([3, 4, 2, 3], [True] * 4, (2,), (2,)),
    ([5, 6], [True, False], (3,), (2,)),
    ([3, 9, 2], [False, True, True], (2, 2), ()),
    ([2, 8, 1, 2], [True, True, False, True], (5,), ()),
    ([1, 12], [True, True], (2,), (1, 4)),
]
IDS = [str(s[0]) + str(s[2]) + str(s[3]) for s in SYSTEMS]


@pytest.fixture
def through_torch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(_kernel, "_torch_alone", True)
    # What is left for the CPU would be a mistake.
    monkeypatch.setattr(_kernel, "_call", None)
    monkeypatch.setattr(_kernel, "_core", None)
    return monkeypatch


class System:
    """Factors, noise and data as leaves, and the same dense."""

    def __init__(
        self,
        sizes: list[int],
        batched: list[bool],
        batch: tuple[int, ...],
        extra: tuple[int, ...],
        dtype: torch.dtype = torch.float64,
    ) -> None:
        rng = np.random.default_rng([*sizes, len(batch), len(extra)])
        self.factors = [
            torch.from_numpy(spd(rng, *(batch if b else ()), n)).to(dtype).requires_grad_()
            for n, b in zip(sizes, batched, strict=True)
        ]
        self.noise = torch.from_numpy(rng.uniform(0.1, 1, batch)).to(dtype).requires_grad_()
        y = rng.standard_normal((*extra, *batch, math.prod(sizes)))
        self.y = torch.from_numpy(y).to(dtype).requires_grad_()

    @property
    def leaves(self) -> list[Tensor]:
        return [*self.factors, self.noise, self.y]

    def dense(self, *, noise: bool) -> Tensor:
        result = self.factors[0]
        for factor in self.factors[1:]:
            product = result[..., :, None, :, None] * factor[..., None, :, None, :]
            result = product.flatten(-4, -3).flatten(-2, -1)
        unit = torch.eye(result.shape[-1], dtype=result.dtype)
        result = (result + result.mT) / 2
        return result + self.noise[..., None, None] * unit if noise else result

    def solution(self, *, noise: bool) -> tuple[Tensor, Tensor]:
        """The solution and the log-determinant."""
        lower = torch.linalg.cholesky(self.dense(noise=noise))
        x = torch.cholesky_solve(self.y.unsqueeze(-1), lower).squeeze(-1)
        return x, 2 * lower.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def slopes(results: list[Tensor], weights: list[Tensor], leaves: list[Tensor]) -> list[Tensor]:
    loss = sum(((r * w).sum() for r, w in zip(results, weights, strict=True)), torch.zeros(()))
    # Of the symmetric part: who changes an entry changes its mirror image.
    found = torch.autograd.grad(loss, leaves, materialize_grads=True)
    return [(g + g.mT) / 2 if g.ndim > 1 and g.shape[-1] == g.shape[-2] else g for g in found]


@pytest.mark.parametrize("noise", [True, False], ids=["noise", "no noise"])
@pytest.mark.parametrize("case", SYSTEMS, ids=IDS)
def test_solves_and_gradients(
    through_torch: pytest.MonkeyPatch,
    case: tuple[list[int], list[bool], tuple[int, ...], tuple[int, ...]],
    noise: bool,
) -> None:
    system = System(*case)
    k = gp.Kronecker(system.factors)
    s = system.noise if noise else None
    truth, logdet = system.solution(noise=noise)
    quad = (system.y * truth).sum(-1)
    weights = [torch.randn_like(z) for z in (quad, logdet, truth)]
    got = [*k.inv_quad_logdet(system.y, s), k.solve(system.y, s)]
    for one, other in zip(got, [quad, logdet, truth], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(k.logdet(s), logdet.expand(k.logdet(s).shape))
    wanted = slopes([quad, logdet, truth], weights, system.leaves)
    for one, other in zip(slopes(got, weights, system.leaves), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    # Without gradients the decomposition is remembered.
    with torch.no_grad():
        plain = [*k.inv_quad_logdet(system.y, s), k.solve(system.y, s)]
        again = [*k.inv_quad_logdet(system.y, s), k.solve(system.y, s)]
    for one, same, other in zip(plain, again, got, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
        assert torch.equal(one, same)


@pytest.mark.parametrize("case", SYSTEMS, ids=IDS)
def test_products(
    through_torch: pytest.MonkeyPatch,
    case: tuple[list[int], list[bool], tuple[int, ...], tuple[int, ...]],
) -> None:
    sizes, batched, batch, extra = case
    rng = np.random.default_rng(1)
    # Rectangular ones, too.
    factors = [
        rng.standard_normal((*(batch if b else ()), n + k % 2, n))
        for k, (n, b) in enumerate(zip(sizes, batched, strict=True))
    ]
    y = rng.standard_normal((*extra, *batch, math.prod(sizes)))
    k = gp.Kronecker([torch.from_numpy(f) for f in factors])
    expected = (kron(factors) @ y[..., None])[..., 0]
    np.testing.assert_allclose(k.matvec(torch.from_numpy(y)), expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(
        k @ torch.from_numpy(y[..., None]), expected[..., None], rtol=0, atol=1e-11
    )


def test_other_operations(through_torch: pytest.MonkeyPatch) -> None:
    system = System([70, 3], [False, False], (), ())
    column = torch.exp(-torch.arange(70.0, dtype=torch.float64) / 9)
    k = gp.Kronecker([gp.Toeplitz(column), system.factors[1].detach()])
    dense = torch.as_tensor(k.to_dense())
    torch.testing.assert_close(k.diagonal(), dense.diagonal())
    vectors = [torch.rand(n, dtype=torch.float64) + 0.1 for n in (70, 3)]
    whole = dense + torch.diag(torch.kron(*vectors))
    y = system.y.detach()
    torch.testing.assert_close(k.solve(y, vectors), torch.linalg.inv(whole) @ y)
    torch.testing.assert_close(k.logdet(vectors), torch.logdet(whole))
    torch.testing.assert_close(k.solve(y), torch.linalg.inv(dense) @ y)
    x, info = k.solve(y, 0.3, return_info=True)
    unit = torch.eye(210, dtype=torch.float64)
    torch.testing.assert_close(x, torch.linalg.inv(dense + 0.3 * unit) @ y)
    assert info.ways == ("eigendecomposition", "eigendecomposition")
    draws = k.sample(4000, 0, noise=0.5)
    expected = float((dense + 0.5 * unit).diagonal().mean())
    assert float(draws.square().mean()) == pytest.approx(expected, rel=0.05)
    for (values, vectors_k), n in zip(k.eigh(), (70, 3), strict=True):
        assert values.shape == (n,)
        torch.testing.assert_close(vectors_k.mT @ vectors_k, torch.eye(n, dtype=torch.float64))


@pytest.mark.parametrize("method", ["exact", "dense", "lanczos"])
def test_masks(through_torch: pytest.MonkeyPatch, method: str) -> None:
    system = System([9, 5], [False, False], (), ())
    k = gp.Kronecker(system.factors)
    mask = torch.ones(45, dtype=torch.bool)
    mask[[3, 11, 40]] = False
    quad, logdet = k.inv_quad_logdet(system.y, system.noise, mask=mask, method=method, probes=400)
    matrix = system.dense(noise=True)[mask][:, mask]
    truth = system.y[mask] @ torch.linalg.inv(matrix) @ system.y[mask]
    torch.testing.assert_close(quad, truth)
    rough = method == "lanczos"
    torch.testing.assert_close(logdet, torch.logdet(matrix), rtol=0, atol=0.3 if rough else 1e-9)
    found = torch.autograd.grad(quad + logdet, [*system.factors, system.noise])
    wanted = torch.autograd.grad(truth + torch.logdet(matrix), [*system.factors, system.noise])
    for one, other in zip(found, wanted, strict=True):
        size = float(other.abs().max())
        assert float((one - other).abs().max()) < (0.3 if rough else 1e-8) * size
    points = torch.linspace(0.1, 1, 45, dtype=torch.float64)
    matrix = system.dense(noise=False).detach() + torch.diag(points)
    expected = torch.linalg.inv(matrix) @ system.y.detach()
    torch.testing.assert_close(k.solve(system.y, points), expected, rtol=0, atol=1e-8)


def test_single_precision_and_refusals(through_torch: pytest.MonkeyPatch) -> None:
    system = System([6, 4], [True, False], (3,), (), torch.float32)
    k = gp.Kronecker(system.factors)
    truth, logdet = system.solution(noise=True)
    quad, got = k.inv_quad_logdet(system.y, system.noise)
    assert (quad.dtype, got.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(got, logdet, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(quad, (system.y * truth).sum(-1), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="y: 3 entries are not finite"):
        k.solve(torch.where(torch.arange(24) == 5, torch.inf, torch.ones(24)), 0.1)
    with pytest.raises(ValueError, match=r"factors\[0\] is not symmetric"):
        gp.Kronecker([torch.triu(torch.ones(3, 3))]).logdet(0.1)
    with pytest.raises(ValueError, match=r"factors\[0\] has entries that are not finite"):
        gp.Kronecker([torch.full((3, 3), torch.nan)]).logdet(0.1)
    with pytest.raises(NotPositiveDefiniteError, match="the matrix with its noise"):
        gp.Kronecker([-torch.eye(3)]).logdet(0.1)
    with pytest.raises(NotPositiveDefiniteError, match="stops at row 0"):
        gp.Kronecker([-torch.eye(3)]).logdet()


def test_operators(through_torch: pytest.MonkeyPatch) -> None:
    """What `torch.compile` and FakeTensorMode go through."""
    system = System([4, 3], [True, False], (2,), (2,))
    factors = [system.factors[0], system.factors[1].detach().unsqueeze(0).requires_grad_()]
    data = system.y.transpose(0, 1).contiguous().detach().requires_grad_()
    for name in ("gp_inv_quad_logdet", "gp_solve"):
        operator = getattr(torch.ops.fourfold, name)
        torch.library.opcheck(operator.default, (factors, system.noise, data, [False, False]))


@pytest.fixture
def no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tensors that have shapes and a device alone, beside which torch takes none of the CPU's."""

    def cholesky(k: int, factor: Tensor) -> Tensor:
        lower: Tensor = torch.linalg.cholesky((factor + factor.mT) / 2)
        return lower

    for name in ("check_factors", "check_data", "check_spectrum"):
        monkeypatch.setattr(_decomposition, name, lambda *args: None)
        if hasattr(_algebra, name):
            monkeypatch.setattr(_algebra, name, lambda *args: None)
    monkeypatch.setattr(_decomposition, "_cholesky", cholesky)


def meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta", dtype=torch.float64)


@pytest.mark.parametrize("noise", [True, False], ids=["noise", "no noise"])
@pytest.mark.parametrize("case", SYSTEMS, ids=IDS)
def test_nothing_comes_from_another_device(
    no_numbers: None,
    case: tuple[list[int], list[bool], tuple[int, ...], tuple[int, ...]],
    noise: bool,
) -> None:
    sizes, batched, batch, extra = case
    factors = [
        meta(math.prod(batch) if b else 1, n, n) for n, b in zip(sizes, batched, strict=True)
    ]
    y = meta(math.prod(batch), math.prod(extra), math.prod(sizes))
    s = meta(y.shape[0]) if noise else None
    toeplitz = [k == 0 for k in range(len(sizes))]
    wanted = [True] * len(sizes)
    quad, logdet, dec, x = _algebra.inv_quad_logdet(factors, s, y, toeplitz)
    slopes = _algebra.inv_quad_logdet_backward(quad, logdet, dec, s, x, wanted, True)
    solution, dec, x = _algebra.solve(factors, s, y, toeplitz)
    more = _algebra.solve_backward(solution, dec, s, x, wanted, True)
    results = [quad, logdet, solution, *slopes[0], *slopes[1:], *more[0], *more[1:]]
    assert all(r is None or r.device.type == "meta" for r in results)
    assert quad.shape == y.shape[:2]
    assert logdet.shape == y.shape[:1]
    for one, other in zip([*slopes[0], *more[0]], factors * 2, strict=True):
        assert one is not None
        assert one.shape == other.shape


def test_whole_operations_on_one_device(no_numbers: None) -> None:
    factors = [meta(4, 4), meta(7, 7)]
    y = meta(5, 28)
    k = gp.Kronecker(factors)
    for noise in (None, 0.1):
        assert k.solve(y, noise).device.type == "meta"
        assert k.logdet(noise).device.type == "meta"
        assert k.sample(3, 0, noise=noise).device.type == "meta"
    long = gp.Kronecker([gp.Toeplitz(meta(600)), factors[0]])
    z = meta(2400)
    more = [long.matvec(z), long.solve(z, 0.1), long.diagonal(), long.logdet()]
    for result in [k.matvec(y), k @ y.mT, k.diagonal(), k.to_dense(), k.T.matvec(y), *more]:
        assert result.device.type == "meta"
    with pytest.raises(ValueError, match="on meta as the factors, got one on cpu"):
        k.solve(torch.empty(28, dtype=torch.float64))
