"""`locum memory retention`: how long what a live account brings is kept."""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from core.errors import BadInput
from core.ids import AccountId, OwnerId
from core.memory.retention import KINDS, Limit, list_limits, set_retention
from core.runtime import open_locum
from core.settings import load_settings
from core.storage.database import Connection
from core.terminal import said

out = Console(highlight=False)

DAYS = "So many days; 0 keeps it until you forget it."


def register(memory: typer.Typer) -> None:
    """Add the command to `locum memory`."""
    memory.command("retention")(retention)


def retention(
    account: Annotated[
        str, typer.Argument(help="A platform, or an account of yours by its name. Without: all are shown.")
    ] = "",
    *,
    others: Annotated[
        int | None, typer.Option("--others", min=0, help=f"What others say in direct chats. {DAYS}")
    ] = None,
    groups: Annotated[
        int | None,
        typer.Option("--groups", min=0, help=f"What others say in groups; as --others where not set. {DAYS}"),
    ] = None,
    own: Annotated[int | None, typer.Option("--own", min=0, help=f"What you say. {DAYS}")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show or set how long the messages of a live account are kept. What you imported stays.

    What has had its time is forgotten in the night, with all that rests on it. From four weeks on it goes by
    whole weeks, up to six days early, so that what learned your voice from it is not trained anew every day.
    """
    wishes = dict(zip(KINDS, (others, groups, own), strict=True))

    async def change() -> list[Limit]:
        async with open_locum(load_settings()) as locum, locum.database.owner(locum.owner_id) as connection:
            changed = any(days is not None for days in wishes.values())
            if account or changed:  # a name that fits nothing is told, also where nothing is to be changed
                found = await _find(connection, locum.owner_id, account)
                for kind in KINDS:
                    if (days := wishes[kind]) is not None:
                        await set_retention(connection, locum.owner_id, found, days or None, kind)
            return await list_limits(connection, locum.owner_id)

    limits = asyncio.run(change())
    if as_json:
        told = {"retention": [asdict(limit) for limit in limits]}
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return
    if not limits:
        out.print("Everything is kept until you forget it.")
        return
    table = Table("platform", "account", "whose", "days", box=None, padding=(0, 1))
    for limit in limits:
        table.add_row(limit.platform, said(limit.account), limit.kind, str(limit.days))
    out.print(table)


async def _find(connection: Connection, owner_id: OwnerId, account: str) -> AccountId:
    cursor = await connection.execute(
        """
        SELECT id, platform, name FROM accounts
        WHERE owner_id = %s AND lower(%s) IN (platform, lower(name), id::text) ORDER BY id""",
        [owner_id, account.strip()],
    )
    rows = await cursor.fetchall()
    if len(rows) == 1:
        return AccountId(int(rows[0][0]))
    if not rows:
        raise BadInput(f"You have no account '{account}': give a platform, or an account's name.")
    shown = ", ".join(f"{row[2]} on {row[1]} ({row[0]})" for row in rows)
    raise BadInput(f"'{account}' may be {shown}: give the number in brackets.")
