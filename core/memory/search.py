"""Search: the one road from stored text to a prompt, for one owner and before one reader's eyes.

Each function is one round trip to an SQL function that checks owner and reader itself
(0002_search.sql); nothing here widens what it returns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from psycopg.rows import TupleRow, class_row

from core.audience import Reader
from core.ids import ChatId, MessageId, OwnerId, ThreadId
from core.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One row found: `score` orders hits of one kind within one search, and means nothing across."""

    kind: Literal["message", "fact"]
    id: int
    chat_id: int | None
    score: float
    lexical: float | None
    lexical_window: float | None
    dense: float | None
    dense_window: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One message of a chat, as a prompt or a card shows it."""

    id: MessageId
    sender_id: int | None
    sender_name: str
    origin: str
    text: str
    caption: str
    sent_at: datetime
    platform_message_id: str
    reply_to: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastReply:
    """What the owner typed to something like the query; `reply` joins the burst by newlines."""

    asked_id: MessageId
    reply_ids: list[MessageId]
    reply: str
    asked: str
    replied_at: datetime
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one look at memory found for a turn."""

    hits: list[Hit]
    past: list[PastReply]


def as_halfvec(vector: NDArray[np.float32] | None) -> HalfVector | None:
    return None if vector is None else HalfVector(vector)


async def search_memory(
    connection: Connection,
    *,
    owner_id: OwnerId,
    reader: Reader,
    query: str,
    vector: NDArray[np.float32] | None,
    model: str,
    limit: int,
    facts: int = 0,
    chat_id: ChatId | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    as_of: datetime | None = None,
    drafting: bool = False,
) -> list[Hit]:
    """The best messages, then the best facts, each best first.

    `vector` has shape (dimension,) and length 1, made by `model`; without it only words count.
    Messages are of [since, until); facts are those valid at `as_of`, else those valid now.
    """
    async with connection.cursor(row_factory=class_row(Hit)) as cursor:
        await cursor.execute(
            """
            SELECT kind, id, chat_id, score, lexical, lexical_window, dense, dense_window
            FROM search_memory(%s, %s, %s, %s, %s, %s, %s, %s, %s,
                               coalesce(%s::timestamptz, '-infinity'), coalesce(%s::timestamptz, 'infinity'),
                               coalesce(%s::timestamptz, 'infinity'), %s)""",
            [
                owner_id, reader.kind, reader.id, query, as_halfvec(vector), model, limit, facts, chat_id,
                since, until, as_of, drafting,
            ],
        )  # fmt: skip
        return await cursor.fetchall()


async def recent_turns(
    connection: Connection,
    *,
    owner_id: OwnerId,
    chat_id: ChatId,
    thread_id: ThreadId | None,
    until: datetime,
    limit: int,
    drafting: bool = False,
) -> list[Spoken]:
    """The chat's own last messages before `until` that all who are in it now may learn, oldest first.

    `drafting` leaves out what came from a source that may not be drafted from.
    """
    async with connection.cursor(row_factory=class_row(Spoken)) as cursor:
        await cursor.execute(
            """
            SELECT id, sender_id, sender_name, origin, text, caption, sent_at, platform_message_id, reply_to
            FROM recent_turns(%s, %s, %s, %s, %s, %s)""",
            [owner_id, chat_id, thread_id, until, limit, drafting],
        )
        return await cursor.fetchall()


async def recall_memory(
    connection: Connection,
    *,
    owner_id: OwnerId,
    reader: Reader,
    query: str,
    vector: NDArray[np.float32] | None,
    model: str,
    until: datetime | None = None,
    limit: int = 0,
    facts: int = 0,
    past: int = 0,
) -> Found:
    """What a draft needs of memory for one turn, at the price of one search.

    Hits are as `search_memory` gives them; past replies are those that the owner typed to messages
    like `query`, likest first. Everything is of before `until` (default now), and from sources that
    may be drafted from.
    """
    async with connection.cursor() as cursor:
        await cursor.execute(
            """
            SELECT kind, id, chat_id, score, lexical, lexical_window, dense, dense_window,
                   reply_ids, reply, asked, replied_at
            FROM recall_memory(%s, %s, %s, %s, %s, %s, coalesce(%s::timestamptz, 'infinity'), %s, %s, %s)""",
            [
                owner_id, reader.kind, reader.id, query, as_halfvec(vector), model, until, limit, facts, past,
            ],
        )  # fmt: skip
        rows = await cursor.fetchall()
    return Found(
        hits=[_hit(row) for row in rows if row[0] != "past"],
        past=[_past(row) for row in rows if row[0] == "past"],
    )


def _hit(row: TupleRow) -> Hit:
    kind, id_, chat_id, score, lexical, lexical_window, dense, dense_window = row[:8]
    return Hit(
        kind=kind,
        id=id_,
        chat_id=chat_id,
        score=score,
        lexical=lexical,
        lexical_window=lexical_window,
        dense=dense,
        dense_window=dense_window,
    )


def _past(row: TupleRow) -> PastReply:
    reply_ids, reply, asked, replied_at = row[8:]
    return PastReply(
        asked_id=MessageId(row[1]),
        reply_ids=reply_ids,
        reply=reply,
        asked=asked,
        replied_at=replied_at,
        score=row[3],
    )


async def read_messages(
    connection: Connection, *, owner_id: OwnerId, reader: Reader, ids: Sequence[int]
) -> list[Spoken]:
    """Those of the messages that the reader may see, in time order."""
    async with connection.cursor(row_factory=class_row(Spoken)) as cursor:
        await cursor.execute(
            """
            SELECT id, sender_id, sender_name, origin, text, caption, sent_at, platform_message_id, reply_to
            FROM read_messages(%s, %s, %s, %s)""",
            [owner_id, reader.kind, reader.id, list(ids)],
        )
        return await cursor.fetchall()
