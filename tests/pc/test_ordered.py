"""Leaves of ordered values: their tables, their fit, and learning with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fourfold import pc
from fourfold.pc.ordered import BACKGROUND, Family, Parameters
from tests.pc.reference import Array
from tests.pc.test_learning import penalised


def table_of(kind: str, values: int, weight: Any, location: Any, scale: Any) -> Array:
    """One row, from SciPy's distribution functions."""
    law = stats.logistic if kind == "logistic" else stats.norm
    edges = np.concatenate([[-np.inf], np.arange(1, values) - 0.5, [np.inf]])
    row = np.zeros(values)
    for w, mu, s in zip(weight, location, scale, strict=True):
        row += w * np.diff(law.cdf(edges, loc=mu, scale=s))
    return (1 - BACKGROUND) * row + BACKGROUND / values


@pytest.mark.parametrize("kind", ["logistic", "gaussian_mixture"])
def test_tables_are_the_distributions(kind: str) -> None:
    rng = np.random.default_rng(0)
    for values in (2, 17, 300):
        family = Family(kind, values)
        shape = (5, family.components)
        weight = rng.dirichlet(np.ones(family.components), 5)
        location = rng.uniform(-1, values, shape)
        scale = rng.uniform(0.1, values / 3, shape)
        got = family.table(Parameters(weight, location, np.log(scale)))
        for row in range(5):
            want = table_of(kind, values, weight[row], location[row], scale[row])
            assert np.allclose(got[row], want, atol=1e-12)


@pytest.mark.parametrize("kind", ["logistic", "gaussian_mixture"])
def test_the_fit_never_gets_worse_and_finds_the_target(kind: str) -> None:
    rng = np.random.default_rng(1)
    values = 60
    family = Family(kind, values)
    n = family.components
    target = np.stack(
        [
            table_of(
                kind,
                values,
                rng.dirichlet(3 * np.ones(n)),
                np.sort(rng.uniform(5, 55, n)),
                rng.uniform(1, 4, n),
            )
            for _ in range(8)
        ]
    )
    own = family.start(target, None)
    before = np.full(8, -np.inf)
    for _ in range(300):
        own = family.improved(target, own)
        score = (target * np.log(family.table(own))).sum(axis=1)
        assert (score >= before - 1e-12).all()
        before = score
    best = (target * np.log(target)).sum(axis=1)
    # A mixture has local optima; one component has none.
    assert (best - before).max() < (1e-9 if kind == "logistic" else 0.15)
    assert np.median(best - before) < 2e-3


def ordered_data(n: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    state = rng.integers(0, 3, n)
    noise = rng.normal(size=(n, 4)) * [10, 20, 5, 30]
    centre = np.array([50, 200, 350])[state][:, None]
    return np.clip(np.rint(centre + noise), 0, 399).astype(np.int64)


@pytest.mark.parametrize("kind", ["logistic", "gaussian_mixture"])
def test_ordered_values_need_fewer_data(kind: str) -> None:
    train, test = ordered_data(300), ordered_data(1000, 1)
    options: dict[str, Any] = {"num_latents": 4, "cardinality": 400, "epochs": 10}
    free = pc.HCLT.fit(train, **options)
    learnt = pc.HCLT.fit(train, leaves=kind, **options)
    assert learnt.bits_per_dim(test) < free.bits_per_dim(test) - 1
    # Three equal groups of normal values: log2(3) / 4 bits each for the group.
    entropy = np.mean(np.log2(np.sqrt(2 * np.pi * np.e) * np.array([10, 20, 5, 30])))
    assert learnt.bits_per_dim(test) < entropy + np.log2(3) / 4 + 0.25


@pytest.mark.parametrize("kind", ["logistic", "gaussian_mixture"])
def test_full_batch_em_never_lowers_the_penalised_likelihood(kind: str, tmp_path: Path) -> None:
    x = ordered_data(200) // 4
    structure = pc.Structure.naive_bayes(4, 3, 100)
    values = []
    for epochs in range(0, 12):
        learnt = pc.fit(
            structure, x, epochs=epochs, leaves={0: kind, 2: kind}, algorithm="full", seed=1
        )
        values.append(penalised(learnt, x, 1.0))
    assert (np.diff(values) > -1e-5 * np.abs(values[1:])).all()
    assert values[-1] > values[0] + 100


def test_a_run_with_families_goes_on(tmp_path: Path) -> None:
    x = ordered_data(120) // 8
    structure = pc.Structure.hmm(4, 3, 50)
    options: dict[str, Any] = {"epochs": 3, "leaves": "gaussian_mixture", "seed": 2}

    def stop(record: pc.Epoch) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pc.fit(structure, x, checkpoint=tmp_path / "run", callback=stop, **options)
    resumed = pc.fit(structure, x, checkpoint=tmp_path / "run", **options)
    assert resumed == pc.fit(structure, x, **options)
    with pytest.raises(ValueError, match="another run"):
        pc.fit(structure, x, checkpoint=tmp_path / "run", **{**options, "leaves": "logistic"})


@pytest.mark.parametrize(
    ("leaves", "error", "words"),
    [
        ("normal", ValueError, "leaves: expected one of categorical, logistic"),
        ({4: "logistic"}, ValueError, "leaves: expected variables 0 to 3, got 4"),
        ({"a": "logistic"}, TypeError, "leaves: expected indices"),
        (["logistic"], TypeError, "leaves: expected one of"),
    ],
)
def test_wrong_kinds_are_refused(leaves: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        pc.fit(pc.Structure.hmm(4, 2, 50), ordered_data(10) // 8, leaves=leaves)
