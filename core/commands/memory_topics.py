"""`locum memory topics`, `topic`, `summaries` and `summary`: what people come back to, and what was said when."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from core.audience import Reader
from core.commands.days import clock
from core.errors import BadInput
from core.ids import SummaryId, TopicId
from core.memory.references import find_contact, find_reader
from core.memory.summaries import (
    KnownSummary,
    OlderSummary,
    OwnSummary,
    correct_summary,
    delete_summary,
    hide_summary,
    known_summaries,
    list_summaries,
    older_summaries,
    pin_summary,
    read_summary,
)
from core.memory.topics import (
    KnownTopic,
    Month,
    OwnTopic,
    TopicHistory,
    delete_topic,
    hide_topic,
    known_topics,
    list_topics,
    pin_topic,
    read_topic_history,
    rename_topic,
)
from core.runtime import Locum, open_locum
from core.settings import load_settings
from core.storage.database import Connection
from core.terminal import said

out = Console(highlight=False)

TOPIC_COLUMNS = ("topic", "name", "about", "said to", "messages", "from", "to", "")

WIDEST_BAR = 24
"""Characters of a timeline's longest bar."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ReaderOption = Annotated[
    str | None,
    typer.Option("--reader", help="Only what this contact may learn; 'chat:TITLE' for everyone in a chat."),
]
WithOption = Annotated[str | None, typer.Option("--with", help="Only what has to do with this contact.")]
QueryOption = Annotated[str, typer.Option("--about", help="Only what these words fit, best first.")]
LimitOption = Annotated[int, typer.Option(min=1, help="At most so many.")]
PinOption = Annotated[bool | None, typer.Option("--pin/--no-pin", help="Put it first, or no longer.")]
HideOption = Annotated[
    bool | None, typer.Option("--hide/--show", help="Keep it and use it nowhere, or use it again.")
]
DeleteOption = Annotated[
    bool, typer.Option("--delete", help="Remove it for good; its messages stay ('forget' removes messages).")
]


def register(memory: typer.Typer) -> None:
    """Add the commands to `locum memory`."""
    memory.command("topics")(show_topics)
    memory.command("topic")(topic)
    memory.command("summaries")(show_summaries)
    memory.command("summary")(summary)


