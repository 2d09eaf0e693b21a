"""Layers whose every node selects its basis from a pool: S-KAN."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from fourfold.kan._checks import check_positive, is_name
from fourfold.kan.bases import BASES
from fourfold.kan.conv import KANConv2d, Pair
from fourfold.kan.linear import KANLinear

__all__ = [
    "SelectableKANConv2d",
    "SelectableKANLinear",
    "Selection",
    "prune",
    "select",
    "selectable_layers",
]

Stage = Literal["full", "selective", "pruned"]
POOL = ("bspline", "chebyshev", "wavelet", "rbf")


@dataclass(frozen=True)
class Selection:
    """What a selectable layer has chosen.

    Attributes
    ----------
    stage : {"full", "selective", "pruned"}
    pool : tuple of str
        Names of the bases.
    weights : Tensor
        (bases, nodes): the weight of each basis in each node.
    choice : Tensor
        (nodes,) index into `pool` of the basis with the largest weight.
    parameters : int
        Number of parameters that the layer holds now.
    """

    stage: Stage
    pool: tuple[str, ...]
    weights: Tensor
    choice: Tensor
    parameters: int

    @property
    def counts(self) -> dict[str, int]:
        """How many nodes each basis has the largest weight in."""
        found = torch.bincount(self.choice, minlength=len(self.pool)).tolist()
        return dict(zip(self.pool, found, strict=True))

    def __str__(self) -> str:
        nodes = self.choice.numel()
        lines = [f"{self.stage}, {nodes} nodes, {self.parameters} parameters"]
        width = max(len(name) for name in self.pool)
        means = self.weights.mean(dim=1).tolist()
        for (name, count), mean in zip(self.counts.items(), means, strict=True):
            lines.append(f"  {name:<{width}}  {count:>5} nodes  mean weight {mean:.3f}")
        return "\n".join(lines)


class _Selectable(nn.Module):
    """What both layers share. Node o is ``sum_p weight[p, o] branch_p(x)_o + bias_o``."""

    active: Tensor
    choice: Tensor
    _order: Tensor
    bias: nn.Parameter | None

    # Dimension of the nodes in a branch's output and in its weight.
    _out_dim: int
    _weight_dim: int

    def __init__(self, outputs: int, pool: Iterable[str]) -> None:
        super().__init__()
        check_positive("outputs", outputs)
        if not isinstance(pool, Iterable):
            raise TypeError(f"pool: expected names of bases, got {pool!r}")
        names = (pool,) if isinstance(pool, str) else tuple(pool)
        unknown = [name for name in names if not is_name(name, BASES)]
        if unknown or len(set(names)) < max(2, len(names)):
            raise ValueError(
                f"pool: expected two or more different names out of {sorted(BASES)}, got {names}"
            )
        self.pool = names
        self.outputs = outputs
        self.scores = nn.Parameter(torch.zeros(len(names), outputs))
        # Which bases a node may use, and which one it was pruned to (-1: not yet).
        self.register_buffer("active", torch.ones(len(names), outputs, dtype=torch.bool))
        self.register_buffer("choice", torch.full((outputs,), -1))

    def _fill(self, options: Any) -> None:
        options = {} if options is None else options
        if not isinstance(options, dict) or not all(isinstance(v, dict) for v in options.values()):
            raise TypeError(f"options: expected a dict of dicts, got {options!r}")
        strange = sorted(set(options) - set(self.pool))
        if strange:
            raise ValueError(f"options: {strange} are not in the pool {self.pool}")
        self.branches = nn.ModuleDict(
            {name: self._branch(name, options.get(name, {})) for name in self.pool}
        )

    def _branch(self, name: str, options: dict[str, Any]) -> KANLinear | KANConv2d:
        raise NotImplementedError

    @property
    def stage(self) -> Stage:
        """Where it is: "full", "selective" or "pruned"."""
        if self.scores.numel() == 0:
            return "pruned"
        return "full" if bool(self.active.all()) else "selective"

    def mixing_weights(self) -> Tensor:
        """The weight of each basis in each node, (bases, nodes): a softmax over what is active."""
        return self.scores.masked_fill(~self.active, -torch.inf).softmax(dim=0)

    def forward(self, x: Tensor) -> Tensor:
        """As the layer of one basis."""
        if self.scores.numel() == 0:
            parts = [branch(x) for branch in self.branches.values()]
            y = torch.cat(parts, dim=self._out_dim).index_select(self._out_dim, self._order)
        else:
            weights = self.mixing_weights()
            y = sum(
                branch(x) * self._along(weights[p])
                for p, branch in enumerate(self.branches.values())
            )
        return y if self.bias is None else y + self._along(self.bias)

    def _along(self, values: Tensor) -> Tensor:
        """(nodes,) shaped to multiply a branch's output."""
        return values.reshape(-1, *[1] * (-1 - self._out_dim))

    @torch.no_grad()
    def select(self, keep: int = 1) -> None:
        """Go on with the `keep` bases of the largest weight in every node; the others rest.

        Parameters
        ----------
        keep : int
            1 to the size of the pool (which is full training again).

        Raises
        ------
        RuntimeError
            If the layer has been pruned.
        """
        self._require_unpruned("select")
        check_positive("keep", keep)
        if keep > len(self.pool):
            raise ValueError(f"keep: expected at most {len(self.pool)}, got {keep}")
        best = self.scores.topk(keep, dim=0).indices
        self.active.fill_(False).scatter_(0, best, True)

    @torch.no_grad()
    def prune(self) -> None:
        """Leave every node its one best basis and remove all other parameters.

        The chosen functions keep their values, the weight in the mixture included: after
        ``select(1)`` the output does not change. Optimisers have to be made anew.

        Raises
        ------
        RuntimeError
            If the layer has been pruned already.
        """
        self._require_unpruned("prune")
        weights = self.mixing_weights()
        best = weights.argmax(dim=0)
        factor = weights.gather(0, best[None])[0]
        self._shrink(best, factor)

    def _shrink(self, choice: Tensor, factor: Tensor) -> None:
        places = []
        for p, name in enumerate(self.pool):
            nodes = (choice == p).nonzero()[:, 0]
            if nodes.numel() == 0:
                del self.branches[name]
                continue
            places.append(nodes)
            branch = cast("KANLinear | KANConv2d", self.branches[name])
            kept = branch.weight.detach().movedim(self._weight_dim, -1)[..., nodes] * factor[nodes]
            branch.weight = nn.Parameter(kept.movedim(-1, self._weight_dim).contiguous())
            self._count(branch, nodes.numel())
        self.choice.copy_(choice)
        self.scores = nn.Parameter(self.scores.new_empty(0))
        self.active = self.active.new_empty(0)
        self.register_buffer("_order", torch.cat(places).argsort(), persistent=False)

    def _count(self, branch: Any, outputs: int) -> None:
        raise NotImplementedError

    def _require_unpruned(self, what: str) -> None:
        if self.scores.numel() == 0:
            raise RuntimeError(f"{what}: the layer has been pruned to one basis a node")

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # A pruned state makes a pruned layer, before the branches load theirs.
        choice = state_dict.get(prefix + "choice")
        if self.scores.numel() > 0 and choice is not None and bool((choice >= 0).all()):
            with torch.no_grad():
                self._shrink(choice.to(self.choice.device), torch.ones_like(self.scores[0]))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @torch.no_grad()
    def report(self) -> Selection:
        """What has been selected so far."""
        if self.scores.numel() == 0:
            choice = self.choice.clone()
            weights = torch.zeros(len(self.pool), self.outputs).scatter_(0, choice.cpu()[None], 1)
        else:
            weights = self.mixing_weights().cpu()
            choice = weights.argmax(dim=0)
        parameters = sum(p.numel() for p in self.parameters())
        return Selection(self.stage, self.pool, weights, choice.cpu(), parameters)


