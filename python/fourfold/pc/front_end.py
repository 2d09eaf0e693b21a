"""Reversible transforms of images into rows of integers that a circuit models well."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fourfold.errors import CorruptStreamError
from fourfold.pc import _lifting
from fourfold.pc._bytes import Cursor

__all__ = ["FrontEnd"]

_COLOURS = ("none", "ycocg_r")
_TRANSFORMS = ("haar", "interpolation")
Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class FrontEnd:
    """Turns 8-bit images into patches of integer differences, and back without loss.

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
        How often neighbours ``a, b``, first along rows, then along columns, are replaced by a
        coarse value and a detail. Each level works on the coarse values of the one before.
        Coefficients stay where the pixels were.
    transform : {"haar", "interpolation"}
        ``"haar"``: difference ``d = b - a`` and floored mean ``a + floor(d/2)``, the S-transform.
        ``"interpolation"``: ``a`` stays, and ``b`` becomes what it differs from the cubic
        interpolation of the four nearest ``a`` along the axis,
        ``floor((9 (a_0 + a_1) - (a_-1 + a_2) + 8) / 16)`` (Deslauriers and Dubuc, "Symmetric
        iterative interpolation processes", 1989), modulo the number of values of the channel. It
        looks beyond the patch and repeats the pixels at the image's edge. Photographs take some
        10 % fewer bits with it.

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
    transform: Literal["haar", "interpolation"] = "haar"

    def __post_init__(self) -> None:
        if self.color not in _COLOURS:
            raise ValueError(f"color: expected one of {', '.join(_COLOURS)}, got {self.color!r}")
        if self.transform not in _TRANSFORMS:
            raise ValueError(
                f"transform: expected one of {', '.join(_TRANSFORMS)}, got {self.transform!r}"
            )
        patch: Any = self.patch
        sides = patch if isinstance(patch, tuple) else (patch,)
        given: list[tuple[str, Any]] = [("levels", self.levels), *(("patch", s) for s in sides)]
        for name, number in given:
            if not isinstance(number, (int, np.integer)):
                raise TypeError(f"{name}: expected integers, got {number!r}")
        if not 0 <= self.levels <= 8:
            raise ValueError(f"levels: expected 0 to 8, got {self.levels}")
        step = 1 << self.levels
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
        x = array.reshape(count, height, width, channels or 1)
        x = np.pad(
            x, ((0, 0), (0, rows * ph - height), (0, columns * pw - width), (0, 0)), mode="edge"
        ).astype(np.int32)
        if self.color == "ycocg_r":
            x = _to_ycocg(x)
        if self.transform == "interpolation":
            x -= self._middle(channels)
        for level in range(self.levels):
            for axis in (1, 0):
                if self.transform == "haar":
                    _lifting.split_haar(x, axis, 1 << level)
                else:
                    _lifting.split_interpolation(x, axis, 1 << level, *self._centred(channels))
        x = x.reshape(count, rows, ph, columns, pw, channels or 1).transpose(0, 1, 3, 2, 4, 5)
        codes = x.reshape(-1, *low.shape) - low
        return np.ascontiguousarray(codes)

    def inverse(self, codes: npt.NDArray[Any], image_shape: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Turn rows back into images.

        Parameters
        ----------
        codes : (n * patches, *event_shape) integers
            As of `forward`, or with as many entries in a row. Pixels of codes that no image has (such as a circuit draws) are taken
            modulo 256.
        image_shape : (height, width) or (height, width, channels)

        Returns
        -------
        (n, *image_shape) uint8
        """
        height, width, channels = _image_shape(image_shape)
        low, _ = self._range(channels)
        patches = self.patches(image_shape)
        if codes.dtype.kind not in "iu":
            raise TypeError(f"codes: expected integers, got {codes.dtype}")
        entries = int(np.prod(codes.shape[1:], dtype=np.int64))
        if entries != low.size or len(codes) % patches:
            raise ValueError(
                f"codes: expected the shape (n * {patches}, {', '.join(map(str, low.shape))}), "
                f"got {codes.shape}"
            )
        ph, pw = self.patch
        rows, columns = -(-height // ph), -(-width // pw)
        x = codes.reshape(-1, *low.shape).astype(np.int32) + low
        x = x.reshape(-1, rows, columns, ph, pw, channels or 1).transpose(0, 1, 3, 2, 4, 5)
        x = np.ascontiguousarray(x).reshape(-1, rows * ph, columns * pw, channels or 1)
        for level in reversed(range(self.levels)):
            for axis in (0, 1):
                if self.transform == "haar":
                    _lifting.join_haar(x, axis, 1 << level)
                else:
                    _lifting.join_interpolation(x, axis, 1 << level, *self._centred(channels))
        if self.transform == "interpolation":
            x += self._middle(channels)
        if self.color == "ycocg_r":
            x = _from_ycocg(x)
        return x[:, :height, :width].astype(np.uint8).reshape(-1, *image_shape)

    def _pixels(self, channels: int | None) -> tuple[Int32, Int32]:
        """Smallest and largest value of a pixel in every channel."""
        low, high = np.zeros(channels or 1, dtype=np.int32), np.full(channels or 1, 255, np.int32)
        if self.color == "ycocg_r":
            low[1:] = -255
        return low, high

    def _middle(self, channels: int | None) -> Int32:
        """What is taken from pixels so that 0 is in the middle of their range, as it is of details."""
        low, high = self._pixels(channels)
        return low + (high - low + 1) // 2

    def _centred(self, channels: int | None) -> tuple[Int32, Int32]:
        low, high = self._pixels(channels)
        middle = self._middle(channels)
        return low - middle, high - middle

    def _range(self, channels: int | None) -> tuple[Int32, Int32]:
        """Smallest and largest value of every coefficient, by interval arithmetic."""
        shape = self.event_shape(channels)
        haar = self.transform == "haar"
        low, high = (
            np.tile(bound, (*self.patch, 1))
            for bound in (self._pixels(channels) if haar else self._centred(channels))
        )
        if haar:
            for level in range(self.levels):
                for axis in (1, 0):
                    a, b = _lifting.pair(axis, 1 << level)
                    # The mean stays in the range; both members of a pair have the same one.
                    low[b], high[b] = low[a] - high[a], high[a] - low[a]
        return low.reshape(shape), high.reshape(shape)

    def to_bytes(self) -> bytes:
        """The seven bytes that the stream records."""
        kind = 1 + _TRANSFORMS.index(self.transform)
        return struct.pack("<BBBHH", kind, _COLOURS.index(self.color), self.levels, *self.patch)

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> FrontEnd:
        """Read what `to_bytes` wrote.

        Raises
        ------
        CorruptStreamError
            If it is nothing that `to_bytes` writes.
        """
        fields = Cursor(data, "the front end in the header")
        kind, color, levels = (fields.number("B") for _ in range(3))
        patch = (fields.number("H"), fields.number("H"))
        fields.end()
        if not 1 <= kind <= len(_TRANSFORMS) or color >= len(_COLOURS):
            raise CorruptStreamError("the front end in the header is of a kind unknown here")
        try:
            return cls(
                patch,
                "ycocg_r" if color else "none",
                levels,
                "interpolation" if kind == 2 else "haar",
            )
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
