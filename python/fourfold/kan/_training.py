"""Training a network on all data at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fourfold.errors import TrainingError
from fourfold.kan._checks import check_positive, check_tensor

if TYPE_CHECKING:
    from fourfold.kan.network import KAN

__all__ = ["check_points", "train"]

_ITERATIONS = 20  # of LBFGS in a step, as torch counts them
_MEMORY = 100  # gradients it remembers: more than networks of this kind have directions that matter


def train(
    network: KAN,
    x: Tensor,
    y: Tensor,
    *,
    steps: int,
    sparsity: float,
    grid_updates: int,
    progress: Callable[[int, float], None] | None,
) -> list[float]:
    """As `KAN.fit`."""
    check_positive("steps", steps)
    check_positive("grid_updates", grid_updates, 0)
    if not 0 <= sparsity < float("inf"):
        raise ValueError(f"sparsity: expected a number of at least 0, got {sparsity}")
    check_points(network, x)
    check_points(network, y, "y", network.widths[-1])
    if len(x) != len(y):
        raise ValueError(f"y: expected as many rows as x has, {len(x)}, got {len(y)}")
    optimiser = _optimiser(network)
    losses: list[float] = []
    for step in range(steps):
        if step % 5 == 0 and step // 5 < grid_updates:
            network.update_grid(x)
            optimiser = _optimiser(network)  # what it remembers is of other parameters

        def closure() -> Tensor:
            optimiser.zero_grad()  # noqa: B023 (called within this step)
            loss: Tensor = (network(x) - y).square().mean()
            if sparsity > 0:
                loss = loss + sparsity * _penalty(network, x)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        with torch.enable_grad():
            loss = float(closure().detach())
        if not loss < float("inf"):
            raise TrainingError(
                f"the loss is {loss} after step {step + 1}; more data, a coarser grid or a "
                "smaller range of the inputs may help"
            )
        losses.append(loss)
        if progress is not None:
            progress(step, loss)
        if step // 5 >= grid_updates and len(losses) > 1 and losses[-2] == loss:
            break
    return losses


def check_points(
    network: KAN, data: Tensor, name: str = "x", width: int | None = None, least: int = 1
) -> None:
    """Refuse what is no finite (n >= least, width) of the network's dtype; width: of its inputs."""
    like = next(network.parameters())
    width = network.widths[0] if width is None else width
    check_tensor(name, data)
    if data.dim() != 2 or data.shape[1] != width or data.shape[0] < least:
        raise ValueError(f"{name}: expected shape (n >= {least}, {width}), got {tuple(data.shape)}")
    if data.dtype != like.dtype or data.device != like.device:
        raise TypeError(
            f"{name}: expected {like.dtype} on {like.device} like the network's parameters, "
            f"got {data.dtype} on {data.device}"
        )
    if not bool(data.isfinite().all()):
        raise ValueError(f"{name}: expected finite values, got some that are not")


def _optimiser(network: KAN) -> torch.optim.LBFGS:
    return torch.optim.LBFGS(
        [p for p in network.parameters() if p.requires_grad],
        max_iter=_ITERATIONS,
        history_size=_MEMORY,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-32,
        tolerance_change=1e-32,
    )


def _penalty(network: KAN, x: Tensor) -> Tensor:
    """Mean absolute values of the edges' functions, and the entropy of their shares in each layer."""
    total = x.new_zeros(())
    for index, inputs in enumerate(network.activations(x)[:-1]):
        sizes = network.edges(index, inputs).abs().mean(dim=0)
        sizes = sizes[sizes > 0]  # the entropy has no slope where an edge has been removed
        whole = sizes.sum()
        share = sizes / whole
        total = total + whole - torch.xlogy(share, share).sum()
    return total
