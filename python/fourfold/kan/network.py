"""A network of Kolmogorov-Arnold layers that can be looked into."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from fourfold.errors import TrainingError
from fourfold.kan.bases._basis import check_positive
from fourfold.kan.linear import KANLinear
from fourfold.kan.symbolic import SymbolicEdge, SymbolicFit, fit_function, suggest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["KAN"]

_ITERATIONS = 20  # of LBFGS in a step, as torch counts them
_MEMORY = 100  # gradients it remembers: more than networks of this kind have directions that matter


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
    """

    def __init__(self, widths: Sequence[int], basis: str = "bspline", **options: Any) -> None:
        super().__init__()
        if len(widths) < 2:
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
        for i, o, edge in self._fixed_of(layer):
            values = values.clone()
            values[..., i, o] = edge(x[..., i])
        return values

    def _layer(self, index: int, x: Tensor) -> Tensor:
        layer = self._checked(index)
        fixed = self._fixed_of(index)
        if not fixed:
            result: Tensor = layer(x)
            return result
        y = layer(x, self._mask(index))
        columns = [torch.zeros_like(y[..., 0]) for _ in range(layer.out_features)]
        for i, o, edge in fixed:
            columns[o] = columns[o] + edge(x[..., i])
        total: Tensor = y + torch.stack(columns, dim=-1)
        return total

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
        """The name of the function that an edge is fixed to; None if it is not."""
        key = f"{layer}_{i}_{o}"
        return cast(SymbolicEdge, self.fixed[key]).name if key in self.fixed else None

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
        check_positive("steps", steps)
        check_positive("grid_updates", grid_updates, 0)
        if sparsity < 0:
            raise ValueError(f"sparsity: expected at least 0, got {sparsity}")
        if y.shape != (*x.shape[:-1], self.widths[-1]):
            raise ValueError(
                f"y: expected shape {(*x.shape[:-1], self.widths[-1])}, got {tuple(y.shape)}"
            )
        optimiser = self._optimiser()
        losses: list[float] = []
        for step in range(steps):
            if step % 5 == 0 and step // 5 < grid_updates:
                self.update_grid(x)
                optimiser = self._optimiser()  # what it remembers is of other parameters

            def closure() -> Tensor:
                optimiser.zero_grad()  # noqa: B023 (called within this step)
                loss: Tensor = (self(x) - y).square().mean()
                if sparsity > 0:
                    loss = loss + sparsity * self._penalty(x)
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

    def _optimiser(self) -> torch.optim.LBFGS:
        return torch.optim.LBFGS(
            [p for p in self.parameters() if p.requires_grad],
            max_iter=_ITERATIONS,
            history_size=_MEMORY,
            line_search_fn="strong_wolfe",
            tolerance_grad=1e-32,
            tolerance_change=1e-32,
        )

    def _penalty(self, x: Tensor) -> Tensor:
        total = x.new_zeros(())
        for index in range(len(self.layers)):
            sizes = self.edges(index, x).abs().mean(dim=0)
            whole = sizes.sum()
            share = sizes / whole
            total = total + whole - torch.xlogy(share, share).sum()
            x = self._layer(index, x)
        return total

    # Grids.

    @torch.no_grad()
    def refine(self, grid_size: int, x: Tensor | None = None) -> None:
        """`KANLinear.refine` in every layer, fitted at the layers' inputs for the network's input x."""
        for index in range(len(self.layers)):
            layer = self._checked(index)
            following = None if x is None else self._layer(index, x)
            layer.refine(grid_size, x)
            x = following

    @torch.no_grad()
    def update_grid(self, x: Tensor, *, uniform: float = 1.0, margin: float = 0.01) -> None:
        """`KANLinear.update_grid` in every layer, from the network's input x (n, widths[0])."""
        for index in range(len(self.layers)):
            layer = self._checked(index)
            following = self._layer(index, x)
            layer.update_grid(x, uniform=uniform, margin=margin)
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
        if name == "0":
            self._checked(layer, i, o)
            fit = SymbolicFit("0", 1.0, 0.0, 0.0, 0.0, 1.0)
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
        tried = None if names is None else tuple(names)
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

        Parameters
        ----------
        x : Tensor
            (n, widths[0]) inputs of the network.
        threshold : float
            An edge goes if the standard deviation of its function over x is less than this part of
            the largest in its layer.

        Returns
        -------
        list of (layer, i, o)
            The edges removed now.
        """
        kept = []
        for index in range(len(self.layers)):
            size = self.edges(index, x).std(dim=0)
            kept.append(size > threshold * size.max())
            x = self._layer(index, x)
        # A node that nothing leaves, or nothing reaches, takes its other edges with it.
        for _ in self.layers:
            for before, after in itertools.pairwise(kept):
                alive = before.any(dim=0) & after.any(dim=1)
                before &= alive
                after &= alive[:, None]
        removed = []
        for index, keep in enumerate(kept):
            for i, o in (~keep).nonzero().tolist():
                if self.fixed_name(index, i, o) != "0":
                    self.fix_symbolic(index, i, o, "0")
                    removed.append((index, i, o))
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
        import sympy

        count = self.widths[0]
        names = [f"x_{i + 1}" for i in range(count)] if variables is None else list(variables)
        if len(names) != count:
            raise ValueError(f"variables: expected {count} names, got {names}")
        values: list[Any] = [sympy.Symbol(name, real=True) for name in names]
        for index, (inputs, outputs) in enumerate(itertools.pairwise(self.widths)):
            bias = self._checked(index).bias
            following: list[Any] = [sympy.Float(0)] * outputs
            if bias is not None:
                following = [sympy.Float(b, 17) for b in bias.tolist()]
            for i, o in itertools.product(range(inputs), range(outputs)):
                if self.fixed_name(index, i, o) is None:
                    raise ValueError(
                        f"the edge {i} -> {o} of layer {index} has no formula yet: symbolic() or "
                        "fix_symbolic() gives it one"
                    )
                edge = cast(SymbolicEdge, self.fixed[f"{index}_{i}_{o}"])
                following[o] = following[o] + edge.expression(values[i])
            values = [sympy.expand(value) if index == 0 else value for value in following]
        if digits is None:
            return values
        check_positive("digits", digits, 0)
        return [_rounded(value, digits) for value in values]

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

        return plot.network(self, x)

    def _samples(self, layer: int, i: int, o: int, x: Tensor | None) -> tuple[Any, Any]:
        self._checked(layer, i, o)
        if x is None:
            raise ValueError("x: expected inputs of the network at which to fit, got None")
        with torch.no_grad():
            inputs = self.activations(x)[layer]
            values = self.edges(layer, inputs)[..., i, o]
        where, function = inputs[..., i].flatten().double(), values.flatten().double()
        return where.cpu().numpy(), function.cpu().numpy()

    def _fix(self, layer: int, i: int, o: int, fit: SymbolicFit) -> None:
        self.fixed[f"{layer}_{i}_{o}"] = SymbolicEdge(fit, self._checked(layer).weight)
        self._mask(layer)[i, o] = 0

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
        # Fixed edges are made, and grids sized, before the children load theirs.
        for key, name in state_dict.get(f"{prefix}_extra_state", {}).items():
            layer, i, o = (int(part) for part in key.split("_"))
            self._checked(layer, i, o)
            with torch.no_grad():
                self._fix(layer, i, o, SymbolicFit(name, 1.0, 0.0, 0.0, 0.0, 1.0))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _rounded(expression: Any, digits: int) -> Any:
    import sympy

    numbers = {}
    for value in expression.atoms(sympy.Float):
        rounded = round(float(value), digits)
        whole = rounded.is_integer()
        numbers[value] = sympy.Integer(int(rounded)) if whole else sympy.Float(rounded)
    return expression.xreplace(numbers)
