"""The indexing job: languages, places in the conversation, vectors of turns and windows, vectors of facts.

Each step takes what is listed as missing (see backlog.py), and commits batch by batch: it may be killed
anywhere and called again. No transaction is held while the model works; a message that was edited
meanwhile keeps no vector of its old words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pgvector import HalfVector
from psycopg.rows import class_row

from core.ids import OwnerId
from core.memory.backlog import (
    is_long,
    lock_indexing,
    lock_messages,
    prefer_keys,
    read_backlog,
    strike_facts,
    strike_messages,
    take_up_model,
)
from core.memory.languages import settle_languages
from core.models.faces import Embedder
from core.storage.database import Connection, Database

SESSION_GAP_HOURS = 4
"""A longer silence ends a session: nobody's window reaches over it."""

LONGEST_SESSION = 64
"""Messages; a room that never sleeps is cut, else its session would say nothing about a message."""

SHARED_BY = 50
"""Words that fewer messages share are not kept in the statistics: search counts them when asked."""

FEW = 1000
"""Messages more or fewer of one audience that do not yet ask for a recount."""

COUNT_EVERY_HOURS = 1
"""Messages that went are not listed anywhere: so often it is counted how many there are."""

MANY = 1000
"""Vectors after which the planner's own statistics are refreshed at once."""

Span = Literal["turn", "window", "fact"]

Progress = Callable[[int, int], None]
"""Called with (texts embedded so far, texts to embed in all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One text to embed, and the fingerprint by which it is known to be unchanged afterwards."""

    id: int
    text: str
    fingerprint: str


async def index_messages(
    database: Database,
    owner_id: OwnerId,
    embedder: Embedder,
    *,
    on_progress: Progress | None = None,
    batch: int = 256,
) -> int:
    """How many texts were embedded just now; 0 when everything was."""
    await take_up_model(database, owner_id, embedder.name)
    async with database.owner(owner_id) as connection:
        if await is_long(connection, owner_id, MANY):
            await connection.execute("SELECT analyze_memory()")
    told = await settle_languages(database, owner_id)
    placed = await place_messages(database, owner_id)
    async with database.owner(owner_id) as connection:
        if (told > 0 or await _may_be_outdated(connection, owner_id, placed)) and await refresh_statistics(
            connection, owner_id, anyway=told > 0
        ):
            await connection.execute("SELECT analyze_memory()")
    waiting = await read_backlog(database, owner_id, embedder.name)
    work: tuple[tuple[Span, Sequence[int]], ...] = (
        ("turn", waiting.turns),
        ("window", waiting.windows),
        ("fact", waiting.facts),
    )
    total, done = sum(len(ids) for _, ids in work), 0
    for span, missing in work:
        for start in range(0, len(missing), batch):
            ids = missing[start : start + batch]
            done += await _embed(database, owner_id, embedder, span, ids)
            if on_progress is not None:
                on_progress(done, total)
    if done:
        async with database.owner(owner_id) as connection:
            await connection.execute("SELECT prepare_large_owner(%s, %s)", [owner_id, embedder.name])
            if done > MANY:
                await connection.execute("SELECT analyze_memory()")
    return done


async def _embed(
    database: Database, owner_id: OwnerId, embedder: Embedder, span: Span, ids: Sequence[int]
) -> int:
    async with database.owner(owner_id) as connection:
        passages = await _read(connection, owner_id, span, ids)
    if not passages:
        return 0
    # Neighbours in length share a batch of the model: less padding.
    passages.sort(key=lambda passage: len(passage.text))
    vectors = await embedder.embed([passage.text for passage in passages])
    async with database.owner(owner_id) as connection:
        if span == "fact":
            await _store_facts(connection, owner_id, embedder, passages, vectors)
        else:
            await _store(connection, owner_id, embedder, span, passages, vectors)
    return len(passages)


# ─── Places ─────────────────────────────────────────────────────────────────────────────────


