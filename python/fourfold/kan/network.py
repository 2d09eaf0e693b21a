"""A network of Kolmogorov-Arnold layers that can be looked into."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from fourfold.kan._checks import check_positive
from fourfold.kan._formula import formulas
from fourfold.kan._training import check_points, train
from fourfold.kan.linear import KANLinear
from fourfold.kan.symbolic import SymbolicEdge, SymbolicFit, fit_function, suggest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["KAN"]


_NOTHING = SymbolicFit("0", 1.0, 0.0, 0.0, 0.0, 1.0)


class KAN(nn.Module):
    """`KANLinear` layers one after the other, with grids, pictures and formulas.

    Parameters
    ----------
    widths : sequence of int
        Numbers of nodes: ``[2, 5, 1]`` is two inputs, five hidden nodes and one output.
    basis : str
        See `KANLinear`.
    **options
        Of `KANLinear`: ``grid_size``, ``degree``, ``base``, ``bias``, ...

    Attributes
    ----------
    layers : ModuleList of KANLinear
    fixed : ModuleDict
        `SymbolicEdge` of the edges that `fix_symbolic` has fixed, by ``"layer_input_output"``.

    Notes
    -----
    ``mask_0``, ``mask_1``, ... (inputs, outputs) are 1 where an edge has the function of its layer, and
    0 where it has been fixed or removed. Removed edges stay in the arrays: `widths` does not change.
    """

    def __init__(self, widths: Sequence[int], basis: str = "bspline", **options: Any) -> None:
        super().__init__()
        given: object = widths
        if not isinstance(given, Sequence) or len(given) < 2:
            raise ValueError(f"widths: expected two or more numbers of nodes, got {widths}")
        for width in widths:
            check_positive("widths", width)
        if not isinstance(basis, str):
            raise TypeError(f"basis: expected a name, got {type(basis).__name__}")
        self.widths = tuple(widths)
        self.layers = nn.ModuleList()
        self.fixed = nn.ModuleDict()
        for index, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            self.layers.append(KANLinear(inputs, outputs, basis, **options))
            self.register_buffer(f"mask_{index}", torch.ones(inputs, outputs))
        # Whether no edge of a layer is masked: known without looking into tensors, for compilers.
        self._whole = [True] * len(self.layers)

    def forward(self, x: Tensor) -> Tensor:
        """(..., widths[-1]) of ``x`` (..., widths[0])."""
        for index in range(len(self.layers)):
            x = self._layer(index, x)
        return x

    def activations(self, x: Tensor) -> list[Tensor]:
        """The values of all nodes, the inputs first: a tensor (..., width) per entry of `widths`."""
        values = [x]
        for index in range(len(self.layers)):
            values.append(self._layer(index, values[-1]))
        return values

    def edges(self, layer: int, x: Tensor) -> Tensor:
        """The functions of a layer's edges at that layer's inputs, (..., inputs, outputs).

        Fixed ones included. See `KANLinear.edges`.
        """
        values = self._checked(layer).edges(x) * self._mask(layer)
        fixed = self._fixed_of(layer)
        if fixed:
            values = values.clone()
            for i, o, edge in fixed:
                values[..., i, o] = edge(x[..., i])
        return values

    def _layer(self, index: int, x: Tensor) -> Tensor:
        layer = self._checked(index)
        if self._whole[index]:
            result: Tensor = layer(x)
            return result
        y: Tensor = layer(x, self._mask(index))
        fixed = self._fixed_of(index)
        if fixed:
            columns = [torch.zeros_like(y[..., 0]) for _ in range(layer.out_features)]
            for i, o, edge in fixed:
                columns[o] = columns[o] + edge(x[..., i])
            y = y + torch.stack(columns, dim=-1)
        return y

    def _mask(self, layer: int) -> Tensor:
        mask: Tensor = getattr(self, f"mask_{layer}")
        return mask

    def _fixed_of(self, layer: int) -> list[tuple[int, int, SymbolicEdge]]:
        found = []
        for key, edge in self.fixed.items():
            at, i, o = (int(part) for part in key.split("_"))
            if at == layer:
                found.append((i, o, cast(SymbolicEdge, edge)))
        return found

    def fixed_name(self, layer: int, i: int, o: int) -> str | None:
        """The name of the function that an edge is fixed to, "0" if it is removed; else None."""
        self._checked(layer, i, o)
        key = f"{layer}_{i}_{o}"
        if key in self.fixed:
            return cast(SymbolicEdge, self.fixed[key]).name
        return None if bool(self._mask(layer)[i, o]) else "0"

    # Training.

    def fit(
        self,
        x: Tensor,
        y: Tensor,
        *,
        steps: int = 200,
        sparsity: float = 0.0,
        grid_updates: int = 0,
        progress: Callable[[int, float], None] | None = None,
    ) -> list[float]:
        """Train on all data at once with L-BFGS, as in the first KAN paper.

        Parameters
        ----------
        x, y : Tensor
            (n, widths[0]) and (n, widths[-1]), of the network's dtype.
        steps : int
            Steps of `torch.optim.LBFGS` with a strong Wolfe line search, up to 20 iterations each.
            It ends earlier once a step changes nothing.
        sparsity : float
            Weight of a penalty on the mean absolute values of all edges' functions and on the entropy
            of their shares in each layer, which drives edges to 0.
        grid_updates : int
            How many of the first steps, five apart, begin with `update_grid`.
        progress : callable, optional
            Is called after every step with its number and the loss.

        Returns
        -------
        list of float
            The mean squared error (and the penalty) after every step.

        Raises
        ------
        TrainingError
            If the loss is no longer finite.
        """
        return train(
            self,
            x,
            y,
            steps=steps,
            sparsity=sparsity,
            grid_updates=grid_updates,
            progress=progress,
        )

    # Grids.

    @torch.no_grad()
    def refine(self, grid_size: int, x: Tensor | None = None) -> None:
        """`KANLinear.refine` in every layer, fitted at the layers' inputs for the network's input x."""
        if x is not None:
            check_points(self, x)
        for index in range(len(self.layers)):
            following = None if x is None else self._layer(index, x)
            self._checked(index).refine(grid_size, x)
            x = following

    @torch.no_grad()
    def update_grid(self, x: Tensor, *, uniform: float = 1.0, margin: float = 0.01) -> None:
        """`KANLinear.update_grid` in every layer, from the network's input x (n >= 2, widths[0]).

        The grids of nodes whose edges have all been fixed or removed stay where they are.
        """
        check_points(self, x, least=2)
        for index in range(len(self.layers)):
            following = self._layer(index, x)
            used = self._mask(index).any(dim=1)
            self._checked(index).update_grid(x, uniform=uniform, margin=margin, features=used)
            x = following

    # Formulas.

    @torch.no_grad()
    def fix_symbolic(
        self, layer: int, i: int, o: int, name: str, x: Tensor | None = None
    ) -> SymbolicFit:
        """Replace the function of an edge by ``c f(a x + b) + d``, whose four numbers stay trainable.

        Parameters
        ----------
        layer, i, o : int
            The edge from node i of layer `layer` to node o of the next.
        name : str
            Of f, a key of `fourfold.kan.symbolic.LIBRARY`; ``"0"`` removes the edge.
        x : Tensor, optional
            (n, widths[0]): inputs of the network at which the four numbers are fitted. Not needed for
            ``"0"``.

        Returns
        -------
        SymbolicFit
        """
        self._checked(layer, i, o)
        if name == "0":
            fit = _NOTHING
        else:
            where, values = self._samples(layer, i, o, x)
            fit = fit_function(name, where, values)
            if not fit.r2 > -float("inf"):
                raise ValueError(f"name: {name!r} is not finite on the inputs of this edge")
        self._fix(layer, i, o, fit)
        return fit

    @torch.no_grad()
    def suggest_symbolic(
        self, layer: int, i: int, o: int, x: Tensor, names: Iterable[str] | None = None
    ) -> list[SymbolicFit]:
        """Functions that fit an edge's, the one to take first; see `fourfold.kan.symbolic.suggest`."""
        where, values = self._samples(layer, i, o, x)
        return suggest(where, values, names)

    @torch.no_grad()
    def symbolic(
        self, x: Tensor, names: Iterable[str] | None = None
    ) -> dict[tuple[int, int, int], SymbolicFit]:
        """Fix every edge that is not fixed yet to the function that `suggest_symbolic` puts first.

        Training should go on afterwards (`fit`): it brings the numbers of all edges together.

        Parameters
        ----------
        x : Tensor
            (n, widths[0]) inputs of the network.
        names : iterable of str, optional
            Functions to try; all of `fourfold.kan.symbolic.LIBRARY` by default.

        Returns
        -------
        dict
            The fit of every edge (layer, i, o) that was fixed.
        """
        tried = names if names is None or isinstance(names, str) else tuple(names)
        found = {}
        for index, (inputs, outputs) in enumerate(itertools.pairwise(self.widths)):
            for i, o in itertools.product(range(inputs), range(outputs)):
                if self.fixed_name(index, i, o) is None:
                    found[index, i, o] = self.suggest_symbolic(index, i, o, x, tried)[0]
        for edge, fit in found.items():
            self._fix(*edge, fit)
        return found

    @torch.no_grad()
    def prune(self, x: Tensor, threshold: float = 0.03) -> list[tuple[int, int, int]]:
        """Remove edges that hardly matter, and hidden nodes without input or output.

        The mean of what is removed goes into the biases, if there are any. Training should go on
        afterwards: `fit` with `sparsity` and `prune` in turn take away more and more.

        Parameters
        ----------
        x : Tensor
            (n >= 2, widths[0]) inputs of the network.
        threshold : float
            An edge goes if the standard deviation of its function over x is at most this part of the
            largest in its layer; 0 to 1.

        Returns
        -------
        list of (layer, i, o)
            The edges removed now.
        """
        check_points(self, x, least=2)
        if not 0 <= threshold < 1:
            raise ValueError(f"threshold: expected at least 0 and less than 1, got {threshold}")
        kept = []
        for index, inputs in enumerate(self.activations(x)[:-1]):
            size = self.edges(index, inputs).std(dim=0)
            kept.append(size > threshold * size.max())
        # A node that nothing leaves, or nothing reaches, takes its other edges with it.
        for _ in self.layers:
            for before, after in itertools.pairwise(kept):
                alive = before.any(dim=0) & after.any(dim=1)
                before &= alive
                after &= alive[:, None]
        removed = []
        for index, keep in enumerate(kept):
            mean = self.edges(index, x).mean(dim=0)
            bias = self._checked(index).bias
            for i, o in (~keep).nonzero().tolist():
                if self.fixed_name(index, i, o) != "0":
                    self._fix(index, i, o, _NOTHING)
                    removed.append((index, i, o))
                    if bias is not None:
                        bias[o] += mean[i, o]
            x = self._layer(index, x)
        return removed

    def formula(
        self, variables: Sequence[str] | None = None, digits: int | None = None
    ) -> list[Any]:
        """The network as formulas.

        Parameters
        ----------
        variables : sequence of str, optional
            Names of the inputs; ``x_1, x_2, ...`` by default.
        digits : int, optional
            Decimals to which numbers are rounded; not at all by default.

        Returns
        -------
        list of sympy.Expr
            One per output.

        Raises
        ------
        ValueError
            If an edge is not fixed, see `symbolic`.
        """
        return formulas(self, variables, digits)

    def plot(self, x: Tensor) -> Figure:
        """Draw the network with the function of every edge over the range of its inputs.

        Parameters
        ----------
        x : Tensor
            (n, widths[0]) inputs of the network.

        Returns
        -------
        matplotlib.figure.Figure
            Stronger edges, by the standard deviation of their functions over x, are darker. Fixed
            edges are named; removed ones are left out.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        """
        from fourfold.kan import plot

        check_points(self, x)
        return plot.network(self, x)

    def _samples(self, layer: int, i: int, o: int, x: Tensor | None) -> tuple[Any, Any]:
        self._checked(layer, i, o)
        if x is None:
            raise ValueError("x: expected inputs of the network at which to fit, got None")
        check_points(self, x, least=2)
        inputs = self.activations(x)[layer]
        values = self.edges(layer, inputs)[:, i, o]
        return inputs[:, i].double().cpu().numpy(), values.double().cpu().numpy()

    def _fix(self, layer: int, i: int, o: int, fit: SymbolicFit) -> None:
        key = f"{layer}_{i}_{o}"
        if fit.name != "0":
            self.fixed[key] = SymbolicEdge(fit, self._checked(layer).weight)
        elif key in self.fixed:
            del self.fixed[key]
        self._mask(layer)[i, o] = 0
        self._whole[layer] = False

    def _checked(self, layer: int, i: int = 0, o: int = 0) -> KANLinear:
        if not 0 <= layer < len(self.layers):
            raise ValueError(f"layer: expected 0 to {len(self.layers) - 1}, got {layer}")
        found = cast(KANLinear, self.layers[layer])
        for name, node, count in (("i", i, found.in_features), ("o", o, found.out_features)):
            if not 0 <= node < count:
                raise ValueError(f"{name}: expected a node from 0 to {count - 1}, got {node}")
        return found

    def get_extra_state(self) -> dict[str, str]:
        """Which edges are fixed to what; part of the state dict."""
        return {key: cast(SymbolicEdge, edge).name for key, edge in self.fixed.items()}

    def set_extra_state(self, state: dict[str, str]) -> None:
        """Nothing is left to do when it comes: see `_load_from_state_dict`."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # The edges that are fixed are made before they load their numbers.
        names: dict[str, str] | None = state_dict.get(f"{prefix}_extra_state")
        if names is not None:
            self.fixed.clear()
            for key, name in names.items():
                layer, i, o = (int(part) for part in key.split("_"))
                self._checked(layer, i, o)
                like = self._checked(layer).weight
                self.fixed[key] = SymbolicEdge(SymbolicFit(name, 1.0, 0.0, 0.0, 0.0, 1.0), like)
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._whole = [bool(self._mask(index).all()) for index in range(len(self.layers))]
