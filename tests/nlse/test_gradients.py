"""Gradients of solve: against finite differences, automatic differentiation, and what they must refuse."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fourfold
from fourfold import nlse
from fourfold.errors import ReconstructionError
from fourfold.nlse.methods import DIFFERENTIABLE

Tensor = torch.Tensor
LENGTH = 10.0
GRID = nlse.Grid(20, LENGTH)  # 20 = 4 * 5: an odd radix and few lanes
T = [0.1, 0.3, 0.4]
MODES: dict[str, dict[str, Any]] = {
    "reversible": {"step": 0.06},
    "filter": {"step": 0.06, "dealias": "exponential"},
    "two_thirds": {"step": 0.06, "dealias": "two_thirds"},
}


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def wave(*batch: int, grid: nlse.Grid = GRID, seed: int = 1) -> Tensor:
    """A smooth field with some noise, which wants gradients."""
    smooth = torch.from_numpy(np.exp(-((grid.x / 2) ** 2) + 0.5j * grid.x))
    noise = random(*batch, grid.n, seed=seed, dtype=torch.complex128)
    return (smooth + 0.1 * noise).requires_grad_()


def gradcheck(function: Callable[..., Tensor], *inputs: Tensor, fast: bool = True) -> None:
    """In random directions; if not fast, each component."""
    assert torch.autograd.gradcheck(function, inputs, fast_mode=fast)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", DIFFERENTIABLE)
def test_all_coefficients(method: str, mode: str) -> None:
    """Every component for one method, a random direction for the others."""

    def function(psi0: Tensor, c: Tensor, g: Tensor, v: Tensor) -> Any:
        problem = nlse.Problem(GRID, dispersion={2: c[0], 3: c[1]}, nonlinearity=g, potential=v)
        return nlse.solve(problem, psi0, T, method=method, **MODES[mode]).psi

    gradcheck(
        _quietly(function),
        wave(2),
        torch.tensor([0.5, 0.02], dtype=torch.float64, requires_grad=True),
        torch.tensor([1.0, -0.5], dtype=torch.float64, requires_grad=True),
        random(GRID.n).requires_grad_(),
        fast=method != "rkn4_6b",
    )


def _quietly(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(*arguments: Tensor) -> Tensor:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fourfold.errors.OrderWarning)
            return function(*arguments)

    return call


@pytest.mark.parametrize("method", DIFFERENTIABLE)
def test_loss(method: str) -> None:
    def function(psi0: Tensor, loss: Tensor, g: Tensor) -> Any:
        problem = nlse.Problem(GRID, loss=loss, nonlinearity=g)
        return nlse.solve(problem, psi0, T, method=method, step=0.06).psi

    loss = (0.3 * random(2, GRID.n)).requires_grad_()  # gain in places
    gradcheck(_quietly(function), wave(2), loss, torch.tensor(0.7, dtype=torch.float64))


def test_loss_of_zero_has_a_gradient_too() -> None:
    def function(loss: Tensor) -> Any:
        return nlse.solve(nlse.Problem(GRID, loss=loss), wave().detach(), T, step=0.06).psi

    gradcheck(function, torch.zeros(GRID.n, dtype=torch.float64, requires_grad=True))


def test_strong_loss() -> None:
    """Both branches of the slope of the effective time."""

    def function(loss: Tensor) -> Any:
        return nlse.solve(
            nlse.Problem(GRID, loss=loss), wave().detach(), [0.0, 1.0], method="strang", step=1.0
        ).psi

    loss = torch.linspace(-0.2, 3.0, GRID.n, dtype=torch.float64)
    gradcheck(function, loss.requires_grad_())


@pytest.mark.parametrize("method", ["strang", "rkn4_6b", "rkn6_14a"])
@pytest.mark.parametrize("dealias", [None, "exponential"])
def test_adaptive_steps(method: str, dealias: str | None) -> None:
    """The steps are taken again as they were; finite differences see them as fixed, too."""
    options: dict[str, Any] = {"method": method, "dealias": dealias}
    # A slow problem, whose first step is the whole interval.
    psi0 = (0.5 * wave(2)).detach().requires_grad_()
    v = (0.1 * random(GRID.n)).requires_grad_()
    weights = random(3, 2, GRID.n, dtype=torch.complex128)
    # A tolerance that the steps meet by far: an interval is one step, cut in two.
    times = [0.1, 0.3, 0.5]
    problem = nlse.Problem(GRID, potential=v)
    sol = nlse.solve(problem, psi0, times, rtol=1e-2, atol=0.1, **options)
    found = torch.autograd.grad((weights.conj() * sol.psi).real.sum(), (psi0, v))
    fixed = nlse.solve(problem, psi0, times, step=0.1, **options)
    assert sol.stats.steps == fixed.stats.steps == 2 * 2 * 2
    expected = torch.autograd.grad((weights.conj() * fixed.psi).real.sum(), (psi0, v))
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


def test_many_adaptive_steps() -> None:
    grid = nlse.Grid(64, 20.0)
    psi0 = torch.from_numpy(nlse.soliton(grid, amplitude=2.0)).requires_grad_()
    direction = random(64, dtype=torch.complex128)
    times = [0.0, 0.7, 2.0]

    def value(start: Tensor) -> Tensor:
        psi = nlse.solve(nlse.Problem(grid), start, times, method="rkn4_6b", rtol=1e-7).psi
        found: Tensor = (psi[-1, 20:40].abs() ** 4).sum() + psi[1].real.sum()
        return found

    (gradient,) = torch.autograd.grad(value(psi0), psi0)
    h = 1e-5
    with torch.no_grad():
        slope = (value(psi0 + h * direction) - value(psi0 - h * direction)) / (2 * h)
    along = (gradient.conj() * direction).real.sum()
    # Different steps for different fields: the derivative of the solution, not of the steps.
    assert abs(along / slope - 1) < 1e-4


def test_time_dependent_terms() -> None:
    knots = np.linspace(0.0, 0.5, 5)

    def function(psi0: Tensor, factor: Tensor, profile: Tensor, g: Tensor, linear: Tensor) -> Any:
        problem = nlse.Problem(
            GRID,
            potential=nlse.Modulated(profile, factor, knots) + (lambda x: 0.1 * x**2),
            nonlinearity=nlse.Modulated(g, linear, knots, interpolation="linear") + 0.5,
        )
        return nlse.solve(problem, psi0, T, method="rkn4_6b", step=0.06).psi

    gradcheck(
        function,
        wave(3),
        random(5).requires_grad_(),
        random(3, GRID.n, seed=4).requires_grad_(),
        torch.tensor(0.8, dtype=torch.float64, requires_grad=True),
        random(5, seed=5).requires_grad_(),
    )


def test_loss_in_time() -> None:
    def function(psi0: Tensor, factor: Tensor, strength: Tensor) -> Any:
        decay = nlse.Modulated(np.cos(GRID.x) ** 2, factor, [0.0, 0.2, 0.3, 0.5])
        problem = nlse.Problem(
            GRID,
            loss=decay + nlse.Modulated(1.0, strength),
            potential=lambda x, t: t * x,
            nonlinearity=lambda t: 1 - t,
        )
        return nlse.solve(problem, psi0, T, method="strang", step=0.06).psi

    gradcheck(
        function,
        wave(2),
        random(4).requires_grad_(),
        torch.tensor(0.3, dtype=torch.float64, requires_grad=True),
    )


@pytest.mark.isa
@pytest.mark.parametrize("mode", ["reversible", "filter", "loss"])
@pytest.mark.parametrize("n", [15, 48, 64, 250])
def test_against_automatic_differentiation_of_the_same_step(n: int, mode: str) -> None:
    """Strang steps written with torch.fft, differentiated by torch."""
    grid = nlse.Grid(n, LENGTH)
    psi0 = wave(2, grid=grid)
    v, g = random(n).requires_grad_(), torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    omega = (torch.from_numpy(grid.k.copy()) ** 2 / 2).requires_grad_()
    loss = (0.5 + 0.1 * random(n, seed=3)).requires_grad_()
    h, count = 0.02, 9
    relative = torch.from_numpy(np.abs(grid.k) / (2 * np.pi * n / (3 * LENGTH)))
    smooth = torch.exp(-36 * relative**36) if mode == "filter" else torch.ones(n)

    psi = psi0
    saved = [psi]
    for s in range(count):
        half = smooth * torch.exp(-0.5j * h * omega)
        # Between steps the two halves are one flow, with one filter.
        first = half if s == 0 else torch.exp(-0.5j * h * omega)
        psi = torch.fft.ifft(first * torch.fft.fft(psi))
        density = psi.abs() ** 2
        if mode == "loss":
            reach = (1 - torch.exp(-2 * loss * h)) / (2 * loss)
            psi = psi * torch.exp(1j * (g * density * reach - h * v) - loss * h)
        else:
            psi = psi * torch.exp(1j * h * (g * density - v))
        psi = torch.fft.ifft(half * torch.fft.fft(psi))
    saved.append(psi)
    inputs = [psi0, v, g, omega] + [loss] * (mode == "loss")
    expected = torch.autograd.grad(_quantity(torch.stack(saved)), inputs)

    problem = nlse.Problem(
        grid,
        dispersion=omega,
        nonlinearity=g,
        potential=v,
        loss=loss if mode == "loss" else None,
    )
    sol = nlse.solve(
        problem,
        psi0,
        [0.0, h * count],
        method="strang",
        step=h,
        dealias="exponential" if mode == "filter" else None,
    )
    assert torch.allclose(sol.psi[-1], psi, atol=1e-12)
    found = torch.autograd.grad(_quantity(sol.psi), inputs)
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() < 1e-10 * max(1.0, float(b.abs().max()))


def _quantity(psi: Tensor) -> Tensor:
    return (psi.abs() ** 3).sum() + (psi.real * psi.imag.roll(1, -1)).sum()


@pytest.mark.parametrize("mode", ["reversible", "filter"])
def test_complex64(mode: str) -> None:
    psi0 = wave(2)
    found = []
    for dtype, real in ((torch.complex64, torch.float32), (torch.complex128, torch.float64)):
        start = psi0.detach().to(dtype).requires_grad_()
        v = random(GRID.n).to(real).requires_grad_()
        problem = nlse.Problem(GRID, potential=v)
        sol = nlse.solve(problem, start, T, method="rkn4_6b", **MODES[mode])
        found.append(torch.autograd.grad(_quantity(sol.psi), (start, v)))
        assert found[-1][0].dtype == dtype
        assert found[-1][1].dtype == real
    for a, b in zip(*found, strict=True):
        assert (a - b).abs().max() < 1e-4 * b.abs().max()


@pytest.mark.isa
def test_bits_do_not_depend_on_threads() -> None:
    def gradients(threads: int, **options: Any) -> list[Tensor]:
        fourfold.set_num_threads(threads)
        psi0, v = wave(5), random(GRID.n).requires_grad_()
        g = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
        sol = nlse.solve(nlse.Problem(GRID, potential=v, nonlinearity=g), psi0, T, **options)
        return list(torch.autograd.grad(_quantity(sol.psi), (psi0, v, g)))

    for options in ({"step": 0.02}, {"step": 0.02, "dealias": "two_thirds"}, {"rtol": 1e-6}):
        one = gradients(1, **options)
        for threads in (2, 3):
            for a, b in zip(one, gradients(threads, **options), strict=True):
                assert torch.equal(a, b)


def test_broadcast_coefficients_get_sums() -> None:
    shapes: dict[str, tuple[int, ...]] = {"potential": (3, 1, GRID.n), "nonlinearity": (2,)}
    psi0 = wave(3, 2).detach()
    given = {name: random(*shape).requires_grad_() for name, shape in shapes.items()}
    sol = nlse.solve(nlse.Problem(GRID, **given), psi0, T, step=0.05)
    found = torch.autograd.grad(_quantity(sol.psi), list(given.values()))
    single = {
        name: torch.broadcast_to(value.detach(), (3, 2, GRID.n) if name == "potential" else (3, 2))
        .clone()
        .requires_grad_()
        for name, value in given.items()
    }
    sol = nlse.solve(nlse.Problem(GRID, **single), psi0, T, step=0.05)
    whole = torch.autograd.grad(_quantity(sol.psi), list(single.values()))
    assert torch.allclose(found[0], whole[0].sum(dim=1, keepdim=True))
    assert torch.allclose(found[1], whole[1].sum(dim=0))


def test_values_are_those_without_gradients() -> None:
    psi0 = wave(2)
    sol = nlse.solve(nlse.Problem(GRID), psi0, T, step=0.05)
    plain = nlse.solve(nlse.Problem(GRID), psi0.detach(), T, step=0.05)
    assert sol.psi.requires_grad
    assert torch.equal(sol.psi.detach(), plain.psi)
    assert sol.stats.steps == plain.stats.steps
    np.testing.assert_array_equal(sol.mass, plain.mass)
    with torch.no_grad():
        assert not nlse.solve(nlse.Problem(GRID), psi0, T, step=0.05).psi.requires_grad


def test_one_saved_time() -> None:
    psi0 = wave()
    sol = nlse.solve(nlse.Problem(GRID), psi0, [0.5], step=0.1)
    (gradient,) = torch.autograd.grad(_quantity(sol.psi), psi0)
    (expected,) = torch.autograd.grad(_quantity(psi0[None]), psi0)
    assert torch.allclose(gradient, expected)


def test_reconstruction_is_measured() -> None:
    """Modulation instability on the way back multiplies rounding errors."""
    grid = nlse.Grid(64, 20.0)
    plane = 1.5 + 0.01 * random(64, dtype=torch.complex128)
    psi0 = plane.to(torch.complex128).requires_grad_()
    problem = nlse.Problem(grid, nonlinearity=2.0)
    sol = nlse.solve(problem, psi0, [0.0, 6.0], method="strang", step=0.005)
    with pytest.raises(
        ReconstructionError, match=r"misses the state at t = 0 by .* save more times"
    ):
        sol.psi.abs().sum().backward()
    again = nlse.solve(problem, psi0, [0.0, 12.0], method="rkn4_6b", rtol=1e-6)
    with pytest.raises(
        ReconstructionError, match="taking the steps again from t = 0 misses the state"
    ):
        again.psi.abs().sum().backward()
    # Saved states are fresh starts.
    for options in ({"method": "strang", "step": 0.005}, {"rtol": 1e-8}):
        more = nlse.solve(problem, psi0, np.linspace(0, 6, 25), **options)
        (gradient,) = torch.autograd.grad((more.psi[-1].abs() ** 2).sum(), psi0)
        # The mass is conserved: its gradient is 2 psi0.
        assert torch.allclose(gradient, 2 * psi0, atol=1e-3)


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="no /proc/self")
@pytest.mark.parametrize("mode", ["reversible", "filter"])
def test_peak_memory(mode: str) -> None:
    """400 steps: nothing is stored when reversible, the root of it with checkpoints."""
    grid = nlse.Grid(1 << 14, 400.0)
    psi0 = torch.from_numpy(nlse.soliton(grid)).requires_grad_()
    fourfold.set_num_threads(1)
    field = 16 * grid.n

    def peak(steps: int) -> float:
        sol = nlse.solve(
            nlse.Problem(grid),
            psi0,
            [0.0, 0.1],
            method="strang",
            step=0.1 / steps,
            dealias="exponential" if mode == "filter" else None,
        )
        assert sol.stats.steps == steps
        weights = torch.ones_like(sol.psi)
        before = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        sol.psi.backward(weights)
        return (_memory("VmHWM") - before) / field

    peak(8)  # what is allocated once
    # In fields. The allocator keeps or returns some as it likes; a stored trajectory takes 400.
    assert peak(400) < (20 if mode == "reversible" else 4 * 20 + 20)


def _memory(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise AssertionError(key)


@pytest.mark.parametrize("method", ["rk4ip", "etdrk4", "dop853"])
def test_other_methods_say_so(method: str) -> None:
    with pytest.raises(
        NotImplementedError, match=f"{method}.* has no gradients; .*strang, yoshida4"
    ):
        nlse.solve(nlse.Problem(GRID), wave(), T, method=method, step=0.01)


def test_refusals() -> None:
    v = torch.ones(GRID.n, dtype=torch.float64, requires_grad=True)
    problem = nlse.Problem(GRID, potential=v)
    with pytest.raises(ValueError, match="psi0 must be a torch tensor, because potential requires"):
        nlse.solve(problem, wave().detach().numpy(), T)
    with torch.no_grad():
        nlse.solve(problem, wave().detach().numpy(), T)
        v += 1
    with pytest.raises(
        ValueError, match="potential was changed in place since the Problem was made"
    ):
        nlse.solve(problem, wave(), T)
    with pytest.raises(ValueError, match='store="fields"'):
        nlse.solve(nlse.Problem(GRID), wave(2), T, store="statistics")
    with pytest.raises(TypeError, match="loss must be float32 or float64"):
        nlse.Problem(GRID, loss=torch.ones(GRID.n, dtype=torch.bfloat16, requires_grad=True))
    sol = nlse.solve(nlse.Problem(GRID), wave(), T, step=0.1)
    (first,) = torch.autograd.grad(sol.psi.abs().sum(), sol.psi, create_graph=True)
    assert first.requires_grad
    with torch.no_grad():
        sol.psi.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        sol.psi.abs().sum().backward()


def test_mixed_series_name_what_has_no_gradient() -> None:
    factor = torch.ones(3, dtype=torch.float64, requires_grad=True)
    series = nlse.Modulated(GRID.x, factor, [0.0, 0.3, 0.5]) + nlse.Modulated(GRID.x, np.sin)
    sol = nlse.solve(nlse.Problem(GRID, potential=series), wave(), T, step=0.1)
    with pytest.raises(NotImplementedError, match=r"potential\[0\]\.factor has no gradient"):
        sol.psi.abs().sum().backward()
