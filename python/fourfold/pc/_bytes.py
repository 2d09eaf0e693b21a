"""Reading fields from bytes that may be damaged."""

from __future__ import annotations

import struct

from fourfold.errors import CorruptStreamError

__all__ = ["Cursor"]


class Cursor:
    """Takes fields off the front of some bytes.

    Parameters
    ----------
    data : bytes
        What is read.
    where : str
        What the bytes are, for messages.
    """

    def __init__(self, data: bytes | memoryview, where: str) -> None:
        self._data = memoryview(data)
        self._where = where

    def take(self, count: int) -> memoryview:
        """The next ``count`` bytes."""
        if count > len(self._data):
            raise CorruptStreamError(
                f"{self._where} is damaged: it promises {count} more bytes and has "
                f"{len(self._data)}"
            )
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def number(self, code: str) -> int:
        """The next number; ``code`` as in `struct`, little-endian."""
        return int(struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0])

    def rest(self) -> memoryview:
        """All that is left."""
        return self.take(len(self._data))

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data)

    def end(self) -> None:
        """Refuse bytes that are left over."""
        if len(self._data):
            raise CorruptStreamError(
                f"{self._where} is damaged: {len(self._data)} bytes are left over"
            )