async def place_messages(database: Database, owner_id: OwnerId) -> int:
    """How many messages got their place, chat by chat, newest first; one transaction per chat."""
    async with database.owner(owner_id) as connection:
        await prefer_keys(connection)
        cursor = await connection.execute(
            """
            SELECT m.chat_id FROM to_index q JOIN messages m ON m.owner_id = q.owner_id AND m.id = q.message_id
            WHERE q.owner_id = %s AND m.deleted_at IS NULL
              AND NOT EXISTS (SELECT FROM passages p WHERE p.owner_id = m.owner_id AND p.message_id = m.id)
            GROUP BY m.chat_id ORDER BY max(m.sent_at) DESC""",
            [owner_id],
        )
        chats = [int(row[0]) for row in await cursor.fetchall()]
    placed = 0
    for chat_id in chats:
        async with database.owner(owner_id) as connection:
            placed += await _place_chat(connection, owner_id, chat_id)
    return placed


async def _place_chat(connection: Connection, owner_id: OwnerId, chat_id: int) -> int:
    """Cut the chat into sessions and link neighbours, from the session before the first unplaced message on.

    Neighbours share thread, audience and source: a window never quotes what the message itself would
    not show. Where a newcomer comes between two old messages, their windows lose their vectors.
    """
    await prefer_keys(connection)
    await lock_indexing(connection, owner_id)
    cursor = await connection.execute(
        """
        WITH unplaced AS MATERIALIZED (
            SELECT min(m.sent_at) AS first
            FROM to_index q JOIN messages m ON m.owner_id = q.owner_id AND m.id = q.message_id
            WHERE q.owner_id = %(owner)s AND m.chat_id = %(chat)s AND m.deleted_at IS NULL
              AND NOT EXISTS (SELECT FROM passages p WHERE p.owner_id = m.owner_id AND p.message_id = m.id)
        ), beginning AS MATERIALIZED (
            -- Every session that was under way then is cut anew from its first message.
            SELECT least(u.first, min(s.sent_at)) AS at
            FROM unplaced u
            LEFT JOIN messages m ON m.owner_id = %(owner)s AND m.chat_id = %(chat)s
                AND m.sent_at BETWEEN u.first - make_interval(hours => %(gap)s) AND u.first
            LEFT JOIN passages p ON p.owner_id = m.owner_id AND p.message_id = m.id
            LEFT JOIN messages s ON s.owner_id = p.owner_id AND s.id = p.session_id
            GROUP BY u.first
        ), line AS (
            SELECT m.id, m.sent_at, row_number() OVER talk AS place,
                   lag(m.id) OVER talk AS before_id, lead(m.id) OVER talk AS after_id,
                   m.sent_at - lag(m.sent_at) OVER talk <= make_interval(hours => %(gap)s) AS joined,
                   lead(m.sent_at) OVER talk - m.sent_at <= make_interval(hours => %(gap)s) AS joins,
                   m.thread_id, m.audience_id, m.source_id
            FROM messages m, beginning b
            WHERE m.owner_id = %(owner)s AND m.chat_id = %(chat)s AND m.deleted_at IS NULL
              AND m.sent_at >= b.at - make_interval(hours => %(gap)s)
            WINDOW talk AS (PARTITION BY m.thread_id, m.audience_id, m.source_id ORDER BY m.sent_at, m.id)
        ), counted AS (
            SELECT l.*, count(*) FILTER (WHERE l.joined IS NOT TRUE) OVER talk AS session
            FROM line l
            WINDOW talk AS (PARTITION BY l.thread_id, l.audience_id, l.source_id ORDER BY l.place)
        ), cut AS (
            SELECT c.*, (row_number() OVER talk - 1) / %(longest)s AS part
            FROM counted c, beginning b WHERE c.sent_at >= b.at
            WINDOW talk AS (PARTITION BY c.thread_id, c.audience_id, c.source_id, c.session ORDER BY c.place)
        ), placed AS (
            SELECT c.id, first_value(c.id) OVER (PARTITION BY c.thread_id, c.audience_id, c.source_id,
                                                 c.session, c.part ORDER BY c.place) AS session_id,
                   CASE WHEN c.joined THEN c.before_id END AS before_id,
                   CASE WHEN c.joins THEN c.after_id END AS after_id
            FROM cut c
        ), changed AS MATERIALIZED (
            SELECT n.*, p.message_id IS NULL AS is_new,
                   (p.before_id, p.after_id) IS DISTINCT FROM (n.before_id, n.after_id) AS rewound
            FROM placed n
            LEFT JOIN passages p ON p.owner_id = %(owner)s AND p.message_id = n.id
            WHERE (p.session_id, p.before_id, p.after_id)
                  IS DISTINCT FROM (n.session_id, n.before_id, n.after_id)
        ), voided AS (
            DELETE FROM embeddings e USING changed c
            WHERE e.owner_id = %(owner)s AND e.message_id = c.id AND e.span = 'window' AND c.rewound
        )
        INSERT INTO passages (owner_id, message_id, session_id, before_id, after_id)
        SELECT %(owner)s, c.id, c.session_id, c.before_id, c.after_id FROM changed c
        ON CONFLICT (owner_id, message_id) DO UPDATE
        SET session_id = excluded.session_id, before_id = excluded.before_id, after_id = excluded.after_id""",
        {"owner": owner_id, "chat": chat_id, "gap": SESSION_GAP_HOURS, "longest": LONGEST_SESSION},
    )
    return cursor.rowcount


