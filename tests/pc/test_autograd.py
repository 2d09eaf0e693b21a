"""Derivatives against torch's own, of the plain sum over all states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fourfold import pc
from fourfold.pc import autograd
from tests.pc.reference import Array, random_circuit


def tensors(circuit: pc.Circuit, dtype: torch.dtype) -> list[torch.Tensor]:
    return [torch.tensor(t, dtype=dtype, requires_grad=True) for t in circuit.tables]


def split(circuit: pc.Circuit, tables: list[torch.Tensor]) -> tuple[Any, Any, Any]:
    v = circuit.structure.num_nodes
    return tables[0], [None, *tables[1:v]], tables[v:]


def plain(structure: pc.Structure, tables: list[torch.Tensor], x: Array) -> torch.Tensor:
    """By messages in float64; a value that equals the cardinality is missing."""
    v = structure.num_nodes
    below = [torch.ones(len(x), int(m), dtype=torch.float64) for m in structure.states]
    for i, leaf in enumerate(tables[v:]):
        columns = torch.cat([leaf, torch.ones_like(leaf[:, :1])], dim=1)
        node = int(structure.leaf_node[i])
        below[node] = below[node] * columns[:, torch.from_numpy(x[:, i].astype(np.int64))].T
    for node in range(v - 1, 0, -1):
        above = int(structure.parent[node])
        below[above] = below[above] * (below[node] @ tables[node].T)
    return torch.log(below[0] @ tables[0])


@pytest.mark.isa
@pytest.mark.parametrize("seed", range(6))
def test_gradients(seed: int) -> None:
    rng = np.random.default_rng(seed)
    circuit = random_circuit(rng, nodes=int(rng.integers(1, 7)), variables=int(rng.integers(1, 9)))
    structure = circuit.structure
    n = 700 if seed == 0 else 40
    x = np.stack([rng.integers(0, k + 1, n) for k in structure.cardinality], axis=1)
    missing = x == structure.cardinality
    weight = torch.from_numpy(rng.standard_normal(n))
    ours, theirs = tensors(circuit, torch.float32), tensors(circuit, torch.float64)
    value = autograd.log_prob(
        structure, *split(circuit, ours), torch.from_numpy(x), missing=torch.from_numpy(missing)
    )
    assert value.dtype == torch.float64
    expected = plain(structure, theirs, x)
    assert torch.allclose(value, expected, atol=2e-6)
    torch.autograd.backward((value * weight).sum())
    torch.autograd.backward((expected * weight).sum())
    for got, want in zip(ours, theirs, strict=True):
        assert got.grad is not None
        assert want.grad is not None
        assert torch.allclose(got.grad.double(), want.grad, atol=2e-3, rtol=2e-4)


def test_float64_tables_get_float64_gradients() -> None:
    circuit = random_circuit(np.random.default_rng(0), nodes=3, variables=4)
    tables = tensors(circuit, torch.float64)
    x = circuit.sample(5, generator=torch.Generator().manual_seed(0))
    assert isinstance(x, torch.Tensor)
    torch.autograd.backward(autograd.log_prob(circuit.structure, *split(circuit, tables), x).sum())
    assert all(t.grad is not None and t.grad.dtype == torch.float64 for t in tables)
    assert isinstance(circuit.log_prob(x), torch.Tensor)
    assert torch.equal(circuit.log_prob(x), torch.from_numpy(circuit.log_prob(x.numpy())))
    assert autograd.log_prob(circuit.structure, *split(circuit, tables), x[0]).shape == ()


def test_the_operator_is_registered_properly() -> None:
    circuit = random_circuit(np.random.default_rng(1), nodes=4, variables=5)
    packed = torch.tensor(circuit.packed, requires_grad=True)
    codes = torch.from_numpy(circuit.sample(6, generator=0).astype(np.int32))
    arguments = (packed, codes, autograd._encoded(circuit.structure))
    torch.library.opcheck(torch.ops.fourfold.pc_log_prob, arguments)
    both = torch.stack([codes, codes.flip(0)])
    mapped = torch.vmap(lambda c: torch.ops.fourfold.pc_log_prob(*(packed, c, arguments[2])))(both)
    assert torch.equal(mapped[1], mapped[0].flip(0))
    with pytest.raises(NotImplementedError, match="vmap over the tables"):
        torch.vmap(lambda p: torch.ops.fourfold.pc_log_prob(p, codes, arguments[2]))(
            torch.stack([packed, packed])
        )
    (gradient,) = torch.autograd.grad(
        torch.ops.fourfold.pc_log_prob(*arguments).sum(), packed, create_graph=True
    )
    with pytest.raises(NotImplementedError, match="second derivative"):
        torch.autograd.backward(gradient.sum())


def test_wrong_tables_are_refused() -> None:
    circuit = random_circuit(np.random.default_rng(0), nodes=2, variables=2)
    x = np.zeros((1, 2), dtype=np.uint8)
    root, edges, leaves = split(circuit, tensors(circuit, torch.float32))
    with pytest.raises(ValueError, match=r"leaves\[0\]: expected the shape"):
        autograd.log_prob(circuit.structure, root, edges, [leaves[0][:, :1], leaves[1]], x)
    with pytest.raises(TypeError, match=r"edges\[1\]"):
        autograd.log_prob(circuit.structure, root, [None, edges[1].int()], leaves, x)
    with pytest.raises(ValueError, match="edges, leaves: expected 2 and 2 tables"):
        autograd.log_prob(circuit.structure, root, edges, leaves[:1], x)
    zero = [torch.zeros_like(leaves[0]), leaves[1]]
    zero[0][:, 0] = 1.0
    value = autograd.log_prob(circuit.structure, root, edges, zero, x)
    with pytest.raises(ValueError, match=r"leaves\[0\]: expected positive"):
        torch.autograd.backward(value.sum())
