"""`locum bench moments`: what Locum would have drafted when a real person answered.

A history is imported whole with one frequent person as the owner. Moments are drawn from its last
part: somebody addressed the owner by name, and the owner answered within minutes. At each moment
Locum drafts as of then, with nothing later in sight, and the slate is compared with what the person
truly wrote: cosine similarity of embeddings, best draft on the slate and first draft, beside the same
number of the person's earlier replies drawn at random. The trigger is asked about as many moments
at which the person was not addressed and kept silent. Names and texts stay out of the report.
"""

import asyncio
import json
import random
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from psycopg.rows import class_row
from rich.console import Console

from core.bench.scratch import describe_machine, scratch_database
from core.clock import Clock, FixedClock
from core.errors import BadInput
from core.history.importing import Wishes, import_history
from core.ids import AccountId, ChatId, MessageId, OwnerId
from core.memory.index import index_messages, place_messages
from core.memory.membership import ensure_audience
from core.memory.messages import StoredMessage, read_span
from core.models.choose import open_embedder, open_generator
from core.models.faces import Embedder, Generator
from core.owners import ensure_owner
from core.reply.decide import decide
from core.reply.gate import Slate
from core.reply.journal import Journal
from core.reply.path import ReplyPath
from core.reply.situation import read_account, situation_of
from core.reply.timing import timing
from core.settings import Settings, load_settings
from core.storage.database import Connection, Database
from core.terminal import said
from core.vocabulary import Decision

HELD_OUT = 0.15
"""The last share of the history, in messages, from which moments are drawn."""

SOON = timedelta(minutes=10)
RESAMPLES = 2000

