"""A potential found from what waves do in it: densities measured at a few times, and gradients.

Three wave packets cross an unknown potential. Their densities are measured at eight times, with 2 % of
noise; the potential is what makes the computed densities fit, by a quasi-Newton method from zero on. A
constant in it turns phases only, which no density shows: it is taken from the true potential.

`python examples/fit_potential.py` writes fit_potential.png into the current folder.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from fourfold import nlse

grid = nlse.Grid(n=128, length=20.0)
x = torch.from_numpy(grid.x.copy())
t = np.linspace(0, 4, 9)
truth = 1.5 * torch.exp(-((x + 2) ** 2)) - torch.exp(-((x - 2.5) ** 2) / 0.5)
centers = torch.tensor([[-4.0], [0.0], [4.0]])
psi0 = torch.exp(-((x - centers) ** 2) / 2 + 1j * torch.tensor([[1.5], [0.0], [-1.5]]) * x)


def densities(potential: torch.Tensor) -> torch.Tensor:
    """At all measured times, shape (8, 3, n)."""
    problem = nlse.Problem(grid, potential=potential)
    solution = nlse.solve(problem, psi0, t, method="rkn4_6b", step=0.05)
    return solution.psi[1:].abs() ** 2


torch.manual_seed(1)
exact = densities(truth)
measured = exact + 0.02 * torch.randn_like(exact)

potential = torch.zeros(grid.n, dtype=torch.float64, requires_grad=True)
optimizer = torch.optim.LBFGS([potential], max_iter=120, line_search_fn="strong_wolfe")
history = []


def loss() -> torch.Tensor:
    """The misfit, and a little against roughness that the data do not ask for."""
    optimizer.zero_grad()
    misfit = (densities(potential) - measured).square().mean()
    value = misfit + 1e-5 * (potential.diff() / grid.dx).square().mean()
    value.backward()
    history.append(misfit.item())
    return value


optimizer.step(loss)
seen = exact.amax(dim=(0, 1)) > 0.1  # where any wave has been
found = potential.detach() - (potential.detach() - truth)[seen].mean()
off = (found - truth)[seen].abs().mean()
print(f"{len(history)} solutions and gradients, misfit {history[0]:.1e} -> {history[-1]:.1e}")
print(f"potential off by {off:.3f} on average, where waves have been")

figure = Figure(figsize=(10, 3.4), layout="constrained")
left, middle, right = figure.subplots(1, 3)
image = left.pcolormesh(
    grid.x, t[1:], measured[:, 0], cmap="magma", shading="nearest", rasterized=True
)
left.set(title="measured: density of one packet", xlabel="$x$", ylabel="$t$")
figure.colorbar(image, ax=left)
middle.plot(grid.x, truth, lw=3, color="0.75", label="true")
middle.plot(grid.x, found, lw=1.2, color="tab:red", label="found")
middle.fill_between(grid.x, -2, 2, where=~seen.numpy(), color="0.92", lw=0, label="no wave there")
middle.set(title="potential", xlabel="$x$", ylim=(-1.5, 1.9))
middle.legend(frameon=False, loc="upper right")
right.semilogy(history)
right.axhline(0.02**2, color="0.6", ls="--", lw=1)
right.set(title="misfit (dashed: the noise)", xlabel="solutions")
figure.savefig("fit_potential.png", dpi=120)
