"""Rational fits of activation functions, measured through the module's own forward."""

from __future__ import annotations

import torch

from fourfold import kan
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.record import Context, Section, Table, at_most, number

__all__ = ["run"]

# Errors of variant A, degree (5, 4), that are known to be reachable, rounded or cut to two or three digits.
_REACHABLE = {
    "gelu": {3: 1.27e-3, 5: 2.40e-3, 8: 3.35e-3},
    "silu": {3: 4.6e-7, 5: 2.6e-5, 8: 5.2e-4},
    "relu": {3: 1.28e-2, 5: 2.13e-2, 8: 3.40e-2},
}
_ROUNDING = 1.01
_TEXT = """
F(x) = P(x)/Q(x) with numerator of degree 5 and denominator 1 + Σ |b_j||x|^j of degree 4, fitted for the smallest
largest error on an interval. Required are the errors that are known to be reachable; they are known to two or three
digits, so 1 % more counts as equal. Errors are those of the module `kan.Rational` itself, in float64, at 200,001 points.
"""


def run(context: Context) -> Section:
    """Fit three activations on three intervals."""
    section = Section(_TEXT)
    figure, panels = axes(1, 3, height=3.2)
    for name, intervals in _REACHABLE.items():
        function = getattr(torch.nn.functional, name)
        for half, reachable in intervals.items():
            context.say(f"{name} on [-{half}, {half}]")
            fit = kan.fit_rational(name, (5, 4), (-float(half), float(half)))
            module = kan.Rational(8, init=fit, dtype=torch.float64)
            x = torch.linspace(-half, half, 200_001, dtype=torch.float64)[:, None].expand(-1, 8)
            with torch.no_grad():
                error = float((module(x) - function(x)).abs().max())
            section.checks.append(
                at_most(
                    f"{name} on [−{half}, {half}]",
                    error,
                    _ROUNDING * reachable,
                    "largest absolute error",
                    reference=f"{number(reachable)} reachable",
                )
            )
    x = torch.linspace(-20, 20, 2001, dtype=torch.float64)
    rows: list[tuple[str, ...]] = []
    for panel, name in zip(panels, _REACHABLE, strict=True):
        function = getattr(torch.nn.functional, name)
        fit = kan.fit_rational(name)
        panel.plot(x, function(x), color="black", linewidth=2.2, alpha=0.35, label=name)
        panel.plot(x, fit(x), color=COLOURS[0], linewidth=1.1, label="rational, on [−8, 8]")
        panel.set_xlabel("x")
        panel.legend(frameon=False, fontsize=8)
        rows.append((name, number(fit.error), f"{float(fit(x[-1:])[0]):.3f}", f"{fit.gain:.4f}"))
    section.tables.append(
        Table("Shipped fits, on [−8, 8]", ("function", "error", "F(20)", "1/E[F(z)²]"), rows)
    )
    section.figures.append(picture(figure, "The shipped fits far beyond their interval."))
    return section
