"""`fourfold.gp.FunBaT`: error against a dense Gaussian process, and seconds of a sweep against plain torch.

python benchmarks/gp_funbat.py              both
python benchmarks/gp_funbat.py --only error
python benchmarks/gp_funbat.py --only speed

The test sets are written out in `fourfold.reproduce.gp.tensors`, which shows some of them in the report: every function a
draw from a Matern-3/2 process of variance 1 and length-scale 0.3 on [0, 1], the core of a Tucker model standard normal,
indices uniform, noise of a tenth of the prior's standard deviation. The dense process has the covariance that the entries
then have (the product of the modes' kernels times the number of terms), the true hyperparameters and the true noise: the
best linear prediction. FunBaT learns all of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

import fourfold
from fourfold import gp
from fourfold.gp.funbat._entries import Entries, sorted_entries
from fourfold.gp.funbat._posterior import Noise, Posterior
from fourfold.gp.funbat._start import started
from fourfold.reproduce.gp.tensors import CASES, LENGTHSCALE, compare, draw

Array = npt.NDArray[np.float64]
Tensor = torch.Tensor


def compare_errors(seeds: int, only: int | None) -> list[dict[str, object]]:
    """Print and return RMSE, coverage and seconds of each case."""
    results: list[dict[str, object]] = []
    for case in CASES if only is None else [CASES[only]]:
        print(f"\n{case.name}, {case.train} entries, noise {case.noise:.3g}, {seeds} seeds")
        print(
            f"{'seed':>4}{'dense GP':>10}{'FunBaT':>10}{'ratio':>8}{'in 95 %':>9}{'sweeps':>8}{'s':>7}"
        )
        rows = []
        for seed in range(seeds):
            one = compare(case, draw(case, seed))
            rows.append((one.dense, one.funbat, one.ratio, one.inside, one.sweeps, one.seconds))
            print(
                f"{seed:4}{one.dense:10.4f}{one.funbat:10.4f}{one.ratio:8.2f}{one.inside:9.3f}"
                f"{one.sweeps:8}{one.seconds:7.1f}",
                flush=True,
            )
        dense, ours, ratio, inside, sweeps, seconds = np.median(rows, axis=0)
        worst = max(row[2] for row in rows)
        inside_range = [min(row[3] for row in rows), max(row[3] for row in rows)]
        print(f"median RMSE: dense {dense:.4f}, FunBaT {ours:.4f}, {ours / dense:.2f} of it")
        print(
            f"ratios: median {ratio:.2f}, worst {worst:.2f}; in the 95 % interval {inside:.3f} "
            f"({inside_range[0]:.3f} to {inside_range[1]:.3f})"
        )
        results.append(
            {
                "case": case.name,
                "seeds": seeds,
                "dense": dense,
                "funbat": ours,
                "ratio_of_medians": ours / dense,
                "worst_ratio": worst,
                "in_95_percent_interval": inside,
                "in_95_percent_interval_range": inside_range,
                "sweeps": sweeps,
                "seconds": seconds,
            }
        )
    return results


# The plain formulation: a filter and a smoother that take one step after another with torch's operations, a matrix
# exponential for each, and the messages of all entries as tensors.


def _transition(rate: float, dt: Tensor) -> Tensor:
    drift = torch.tensor([[0.0, 1.0], [-(rate**2), -2 * rate]], dtype=torch.float64)
    return torch.matrix_exp(drift * dt)


def plain_smoother(
    times: Tensor, precision: Tensor, shift: Tensor, lengthscale: float, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Means (T, R) and covariances (T, R, R) of R Matern-3/2 functions given messages; states are (r, derivative)."""
    rate = math.sqrt(3) / lengthscale
    rank = variance.numel()
    eye = torch.eye(rank, dtype=torch.float64)
    observe = torch.kron(eye, torch.tensor([[1.0, 0.0]], dtype=torch.float64))
    stationary = torch.kron(
        torch.diag(variance), torch.diag(torch.tensor([1.0, rate**2], dtype=torch.float64))
    )
    means, covariances, predicted, steps = [], [], [], []
    mean, covariance = torch.zeros(2 * rank, dtype=torch.float64), stationary
    for t in range(times.numel()):
        if t > 0:
            step = torch.kron(eye, _transition(rate, times[t] - times[t - 1]))
            mean = step @ mean
            covariance = step @ covariance @ step.T + stationary - step @ stationary @ step.T
            steps.append(step)
        predicted.append((mean, covariance))
        weight = observe.T @ precision[t] @ observe
        gain = torch.linalg.inv(torch.eye(2 * rank, dtype=torch.float64) + covariance @ weight)
        mean = gain @ (mean + covariance @ (observe.T @ shift[t]))
        covariance = gain @ covariance
        means.append(mean)
        covariances.append(covariance)
    for t in range(times.numel() - 2, -1, -1):
        before_mean, before_covariance = predicted[t + 1]
        back = covariances[t] @ steps[t].T @ torch.linalg.pinv(before_covariance)
        means[t] = means[t] + back @ (means[t + 1] - before_mean)
        covariances[t] = covariances[t] + back @ (covariances[t + 1] - before_covariance) @ back.T
    return torch.stack(means) @ observe.T, observe @ torch.stack(covariances) @ observe.T


