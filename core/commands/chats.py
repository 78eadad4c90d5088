"""`locum chats`, `listen`, `contacts`, `export` and `audit`: where Locum listens, to whom, and what it did."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from core.commands import circles, people, unmerging
from core.commands.days import clock
from core.errors import BadInput
from core.ids import OwnerId
from core.listening import listens_from_the_start, set_listening
from core.memory.exporting import export_memory
from core.memory.merging import list_merges, merge_contacts, propose_merges, refuse_merge
from core.memory.profiling import refresh_profiles
from core.memory.references import find_chat, find_contact
from core.runtime import open_locum
from core.settings import load_settings
from core.storage.database import Connection
from core.terminal import said
from core.vocabulary import ChatKind

out = Console(highlight=False)
T = TypeVar("T")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

contacts = typer.Typer(
    help="People: who they are, in which circle, and which of them are one person.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands to `locum`."""
    app.command()(chats)
    app.command()(listen)
    app.command()(export)
    app.command()(audit)
    circles.register(contacts)
    unmerging.register(contacts)
    people.register(contacts)
    app.add_typer(contacts, name="contacts")


# ─── chats ───────────────────────────────────────────────────────────────────────────────────


def chats(
    like: Annotated[str, typer.Argument(help="Part of a chat's title; without it, all.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="So many, those of the latest messages first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List chats, with their mode and whether they are listened to."""
    rows = asyncio.run(_work(lambda connection, owner_id: _chats(connection, owner_id, like, limit)))
    if as_json:
        _print_json({"chats": rows})
        return
    if not rows:
        out.print(
            "No chat fits that." if like else "No chat yet: 'locum import' or 'locum connect' brings them."
        )
        return
    table = Table(
        "chat", "platform", "kind", "title", "messages", "mode", "listened", box=None, padding=(0, 1)
    )
    for row in rows:
        table.add_row(
            str(row["id"]),
            row["platform"],
            row["kind"] + (", external" if row["external"] else ""),
            said(row["title"]),
            str(row["messages"]),
            row["mode"],
            "yes" if row["listened"] else "no",
        )
    out.print(table)


async def _chats(connection: Connection, owner_id: OwnerId, like: str, limit: int) -> list[dict[str, Any]]:
    cursor = await connection.execute(
        """
        SELECT c.id, a.platform, c.kind, c.title, c.external, coalesce(p.mode, 'suggest'), p.listen,
               (SELECT count(*) FROM messages m WHERE m.owner_id = c.owner_id AND m.chat_id = c.id),
               (SELECT max(m.sent_at) FROM messages m WHERE m.owner_id = c.owner_id AND m.chat_id = c.id) AS newest
        FROM chats c
        JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
        LEFT JOIN policies p ON p.owner_id = c.owner_id AND p.chat_id = c.id
        WHERE c.owner_id = %s AND (%s = '' OR position(lower(%s) IN lower(c.title)) > 0)
        ORDER BY newest DESC NULLS LAST, c.id DESC LIMIT %s""",
        [owner_id, like, like, limit],
    )
    return [
        {
            "id": row[0],
            "platform": row[1],
            "kind": row[2],
            "title": row[3],
            "external": row[4],
            "mode": row[5],
            "listened": row[6]
            if row[6] is not None
            else listens_from_the_start(row[1], ChatKind(row[2]), external=row[4]),
            "messages": row[7],
        }
        for row in await cursor.fetchall()
    ]


def listen(
    chat: Annotated[str, typer.Argument(help="The chat: its title, its contact's name, or its id.")],
    state: Annotated[Literal["on", "off"], typer.Argument(help="on: what is said is kept from now on.")],
) -> None:
    """Listen to a chat, or leave it alone. Groups are left alone until you say otherwise."""

    async def change(connection: Connection, owner_id: OwnerId) -> str:
        found = await find_chat(connection, owner_id, chat)
        await set_listening(connection, owner_id, found.id, on=state == "on")
        kept = "" if state == "on" else " What was kept stays: 'locum memory forget chat' removes it."
        return f"{found.title or chat}: {'listened to' if state == 'on' else 'left alone'}.{kept}"

    out.print(said(asyncio.run(_work(change))))


# ─── contacts ────────────────────────────────────────────────────────────────────────────────


@contacts.command("merges")
def merges(as_json: JsonOption = False) -> None:
    """Pairs of contacts that may be one person."""

    async def look(connection: Connection, owner_id: OwnerId) -> list[dict[str, Any]]:
        await propose_merges(connection, owner_id)
        return [
            {
                "contact": proposal.contact_id,
                "name": proposal.name,
                "where": proposal.where,
                "other": proposal.other_id,
                "other_name": proposal.other_name,
                "other_where": proposal.other_where,
                "why": proposal.why,
            }
            for proposal in await list_merges(connection, owner_id)
        ]

    found = asyncio.run(_work(look))
    if as_json:
        _print_json({"merges": found})
        return
    for each in found:
        out.print(
            said(f"{each['name']} ({each['contact']}, {each['where']})"),
            "and",
            said(f"{each['other_name']} ({each['other']}, {each['other_where']}):"),
            each["why"],
        )
    out.print(
        "Nobody looks like one person under two names: that takes the same first and last name on two "
        "platforms. 'locum contacts merge A B' makes any two one."
        if not found
        else "One person: 'locum contacts merge A B'. Two: 'locum contacts separate A B'."
    )


@contacts.command("merge")
def merge(
    keep: Annotated[str, typer.Argument(help="The contact that stays: name or number.")],
    other: Annotated[str, typer.Argument(help="The contact that becomes part of it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Two contacts are one person: one memory from now on, a register for each platform.

    'locum contacts unmerge' takes them apart again.
    """

    async def change(connection: Connection, owner_id: OwnerId) -> str:
        one, two = (
            await find_contact(connection, owner_id, keep),
            await find_contact(connection, owner_id, other),
        )
        if one.id == two.id:
            raise BadInput(f"{one.name} ({one.id}) is one contact already: name two.")
        if not yes and not typer.confirm(
            f"What either of {one.name} ({one.id}) and {two.name} ({two.id}) was told may then be told to the "
            "other. Go on?",
            err=True,
        ):
            return "Nothing was changed."
        await merge_contacts(connection, owner_id, one, two)
        return f"{two.name} is part of {one.name} ({one.id}) now."

    out.print(said(asyncio.run(_work(change, refresh=True))))


@contacts.command("separate")
def separate(
    one: Annotated[str, typer.Argument(help="A contact: name or number.")],
    other: Annotated[str, typer.Argument(help="Another one.")],
) -> None:
    """Two contacts are two people, whatever they are called: they are not proposed again."""

    async def change(connection: Connection, owner_id: OwnerId) -> str:
        pair = await find_contact(connection, owner_id, one), await find_contact(connection, owner_id, other)
        await refuse_merge(connection, owner_id, *pair)
        return f"{pair[0].name} and {pair[1].name} stay two."

    out.print(said(asyncio.run(_work(change))))


# ─── export, audit ───────────────────────────────────────────────────────────────────────────


def export(
    what: Annotated[str, typer.Argument(help="A contact or a chat; without it, everything.")] = "",
    to: Annotated[
        Path | None, typer.Option("--to", help="The file to write; without it, the terminal.")
    ] = None,
) -> None:
    """Everything kept about a contact, a chat, or at all, as one JSON document."""
    document = asyncio.run(_work(lambda connection, owner_id: export_memory(connection, owner_id, what)))
    if to is None:
        sys.stdout.buffer.write(document + b"\n")
        return
    to.touch(mode=0o600)
    to.chmod(0o600)  # a file that was there keeps its own mode else
    to.write_bytes(document)
    out.print(said(f"Written to {to}."))


def audit(
    limit: Annotated[int, typer.Option(min=1, help="So many, the latest first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """What was done in your name and by you: sends, switches, consents, forgetting, gaps. Never what was said."""

    async def look(
        connection: Connection, owner_id: OwnerId
    ) -> list[tuple[datetime, str, str, dict[str, Any]]]:
        cursor = await connection.execute(
            """
            SELECT a.at, a.actor, a.action,
                   a.subject || CASE WHEN k.id IS NULL THEN '{}' ELSE
                       jsonb_build_object('to', concat_ws(' on ', nullif(c.title, ''), k.platform)) END
            FROM audit a
            LEFT JOIN outbox o ON o.owner_id = a.owner_id AND o.id::text = a.subject ->> 'outbox'
            LEFT JOIN chats c ON c.owner_id = o.owner_id AND c.id = o.chat_id
            LEFT JOIN accounts k ON k.owner_id = o.owner_id AND k.id = o.account_id
            WHERE a.owner_id = %s ORDER BY a.id DESC LIMIT %s""",
            [owner_id, limit],
        )
        return [(row[0], row[1], row[2], row[3]) for row in await cursor.fetchall()]

    rows, zone = asyncio.run(_work(look)), load_settings().time_zone
    if as_json:
        _print_json(
            {"audit": [{"at": at.isoformat(), "actor": a, "action": b, "subject": c} for at, a, b, c in rows]}
        )
        return
    for at, actor, action, subject in rows:
        about = ", ".join(f"{key} {value}" for key, value in subject.items() if _tells(value))
        out.print(clock(at, zone), actor, action, said(about, "dim"))


def _tells(value: object) -> bool:
    """Whether it is worth a word: nothing is told of what was empty, or of which there were none."""
    return isinstance(value, bool) or value not in ("", None, 0)


async def _work(work: Callable[[Connection, OwnerId], Awaitable[T]], *, refresh: bool = False) -> T:
    async with open_locum(load_settings()) as locum:
        async with locum.database.owner(locum.owner_id) as connection:
            result = await work(connection, locum.owner_id)
        if refresh:
            await refresh_profiles(locum.database, locum.owner_id)
        return result


def _print_json(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
