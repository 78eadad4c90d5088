"""The sub-commands of bots: `locum up` for a real owner, `locum demo` for the sample history."""

import asyncio
import contextlib
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from bots import connect
from core.history.importing import Wishes, import_history
from core.runtime import Locum, open_locum
from core.sample.compile import OWNER_NAME, OWNER_ZONE, write_sample
from core.settings import Settings, load_settings

Part = Literal["worker", "console", "bots"]

out = Console(stderr=True)


def register(app: typer.Typer) -> None:
    """Add the bots' sub-commands to `locum`."""
    app.command()(up)
    app.command()(demo)
    connect.register(app)


def up(
    only: Annotated[
        Part | None, typer.Option(help="Run one part alone: worker, console (with the bots), or bots.")
    ] = None,
) -> None:
    """Run Locum: the console, the bots of your accounts, the workers and memory's upkeep."""
    _run(_up(load_settings(), only))


def demo() -> None:
    """Run Locum on the sample history, in a data folder of its own."""
    _run(_demo(_demo_settings(load_settings())))


def _run(running: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(running)
    out.print("Locum has stopped.")


async def _up(settings: Settings, only: Part | None) -> None:
    from bots.up import run  # noqa: PLC0415 -- needs the console extra, and other commands do not

    async with open_locum(settings) as locum:
        await run(locum, only)


def _demo_settings(settings: Settings) -> Settings:
    """The person's own settings, but for whose data is shown and where it lives."""
    return settings.model_copy(
        update={
            "home": settings.home / "demo",
            "database_url": None,
            "redis_url": None,
            "owner": "mara",
            "owner_name": OWNER_NAME,
            "time_zone": OWNER_ZONE,
        }
    )


async def _demo(settings: Settings) -> None:
    from bots.up import run  # noqa: PLC0415 -- as above

    async with open_locum(settings) as locum:
        await _import_sample(locum, settings.home / "sample.jsonl")
        await run(locum, None)


async def _import_sample(locum: Locum, path: Path) -> None:
    """Mara's history is there; nothing is imported a second time."""
    async with locum.database.owner(locum.owner_id) as connection:
        cursor = await connection.execute(
            "SELECT 1 FROM import_batches WHERE owner_id = %s AND finished_at IS NOT NULL AND undone_at IS NULL",
            [locum.owner_id],
        )
        if await cursor.fetchone():
            return
    sample = write_sample(path)
    report = await import_history(
        locum.database,
        locum.owner_id,
        path,
        Wishes(format="jsonl", owners=sample.owner_ids, training=True, time_zone=OWNER_ZONE),
    )
    out.print(f"Imported the sample history: {report.messages_new} messages of {report.chats} chats.")
