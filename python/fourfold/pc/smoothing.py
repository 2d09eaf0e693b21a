"""Learnt tables of ordered values, made smoother: what was counted a few times speaks for its neighbours, too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from fourfold.pc._options import check_integer, check_real
from fourfold.pc.circuit import Circuit

__all__ = ["smooth"]

Float = npt.NDArray[np.float64]

# As many values as a variable can have.
_WIDEST = 65536


def smooth(
    circuit: Circuit,
    rows: int,
    *,
    width: float | None = None,
    strength: float = 100.0,
    variables: Sequence[int] | None = None,
) -> Circuit:
    """A circuit whose leaves give neighbouring values similar probabilities, as far as counts are few.

    With many states, a value of a leaf has been seen a few times by each state, and a table of such
    frequencies fits chance. For a state z that n of the rows that the circuit learnt from are expected in,
    and with the most probable value left out on both sides (it may stand for itself, as the black of a
    background does), a row of a leaf's table becomes::

        q(x | z) = (n p(x | z) + strength * (G p)(x | z)) / (n + strength),

    where G takes the mean under a Gaussian of the standard deviation ``width`` over the values, reflected at
    both ends (and then scales to the sum of p), and n counts those rows that are not at the most probable
    value. Learning on after this undoes it.

    Parameters
    ----------
    circuit : Circuit
    rows : int
        How many rows of data it learnt from.
    width : float, optional
        In steps from one value to the next. If not given, a tenth of the distance between the quartiles of
        each variable's values (its most probable one left out), at least 1/2.
    strength : float
        How many rows the neighbours count for. 0 changes nothing.
    variables : sequence of int, optional
        Those whose values are ordered; all if not given.

    Returns
    -------
    Circuit
        The probability of each row's most probable value, all tables of edges and the root are those of
        ``circuit``.

    Raises
    ------
    ValueError
        If ``rows`` is less than 1, ``width`` is not positive or above 65536, ``strength`` is negative or
        infinite, or a variable does not exist.
    TypeError
        If an argument is of another kind.
    """
    if not isinstance(circuit, Circuit):
        raise TypeError(f"circuit: expected a Circuit, got {type(circuit).__name__}")
    check_integer("rows", rows, 1)
    if width is not None:
        check_real("width", width)
        if not 0 < width <= _WIDEST:
            raise ValueError(f"width: expected positive and at most {_WIDEST}, got {width}")
    check_real("strength", strength)
    if not 0 <= strength < np.inf:
        raise ValueError(f"strength: expected at least 0 and finite, got {strength}")
    structure = circuit.structure
    chosen = set(range(structure.num_variables))
    if variables is not None:
        for variable in variables:
            check_integer("variables", variable, 0)
            if variable not in chosen:
                raise ValueError(
                    f"variables: expected indices 0 to {structure.num_variables - 1}, got {variable}"
                )
        chosen = {int(variable) for variable in variables}
    weights = circuit.state_marginals()
    leaves = [
        _smoothed(
            np.asarray(leaf, dtype=np.float64),
            rows * weights[node],
            _usual_width(leaf, weights[node]) if width is None else width,
            strength,
        )
        if variable in chosen
        else leaf
        for variable, (leaf, node) in enumerate(
            zip(circuit.leaves, structure.leaf_node, strict=True)
        )
    ]
    return Circuit(
        structure,
        circuit.root,
        circuit.edges,
        leaves,
        event_shape=circuit.event_shape,
        metadata=circuit.metadata,
    )


def _usual_width(leaf: npt.NDArray[np.float32], weights: Float) -> float:
    """By how far the values spread, not by how many there could be: 8 bits may hold 17 shades."""
    marginal = weights @ leaf.astype(np.float64)
    marginal[marginal.argmax()] = 0
    below = np.cumsum(marginal)
    low, high = np.searchsorted(below, below[-1] * np.array([0.25, 0.75]))
    return max(0.5, float(high - low) / 10)


def _smoothed(leaf: Float, reached: Float, width: float, strength: float) -> Float:
    states = np.arange(len(leaf))
    mode = leaf.argmax(axis=1)
    present = np.ones_like(leaf)
    present[states, mode] = 0
    rest = leaf * present
    share = rest.sum(axis=1, keepdims=True)
    blurred = gaussian_filter1d(rest, width, axis=1, mode="reflect")
    # Next to the value left out, the mean over those that are there.
    weight = gaussian_filter1d(present, width, axis=1, mode="reflect")
    weight[states, mode] = 1
    blurred /= weight
    blurred[states, mode] = 0
    total = blurred.sum(axis=1, keepdims=True)
    blurred *= np.divide(share, total, out=np.zeros_like(total), where=total > 0)
    seen = reached[:, None] * share
    mixed = (seen * rest + strength * blurred) / (seen + strength) if strength > 0 else rest
    mixed[states, mode] = leaf[states, mode]
    return mixed