class PlainCp:
    """Sweeps of the same coordinate ascent for CP, hyperparameters held, written with torch alone."""

    def __init__(self, posterior: Posterior, places: list[Tensor], y: Tensor) -> None:
        self.times = [torch.from_numpy(mode.times) for mode in posterior.entries.modes]
        self.places, self.y = places, y
        self.lengthscales = [mode.lengthscale for mode in posterior.modes]
        self.variances = [torch.from_numpy(mode.variance) for mode in posterior.modes]
        self.means = [torch.from_numpy(mode.mean.copy()) for mode in posterior.modes]
        self.covariances = [
            torch.zeros(m.shape[0], m.shape[1], m.shape[1], dtype=torch.float64) for m in self.means
        ]
        self.noise = posterior.noise

    def sweep(self) -> None:
        """One sweep."""
        for k, times in enumerate(self.times):
            mean = torch.ones(1, dtype=torch.float64)
            second = torch.ones(1, dtype=torch.float64)
            for j, place in enumerate(self.places):
                if j != k:
                    m = self.means[j][place]
                    mean = mean * m
                    second = second * (self.covariances[j][place] + m[:, :, None] * m[:, None, :])
            rank = mean.shape[1]
            zeros = torch.zeros(times.numel(), rank, dtype=torch.float64)
            first = zeros.index_add(0, self.places[k], mean * self.y[:, None])
            pairs = zeros[:, :, None] * zeros[:, None, :]
            pairs = pairs.index_add(0, self.places[k], second)
            scale = self.noise.precision
            self.means[k], self.covariances[k] = plain_smoother(
                times, scale * pairs, scale * first, self.lengthscales[k], self.variances[k]
            )
            m = self.means[k]
            moment = self.covariances[k] + m[:, :, None] * m[:, None, :]
            error = (self.y @ self.y) - 2 * (m * first).sum() + (moment * pairs).sum()
            self.noise.update(self.y.numel(), float(error))


def _starting(entries: Entries, modes: int, rank: int, noise: float) -> Posterior:
    kernels = [gp.kernels.Matern(LENGTHSCALE, 1.5)] * modes
    return started(
        entries, kernels, (rank,), Noise((1e-6, 1e-6), 1.0, noise), np.random.default_rng(0)
    )


def _seconds(work: Callable[[], object], at_least: float) -> float:
    work()
    best, began = math.inf, time.perf_counter()
    while time.perf_counter() - began < at_least:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def compare_speed(seconds: float) -> list[dict[str, object]]:
    """Print and return seconds per sweep, answers checked first."""
    torch.set_num_threads(fourfold.get_num_threads())
    results: list[dict[str, object]] = []
    print(
        f"\nsweeps, hyperparameters held, {fourfold.get_num_threads()} threads; ms\n"
        f"{'':34}{'plain torch':>12}{'FunBaT':>10}{'ratio':>8}{'learning':>10}"
    )
    for modes, rank, grid, count in [(2, 1, 90, 675), (3, 3, 90, 2000), (3, 5, 200, 5000)]:
        rng = np.random.default_rng(1)
        x = rng.integers(0, grid, size=(count, modes)) / (grid - 1)
        u = [np.stack([np.sin((2 + r) * c + r) for r in range(rank)], 1) for c in x.T]
        y = np.prod(u, axis=0).sum(1) + 0.05 * rng.normal(size=count)
        entries = sorted_entries(x, y)
        places = [torch.from_numpy(np.unique(c, return_inverse=True)[1]) for c in x.T]
        ours = _starting(entries, modes, rank, 0.1)
        plain = PlainCp(_starting(entries, modes, rank, 0.1), places, torch.from_numpy(y))
        for _ in range(2):
            ours.sweep(learn=False)
            plain.sweep()
        for mode, mean in zip(ours.modes, plain.means, strict=True):
            scale = np.abs(mode.mean).max()
            np.testing.assert_allclose(mean.numpy(), mode.mean, rtol=0, atol=1e-6 * scale)
        theirs = _seconds(plain.sweep, seconds)
        held = _seconds(partial(ours.sweep, learn=False), seconds / 2)
        learning = _seconds(partial(ours.sweep, learn=True), seconds / 2)
        name = f"CP, {modes} modes of {grid}, rank {rank}, N={count}"
        print(
            f"{name:34}{1e3 * theirs:12.1f}{1e3 * held:10.3f}{theirs / held:8.0f}{1e3 * learning:10.3f}",
            flush=True,
        )
        results.append(
            {"case": name, "torch_s": theirs, "funbat_s": held, "ratio": theirs / held}
            | {"funbat_learning_s": learning}
        )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description="Functional Tucker decomposition")
    parser.add_argument("--only", choices=["error", "speed"])
    parser.add_argument("--case", type=int, help="of the errors: only this one, from 0")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each timing")
    arguments = parser.parse_args()
    results: dict[str, object] = {}
    if arguments.only != "speed":
        results["error"] = compare_errors(arguments.seeds, arguments.case)
    if arguments.only != "error":
        results["speed"] = compare_speed(arguments.seconds)
    folder = Path(__file__).resolve().parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "gp_funbat.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
