"""`locum reply` drafts without sending; `locum why` tells how a draft came about; the owner's switches."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from core.clock import Clock, FixedClock, SystemClock
from core.errors import BadInput
from core.ids import ChatId, DraftId, MessageId, OwnerId
from core.memory.messages import StoredMessage
from core.memory.references import find_chat
from core.models.choose import open_embedder, open_generator
from core.models.outside import outside_models
from core.policy import pause, set_kill_switch, set_mode, set_quiet_hours
from core.reply.cards import read_evidence
from core.reply.compose import Candidate
from core.reply.decide import Judgement, decide, would_answer
from core.reply.gate import Slate
from core.reply.journal import Journal
from core.reply.path import ReplyPath
from core.reply.situation import Account, Situation, read_account, situation_of, waiting_lines
from core.reply.timing import timing
from core.runtime import Locum, open_expert_of, open_locum
from core.settings import Settings, load_settings
from core.storage.database import Connection
from core.terminal import said
from core.vocabulary import Decision, Mode, Origin

out = Console()
JSON_OPTION = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `locum`."""
    app.command()(reply)
    app.command()(why)
    app.command()(mode)
    app.command(name="pause")(pause_drafts)
    app.command()(resume)
    app.command()(kill)
    app.command()(quiet)


# ─── reply ───────────────────────────────────────────────────────────────────────────────────


def reply(
    chat: Annotated[str, typer.Option(help="The chat: its title, its contact's name, or its id.")],
    text: Annotated[
        str, typer.Option(help="What the contact says; without it, what waits for an answer.")
    ] = "",
    sender: Annotated[str, typer.Option(help="Who says it, in a group; a direct chat knows.")] = "",
    at: Annotated[str, typer.Option(help="Draft as of this moment of the past, ISO 8601.")] = "",
    as_json: JSON_OPTION = False,
) -> None:
    """Draft a slate for a chat, and send nothing."""
    moment = _moment(at)
    result = asyncio.run(_reply(load_settings(), chat, text, sender, moment))
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
    else:
        print_slate(result)


def _moment(at: str) -> datetime | None:
    if not at:
        return None
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise BadInput(f"--at wants a time such as 2026-05-01T18:30:00+02:00, not {at!r}.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _reply(
    settings: Settings, chat: str, text: str, sender: str, moment: datetime | None
) -> dict[str, Any]:
    clock: Clock = FixedClock(moment) if moment else SystemClock()
    async with open_locum(settings) as locum:
        async with locum.database.owner(locum.owner_id) as connection:
            found = await find_chat(connection, locum.owner_id, chat)
            account = await _account_of(connection, locum.owner_id, found.id)
            incoming = await _incoming(connection, account, found.id, text, sender, clock.now())
            situation = await situation_of(
                connection, account, found.id, None, incoming, clock.now(), asked=True
            )
        return await _draft(locum, situation, clock)


async def _draft(locum: Locum, situation: Situation, clock: Clock) -> dict[str, Any]:
    judgement = decide(situation)
    journal = Journal()
    journal.note("decide", judgement.decision, why=judgement.why, risks=sorted(judgement.risks))
    if judgement.decision is Decision.SILENT:
        slate = Slate(decision=Decision.SILENT, why=judgement.why, shown=(), left_out=())
        return await _result(locum, situation, judgement, slate, journal)
    async with open_expert_of(locum) as expert:
        embedder = await open_embedder(locum.settings)
        generator = await open_generator(locum.settings)
        path = ReplyPath(
            database=locum.database,
            embedder=embedder,
            generator=generator,
            clock=clock,
            timing=timing(locum.settings),
            outside=outside_models(locum.settings),
            worker="reply",
            expert=expert,
        )
        try:
            slate = await path.draft(situation, judgement, journal)
        finally:
            await embedder.close()
            await generator.close()
    return await _result(locum, situation, judgement, slate, journal)


async def _account_of(connection: Connection, owner_id: OwnerId, chat_id: ChatId) -> Account:
    cursor = await connection.execute(
        "SELECT account_id FROM chats WHERE owner_id = %s AND id = %s", [owner_id, chat_id]
    )
    row = await cursor.fetchone()
    if row is None:
        raise BadInput(f"There is no chat {chat_id}.")
    return await read_account(connection, owner_id, row[0])


async def _incoming(
    connection: Connection, account: Account, chat_id: ChatId, text: str, sender: str, now: datetime
) -> tuple[StoredMessage, ...]:
    """What is to be answered: the supposed text, else the contact's lines since the owner last spoke."""
    if not text:
        waiting = await waiting_lines(connection, account.owner_id, chat_id, now)
        if not waiting:
            raise BadInput(
                "Nothing waits for an answer in this chat: say what the contact writes with --text."
            )
        return waiting
    sender_id, name = await _sender(connection, account, chat_id, sender)
    return (
        StoredMessage(
            id=MessageId(0),
            chat_id=chat_id,
            thread_id=None,
            platform_message_id="",
            sender_id=sender_id,
            sender_name=name,
            origin=Origin.CONTACT,
            sent_at=now,
            text=text,
            caption="",
            reply_to=None,
            mentions_owner=False,
            deleted=False,
        ),
    )


