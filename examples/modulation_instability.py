"""An ensemble of noisy plane waves: how fast each sideband grows, against theory.

The theory is Benjamin and Feir's growth rate.

`python examples/modulation_instability.py` writes modulation_instability.png into the current folder.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from fourfold import nlse

realisations = 256
grid = nlse.Grid(n=256, length=100.0)
plane = np.tile(nlse.plane_wave(grid, amplitude=1.0), (realisations, 1))
psi0 = nlse.add_noise(plane, relative=1e-5, rng=1)

# Statistics are gathered as the run goes; no field but the current ones is kept.
solution = nlse.solve(nlse.Problem(grid), psi0, t=np.linspace(0, 14, 57), store="statistics")
statistics = solution.statistics
assert statistics is not None
print(f"{realisations} realisations, {solution.stats.wall_seconds:.2f} s")

# While the growth is linear, a sideband's mean power grows as exp(2 sigma t), once its decaying part
# is gone: the slope from t = 3 to t = 6.
power = statistics.spectrum
early, late = np.searchsorted(solution.t, [3.0, 6.0])
gain = np.log(power[late] / power[early]) / (2 * (solution.t[late] - solution.t[early]))

unstable = (grid.k > 0.3) & (grid.k < 1.9)
off = np.abs(gain - nlse.modulation_gain(grid.k))[unstable].max()
print(f"largest deviation from the formula for 0.3 < K < 1.9: {off:.3f}")

order = np.argsort(grid.k)
figure = Figure(figsize=(12, 3.6), layout="constrained")
left, middle, right = figure.subplots(1, 3)
image = left.pcolormesh(
    grid.k[order],
    solution.t,
    10 * np.log10(power[:, order]),
    cmap="magma",
    vmin=-140,
    vmax=0,
    shading="nearest",
    rasterized=True,
)
left.set(xlim=(-4, 4), xlabel="$k$", ylabel="$t$", title="mean spectrum")
figure.colorbar(image, ax=left, label="dB")
k = np.linspace(0, 2.5, 500)
middle.plot(k, nlse.modulation_gain(k), color="black", lw=1, label="theory")
shown = (grid.k > 0) & (grid.k < 2.5)
middle.plot(grid.k[shown], gain[shown], ".", color="tab:orange", label="ensemble, $t=3..6$")
middle.set(xlabel="$K$", ylabel=r"growth rate $\sigma$", title="gain of the sidebands")
middle.legend(frameon=False)
right.plot(solution.t, statistics.coherence.mean(axis=-1))
right.set(xlabel="$t$", ylabel="mean $|g_{12}|$", title="coherence", ylim=(0, 1.05))
for axes in (middle, right):
    axes.grid(alpha=0.3)
figure.savefig("modulation_instability.png", dpi=120)
