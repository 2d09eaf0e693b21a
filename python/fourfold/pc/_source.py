"""Bytes that come in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from fourfold.errors import CorruptStreamError

__all__ = ["ByteSource"]

_PIECE = 1 << 20


class ByteSource:
    """Takes given numbers of bytes from a binary file or an iterable of bytes.

    Memory grows with what has come, not with what was asked for.
    """

    def __init__(self, source: BinaryIO | Iterable[bytes]) -> None:
        if isinstance(source, str):
            raise TypeError("source: expected a binary file or an iterable of bytes, got str")
        read = getattr(source, "read", None)
        self._pieces = iter(source) if read is None else _read_pieces(read)
        self._rest = memoryview(b"")
        self.offset = 0

    def take(self, count: int, name: str) -> bytes:
        """The next ``count`` bytes, of what is called ``name``.

        Raises
        ------
        CorruptStreamError
            If they end before.
        """
        parts: list[memoryview] = []
        missing = count
        while missing > 0:
            if not len(self._rest):
                piece = next(self._pieces, None)
                if piece is None:
                    raise CorruptStreamError(
                        f"it is truncated: it ends at byte {self.offset + count - missing}, "
                        f"within {name}"
                    )
                self._rest = memoryview(piece)
            parts.append(self._rest[:missing])
            self._rest = self._rest[missing:]
            missing -= len(parts[-1])
        self.offset += count
        return b"".join(parts)

    def end(self) -> None:
        """Refuse bytes that are left."""
        while not len(self._rest):
            piece = next(self._pieces, None)
            if piece is None:
                return
            self._rest = memoryview(piece)
        raise CorruptStreamError(f"bytes follow its end at byte {self.offset}")


def _read_pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while piece := read(_PIECE):
        yield piece
