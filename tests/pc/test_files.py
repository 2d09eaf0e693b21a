"""Model files: the same model comes back, and damage is an error."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from fourfold import pc
from fourfold.errors import DamagedFileError
from tests.pc.reference import random_circuit


def model() -> pc.Circuit:
    plain = random_circuit(np.random.default_rng(5), nodes=4, variables=6)
    return pc.Circuit(
        plain.structure,
        plain.root,
        plain.edges,
        plain.leaves,
        event_shape=(3, 2),
        metadata={"name": "Grüße", "columns": [1, 2]},
    )


def test_the_same_model_comes_back(tmp_path: Path) -> None:
    circuit = model()
    circuit.save(tmp_path / "model.ffpc")
    again = pc.load(tmp_path / "model.ffpc")
    assert again == circuit
    assert again.digest == circuit.digest
    assert again.event_shape == (3, 2)
    assert again.metadata == {"name": "Grüße", "columns": [1, 2]}
    assert os.listdir(tmp_path) == ["model.ffpc"]


def test_the_file_is_what_its_documentation_says(tmp_path: Path) -> None:
    structure = pc.Structure.hmm(2, 1, 2)
    circuit = pc.Circuit(structure, [1], [None, [[1]]], [[[0.25, 0.75]], [[0.5, 0.5]]])
    circuit.save(tmp_path / "model.ffpc")
    content = (tmp_path / "model.ffpc").read_bytes()
    body = bytes.fromhex("894646504 30d0a1a".replace(" ", ""))
    for number in (1, 2, 2, 1, 2, 2):  # version, V, D, E, L, event shape
        body += number.to_bytes(4, "little")
    for numbers in ((-1, 0), (1, 1), (0, 1), (2, 2)):
        body += np.array(numbers, dtype="<i4").tobytes()
    body += np.array([1, 1, 0.25, 0.75, 0.5, 0.5], dtype="<f4").tobytes() + b"{}"
    assert content == body + hashlib.blake2b(body, digest_size=32).digest()


def test_damage_is_found(tmp_path: Path) -> None:
    path = tmp_path / "model.ffpc"
    model().save(path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for length in [*range(60), *rng.integers(60, len(content), 40)]:
        path.write_bytes(content[:length])
        with pytest.raises(DamagedFileError, match=r"model\.ffpc"):
            pc.load(path)
    for at in [*range(60), *rng.integers(60, len(content), 100)]:
        changed = bytearray(content)
        changed[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        with pytest.raises(DamagedFileError):
            pc.load(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(DamagedFileError, match="checksum"):
        pc.load(path)


def test_a_header_that_promises_too_much(tmp_path: Path) -> None:
    path = tmp_path / "model.ffpc"
    model().save(path)
    content = bytearray(path.read_bytes()[:-32])
    for place in range(4):
        lying = content.copy()
        lying[12 + 4 * place : 16 + 4 * place] = (0xFFFFFFF0).to_bytes(4, "little")
        path.write_bytes(lying + hashlib.blake2b(lying, digest_size=32).digest())
        with pytest.raises(DamagedFileError):
            pc.load(path)


def test_no_file_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        model().save(tmp_path / "nowhere" / "model.ffpc")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        model().save(tmp_path / "taken")
    assert os.listdir(tmp_path) == ["taken"]
    with pytest.raises(FileNotFoundError):
        pc.load(tmp_path / "none.ffpc")
