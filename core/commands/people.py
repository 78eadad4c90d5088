"""`locum contacts list`: whom Locum knows, by what number and name, and where from."""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from psycopg.rows import class_row
from rich.console import Console
from rich.table import Table

from core.ids import ContactId, OwnerId
from core.runtime import open_locum
from core.settings import load_settings
from core.storage.database import Connection
from core.terminal import said

out = Console(highlight=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A contact, and how much they wrote."""

    id: ContactId
    name: str
    accounts: list[str]
    """Platform and name there, of each account."""
    circle: str
    messages: int
    opted_out: bool


def register(contacts: typer.Typer) -> None:
    """Add the command to `locum contacts`."""
    contacts.command("list")(show_people)


def show_people(
    like: Annotated[str, typer.Argument(help="Part of a name; without it, all.")] = "",
    *,
    limit: Annotated[int, typer.Option(min=1, help="So many, those who wrote most first.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Whom you write with: number, names, circle, and whether they are left out."""

    async def look() -> list[Person]:
        async with open_locum(load_settings()) as locum, locum.database.owner(locum.owner_id) as connection:
            return await list_people(connection, locum.owner_id, like, limit=limit)

    people = asyncio.run(look())
    if as_json:
        sys.stdout.write(
            json.dumps({"contacts": [asdict(each) for each in people]}, ensure_ascii=False) + "\n"
        )
        return
    if not people:
        out.print(
            "Nobody is called that." if like else "Nobody yet: 'locum import' or 'locum connect' brings them."
        )
        return
    table = Table("contact", "name", "accounts", "circle", "messages", "", box=None, padding=(0, 1))
    for each in people:
        table.add_row(
            str(each.id),
            said(each.name),
            said(", ".join(each.accounts)),
            said(each.circle),
            str(each.messages),
            "left out" if each.opted_out else "",
        )
    out.print(table)


async def list_people(
    connection: Connection, owner_id: OwnerId, like: str = "", *, limit: int = 100
) -> list[Person]:
    """The contacts whose name, or whose account's, holds `like`; those who wrote most first."""
    async with connection.cursor(row_factory=class_row(Person)) as cursor:
        await cursor.execute(
            """
            SELECT c.id, c.display_name AS name,
                   coalesce(array_agg(DISTINCT concat_ws(' ', a.platform, nullif(a.display_name, c.display_name)))
                            FILTER (WHERE a.id IS NOT NULL), '{}') AS accounts,
                   c.circle, coalesce(sum(w.messages), 0)::bigint AS messages,
                   c.opted_out_at IS NOT NULL AS opted_out
            FROM contacts c
            LEFT JOIN contact_accounts a ON a.owner_id = c.owner_id AND a.contact_id = c.id
            LEFT JOIN LATERAL (SELECT count(*) AS messages FROM messages m
                               WHERE m.owner_id = a.owner_id AND m.sender_id = a.id) w ON true
            WHERE c.owner_id = %(owner)s AND c.merged_into IS NULL
              AND (position(lower(%(like)s) IN lower(c.display_name)) > 0 OR EXISTS (
                  SELECT 1 FROM contact_accounts b
                  WHERE b.owner_id = c.owner_id AND b.contact_id = c.id
                    AND position(lower(%(like)s) IN lower(b.display_name)) > 0))
            GROUP BY c.id, c.display_name, c.circle, c.opted_out_at
            ORDER BY messages DESC, lower(c.display_name), c.id LIMIT %(limit)s""",
            {"owner": owner_id, "like": like.strip(), "limit": limit},
        )
        return await cursor.fetchall()
