"""Files that end in a checksum of themselves, and appear under their name when they are complete."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from fourfold.errors import DamagedFileError

__all__ = ["unsealed", "write_sealed"]

_DIGEST = 32


def write_sealed(path: str | os.PathLike[str], parts: Iterable[bytes]) -> None:
    """Write the parts one after the other, and the BLAKE2b of all, 32 bytes long."""
    target = Path(path)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    digest = hashlib.blake2b(digest_size=_DIGEST)
    try:
        with temporary.open("wb") as file:
            for part in parts:
                digest.update(part)
                file.write(part)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def unsealed(path: str | os.PathLike[str], content: bytes) -> memoryview:
    """What was written to a file before its checksum.

    Raises
    ------
    DamagedFileError
        If the checksum does not fit.
    """
    body = memoryview(content)[:-_DIGEST]
    if hashlib.blake2b(body, digest_size=_DIGEST).digest() != content[-_DIGEST:]:
        raise DamagedFileError(
            f"{path}: the checksum does not fit: the file is cut off or was changed"
        )
    return body
