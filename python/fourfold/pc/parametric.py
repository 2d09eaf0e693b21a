"""The leaves of a circuit that learning keeps within families of ordered distributions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fourfold.pc.circuit import Circuit
from fourfold.pc.ordered import Family, Parameters

__all__ = ["ParametricLeaves"]

Table = npt.NDArray[np.float32]


class ParametricLeaves:
    """Parameters of the leaves of these kinds, and their tables in packed buffers.

    Parameters
    ----------
    start : Circuit
        Near whose tables the distributions begin.
    kinds : mapping from variable to kind
    rng : numpy.random.Generator or None
        Chance for the first locations; None puts them at even quantiles of the tables.
    """

    def __init__(
        self, start: Circuit, kinds: dict[int, str], rng: np.random.Generator | None
    ) -> None:
        self.kinds = kinds
        structure = start.structure
        # Leaves of one kind and number of values are handled together, in one array of rows.
        places: dict[tuple[str, int], list[slice]] = {}
        for i, kind in kinds.items():
            begin = int(start.offsets[structure.num_nodes + i])
            place = slice(begin, begin + start.leaves[i].size)
            places.setdefault((kind, int(structure.cardinality[i])), []).append(place)
        self._groups = [(Family(*key), slices) for key, slices in places.items()]
        self._parameters: list[Parameters] = [
            family.start(_rows(start.packed, slices, family), rng)
            for family, slices in self._groups
        ]

    @property
    def parameters(self) -> npt.NDArray[np.float64]:
        """All parameters in one array."""
        return np.concatenate([np.stack(own).reshape(-1) for own in self._parameters])

    @parameters.setter
    def parameters(self, flat: npt.NDArray[np.float64]) -> None:
        at = 0
        for k, own in enumerate(self._parameters):
            size = 3 * own.weight.size
            parts = flat[at : at + size].reshape(3, *own.weight.shape)
            self._parameters[k] = Parameters(*(part.copy() for part in parts))
            at += size

    def follow(self, packed: Table) -> Table:
        """Move the parameters towards the leaves of these tables, and put the leaves there."""
        for k, (family, slices) in enumerate(self._groups):
            target = _rows(packed, slices, family)
            self._parameters[k] = family.improved(target, self._parameters[k])
        return self.imposed_on(packed)

    def imposed_on(self, packed: Table) -> Table:
        """A copy of tables with the leaves of these parameters."""
        out = packed.copy()
        for (family, slices), own in zip(self._groups, self._parameters, strict=True):
            rows = family.table(own).astype(np.float32).reshape(-1)
            at = 0
            for place in slices:
                size = place.stop - place.start
                out[place] = rows[at : at + size]
                at += size
        return out


def _rows(packed: Table, slices: list[slice], family: Family) -> npt.NDArray[np.float64]:
    """The rows of several tables, one after the other."""
    joined = np.concatenate([packed[place] for place in slices])
    return joined.reshape(-1, family.values).astype(np.float64)
