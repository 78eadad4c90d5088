"""The trainer's part of `locum bench`."""

import typer

from trainer.bench import person


def register(bench: typer.Typer) -> None:
    """Add the trainer's measures; found as an entry point."""
    bench.command("person")(person.person)