def show_topics(
    *,
    about: QueryOption = "",
    contact: WithOption = None,
    reader: ReaderOption = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """What people come back to: named interests and concerns, pinned first, then the newest."""

    async def work(locum: Locum, connection: Connection) -> None:
        who = await as_reader(connection, locum, reader)
        found: Sequence[OwnTopic] | Sequence[KnownTopic]
        if who is None and not about and contact is None:
            found = await list_topics(connection, locum.owner_id, limit=limit)
        else:
            found = await known_topics(
                connection,
                owner_id=locum.owner_id,
                reader=who or Reader.owner(),
                contact_id=(await find_contact(connection, locum.owner_id, contact)).id if contact else None,
                query=about,
                limit=limit,
            )
        if as_json:
            print_json({"topics": [asdict(each) for each in found]})
        elif found:
            out.print(_topic_table(found))
        elif about or contact or reader:
            out.print("No topic fits that.")
        else:
            out.print("No topics yet: 'locum index' and 'locum memory extract' read what was imported.")

    run(work)


def topic(
    number: Annotated[int, typer.Argument(help="The topic's number, as 'locum memory topics' shows it.")],
    *,
    rename: Annotated[
        str | None, typer.Option(help="What it is to be called: outlives every later reading.")
    ] = None,
    describe: Annotated[str | None, typer.Option(help="With --rename: what it is about.")] = None,
    pin: PinOption = None,
    hide: HideOption = None,
    delete: DeleteOption = False,
    as_json: JsonOption = False,
) -> None:
    """One topic: its timeline, its messages, what it was called before; or change it."""

    async def work(locum: Locum, connection: Connection) -> None:
        if describe is not None and rename is None:
            raise BadInput("--describe goes with --rename.")
        wanted = TopicId(number)
        if delete:
            await delete_topic(connection, locum.owner_id, wanted)
            out.print(f"Topic {number} is gone, and stays away.")
            return
        if rename is not None:
            await rename_topic(connection, locum.owner_id, wanted, rename, describe)
        if pin is not None:
            await pin_topic(connection, locum.owner_id, wanted, pinned=pin)
        if hide is not None:
            await hide_topic(connection, locum.owner_id, wanted, hidden=hide)
        history = await read_topic_history(connection, locum.owner_id, wanted)
        if as_json:
            print_json(asdict(history))
        else:
            _show_topic(history, locum.settings.time_zone)

    run(work)


def show_summaries(
    *,
    about: QueryOption = "",
    contact: WithOption = None,
    reader: ReaderOption = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
) -> None:
    """What was said when: the newest sessions, or with --about those that fit."""

    async def work(locum: Locum, connection: Connection) -> None:
        who = await as_reader(connection, locum, reader)
        found: Sequence[OwnSummary] | Sequence[KnownSummary]
        if who is None and not about and contact is None:
            found = await list_summaries(connection, locum.owner_id, limit=limit)
        else:
            found = await known_summaries(
                connection,
                owner_id=locum.owner_id,
                reader=who or Reader.owner(),
                contact_id=(await find_contact(connection, locum.owner_id, contact)).id if contact else None,
                query=about,
                limit=limit,
            )
        if as_json:
            print_json({"summaries": [asdict(each) for each in found]})
            return
        for each in found:
            _show_summary(each)
        if not found and (about or contact or reader):
            out.print("No summary fits that.")
        elif not found:
            out.print("No summaries yet: 'locum memory extract' reads what was imported.")

    run(work)


def summary(
    number: Annotated[
        int, typer.Argument(help="The summary's number, as 'locum memory summaries' shows it.")
    ],
    *,
    correct: Annotated[
        str | None, typer.Option(help="The summary as it should be: outlives every later reading.")
    ] = None,
    pin: PinOption = None,
    hide: HideOption = None,
    delete: DeleteOption = False,
    as_json: JsonOption = False,
) -> None:
    """One summary with its older versions; or change it."""

    async def work(locum: Locum, connection: Connection) -> None:
        wanted = SummaryId(number)
        if delete:
            await delete_summary(connection, locum.owner_id, wanted)
            out.print(f"Summary {number} is gone, and stays away.")
            return
        if correct is not None:
            wanted = (await correct_summary(connection, locum.owner_id, wanted, correct)).id
        if pin is not None:
            await pin_summary(connection, locum.owner_id, wanted, pinned=pin)
        if hide is not None:
            await hide_summary(connection, locum.owner_id, wanted, hidden=hide)
        now = await read_summary(connection, locum.owner_id, wanted)
        older = await older_summaries(connection, locum.owner_id, wanted)
        if as_json:
            print_json({"summary": asdict(now), "older": [asdict(each) for each in older]})
            return
        _show_summary(now)
        for each in older:
            _show_older(each, locum.settings.time_zone)

    run(work)


# ─── On the terminal ─────────────────────────────────────────────────────────────────────────


def _topic_table(topics: Sequence[OwnTopic] | Sequence[KnownTopic]) -> Table:
    told = [column for column in TOPIC_COLUMNS if column != "said to" or isinstance(topics[0], OwnTopic)]
    table = Table(*told)
    for each in topics:
        own = isinstance(each, OwnTopic)
        marks = [mark for mark in ("pinned", "hidden", "owner_only") if getattr(each, mark, False)]
        table.add_row(
            str(each.id if own else each.topic_id),
            said(each.name),
            said(each.description),
            *([said(each.audience)] if own else []),
            str(each.messages),
            f"{each.first_seen:%Y-%m-%d}",
            f"{each.last_seen:%Y-%m-%d}",
            " ".join(marks).replace("_", " "),
        )
    return table


def _show_topic(history: TopicHistory, zone: str) -> None:
    topic = history.topic
    out.print(said(f"{topic.name}  [{topic.id}, version {topic.version}]", "bold"))
    if topic.description:
        out.print(said(topic.description))
    out.print(said(f"said to: {topic.audience}"))
    for line in bars(history.timeline):
        out.print(said(line))
    for each in history.lines:
        out.print(
            said(
                f"{clock(each.sent_at, zone)} {each.chat_title} · {each.sender}: {each.text}"
                f"  [{each.message_id}]"
            )
        )
    for version in history.versions:
        out.print(said(f"until {clock(version.replaced_at, zone)}: {version.name} ({version.extractor})"))
    for other in history.related:
        out.print(said(f"also with {other.audience}: {other.name}  [{other.id}]"))


def bars(timeline: Sequence[Month]) -> list[str]:
    """One line a month, its bar as long as what was said in it."""
    most = max((month.messages for month in timeline), default=1)
    return [
        f"{month.month} {'█' * max(round(WIDEST_BAR * month.messages / most), 1)} {month.messages}"
        for month in timeline
    ]


def _show_summary(summary: OwnSummary | KnownSummary) -> None:
    number = summary.id if isinstance(summary, OwnSummary) else summary.summary_id
    marks = [mark for mark in ("pinned", "hidden", "owner_only") if getattr(summary, mark, False)]
    told = (
        f"{summary.chat_title}  [{number}, version {summary.version}]{''.join(f' {mark}' for mark in marks)}"
    )
    out.print(said(told.replace("owner_only", "owner only"), "bold"))
    out.print(said(summary.summary))


def _show_older(older: OlderSummary, zone: str) -> None:
    out.print(said(f"version {older.version} ({older.extractor}, {clock(older.created_at, zone)}):"))
    out.print(said(older.summary))


# ─── Shared with the profiles' commands ──────────────────────────────────────────────────────


def run(work: Callable[[Locum, Connection], Awaitable[None]]) -> None:
    """Do the work in one transaction of the owner's."""

    async def main() -> None:
        async with open_locum(load_settings()) as locum, locum.database.owner(locum.owner_id) as connection:
            await work(locum, connection)

    asyncio.run(main())


async def as_reader(connection: Connection, locum: Locum, text: str | None) -> Reader | None:
    """Whom a --reader names; None where nobody is named, for the owner's own view."""
    return None if text in (None, "owner") else await find_reader(connection, locum.owner_id, text)


def print_json(told: dict[str, Any]) -> None:
    """One document on one line, times in ISO form."""
    sys.stdout.write(json.dumps(told, default=_jsonable, ensure_ascii=False) + "\n")


def _jsonable(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
