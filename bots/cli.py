"""The sub-commands of bots."""

import typer


def register(app: typer.Typer) -> None:
    """Add the bots' sub-commands to `locum`."""
    del app