async def _sender(connection: Connection, account: Account, chat_id: ChatId, sender: str) -> tuple[int, str]:
    """The account of a member of the chat by name or platform id; in a direct chat of its contact."""
    cursor = await connection.execute(
        """
        SELECT DISTINCT a.id, coalesce(nullif(a.display_name, ''), c.display_name), a.platform_user_id
        FROM chat_members m
        JOIN contacts c ON c.owner_id = m.owner_id AND c.id = m.contact_id
        JOIN contact_accounts a ON a.owner_id = c.owner_id AND a.contact_id = c.id AND a.platform = %s
        WHERE m.owner_id = %s AND m.chat_id = %s""",
        [account.platform, account.owner_id, chat_id],
    )
    people = [(int(row[0]), str(row[1]), str(row[2])) for row in await cursor.fetchall()]
    fitting = [one for one in people if not sender or sender.lower() in (one[1].lower(), one[2].lower())]
    if len(fitting) != 1:
        names = ", ".join(sorted(name for _, name, _ in people)[:12])
        raise BadInput(f"Say with --sender who writes; this chat knows {names or 'nobody yet'}.")
    return fitting[0][0], fitting[0][1]


async def _result(
    locum: Locum, situation: Situation, judgement: Judgement, slate: Slate, journal: Journal
) -> dict[str, Any]:
    speaks, rule = would_answer(situation) if situation.text else (False, "nothing is left to answer")
    async with locum.database.owner(locum.owner_id) as connection:
        drafts = [await _shown(connection, locum.owner_id, candidate) for candidate in slate.shown]
    return {
        "chat": situation.chat_title,
        "incoming": [message.words for message in situation.incoming],
        "decision": slate.decision.value,
        "why": slate.why,
        "would_answer": speaks,
        "rule": rule,
        "risks": sorted(judgement.risks),
        "drafts": drafts,
        "left_out": [
            {"text": candidate.text, "origin": candidate.origin.value, "reason": candidate.dropped}
            for candidate in slate.left_out
        ],
        "stages": [
            {"stage": e.stage, "decided": e.decided, "why": e.why, "took_ms": round(e.took_ms, 1)}
            for e in journal.entries
        ],
    }


async def _shown(connection: Connection, owner_id: OwnerId, candidate: Candidate) -> dict[str, Any]:
    cursor = await connection.execute(
        """
        SELECT m.platform_message_id, m.sender_name, m.sent_at, m.text FROM messages m
        WHERE m.owner_id = %s AND m.id = ANY (%s) ORDER BY m.sent_at, m.id""",
        [owner_id, list(candidate.evidence)],
    )
    return {
        "text": candidate.text,
        "intent": candidate.intent.value,
        "origin": candidate.origin.value,
        "confidence": candidate.confidence,
        "risks": sorted(candidate.risks),
        "adapter": candidate.adapter.name if candidate.adapter else None,
        "note": candidate.note,
        "evidence": [
            {"message_id": row[0], "sender": row[1], "sent_at": row[2].isoformat(), "text": row[3]}
            for row in await cursor.fetchall()
        ],
    }


def print_slate(result: dict[str, Any]) -> None:
    for line in result["incoming"]:
        out.print(said(f"{result['chat']}:", "dim"), said(line))
    if not result["drafts"]:
        out.print(f"No draft: {result['why']}.")
    for number, draft in enumerate(result["drafts"], start=1):
        risks = f" · {', '.join(draft['risks'])}" if draft["risks"] else ""
        out.print(said(f"\n{number}.", "bold"), said(draft["text"]))
        out.print(said(f"   {draft['intent']} · {draft['origin']} · {draft['confidence']:.2f}{risks}", "dim"))
        if draft["note"]:
            out.print(said(f"   · {draft['note']}", "dim"))
        for evidence in draft["evidence"][:4]:
            out.print(
                said(f"   · {evidence['sent_at'][:10]} {evidence['sender']}: {evidence['text']}", "dim")
            )


# ─── why ─────────────────────────────────────────────────────────────────────────────────────


def why(
    draft: Annotated[int, typer.Argument(help="The draft's number, as its card shows it.")],
    as_json: JSON_OPTION = False,
) -> None:
    """What each stage decided about a draft, and why."""
    result = asyncio.run(_why(load_settings(), DraftId(draft)))
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
        return
    table = Table(title=said(f"Draft {draft}: {result['text']}"), caption=said(whence(result)))
    for column in ("stage", "decided", "why", "ms"):
        table.add_column(column)
    for stage in result["stages"]:
        reasons = "; ".join(f"{key}: {value}" for key, value in stage["why"].items() if value not in ("", []))
        table.add_row(stage["stage"], stage["decided"], said(reasons), f"{stage['took_ms']:.0f}")
    out.print(table)


