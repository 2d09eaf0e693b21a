"""`gp.FunBaT` as a user meets it."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import fourfold
from fourfold import gp
from fourfold.errors import ConvergenceWarning, DamagedFileError
from fourfold.gp.funbat._entries import sorted_entries
from fourfold.gp.funbat._posterior import Noise
from fourfold.gp.funbat._start import started
from fourfold.gp.kernels import Matern
from fourfold.reproduce.gp import tensors

Array = np.ndarray


def drawn(
    seed: int, ranks: int | tuple[int, ...], modes: int, count: int, noise: float
) -> tuple[Array, Array, Array]:
    """Indices, entries without and with noise; Matern-3/2 functions of length-scale 0.3."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(count, modes))
    each = (ranks,) * modes if isinstance(ranks, int) else ranks
    u = [
        np.linalg.cholesky(Matern(0.3, 1.5)(c) + 1e-10 * np.eye(count))
        @ rng.normal(size=(count, r))
        for c, r in zip(x.T, each, strict=True)
    ]
    if isinstance(ranks, int):
        exact = np.prod(u, axis=0).sum(1)
    else:
        products = u[0]
        for other in u[1:]:
            products = (products[:, :, None] * other[:, None, :]).reshape(count, -1)
        exact = products @ rng.normal(size=products.shape[1])
    return x, exact, exact + noise * rng.normal(size=count)


def drawn_tucker() -> tuple[Array, Array, Array]:
    """The second test set of `fourfold.reproduce.gp.tensors` with three modes."""
    data = tensors.draw(tensors.CASES[3], 1)
    return data.x, data.exact, data.y


@pytest.mark.parametrize(
    ("ranks", "modes"), [(1, 2), (3, 3), (2, 4), ((2, 3), 2), ((1, 2, 3), 3), ((1, 1), 2)]
)
def test_the_bound_never_decreases(ranks: int | tuple[int, ...], modes: int) -> None:
    x, _, y = drawn(1, ranks, modes, 70, 0.1)
    model = gp.FunBaT(ranks, restarts=1, max_sweeps=15, tolerance=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)
    steps = np.diff(model.history_)
    assert steps.size > 2
    assert steps.min() > -1e-9 * np.abs(model.history_).max()
    assert steps.max() > 0


@pytest.mark.isa
@pytest.mark.parametrize("ranks", [(2,), (2, 3)])
def test_a_mode_is_the_gaussian_posterior_given_the_others(ranks: tuple[int, ...]) -> None:
    """With all else held, q(U) has the prior's precision plus the sum of E[a a'] / noise, by dense algebra."""
    x, _, y = drawn(2, ranks if len(ranks) > 1 else ranks[0], 2, 70, 0.1)
    x[10:20, 1] = x[:10, 1]  # repeated indices
    kernel = Matern(0.3, 1.5, 0.8)
    entries = sorted_entries(x, y)
    posterior = started(
        entries, [kernel, kernel], ranks, Noise(None, 1.0, 0.01), np.random.default_rng(0)
    )
    for _ in range(3):
        posterior.sweep(learn=False)
    for mode in (0, 1):
        ours, other = posterior.modes[mode], posterior.modes[1 - mode]
        at = np.searchsorted(entries.modes[mode].times, x[:, mode])
        place = np.searchsorted(entries.modes[1 - mode].times, x[:, 1 - mode])
        second = np.empty((other.mean.shape[0], other.rank, other.rank))
        rows, columns = np.triu_indices(other.rank)
        second[:, rows, columns] = second[:, columns, rows] = other.second
        # a = core times the other mode's functions
        if len(ranks) == 1:
            core = np.eye(ranks[0])
            core2 = np.einsum("ar,bs->arbs", core, core)
        else:
            assert posterior.core.covariance is not None
            mean = posterior.core.mean
            core2 = (posterior.core.covariance + np.outer(mean, mean)).reshape(*ranks, *ranks)
            core = mean.reshape(ranks)
            if mode == 1:
                core, core2 = core.T, core2.transpose(1, 0, 3, 2)
        count = entries.modes[mode].times.size
        weight = np.zeros((count, ours.rank, count, ours.rank))
        pull = np.zeros((count, ours.rank))
        for n in range(y.size):
            weight[at[n], :, at[n], :] += np.einsum("arbs,rs->ab", core2, second[place[n]]) / 0.01
            pull[at[n]] += core @ other.mean[place[n]] * y[n] / 0.01
        size = count * ours.rank
        prior = np.kron(kernel(entries.modes[mode].times), np.eye(ours.rank))
        posterior.update_mode(mode, learn=False)
        dense = np.linalg.solve(np.eye(size) + prior @ weight.reshape(size, size), prior)
        exact = (dense @ pull.reshape(-1)).reshape(count, -1)
        np.testing.assert_allclose(ours.mean, exact, rtol=0, atol=1e-8)
        blocks = dense.reshape(count, ours.rank, count, ours.rank)
        rows, columns = np.triu_indices(ours.rank)
        own = blocks[np.arange(count), :, np.arange(count)][:, rows, columns]
        np.testing.assert_allclose(ours.covariance, own, rtol=0, atol=1e-9)


