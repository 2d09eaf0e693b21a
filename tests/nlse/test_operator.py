"""propagate: the registered operator under opcheck, torch.compile and torch.func."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch.func import grad, jacrev, vmap

from fourfold import nlse

Tensor = torch.Tensor
N = 16
GRID = nlse.Grid(N, 8.0)
T = torch.tensor([0.0, 0.2, 0.3], dtype=torch.float64)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


PSI0 = random(2, N, dtype=torch.complex128)
OMEGA = torch.from_numpy(0.5 * GRID.k**2)
V = 0.3 * random(N)
G = torch.tensor([1.0, -0.5], dtype=torch.float64)
LOSS = 0.2 * random(2, N)


def run(psi0: Tensor, omega: Tensor, g: Tensor, v: Tensor, **options: Any) -> Tensor:
    options = {"step": 0.1} | options
    return nlse.propagate(psi0, T, omega=omega, nonlinearity=g, potential=v, **options)


def value(psi0: Tensor, omega: Tensor, g: Tensor, v: Tensor) -> Tensor:
    return (run(psi0, omega, g, v)[1:].abs() ** 4).sum()


def leaves() -> list[Tensor]:
    return [tensor.clone().requires_grad_() for tensor in (PSI0, OMEGA, G, V)]


@pytest.mark.parametrize(
    ("v", "loss", "options"),
    [
        (V, None, ("rkn4_6b", 0.1, None, None, None, None)),
        (None, LOSS, ("strang", 0.1, None, None, "exponential", None)),
        (None, None, ("yoshida4", None, 1e-5, 1e-8, None, 1e-4)),
    ],
)
def test_opcheck(v: Tensor | None, loss: Tensor | None, options: tuple[Any, ...]) -> None:
    nlse.propagate  # noqa: B018 (registers the operator)
    psi0, omega, g, _ = leaves()
    given = [x if x is None else x.clone().requires_grad_() for x in (v, loss)]
    torch.library.opcheck(torch.ops.fourfold.nlse_propagate, (psi0, T, omega, g, *given, *options))


def test_it_is_solve() -> None:
    found = nlse.propagate(PSI0, T, omega=OMEGA, nonlinearity=G, potential=V, loss=LOSS, rtol=1e-6)
    problem = nlse.Problem(GRID, nonlinearity=G, potential=V, loss=LOSS)
    sol = nlse.solve(problem, PSI0, T.numpy(), method="rkn4_6b", rtol=1e-6)
    assert torch.equal(found, sol.psi)
    assert torch.equal(nlse.propagate(PSI0, T, omega=OMEGA, step=0.1)[0], PSI0)


def test_gradcheck() -> None:
    loss = LOSS.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p, o, g, v, gamma: run(p, o, g, v, loss=gamma), (*leaves(), loss), fast_mode=True
    )


def test_compiled_in_one_graph() -> None:
    # The whole of it but for inductor's code, which has none for complex numbers.
    compiled = torch.compile(value, fullgraph=True, backend="aot_eager")
    inputs = leaves()
    found = torch.autograd.grad(compiled(*inputs), inputs)
    expected = torch.autograd.grad(value(*inputs), inputs)
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_vmap_of_fields_and_media() -> None:
    fields = torch.stack([PSI0, 2 * PSI0, PSI0.conj()])
    media = torch.stack([V, -V, 0 * V], dim=1)
    found = vmap(run, in_dims=(0, None, None, 1))(fields, OMEGA, G, media)
    for i in range(3):
        assert torch.equal(found[i], run(fields[i], OMEGA, G, media[:, i]))
    strengths = torch.stack([G, 0.5 * G])
    found = vmap(run, in_dims=(None, None, 0, None), out_dims=1)(PSI0, OMEGA, strengths, V)
    for i in range(2):
        assert torch.equal(found[:, i], run(PSI0, OMEGA, strengths[i], V))


def test_vmap_of_the_dispersion() -> None:
    several = torch.stack([OMEGA, 0.5 * OMEGA])
    found = vmap(run, in_dims=(None, 0, None, None))(PSI0, several, G, V)
    for i in range(2):
        assert torch.equal(found[i], run(PSI0, several[i], G, V))


def test_functional_gradients() -> None:
    inputs = leaves()
    expected = torch.autograd.grad(value(*inputs), inputs)
    found = grad(value, argnums=(0, 1, 2, 3))(PSI0, OMEGA, G, V)
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-12)
    fields = torch.stack([PSI0, 2 * PSI0])
    each = vmap(grad(value, argnums=3), in_dims=(0, None, None, None))(fields, OMEGA, G, V)
    for i in range(2):
        assert torch.allclose(each[i], grad(value, argnums=3)(fields[i], OMEGA, G, V))
    jacobian = jacrev(lambda v: run(PSI0, OMEGA, G, v)[-1].abs().sum(-1))(V)
    assert jacobian.shape == (2, N)
    rows = [torch.autograd.grad(run(*inputs)[-1, i].abs().sum(), inputs[3])[0] for i in range(2)]
    assert torch.allclose(jacobian, torch.stack(rows))


def test_conjugated_and_negated_views() -> None:
    conjugated = run(PSI0.conj(), OMEGA, G, torch._neg_view(V))
    assert torch.equal(conjugated, run(PSI0.conj().resolve_conj(), OMEGA, G, -V))


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"omega must have shape \(n,\)"):
        nlse.propagate(PSI0, T, omega=OMEGA[None], step=0.1)
    with pytest.raises(ValueError, match=r"psi0 must have the shape \(\.\.\., 16\)"):
        nlse.propagate(PSI0[..., :5], T, omega=OMEGA, step=0.1)
    with pytest.raises(ValueError, match="t must increase strictly"):
        nlse.propagate(PSI0, T.flip(0), omega=OMEGA, step=0.1)
    with pytest.raises(TypeError, match="psi0 must be complex64 or complex128"):
        nlse.propagate(PSI0.real, T, omega=OMEGA, step=0.1)
    psi0, omega, g, v = leaves()
    with pytest.raises(NotImplementedError, match=r"rk4ip.*has no gradients"):
        run(psi0, omega, g, v, method="rk4ip")[-1].abs().sum().backward()  # type: ignore[no-untyped-call]
    (first,) = torch.autograd.grad(value(psi0, omega, g, v), v, create_graph=True)
    with pytest.raises(NotImplementedError, match="no second derivatives"):
        first.sum().backward()  # type: ignore[no-untyped-call]
    with pytest.raises(TypeError, match="propagate does"):
        vmap(lambda p: nlse.solve(nlse.Problem(GRID), p, [0.0, 0.1]).psi)(PSI0)
    with pytest.raises(TypeError, match="propagate takes tensors"):
        grad(lambda v: nlse.solve(nlse.Problem(GRID, potential=v), PSI0, [0, 0.1]).psi.abs().sum())(
            V
        )


def test_arrays_do_without_torch() -> None:
    code = (
        "import sys; from fourfold import nlse; grid = nlse.Grid(32, 9.0);"
        "potential = nlse.Modulated(grid.x, [0.0, 1.0], [0.0, 1.0], interpolation='linear');"
        "nlse.solve(nlse.Problem(grid, potential=potential), nlse.soliton(grid), [0, 0.1]);"
        "assert 'torch' not in sys.modules; nlse.propagate; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_attributes() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'propagated'"):
        nlse.propagated  # noqa: B018
    assert np.all(
        nlse.propagate(PSI0[0], T[:1], omega=OMEGA, step=1.0)[0].numpy() == PSI0[0].numpy()
    )
