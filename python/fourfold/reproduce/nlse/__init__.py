"""The experiments of `fourfold.nlse`."""

from fourfold.reproduce.nlse import (
    ensemble,
    exact,
    instability,
    invariants,
    orders,
    published,
    work,
)
from fourfold.reproduce.record import Family

_TEXT = """
Everything here solves i ψ_t = ω(−i∂_x) ψ − g|ψ|²ψ + V(x) ψ − iγ(x) ψ on a periodic line; unless
another is named, the focusing equation i ψ_t + ½ ψ_xx + |ψ|²ψ = 0. Errors are max |ψ − ψ_true|
over all points and all saved times, phases included, unless said otherwise. Truths are closed
forms; where there is none, a second method of another kind at a tighter tolerance.
"""

FAMILY = Family(
    title="nlse: waves under the nonlinear Schrödinger equation",
    text=_TEXT,
    experiments=(
        ("The four published cases", published.run),
        ("Exact solutions", exact.run),
        ("What the flow conserves", invariants.run),
        ("Modulation instability of 256 × 1024 points: gain", instability.run),
        ("Modulation instability of 256 × 1024 points: coherence", ensemble.run),
        ("Orders of convergence", orders.run),
        ("Work against error", work.run),
    ),
)
