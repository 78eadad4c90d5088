"""The sub-commands of the trainer."""

import typer


def register(app: typer.Typer) -> None:
    """Add the trainer's sub-commands to `locum`."""
    del app
