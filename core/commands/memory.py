"""`locum memory`: what Locum knows, from where, and the owner's hand on it."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from core.audience import Reader
from core.commands import consents, fact_search, memory_profiles, memory_topics, retention
from core.commands.storage import purged
from core.errors import BadInput
from core.ids import FactId
from core.memory import forgetting
from core.memory.extraction import extract_new
from core.memory.facts import (
    Fact,
    bury_fact,
    correct_fact,
    hide_fact,
    list_facts,
    pin_fact,
    read_fact,
    read_history,
)
from core.memory.forgetting import Forgotten, Target
from core.memory.gathering import gather_new
from core.memory.profiles import KnownFact, known_facts
from core.memory.profiling import refresh_profiles
from core.memory.references import find_contact, find_reader
from core.models.choose import embedder_name
from core.models.outside import leaves_machine
from core.purging import purge_now
from core.runtime import Locum, open_locum, open_teachers
from core.settings import Settings, load_settings
from core.storage.backups_made import backups_left
from core.storage.database import Connection
from core.terminal import said

out = Console()
notes = Console(stderr=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
FactArgument = Annotated[int, typer.Argument(help="The fact's number, as 'locum memory facts' shows it.")]
AsOfOption = Annotated[
    str | None, typer.Option("--as-of", help="As it was known to be on that day: YYYY-MM-DD.")
]
ReaderOption = Annotated[
    str | None,
    typer.Option("--reader", help="Only what this contact may learn; 'chat:TITLE' for everyone in a chat."),
]


class Kind(StrEnum):
    """What can be forgotten."""

    MESSAGE = "message"
    FACT = "fact"
    CONTACT = "contact"
    CHAT = "chat"
    TOPIC = "topic"
    EVERYTHING = "everything"


def register(app: typer.Typer) -> None:
    memory = typer.Typer(help="What Locum knows, from where, and since when.", no_args_is_help=True)
    for name, command in (
        ("facts", show_facts),
        ("show", show_fact),
        ("correct", correct),
        ("pin", pin),
        ("hide", hide),
        ("forget", forget),
        ("extract", extract),
    ):
        memory.command(name)(command)
    memory_profiles.register(memory)
    memory_topics.register(memory)
    consents.register(memory)
    fact_search.register(memory)
    retention.register(memory)
    app.add_typer(memory, name="memory")


def show_facts(
    *,
    about: Annotated[str | None, typer.Option(help="A contact, or 'owner'.")] = None,
    as_of: AsOfOption = None,
    reader: ReaderOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """What is known: of everybody, or --about one; now, or --as-of a day; to you, or to a --reader."""

    async def work(locum: Locum, connection: Connection) -> None:
        moment = _end_of_day(as_of, locum.settings)
        contact = None
        if about is not None and about != "owner":
            contact = (await find_contact(connection, locum.owner_id, about)).id
        kind = None if about is None else "owner" if contact is None else "contact"
        who = await _reader(connection, locum, reader)
        facts: list[Fact] | list[KnownFact]
        if who is None:
            facts = await list_facts(
                connection,
                locum.owner_id,
                about=kind or "anybody",
                contact_id=contact,
                as_of=moment,
                limit=limit,
            )
        else:
            facts = await known_facts(
                connection,
                owner_id=locum.owner_id,
                reader=who,
                subject_kind=kind,
                contact_id=contact,
                as_of=moment,
                limit=limit,
            )
        if as_json:
            _print_json({"facts": [asdict(fact) for fact in facts]})
        else:
            out.print(_table(facts))

    _run(work)


def show_fact(fact: FactArgument, *, as_json: JsonOption = False) -> None:
    """One fact: its sources, your corrections, and what it replaced and was replaced by."""

    async def work(locum: Locum, connection: Connection) -> None:
        history = await read_history(connection, locum.owner_id, FactId(fact))
        if as_json:
            _print_json(asdict(history))
            return
        out.print(_table([*history.older, history.fact, *history.newer]))
        for edit in history.edits:
            out.print(said(f"until {edit.edited_at:%Y-%m-%d %H:%M}: {edit.statement_before}"))
        for source in history.sources:
            place = f"{source.sent_at:%Y-%m-%d %H:%M} {source.chat_title}"
            out.print(said(f"{place} · {source.sender}: {source.text}  [{source.platform_message_id}]"))

    _run(work)


def correct(
    fact: FactArgument,
    text: Annotated[str, typer.Argument(help="The statement as it should be, in the third person.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Say it right. Your wording outlives re-reading; it is known to whom the fact was known to."""

    async def work(locum: Locum, connection: Connection) -> None:
        corrected = await correct_fact(connection, locum.owner_id, FactId(fact), text)
        _show_changed(corrected, as_json=as_json)

    _run(work)


