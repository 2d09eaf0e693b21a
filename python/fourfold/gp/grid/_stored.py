"""What of a fitted `GridGP` goes into its file, and the way back."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fourfold.errors import DamagedFileError, NotSavableError
from fourfold.gp import priors
from fourfold.gp.grid._axis import Axis
from fourfold.gp.grid._data import Data
from fourfold.gp.grid._file import Arrays
from fourfold.gp.grid._results import FitInfo
from fourfold.gp.kernels import Kernel
from fourfold.gp.kernels._description import describe, kernel_of

if TYPE_CHECKING:
    from fourfold.gp.grid.model import GridGP

__all__ = ["restore", "store"]

_PRIORS: dict[str, Any] = {p.__name__: p for p in (priors.Gamma, priors.LogNormal, priors.Normal)}
_OPTIONS = ("noise_bounds", "normalize_y", "restarts", "seed", "max_iterations")


def store(model: GridGP) -> tuple[dict[str, Any], Arrays]:
    """Settings, which are all that JSON holds, and arrays."""
    data = model._posterior.data
    one = isinstance(model.kernels, Kernel)
    start = [model.kernels] if isinstance(model.kernels, Kernel) else model.kernels
    for name, prior in model.priors.items():
        if type(prior) is not _PRIORS.get(type(prior).__name__):
            raise NotSavableError(f"priors[{name!r}]: {type(prior).__name__} is not fourfold's")
    settings = {
        **{name: getattr(model, name) for name in _OPTIONS},
        "kernels": [describe(k) for k in start],
        "one_kernel": one,
        "mean": model._basis.description(),
        "priors": {
            name: [type(prior).__name__, vars(prior)] for name, prior in model.priors.items()
        },
        "value": model._value,
        "info_": dataclasses.asdict(model._info),
        "batch_shape": data.batch_shape,
        "torch": data.torch,
    }
    arrays: Arrays = {f"grid_{k}": axis.points for k, axis in enumerate(data.axes)}
    arrays |= {
        "noise": model.noise,
        "noise_": np.asarray(model.noise_),
        "theta_": model.theta_,
        "rows": data.rows,
        "observed": data.observed,
        "offset": data.offset,
        "scale": data.scale,
    }
    return settings, arrays


def restore(
    kind: type[GridGP], path: str | os.PathLike[str], settings: dict[str, Any], arrays: Arrays
) -> Any:
    """The model."""
    try:
        start = [kernel_of(k) for k in settings["kernels"]]
        mean = settings["mean"]
        named = {n: _PRIORS[prior](**values) for n, (prior, values) in settings["priors"].items()}
        model = kind(
            start[0] if settings["one_kernel"] else start,
            arrays["noise"],
            mean=mean["known"]
            if mean["polynomial"] is None
            else ("constant", "linear")[mean["polynomial"]],
            priors=named,
            **{name: settings[name] for name in _OPTIONS},
        )
        axes = [
            Axis(arrays[f"grid_{k}"]) for k in range(sum(n.startswith("grid_") for n in arrays))
        ]
        data = Data.restored(
            axes,
            tuple(settings["batch_shape"]),
            arrays["rows"],
            arrays["observed"],
            (arrays["offset"], arrays["scale"]),
            torch=settings["torch"],
        )
        info = settings["info_"]
        info = {key: tuple(v) if isinstance(v, list) else v for key, v in info.items()}
        noise = arrays["noise_"].reshape(-1) if arrays["noise_"].ndim else float(arrays["noise_"])
        kernels = start * len(axes) if settings["one_kernel"] else start
        likelihood = model._prepared(data, kernels, noise)
        model._condition(likelihood, arrays["theta_"], FitInfo(**info), settings["value"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DamagedFileError(f"{path}: its content does not fit together: {error!r}") from error
    return model
