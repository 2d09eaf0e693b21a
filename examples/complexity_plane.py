"""Regular, turbulent and random: where time series of a field lie in the entropy-complexity plane.

The modulus at a point over time, of a breather (periodic), of a plane wave that broke up in noise
(modulation instability), and of noise alone; for each the delay at which its windows span two fifths
of its natural period.

`python examples/complexity_plane.py` writes complexity_plane.png into the current folder.
"""

from __future__ import annotations

import numpy as np

from fourfold import nlse
from fourfold.nlse import analysis, plot

ORDER = 5
rng = np.random.default_rng(1)

# A bound state of two solitons breathes for ever.
grid = nlse.Grid(n=256, length=30.0)
t = np.linspace(0, 60, 3001)
breather = nlse.solve(nlse.Problem(grid), 2 * nlse.soliton(grid), t, rtol=1e-6)
regular = np.abs(breather.psi[:, 112:144:8])

# Noise grows on a plane wave until it is a sea of pulses that come and go.
sea = nlse.Grid(n=256, length=60.0)
psi0 = nlse.add_noise(nlse.plane_wave(sea), relative=1e-2, rng=rng)
late = nlse.solve(nlse.Problem(sea), psi0, 20 + t, method="rkn4_6b", step=0.01)
turbulent = np.abs(late.psi[:, ::32])

random = np.abs(rng.normal(size=(3001, 8)) + 1j * rng.normal(size=(3001, 8)))

places = {}
for name, series in (("breather", regular), ("wave turbulence", turbulent)):
    delay = np.atleast_1d(analysis.ideal_delay(series, ORDER, axis=0))
    found = [
        analysis.complexity_entropy(series[:, i], ORDER, int(delay[i]))
        for i in range(series.shape[1])
    ]
    h, c = np.array(found).T
    places[name] = analysis.EntropyComplexity(h, c)
    print(f"{name:16} delay {delay.min()}-{delay.max()}: H = {h.mean():.3f}, C = {c.mean():.3f}")
places["noise"] = analysis.complexity_entropy(random, ORDER, axis=0)
print(f"{'noise':16} H = {places['noise'].entropy.mean():.3f}")

plot.entropy_complexity(places, order=ORDER).savefig("complexity_plane.png", dpi=110)