screen = Console(stderr=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One burst that was said, and what the owner then wrote; None where the owner kept silent."""

    chat_id: ChatId
    first_id: MessageId
    last_id: MessageId
    at: datetime
    reply: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    moment: Moment
    incoming: str
    slate: Slate
    would_speak: bool


def register(bench: typer.Typer) -> None:
    bench.command(name="moments")(moments)


def moments(
    file: Annotated[Path, typer.Option(help="Neutral JSONL, plain or gzip.")],
    owner: Annotated[str, typer.Option(help="The sender id of the person who is the owner.")],
    count: Annotated[int, typer.Option(min=1, help="Moments of each kind.")] = 20,
    index_minutes: Annotated[float, typer.Option(help="Stop making vectors after this long.")] = 30.0,
    seed: Annotated[int, typer.Option(help="Draws the moments.")] = 1,
    show: Annotated[bool, typer.Option(help="Print each moment and its slate on the terminal.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Draft at held-out moments of a real person, and compare with what they wrote."""
    report = asyncio.run(_measure(load_settings(), file, owner, count, index_minutes, seed, show=show))
    if as_json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        Console().print_json(json.dumps(report))


async def _measure(
    settings: Settings, file: Path, owner: str, count: int, index_minutes: float, seed: int, *, show: bool
) -> dict[str, Any]:
    embedder, generator = await open_embedder(settings), await open_generator(settings)
    try:
        async with scratch_database(settings) as database:
            owner_id = await ensure_owner(database, "bench", display_name=owner)
            report = await import_history(database, owner_id, file, Wishes(format="jsonl", owners=(owner,)))
            await _open_to_all(database, owner_id)
            indexed = await _index(database, owner_id, embedder, index_minutes)
            drawn = await _draw(database, owner_id, owner, count, seed)
            outcomes = [await _draft(settings, database, owner_id, m, embedder, generator) for m in drawn]
            if show:
                _show(outcomes)
            return {
                "messages": report.messages_new,
                "vectors": indexed,
                **await _compare(database, owner_id, outcomes, embedder, seed),
                "model": generator.name,
                "machine": await describe_machine(database),
            }
    finally:
        await embedder.close()
        await generator.close()


async def _open_to_all(database: Database, owner_id: OwnerId) -> None:
    """These corpora are public: everything in them may be used wherever it was said."""
    async with database.owner(owner_id) as connection:
        anyone = await ensure_audience(connection, owner_id, "anyone")
        await connection.execute("UPDATE chats SET audience_id = %s WHERE owner_id = %s", [anyone, owner_id])
        await connection.execute(
            "UPDATE messages SET audience_id = %s WHERE owner_id = %s", [anyone, owner_id]
        )


async def _index(database: Database, owner_id: OwnerId, embedder: Embedder, minutes: float) -> int:
    """Vectors made in the time given; what has none is found by its words."""
    await place_messages(database, owner_id)
    try:
        async with asyncio.timeout(minutes * 60):
            await index_messages(database, owner_id, embedder)
    except TimeoutError:
        screen.print("Time is up for vectors; going on with those that were made.")
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute("SELECT count(*) FROM embeddings WHERE owner_id = %s", [owner_id])
        row = await cursor.fetchone()
    return int(row[0]) if row else 0


# ─── drawing moments ─────────────────────────────────────────────────────────────────────────


async def _draw(database: Database, owner_id: OwnerId, owner: str, count: int, seed: int) -> list[Moment]:
    async with database.owner(owner_id) as connection:
        tail = await _tail(connection, owner_id)
    named, unnamed, silent = _moments_in(tail, owner)
    if not named and not unnamed:
        raise BadInput(f"{owner} answers nobody in the last part of this history.")
    draw = random.Random(seed)  # noqa: S311 -- a sample, not a secret
    for moments_of_a_kind in (named, unnamed, silent):
        draw.shuffle(moments_of_a_kind)
    return [*[*named, *unnamed][:count], *silent[:count]]


async def _tail(connection: Connection, owner_id: OwnerId) -> list[StoredMessage]:
    async with connection.cursor(row_factory=class_row(StoredMessage)) as cursor:
        await cursor.execute(
            """
            SELECT id, chat_id, thread_id, platform_message_id, sender_id, sender_name, origin, sent_at, text,
                   caption, reply_to, mentions_owner, false AS deleted
            FROM messages WHERE owner_id = %(owner)s
              AND sent_at >= (SELECT percentile_disc(%(from)s) WITHIN GROUP (ORDER BY sent_at) FROM messages
                              WHERE owner_id = %(owner)s)
            ORDER BY chat_id, sent_at, id""",
            {"owner": owner_id, "from": 1 - HELD_OUT},
        )
        return await cursor.fetchall()


def _moments_in(tail: list[StoredMessage], owner: str) -> tuple[list[Moment], list[Moment], list[Moment]]:
    """Bursts that the owner answered next, naming the owner or not; bursts that did neither."""
    named: list[Moment] = []
    unnamed: list[Moment] = []
    silent: list[Moment] = []
    burst: list[StoredMessage] = []
    for message, following in zip(tail, [*tail[1:], None], strict=True):
        if burst and (burst[-1].sender_id, burst[-1].chat_id) != (message.sender_id, message.chat_id):
            burst = []
        burst.append(message)
        if message.by_owner or following is None or following.sender_id == message.sender_id:
            continue
        soon = following.chat_id == message.chat_id and following.sent_at - message.sent_at < SOON
        is_named = owner.lower() in " ".join(said.text for said in burst).lower()
        if following.by_owner and soon:
            (named if is_named else unnamed).append(_moment(burst, following.sent_at, following.text))
        elif not is_named:
            silent.append(_moment(burst, message.sent_at + timedelta(seconds=5), None))
    return named, unnamed, silent


def _moment(burst: list[StoredMessage], at: datetime, reply: str | None) -> Moment:
    return Moment(chat_id=burst[-1].chat_id, first_id=burst[0].id, last_id=burst[-1].id, at=at, reply=reply)


# ─── drafting and comparing ──────────────────────────────────────────────────────────────────


async def _draft(
    settings: Settings,
    database: Database,
    owner_id: OwnerId,
    moment: Moment,
    embedder: Embedder,
    generator: Generator,
) -> Outcome:
    clock: Clock = FixedClock(moment.at)
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute(
            "SELECT account_id FROM chats WHERE owner_id = %s AND id = %s", [owner_id, moment.chat_id]
        )
        row = await cursor.fetchone()
        account = await read_account(connection, owner_id, AccountId(int(row[0]) if row else 0))
        span = await read_span(connection, owner_id, moment.chat_id, None, moment.first_id, moment.last_id)
        lines = tuple(said for said in span if not said.by_owner)
        idle, asked = [
            await situation_of(connection, account, moment.chat_id, None, lines, moment.at, asked=asked)
            for asked in (False, True)
        ]
    path = ReplyPath(
        database=database,
        embedder=embedder,
        generator=generator,
        clock=clock,
        timing=timing(settings),
        worker="bench",
    )
    nothing = Slate(decision=Decision.SILENT, why="", shown=(), left_out=())
    slate = await path.draft(asked, decide(asked), Journal()) if moment.reply is not None else nothing
    would_speak = decide(idle).decision is not Decision.SILENT
    return Outcome(moment=moment, incoming=idle.text, slate=slate, would_speak=would_speak)


async def _compare(
    database: Database, owner_id: OwnerId, outcomes: list[Outcome], embedder: Embedder, seed: int
) -> dict[str, Any]:
    answered = [o for o in outcomes if o.moment.reply is not None]
    silent = [o for o in outcomes if o.moment.reply is None]
    pool = await _earlier_replies(database, owner_id, min(o.moment.at for o in answered))
    draw = random.Random(seed)  # noqa: S311 -- a sample, not a secret
    first: list[float] = []
    best: list[float] = []
    chance: list[float] = []
    for outcome in answered:
        drafts = [candidate.text for candidate in outcome.slate.shown]
        rivals = draw.sample(pool, min(max(len(drafts), 1), len(pool)))
        truth, *others = await embedder.embed([outcome.moment.reply or "", *drafts, *rivals])
        near = [float(truth @ other) for other in others]
        first.append(near[0] if drafts else 0.0)
        best.append(max(near[: len(drafts)], default=0.0))
        chance.append(max(near[len(drafts) :], default=0.0))
    origins = [candidate.origin.value for o in answered for candidate in o.slate.shown]
    return {
        "moments_answered": len(answered),
        "moments_silent": len(silent),
        "slates_with_a_draft": sum(bool(o.slate.shown) for o in answered),
        "drafts_by_origin": {origin: origins.count(origin) for origin in sorted(set(origins))},
        "left_out_model_drafts": sum(c.origin.value == "model" for o in answered for c in o.slate.left_out),
        "similarity_first_draft": _interval(first, seed),
        "similarity_best_of_slate": _interval(best, seed),
        "similarity_random_past_replies": _interval(chance, seed),
        "best_minus_random": _interval([b - c for b, c in zip(best, chance, strict=True)], seed),
        "would_speak_when_answered": _share([o.would_speak for o in answered]),
        "would_speak_when_silent": _share([o.would_speak for o in silent]),
    }


async def _earlier_replies(database: Database, owner_id: OwnerId, before: datetime) -> list[str]:
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute(
            """
            SELECT text FROM messages WHERE owner_id = %s AND origin = 'typed' AND text <> '' AND sent_at < %s
            ORDER BY id""",
            [owner_id, before],
        )
        return [str(row[0]) for row in await cursor.fetchall()]


def _interval(values: list[float], seed: int) -> dict[str, float]:
    """Mean with its 95 % bootstrap interval."""
    numbers = np.array(values)
    drawn = np.random.default_rng(seed).choice(numbers, (RESAMPLES, len(numbers))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {
        "mean": round(float(numbers.mean()), 3),
        "low": round(float(low), 3),
        "high": round(float(high), 3),
    }


def _share(claims: list[bool]) -> float:
    return round(sum(claims) / len(claims), 3) if claims else 0.0


def _show(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.moment.reply is None:
            continue
        screen.print(said("\n>", "dim"), said(outcome.incoming))
        screen.print(said("truth", "green"), said(outcome.moment.reply))
        for candidate in outcome.slate.shown:
            kind = f"{candidate.confidence:.2f} {candidate.origin.value} {candidate.intent.value}"
            screen.print(said(f"  {kind}: {candidate.text}"))