# ─── Statistics ─────────────────────────────────────────────────────────────────────────────


async def _may_be_outdated(connection: Connection, owner_id: OwnerId, placed: int) -> bool:
    """Whether it is time to count: many messages were placed since it was last done, or that was long ago."""
    cursor = await connection.execute(
        """
        UPDATE corpus_statistics SET placed_since = placed_since + %(placed)s WHERE owner_id = %(owner)s
        RETURNING placed_since > least(messages / 10, %(few)s)
                  OR checked_at < now() - make_interval(hours => %(hours)s)""",
        {"owner": owner_id, "placed": placed, "few": FEW, "hours": COUNT_EVERY_HOURS},
    )
    row = await cursor.fetchone()
    return row is None or bool(row[0])


async def refresh_statistics(connection: Connection, owner_id: OwnerId, *, anyway: bool = False) -> bool:
    """Recount the owner's words and audiences, if it is time (see `_is_outdated`) or `anyway`."""
    cursor = await connection.execute(
        "SELECT messages, audiences, heard FROM corpus_statistics WHERE owner_id = %s", [owner_id]
    )
    counted = await cursor.fetchone()
    cursor = await connection.execute(
        """
        SELECT audience_id, count(*) FROM messages
        WHERE owner_id = %s AND deleted_at IS NULL GROUP BY audience_id""",
        [owner_id],
    )
    heard = {int(row[0]): int(row[1]) for row in await cursor.fetchall()}
    if (
        counted is not None
        and not anyway
        and not _is_outdated(int(counted[0]), dict(zip(counted[1], counted[2], strict=True)), heard)
    ):
        await connection.execute(
            "UPDATE corpus_statistics SET placed_since = 0, checked_at = now() WHERE owner_id = %s",
            [owner_id],
        )
        return False
    await connection.execute(
        """
        INSERT INTO corpus_statistics (owner_id, messages, average_words, languages, audiences, heard)
        SELECT %(owner)s, count(*), coalesce(nullif(avg(length(tsv)), 0), 10),
               coalesce(array_agg(DISTINCT language), '{}'),
               %(audiences)s::bigint[], %(heard)s::bigint[]
        FROM messages WHERE owner_id = %(owner)s AND deleted_at IS NULL
        ON CONFLICT (owner_id) DO UPDATE
        SET messages = excluded.messages, average_words = excluded.average_words,
            languages = excluded.languages, audiences = excluded.audiences, heard = excluded.heard,
            refreshed_at = now(), placed_since = 0, checked_at = now()""",
        {"owner": owner_id, "audiences": list(heard), "heard": list(heard.values())},
    )
    await connection.execute("DELETE FROM term_statistics WHERE owner_id = %s", [owner_id])
    await connection.execute(
        """
        INSERT INTO term_statistics (owner_id, lexeme, messages)
        SELECT %(owner)s, s.word, s.ndoc
        FROM ts_stat(format('SELECT tsv FROM messages WHERE owner_id = %%L AND deleted_at IS NULL',
                            %(owner)s::bigint)) s
        WHERE s.ndoc >= %(shared)s""",
        {"owner": owner_id, "shared": SHARED_BY},
    )
    return True