@pytest.mark.parametrize("learnt_noise", [False, True])
def test_the_bound_is_below_the_evidence_by_quadrature(learnt_noise: bool) -> None:
    """Two entries with a common index: an integral over three function values (and the noise)."""
    kernel = Matern(0.5, 1.5, lengthscale_bounds=None, variance_bounds=None)
    x = np.array([[0.2, 0.1], [0.2, 0.6]])
    y = np.array([0.9, 0.4])
    prior = (2.0, 1.0) if learnt_noise else None
    noise = None if learnt_noise else 0.5
    model = gp.FunBaT(
        1,
        kernel=kernel,
        noise=noise,
        noise_prior=prior,
        restarts=1,
        max_sweeps=5000,
        tolerance=1e-12,
    ).fit(x, y)
    grid = np.linspace(-6, 6, 61)
    step = grid[1] - grid[0]
    u, v, w = np.meshgrid(grid, grid, grid, indexing="ij")
    inverse = np.linalg.inv(kernel(x[:, 1]))
    quadratic = u**2 + inverse[0, 0] * v**2 + 2 * inverse[0, 1] * v * w + inverse[1, 1] * w**2
    density = np.exp(-0.5 * quadratic) * math.sqrt(np.linalg.det(inverse)) / (2 * np.pi) ** 1.5
    error = (y[0] - u * v) ** 2 + (y[1] - u * w) ** 2
    if learnt_noise:  # a Student t: the precision integrated in closed form
        likelihood = math.gamma(3) / math.gamma(2) / (2 * np.pi) / (1 + error / 2) ** 3
    else:
        likelihood = np.exp(-error) / (2 * np.pi * 0.5)
    evidence = math.log(np.sum(density * likelihood) * step**3)
    assert evidence - 0.7 < model.lower_bound_ < evidence


def test_as_good_as_a_dense_process_and_calibrated() -> None:
    x, exact, y = drawn(3, 2, 2, 400, 0.15)
    train, test = slice(0, 200), slice(200, None)
    covariance = 2 * np.prod([Matern(0.3, 1.5)(c) for c in x.T], axis=0)
    system = covariance[train, train] + 0.15**2 * np.eye(200)
    dense = covariance[test, train] @ np.linalg.solve(system, y[train])
    model = gp.FunBaT(2, restarts=4).fit(x[train], y[train])
    mean, std = model.predict(x[test], return_std=True)
    assert np.std(mean - exact[test]) < np.std(dense - exact[test])
    assert np.mean(np.abs(mean - exact[test]) < 2 * std) > 0.85
    assert model.noise_ == pytest.approx(0.15**2, rel=0.3)
    np.testing.assert_allclose(model.lengthscales_, 0.3, rtol=1.0)


def test_the_bound_tells_the_rank() -> None:
    x, _, y = drawn(4, 2, 2, 150, 0.1)
    bounds = [gp.FunBaT(r, restarts=4).fit(x, y).lower_bound_ for r in (1, 2, 3)]
    assert bounds[1] > bounds[0] + 10
    assert bounds[1] > bounds[2]


@pytest.mark.slow
def test_weak_functions_survive_the_start() -> None:
    """A core whose second terms are below the noise: started from a large noise, the search ended 28 nats lower."""
    x, exact, y = drawn_tucker()
    model = gp.FunBaT((2, 2, 2)).fit(x[:800], y[:800])
    assert all((v > 1e-3 * v.max()).all() for v in model.variances_)
    mean, std = model.predict(x[800:], return_std=True)
    error = mean - exact[800:]
    assert np.sqrt(np.mean(error**2)) < 0.15
    assert np.mean(np.abs(error) < 1.96 * std) > 0.9


def test_outside_the_range_the_prior_is_left() -> None:
    x, _, y = drawn(5, 1, 2, 100, 0.1)
    model = gp.FunBaT(1, restarts=2).fit(x, y)
    far = np.array([[1e4, 0.5], [-1e4, -1e4]])
    mean, std = model.predict(far, return_std=True)
    np.testing.assert_allclose(mean, 0, atol=1e-12)
    value, deviation = model.factors(1, [0.5], return_std=True)
    v0, v1 = (v[0] for v in model.variances_)
    second = float(value[0, 0] ** 2 + deviation[0, 0] ** 2)
    np.testing.assert_allclose(std**2, [v0 * second, v0 * v1], rtol=1e-9)
    near, near_std = model.predict(x, return_std=True)
    assert near.shape == near_std.shape == (100,)
    assert (near_std < 0.5 * std[1]).all()


