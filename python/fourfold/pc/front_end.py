"""Reversible transforms of images into rows of integers that a circuit models well."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fourfold.errors import CorruptStreamError
from fourfold.pc._bytes import Cursor

__all__ = ["FrontEnd"]

_COLOURS = ("none", "ycocg_r")
Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class FrontEnd:
    """Turns 8-bit images into patches of integer wavelet coefficients, and back without loss.

    Parameters
    ----------
    patch : (int, int)
        Height and width of the patches into which an image is cut, multiples of ``2**levels``.
        Images are first extended to whole patches by repeating their last row and column.
    color : {"none", "ycocg_r"}
        ``"ycocg_r"``: red, green, blue become luma and two differences, ``Co = R - B``,
        ``t = B + floor(Co/2)``, ``Cg = G - t``, ``Y = t + floor(Cg/2)``
        (Malvar and Sullivan, "YCoCg-R: A Color Space with RGB Reversibility and Low Dynamic Range", 2003).
    levels : int
        How often pairs of neighbours, first along rows, then along columns, are replaced by their
        floored mean and their difference: the S-transform ``d = b - a``, ``s = a + floor(d/2)``.
        Each level works on the means of the one before. Coefficients stay where the pixels were.

    Notes
    -----
    Every coefficient is shifted by its smallest possible value, so that codes start at 0;
    `cardinality` says how many there are. Train a circuit on `forward` of some images, with
    `event_shape` and `cardinality`, and pass the front end to `compress`; the stream records it.

    Examples
    --------
    >>> front = FrontEnd(patch=(8, 8), color="ycocg_r", levels=2)
    >>> image = np.random.default_rng(0).integers(0, 256, (1, 20, 30, 3), dtype=np.uint8)
    >>> codes = front.forward(image)
    >>> codes.shape
    (12, 8, 8, 3)
    >>> bool((front.inverse(codes, (20, 30, 3)) == image).all())
    True
    """

    patch: tuple[int, int]
    color: Literal["none", "ycocg_r"] = "none"
    levels: int = 0

    def __post_init__(self) -> None:
        if self.color not in _COLOURS:
            raise ValueError(f"color: expected one of {', '.join(_COLOURS)}, got {self.color!r}")
        if not 0 <= self.levels <= 8:
            raise ValueError(f"levels: expected 0 to 8, got {self.levels}")
        step = 1 << self.levels
        sides = list(self.patch)
        if len(sides) != 2 or any(not 1 <= side < 1 << 16 or side % step for side in sides):
            raise ValueError(
                f"patch: expected two positive multiples of {step} = 2**levels, got {self.patch}"
            )

    def event_shape(self, channels: int | None = None) -> tuple[int, ...]:
        """The shape of a row: patch height and width, and channels unless there are none."""
        if self.color == "ycocg_r" and channels != 3:
            raise ValueError(f"channels: ycocg_r takes 3, got {channels}")
        return (*self.patch, channels) if channels else tuple(self.patch)

    def cardinality(self, channels: int | None = None) -> Int32:
        """How many values each coefficient can have, of shape `event_shape`."""
        low, high = self._range(channels)
        return high - low + 1

    def patches(self, image_shape: Sequence[int]) -> int:
        """How many rows an image of that shape becomes."""
        height, width, _ = _image_shape(image_shape)
        return -(-height // self.patch[0]) * -(-width // self.patch[1])

    def forward(self, images: npt.ArrayLike) -> Int32:
        """Turn images into rows.

        Parameters
        ----------
        images : (n, height, width) or (n, height, width, channels) uint8

        Returns
        -------
        (n * patches, *event_shape) int32
            Codes from 0 to `cardinality` - 1; the patches of an image row by row.
        """
        array = np.asarray(images)
        if array.dtype != np.uint8:
            raise TypeError(f"images: expected uint8, got {array.dtype}")
        height, width, channels = _image_shape(array.shape[1:])
        low, _ = self._range(channels)
        count, (ph, pw) = len(array), self.patch
        rows, columns = -(-height // ph), -(-width // pw)
        x = array.reshape(count, height, width, -1)
        x = np.pad(
            x, ((0, 0), (0, rows * ph - height), (0, columns * pw - width), (0, 0)), mode="edge"
        ).astype(np.int32)
        if self.color == "ycocg_r":
            x = _to_ycocg(x)
        for level in range(self.levels):
            for axis in (2, 1):
                _split_pairs(x, axis, 1 << level)
        x = x.reshape(count, rows, ph, columns, pw, -1).transpose(0, 1, 3, 2, 4, 5)
        codes = x.reshape(-1, *low.shape) - low
        return np.ascontiguousarray(codes)

    def inverse(self, codes: npt.NDArray[Any], image_shape: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Turn rows back into images of a shape (height, width) or (height, width, channels)."""
        height, width, channels = _image_shape(image_shape)
        low, _ = self._range(channels)
        ph, pw = self.patch
        rows, columns = -(-height // ph), -(-width // pw)
        x = codes.reshape(-1, *low.shape).astype(np.int32) + low
        x = x.reshape(-1, rows, columns, ph, pw, channels or 1).transpose(0, 1, 3, 2, 4, 5)
        x = np.ascontiguousarray(x).reshape(-1, rows * ph, columns * pw, channels or 1)
        for level in reversed(range(self.levels)):
            for axis in (1, 2):
                _join_pairs(x, axis, 1 << level)
        if self.color == "ycocg_r":
            x = _from_ycocg(x)
        return x[:, :height, :width].astype(np.uint8).reshape(-1, *image_shape)

    def _range(self, channels: int | None) -> tuple[Int32, Int32]:
        """Smallest and largest value of every coefficient, by interval arithmetic."""
        shape = (*self.event_shape(channels)[:2], channels or 1)
        low, high = np.zeros(shape, dtype=np.int32), np.full(shape, 255, dtype=np.int32)
        if self.color == "ycocg_r":
            low[..., 1:] = -255
        for level in range(self.levels):
            for axis in (1, 0):
                a, b = _pair(axis, 1 << level)
                # The mean stays in the range; both members of a pair have the same one.
                low[b], high[b] = low[a] - high[a], high[a] - low[a]
        final = self.event_shape(channels)
        return low.reshape(final), high.reshape(final)

    def to_bytes(self) -> bytes:
        """The seven bytes that the stream records."""
        return struct.pack("<BBBHH", 1, _COLOURS.index(self.color), self.levels, *self.patch)

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> FrontEnd:
        """Read what `to_bytes` wrote.

        Raises
        ------
        CorruptStreamError
            If it is nothing that `to_bytes` writes.
        """
        fields = Cursor(data, "the front end in the header")
        version, color, levels = (fields.number("B") for _ in range(3))
        patch = (fields.number("H"), fields.number("H"))
        fields.end()
        if version != 1 or color >= len(_COLOURS):
            raise CorruptStreamError("the front end in the header is of a kind unknown here")
        try:
            return cls(patch, "ycocg_r" if color else "none", levels)
        except ValueError as error:
            raise CorruptStreamError(f"the front end in the header is damaged: {error}") from None


def _image_shape(shape: Sequence[int]) -> tuple[int, int, int | None]:
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ValueError(
            f"images: expected the shape (n, height, width) or (n, height, width, channels), got "
            f"(n, {', '.join(map(str, shape))})"
        )
    return shape[0], shape[1], shape[2] if len(shape) == 3 else None


def _to_ycocg(x: Int32) -> Int32:
    red, green, blue = np.moveaxis(x, -1, 0)
    co = red - blue
    t = blue + (co >> 1)
    cg = green - t
    return np.stack([t + (cg >> 1), co, cg], axis=-1)


def _from_ycocg(x: Int32) -> Int32:
    y, co, cg = np.moveaxis(x, -1, 0)
    t = y - (cg >> 1)
    blue = t - (co >> 1)
    return np.stack([blue + co, cg + t, blue], axis=-1)


def _pair(axis: int, step: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where the first and the second members of the pairs are: on the grid of means, along an axis."""
    every = slice(None, None, step)
    first, second = slice(None, None, 2 * step), slice(step, None, 2 * step)
    # Images have the axes (n, y, x, channel), ranges (y, x, channel).
    if axis == 0:
        return (first, every), (second, every)
    return (every, first), (every, second)


def _split_pairs(x: Int32, axis: int, step: int) -> None:
    a, b = _pair(axis - 1, step)
    first, second = x[(slice(None), *a)], x[(slice(None), *b)]
    second -= first
    first += second >> 1


def _join_pairs(x: Int32, axis: int, step: int) -> None:
    a, b = _pair(axis - 1, step)
    first, second = x[(slice(None), *a)], x[(slice(None), *b)]
    first -= second >> 1
    second += first
