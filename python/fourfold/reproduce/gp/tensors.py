"""Functional Tucker decompositions beside the best linear prediction."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold import gp
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.record import (
    Context,
    Figure,
    Section,
    Table,
    at_most,
    close_to,
)

__all__ = ["CASES", "Case", "Outcome", "Sample", "compare", "draw", "run"]

Array = npt.NDArray[np.float64]

LENGTHSCALE = 0.3
KERNEL = gp.kernels.Matern(LENGTHSCALE, 1.5)

_TEXT = """
Entries of a tensor at random continuous indices, most of it never seen: `gp.FunBaT(rank).fit(indices, values)` with its
defaults, against a dense Gaussian process that is told the true covariance, length-scale and noise. That process is the best
linear prediction, what the noise allows; FunBaT learns all of these and knows in addition that entries are sums of products.

The test sets are written out: every function is a draw from a Matern-3/2 process of variance 1 and length-scale 0.3 on
[0, 1], the core of a Tucker model is standard normal, indices are uniform, the noise a tenth of the entries' prior standard
deviation; seeds 0, 1, ... Errors are root mean squares on 500 entries that were not seen, without noise.
"""

_WANTED = 1.1


@dataclass(frozen=True)
class Case:
    """A family of test sets."""

    name: str
    modes: int
    rank: int | tuple[int, ...]
    train: int
    test: int = 500
    relative_noise: float = 0.1

    @property
    def terms(self) -> int:
        """Number of products that an entry sums."""
        return self.rank if isinstance(self.rank, int) else math.prod(self.rank)

    @property
    def noise(self) -> float:
        """Standard deviation of the noise."""
        return self.relative_noise * math.sqrt(self.terms)


CASES = (
    Case("CP, 2 modes, rank 1", 2, 1, 600),
    Case("CP, 3 modes, rank 2", 3, 2, 800),
    Case("Tucker, 2 modes, ranks 2, 3", 2, (2, 3), 800),
    Case("Tucker, 3 modes, ranks 2, 2, 2", 3, (2, 2, 2), 800),
)


@dataclass(frozen=True)
class Sample:
    """The first ``train`` entries are for training.

    Attributes
    ----------
    x : ndarray, shape (n, K)
    exact : ndarray, shape (n,)
        Entries without noise.
    y : ndarray, shape (n,)
        Entries with noise.
    functions : list of ndarray, shapes (n, R_k)
        Those of mode k at ``x[:, k]``.
    """

    x: Array
    exact: Array
    y: Array
    functions: list[Array]


def draw(case: Case, seed: int) -> Sample:
    """The test set of a seed."""
    rng = np.random.default_rng(seed)
    count = case.train + case.test
    x = rng.uniform(size=(count, case.modes))
    ranks = (case.rank,) * case.modes if isinstance(case.rank, int) else case.rank
    functions = []
    for column, rank in zip(x.T, ranks, strict=True):
        covariance = KERNEL(column) + 1e-10 * np.eye(count)
        functions.append(np.linalg.cholesky(covariance) @ rng.normal(size=(count, rank)))
    if isinstance(case.rank, int):
        exact = np.prod(functions, axis=0).sum(axis=1)
    else:
        products = functions[0]
        for u in functions[1:]:
            products = (products[:, :, None] * u[:, None, :]).reshape(count, -1)
        exact = products @ rng.normal(size=case.terms)
    return Sample(x, exact, exact + case.noise * rng.normal(size=count), functions)


def dense_prediction(case: Case, data: Sample) -> Array:
    """The posterior mean at the test points of a Gaussian process with the true covariance and noise."""
    train, test = data.x[: case.train], data.x[case.train :]
    covariance = np.full((case.train, case.train), float(case.terms))
    cross = np.full((case.test, case.train), float(case.terms))
    for k in range(case.modes):
        covariance = covariance * KERNEL(train[:, k])
        cross = cross * KERNEL(test[:, k], train[:, k])
    covariance[np.diag_indices(case.train)] += case.noise**2
    factor = scipy.linalg.cho_factor(covariance, lower=True, overwrite_a=True)
    prediction: Array = cross @ scipy.linalg.cho_solve(factor, data.y[: case.train])
    return prediction


@dataclass(frozen=True)
class Outcome:
    """Root mean square errors on the test entries, and how honest the standard deviations are."""

    dense: float
    funbat: float
    inside: float  # share of test entries within the central 95 % interval
    sweeps: int
    seconds: float
    model: gp.FunBaT

    @property
    def ratio(self) -> float:
        """To the dense process."""
        return self.funbat / self.dense


def compare(case: Case, data: Sample) -> Outcome:
    """Fit FunBaT with its defaults and the dense process with the truth."""
    truth = data.exact[case.train :]
    began = time.perf_counter()
    model = gp.FunBaT(case.rank).fit(data.x[: case.train], data.y[: case.train])
    seconds = time.perf_counter() - began
    mean, std = model.predict(data.x[case.train :], return_std=True)
    return Outcome(
        _rms(dense_prediction(case, data) - truth),
        _rms(mean - truth),
        float(np.mean(np.abs(mean - truth) < 1.96 * std)),
        model.history_.size,
        seconds,
        model,
    )


def run(context: Context) -> Section:
    """Every case with some seeds."""
    section = Section(_TEXT)
    plan = {"quick": (2, 0, 0, 0), "default": (5, 3, 2, 1), "full": (10, 10, 10, 10)}
    rows: list[tuple[str, ...]] = []
    for case, seeds in zip(CASES, plan[context.effort], strict=True):
        if seeds == 0:
            continue
        outcomes = []
        for seed in range(seeds):
            context.say(f"{case.name}, seed {seed}")
            data = draw(case, seed)
            outcomes.append(compare(case, data))
            if not section.figures:
                section.figures.append(figure(case, data, outcomes[0].model))
        dense = float(np.median([o.dense for o in outcomes]))
        ours = float(np.median([o.funbat for o in outcomes]))
        inside = 100 * float(np.median([o.inside for o in outcomes]))
        how = f"medians of {seeds} test sets, {case.train} entries seen, noise {case.noise:.3g}"
        section.add(
            case.name,
            at_most(
                "error relative to the dense process'",
                ours / dense,
                _WANTED,
                how,
                reference="1: the best linear prediction",
            ),
            close_to("entries within their 95 % interval (%)", inside, 95.0, 4.5, how),
        )
        rows.append(
            (
                case.name,
                str(seeds),
                f"{dense:.4f}",
                f"{ours:.4f}",
                f"{ours / dense:.2f}",
                f"≤ {_WANTED}",
                f"{inside:.1f}",
                f"{np.median([o.sweeps for o in outcomes]):.0f}",
                f"{np.median([o.seconds for o in outcomes]):.2f}",
            )
        )
    columns = (
        "test sets",
        "seeds",
        "dense process",
        "FunBaT",
        "ratio",
        "wanted",
        "in 95 % interval, %",
        "sweeps",
        "seconds",
    )
    section.tables.append(
        Table("Median root mean square errors; seconds of a fit on this machine", columns, rows)
    )
    return section


def figure(case: Case, data: Sample, model: gp.FunBaT) -> Figure:
    """The functions of a model of rank 1, in the units of the true ones."""
    drawn, panels = axes(2, case.modes, height=4.8)
    t = np.linspace(-0.1, 1.1, 400)
    for k, (above, below) in enumerate(zip(panels, panels[case.modes :], strict=False)):
        order = np.argsort(data.x[:, k])
        at, truth = data.x[order, k], data.functions[k][order, 0]
        # Only products are seen: the scale and the sign of a function are arbitrary.
        seen, spread = (f[:, 0] for f in model.factors(k, at, return_std=True))
        scale = float(truth @ seen / (seen @ seen))
        band = 2 * abs(scale) * spread
        mean, std = (scale * f[:, 0] for f in model.factors(k, t, return_std=True))
        above.fill_between(
            t, mean - 2 * abs(std), mean + 2 * abs(std), color=COLOURS[0], alpha=0.25, lw=0
        )
        above.plot(at, truth, color=COLOURS[1], lw=1.4, label="true function")
        above.plot(t, mean, color=COLOURS[0], lw=1.2, label="posterior mean")
        above.set(title=f"Mode {k + 1}", xlim=(-0.1, 1.1))
        below.fill_between(
            at, -band, band, color=COLOURS[0], alpha=0.25, lw=0, label="two standard deviations"
        )
        below.plot(at, truth - scale * seen, color=COLOURS[1], lw=1.0, label="what it misses")
        below.set(xlabel=f"index of mode {k + 1}", xlim=(-0.1, 1.1))
    panels[0].legend(frameon=False)
    panels[case.modes].legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.22), frameon=False, ncols=2
    )
    return picture(
        drawn,
        f"{case.name}: the functions that {case.train} noisy products tell; outside they go back to the prior.",
    )


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(x * x)))