class SelectableKANLinear(_Selectable):
    """`KANLinear` with a weighted pool of bases in every output node.

    ``y_o = sum_p softmax(scores[:, o])_p phi_{p,o}(x) + bias_o``. Train in three stages: all bases
    together; `select` the best of every node and train those; `prune` to the best, which removes the
    parameters of the others.

    Parameters
    ----------
    in_features, out_features : int
    pool : iterable of str
        Names of the bases, see `KANLinear`.
    options : dict, optional
        Options of a basis by its name: ``{"bspline": {"grid_size": 8}}``.
    bias : bool

    Notes
    -----
    Yang et al. 2024, "S-KAN and S-ConvKAN" (arXiv 2408.08338).
    """

    _out_dim = -1
    _weight_dim = -1

    def __init__(
        self,
        in_features: int,
        out_features: int,
        pool: Iterable[str] = POOL,
        *,
        options: dict[str, dict[str, Any]] | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__(out_features, pool)
        self.in_features = in_features
        self._fill(options)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def _branch(self, name: str, options: dict[str, Any]) -> KANLinear:
        return KANLinear(self.in_features, self.outputs, name, base=None, bias=False, **options)

    def _count(self, branch: KANLinear, outputs: int) -> None:
        branch.out_features = outputs


class SelectableKANConv2d(_Selectable):
    """`KANConv2d` with a weighted pool of bases in every output channel; see `SelectableKANLinear`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, dilation : int or (int, int)
        As `torch.nn.Conv2d`.
    pool, options, bias
        As `SelectableKANLinear`.
    """

    _out_dim = -3
    _weight_dim = 0

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        pool: Iterable[str] = POOL,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        options: dict[str, dict[str, Any]] | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__(out_channels, pool)
        self._geometry: dict[str, Any] = {
            "in_channels": in_channels,
            "kernel_size": kernel_size,
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
        }
        self._fill(options)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def _branch(self, name: str, options: dict[str, Any]) -> KANConv2d:
        return KANConv2d(
            **self._geometry,
            out_channels=self.outputs,
            basis=name,
            base=None,
            bias=False,
            **options,
        )

    def _count(self, branch: KANConv2d, outputs: int) -> None:
        branch.out_channels = outputs


def selectable_layers(model: nn.Module) -> Iterator[tuple[str, _Selectable]]:
    """Every selectable layer of a model, with its name."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected a module, got {type(model).__name__}")
    for name, module in model.named_modules():
        if isinstance(module, _Selectable):
            yield name, module


def select(model: nn.Module, keep: int = 1) -> None:
    """`SelectableKANLinear.select` in every selectable layer of a model."""
    for layer in _some_layers(model):
        layer.select(keep)


def prune(model: nn.Module) -> None:
    """`SelectableKANLinear.prune` in every selectable layer of a model."""
    for layer in _some_layers(model):
        layer.prune()


def _some_layers(model: nn.Module) -> list[_Selectable]:
    layers = [layer for _, layer in selectable_layers(model)]
    if not layers:
        raise ValueError("model: it has no selectable layer")
    return layers
