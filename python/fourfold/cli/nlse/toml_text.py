"""Writing a checked run back as TOML, so that it can be run again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def toml_text(keys: Mapping[str, Any]) -> str:
    """Return TOML for a nested mapping of tables, lists, numbers, booleans and text.

    None, which TOML does not have, is left out: it stands for a key that was not given.
    """
    plain = {key: value for key, value in keys.items() if not isinstance(value, Mapping)}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items() if value is not None]
    for name, table in keys.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{name}]"]
            lines += [f"{key} = {_value(v)}" for key, v in table.items() if v is not None]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    # JSON's numbers, booleans and strings are TOML's too; repr keeps every digit of a float.
    return json.dumps(value)
