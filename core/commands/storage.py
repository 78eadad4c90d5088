"""`locum migrate`, `locum backup` and `locum restore`."""

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console

from core.runtime import admin_conninfo, open_services
from core.settings import Settings, load_settings
from core.storage.migrate import migrate, migrations

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def register(app: typer.Typer) -> None:
    app.command("migrate")(migrate_command)


def migrate_command(*, as_json: Json = False) -> None:
    """Bring the database to this Locum's schema."""
    applied = asyncio.run(_migrate(load_settings()))
    schema = migrations()[-1].version
    if as_json:
        typer.echo(json.dumps({"applied": applied, "schema": schema}))
    else:
        Console().print(
            f"Schema {schema}: " + (f"applied {', '.join(applied)}." if applied else "up to date.")
        )


async def _migrate(settings: Settings) -> list[str]:
    async with open_services(settings) as services:
        return await migrate(admin_conninfo(settings, services))
