"""The models and the data of the golden streams, from arithmetic that no library can change.

``python -m tests.pc.golden`` writes the streams of the present version of the format. A stream that a
released version wrote stays as it is: a new version gets files of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fourfold import pc

FOLDER = Path(__file__).parent.parent / "data"


def numbers(seed: int) -> Iterator[int]:
    """Numerical Recipes' linear congruential generator: 16 bits at a time."""
    while True:
        seed = (1664525 * seed + 1013904223) % 2**32
        yield seed >> 16


def table(source: Iterator[int], *shape: int) -> Any:
    weights = np.array([next(source) ** 3 + 1 for _ in range(int(np.prod(shape)))], dtype=float)
    weights = weights.reshape(shape)
    return weights / weights.sum(axis=-1, keepdims=True)


def circuit(structure: pc.Structure, seed: int) -> pc.Circuit:
    source = numbers(seed)
    s = structure
    edges = [
        None,
        *(table(source, s.states[s.parent[v]], s.states[v]) for v in range(1, s.num_nodes)),
    ]
    leaves = [
        table(source, s.states[v], k) for v, k in zip(s.leaf_node, s.cardinality, strict=True)
    ]
    return pc.Circuit(s, table(source, s.states[0]), edges, leaves)


def array_case() -> tuple[pc.Circuit, Any]:
    structure = pc.Structure(
        [-1, 0, 0, 1, 1, 3], [7, 20, 3, 33, 2, 5], [3, 4, 2, 0, 5, 5, 1], [256, 3, 700, 2, 9, 65, 4]
    )
    source = numbers(2)
    rows = [[next(source) % k for k in structure.cardinality] for _ in range(400)]
    rows[123][1] = 3  # not a value of this variable: its block is raw
    return circuit(structure, 1), np.array(rows, dtype="<u2")


def table_case() -> tuple[pc.Circuit, pc.TableSchema, dict[str, Any]]:
    source = numbers(3)
    n = 300
    age = np.array([20 + next(source) % 50 for _ in range(n)], dtype=np.int16)
    codes = [next(source) % 3 for _ in range(n)]
    city = np.array([["Oslo", "Lima", "Ulan-Ude"][c] for c in codes], dtype=object)
    paid = np.array([next(source) % 4 == 0 for _ in range(n)])
    schema = pc.TableSchema.fit({"age": age, "city": city, "paid": paid})
    model = circuit(pc.Structure([-1, 0], [4, 3], [0, 1, 1], schema.cardinality), 4)
    city[[5, 17]] = None
    city[40] = "Tromsø"
    age[77] = 1000
    hidden = np.array([next(source) % 5 == 0 for _ in range(n)])
    return model, schema, {"age": np.ma.MaskedArray(age, mask=hidden), "city": city, "paid": paid}


def images_case() -> tuple[pc.Circuit, pc.FrontEnd, Any]:
    front = pc.FrontEnd((4, 4), "ycocg_r", 2, "interpolation")
    cardinality = front.cardinality(3).reshape(-1)
    parent = [(v - 1) // 3 for v in range(len(cardinality))]
    model = circuit(pc.Structure([-1, *parent[1:]], 3, range(len(cardinality)), cardinality), 5)
    source = numbers(6)
    images = [next(source) % 40 + 3 * (i // 30 % 11) for i in range(5 * 10 * 13 * 3)]
    return model, front, np.array(images, dtype=np.uint8).reshape(5, 10, 13, 3)


def main() -> None:
    model, rows = array_case()
    (FOLDER / "pc_v1_array.ffz").write_bytes(pc.compress(model, rows, block_items=64))
    model, schema, columns = table_case()
    stream = pc.compress(model, columns, schema=schema, block_items=128)
    (FOLDER / "pc_v1_table.ffz").write_bytes(stream)
    model, front, images = images_case()
    stream = pc.compress(model, images, front_end=front, block_items=2)
    (FOLDER / "pc_v1_images.ffz").write_bytes(stream)


if __name__ == "__main__":
    main()