@pytest.mark.isa
def test_same_bits_for_any_threads_and_inputs_unharmed() -> None:
    x, _, y = drawn(6, (2, 2), 2, 80, 0.1)
    before = x.copy(), y.copy()
    found = []
    for threads in (1, 2):
        fourfold.set_num_threads(threads)
        with pytest.warns(ConvergenceWarning, match="still grew by"):
            model = gp.FunBaT((2, 2), restarts=2, max_sweeps=4).fit(x, y)
        found.append(np.stack([*model.predict(x[:9], return_std=True)]))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_order_of_entries_repeated_entries_and_integers() -> None:
    rng = np.random.default_rng(7)
    x = rng.integers(0, 6, size=(80, 3))
    y = np.cos(x[:, 0]) * (1 + x[:, 1]) * np.sin(x[:, 2]) + 0.05 * rng.normal(size=80)
    model = gp.FunBaT(1, restarts=2).fit(x, y)
    again = gp.FunBaT(1, restarts=2).fit(x[::-1].astype(np.float32), y[::-1])
    new = rng.uniform(0, 5, size=(5, 3))
    np.testing.assert_allclose(model.predict(new), again.predict(new), rtol=1e-5, atol=1e-6)
    strided = gp.FunBaT(1, restarts=2).fit(np.repeat(x, 2, axis=0)[::2], y)
    np.testing.assert_array_equal(model.predict(new), strided.predict(new))
    assert model.predict(np.empty((0, 3))).shape == (0,)


def test_tensors_come_back_as_tensors() -> None:
    x, _, y = drawn(8, 1, 2, 60, 0.1)
    model = gp.FunBaT(1, restarts=1).fit(torch.from_numpy(x), torch.from_numpy(y))
    mean, std = model.predict(torch.from_numpy(x[:3]), return_std=True)
    assert isinstance(mean, torch.Tensor)
    assert isinstance(std, torch.Tensor)
    np.testing.assert_array_equal(mean.numpy(), gp.FunBaT(1, restarts=1).fit(x, y).predict(x[:3]))
    with pytest.raises(TypeError, match="indices: this tensor requires a gradient"):
        model.predict(torch.zeros(1, 2, requires_grad=True))


@pytest.mark.parametrize("ranks", [2, (1, 2)])
def test_files(tmp_path: Path, ranks: int | tuple[int, ...]) -> None:
    x, _, y = drawn(9, ranks, 2, 60, 0.1)
    kernels = [Matern(0.2, 2.5), Matern(0.3, 0.5, lengthscale_bounds=None)]
    model = gp.FunBaT(ranks, kernel=kernels, mean=0.5, restarts=1, seed=3, tolerance=1e-3)
    path = tmp_path / "model.npz"
    model.save(path)
    assert gp.FunBaT.load(path).fit(x, y).lower_bound_ == model.fit(x, y).lower_bound_
    model.save(path)
    loaded = gp.FunBaT.load(path)
    for ours, theirs in zip(
        model.predict(x, return_std=True), loaded.predict(x, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(loaded.history_, model.history_)
    assert loaded.rank == model.rank
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"]
    content = path.read_bytes()
    at = content.index(model.history_.tobytes())
    for damaged in (
        content[: len(content) // 2],
        b"not an archive",
        b"",
        content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :],
    ):
        path.write_bytes(damaged)
        with pytest.raises(DamagedFileError):
            gp.FunBaT.load(path)
    rng = np.random.default_rng(3)
    for _ in range(40):
        changed = bytearray(content)
        changed[rng.integers(len(content))] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            again = gp.FunBaT.load(path)
        except DamagedFileError:
            continue
        # A flipped byte of a zip archive that means nothing (a date, say).
        np.testing.assert_array_equal(again.history_, model.history_)
    np.savez(path, settings=np.zeros(3))
    with pytest.raises(DamagedFileError, match="not a model file of FunBaT"):
        gp.FunBaT.load(path)


def test_figure() -> None:
    x, _, y = drawn(10, 2, 2, 60, 0.1)
    figure = gp.FunBaT(2, restarts=1, tolerance=1e-3).fit(x, y).plot()
    assert len(figure.axes) == 2
    assert len(figure.axes[0].lines) == 3