def pin(
    fact: FactArgument,
    *,
    off: Annotated[bool, typer.Option("--off", help="No longer.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a fact first in every profile and prompt that may hold it."""

    async def work(locum: Locum, connection: Connection) -> None:
        pinned = await pin_fact(connection, locum.owner_id, FactId(fact), pinned=not off)
        _show_changed(pinned, as_json=as_json)

    _run(work)


def hide(
    fact: FactArgument,
    *,
    off: Annotated[bool, typer.Option("--off", help="No longer.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Keep a fact, and use it nowhere."""

    async def work(locum: Locum, connection: Connection) -> None:
        hidden = await hide_fact(connection, locum.owner_id, FactId(fact), hidden=not off)
        _show_changed(hidden, as_json=as_json)

    _run(work)


def forget(
    kind: Annotated[
        Kind | None, typer.Argument(help="What is to be forgotten; nothing with --before.")
    ] = None,
    what: Annotated[
        str, typer.Argument(help="Which: a number, a platform's id, or a name; nothing with 'everything'.")
    ] = "",
    *,
    before: Annotated[
        str | None, typer.Option("--before", help="All that was said before that day: YYYY-MM-DD.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    keep_messages: Annotated[
        bool, typer.Option("--keep-messages", help="With 'fact': remove the fact alone, for good.")
    ] = False,
    purge: Annotated[
        bool, typer.Option("--purge", help="Also write the files anew at once, not in the coming night.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what will go, ask, and remove it everywhere it left a trace.

    A fact goes with the messages that say it, a topic with its messages. 'everything' leaves your logins,
    rules and the audit; what is said from then on is kept as before. Adapters that learned from any of it
    are retired at once. What is removed is gone for every query at once, and in the next night, or with
    --purge now, from the pages of the database and its log. Backups made before keep it.
    """

    async def work(locum: Locum, connection: Connection) -> None:
        if keep_messages:
            await _bury(connection, locum, kind, what, yes=yes, as_json=as_json)
            return
        target = await _target(connection, locum, kind, what, before)
        async with connection.transaction(force_rollback=True):
            would = await forgetting.forget(connection, locum.owner_id, target)
        if not _agreed(would, yes=yes, as_json=as_json):
            return
        gone = await forgetting.forget(connection, locum.owner_id, target)
        _show_forgotten(gone, forgotten=True, as_json=as_json)

    async def afterwards(locum: Locum) -> None:
        await refresh_profiles(locum.database, locum.owner_id)
        if purge:
            done = await purge_now(locum)
            notes.print(said(purged(done, backups_left(locum.settings.home))))

    _run(work, then=afterwards)


def extract(*, as_json: JsonOption = False) -> None:
    """Read what is new: closed sessions become facts, commitments, profiles, summaries and topics.

    Safe to stop and repeat. Topics are found among messages that have vectors: 'locum index' makes them.
    """

    async def main() -> None:
        settings = load_settings()
        async with open_locum(settings) as locum:
            teachers = await open_teachers(locum)
            teacher, outside = teachers.get(locum.owner_id), leaves_machine(settings.teacher_url)
            bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=notes)
            with bar:
                task = bar.add_task("sessions", total=None)
                report = await extract_new(
                    locum.database,
                    locum.owner_id,
                    teacher=teacher,
                    teacher_outside=outside,
                    on_progress=lambda done, total: bar.update(task, completed=done, total=total),
                )
                gathered = await gather_new(
                    locum.database,
                    locum.owner_id,
                    await asyncio.to_thread(embedder_name, settings),
                    teacher=teacher,
                    teacher_outside=outside,
                    on_progress=lambda what, done, total: bar.update(
                        task, description=what, completed=done, total=total
                    ),
                )
        told = {key: value for key, value in asdict(report).items() if key != "fact_ids"}
        if as_json:
            _print_json(told | {"gathered": asdict(gathered)})
        else:
            out.print(
                f"{report.sessions_read} sessions read: {report.facts} facts, {report.commitments} commitments, "
                f"{gathered.summaries} summaries; {gathered.messages_grouped} messages grouped, "
                f"{gathered.topics_named} topics named."
            )

    asyncio.run(main())


# ─── Shared by the commands ──────────────────────────────────────────────────────────────────


def _run(
    work: Callable[[Locum, Connection], Awaitable[None]],
    *,
    then: Callable[[Locum], Awaitable[object]] | None = None,
) -> None:
    async def main() -> None:
        async with open_locum(load_settings()) as locum:
            async with locum.database.owner(locum.owner_id) as connection:
                await work(locum, connection)
            if then is not None:
                await then(locum)

    asyncio.run(main())


def _end_of_day(text: str | None, settings: Settings) -> datetime | None:
    """The last moment of that day, in the owner's time zone."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"'{text}' is no day: give it as 2026-06-30.") from None
    after = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(settings.time_zone))
    return (after - timedelta(microseconds=1)).astimezone(UTC)


def _start_of_day(text: str | None, settings: Settings) -> datetime:
    """The first moment of that day, in the owner's time zone."""
    end = _end_of_day(text, settings)
    assert end is not None, "a day is given"  # noqa: S101 -- for the type checker
    return (end + timedelta(microseconds=1)).astimezone(ZoneInfo(settings.time_zone)) - timedelta(days=1)


async def _reader(connection: Connection, locum: Locum, text: str | None) -> Reader | None:
    return None if text in (None, "owner") else await find_reader(connection, locum.owner_id, text)


async def _target(
    connection: Connection, locum: Locum, kind: Kind | None, what: str, before: str | None
) -> Target:
    if (kind is None) == (before is None):
        raise BadInput(
            "Say what is to be forgotten, as in 'forget contact Ines', or --before a day; not both."
        )
    if kind is not None and (kind is Kind.EVERYTHING) == bool(what):
        raise BadInput("Give which one; 'everything' stands alone.")
    match kind:
        case None:
            return await forgetting.find_before(
                connection, locum.owner_id, _start_of_day(before, locum.settings)
            )
        case Kind.EVERYTHING:
            return await forgetting.find_everything(connection, locum.owner_id)
        case Kind.TOPIC:
            return await forgetting.find_topic(connection, locum.owner_id, what)
        case Kind.MESSAGE:
            return await forgetting.find_message(connection, locum.owner_id, what)
        case Kind.FACT:
            return await forgetting.find_fact(connection, locum.owner_id, _number(what))
        case Kind.CONTACT:
            return await forgetting.find_everything_of(connection, locum.owner_id, what)
        case Kind.CHAT:
            return await forgetting.find_whole_chat(connection, locum.owner_id, what)


async def _bury(
    connection: Connection, locum: Locum, kind: Kind | None, what: str, *, yes: bool, as_json: bool
) -> None:
    if kind != Kind.FACT:
        raise BadInput("--keep-messages goes with 'fact': a message cannot be forgotten and kept.")
    fact = await read_fact(connection, locum.owner_id, _number(what))
    if _agreed(Forgotten(facts=1), yes=yes, as_json=as_json):
        await bury_fact(connection, locum.owner_id, fact.id)
        _show_forgotten(Forgotten(facts=1), forgotten=True, as_json=as_json)


def _number(text: str) -> FactId:
    if not text.isdigit():
        raise BadInput(f"'{text}' is no fact's number: 'locum memory facts' shows them.")
    return FactId(int(text))


def _agreed(would: Forgotten, *, yes: bool, as_json: bool) -> bool:
    """Whether to go on; where nobody can be asked, what would go is told, and it is left."""
    if yes:
        return True
    if as_json or not sys.stdin.isatty():
        _show_forgotten(would, forgotten=False, as_json=as_json)
        return False
    notes.print(_counts(would), highlight=False)
    return typer.confirm("Forget all of this?", err=True)


def _counts(gone: Forgotten) -> str:
    told = {key: value for key, value in asdict(gone).items() if isinstance(value, int) and value}
    return ", ".join(f"{value} {key.replace('_', ' ')}" for key, value in told.items()) or "nothing"


def _show_forgotten(gone: Forgotten, *, forgotten: bool, as_json: bool) -> None:
    if as_json:
        _print_json({"forgotten": forgotten, **asdict(gone)})
    else:
        out.print(
            f"Forgotten: {_counts(gone)}."
            if forgotten
            else f"Would go: {_counts(gone)}. Add --yes to do it.",
            highlight=False,
        )


def _show_changed(fact: Fact, *, as_json: bool) -> None:
    if as_json:
        _print_json(asdict(fact))
    else:
        out.print(_table([fact]))


def _table(facts: list[Fact] | list[KnownFact]) -> Table:
    table = Table("fact", "statement", "kind", "since", "until", "sure", "")
    for fact in facts:
        number = fact.id if isinstance(fact, Fact) else fact.fact_id
        marks = [mark for mark in ("pinned", "hidden", "hearsay") if getattr(fact, mark, False)]
        until = f"{fact.valid_to:%Y-%m-%d}" if fact.valid_to else ""
        table.add_row(
            str(number),
            said(fact.statement),
            fact.kind,
            f"{fact.valid_from:%Y-%m-%d}",
            until,
            f"{fact.confidence:.2f}",
            " ".join(marks),
        )
    return table


def _print_json(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told, default=_jsonable, ensure_ascii=False) + "\n")


def _jsonable(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
