"""Solutions as netCDF4 files.

A file is the dataset of `Solution.to_xarray` with every complex variable ``name`` split into
``name_real`` and ``name_imag``. The attribute ``content_sha256`` covers all values and all global
attributes, so that a damaged file is refused and never read as something else. Nothing is
compressed: the mantissas of a computed field are nearly random, and deflate made files of solitons
and of ensembles 18 % smaller (single precision 25 %) while writing 7 to 25 times slower.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourfold._version import __version__
from fourfold.errors import DamagedFileError, MissingExtraError
from fourfold.nlse._dataset import (
    FORMAT,
    from_file_dataset,
    import_xarray,
    split_complex,
    to_xarray,
)
from fourfold.nlse._digest import content_digest
from fourfold.nlse._netcdf_classic import MAGIC
from fourfold.nlse._run_read import run_solution
from fourfold.nlse.solution import Solution

if TYPE_CHECKING:
    import xarray

__all__ = ["FORMAT", "load", "save"]

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def save(solution: Solution, path: str | os.PathLike[str]) -> None:
    """Write a solution to a netCDF4 file: see `Solution.save`."""
    import_xarray("Solution.save")
    _require_netcdf4("Solution.save")
    # A link keeps pointing where it does: what it points at is replaced.
    target = os.path.realpath(os.fspath(path))
    dataset = split_complex(to_xarray(solution))
    dataset.attrs["content_sha256"] = content_digest(_values(dataset), dataset.attrs)

    folder, name = os.path.split(target)
    unfinished = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    encoding = {name: {"_FillValue": None} for name in dataset.variables}
    try:
        dataset.to_netcdf(unfinished, engine="netcdf4", format="NETCDF4", encoding=encoding)
        _flush_to_disk(unfinished)
        os.replace(unfinished, target)
    finally:
        if os.path.exists(unfinished):
            os.remove(unfinished)


def load(path: str | os.PathLike[str]) -> Solution:
    """Read a solution that `Solution.save` wrote, bit for bit. Its fields are NumPy arrays.

    Or a run that `fourfold.nlse.solve` saves while it goes on: as far as it has come.

    Parameters
    ----------
    path : str or path-like
        The file.

    Raises
    ------
    MissingExtraError
        If xarray or netCDF4 is not installed; runs need neither.
    OSError
        If there is no such file or it must not be read.
    DamagedFileError
        If the file is no solution of fourfold, was written in a newer format than this version
        knows, or is damaged.
    """
    name = os.fspath(path)
    with open(name, "rb") as file:
        signature = file.read(len(_HDF5_SIGNATURE))
    if signature.startswith(MAGIC):
        return run_solution(name)
    xr = import_xarray("nlse.load")
    _require_netcdf4("nlse.load")
    if signature != _HDF5_SIGNATURE:
        raise DamagedFileError(f"{name} is not a netCDF4 file: it does not begin like one")
    try:
        with xr.open_dataset(name, engine="netcdf4", decode_cf=False, cache=False) as file:
            dataset = file.load()
    except MemoryError:
        raise
    except Exception as error:  # whatever the libraries below make of broken bytes
        raise DamagedFileError(
            f"{name} cannot be read, it is truncated or damaged: {error}"
        ) from error

    _check_is_ours(name, dataset.attrs)
    recorded = dataset.attrs.pop("content_sha256", None)
    if content_digest(_values(dataset), dataset.attrs) != recorded:
        raise DamagedFileError(f"{name} is damaged: its contents do not have the recorded checksum")
    try:
        return from_file_dataset(dataset)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(f"{name} is no complete solution: {error!r}") from error


def _values(dataset: xarray.Dataset) -> dict[str, tuple[tuple[str, ...], npt.NDArray[Any]]]:
    return {str(name): (tuple(map(str, v.dims)), v.values) for name, v in dataset.variables.items()}


def _check_is_ours(name: str, attributes: Mapping[str, Any]) -> None:
    if attributes.get("fourfold_content") != "nlse solution":
        raise DamagedFileError(f"{name} is not a solution that fourfold.nlse saved")
    version = attributes.get("fourfold_format")
    if not isinstance(version, (int, np.integer)) or version < 1:
        raise DamagedFileError(f"{name} is damaged: its format is given as {version!r}")
    if version > FORMAT:
        writer = attributes.get("fourfold_version")
        raise DamagedFileError(
            f"{name} has format {version}, written by fourfold {writer}; this is fourfold "
            f"{__version__}, which reads formats up to {FORMAT}: upgrade fourfold"
        )


def _flush_to_disk(path: str) -> None:
    """Have the bytes on the disk before the name is, so that a power cut leaves no torn file."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require_netcdf4(purpose: str) -> None:
    try:
        import netCDF4  # noqa: F401
    except ImportError:
        raise MissingExtraError("io", "netCDF4", purpose) from None
