"""The ``fourfold`` command: reads, checks, calls a family, writes. Nothing here computes."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the ``fourfold`` command (the entry point that the installed script calls)."""
    try:
        from fourfold.cli.app import app

        app()
    except KeyboardInterrupt:  # while the command was still being loaded
        sys.exit(130)
