"""The trainer's part of `locum bench`."""

import typer

from trainer.bench import facts, person


def register(bench: typer.Typer) -> None:
    """Add the trainer's measures; found as an entry point."""
    bench.command("person")(person.person)
    bench.command("person-facts")(facts.person_facts)
