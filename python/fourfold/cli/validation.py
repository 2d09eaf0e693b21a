"""Checking a run against a pydantic model, and saying what is wrong in the user's words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from fourfold.cli.outcome import Problem, Refusal
from fourfold.cli.runfile import RunFile

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], run: RunFile) -> M:
    """Return the checked model, or refuse with one problem for each thing that is wrong."""
    try:
        return model.model_validate(run.keys)
    except ValidationError as error:
        problems = []
        for detail in error.errors(include_url=False):
            key, message = _explain(model, detail)
            problems.append(Problem(run.source_of(key), key, message))
        raise Refusal(problems) from None


def one_of(*names: str) -> Callable[[Any], str]:
    """Return a check that a value is one of ``names``; the ValueError names the nearest."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"got {_show(value)}" + _allowed_names(str(value), names))
        return value

    return check


def _explain(model: type[BaseModel], detail: Any) -> tuple[str, str]:
    path, owner, field = _walk(model, detail["loc"])
    key = ".".join(path) or "(the whole file)"
    kind = detail["type"]
    if kind == "extra_forbidden":
        assert owner is not None
        return key, "unknown key" + _allowed_names(path[-1], list(owner.model_fields))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        assert field is not None
        tag = str(field.discriminator)
        got = detail["input"].get(tag) if isinstance(detail["input"], dict) else detail["input"]
        names = [name for member in _members(field) for name in _choices(member, tag)]
        start = "missing" if kind.endswith("not_found") else f"got {_show(got)}"
        return f"{key}.{tag}", start + _allowed_names(str(got), names)
    if kind == "value_error":
        return key, str(detail["ctx"]["error"])
    allowed = _allowed(field) or detail["msg"]
    if kind == "missing":
        return key, f"missing; allowed: {allowed}"
    close = _did_you_mean(str(detail["input"]), _literal_names(field))
    return key, f"got {_show(detail['input'])}{close}; allowed: {allowed}"


def _walk(
    model: type[BaseModel], loc: Sequence[int | str]
) -> tuple[list[str], type[BaseModel] | None, FieldInfo | None]:
    """Follow an error's location through the models.

    Returns the dotted path without the tags that pydantic puts in for unions, the innermost model
    on the way and the innermost field (None at an unknown key).
    """
    owner: type[BaseModel] | None = model
    field: FieldInfo | None = None
    path: list[str] = []
    steps = list(loc)
    while steps:
        name = str(steps.pop(0))
        path.append(name)
        if owner is None:
            continue  # inside a list or a table of numbers
        field = owner.model_fields.get(name)
        if field is None:
            break
        if field.discriminator is not None and steps:
            tag = str(steps.pop(0))
            owner = next(m for m in _members(field) if tag in _choices(m, str(field.discriminator)))
        elif steps:
            owner = next(iter(_members(field)), None)
    return path, owner, field


def _members(field: FieldInfo) -> list[type[BaseModel]]:
    annotation = field.annotation
    found = get_args(annotation) if get_args(annotation) else (annotation,)
    return [t for t in found if isinstance(t, type) and issubclass(t, BaseModel)]


def _choices(model: type[BaseModel], tag: str) -> list[str]:
    return [str(value) for value in get_args(model.model_fields[tag].annotation)]


def _literal_names(field: FieldInfo | None) -> list[str]:
    if field is None:
        return []
    options = [field.annotation, *get_args(field.annotation)]
    return [
        str(value)
        for option in options
        if get_origin(option) is Literal
        for value in get_args(option)
    ]


def _allowed(field: FieldInfo | None) -> str:
    if field is None:
        return ""
    names = _literal_names(field)
    return ", ".join(names) if names else (field.description or "")


def _allowed_names(got: str, names: Sequence[str]) -> str:
    return f"{_did_you_mean(got, names)}; allowed: {', '.join(names)}"


def _did_you_mean(got: str, names: Sequence[str]) -> str:
    close = get_close_matches(got, names, n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