def whence(result: dict[str, Any]) -> str:
    """Where a draft's words come from, and what was noted of it."""
    return " · ".join(part for part in (f"from: {result['origin']}", result["reason"]) if part)


async def _why(settings: Settings, draft_id: DraftId) -> dict[str, Any]:
    async with open_locum(settings) as locum, locum.database.owner(locum.owner_id) as connection:
        cursor = await connection.execute(
            """
            SELECT turn_id, version, text, state, reason, origin FROM drafts WHERE owner_id = %s AND id = %s""",
            [locum.owner_id, draft_id],
        )
        row = await cursor.fetchone()
        if row is None:
            raise BadInput(f"There is no draft {draft_id}.")
        cursor = await connection.execute(
            """
            SELECT stage, decided, why, took_ms FROM stages
            WHERE owner_id = %s AND turn_id = %s AND version = %s ORDER BY id""",
            [locum.owner_id, row[0], row[1]],
        )
        stages = await cursor.fetchall()
        evidence = await read_evidence(connection, locum.owner_id, draft_id)
    return {
        "draft": draft_id,
        "text": row[2],
        "state": row[3],
        "reason": row[4],
        "origin": row[5],
        "evidence": [item.message_id for item in evidence],
        "stages": [{"stage": s[0], "decided": s[1], "why": s[2], "took_ms": s[3]} for s in stages],
    }


# ─── the owner's switches ────────────────────────────────────────────────────────────────────


def mode(
    chat: Annotated[str, typer.Argument(help="The chat: its title, its contact's name, or its id.")],
    value: Annotated[Literal["off", "suggest", "auto"], typer.Argument(help="The chat's ceiling.")],
) -> None:
    """Set what Locum may do in a chat."""

    async def change(connection: Connection, owner_id: OwnerId) -> str:
        found = await find_chat(connection, owner_id, chat)
        await set_mode(connection, owner_id, found.id, Mode(value))
        return f"{found.title or chat}: {value}."

    out.print(said(asyncio.run(_change(change))))


def pause_drafts(
    hours: Annotated[float, typer.Option(help="For how long.", min=0.01)] = 8.0,
    chat: Annotated[str, typer.Option(help="Only this chat.")] = "",
) -> None:
    """Make no drafts and send nothing unasked for a while."""
    until = datetime.now(UTC) + timedelta(hours=hours)
    out.print(asyncio.run(_change(lambda c, o: _pause(c, o, chat, until))))


def resume(chat: Annotated[str, typer.Option(help="Only this chat.")] = "") -> None:
    """End a pause."""
    out.print(asyncio.run(_change(lambda c, o: _pause(c, o, chat, None))))


async def _pause(connection: Connection, owner_id: OwnerId, chat: str, until: datetime | None) -> str:
    chat_id = (await find_chat(connection, owner_id, chat)).id if chat else None
    await pause(connection, owner_id, until, chat_id)
    return f"Paused until {until:%Y-%m-%d %H:%M} UTC." if until else "Not paused any more."


def kill(
    state: Annotated[Literal["on", "off"], typer.Argument(help="on: nothing leaves, whoever presses what.")],
) -> None:
    """The kill switch."""

    async def change(connection: Connection, owner_id: OwnerId) -> str:
        await set_kill_switch(connection, owner_id, on=state == "on")
        return f"The kill switch is {state}."

    out.print(said(asyncio.run(_change(change))))


def quiet(
    hours: Annotated[str, typer.Argument(help="Local times such as 22:30-07:00, or off.")],
) -> None:
    """Hours in which drafts wait and nothing is sent unasked."""
    start, end = _hours(hours)

    async def change(connection: Connection, owner_id: OwnerId) -> str:
        await set_quiet_hours(connection, owner_id, start, end)
        return "No quiet hours." if start is None else f"Quiet from {start:%H:%M} until {end:%H:%M}."

    out.print(said(asyncio.run(_change(change))))


def _hours(text: str) -> tuple[time | None, time | None]:
    if text == "off":
        return None, None
    try:
        start, end = (time.fromisoformat(part.strip()) for part in text.split("-"))
    except ValueError:
        raise BadInput(f"Quiet hours are written 22:30-07:00, or off; not {text!r}.") from None
    return start, end


async def _change(change: Callable[[Connection, OwnerId], Awaitable[str]]) -> str:
    async with open_locum(load_settings()) as locum, locum.database.owner(locum.owner_id) as connection:
        return await change(connection, locum.owner_id)
