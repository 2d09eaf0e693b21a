"""Writing a set of files so that all of them appear, or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fourfold.cli.outcome import Problem, Refusal


def refuse_existing(folder: Path, names: Sequence[str], *, overwrite: bool) -> None:
    """Refuse a run that would replace files, unless that was asked for."""
    if folder.exists() and not folder.is_dir():
        raise Refusal([Problem(str(folder), "output folder", "a file of that name exists")])
    if overwrite:
        return
    there = [name for name in names if (folder / name).exists()]
    if there:
        raise Refusal(
            [
                Problem(
                    str(folder),
                    "output exists",
                    f"{', '.join(there)}; choose another -o, or --overwrite to replace",
                )
            ]
        )


@contextmanager
def staged(folder: Path, names: Sequence[str], *, stale: Sequence[str] = ()) -> Iterator[Path]:
    """Give a temporary folder inside ``folder``; when the block ends well, ``names`` move up.

    The temporary folder lies on the same file system, so that each move is one atomic rename; they
    are made in the order of ``names`` (which may lie in subfolders, and is read when the block has
    ended). The files ``stale`` of an earlier run are removed then. If
    the block raises (Ctrl-C included) the temporary folder is removed, and ``folder`` too if this
    run made it: nothing half-written stays.
    """
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    try:
        yield temporary
        for name in stale:
            (folder / name).unlink(missing_ok=True)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary / name, folder / name)
    except BaseException:
        shutil.rmtree(temporary)
        for parent in made:
            if not any(parent.iterdir()):
                parent.rmdir()
        raise
    shutil.rmtree(temporary)
