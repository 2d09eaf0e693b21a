"""A network whose edges all have names, written down with sympy."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from fourfold.kan._checks import check_positive
from fourfold.kan.symbolic import SymbolicEdge

if TYPE_CHECKING:
    from fourfold.kan.network import KAN

__all__ = ["formulas"]


def formulas(network: KAN, variables: Sequence[str] | None, digits: int | None) -> list[Any]:
    """As `KAN.formula`."""
    import sympy

    count = network.widths[0]
    names = [f"x_{i + 1}" for i in range(count)] if variables is None else list(variables)
    if len(names) != count:
        raise ValueError(f"variables: expected {count} names, got {names}")
    if digits is not None:
        check_positive("digits", digits, 0)
    values: list[Any] = [sympy.Symbol(name, real=True) for name in names]
    for index, (inputs, outputs) in enumerate(itertools.pairwise(network.widths)):
        bias = network.layers[index].bias
        following: list[Any] = [sympy.Float(0)] * outputs
        if bias is not None:
            following = [sympy.Float(b, 17) for b in cast(Any, bias).tolist()]
        for i, o in itertools.product(range(inputs), range(outputs)):
            name = network.fixed_name(index, i, o)
            if name is None:
                raise ValueError(
                    f"the edge {i} -> {o} of layer {index} has no formula yet: symbolic() or "
                    "fix_symbolic() gives it one"
                )
            if name != "0":
                edge = cast(SymbolicEdge, network.fixed[f"{index}_{i}_{o}"])
                following[o] = following[o] + edge.expression(values[i])
        values = [sympy.expand(value) if index == 0 else value for value in following]
    return values if digits is None else [_rounded(value, digits) for value in values]


def _rounded(expression: Any, digits: int) -> Any:
    import sympy

    numbers = {}
    for value in expression.atoms(sympy.Float):
        rounded = round(float(value), digits)
        whole = rounded.is_integer()
        numbers[value] = sympy.Integer(int(rounded)) if whole else sympy.Float(rounded)
    return expression.xreplace(numbers)
