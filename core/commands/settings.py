"""`locum settings`: what Locum is set to, where each value came from, and the text of `.env.example`."""

import json
import os
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from dotenv import dotenv_values
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from core.settings import Settings, load_settings, secret_folders, variable_of

MASK = "********"

HEADER = """\
# Settings of Locum: copy this file to .env, and uncomment what you change.
# Every line shows a default. None is needed: without any, Locum runs on this machine alone.
# Written by 'locum settings --example'.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One setting as it stands; a secret's value is a mask."""

    name: str
    value: str
    origin: str


def example() -> str:
    """The text of `.env.example`: each setting with its meaning and its default, commented out."""
    return HEADER + "".join(_example_lines())


def _example_lines() -> Iterator[str]:
    for field, info in Settings.model_fields.items():
        # A folder chosen by the platform is not written down: the file is the same on every machine.
        chosen_here = info.default_factory is not None
        default = "" if chosen_here else _plain(info.default)
        meaning = (info.description or "") + (" Default: the platform's own place." if chosen_here else "")
        yield "\n" + textwrap.fill(meaning, 100, initial_indent="# ", subsequent_indent="# ")
        yield f"\n# {variable_of(field)}={default}\n"


def _plain(value: object) -> str:
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    return "" if value is None else str(value)


def shown(settings: Settings, env_file: Path = Path(".env")) -> list[Shown]:
    """Every setting as it stands, in the order of `.env.example`."""
    in_file = _given(dotenv_values(env_file))
    return [
        Shown(
            name=variable_of(field),
            value=_plain(getattr(settings, field)),
            origin=_origin(variable_of(field), in_file, env_file),
        )
        for field in Settings.model_fields
    ]


def _given(variables: dict[str, str | None]) -> set[str]:
    return {name.upper() for name, value in variables.items() if value}


def _origin(variable: str, in_file: set[str], env_file: Path) -> str:
    if variable in _given(dict(os.environ)):
        return "environment"
    if variable in in_file:
        return str(env_file)
    for folder in secret_folders():
        if any(path.name.upper() == variable for path in folder.iterdir()):
            return str(folder)
    return "default"


def unknown(env_file: Path = Path(".env")) -> list[str]:
    """Variables that begin like ours and are none: misspelt, most likely."""
    ours = {variable_of(field) for field in Settings.model_fields}
    given = _given(dict(os.environ)) | _given(dotenv_values(env_file))
    return sorted(name for name in given - ours if name.startswith("LOCUM_"))


def register(app: typer.Typer) -> None:
    """Add `locum settings`."""

    @app.command("settings")
    def _settings(  # pyright: ignore[reportUnusedFunction] -- typer calls it
        *,
        as_example: Annotated[
            bool, typer.Option("--example", help="Print the text of .env.example.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Show every setting, secrets masked, and where it came from."""
        if as_example:
            typer.echo(example(), nl=False)
            return
        rows, misspelt = shown(load_settings()), unknown()
        if as_json:
            typer.echo(json.dumps({"settings": [asdict(row) for row in rows], "unknown": misspelt}, indent=2))
            return
        _print(rows, misspelt)


def _print(rows: list[Shown], misspelt: list[str]) -> None:
    table = Table("setting", "value", "from")
    for row in rows:
        table.add_row(row.name, row.value, row.origin)
    console = Console()
    console.print(table, markup=False, highlight=False)
    for name in misspelt:
        console.print(f"{name} is not a setting of Locum: is it misspelt?", style="yellow", highlight=False)
