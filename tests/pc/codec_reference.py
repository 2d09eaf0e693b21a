"""The codec once more, in plain Python, after docs/format.md: slow, and with nothing in common with the C++.

It decodes the payload of a block, and finds the exact probability of a row by adding up all states.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import zlib
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from fourfold.pc import Circuit, Structure

F = np.float32
P = 24
Question = tuple[int, Any]


def random_circuit(rng: np.random.Generator, structure: Structure, floor: float = 1e-3) -> Circuit:
    """Tables with a few likely entries a row; floor 0 leaves some that are impossible."""

    def rows(*shape: int) -> Any:
        weights = rng.gamma(0.4, size=shape) + floor
        if floor == 0:
            weights[rng.random(shape) < 0.3] = 0
            weights[..., 0] += 1e-3
        return weights / weights.sum(-1, keepdims=True)

    s = structure
    edges = [None, *(rows(s.states[s.parent[v]], s.states[v]) for v in range(1, s.num_nodes))]
    leaves = [rows(s.states[v], k) for v, k in zip(s.leaf_node, s.cardinality, strict=True)]
    return Circuit(s, rows(s.states[0]), edges, leaves)


def random_rows(rng: np.random.Generator, structure: Structure, n: int) -> Any:
    cells = np.stack([rng.integers(0, k, n) for k in structure.cardinality], axis=1)
    return cells.astype(np.int32)


def sample_rows(rng: np.random.Generator, circuit: Circuit, n: int) -> Any:
    """Rows of the circuit's own distribution."""
    s = circuit.structure

    def draw(p: Any) -> Any:
        u = rng.random((len(p), 1)) * p.sum(-1, keepdims=True)
        return np.minimum((np.cumsum(p, -1) <= u).sum(-1), p.shape[-1] - 1)

    z = [draw(np.repeat(circuit.root[None], n, axis=0))]
    for v in range(1, s.num_nodes):
        edge = circuit.edges[v]
        assert edge is not None
        z.append(draw(edge[z[s.parent[v]]]))
    columns = [draw(circuit.leaves[i][z[s.leaf_node[i]]]) for i in range(s.num_variables)]
    return np.stack(columns, axis=1).astype(np.int32)


def log2_prob(circuit: Circuit, row: Any) -> float:
    """By enumeration of the states of all nodes; a negative value is missing."""
    s = circuit.structure
    total = 0.0
    for z in itertools.product(*(range(m) for m in s.states)):
        p = float(circuit.root[z[0]])
        for v in range(1, s.num_nodes):
            edge = circuit.edges[v]
            assert edge is not None
            p *= float(edge[z[s.parent[v]], z[v]])
        for i, x in enumerate(row):
            if x >= 0:
                p *= float(circuit.leaves[i][z[s.leaf_node[i]], x])
        total += p
    return math.log2(total)


def _dot(a: Any, b: Any) -> Any:
    products = a * b
    partial = [F(0)] * 16
    for j, term in enumerate(products):
        partial[j % 16] = F(partial[j % 16] + term)
    for step in (8, 4, 2, 1):
        partial = [F(partial[j] + partial[j + step]) for j in range(step)]
    return partial[0]


def _absorb(target: Any, factor: Any) -> Any:
    product = target * factor
    peak = product.max()
    if peak == 0:
        return target
    exponent = int(peak.view(np.int32)) >> 23
    return product * np.array((253 - exponent) << 23, dtype=np.int32).view(F)


