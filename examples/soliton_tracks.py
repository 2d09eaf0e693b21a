"""Two solitons that collide, followed: how far they are shifted, against the exact solution.

`python examples/soliton_tracks.py` writes soliton_tracks.png into the current folder.
"""

from __future__ import annotations

import numpy as np

from fourfold import nlse
from fourfold.nlse import analysis, plot

grid = nlse.Grid(n=1024, length=80.0)
problem = nlse.Problem(grid)
psi0 = nlse.two_soliton(grid)  # amplitudes 2 and 1.5, from -10 and 10, velocities 2 and -2
solution = nlse.solve(problem, psi0, t=np.linspace(0, 10, 201), rtol=1e-10, atol=1e-12)

tracks = analysis.track_solitons(solution)
amplitude, velocity = tracks.amplitude[0], tracks.velocity[0]

# Without the other one each would have gone straight on.
shift = tracks.position[-1] - (tracks.position[0] + velocity * solution.t[-1])
(a1, a2), dv = amplitude, velocity[0] - velocity[1]
overlap = np.log(((a1 + a2) ** 2 + dv**2) / ((a1 - a2) ** 2 + dv**2))
for i, expected in enumerate((overlap / a1, -overlap / a2)):
    print(
        f"A = {amplitude[i]:.6f}, v = {velocity[i]:+.6f}: shifted by {shift[i]:+.7f}, "
        f"exact {expected:+.7f}"
    )
gaps = np.isnan(tracks.position).any(axis=1)
print(f"in collision from t = {solution.t[gaps][0]:.2f} to {solution.t[gaps][-1]:.2f}")

plot.trajectories(solution, tracks).savefig("soliton_tracks.png", dpi=110)
