"""Trees learnt from data: pairwise mutual information, its maximum spanning tree, the centre as root."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.pc import _kernel
from fourfold.pc._observations import Observations

__all__ = ["chow_liu_parents", "pairwise_mutual_information"]

_LEAST_WEIGHT = 1e-12
"""In nats; what to divide by if all variables are independent."""


def pairwise_mutual_information(
    observations: Observations,
    cardinality: npt.NDArray[np.int32],
    *,
    bins: int = 32,
    soft: bool = True,
    max_rows: int | None = 20000,
    seed: int = 0,
) -> npt.NDArray[np.float64]:
    """Empirical mutual information of all pairs of variables, in nats.

    Parameters
    ----------
    observations : Observations
        The checked data. A missing value counts as a value of its own, in a bin of its own.
    cardinality : (D,) int32
        Number of values of each variable.
    bins : int
        A variable of more values than this is put into so many bins of equal width.
    soft : bool
        Let a value between the centres of two bins count in both, by its distance to them; this
        smooths the estimate. Otherwise it counts in one.
    max_rows : int or None
        Use a random subset of at most so many rows.
    seed : int
        Of that subset.

    Returns
    -------
    (D, D) float64
        Symmetric, with the entropies of the binned variables on the diagonal.
    """
    n = len(observations.codes)
    if n == 0:
        raise ValueError("data: expected at least one row to learn a tree from, got none")
    if bins < 2:
        raise ValueError(f"bins: expected at least 2, got {bins}")
    if max_rows is not None and max_rows < 1:
        raise ValueError(f"tree_rows: expected at least 1, got {max_rows}")
    rows = np.arange(n)
    if max_rows is not None and n > max_rows:
        rows = np.sort(np.random.default_rng(seed).permutation(n)[:max_rows])
    codes = observations.codes
    has_missing = np.zeros(len(cardinality), dtype=bool)
    if observations.any_missing:
        has_missing = (codes[rows] == cardinality).any(axis=0)
    lower: list[npt.NDArray[np.int32]] = []
    share: list[npt.NDArray[np.float32]] = []
    counts = np.empty(len(cardinality), dtype=np.int32)
    known: dict[tuple[int, bool], tuple[Any, Any, int]] = {}
    for i, values in enumerate(cardinality.tolist()):
        key = (values, bool(has_missing[i]))
        if key not in known:
            known[key] = _binning(values, bins, soft, key[1])
        tables = known[key]
        lower.append(tables[0])
        share.append(tables[1])
        counts[i] = tables[2]
    return _kernel.mutual_information(codes, rows.astype(np.int64), lower, share, counts)


def _binning(
    values: int, bins: int, soft: bool, with_missing: bool
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], int]:
    """Lower bin and share of every value, the missing one last, and the number of bins."""
    used = min(values, bins)
    lower: npt.NDArray[Any] = np.arange(values)
    share: npt.NDArray[Any] = np.ones(values)
    if used < values and soft:
        place = lower * ((used - 1) / (values - 1))
        lower = np.minimum(place.astype(np.int64), used - 2)
        share = 1 - (place - lower)
    elif used < values:
        lower = lower * used // values
    lower = np.append(lower, used)
    share = np.append(share, 1.0)
    return lower.astype(np.int32), share.astype(np.float32), used + int(with_missing)


def chow_liu_parents(information: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The maximum spanning tree of a (D, D) matrix, rooted at its centre: each node's parent.

    The centre is the middle of a longest path, so that the tree is as shallow as it can be. The
    root's parent is -1.
    """
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    size = len(information)
    if size == 1:
        return np.array([-1])
    # The heaviest tree is the lightest one of what each weight lacks to a bound. Costs stay in
    # [1, 2], because for SciPy an entry that is nearly 0 is no edge at all.
    largest = max(float(information.max()), _LEAST_WEIGHT)
    costs = 2 - np.maximum(information, 0) / largest
    np.fill_diagonal(costs, 0)
    tree = minimum_spanning_tree(costs)
    tree = tree + tree.T
    end = breadth_first_order(tree, 0)[0][-1]
    order, before = breadth_first_order(tree, end)
    path = [int(order[-1])]
    while path[-1] != end:
        path.append(int(before[path[-1]]))
    _, parents = breadth_first_order(tree, path[len(path) // 2])
    return np.where(parents < 0, -1, parents).astype(np.int64)