def walk(circuit: Circuit) -> Generator[Question, int, None]:
    """Asks (variable, left), left(x) being the left end of x's interval, and is sent the value or -1."""
    s = circuit.structure
    cumulative = []
    for leaf in circuit.leaves:
        table = np.zeros((leaf.shape[1] + 1, leaf.shape[0]), dtype=F)
        for x in range(leaf.shape[1]):
            table[x + 1] = table[x] + leaf[:, x]
        cumulative.append(table)
    height = [0 if s.leaves[v] else -1 for v in range(s.num_nodes)]
    for v in range(s.num_nodes - 1, 0, -1):
        if height[v] >= 0:
            height[s.parent[v]] = max(height[s.parent[v]], height[v] + 1)

    def visit(v: int, belief: Any) -> Generator[Question, int, Any]:
        evidence = np.ones(s.states[v], dtype=F)
        for i in s.leaves[v]:
            table = cumulative[i]
            values = len(table) - 1
            total = _dot(belief, table[values])

            def left(x: int, belief: Any = belief, table: Any = table, total: Any = total) -> int:
                room = 2**P - (len(table) - 1)
                if x == len(table) - 1:
                    return 1 << P
                share = F(_dot(belief, table[x]) / total)
                return int(min(int(F(share * F(room))), room) + x)

            x = yield (i, left)
            column = np.ones(s.states[v], dtype=F) if x < 0 else table[x + 1] - table[x]
            belief = _absorb(belief, column)
            evidence = _absorb(evidence, column)
        fruitful = [c for c in s.children[v] if height[c] >= 0]
        for child in sorted(fruitful, key=lambda c: (height[c], c)):
            edge = circuit.edges[child]
            assert edge is not None
            down = np.zeros(edge.shape[1], dtype=F)
            for r in range(edge.shape[0]):
                down = down + belief[r] * edge[r]
            below = yield from visit(child, down)
            up = np.zeros(edge.shape[0], dtype=F)
            for c in range(edge.shape[1]):
                up = up + edge[:, c] * below[c]
            belief = _absorb(belief, up)
            evidence = _absorb(evidence, up)
        return evidence

    yield from visit(0, circuit.root.copy())


def decode_block(circuit: Circuit, payload: bytes, rows: int, missing: Any = None) -> Any:
    """The rows of a coded block; AssertionError if the payload is damaged."""
    bits = sum(int(k - 1).bit_length() for k in circuit.structure.cardinality)
    streams = 1
    while 2 * streams <= min(16, rows, rows * bits // 2**18):
        streams *= 2
    size = 8 if streams > 1 else 5 + (len(payload) - 5) % 4
    states = [int.from_bytes(payload[i * size : (i + 1) * size], "little") for i in range(streams)]
    words = _words(payload[size * streams :])
    starts = [rows * i // streams for i in range(streams + 1)]
    d = circuit.structure.num_variables
    out = np.full((rows, d), -1, dtype=np.int64)
    for position in range(max(b - a for a, b in itertools.pairwise(starts))):
        running = [i for i in range(streams) if starts[i] + position < starts[i + 1]]
        walks = {i: walk(circuit) for i in running}
        asked = {i: next(walks[i]) for i in running}
        for _ in range(d):
            for i in running:
                row = starts[i] + position
                variable, left = asked[i]
                x = -1
                if missing is None or not missing[row, variable]:
                    slot = states[i] % 2**P
                    k = int(circuit.structure.cardinality[variable])
                    x = _find(left, slot, k)
                    start = left(x)
                    states[i] = (left(x + 1) - start) * (states[i] >> P) + slot - start
                    if states[i] < 2**31:
                        states[i] = states[i] << 32 | next(words)
                out[row, variable] = x
                with contextlib.suppress(StopIteration):
                    asked[i] = walks[i].send(x)
    assert next(words, None) is None
    wide = circuit.structure.cardinality.max() > 256
    for i in range(streams):
        cells = np.maximum(out[starts[i] : starts[i + 1]], 0).astype("<u2" if wide else "u1")
        assert states[i] == 2**32 + zlib.crc32(cells.tobytes())
    return out


def _find(left: Any, slot: int, values: int) -> int:
    low, high = 0, values
    while high - low > 1:
        middle = (low + high) // 2
        if left(middle) <= slot:
            low = middle
        else:
            high = middle
    return low


def _words(data: bytes) -> Iterator[int]:
    assert len(data) % 4 == 0
    return (int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4))
