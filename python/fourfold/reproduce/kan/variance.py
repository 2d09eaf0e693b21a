"""Whether the initialisation keeps the variance through a deep network."""

from __future__ import annotations

import torch

from fourfold import kan
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.record import Context, Section, at_least, at_most

__all__ = ["run"]

_BLOCKS = 12
_WIDTHS = {"quick": (384,), "default": (384, 768, 1536), "full": (384, 768, 1536, 3072)}
_DRAWS = {"quick": 4, "default": 6, "full": 8}
_TEXT = f"""
{_BLOCKS} blocks of `kan.GRKANMLP` (identity, linear, rational SiLU, linear) one after the other, without residual
connections or norms, on N(0, 1). The weights have the gain 1/E[F(z)²] of the rational function F that precedes them.
E[y²] should stay near 1; with the exact SiLU and the exact gain the geometric mean over draws is known to drift to
1.1 to 1.4, as z is no longer normal after a few blocks.
"""


@torch.no_grad()
def run(context: Context) -> Section:
    """Follow E[y^2] through the blocks."""
    section = Section(_TEXT)
    figure, (panel,) = axes(height=3.4)
    for colour, width in zip(COLOURS, _WIDTHS[context.effort], strict=False):
        context.say(f"width {width}")
        logs = torch.zeros(_DRAWS[context.effort], _BLOCKS + 1)
        for draw in range(len(logs)):
            torch.manual_seed(100 * width + draw)
            y = torch.randn(256, width)
            for block in range(_BLOCKS):
                y = kan.GRKANMLP(width)(y)
                logs[draw, block + 1] = y.square().mean().log()
        means = logs.mean(dim=0).exp()
        panel.plot(logs.exp().T, color=colour, alpha=0.3, linewidth=0.8)
        panel.plot(means, color=colour, label=f"width {width}")
        last = float(means[-1])
        how = f"geometric mean over {len(logs)} draws after {_BLOCKS} blocks"
        section.add(
            f"width {width}",
            at_most("E[y²]", last, 2.0, how, reference="1.1 to 1.4"),
            at_least("E[y²]", last, 0.5, how, reference="1.1 to 1.4"),
        )
    panel.axhspan(0.5, 2, color="#7F7F7F", alpha=0.12, linewidth=0)
    panel.set_yscale("log")
    panel.set_yticks([0.5, 1, 2], ["0.5", "1", "2"])
    panel.minorticks_off()
    panel.set_xlabel("block")
    panel.set_ylabel("E[y²]")
    panel.set_xticks(range(0, _BLOCKS + 1, 2))
    panel.legend(frameon=False, fontsize=8)
    caption = "Thin: single draws. Thick: their geometric mean. Grey: 0.5 to 2."
    section.figures.append(picture(figure, caption))
    return section
