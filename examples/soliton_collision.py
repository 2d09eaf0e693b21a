"""Two solitons pass through each other: the field, and its error against the closed form.

`python examples/soliton_collision.py` writes soliton_collision.png into the current folder.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from fourfold import nlse

grid = nlse.Grid(n=1024, length=80.0)
start = {"amplitudes": (2.0, 1.5), "centers": (-10.0, 10.0), "velocities": (2.0, -2.0)}

solution = nlse.solve(
    nlse.Problem(grid), nlse.two_soliton(grid, **start), t=np.linspace(0, 10, 201), rtol=1e-9
)
exact = nlse.two_soliton(grid, **start, t=solution.t)
error = np.abs(solution.psi - exact).max(axis=-1)
print(f"{solution.stats.steps} steps, {solution.stats.wall_seconds * 1e3:.0f} ms")
print(f"largest error {error.max():.1e}, mass drift {np.ptp(solution.mass) / solution.mass[0]:.1e}")

figure = Figure(figsize=(9, 4), layout="constrained")
left, right = figure.subplots(1, 2)
image = left.pcolormesh(
    grid.x, solution.t, np.abs(solution.psi), cmap="magma", shading="nearest", rasterized=True
)
left.set(xlim=(-25, 25), xlabel="$x$", ylabel="$t$", title="two solitons collide")
figure.colorbar(image, ax=left, label=r"$|\psi|$")
right.semilogy(solution.t[1:], error[1:])
right.set(xlabel="$t$", ylabel="largest error", title="against the exact two-soliton solution")
right.grid(alpha=0.3)
figure.savefig("soliton_collision.png", dpi=120)
