"""A pulse shaper before a fibre: the spectral phases that make a flat pulse at the fibre's end.

A pulse shaper can only turn the phases of a pulse's frequencies. Which phases make the pulse leave a fibre,
bent by dispersion and the Kerr effect, as a flat-top? Gradients with respect to the initial field tell.
Here x is the time in the frame of the pulse and t the way along the fibre (normal dispersion).

`python examples/pulse_shaping.py` writes pulse_shaping.png into the current folder.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from fourfold import nlse

grid = nlse.Grid(n=256, length=40.0)
x = torch.from_numpy(grid.x.copy())
k = torch.from_numpy(grid.k.copy())
fibre = nlse.Problem(grid, dispersion={2: -0.5, 3: 0.05}, nonlinearity=1.0)

spectrum = torch.fft.fft(1.6 * torch.exp(-(x**2) / 2) + 0j)
reach = spectrum.abs() > 1e-3 * spectrum.abs().max()  # a shaper cannot turn what is not there

target = torch.exp(-((x / 4) ** 10))
energy = (spectrum.abs() ** 2).sum() / grid.n
target = target * (energy / target.sum())  # the same energy, as an intensity


def shaped(phase: torch.Tensor) -> torch.Tensor:
    """The pulse behind the shaper."""
    return torch.fft.ifft(spectrum * torch.exp(1j * phase * reach))


def at_the_end(psi0: torch.Tensor) -> torch.Tensor:
    """The field at the end of the fibre."""
    solution = nlse.solve(fibre, psi0, [0.0, 2.0], method="rkn4_6b", step=0.02)
    return solution.psi[-1]


# To begin with a chirp that stretches the pulse.
phase = (0.5 * k**2).requires_grad_()
optimizer = torch.optim.LBFGS([phase], max_iter=250, line_search_fn="strong_wolfe")
history = []


def loss() -> torch.Tensor:
    """How far the intensity is from the target, relative."""
    optimizer.zero_grad()
    intensity = at_the_end(shaped(phase)).abs() ** 2
    off = (intensity - target).square().sum() / target.square().sum()
    off.backward()
    history.append(off.item())
    return off


optimizer.step(loss)
print(f"{len(history)} solutions and gradients, off {history[0]:.2e} -> {history[-1]:.2e}")

with torch.no_grad():
    before = shaped(phase)
    plain = at_the_end(shaped(0 * phase)).abs() ** 2
    way = nlse.solve(fibre, before, torch.linspace(0, 2, 101), rtol=1e-8)
figure = Figure(figsize=(10, 3.4), layout="constrained")
left, middle, right = figure.subplots(1, 3)
order = torch.argsort(k)
left.plot(k[order], spectrum[order].abs() / spectrum.abs().max(), color="0.6", label="amplitude")
left.set(title="shaper", xlabel="frequency", xlim=(-5, 5))
turned = left.twinx()
order = order[reach[order]]
turned.plot(k[order], np.unwrap(phase.detach()[order].numpy()), color="tab:red")
turned.set_ylabel("phase", color="tab:red")
image = middle.pcolormesh(
    grid.x, way.t, way.psi.abs() ** 2, cmap="magma", shading="nearest", rasterized=True
)
middle.set(title="on the way", xlabel="time", ylabel="place in the fibre", xlim=(-10, 10))
figure.colorbar(image, ax=middle)
right.plot(x, target, lw=4, color="0.8", label="wanted")
right.plot(x, way.psi[-1].abs() ** 2, color="tab:red", lw=1.2, label="shaped")
right.plot(x, plain, color="tab:blue", lw=1, ls="--", label="unshaped")
right.set(title="intensity at the end", xlabel="time", xlim=(-10, 10), ylim=(0, 0.8))
right.legend(frameon=False, loc="upper right")
figure.savefig("pulse_shaping.png", dpi=120)