def _is_outdated(messages: int, before: dict[int, int], heard: dict[int, int]) -> bool:
    """Whether a tenth of all messages came or went, or of what one audience may learn, and not just a few."""
    if abs(sum(heard.values()) - messages) > messages // 10:
        return True
    changes = {a: abs(heard.get(a, 0) - before.get(a, 0)) for a in {*heard, *before}}
    return any(change > max(FEW, before.get(a, 0) // 10) for a, change in changes.items())


# ─── Texts in, vectors out ──────────────────────────────────────────────────────────────────


async def _read(connection: Connection, owner_id: OwnerId, span: Span, ids: Sequence[int]) -> list[Passage]:
    async with connection.cursor(row_factory=class_row(Passage)) as cursor:
        if span == "fact":
            await cursor.execute(
                """
                SELECT id, subject || ': ' || statement AS text,
                       md5(subject || ': ' || statement) AS fingerprint
                FROM facts WHERE owner_id = %s AND id = ANY (%s)""",
                [owner_id, list(ids)],
            )
        elif span == "turn":
            await cursor.execute(
                """
                SELECT id, spoken_line(m) AS text, md5(spoken_line(m)) AS fingerprint
                FROM messages m WHERE owner_id = %s AND id = ANY (%s) AND deleted_at IS NULL""",
                [owner_id, list(ids)],
            )
        else:
            await cursor.execute(
                """
                SELECT p.message_id AS id, w.text, md5(w.text) AS fingerprint
                FROM passages p CROSS JOIN LATERAL (
                    SELECT string_agg(spoken_line(m), E'\n' ORDER BY m.sent_at, m.id) AS text FROM messages m
                    WHERE m.owner_id = p.owner_id AND m.id IN (p.message_id, p.before_id, p.after_id)
                ) w
                WHERE p.owner_id = %s AND p.message_id = ANY (%s) AND w.text IS NOT NULL""",
                [owner_id, list(ids)],
            )
        return await cursor.fetchall()


async def _store(
    connection: Connection,
    owner_id: OwnerId,
    embedder: Embedder,
    span: Span,
    passages: Sequence[Passage],
    vectors: np.ndarray,
) -> None:
    """Keep the vectors of texts that still stand as they were read."""
    ids = [passage.id for passage in passages]
    await lock_indexing(connection, owner_id)
    await lock_messages(connection, owner_id, ids)
    now = {(p.id, p.fingerprint) for p in await _read(connection, owner_id, span, ids)}
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO embeddings (owner_id, message_id, model, span, dimension, embedding)
            VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            [
                (owner_id, passage.id, embedder.name, span, embedder.dimension, HalfVector(vector))
                for passage, vector in zip(passages, vectors, strict=True)
                if (passage.id, passage.fingerprint) in now
            ],
        )
    if span == "window":
        await strike_messages(connection, owner_id, embedder.name, ids)


async def _store_facts(
    connection: Connection,
    owner_id: OwnerId,
    embedder: Embedder,
    passages: Sequence[Passage],
    vectors: np.ndarray,
) -> None:
    ids = [passage.id for passage in passages]
    await connection.execute(
        "SELECT FROM facts WHERE owner_id = %s AND id = ANY (%s) ORDER BY id FOR SHARE", [owner_id, ids]
    )
    now = {(p.id, p.fingerprint) for p in await _read(connection, owner_id, "fact", ids)}
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO fact_embeddings (owner_id, fact_id, model, dimension, embedding)
            VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            [
                (owner_id, passage.id, embedder.name, embedder.dimension, HalfVector(vector))
                for passage, vector in zip(passages, vectors, strict=True)
                if (passage.id, passage.fingerprint) in now
            ],
        )
    await strike_facts(connection, owner_id, embedder.name, ids)
