"""`locum migrate`, `locum backup`, `locum restore` and `locum purge`."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from core.purging import purge_now
from core.runtime import admin_conninfo, open_locum, open_services
from core.settings import Settings, load_settings
from core.storage.archive import Manifest
from core.storage.backup import backup, restore
from core.storage.backups_made import BackupMade, backups_left, note_backup
from core.storage.migrate import migrate, migrations
from core.storage.purge import Purged
from core.terminal import said

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def register(app: typer.Typer) -> None:
    app.command("migrate")(migrate_command)
    app.command("backup")(backup_command)
    app.command("restore")(restore_command)
    app.command("purge")(purge_command)


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


def backup_command(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    *,
    as_json: Json = False,
) -> None:
    """Write everything that Locum knows to one file. The key of platform tokens is not in it."""
    settings = load_settings()
    with Console(stderr=True).status("Backing up"):
        manifest = asyncio.run(_backup(settings, file.absolute()))
    size = file.stat().st_size
    if as_json:
        typer.echo(json.dumps({"file": str(file), "bytes": size} | _told(manifest)))
        return
    Console().print(
        f"Backed up {sum(manifest.rows.values())} rows of schema {manifest.schema_version} to {file} "
        f"({size / 1e6:.1f} MB). Platform tokens are in it encrypted; their key is not: keep a copy of "
        f"{settings.key_file} elsewhere.",
        highlight=False,
    )


def restore_command(
    file: Annotated[Path, typer.Argument(help="A file that locum backup wrote.")],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="The data there now may go.")] = False,
    as_json: Json = False,
) -> None:
    """Bring back what a backup holds: all of it, or nothing."""
    settings = load_settings()
    with Console(stderr=True).status("Restoring"):
        manifest = asyncio.run(_restore(settings, file.absolute(), replace=replace))
    if as_json:
        typer.echo(json.dumps({"file": str(file)} | _told(manifest)))
        return
    Console().print(
        f"Restored {sum(manifest.rows.values())} rows, as they stood on {manifest.made_at:%Y-%m-%d %H:%M} UTC. "
        f"Tokens need the key file of that time at {settings.key_file}.",
        highlight=False,
    )


def _told(manifest: Manifest) -> dict[str, object]:
    return manifest.model_dump(mode="json", include={"locum", "schema_version", "made_at", "rows"})


async def _backup(settings: Settings, file: Path) -> Manifest:
    async with open_services(settings) as services:
        manifest = await backup(admin_conninfo(settings, services), settings.home, file)
    note_backup(settings.home, file, manifest.made_at)
    return manifest


async def _restore(settings: Settings, file: Path, *, replace: bool) -> Manifest:
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with open_services(settings) as services:
        return await restore(admin_conninfo(settings, services), settings.home, file, replace=replace)


def purge_command(*, as_json: Json = False) -> None:
    """Write every table anew, so that what was removed is in no file any more. It runs in the night by itself."""
    settings = load_settings()
    with Console(stderr=True).status("Writing tables anew"):
        done = asyncio.run(_purge(settings))
    backups = backups_left(settings.home)
    if as_json:
        typer.echo(json.dumps({**asdict(done), "backups": [str(made.file) for made in backups]}))
        return
    Console().print(said(purged(done, backups)))


async def _purge(settings: Settings) -> Purged:
    async with open_locum(settings) as locum:
        return await purge_now(locum)


def purged(done: Purged, backups: Sequence[BackupMade]) -> str:
    """What was done, and what is not Locum's to do: backups are named where they still lie."""
    sentences = [f"{done.tables} tables were written anew in {done.seconds} s."]
    if not done.log:
        sentences.append(
            "The server's write-ahead log keeps what was removed until it is recycled: its user may not do that."
        )
    if not done.redis:
        sentences.append("Redis could not write its file anew; it holds ids alone.")
    sentences.append("Backups made before still hold everything: they are yours to delete.")
    sentences += [f"{made.file} is of {made.made_at:%Y-%m-%d %H:%M} UTC." for made in backups]
    return " ".join(sentences)
