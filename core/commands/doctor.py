"""`locum doctor`."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from core.doctor import Finding, examine
from core.errors import BadInput
from core.settings import load_settings

MARKS = {"fine": "[green]ok[/]     ", "advice": "[yellow]advice[/] ", "wrong": "[red]wrong[/]  "}


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor_command)


def doctor_command(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False
) -> None:
    """Say what is missing or wrong, and how to mend it. Exit status 1 if something needed is."""
    found = _examine()
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found]))
    else:
        _print(found)
    if any(finding.level == "wrong" for finding in found):
        raise typer.Exit(1)


def _examine() -> list[Finding]:
    try:
        settings = load_settings()
    except BadInput as error:
        return [Finding(subject="Settings", level="wrong", says=str(error), cure="Change that variable.")]
    return asyncio.run(examine(settings))


def _print(found: list[Finding]) -> None:
    console = Console()
    for finding in found:
        console.print(MARKS[finding.level], end="")
        console.print(f"{finding.subject}: {finding.says}", highlight=False, markup=False, soft_wrap=True)
        if finding.cure:
            console.print(f"        → {finding.cure}", highlight=False, markup=False, soft_wrap=True)
