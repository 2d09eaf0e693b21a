"""The ``fourfold`` command. Nothing here computes: commands read, check, call a family and write."""

__all__ = ["main"]


def main() -> None:
    """Run the ``fourfold`` command (the entry point that the installed script calls)."""
    from fourfold.cli.app import app

    app()
