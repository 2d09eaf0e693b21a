"""Tables: every value comes back, missing and unseen ones too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold import pc

from .codec_reference import random_circuit


def model_of(schema: pc.TableSchema) -> pc.Circuit:
    count = len(schema.columns)
    structure = pc.Structure.naive_bayes(count, 3, schema.cardinality)
    return random_circuit(np.random.default_rng(0), structure)


def same(a: Any, b: Any) -> None:
    assert list(a) == list(b)
    for name in b:
        # None is a missing value of a string column, and equals itself.
        left, right = (np.ma.getmaskarray(t[name]) for t in (a, b))
        assert np.array_equal(left, right), name
        assert np.ma.getdata(a[name])[~left].tolist() == np.ma.getdata(b[name])[~left].tolist()


text = st.text(max_size=6)
columns = {
    "small": st.integers(-3, 9),
    "wide": st.integers(-(2**63), 2**63 - 1),
    "yes": st.booleans(),
    "word": st.one_of(st.sampled_from(["a", "b", "née", ""]), text),
}


def table_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name in columns:
        values = [row[name] for row in rows]
        if name == "word":
            table[name] = np.array([*values, None], dtype=object)[:-1]
            continue
        filled = [0 if value is None else value for value in values]
        data = np.array(filled, dtype=bool if name == "yes" else np.int64)
        gone = [value is None for value in values]
        table[name] = np.ma.MaskedArray(data, mask=gone) if any(gone) else data
    return table


rows_of = st.lists(st.fixed_dictionaries({k: st.one_of(st.none(), v) for k, v in columns.items()}))
first_row: dict[str, Any] = {"small": 1, "wide": 5, "yes": True, "word": "a"}


@given(rows_of, rows_of, st.integers(1, 9))
@settings(deadline=None, max_examples=60)
def test_any_table_comes_back(learnt: Any, coded: Any, block_items: int) -> None:
    schema = pc.TableSchema.fit(table_of([first_row, *learnt]), max_values=20)
    model = model_of(schema)
    for table in (table_of([first_row, *learnt]), table_of(coded)):
        blob = pc.compress(model, table, schema=schema, block_items=block_items)
        same(pc.decompress(model, blob), table)
        reader = pc.CompressedReader(blob, model)
        assert reader.schema == schema
        same(reader[2:7], {name: column[2:7] for name, column in table.items()})


def test_a_schema_counts_or_lists() -> None:
    table = {
        "year": np.array([1999, 2005, 2003, 2001], dtype=np.int16),
        "id": np.array([10**9, 5, 7, 10**9]),
        "name": ["x", None, "y", "x"],
        "ok": [True, None, False, True],
        "n": [1, None, 3, 2],
    }
    schema = pc.TableSchema.fit(table)
    assert schema.cardinality.tolist() == [8, 4, 3, 2, 4]
    codes = schema.codes(table)
    assert codes[:, 0].tolist() == [0, 6, 4, 2]
    assert codes[:, 1].tolist() == [2, 0, 1, 2]
    assert codes[:, 2].tolist() == [0, None, 1, 0]
    assert codes[:, 3].tolist() == [1, None, 0, 1]
    assert pc.TableSchema.from_json(schema.to_json()) == schema
    # 7 is the escape of "year".
    assert schema.codes(table | {"year": np.array([1999, 2006, 1998, 2001])})[:, 0].tolist() == [
        0,
        7,
        7,
        2,
    ]


def test_rare_values_are_escaped_in_training_too() -> None:
    words = np.array(["often"] * 9 + ["rare", "rarer"] + ["second"] * 3, dtype=object)
    schema = pc.TableSchema.fit({"w": words}, max_values=2)
    assert schema.columns[0].values == ("often", "second")
    assert (schema.codes({"w": words}) == 2).sum() == 2


def test_learnt_from_a_table_with_missing_values() -> None:
    rng = np.random.default_rng(1)
    kind = rng.integers(0, 3, 4000)
    table = {
        "kind": np.array(["plant", "bird", "fish"], dtype=object)[kind],
        "legs": np.ma.MaskedArray(kind * 2, mask=rng.random(4000) < 0.2),
        "flies": (kind == 1) ^ (rng.random(4000) < 0.05),
    }
    schema = pc.TableSchema.fit(table)
    model = pc.HCLT.fit(
        schema.codes(table), num_latents=4, cardinality=schema.cardinality, epochs=8
    )
    blob = pc.compress(model, table, schema=schema)
    same(pc.decompress(model, blob), table)
    # log2(3) for the kind, 0.72 bits for which legs are missing, 0.29 for the noise; independent
    # columns would take 4.5 bits.
    assert 8 * len(blob) / 4000 < 3.7


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "expected at least one column"),
        ({"a": [1.5, 2.0]}, "'a' must hold integers, booleans or strings, got float"),
        ({"a": np.array([1.5])}, "'a' must hold integers, booleans or strings, got float64"),
        ({"a": [1, "x"]}, "'a' must hold values of one kind, got int, str"),
        ({"a": [True, 2]}, "'a' must hold values of one kind"),
        ({"a": [[1]]}, "'a' must have one dimension, got 2"),
        ({"a": [None, None]}, "'a' holds no value"),
        ({"a": [1, 2], "b": [1]}, r"columns of one length, got \[1, 2\]"),
    ],
)
def test_tables_that_are_refused(table: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        pc.TableSchema.fit(table)


def test_another_table_than_the_schemas() -> None:
    schema = pc.TableSchema.fit({"a": [1, 2], "b": ["x", "y"]})
    with pytest.raises(ValueError, match="expected the columns a, b, got b, a"):
        schema.codes({"b": ["x"], "a": [1]})
    with pytest.raises(TypeError, match=r"'b' held string values .* it holds integer values now"):
        schema.codes({"a": [1], "b": [1]})
    small = pc.TableSchema.fit({"a": np.array([1, 2], dtype=np.int8)})
    with pytest.raises(
        ValueError, match="'a' holds int8 by its schema, got values from 300 to 300"
    ):
        small.codes({"a": [300]})
    with pytest.raises(ValueError, match=r"schema: variable 0 has 3 values, 4 in the model"):
        pc.compress(model_of(pc.TableSchema.fit({"a": [1, 3]})), {"a": [1]}, schema=small)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]x",
        "{}",
        "[1]",
        '[{"name":"a"}]',
        '[{"name":"a","kind":"integer","dtype":"<i8","start":0,"values":[],"cardinality":70000}]',
        '[{"name":"a","kind":"integer","dtype":"|i1","start":100,"values":[],"cardinality":60}]',
        '[{"name":"a","kind":"float","dtype":"<f8","start":0,"values":[],"cardinality":3}]',
        '[{"name":"a","kind":"string","dtype":"object","start":null,"values":["b","a"],"cardinality":3}]',
        '[{"name":"a","kind":"string","dtype":"object","start":null,"values":[1],"cardinality":2}]',
        '[{"name":1,"kind":"boolean","dtype":"bool","start":null,"values":[],"cardinality":2}]',
    ],
)
def test_damaged_schemas(text: str) -> None:
    with pytest.raises(pc.CorruptStreamError):
        pc.TableSchema.from_json(text)
