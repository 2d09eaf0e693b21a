"""The cases and the template that are shipped."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from fourfold import nlse
from fourfold.cli.nlse import build, source
from fourfold.cli.nlse.schema import RunConfig
from fourfold.cli.runfile import RunFile
from fourfold.cli.validation import validate
from fourfold.nlse.methods import METHODS

from .conftest import Invoke


def checked(name: str) -> tuple[RunConfig, RunFile]:
    run = source.load_run(name, ())
    return validate(RunConfig, run), run


@pytest.mark.parametrize("name", source.PUBLISHED)
def test_published_cases_are_those_of_the_library(name: str) -> None:
    config, run = checked(name)
    case = nlse.cases.get(name)
    problem = build.problem(config)
    assert problem.grid == case.grid
    np.testing.assert_array_equal(problem.omega, case.problem.omega)
    np.testing.assert_array_equal(build.times(config), case.t)
    psi0 = build.initial_fields(config, problem.grid, run.folder)
    np.testing.assert_array_equal(psi0, case.psi0())
    assert (config.solver.rtol, config.solver.atol) == (case.rtol, case.atol)


@pytest.mark.parametrize("name", source.EXACT)
def test_exact_cases_have_a_closed_form_that_solves_the_equation(name: str) -> None:
    config, run = checked(name)
    problem = build.problem(config)
    exact = build.closed_form(config)
    assert exact is not None
    psi0 = build.initial_fields(config, problem.grid, run.folder)
    np.testing.assert_array_equal(psi0, exact(problem.grid, config.time.start))
    # i psi_t + 1/2 psi_xx + g |psi|^2 psi = 0, by central differences in t and spectrally in x.
    grid, t, h = problem.grid, config.time.start + 0.3, 1e-4
    psi = exact(grid, t)
    slope = (exact(grid, t + h) - exact(grid, t - h)) / (2 * h)
    bend = np.fft.ifft(-(grid.k**2) * np.fft.fft(psi))
    residual = 1j * slope + bend / 2 + problem.nonlinearity * np.abs(psi) ** 2 * psi
    middle = np.abs(grid.x) < grid.length / 4
    assert np.max(np.abs(residual[middle])) < 1e-4


def test_the_list_of_cases(fourfold: Invoke) -> None:
    status, out, _ = fourfold("nlse", "cases")
    assert status == 0
    for name in (*source.PUBLISHED, *source.EXACT):
        assert name in out


def test_the_template_runs_and_names_every_key(fourfold: Invoke) -> None:
    status, out, _ = fourfold("nlse", "template")
    assert status == 0
    assert out == source.case_text(source.TEMPLATE)
    checked(source.TEMPLATE)

    def keys(model: type[BaseModel]) -> set[str]:
        found = set(model.model_fields)
        for field in model.model_fields.values():
            for member in build_members(field.annotation):
                found |= keys(member)
        return found

    for key in keys(RunConfig):
        assert re.search(rf"\b{key}\b", out), key
    for method in METHODS:
        assert re.search(rf"\b{method}\b", out), method


def build_members(annotation: object) -> list[type[BaseModel]]:
    parts = getattr(annotation, "__args__", (annotation,))
    return [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]


def test_the_values_in_comments_are_the_defaults() -> None:
    text = source.case_text(source.TEMPLATE)
    shown = re.sub(r"^# ([a-z]+ = )", r"\1", text, flags=re.MULTILINE)
    lines = [
        line
        for line in shown.splitlines()
        # One of the alternatives for the potential, a step beside tolerances, and a name.
        if not re.match(r"(potential = \{ kind = \"[^n]|step|name|rtol|atol)", line)
    ]
    run = RunFile("t", tomllib.loads("\n".join(lines)), (), Path())
    full = validate(RunConfig, run).model_dump()
    assert full == checked(source.TEMPLATE)[0].model_dump()


def test_a_case_can_be_printed_and_run_again(fourfold: Invoke) -> None:
    status, out, _ = fourfold("nlse", "template", "akhmediev")
    assert status == 0
    assert out == source.case_text("akhmediev")
    assert fourfold("nlse", "template", "akhmedief")[0] == 2
