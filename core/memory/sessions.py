"""A chat cut into sessions, bursts and turns, by its own reply latency."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TypeVar

from psycopg.rows import class_row

from core.ids import ChatId, OwnerId
from core.storage.database import Connection

SHORTEST_GAP = timedelta(minutes=10)
LONGEST_GAP = timedelta(hours=24)
LATENCY_QUANTILE = 0.95
MEASURE_AGAIN_AT = 2
"""The gap is measured again when the chat has grown this many times; until then its cuts stay put."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A closed session that waits to be read."""

    id: int
    chat_id: ChatId
    started_at: datetime
    ended_at: datetime
    message_count: int


def bursts(messages: Sequence[T], author: Callable[[T], object]) -> Iterator[list[T]]:
    """Consecutive messages of one author."""
    for _, run in groupby(messages, key=author):
        yield list(run)


def turns(messages: Sequence[T], is_owner: Callable[[T], bool]) -> Iterator[list[T]]:
    """One side's bursts until the other side speaks; the sides are the owner and everybody else."""
    for _, run in groupby(messages, key=is_owner):
        yield list(run)


async def cut_chat(connection: Connection, owner_id: OwnerId, chat_id: ChatId, *, now: datetime) -> int:
    """Bring the chat's closed sessions up to date, and tell how many changed.

    A session is closed when silence has lasted longer than the chat's gap. Where messages came
    into older sessions (an import, a back-fill), or left them, those are cut anew and will be read
    again; all others keep their row.
    """
    gap = await _session_gap(connection, owner_id, chat_id)
    if gap is None:
        return 0
    values = {"owner": owner_id, "chat": chat_id, "gap": gap, "now": now}
    cursor = await connection.execute(
        """
        WITH ordered AS (
            SELECT id, sent_at, sent_at - lag(sent_at) OVER w > %(gap)s AS opens
            FROM messages WHERE owner_id = %(owner)s AND chat_id = %(chat)s
            WINDOW w AS (ORDER BY sent_at, id)
        ), numbered AS (
            SELECT sent_at, count(*) FILTER (WHERE opens) OVER (ORDER BY sent_at, id) AS run FROM ordered
        ), cut AS (
            SELECT min(sent_at) AS started_at, max(sent_at) AS ended_at, count(*)::integer AS message_count
            FROM numbered GROUP BY run HAVING max(sent_at) + %(gap)s < %(now)s
        ), gone AS (
            DELETE FROM sessions s WHERE s.owner_id = %(owner)s AND s.chat_id = %(chat)s AND NOT EXISTS (
                SELECT FROM cut c WHERE c.started_at = s.started_at AND c.ended_at = s.ended_at
                AND c.message_count = s.message_count)
            RETURNING s.id
        )
        SELECT c.started_at, c.ended_at, c.message_count, (SELECT count(*) FROM gone)
        FROM cut c
        WHERE NOT EXISTS (
            SELECT FROM sessions s WHERE s.owner_id = %(owner)s AND s.chat_id = %(chat)s
            AND s.started_at = c.started_at AND s.ended_at = c.ended_at
            AND s.message_count = c.message_count)
        ORDER BY c.started_at""",
        values,
    )
    fresh = await cursor.fetchall()
    await connection.cursor().executemany(
        """
        INSERT INTO sessions (owner_id, chat_id, started_at, ended_at, message_count)
        VALUES (%s, %s, %s, %s, %s)""",
        [(owner_id, chat_id, row[0], row[1], row[2]) for row in fresh],
    )
    return len(fresh)


async def unread_sessions(connection: Connection, owner_id: OwnerId) -> list[SessionRow]:
    """Closed sessions that extraction has not read, or has to read again, oldest first."""
    async with connection.cursor(row_factory=class_row(SessionRow)) as cursor:
        await cursor.execute(
            """
            SELECT id, chat_id, started_at, ended_at, message_count FROM sessions
            WHERE owner_id = %s AND extracted_at IS NULL ORDER BY started_at, id""",
            [owner_id],
        )
        return await cursor.fetchall()


async def _session_gap(connection: Connection, owner_id: OwnerId, chat_id: ChatId) -> timedelta | None:
    """The silence that ends a session in this chat; None for a chat without messages."""
    cursor = await connection.execute(
        """
        SELECT c.session_gap_seconds, c.session_gap_messages,
               (SELECT count(*) FROM messages m WHERE m.owner_id = c.owner_id AND m.chat_id = c.id)
        FROM chats c WHERE c.owner_id = %s AND c.id = %s""",
        [owner_id, chat_id],
    )
    row = await cursor.fetchone()
    if row is None or row[2] == 0:
        return None
    if row[0] is not None and row[2] < MEASURE_AGAIN_AT * row[1]:
        return timedelta(seconds=float(row[0]))
    gap = await _measure_gap(connection, owner_id, chat_id)
    await connection.execute(
        """
        UPDATE chats SET session_gap_seconds = %s, session_gap_messages = %s
        WHERE owner_id = %s AND id = %s""",
        [gap.total_seconds(), row[2], owner_id, chat_id],
    )
    return gap


async def _measure_gap(connection: Connection, owner_id: OwnerId, chat_id: ChatId) -> timedelta:
    """The 95th percentile of how long an answer takes here, within reason."""
    cursor = await connection.execute(
        """
        SELECT percentile_cont(%(quantile)s) WITHIN GROUP (ORDER BY latency)
        FROM (
            SELECT extract(epoch FROM sent_at - lag(sent_at) OVER w) AS latency,
                   sender_id IS DISTINCT FROM lag(sender_id) OVER w AS answers
            FROM messages WHERE owner_id = %(owner)s AND chat_id = %(chat)s
            WINDOW w AS (ORDER BY sent_at, id)
        ) replies
        WHERE answers AND latency <= %(longest)s""",
        {
            "owner": owner_id,
            "chat": chat_id,
            "quantile": LATENCY_QUANTILE,
            "longest": LONGEST_GAP.total_seconds(),
        },
    )
    row = await cursor.fetchone()
    seconds = float(row[0]) if row and row[0] is not None else SHORTEST_GAP.total_seconds()
    return min(max(timedelta(seconds=seconds), SHORTEST_GAP), LONGEST_GAP)
