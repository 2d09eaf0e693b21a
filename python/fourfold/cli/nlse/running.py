"""What ``fourfold nlse run --resume`` keeps beside its outputs until they are complete."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from fourfold.cli.nlse.execute import all_keys
from fourfold.cli.nlse.schema import RunConfig
from fourfold.cli.nlse.toml_text import toml_text
from fourfold.cli.outcome import Problem, Refusal
from fourfold.cli.runfile import RunFile


class Running:
    """The states so far in ``NAME_running.nc``, and in ``NAME_running.toml`` the run they belong to."""

    def __init__(self, config: RunConfig, run: RunFile, name: str, folder: Path) -> None:
        self.path = folder / f"{name}_running.nc"
        self._description = folder / f"{name}_running.toml"
        self._text = toml_text(all_keys(config, run, name))

    @property
    def begun(self) -> bool:
        """Whether there are states to go on from."""
        return self.path.exists()

    def begin(self) -> Path:
        """Write down which run it is; return where the states go."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._description.with_suffix(".tmp")
        unfinished.write_text(self._text, encoding="utf-8")
        os.replace(unfinished, self._description)
        return self.path

    def refuse_another(self) -> None:
        """Raise a `Refusal` that names the keys in which the states are those of another run."""
        try:
            begun = tomllib.loads(self._description.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            message = f"which run it is cannot be read: {error}; remove it to start anew"
            raise Refusal([Problem(str(self.path), "--resume", message)]) from None
        before, now = _flat(begun), _flat(tomllib.loads(self._text))
        different = sorted(
            key for key in before.keys() | now.keys() if before.get(key) != now.get(key)
        )
        if different:
            message = (
                f"it was begun with another {', '.join(different)}; run it with the same, or remove "
                "it to start anew"
            )
            raise Refusal([Problem(str(self.path), "--resume", message)])

    def remove(self) -> None:
        """Remove both files, when the outputs are complete."""
        self.path.unlink(missing_ok=True)
        self._description.unlink(missing_ok=True)


def _flat(keys: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in keys.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
