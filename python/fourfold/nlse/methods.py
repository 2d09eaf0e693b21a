"""The time-stepping methods: one table that the solver, the command line and the documents read.

To add a method, add a row; to change a default, edit `DEFAULT_METHODS`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "DEFAULT_METHODS",
    "DIFFERENTIABLE",
    "METHODS",
    "PUBLISHED_ATOL",
    "PUBLISHED_RTOL",
    "Method",
    "get_method",
]


@dataclass(frozen=True)
class Method:
    """What a time-stepping method is and what it can be asked for.

    Attributes
    ----------
    name : str
        The value of ``method`` in `fourfold.nlse.solve`.
    order : int
        Order of convergence where the dispersion is at most quadratic in ``k`` and nothing
        is lost.
    general_order : int
        Order of convergence with loss, gain or any other dispersion.
    fixed_step : bool
        Whether ``step`` may be given.
    adaptive : bool
        Whether ``rtol`` and ``atol`` may choose the steps.
    own_filter : bool
        Whether the scheme carries a filter of its own, so that ``dealias`` may not be given.
    description : str
        One line for tables and help texts.
    """

    name: str
    order: int
    general_order: int
    fixed_step: bool
    adaptive: bool
    own_filter: bool
    description: str


def _table(*rows: Method) -> dict[str, Method]:
    return {row.name: row for row in rows}


# fmt: off
METHODS: dict[str, Method] = _table(
    #      name       order general fixed adaptive filter description
    Method("strang",    2, 2, True,  True,  False, "Strang splitting"),
    Method("yoshida4",  4, 4, True,  True,  False, "triple jump of Strang steps (Yoshida 1990)"),
    Method("rkn4_6b",   4, 4, True,  True,  False, "6-stage splitting (Blanes & Moan 2002)"),
    Method("rkn6_11b",  6, 4, True,  True,  False, "11-stage Nystrom splitting (same)"),
    Method("rkn6_14a",  6, 4, True,  True,  False, "14-stage Nystrom splitting (same)"),
    Method("rk4ip",     4, 4, True,  True,  False, "RK4 in the interaction picture (Hult 2007)"),
    Method("etdrk4",    4, 4, True,  False, False, "exponential RK4 (Kassam & Trefethen 2005)"),
    Method("dop853",    8, 8, True,  True,  False, "Dormand-Prince in the interaction picture"),
    Method("published", 8, 8, False, True,  True,  "simple-idealized-1d-nlse with its filter"),
)
# fmt: on

# In order of preference; the first one that keeps its full order on the problem is taken.
DEFAULT_METHODS: tuple[str, ...] = ("rkn6_14a", "rkn4_6b")

# The discrete adjoint exists for the splittings.
DIFFERENTIABLE: tuple[str, ...] = ("strang", "yoshida4", "rkn4_6b", "rkn6_11b", "rkn6_14a")

# What simple-idealized-1d-nlse runs with.
PUBLISHED_RTOL = 1e-9
PUBLISHED_ATOL = 1e-11


def get_method(name: str) -> Method:
    """The row of the table for ``name``.

    Raises
    ------
    TypeError
        If ``name`` is not a string.
    ValueError
        If there is no such method; the message lists those there are.
    """
    if not isinstance(name, str):
        raise TypeError(f"method must be a string or None, got {type(name).__name__}")
    try:
        return METHODS[name]
    except KeyError:
        known = ", ".join(METHODS)
        raise ValueError(f"method must be one of {known}; got {name!r}") from None
