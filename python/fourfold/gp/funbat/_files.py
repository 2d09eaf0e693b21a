"""Models in files: ``.npz`` archives of plain arrays.

``settings`` holds the arguments of the constructor as JSON; ``digest`` a BLAKE2b of all other arrays. A fitted model has
in addition ``core_mean``, ``core_covariance`` (Tucker), ``noise_precision``, ``history``, ``converged`` and, for every mode k,
``times_k``, ``variance_k``, ``precision_k``, ``shift_k`` and ``prior_k`` (order, length-scale, scale of the messages).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import DamagedFileError
from fourfold.gp._archive import Arrays, read_archive, write_archive
from fourfold.gp.funbat._prediction import Fitted, FittedMode
from fourfold.gp.kernels import Matern

if TYPE_CHECKING:
    from fourfold.gp.funbat.model import FunBaT

__all__ = ["read", "write"]

_FORMAT = "fourfold.gp.FunBaT"
_VERSION = 1


def write(model: FunBaT, fitted: Fitted | None, path: Path) -> None:
    """See `FunBaT.save`."""
    rank = list(model.rank)
    settings = {
        "format": _FORMAT,
        "version": _VERSION,
        "rank": rank if model.is_tucker else rank[0],
        "kernel": None if model.kernel is None else [_kernel_settings(k) for k in model.kernel],
        "noise": model.noise,
        "noise_prior": model.noise_prior,
        "mean": model.mean,
        "restarts": model.restarts,
        "max_sweeps": model.max_sweeps,
        "tolerance": model.tolerance,
        "seed": model.seed,
    }
    text = json.dumps(settings).encode()
    arrays: Arrays = {"settings": np.frombuffer(text, dtype=np.uint8)}
    if fitted is not None:
        arrays |= {
            "core_mean": fitted.core_mean,
            "noise_precision": np.array(fitted.noise_precision),
            "history": fitted.history,
            "converged": np.array(fitted.converged),
        }
        if fitted.core_covariance is not None:
            arrays["core_covariance"] = fitted.core_covariance
        for k, mode in enumerate(fitted.modes):
            arrays |= {
                f"times_{k}": mode.times,
                f"variance_{k}": mode.variance,
                f"precision_{k}": mode.precision,
                f"shift_{k}": mode.shift,
                f"prior_{k}": np.array([mode.order, mode.lengthscale, mode.scale]),
            }
    arrays["digest"] = _digest(arrays)
    write_archive(path, arrays)


def read(path: Path) -> tuple[dict[str, Any], Fitted | None]:
    """The constructor's arguments and what was fitted, see `FunBaT.load`."""
    arrays = read_archive(path, _FORMAT)
    digest = arrays.pop("digest", None)
    if digest is None or "settings" not in arrays:
        raise DamagedFileError(f"{path}: not a model file of FunBaT")
    if not np.array_equal(digest, _digest(arrays)):
        raise DamagedFileError(f"{path}: the checksum does not fit: the file was changed")
    settings = json.loads(arrays["settings"].tobytes())
    if settings.pop("format") != _FORMAT or (version := settings.pop("version")) != _VERSION:
        raise DamagedFileError(f"{path}: version {version}; this fourfold reads version {_VERSION}")
    if settings["kernel"] is not None:
        settings["kernel"] = [_kernel(k) for k in settings["kernel"]]
    if "history" not in arrays:
        return settings, None
    count = sum(name.startswith("times_") for name in arrays)
    modes = []
    for k in range(count):
        order, lengthscale, scale = arrays[f"prior_{k}"]
        modes.append(
            FittedMode(
                arrays[f"times_{k}"],
                int(order),
                float(lengthscale),
                arrays[f"variance_{k}"],
                arrays[f"precision_{k}"],
                arrays[f"shift_{k}"],
                float(scale),
            )
        )
    fitted = Fitted(
        tuple(modes),
        arrays["core_mean"],
        arrays.get("core_covariance"),
        float(arrays["noise_precision"]),
        arrays["history"],
        bool(arrays["converged"]),
    )
    return settings, fitted


def _kernel_settings(kernel: Matern) -> dict[str, Any]:
    lengthscale, variance = kernel.parameters
    return {
        "lengthscale": kernel.lengthscale,
        "nu": kernel.nu,
        "variance": kernel.variance,
        "lengthscale_bounds": lengthscale.bounds,
        "variance_bounds": variance.bounds,
    }


def _kernel(settings: dict[str, Any]) -> Matern:
    for name in ("lengthscale_bounds", "variance_bounds"):
        if settings[name] is not None:
            low, high = settings[name]
            settings[name] = (low, high)
    return Matern(**settings)


def _digest(arrays: Arrays) -> npt.NDArray[np.uint8]:
    digest = hashlib.blake2b(digest_size=32)
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return np.frombuffer(digest.digest(), dtype=np.uint8)
