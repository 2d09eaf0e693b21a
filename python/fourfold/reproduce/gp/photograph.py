"""A photograph as a grid: what is missing is predicted from what is left."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from scipy.interpolate import griddata

from fourfold import gp
from fourfold.gp.kernels import Matern
from fourfold.reproduce.charts import axes, picture
from fourfold.reproduce.record import (
    Context,
    Figure,
    Section,
    Table,
    at_least,
    at_most,
    close_to,
)

__all__ = ["fill", "load", "run"]

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_TEXT = """
Scikit-learn's photograph of a Chinese temple in grey, every fourth (quick), third or second (full) pixel, of which 30 % are
hidden.
`gp.GridGP` with one Matern-3/2 kernel an axis, an estimated constant as mean: hyperparameters are learnt on a crop of 40 x 40
pixels (quick: 30 x 30) with its holes, where the likelihood is exact; then the whole picture is conditioned on what was seen, by
conjugate gradients, and the hidden pixels are predicted.

Standard deviations are those of 16 draws from the posterior (Matheron's rule: a solve each), the noise added. If they are
right, the misses divided by them have a standard deviation near 1.
"""


def run(context: Context) -> Section:
    """Hide pixels, learn, fill them in, and compare with interpolation."""
    section = Section(_TEXT)
    photo = load({"quick": 4, "default": 3, "full": 2}[context.effort])
    seen = np.random.default_rng(0).uniform(size=photo.shape) < 0.7
    clock = time.perf_counter()
    context.say("learning on a crop")
    crop = learn(photo, seen, 30 if context.effort == "quick" else 40)
    learning = time.perf_counter() - clock
    context.say("filling in")
    clock = time.perf_counter()
    mean, std, steps = fill(crop, photo, seen, draws=16)
    filling = time.perf_counter() - clock
    hidden = ~seen
    errors = (mean - photo)[hidden]
    noise = float(crop.noise_)
    spread = np.sqrt(std[hidden] ** 2 + noise)
    rms = float(np.sqrt(np.mean(errors**2)))
    others = {name: _interpolated(photo, seen, name) for name in ("nearest", "linear")}
    how = f"{hidden.sum():,} hidden pixels of {photo.shape[0]} x {photo.shape[1]}, intensities from 0 to 1"
    section.checks += [
        at_most(
            "root mean square error",
            rms,
            0.98 * others["linear"],
            how,
            reference="linear interpolation",
        ),
        close_to(
            "standard deviation of misses over their own",
            float(np.std(errors / spread)),
            1.0,
            0.25,
            "noise included; the photograph's edges are no Gaussian process",
        ),
        at_least(
            "misses within two standard deviations (%)",
            100 * float(np.mean(np.abs(errors) < 2 * spread)),
            90.0,
            "95.4 for a Gaussian",
        ),
    ]
    section.tables.append(
        Table(
            "Hidden pixels",
            ("method", "root mean square error"),
            [
                ("GridGP", f"{rms:.4f}"),
                ("linear interpolation (SciPy's griddata)", f"{others['linear']:.4f}"),
                ("nearest pixel", f"{others['nearest']:.4f}"),
            ],
        )
    )
    kernels = ", ".join(f"{k.lengthscale:.1f}" for k in crop.kernels_ if isinstance(k, Matern))
    section.tables.append(
        Table(
            "What it took, on this machine",
            ("", ""),
            [
                ("learnt length-scales, pixels", kernels),
                ("learnt noise, standard deviation", f"{np.sqrt(noise):.4f}"),
                ("log marginal likelihood of the crop", f"{crop.log_marginal_likelihood_:.1f}"),
                ("learning, seconds", f"{learning:.1f}"),
                ("filling in and 16 draws, seconds", f"{filling:.1f}"),
                ("steps of conjugate gradients", str(steps)),
            ],
        )
    )
    section.figures.append(figure(photo, seen, mean, std))
    return section


def load(every: int) -> Array:
    """The photograph in grey, from 0 to 1, every so many pixels."""
    from sklearn.datasets import load_sample_image

    grey: Array = load_sample_image("china.jpg").mean(axis=2)[::every, ::every] / 255
    return grey


def learn(photo: Array, seen: Bools, size: int = 40) -> gp.GridGP:
    """Hyperparameters of a square in the middle."""
    at = [slice((n - size) // 2, (n + size) // 2) for n in photo.shape]
    rows, columns = (np.arange(float(size)) for _ in at)
    start = [Matern(3.0, 1.5, 0.05), Matern(3.0, 1.5, variance_bounds=None)]
    crop = (at[0], at[1])
    return gp.GridGP(start, 1e-3, mean="constant").fit([rows, columns], photo[crop], seen[crop])


def fill(crop: gp.GridGP, photo: Array, seen: Bools, draws: int) -> tuple[Array, Array, int]:
    """Posterior mean and standard deviation of the whole, and the steps of conjugate gradients."""
    model = gp.GridGP(crop.kernels_, crop.noise_, mean="constant", max_iterations=0)
    model.fit([np.arange(float(n)) for n in photo.shape], photo, seen)
    mean = model.predict_grid()
    paths = model.sample(draws, rng=1)
    _, info = model.predict([[0.0, 0.0]], return_std=True, return_info=True)[1:]
    return mean, np.sqrt(np.mean((paths - mean) ** 2, axis=0)), info.iterations


def _interpolated(photo: Array, seen: Bools, method: str) -> float:
    found = griddata(np.argwhere(seen), photo[seen], np.argwhere(~seen), method)
    inside = np.isfinite(found)
    return float(np.sqrt(np.mean((found - photo[~seen])[inside] ** 2)))


def figure(photo: Array, seen: Bools, mean: Array, std: Array) -> Figure:
    """Seen, filled in, true and uncertainty, as pictures."""
    drawn, panels = axes(2, 2, width=9.0, height=6.4)
    shown = (
        (np.where(seen, photo, np.nan), "seen: 70 %", "gray"),
        (mean, "posterior mean", "gray"),
        (photo, "the photograph", "gray"),
        (std, "posterior standard deviation", "viridis"),
    )
    for axis, (data, title, colours) in zip(panels, shown, strict=True):
        axis.grid(False)
        limits = (0.0, 1.0) if colours == "gray" else (0.0, float(std.max()))
        image = axis.imshow(
            data, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest"
        )
        axis.set(title=title, xticks=[], yticks=[])
        axis.set_facecolor("#D55E00")
        axis.spines[:].set_visible(False)
        if colours != "gray":
            drawn.colorbar(image, ax=axis, shrink=0.9)
    return picture(
        drawn, "Hidden pixels (orange) predicted from the others; bottom right how sure that is."
    )
