"""log p(x) as a differentiable function of the tables, in torch.

Importing this module imports torch. The operator is ``torch.ops.fourfold.pc_log_prob``; it works under
``torch.compile`` and with fake tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fourfold.pc._kernel import Model
from fourfold.pc._observations import check_observations
from fourfold.pc.circuit import packed_size, table_offsets, table_shapes
from fourfold.pc.structure import Structure

__all__ = ["log_prob"]


def log_prob(
    structure: Structure,
    root: torch.Tensor,
    edges: Sequence[torch.Tensor | None],
    leaves: Sequence[torch.Tensor],
    x: Any,
    *,
    missing: Any = None,
) -> torch.Tensor:
    """``log p(x)``, differentiable with respect to every table.

    The tables are taken as free numbers: rows need not sum to 1, and the derivative is that of the
    polynomial sum_z root[z_0] prod_v ... as it stands. Make them of logits with ``softmax`` to stay
    among distributions.

    Parameters
    ----------
    structure : Structure
        The tree.
    root, edges, leaves : tensors
        As of `Circuit`, positive, of any floating-point dtype, on the CPU. Computed in float32.
    x, missing
        As of `Circuit.log_prob`.

    Returns
    -------
    torch.Tensor
        float64 of shape (n,), or () for one observation.

    Raises
    ------
    TypeError, ValueError
        If a table or ``x`` does not fit; or, where a derivative is wanted, a table of leaves or the
        root holds a number that is not positive: the derivative there is not computed.
    NotImplementedError
        For tables that are not on the CPU, and for second derivatives.
    """
    given = [root, *edges[1:], *leaves]
    shapes = list(table_shapes(structure))
    if len(edges) != structure.num_nodes or len(leaves) != structure.num_variables:
        raise ValueError(
            f"edges, leaves: expected {structure.num_nodes} and {structure.num_variables} tables, "
            f"got {len(edges)} and {len(leaves)}"
        )
    parts = []
    at = 0
    offsets = table_offsets(structure)
    for (name, shape), start, table in zip(shapes, offsets.tolist(), given, strict=True):
        if not isinstance(table, torch.Tensor) or not table.is_floating_point():
            raise TypeError(f"{name}: expected a tensor of real floating-point numbers")
        if tuple(table.shape) != shape:
            raise ValueError(f"{name}: expected the shape {shape}, got {tuple(table.shape)}")
        if table.device.type != "cpu":
            raise NotImplementedError(
                f"{name} is on the device {table.device}, but fourfold.pc runs on the CPU only so far"
            )
        if start > at:
            parts.append(table.new_zeros(start - at, dtype=torch.float32))
        parts.append(table.to(torch.float32).reshape(-1))
        at = start + table.numel()
    parts.append(root.new_zeros(packed_size(structure) - at, dtype=torch.float32))
    packed = torch.cat(parts)
    seen = check_observations(
        "x",
        x,
        cardinality=structure.cardinality,
        event_shape=(structure.num_variables,),
        missing=missing,
    )
    # One dtype for the operator, whatever the cardinality.
    codes = torch.from_numpy(seen.codes.astype(np.int32))
    out = torch.ops.fourfold.pc_log_prob(packed, codes, _encoded(structure))
    return out.reshape(seen.batch_shape)  # type: ignore[no-any-return]


def _encoded(structure: Structure) -> torch.Tensor:
    arrays = (structure.parent, structure.states, structure.leaf_node, structure.cardinality)
    sizes = np.array([structure.num_nodes, structure.num_variables], dtype=np.int32)
    return torch.from_numpy(np.concatenate([sizes, *arrays]))


def _decoded(encoded: torch.Tensor) -> Structure:
    nodes, variables = encoded[:2].tolist()
    parts = torch.split(encoded[2:], [nodes, nodes, variables, variables])
    return Structure(*(part.numpy() for part in parts))


def _model(packed: torch.Tensor, encoded: torch.Tensor) -> Model:
    structure = _decoded(encoded)
    # The model reads the buffer for as long as it lives, and no copy could change under it.
    return Model(structure, table_offsets(structure), packed.detach().contiguous().numpy())


@torch.library.custom_op("fourfold::pc_log_prob", mutates_args=(), device_types="cpu")
def _log_prob(packed: torch.Tensor, codes: torch.Tensor, structure: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(_model(packed, structure).log_prob(codes.contiguous().numpy()))


@_log_prob.register_fake
def _(packed: torch.Tensor, codes: torch.Tensor, structure: torch.Tensor) -> torch.Tensor:
    return codes.new_empty(codes.shape[0], dtype=torch.float64)


@torch.library.custom_op("fourfold::pc_log_prob_backward", mutates_args=(), device_types="cpu")
def _backward(
    weight: torch.Tensor, packed: torch.Tensor, codes: torch.Tensor, structure: torch.Tensor
) -> torch.Tensor:
    shape = _decoded(structure)
    offsets = table_offsets(shape).tolist()
    for at, (name, size) in zip(offsets, table_shapes(shape), strict=True):
        count = int(np.prod(size))
        if not name.startswith("edges") and not bool((packed[at : at + count] > 0).all()):
            raise ValueError(
                f"{name}: expected positive numbers where a derivative is wanted, got "
                f"{float(packed[at : at + count].min())}"
            )
    weights = weight.to(torch.float32).contiguous().numpy()
    gradient = _model(packed, structure).gradient(codes.contiguous().numpy(), weights)
    return torch.from_numpy(gradient)


@_backward.register_fake
def _(
    weight: torch.Tensor, packed: torch.Tensor, codes: torch.Tensor, structure: torch.Tensor
) -> torch.Tensor:
    return torch.empty_like(packed)


def _save(ctx: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, weight: torch.Tensor) -> tuple[torch.Tensor | None, None, None]:
    packed, codes, structure = ctx.saved_tensors
    if not ctx.needs_input_grad[0]:
        return None, None, None
    return torch.ops.fourfold.pc_log_prob_backward(weight, packed, codes, structure), None, None


_log_prob.register_autograd(_differentiate, setup_context=_save)


def _no_second(ctx: Any, *unused: Any) -> Any:
    raise NotImplementedError("fourfold.pc.autograd.log_prob has no second derivative")


_backward.register_autograd(_no_second, setup_context=lambda ctx, inputs, output: None)


@_log_prob.register_vmap
def _(info: Any, in_dims: Any, packed: Any, codes: Any, structure: Any) -> Any:
    if in_dims[0] is not None or in_dims[2] is not None:
        raise NotImplementedError(
            "fourfold.pc.autograd.log_prob: vmap over the tables is not supported, "
            "over the observations it is"
        )
    lanes = codes.movedim(in_dims[1], 0)
    out = torch.ops.fourfold.pc_log_prob(packed, lanes.flatten(0, 1), structure)
    return out.unflatten(0, lanes.shape[:2]), 0
