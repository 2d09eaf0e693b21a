"""Whether the initialisation keeps the variance through a deep network."""

from __future__ import annotations

import torch

from fourfold import kan
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.record import Context, Section, at_least, at_most, for_information

__all__ = ["run"]

_BLOCKS = 12
# Width -> draws: the narrower the more, as single draws scatter by about sqrt(2 * 24 layers / width).
_DRAWS = {
    "quick": {384: 64},
    "default": {384: 64, 768: 16, 1536: 8, 3072: 4},
    "full": {384: 64, 768: 32, 1536: 16, 3072: 8},
}
_ROWS = 64
_TEXT = f"""
{_BLOCKS} blocks of `kan.GRKANMLP` (identity, linear, rational SiLU, linear) one after the other, without residual
connections or norms, on N(0, 1). The weights have the gain 1/E[F(z)²] of the rational function F that precedes them.
E[y²] should stay between 0.5 and 2; with the exact SiLU and the exact gain the geometric mean over draws is known to
drift to 1.1 to 1.4, as z is no longer normal after a few blocks. Single draws of the weights scatter around it, less so in
wide networks: all that is judged is the geometric mean.
"""


@torch.no_grad()
def run(context: Context) -> Section:
    """Follow E[y^2] through the blocks."""
    section = Section(_TEXT)
    figure, (panel,) = axes(height=3.4)
    for colour, (width, draws) in zip(COLOURS, _DRAWS[context.effort].items(), strict=False):
        context.say(f"width {width}")
        logs = torch.zeros(draws, _BLOCKS + 1)
        for draw in range(len(logs)):
            torch.manual_seed(100 * width + draw)
            y = torch.randn(_ROWS, width)
            for block in range(_BLOCKS):
                y = kan.GRKANMLP(width)(y)
                logs[draw, block + 1] = y.square().mean().log()
        means = logs.mean(dim=0).exp()
        panel.plot(logs.exp().T, color=colour, alpha=0.3, linewidth=0.8)
        panel.plot(means, color=colour, label=f"width {width}")
        last = float(means[-1])
        how = f"geometric mean over {draws} draws after {_BLOCKS} blocks"
        section.add(
            f"width {width}",
            at_most("E[y²]", last, 2.0, how, reference="1.1 to 1.4"),
            at_least("E[y²]", last, 0.5, how, reference="1.1 to 1.4"),
            for_information(
                "standard deviation of log E[y²] among the draws",
                float(logs[:, -1].std()),
                f"{draws} draws",
            ),
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
